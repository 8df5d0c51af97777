package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"maillon/internal/sms"
	"maillon/internal/store"
)

// kindCall is the kind of the records that calls have which wait for their
// answer, or had it: whoever calls again gets the same.
const kindCall = "link_call"

// The states of a call.
const (
	callOpen   = "open"
	callClosed = "closed"
)

// Times and bounds of calls that wait for their answer.
const (
	answerWithin = 3 * time.Second        // or it leaves in another way, or not at all
	another      = 50 * time.Millisecond  // for a second answer to one SMS
	lookAgain    = 250 * time.Millisecond // another server may have laid it there
	callLife     = 10 * time.Second       // of a call whose server died
	keepAnswers  = 10 * time.Minute       // for whoever calls again
	maxAnswers   = 4
	sweepCalls   = 20 // of which as many are forgotten when one begins
)

// A call is the body of its record.
type call struct {
	Texts [][]byte `json:"texts,omitempty"` // sealed
	Most  int      `json:"most,omitempty"`  // characters of them all; 0: no bound
	Used  int      `json:"used,omitempty"`
}

// A waiter is one who called and waits.
type waiter struct {
	id       int64
	answered bool // before, with text
	text     string
	woken    chan struct{}
}

// whoseCall is how the call of a sender is found.
func (g *Gateway) whoseCall(tx *store.Tx, n sms.Number) []byte {
	return tx.Whose("link:" + g.config.Name + ":" + n.E164())
}

// begin opens the call for an SMS, or finds the one that was made for it before.
func (g *Gateway) begin(ctx context.Context, key string, from sms.Number, most int) (w *waiter, err error) {
	db := g.db.Load()
	if db == nil {
		return nil, errClosed
	}
	err = db.Update(ctx, func(tx *store.Tx) error {
		w = &waiter{}
		if _, err := tx.DropRecords(ctx, kindCall, tx.Now().Add(-keepAnswers), sweepCalls); err != nil {
			return err
		}
		ref := tx.Mac(kindCall, g.config.Name+"\x00"+key)
		r, err := tx.RecordByRef(ctx, kindCall, 0, ref)
		switch {
		case errors.Is(err, store.ErrNotFound):
			body, err := json.Marshal(call{Most: most})
			if err != nil {
				return err
			}
			r = store.Record{Kind: kindCall, Ref: ref, Who: g.whoseCall(tx, from), Loose: true, Body: body}
		case err != nil:
			return err
		case r.State == callClosed:
			w.answered = true
			w.id = r.ID
			w.text, err = readAnswer(ctx, tx, r)
			return err
		}
		r.State = callOpen
		if err := tx.SaveRecord(ctx, &r); err != nil {
			return err
		}
		w.id = r.ID
		return nil
	})
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.waiting[w.id] == nil {
		g.waiting[w.id] = make(chan struct{}, 1)
	}
	w.woken = g.waiting[w.id]
	return w, nil
}

func (g *Gateway) leave(w *waiter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.waiting, w.id)
}

// answer lays a message into the call that waits for it, if there is one.
func (g *Gateway) answer(ctx context.Context, db *store.DB, m sms.Outgoing) (answered bool, err error) {
	var id int64
	err = db.Update(ctx, func(tx *store.Tx) error {
		answered = false
		open, err := tx.Records(ctx, store.RecordsWhere{Kind: kindCall, Who: g.whoseCall(tx, m.To), States: []string{callOpen}, Newest: true}, 1)
		if err != nil || len(open) == 0 || tx.Now().Sub(open[0].Changed) > callLife {
			return err
		}
		r := open[0]
		var c call
		if err := json.Unmarshal(r.Body, &c); err != nil {
			return fmt.Errorf("read call %d: %w", r.ID, err)
		}
		n := utf8.RuneCountInString(m.Text) + len("\n")
		if len(c.Texts) >= maxAnswers || c.Most > 0 && c.Used+n > c.Most+len("\n") {
			return nil
		}
		sealed, err := tx.SealFor(ctx, tx.Now().Add(keepAnswers), []byte(m.Text))
		if err != nil {
			return err
		}
		c.Texts, c.Used = append(c.Texts, sealed), c.Used+n
		if r.Body, err = json.Marshal(c); err != nil {
			return err
		}
		id, answered = r.ID, true
		return tx.SaveRecord(ctx, &r)
	})
	if err != nil || !answered {
		return false, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case g.waiting[id] <- struct{}{}:
	default: // at another server, or gone
	}
	return true, nil
}

// wait returns the answers of a call, "" if none comes in time, and closes it:
// what comes later leaves in another way. A call that breaks off stays open for
// whoever calls again.
func (g *Gateway) wait(ctx context.Context, w *waiter) (string, error) {
	db, end := g.db.Load(), time.Now().Add(answerWithin)
	for time.Now().Before(end) && ctx.Err() == nil {
		there := false
		err := db.View(ctx, func(tx *store.Tx) error {
			r, err := tx.Record(ctx, kindCall, w.id)
			if err != nil {
				return err
			}
			var c call
			if err := json.Unmarshal(r.Body, &c); err != nil {
				return fmt.Errorf("read call %d: %w", r.ID, err)
			}
			there = len(c.Texts) > 0 || r.State == callClosed
			return nil
		})
		if err != nil {
			return "", err
		}
		if there {
			pause(ctx, another, nil)
			break
		}
		pause(ctx, lookAgain, w.woken)
	}
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("the call broke off: %w: %w", sms.ErrLater, err)
	}
	return g.closeCall(ctx, db, w.id)
}

func (*Gateway) closeCall(ctx context.Context, db *store.DB, id int64) (text string, err error) {
	err = db.Update(context.WithoutCancel(ctx), func(tx *store.Tx) error {
		r, err := tx.Record(ctx, kindCall, id)
		if err != nil {
			return err
		}
		if text, err = readAnswer(ctx, tx, r); err != nil || r.State == callClosed {
			return err
		}
		r.State = callClosed
		return tx.SaveRecord(ctx, &r)
	})
	return text, err
}

// readAnswer returns what a call was answered, "" if that is over.
func readAnswer(ctx context.Context, tx *store.Tx, r store.Record) (string, error) {
	var c call
	if err := json.Unmarshal(r.Body, &c); err != nil {
		return "", fmt.Errorf("read call %d: %w", r.ID, err)
	}
	var texts []string
	for _, sealed := range c.Texts {
		text, err := tx.UnsealFor(ctx, sealed)
		if errors.Is(err, store.ErrErased) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		texts = append(texts, string(text))
	}
	return strings.Join(texts, "\n"), nil
}

// pause waits for d, for woken, or for the end of ctx.
func pause(ctx context.Context, d time.Duration, woken <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-woken:
	case <-ctx.Done():
	}
}
