package courier_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"maillon/internal/courier"
	"maillon/internal/sms"
	"maillon/internal/store"
)

// A trial is what may befall one Send.
type trial struct {
	outcome string
	takes   time.Duration
}

func trials(t *rapid.T) script {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) trial {
		return trial{
			rapid.SampledFrom([]string{"taken", "taken", "busy", "refused", "silent"}).Draw(t, "outcome"),
			time.Duration(rapid.IntRange(0, 100).Draw(t, "seconds")) * time.Second,
		}
	}), 1, 40).Draw(t, "trials")
}

// A tally counts what a network did with each message.
type tally struct{ taken, refused, silent int }

func TestNothingIsSentTwiceWhateverTheGatewayDoes(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		all := trials(r)
		priorities := rapid.SliceOfN(rapid.SampledFrom([]sms.Priority{sms.Code, sms.Receipt, sms.Notice}), 1, 20).Draw(r, "messages")
		window := rapid.IntRange(1, 5).Draw(r, "window")
		restart := time.Duration(rapid.IntRange(0, 300).Draw(r, "restart")) * time.Second
		var states []store.Out
		saw := map[string]tally{}
		in(t, func(t *testing.T, b *bench) {
			n := newNetwork()
			n.answer = func(ctx context.Context, i int, m sms.Outgoing) (string, error) { return all.answer(ctx, n, saw, i, m) }
			for i, p := range priorities {
				b.enqueue(p, 10*time.Minute, "", fmt.Sprint(i))
			}
			line := courier.Line{Name: "g", Gateway: n, Window: window}
			stop := b.run(line)
			time.Sleep(restart)
			stop()
			b.run(line)
			time.Sleep(quiet)
			synctest.Wait()
			states = b.outbox()
		})
		for _, o := range states {
			check(r, o, saw[store.OutID(o.ID)])
		}
	})
}

// check holds the last state of a message against what its network saw.
func check(t *rapid.T, o store.Out, saw tally) {
	most := 1
	if o.Priority == sms.Code && saw.silent > 0 {
		most = 2
	}
	if left := saw.taken + saw.refused + saw.silent; left > most {
		t.Errorf("message %d of priority %d left %d times: %+v", o.ID, o.Priority, left, saw)
	}
	want := store.Expired
	switch {
	case saw.taken > 0:
		want = store.Accepted
	case saw.silent > 0:
		want = store.Unknown
	case saw.refused > 0:
		want = store.Failed
	}
	if o.State != want {
		t.Errorf("message %d is %s, want %s: %+v", o.ID, o.State, want, saw)
	}
}
