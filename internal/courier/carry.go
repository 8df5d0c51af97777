package courier

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"maillon/internal/sms"
	"maillon/internal/store"
)

// maxDetail bounds what is kept of a gateway's error, in octets.
const maxDetail = 200

// A verdict is what is known after a message was handed over.
type verdict int

const (
	doubtful verdict = iota // it may have left
	taken                   // the network has it
	busy                    // it surely did not leave
	slept                   // it was not handed over: too much may have happened since its claim
	refused                 // it never will
	overdue                 // it was not handed over: its time to live had ended
)

// A fate is what became of a message.
type fate struct {
	verdict    verdict
	providerID string
	detail     string
}

// carry hands a message over and writes what became of it. When ctx ends first,
// the message stays as being handed over, and the next start finds out.
func (w *line) carry(ctx context.Context, d departure) {
	lapse := time.AfterFunc(lease, func() { poke(w.lapsed) })
	defer lapse.Stop()
	f, err := w.send(ctx, d)
	if f.verdict == doubtful {
		f = w.courier.find(ctx, d.Out, f)
	}
	if f.verdict == doubtful && ctx.Err() != nil {
		return
	}
	switch f.verdict {
	case busy:
		w.tire(time.Now())
	case taken, refused:
		if w.revive() {
			w.hasten(ctx)
		}
	}
	if f.verdict == busy || f.verdict == slept || f.verdict == overdue {
		w.bucket.refund(d.spent)
	}
	w.log(ctx, d.Out, f, err)
	w.courier.write(ctx, d.Out, f)
	if errors.Is(err, sms.ErrOptedOut) {
		w.courier.tell(ctx, string(OptedOut)+":"+w.Name+":"+strconv.FormatInt(int64(d.Member), 10),
			Alert{Line: w.Name, Trouble: OptedOut, Member: d.Member})
	}
}

