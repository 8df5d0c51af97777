package courier_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"maillon/internal/courier"
	"maillon/internal/sms"
	"maillon/internal/store"
)

func TestNoSpanSeesMoreSegmentsThanTheRate(t *testing.T) {
	const per = time.Minute
	for _, test := range []struct {
		segments int
		texts    []string
		want     string
	}{
		{2, []string{"a", "b", "c", "d", "e"}, "0 0 60 60 120"},
		{2, []string{strings.Repeat("a", 161), "b", "c"}, "0 60 60"},
		{1, []string{strings.Repeat("a", 161), "b"}, "0 120"},
		{0, []string{"a", "b", "c"}, "0 0 0"},
	} {
		in(t, func(t *testing.T, b *bench) {
			n := newNetwork()
			for _, text := range test.texts {
				b.enqueue(sms.Receipt, time.Hour, "", text)
			}
			stop := b.run(courier.Line{Name: "g", Gateway: n, Rate: courier.Rate{Segments: test.segments, Per: per}})
			pass(10 * time.Minute)
			b.want(fmt.Sprintf("%d segments a minute", test.segments), n.ages(b.start), test.want)
			stop()
		})
	}
}

func TestARestartDoesNotForgetTheRate(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		line := courier.Line{Name: "g", Gateway: newNetwork(), Rate: courier.Rate{Segments: 1, Per: time.Hour}}
		b.enqueue(sms.Receipt, 12*time.Hour, "", "a")
		stop := b.run(line)
		pass(20 * time.Minute)
		stop()
		n := newNetwork()
		line.Gateway = n
		b.enqueue(sms.Receipt, 12*time.Hour, "", "b")
		b.run(line)
		pass(2 * time.Hour)
		b.want("second", n.ages(b.start), "3600")
	})
}

func TestABusyGatewayCostsNoRate(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		n := newNetwork()
		n.answer = func(_ context.Context, i int, _ sms.Outgoing) (string, error) {
			return "", map[bool]error{true: sms.ErrBusy}[i <= 2]
		}
		b.enqueue(sms.Receipt, 12*time.Hour, "", "a")
		b.run(courier.Line{Name: "g", Gateway: n, Rate: courier.Rate{Segments: 1, Per: time.Hour}})
		pass(time.Minute)
		b.want("tries", n.ages(b.start), "0 2 6")
	})
}

func TestBeyondTheDailyCapOnlyCodesLeave(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		var logged strings.Builder
		before := slog.Default()
		slog.SetDefault(slog.New(slog.NewTextHandler(&logged, nil)))
		t.Cleanup(func() { slog.SetDefault(before) })
		n := newNetwork()
		stop := b.run(courier.Line{Name: "g", Gateway: n, Daily: 3, Window: 1})
		for i := range 5 {
			b.enqueue(sms.Code, time.Hour, "", fmt.Sprint("c", i))
			pass(0)
			b.enqueue(sms.Receipt, 72*time.Hour, "", fmt.Sprint("r", i))
			pass(time.Second)
		}
		b.want("today", n.texts(), "c0 r0 c1 c2 c3 c4")
		h, err := b.Health(t.Context())
		if err != nil || h[0].Segments != 6 || h[0].Level != courier.Warning {
			t.Errorf("Health = %+v, %v", h, err)
		}
		pass(24 * time.Hour)
		b.want("tomorrow", n.texts(), "c0 r0 c1 c2 c3 c4 r1 r2 r3")
		pass(24 * time.Hour)
		b.want("the day after", n.texts(), "c0 r0 c1 c2 c3 c4 r1 r2 r3 r4")
		stop()
		if len(b.alerts) != 2 || strings.Count(logged.String(), "daily cap") != 2 {
			t.Errorf("%d alerts in two days; logged %s", len(b.alerts), &logged)
		}
		if strings.Contains(logged.String(), "63998") || strings.Contains(logged.String(), "r1") {
			t.Errorf("logged a number or a text: %s", &logged)
		}
	})
}

// Rule SMS1: what is no code waits until there is plenty again.
func TestWhileMessagesAreScarceOnlyCodesLeave(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		n := newNetwork()
		b.run(courier.Line{Name: "g", Gateway: n})
		err := b.db.Update(t.Context(), func(tx *store.Tx) error {
			return tx.OnlyCodes(t.Context(), tx.Now().Add(time.Minute), tx.Now().Add(time.Hour))
		})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 2 {
			b.enqueue(sms.Receipt, 12*time.Hour, "", fmt.Sprint("r", i))
			pass(time.Second)
			b.enqueue(sms.Code, time.Hour, "", fmt.Sprint("c", i))
			pass(2 * time.Minute)
		}
		b.want("within the hour", n.texts(), "r0 c0 c1")
		pass(time.Hour)
		b.want("after it", n.texts(), "r0 c0 c1 r1")
	})
}

