package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"maillon/internal/store"
)

// The states of a delivery.
const (
	Waiting   = "waiting"
	Delivered = "delivered"
	Failed    = "failed" // tried for as long as one is
)

// Schedule returns after how long something is tried, each time that it was not
// taken: the retries of Standard Webhooks.
func Schedule() []time.Duration {
	return []time.Duration{
		0, 5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour,
		24 * time.Hour,
	}
}

// How long an endpoint is left alone after it failed: a while for each failure
// in a row, so that one that never answers costs little.
const (
	restStep = 5 * time.Second
	restMost = time.Minute
)

// An Attempt is one call of an endpoint.
type Attempt struct {
	At     time.Time     `json:"at"`
	Status int           `json:"status,omitempty"` // of HTTP; 0: there was no answer
	Why    string        `json:"why,omitempty"`    // it failed; "": it was taken
	Took   time.Duration `json:"took"`
}

// A Delivery is what became of one event at one endpoint.
type Delivery struct {
	ID       int64
	Endpoint int64
	Event    int64
	State    string
	Next     time.Time // when it is tried next; zero: never
	Attempts []Attempt // the newest at the end
}

// deliveryBody is what is kept of a delivery.
type deliveryBody struct {
	Event    int64     `json:"event"`
	Tries    int       `json:"tries"` // of the schedule
	Attempts []Attempt `json:"attempts,omitempty"`
}

func readDelivery(r store.Record) (b deliveryBody, err error) {
	if err = json.Unmarshal(r.Body, &b); err != nil {
		err = fmt.Errorf("delivery %d: %w", r.ID, err)
	}
	return b, err
}

func saveDelivery(ctx context.Context, tx *store.Tx, r *store.Record, b deliveryBody) (err error) {
	if r.Body, err = json.Marshal(b); err != nil {
		return err
	}
	return tx.SaveRecord(ctx, r)
}

// Deliveries returns at most limit deliveries to an endpoint, the newest first,
// before one, or from the newest on for 0.
func Deliveries(ctx context.Context, tx *store.Tx, endpoint, before int64, limit int) ([]Delivery, error) {
	rows, err := tx.Records(ctx, store.RecordsWhere{Kind: kindDelivery, Owner: endpoint, Before: before, Newest: true}, limit)
	if err != nil {
		return nil, err
	}
	all := make([]Delivery, len(rows))
	for n, r := range rows {
		b, err := readDelivery(r)
		if err != nil {
			return nil, err
		}
		all[n] = Delivery{r.ID, r.Owner, b.Event, r.State, r.Due, b.Attempts}
	}
	return all, nil
}

// A Line is how an endpoint does.
type Line struct {
	Waiting int       `json:"waiting"`          // events that wait for it
	Missed  int       `json:"missed,omitempty"` // for which there was no room
	Fails   int       `json:"fails,omitempty"`  // in a row
	Rest    time.Time `json:"rest,omitzero"`    // it is left alone until then
	Taken   time.Time `json:"taken,omitzero"`   // when it took something last
	Refused time.Time `json:"refused,omitzero"` // when it did not
}

// LineOf returns how an endpoint does.
func LineOf(ctx context.Context, tx *store.Tx, endpoint int64) (Line, error) {
	l, _, err := readLine(ctx, tx, endpoint)
	return l, err
}

// ofLine is the reference of the one line of an endpoint.
const ofLine = "line"

// readLine returns the line of an endpoint with its record, both fresh if there
// is none yet, or none any more since the books were restored.
func readLine(ctx context.Context, tx *store.Tx, endpoint int64) (l Line, r store.Record, err error) {
	r, err = tx.RecordByRef(ctx, kindLine, endpoint, ofLine)
	if errors.Is(err, store.ErrNotFound) {
		return l, store.Record{Kind: kindLine, Owner: endpoint, Ref: ofLine, Loose: true}, nil
	}
	if err == nil {
		err = json.Unmarshal(r.Body, &l)
	}
	return l, r, err
}

func saveLine(ctx context.Context, tx *store.Tx, r *store.Record, l Line) (err error) {
	if r.Body, err = json.Marshal(l); err != nil {
		return err
	}
	return tx.SaveRecord(ctx, r)
}

// due returns when a line is asked next, if something is tried at a time.
func (l Line) due(next time.Time) time.Time {
	if next.Before(l.Rest) {
		return l.Rest
	}
	return next
}

// enqueue makes an event wait for an endpoint, as its first delivery or once
// more.
func enqueue(ctx context.Context, tx *store.Tx, endpoint, event int64) error {
	l, line, err := readLine(ctx, tx, endpoint)
	if err != nil {
		return err
	}
	d, err := tx.RecordByRef(ctx, kindDelivery, endpoint, eventID(event))
	again := err == nil
	if errors.Is(err, store.ErrNotFound) {
		d, err = store.Record{Kind: kindDelivery, Owner: endpoint, Ref: eventID(event), Loose: true}, nil
	}
	if err != nil {
		return err
	}
	b := deliveryBody{Event: event}
	if again {
		if b, err = readDelivery(d); err != nil {
			return err
		}
		b.Tries = 0
	}
	if d.State != Waiting {
		if l.Waiting >= maxQueue {
			l.Missed++
			return saveLine(ctx, tx, &line, l)
		}
		l.Waiting++
	}
	d.State, d.Parent, d.Due = Waiting, endpoint, tx.Now()
	if err := saveDelivery(ctx, tx, &d, b); err != nil {
		return err
	}
	if next := l.due(tx.Now()); line.Due.IsZero() || next.Before(line.Due) {
		line.Due = next
	}
	return saveLine(ctx, tx, &line, l)
}

