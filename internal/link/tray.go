package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"maillon/internal/sms"
	"maillon/internal/store"
)

// The kinds of records of gateways that ask: what lies there for them, and when
// they last asked.
const (
	kindOut  = "link_out"
	kindSeen = "link_seen"
)

// The states of what lies there.
const (
	outWaiting = "waiting"
	outSending = "sending" // the gateway has said that it sends it now: it is not shown again
)

// Bounds of what lies there.
const (
	MaxOut  = 50               // shown at once
	MaxWait = 25 * time.Second // for something to show
	sweepIn = 100              // of those that are over, ended at once
)

var (
	// errTaken means that a message is being sent already, has ended or never was.
	errTaken = errors.New("it is being sent already, or its time is over")
	// errStatus means that a status is none.
	errStatus = errors.New("a status is sending, sent, delivered or failed")
)

// A letter is what lies there, sealed.
type letter struct {
	Sealed []byte `json:"sealed"`
	Code   bool   `json:"code"`
}

// An Out is a message that a gateway shall send.
type Out struct {
	Object  string    `json:"object"`
	ID      string    `json:"id"`
	To      string    `json:"to"`
	Text    string    `json:"text"`
	Urgent  bool      `json:"urgent"` // a code: before all else
	Expires time.Time `json:"expires_at"`
}

// lay puts a message there until the gateway asks.
func (g *Gateway) lay(ctx context.Context, db *store.DB, m sms.Outgoing) error {
	err := db.Update(ctx, func(tx *store.Tx) error {
		dies := tx.Now().Add(m.Validity)
		sealed, err := tx.SealFor(ctx, dies, []byte(m.To.E164()+"\n"+m.Text))
		if err != nil {
			return err
		}
		body, err := json.Marshal(letter{Sealed: sealed, Code: m.Priority == sms.Code})
		if err != nil {
			return err
		}
		r := store.Record{Kind: kindOut, Ref: m.ID, Who: whose(tx, g.config.Name), State: outWaiting, Due: dies, Loose: true, Body: body}
		if err := tx.SaveRecord(ctx, &r); err != nil && !errors.Is(err, store.ErrTaken) { // a code that is sent once more lies there already
			return err
		}
		return nil
	})
	if err == nil {
		g.mu.Lock()
		defer g.mu.Unlock()
		close(g.asking)
		g.asking = make(chan struct{})
	}
	return err
}

// ask returns what lies there, the oldest first. It waits for something if
// nothing does.
func (g *Gateway) ask(ctx context.Context, wait time.Duration) (all []Out, err error) {
	db := g.db.Load()
	if db == nil {
		return nil, errClosed
	}
	end := time.Now().Add(min(wait, MaxWait))
	if err := g.note(ctx, db); err != nil {
		return nil, err
	}
	for {
		g.mu.Lock()
		woken := g.asking
		g.mu.Unlock()
		all, err := g.show(ctx, db)
		if err != nil || len(all) > 0 || !time.Now().Before(end) || ctx.Err() != nil {
			return all, err
		}
		pause(ctx, min(time.Second, time.Until(end)), woken) // another server may have laid it there
	}
}

func (g *Gateway) show(ctx context.Context, db *store.DB) (all []Out, err error) {
	err = db.View(ctx, func(tx *store.Tx) error {
		all = nil
		there, err := tx.Records(ctx, store.RecordsWhere{Kind: kindOut, Who: whose(tx, g.config.Name), States: []string{outWaiting}}, MaxOut)
		if err != nil {
			return err
		}
		for _, r := range there {
			if !tx.Now().Before(r.Due) {
				continue
			}
			o, err := readOut(ctx, tx, r)
			if errors.Is(err, store.ErrErased) {
				continue
			}
			if err != nil {
				return err
			}
			all = append(all, o)
		}
		return nil
	})
	return all, err
}

func readOut(ctx context.Context, tx *store.Tx, r store.Record) (Out, error) {
	var l letter
	if err := json.Unmarshal(r.Body, &l); err != nil {
		return Out{}, fmt.Errorf("read what lies there as %d: %w", r.ID, err)
	}
	text, err := tx.UnsealFor(ctx, l.Sealed)
	if err != nil {
		return Out{}, err
	}
	o := Out{Object: "outgoing_message", ID: r.Ref, Urgent: l.Code, Expires: r.Due.UTC()}
	o.To, o.Text = cut(string(text))
	return o, nil
}

// status takes what a gateway says of a message. Sending is granted once.
func (g *Gateway) status(ctx context.Context, id, status string) error {
	db := g.db.Load()
	if db == nil {
		return errClosed
	}
	state, final := map[string]sms.ReportState{"sent": sms.Accepted, "delivered": sms.Delivered, "failed": sms.Failed}[status]
	if !final && status != outSending {
		return errStatus
	}
	err := db.Update(ctx, func(tx *store.Tx) error {
		r, err := tx.RecordByRef(ctx, kindOut, 0, id)
		if errors.Is(err, store.ErrNotFound) || err == nil && string(r.Who) != string(whose(tx, g.config.Name)) {
			if final {
				return nil // a report that comes again, or late
			}
			return errTaken
		}
		if err != nil {
			return err
		}
		if final {
			return tx.EndRecord(ctx, kindOut, r.ID)
		}
		if r.State != outWaiting || !tx.Now().Before(r.Due) {
			return errTaken
		}
		r.State = outSending
		return tx.SaveRecord(ctx, &r)
	})
	if err != nil || !final {
		return err
	}
	return g.door.Report(ctx, sms.Report{Gateway: g.config.Name, ID: id, State: state})
}

// note notes that the gateway asks, now and then also for other servers.
func (g *Gateway) note(ctx context.Context, db *store.DB) error {
	g.pulse.Beat()
	g.mu.Lock()
	told := time.Since(g.seen) < seenEvery
	if !told {
		g.seen = time.Now()
	}
	g.mu.Unlock()
	if told {
		return nil
	}
	return db.Update(ctx, func(tx *store.Tx) error {
		r, err := tx.RecordByRef(ctx, kindSeen, 0, g.config.Name)
		if errors.Is(err, store.ErrNotFound) {
			r = store.Record{Kind: kindSeen, Ref: g.config.Name, Loose: true, Body: []byte("{}")}
		} else if err != nil {
			return err
		}
		return tx.SaveRecord(ctx, &r)
	})
}

// look finds out whether the gateway asks, here or at another server, and ends
// what lay there for too long.
func (g *Gateway) look(ctx context.Context) error {
	var seen time.Time
	var over []string
	err := g.db.Load().Update(ctx, func(tx *store.Tx) error {
		over = nil
		r, err := tx.RecordByRef(ctx, kindSeen, 0, g.config.Name)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		seen = r.Changed
		late, err := tx.Records(ctx, store.RecordsWhere{Kind: kindOut, Who: whose(tx, g.config.Name), DueBy: tx.Now()}, sweepIn)
		if err != nil {
			return err
		}
		for _, r := range late {
			if r.State == outWaiting {
				over = append(over, r.Ref)
			}
			if err := tx.EndRecord(ctx, kindOut, r.ID); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if time.Since(seen) < askWithin {
		g.pulse.Beat()
	} else {
		g.pulse.Miss("it does not ask for what goes out")
	}
	for _, id := range over {
		if err := g.door.Report(ctx, sms.Report{Gateway: g.config.Name, ID: id, State: sms.Failed, Detail: "not asked for in time"}); err != nil {
			return err
		}
	}
	return nil
}

func cut(s string) (before, after string) {
	for i := range s {
		if s[i] == '\n' {
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}