func (w *line) send(ctx context.Context, d departure) (fate, error) {
	o := d.Out
	if late := time.Now().Round(0).Sub(d.asked.Round(0)); late > handWithin || time.Since(d.asked) > handWithin {
		return fate{verdict: slept, detail: "not handed over in time"}, nil
	}
	if o.To.IsZero() && o.Address.IsZero() { // erased while it waited
		return fate{verdict: refused, detail: "erased"}, nil
	}
	if _, postal := w.Gateway.(sms.Postal); !postal && !o.Address.IsZero() { // the line that it was for is no more
		return fate{verdict: refused, detail: "not by SMS"}, nil
	}
	m := outgoing(o, time.Now())
	if m.Validity <= 0 {
		return fate{verdict: overdue}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	id, err := w.Gateway.Send(ctx, m)
	switch {
	case err == nil:
		return fate{verdict: taken, providerID: id}, nil
	case errors.Is(err, sms.ErrBusy):
		return fate{verdict: busy, detail: detail(err)}, err
	case errors.Is(err, sms.ErrRefused):
		return fate{verdict: refused, detail: detail(err)}, err
	}
	return fate{verdict: doubtful, providerID: id, detail: detail(err)}, err
}

// outgoing returns a message as its gateway takes it; the network may have it
// for what is left of its time to live.
func outgoing(o store.Out, now time.Time) sms.Outgoing {
	return sms.Outgoing{ID: store.OutID(o.ID), To: o.To, Address: o.Address, Text: o.Text, Priority: o.Priority, Validity: o.Expires.Sub(now)}
}

func detail(err error) string {
	text := err.Error()
	return text[:min(len(text), maxDetail)]
}

// log tells what became of a message if somebody may wonder.
func (w *line) log(ctx context.Context, o store.Out, f fate, err error) {
	switch f.verdict {
	case refused:
		slog.WarnContext(ctx, "message refused", "message", o.ID, "line", w.Name, "error", err)
	case doubtful:
		slog.WarnContext(ctx, "message may have left", "message", o.ID, "line", w.Name, "error", err)
	case slept:
		slog.WarnContext(ctx, "message not handed over: the server slept", "message", o.ID, "line", w.Name)
	case taken, busy, overdue:
	}
}

// hasten lets everything that met the line when it was busy be tried now.
func (w *line) hasten(ctx context.Context) {
	err := w.courier.db.Update(ctx, func(tx *store.Tx) error { return tx.Hasten(ctx, w.Name) })
	if err != nil {
		slog.ErrorContext(ctx, "messages keep their back-off", "line", w.Name, "error", err)
	}
}

// find asks the gateway, if it can tell, whether a message of doubtful fate has
// left. The listing of a provider needs a moment to know.
func (c *Courier) find(ctx context.Context, o store.Out, f fate) fate {
	w := c.byName[o.Gateway]
	if w == nil || o.To.IsZero() {
		return f
	}
	finder, ok := w.Gateway.(Finder)
	if !ok {
		return f
	}
	sleep(ctx, time.Until(o.Handed.Add(findAfter)))
	ctx, cancel := context.WithTimeout(ctx, findTimeout)
	defer cancel()
	id, found, err := finder.Find(ctx, outgoing(o, time.Now()), o.Handed)
	if err != nil || !found {
		return f
	}
	return fate{verdict: taken, providerID: id}
}

// write writes what became of a message. It tries again for as long as the
// message is leased: a store that cannot commit now may be able to in a moment.
func (c *Courier) write(ctx context.Context, o store.Out, f fate) {
	till := time.Now().Add(lease)
	for {
		err := c.settle(ctx, o, f)
		if err == nil {
			break
		}
		slog.ErrorContext(ctx, "fate of a message not written", "message", o.ID, "error", err)
		if errors.Is(err, store.ErrClosed) || ctx.Err() != nil || !time.Now().Before(till) {
			return
		}
		sleep(ctx, saveRetry)
	}
	if f.verdict == taken {
		c.answered(ctx, o.Gateway, f.providerID)
	}
}

// settle writes a fate, unless a report was quicker. If the message was handed
// over once more meanwhile, only the good news of the first copy counts.
func (c *Courier) settle(ctx context.Context, o store.Out, f fate) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	counted := store.Handing
	err := c.db.Update(ctx, func(tx *store.Tx) error {
		counted = store.Handing
		is, err := tx.OutByID(ctx, o.ID)
		if err != nil || is.Tries != o.Tries && f.verdict != taken {
			return err
		}
		switch {
		case is.State == store.Handing, f.verdict == taken && mayHaveLeft(is):
			is = judge(is, f, tx.Now())
			counted = is.State
		case is.ProviderID == "" && f.providerID != "":
			is.ProviderID = f.providerID
		default:
			return nil
		}
		return tx.SaveOut(ctx, is)
	})
	if errors.Is(err, store.ErrNotFound) { // its time was over
		return nil
	}
	if w := c.byName[o.Gateway]; err == nil && w != nil {
		w.count(func(n *Counts) { n.add(counted) })
	}
	return err
}

// judge returns a message as it is after its fate.
func judge(o store.Out, f fate, now time.Time) store.Out {
	o.Detail = f.detail
	if f.providerID != "" {
		o.ProviderID = f.providerID
	}
	switch f.verdict {
	case taken:
		o.State = store.Accepted
		return o
	case doubtful:
		o.Doubts++
		if o.State = store.Unknown; o.Priority == sms.Code && o.Doubts == 1 && o.Expires.Sub(now) >= worthResending {
			o.State, o.Next = store.Queued, now
		}
		return o
	}
	if o.Doubts == 0 {
		o.Handed = time.Time{}
	}
	switch f.verdict {
	case busy, slept:
		o.State, o.Next = store.Queued, now.Add(backOff(o.Tries))
	case refused:
		o.State = ended(o, store.Failed)
	case overdue:
		o.State = ended(o, store.Expired)
	}
	return o
}

// ended returns the last state of a message that will not be sent: what it is
// called, or unknown if it was handed over before and may have left then.
func ended(o store.Out, state string) string {
	if o.Doubts > 0 {
		return store.Unknown
	}
	return state
}

// mayHaveLeft reports whether a message was handed over and nobody knows yet
// what became of it.
func mayHaveLeft(o store.Out) bool {
	return o.State == store.Handing || o.State == store.Unknown || o.State == store.Queued && o.Doubts > 0
}

// backOff returns how long to wait after the nth failure in a row.
func backOff(n int) time.Duration {
	d := retryLeast
	for range n - 1 {
		if d = 2 * d; d >= retryMost {
			return retryMost
		}
	}
	return d
}
