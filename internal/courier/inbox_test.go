package courier_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"maillon/internal/courier"
	"maillon/internal/sms"
	"maillon/internal/store"
)

func TestOnlyWhatIsCommittedIsAcknowledged(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		var given sms.Incoming
		var left time.Duration
		var answer error
		conversation := answering(func(ctx context.Context, m sms.Incoming) error {
			given = m
			deadline, _ := ctx.Deadline()
			left = time.Until(deadline)
			return errors.Join(ctx.Err(), answer)
		})
		c := courier.New(b.db, []courier.Line{{Name: "g", Gateway: newNetwork()}}, conversation, courier.Options{})
		m := sms.Incoming{Gateway: "g", Key: "1", From: member, Text: "solde"}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := c.Receive(gone, m); err != nil || given != m {
			t.Errorf("Receive for a caller that left = %v", err)
		}
		if left <= 0 || left >= 4*time.Second {
			t.Errorf("the conversation has %v, want less than the 4 s of SMPP", left)
		}
		answer = store.ErrBusy
		if err := c.Receive(t.Context(), m); !errors.Is(err, sms.ErrLater) || !errors.Is(err, store.ErrBusy) {
			t.Errorf("Receive without a commit = %v, want ErrLater", err)
		}
		h, err := c.Health(t.Context())
		if err != nil || h[0].Counts.Received != 1 || h[0].Counts.Deferred != 1 || h[0].LastIn.IsZero() {
			t.Errorf("Health = %+v, %v", h, err)
		}
	})
}

func TestAReportMovesAMessageForwardOnly(t *testing.T) {
	reports := map[string]sms.ReportState{"a": sms.Accepted, "d": sms.Delivered, "f": sms.Failed}
	for _, test := range []struct {
		reports string
		answer  error
		want    string
	}{
		{"d", nil, store.Delivered},
		{"f", nil, store.Failed},
		{"a", nil, store.Accepted},
		{"dfa", nil, store.Delivered},
		{"fda", nil, store.Failed},
		{"ad", nil, store.Delivered},
		{"d", errors.New("no answer"), store.Delivered},
		{"a", errors.New("no answer"), store.Accepted},
		{"f", errors.New("no answer"), store.Failed},
		{"d", sms.ErrRefused, store.Failed},
	} {
		in(t, func(t *testing.T, b *bench) {
			b.enqueue(sms.Receipt, time.Hour, "", "r")
			n := newNetwork()
			n.answer = func(context.Context, int, sms.Outgoing) (string, error) {
				if test.answer != nil {
					return "", test.answer
				}
				return "p1", nil
			}
			stop := b.run(courier.Line{Name: "g", Gateway: n})
			pass(time.Second)
			for _, r := range test.reports {
				report := sms.Report{Gateway: "g", ID: n.sent()[0].ID, State: reports[string(r)]}
				if err := b.Report(t.Context(), report); err != nil {
					t.Error(err)
				}
			}
			b.want(fmt.Sprintf("after %v and %q", test.answer, test.reports), b.states(), test.want)
			stop()
		})
	}
}

func TestAReportMayOvertakeItsAnswer(t *testing.T) {
	delivered := func(provider string) sms.Report {
		return sms.Report{Gateway: "g", ProviderID: provider, State: sms.Delivered}
	}
	in(t, func(t *testing.T, b *bench) {
		b.enqueue(sms.Receipt, time.Hour, "", "early")
		n := newNetwork()
		n.answer = func(_ context.Context, i int, _ sms.Outgoing) (string, error) {
			if i > 1 {
				return fmt.Sprint("p", i), nil
			}
			if err := b.Report(t.Context(), delivered(fmt.Sprint("p", i))); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Minute)
			return fmt.Sprint("p", i), nil
		}
		b.run(courier.Line{Name: "g", Gateway: n})
		pass(time.Second)
		b.want("before the answer", b.states(), "handing")
		pass(time.Minute)
		b.want("after it", b.states(), "delivered")

		if err := b.Report(t.Context(), delivered("p3")); err != nil {
			t.Error(err)
		}
		pass(10 * time.Minute)
		b.enqueue(sms.Receipt, time.Hour, "", "p2")
		b.enqueue(sms.Receipt, time.Hour, "", "p3")
		pass(time.Second)
		b.want("a report kept for ten minutes is gone", b.states(), "delivered accepted accepted")
	})
}

func TestAReportOfAnotherGatewayIsNotBelieved(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.enqueue(sms.Receipt, time.Hour, "", "r")
		n := newNetwork()
		b.run(courier.Line{Name: "g", Gateway: n}, courier.Line{Name: "other", Gateway: newNetwork()})
		pass(time.Second)
		for _, r := range []sms.Report{
			{Gateway: "other", ID: n.sent()[0].ID, State: sms.Delivered},
			{Gateway: "other", ProviderID: "p1", State: sms.Delivered},
			{Gateway: "g", State: sms.Delivered},
			{Gateway: "g", ID: "m999", ProviderID: "nobody", State: sms.Delivered},
		} {
			if err := b.Report(t.Context(), r); err != nil {
				t.Errorf("Report(%+v) = %v", r, err)
			}
		}
		b.want("state", b.states(), "accepted")
	})
}

func TestACodeWhoseFirstCopyArrivedIsNotSentAgain(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		b.enqueue(sms.Code, 10*time.Minute, "", "c")
		n := newNetwork()
		n.answer = func(_ context.Context, i int, m sms.Outgoing) (string, error) {
			if i == 1 {
				return "", errors.New("no answer")
			}
			return "", sms.ErrBusy
		}
		b.run(courier.Line{Name: "g", Gateway: n})
		pass(time.Second)
		b.want("after two tries", b.states(), "queued")
		if err := b.Report(t.Context(), sms.Report{Gateway: "g", ID: n.sent()[0].ID, State: sms.Delivered}); err != nil {
			t.Error(err)
		}
		pass(quiet)
		b.want("handed over", n.texts(), "c c")
		b.want("state", b.states(), "delivered")
	})
}

func TestSheWhoOptedOutIsTold(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		n := newNetwork()
		n.answer = func(context.Context, int, sms.Outgoing) (string, error) {
			return "", fmt.Errorf("21610: %w: %w", sms.ErrRefused, sms.ErrOptedOut)
		}
		b.run(courier.Line{Name: "g", Gateway: n})
		for range 3 {
			b.enqueue(sms.Code, 10*time.Minute, "", "c")
			pass(time.Second)
		}
		b.want("states", b.states(), "failed failed failed")
		if len(b.alerts) != 1 {
			t.Errorf("%d alerts, want one a day", len(b.alerts))
		}
	})
}
