package courier

import (
	"context"
	"sync"
	"time"

	"maillon/internal/sms"
	"maillon/internal/store"
)

// The bounds of one sweep; what is left is swept by the next, at once.
const (
	maxStale  = 200
	maxLapsed = 16 // gateways may be asked about so many at the same time
)

// sweep ends what lived too long in the queue, and returns when to sweep again.
func (c *Courier) sweep(ctx context.Context) (next time.Time, err error) {
	var stale []store.Out
	err = c.db.Update(ctx, func(tx *store.Tx) (err error) {
		if stale, err = tx.Stale(ctx, maxStale); err != nil {
			return err
		}
		for _, o := range stale {
			o.State = ended(o, store.Expired)
			if err := tx.SaveOut(ctx, o); err != nil {
				return err
			}
		}
		next, err = tx.NextStale(ctx)
		return err
	})
	if err != nil {
		return time.Time{}, err
	}
	for _, o := range stale {
		c.mourn(ctx, o)
	}
	return next, nil
}

// mourn counts a message that expired in the queue. A code that did is a line
// out of order.
func (c *Courier) mourn(ctx context.Context, o store.Out) {
	if len(c.lines) == 0 {
		return
	}
	w := c.owner(o.Gateway)
	w.count(func(n *Counts) { n.add(ended(o, store.Expired)) })
	if o.Priority == sms.Code {
		w.lostCode(time.Now())
		c.tell(ctx, string(CodeExpired)+":"+w.Name, Alert{Line: w.Name, Trouble: CodeExpired})
	}
}

// recover finds out what became of messages whose lease has ended, and returns
// when the next lease ends. Gateways are asked for as long as sending lasts.
func (c *Courier) recover(ctx, sending context.Context) (next time.Time, err error) {
	var lapsed []store.Out
	err = c.db.Update(ctx, func(tx *store.Tx) (err error) {
		if lapsed, err = tx.Lapsed(ctx, tx.Now().Add(lease), maxLapsed); err != nil {
			return err
		}
		next, err = tx.NextLapse(ctx)
		return err
	})
	if err != nil {
		return time.Time{}, err
	}
	var all sync.WaitGroup
	for _, o := range lapsed {
		all.Go(func() {
			f := c.find(sending, o, fate{verdict: doubtful, detail: "interrupted"})
			if f.verdict == taken || sending.Err() == nil {
				c.write(sending, o, f)
			}
		})
	}
	all.Wait()
	return next, nil
}
