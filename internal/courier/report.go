package courier

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"maillon/internal/sms"
	"maillon/internal/store"
)

// What is kept of reports that match no message: they may have overtaken the
// answer to their Send.
const (
	keepReports = 10 * time.Minute
	maxPending  = 1000
)

// Report implements sms.Inbox. It moves a message forward only, and keeps what
// matches none for a while.
func (c *Courier) Report(ctx context.Context, r sms.Report) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reportTimeout)
	defer cancel()
	// Before the look-up, so that an answer written meanwhile finds it.
	c.late.keep(r, time.Now())
	matched, err := c.apply(ctx, r)
	if matched || err != nil {
		c.late.drop(r)
	}
	if err != nil {
		return fmt.Errorf("report from %s: %w: %w", r.Gateway, sms.ErrLater, err)
	}
	return nil
}

// answered applies the reports that came before the answer that names theirs.
func (c *Courier) answered(ctx context.Context, gateway, providerID string) {
	for _, r := range c.late.take(gateway, providerID, time.Now()) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reportTimeout)
		if _, err := c.apply(ctx, r); err != nil {
			slog.ErrorContext(ctx, "report lost", "line", gateway, "error", err)
		}
		cancel()
	}
}

// apply writes what a report tells, and returns whether it is of a message.
func (c *Courier) apply(ctx context.Context, r sms.Report) (matched bool, err error) {
	moved := store.Handing
	err = c.db.Update(ctx, func(tx *store.Tx) error {
		moved = store.Handing
		o, err := reported(ctx, tx, r)
		if matched = err == nil; !matched {
			return err
		}
		next, ok := forward(o, r.State)
		if !ok {
			return nil
		}
		o.State, moved = next, next
		if o.ProviderID == "" {
			o.ProviderID = r.ProviderID
		}
		if r.Detail != "" {
			o.Detail = r.Detail[:min(len(r.Detail), maxDetail)]
		}
		return tx.SaveOut(ctx, o)
	})
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if w := c.byName[r.Gateway]; w != nil && err == nil {
		w.count(func(n *Counts) { n.add(moved) })
	}
	return matched, err
}

// reported returns the message that a report is about. A gateway knows only
// what left by it.
func reported(ctx context.Context, tx *store.Tx, r sms.Report) (store.Out, error) {
	if id, ok := store.ParseOutID(r.ID); ok {
		o, err := tx.OutByID(ctx, id)
		if err == nil && o.Gateway == r.Gateway {
			return o, nil
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return o, err
		}
	}
	return tx.OutByProvider(ctx, r.Gateway, r.ProviderID)
}

// forward returns the state to which a report moves a message. What is final
// stays, and what never left cannot arrive.
func forward(o store.Out, s sms.ReportState) (state string, ok bool) {
	switch s {
	case sms.Accepted:
		return store.Accepted, mayHaveLeft(o)
	case sms.Delivered:
		return store.Delivered, mayHaveLeft(o) || o.State == store.Accepted
	case sms.Failed: // that a first copy failed does not end the second
		return store.Failed, mayHaveLeft(o) && o.State != store.Queued || o.State == store.Accepted
	}
	return "", false
}

// pending keeps reports that match no message yet, the oldest first. The zero
// pending is empty.
type pending struct {
	mu   sync.Mutex
	kept []keptReport
}

type keptReport struct {
	sms.Report
	at time.Time
}

// keep adds a report; without room the oldest goes.
func (p *pending) keep(r sms.Report, now time.Time) {
	if r.ProviderID == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.purge(now)
	if len(p.kept) >= maxPending {
		p.kept = slices.Delete(p.kept, 0, 1)
	}
	p.kept = append(p.kept, keptReport{r, now})
}

// purge must be called with mu held.
func (p *pending) purge(now time.Time) {
	p.kept = slices.DeleteFunc(p.kept, func(k keptReport) bool { return now.Sub(k.at) >= keepReports })
}

func (p *pending) drop(r sms.Report) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kept = slices.DeleteFunc(p.kept, func(k keptReport) bool { return k.Report == r })
}

// take removes the reports of one message and returns them.
func (p *pending) take(gateway, providerID string, now time.Time) (taken []sms.Report) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.purge(now)
	p.kept = slices.DeleteFunc(p.kept, func(k keptReport) bool {
		ours := k.Gateway == gateway && k.ProviderID == providerID
		if ours {
			taken = append(taken, k.Report)
		}
		return ours
	})
	return taken
}
