package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"maillon/internal/store"
)

// The prefixes of IDs.
const (
	EventPrefix    = "evt_"
	EndpointPrefix = "we_"
)

// ErrEvent means that an event has no type that could be one, or no merchant, or
// is too long.
var ErrEvent = errors.New("not an event")

// An Event is something that happened to a merchant.
type Event struct {
	ID      int64
	Type    string // such as claim.honoured
	Created time.Time
	Object  json.RawMessage // what it happened to, as it was then
}

func eventOf(r store.Record) Event {
	return Event{ID: r.ID, Type: r.State, Created: r.Created, Object: r.Body}
}

// Shown is an event as programs read it, from the API or in a webhook.
type Shown struct {
	Object    string    `json:"object"`
	ID        string    `json:"id"`
	Livemode  bool      `json:"livemode"`
	Type      string    `json:"type"`
	CreatedAt time.Time `json:"created_at"`
	Data      Data      `json:"data"`
}

// Data is what an event is about.
type Data struct {
	Object json.RawMessage `json:"object"`
}

// Show returns an event as programs read it.
func (e Event) Show(test bool) Shown {
	return Shown{"event", eventID(e.ID), !test, e.Type, e.Created.UTC(), Data{e.Object}}
}

func eventID(id int64) string { return EventPrefix + strconv.FormatInt(id, 10) }

// Emit writes an event of a merchant and queues it for the merchant's endpoints,
// in the transaction of what it tells of. The object is written as it is now, and
// must be fit to be shown to the merchant's programs.
func Emit(ctx context.Context, tx *store.Tx, merchant int64, typ string, object any) error {
	body, err := json.Marshal(object)
	if err != nil {
		return fmt.Errorf("event %s: %w", typ, err)
	}
	if !Typed(typ) || len(body) > maxData || merchant <= 0 {
		return fmt.Errorf("event %q of %d octets: %w", typ, len(body), ErrEvent)
	}
	// Whole days, so that few moments have something to forget.
	over := tx.Now().Add(KeepEvents + 24*time.Hour).UTC().Truncate(24 * time.Hour)
	r := store.Record{Kind: kindEvent, Owner: merchant, State: typ, Due: over, Body: body}
	if err := tx.SaveRecord(ctx, &r); err != nil {
		return fmt.Errorf("event %s: %w", typ, err)
	}
	all, err := Endpoints(ctx, tx, merchant)
	if err != nil {
		return err
	}
	for _, p := range all {
		if !p.Enabled || !p.wants(typ) {
			continue
		}
		if err := enqueue(ctx, tx, p.ID, r.ID); err != nil {
			return err
		}
	}
	return nil
}

// Events returns at most limit events of a merchant after one, the oldest first;
// of one type, or of all for "".
func Events(ctx context.Context, tx *store.Tx, merchant, after int64, typ string, limit int) ([]Event, error) {
	where := store.RecordsWhere{Kind: kindEvent, Owner: merchant, After: after}
	if typ != "" {
		where.States = []string{typ}
	}
	rows, err := tx.Records(ctx, where, limit)
	all := make([]Event, len(rows))
	for n, r := range rows {
		all[n] = eventOf(r)
	}
	return all, err
}

// LastEvents returns at most limit events of a merchant before one, the newest
// first; 0: the newest there are.
func LastEvents(ctx context.Context, tx *store.Tx, merchant, before int64, limit int) ([]Event, error) {
	rows, err := tx.Records(ctx, store.RecordsWhere{Kind: kindEvent, Owner: merchant, Before: before, Newest: true}, limit)
	all := make([]Event, len(rows))
	for n, r := range rows {
		all[n] = eventOf(r)
	}
	return all, err
}

// EventByID returns an event of a merchant, or store.ErrNotFound.
func EventByID(ctx context.Context, tx *store.Tx, merchant, id int64) (Event, error) {
	r, err := tx.Record(ctx, kindEvent, id)
	if err == nil && r.Owner != merchant {
		err = store.ErrNotFound
	}
	return eventOf(r), err
}

// Resend queues an event once more, for one endpoint, or for all that want it if
// that is 0. It returns the endpoints; none if there is nobody to tell.
func Resend(ctx context.Context, tx *store.Tx, by string, merchant, event, endpoint int64) ([]Endpoint, error) {
	e, err := EventByID(ctx, tx, merchant, event)
	if err != nil {
		return nil, err
	}
	all, err := Endpoints(ctx, tx, merchant)
	if err != nil {
		return nil, err
	}
	var to []Endpoint
	for _, p := range all {
		if endpoint != 0 && p.ID != endpoint || endpoint == 0 && !(p.Enabled && p.wants(e.Type)) {
			continue
		}
		if !p.Enabled {
			return nil, ErrDisabled
		}
		if err := enqueue(ctx, tx, p.ID, e.ID); err != nil {
			return nil, err
		}
		to = append(to, p)
	}
	if endpoint != 0 && to == nil {
		return nil, ErrNoEndpoint
	}
	tx.Act(by, "webhook.resend", fmt.Sprintf("event:%d", e.ID), "") // which also tells the server that carries
	return to, nil
}