func TestMessagesLeaveByTheLineThatTheyName(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		one, two := newNetwork(), newNetwork()
		b.run(courier.Line{Name: "one", Gateway: one}, courier.Line{Name: "two", Gateway: two, Default: true, Window: 1})
		for _, line := range []string{"one", "two", "", "gone"} {
			b.enqueue(sms.Receipt, time.Hour, line, "for:"+line)
		}
		pass(time.Second)
		b.want("one", one.texts(), "for:one")
		b.want("two", two.texts(), "for:two for: for:gone")
	})
}

func TestABackupTakesWhatIsUrgent(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		a, spare := newNetwork(), newNetwork()
		a.answer = func(context.Context, int, sms.Outgoing) (string, error) {
			if !a.Health().Up {
				return "", sms.ErrBusy
			}
			return "", nil
		}
		b.run(courier.Line{Name: "a", Gateway: a, Backup: "spare"}, courier.Line{Name: "spare", Gateway: spare, Window: 1})
		a.turn(false)
		b.enqueue(sms.Receipt, time.Hour, "a", "receipt")
		b.enqueue(sms.Notice, time.Hour, "a", "notice")
		b.enqueue(sms.Code, 10*time.Minute, "a", "code")
		pass(119 * time.Second)
		b.want("before two minutes", spare.texts(), "")
		pass(2 * time.Second)
		b.want("after two minutes", spare.texts(), "code receipt")
		b.enqueue(sms.Code, 10*time.Minute, "a", "second")
		pass(time.Second)
		b.want("later", spare.texts(), "code receipt second")
		for _, o := range b.outbox() {
			if o.Text == "code" && o.Gateway != "spare" {
				t.Errorf("the code left by %q in the books", o.Gateway)
			}
		}
		a.turn(true)
		pass(10 * time.Minute)
		b.enqueue(sms.Code, 10*time.Minute, "a", "third")
		pass(time.Second)
		b.want("up again", spare.texts(), "code receipt second")
		b.want("all", b.states(), "accepted accepted accepted accepted accepted")
	})
}

func TestABackupDoesNotWaitForTheBackOff(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		a, spare := newNetwork(), newNetwork()
		a.answer = func(context.Context, int, sms.Outgoing) (string, error) { return "", sms.ErrBusy }
		a.turn(false)
		b.enqueue(sms.Code, 10*time.Minute, "a", "code")
		b.run(courier.Line{Name: "a", Gateway: a, Backup: "spare"}, courier.Line{Name: "spare", Gateway: spare})
		pass(10 * time.Minute)
		b.want("at the line", a.ages(b.start), "0 2 6 14 30 62")
		b.want("at its backup", spare.ages(b.start), "120")
	})
}

func TestASlowGatewayHoldsUpNobodyElse(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		slow, quick := newNetwork(), newNetwork()
		slow.answer = func(context.Context, int, sms.Outgoing) (string, error) {
			time.Sleep(time.Minute)
			return "", nil
		}
		b.run(courier.Line{Name: "slow", Gateway: slow, Window: 2}, courier.Line{Name: "quick", Gateway: quick})
		for i := range 20 {
			b.enqueue(sms.Code, time.Hour, "slow", fmt.Sprint(i))
			b.enqueue(sms.Notice, time.Hour, "quick", fmt.Sprint(i))
		}
		pass(0)
		if n := len(quick.sent()); n != 20 {
			t.Errorf("the quick line took %d of 20", n)
		}
		if n := len(slow.sent()); n != 2 {
			t.Errorf("the slow line has %d on their way, want its window of 2", n)
		}
		pass(15 * time.Minute)
	})
}

func TestHealthTellsTheWorstLine(t *testing.T) {
	in(t, func(t *testing.T, b *bench) {
		good, bad := newNetwork(), newNetwork()
		bad.answer = func(context.Context, int, sms.Outgoing) (string, error) { return "", sms.ErrBusy }
		b.run(courier.Line{Name: "good", Gateway: good}, courier.Line{Name: "bad", Gateway: bad})
		worst := func(name string, level courier.Level) {
			t.Helper()
			all, err := b.Health(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if h := courier.Worst(all); h.Name != name || h.Level != level {
				t.Errorf("after %v the worst line is %q at level %d, want %q at %d", time.Since(b.start), h.Name, h.Level, name, level)
			}
		}
		worst("good", courier.Good)
		b.enqueue(sms.Code, 10*time.Minute, "bad", "code")
		pass(61 * time.Second)
		worst("bad", courier.Warning)
		pass(9 * time.Minute) // the code expired in the queue
		worst("bad", courier.Down)
		pass(time.Hour)
		worst("good", courier.Good)
		good.turn(false)
		worst("good", courier.Down)
	})
}