// wake lets the queue of an endpoint be looked at now.
func wake(ctx context.Context, tx *store.Tx, endpoint int64) error {
	l, line, err := readLine(ctx, tx, endpoint)
	if err != nil {
		return err
	}
	l.Fails, l.Rest, line.Due = 0, time.Time{}, tx.Now()
	return saveLine(ctx, tx, &line, l)
}

// endLine forgets the line of an endpoint that is no more. What waited for it
// goes when its time is over.
func endLine(ctx context.Context, tx *store.Tx, endpoint int64) error {
	_, line, err := readLine(ctx, tx, endpoint)
	if err != nil || line.ID == 0 {
		return err
	}
	return tx.EndRecord(ctx, kindLine, line.ID)
}

// head returns what waits for an endpoint and is due first, false if nothing
// does.
func head(ctx context.Context, tx *store.Tx, endpoint int64) (store.Record, bool, error) {
	rows, err := tx.Records(ctx, store.RecordsWhere{Kind: kindDelivery, Parent: endpoint, DueBy: tx.Now().Add(KeepEvents)}, 1)
	if err != nil || len(rows) == 0 {
		return store.Record{}, false, err
	}
	return rows[0], true, nil
}

// settle writes what came of one call, and when the endpoint is called next.
func settle(ctx context.Context, tx *store.Tx, c call, a Attempt) error {
	l, line, err := readLine(ctx, tx, c.endpoint.ID)
	if err != nil || line.ID == 0 { // the endpoint has been removed
		return err
	}
	p, err := EndpointByID(ctx, tx, c.endpoint.Merchant, c.endpoint.ID)
	if err != nil {
		return err
	}
	d, err := tx.RecordByRef(ctx, kindDelivery, p.ID, eventID(c.event.ID))
	if err != nil {
		return err
	}
	b, err := readDelivery(d)
	if err != nil {
		return err
	}
	b.Tries++
	b.Attempts = append(b.Attempts, a)
	b.Attempts = b.Attempts[max(0, len(b.Attempts)-maxAttempts):]
	why := l.judge(&d, &b, a)
	if err := saveDelivery(ctx, tx, &d, b); err != nil {
		return err
	}
	if err := p.disable(ctx, tx, why); err != nil {
		return err
	}
	return l.plan(ctx, tx, &line, p.Enabled)
}

// disable lets an endpoint be, if there is a reason.
func (p *Endpoint) disable(ctx context.Context, tx *store.Tx, why string) error {
	if why == "" || !p.Enabled {
		return nil
	}
	p.Enabled, p.Why = false, why
	tx.Act(actor, "webhook.disable", fmt.Sprintf("endpoint:%d", p.ID), why)
	return p.save(ctx, tx)
}

// actor is who disables an endpoint by itself, for the audit.
const actor = "webhooks"

// judge brings a delivery to where it stands after an attempt. It returns why the
// endpoint is not called any more, "" if it is.
func (l *Line) judge(d *store.Record, b *deliveryBody, a Attempt) (why string) {
	if a.Why == "" {
		l.Fails, l.Rest, l.Taken = 0, time.Time{}, a.At
		l.end(d, Delivered)
		return ""
	}
	l.Fails++
	l.Refused = a.At
	l.Rest = a.At.Add(a.Took).Add(min(time.Duration(l.Fails)*restStep, restMost))
	schedule := Schedule()
	if b.Tries < len(schedule) {
		d.Due = a.At.Add(a.Took).Add(jitter(schedule[b.Tries]))
	} else {
		l.end(d, Failed)
		if l.Taken.Before(d.Created) {
			why = WhyFailed
		}
	}
	if a.Status == statusGone {
		why = WhyGone
	}
	return why
}

// end takes a delivery out of the queue.
func (l *Line) end(d *store.Record, state string) {
	d.State, d.Parent, d.Due = state, 0, time.Time{}
	l.Waiting = max(l.Waiting-1, 0)
}

// plan writes when an endpoint is called next.
func (l *Line) plan(ctx context.Context, tx *store.Tx, line *store.Record, enabled bool) error {
	line.Due = time.Time{}
	if enabled {
		first, ok, err := head(ctx, tx, line.Owner)
		if err != nil {
			return err
		}
		if ok {
			line.Due = l.due(first.Due)
		} else {
			l.Waiting = 0 // what waited while it was off may have been forgotten since
		}
	}
	return saveLine(ctx, tx, line, *l)
}
