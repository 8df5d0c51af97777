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

// tidy does what concerns no line in particular until ctx ends.
func (c *Courier) tidy(ctx, sending context.Context) {
	var loops sync.WaitGroup
	loops.Go(func() { c.loop(ctx, "sweep", nil, c.sweep) })
	loops.Go(func() {
		c.loop(ctx, "settle", c.lapsed, func(ctx context.Context) (time.Time, error) { return c.recoverStrays(ctx, sending) })
	})
	loops.Wait()
}

// sweep ends what lived too long in the queue, and returns when to sweep again.
func (c *Courier) sweep(ctx context.Context) (next time.Time, err error) {
	var stale []store.Out
	err = c.db.Update(ctx, func(tx *store.Tx) (err error) {
		if err := c.sweeper.Check(ctx, tx); err != nil {
			return err
		}
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

// recover finds out what became of messages of the line whose lease has ended,
// and returns when the next lease ends. The gateway is asked for as long as
// sending lasts.
func (w *line) recover(ctx, sending context.Context) (next time.Time, err error) {
	var lapsed []store.Out
	err = w.courier.db.Update(ctx, func(tx *store.Tx) (err error) {
		if err := w.duty.Check(ctx, tx); err != nil {
			return err
		}
		lapsed, next, err = lapsedOf(ctx, tx, w.Name)
		return err
	})
	if err != nil {
		return time.Time{}, err
	}
	w.courier.settleLapsed(sending, lapsed)
	return next, nil
}

// recoverStrays is recover for lines that are not in the configuration any more,
// unless there is a server that has them still.
func (c *Courier) recoverStrays(ctx, sending context.Context) (next time.Time, err error) {
	var strays []store.Out
	err = c.db.Update(ctx, func(tx *store.Tx) error {
		strays, next = nil, time.Time{}
		names, err := c.strayLines(ctx, tx)
		for _, name := range names {
			if err != nil {
				return err
			}
			var lapsed []store.Out
			var first time.Time
			lapsed, first, err = lapsedOf(ctx, tx, name)
			strays = append(strays, lapsed...)
			if next.IsZero() || first.Before(next) {
				next = first
			}
		}
		return err
	})
	if err != nil {
		return time.Time{}, err
	}
	c.settleLapsed(sending, strays)
	return next, nil
}

// strayLines returns the lines by which something is being handed over and
// which nobody has.
func (c *Courier) strayLines(ctx context.Context, tx *store.Tx) (strays []string, err error) {
	if err := c.sweeper.Check(ctx, tx); err != nil {
		return nil, err
	}
	names, err := tx.HandingGateways(ctx)
	for _, name := range names {
		if err != nil || c.byName[name] != nil {
			continue
		}
		var free bool
		if free, err = c.roster.Borrow(ctx, tx, dutyOf(name)); free {
			strays = append(strays, name)
		}
	}
	return strays, err
}

// lapsedOf leases to us what a line was handing over when its lease ended, and
// returns when the next lease ends.
func lapsedOf(ctx context.Context, tx *store.Tx, name string) (lapsed []store.Out, next time.Time, err error) {
	if lapsed, err = tx.Lapsed(ctx, name, tx.Now().Add(lease), maxLapsed); err != nil {
		return nil, next, err
	}
	next, err = tx.NextLapse(ctx, name)
	return lapsed, next, err
}

// settleLapsed finds out what became of messages and writes it.
func (c *Courier) settleLapsed(ctx context.Context, lapsed []store.Out) {
	var all sync.WaitGroup
	for _, o := range lapsed {
		all.Go(func() {
			f := c.find(ctx, o, fate{verdict: doubtful, detail: "interrupted"})
			if f.verdict == taken || ctx.Err() == nil {
				c.write(ctx, o, f)
			}
		})
	}
	all.Wait()
}
