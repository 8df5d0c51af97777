package virtual_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"maillon/internal/sms"
	"maillon/internal/sms/smstest"
	"maillon/internal/sms/virtual"
)

func TestSuite(t *testing.T) {
	smstest.Suite(t, func(t *testing.T) smstest.Bench {
		g := virtual.New("v")
		member := number(t, smstest.Member)
		return smstest.Bench{
			Gateway: &breaking{Gateway: g},
			Deliver: func(m smstest.Message) bool {
				return g.Text(t.Context(), number(t, m.From), m.Text, m.SentAt) == nil
			},
			Sent: func() (sent []smstest.Message) {
				for _, b := range g.Thread(member) {
					if !b.Mine {
						sent = append(sent, smstest.Message{To: member.E164(), Text: b.Text})
					}
				}
				return sent
			},
			Meet: func(f smstest.Fault) {
				g.Break(map[smstest.Fault]error{
					smstest.Busy: sms.ErrBusy, smstest.Refused: sms.ErrRefused, smstest.Silent: errors.New("no answer"),
				}[f])
			},
			Report: func(_, _ string) {}, // comes by itself
		}
	})
}

// breaking mends its network after each Send.
type breaking struct{ *virtual.Gateway }

func (b *breaking) Send(ctx context.Context, m sms.Outgoing) (string, error) {
	defer b.Break(nil)
	return b.Gateway.Send(ctx, m)
}

// start runs g with in and returns once it is up; the test's end stops it.
func start(t *testing.T, g *virtual.Gateway, in sms.Inbox) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		if err := g.Run(ctx, in); err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	t.Cleanup(func() { cancel(); done.Wait() })
	synctest.Wait()
}

func TestAPhoneShowsItsThread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, in := virtual.New("v"), new(smstest.Inbox)
		start(t, g, in)
		lena := number(t, "+33639980034")
		sentAt := time.Now()
		for range 2 {
			if err := g.Text(t.Context(), lena, "solde", sentAt); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(20 * time.Second)
		if _, err := g.Send(t.Context(), sms.Outgoing{ID: "o1", To: lena, Text: "Solde: 28 m"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		want := []virtual.Bubble{
			{Mine: true, Text: "solde", At: sentAt},
			{Text: "Solde: 28 m", At: sentAt.Add(20 * time.Second)},
		}
		if got := g.Thread(lena); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("Thread = %v, want %v", got, want)
		}
		if len(in.Messages()) != 1 || in.Repeated() != 1 || len(in.Reports()) != 1 {
			t.Errorf("in: %v, repeated %d, reports %v", in.Messages(), in.Repeated(), in.Reports())
		}
	})
}

func TestATextThatTheServerDoesNotTakeIsShownAsFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, in := virtual.New("v"), new(smstest.Inbox)
		start(t, g, in)
		lena, sentAt := number(t, "+33639980034"), time.Now()
		in.Refuse(1)
		if err := g.Text(t.Context(), lena, "solde", sentAt); !errors.Is(err, sms.ErrLater) {
			t.Errorf("Text = %v, want ErrLater", err)
		}
		if got := g.Thread(lena); len(got) != 1 || !got[0].Failed {
			t.Errorf("Thread = %v, want one failed", got)
		}
		if err := g.Text(t.Context(), lena, "solde", sentAt); err != nil {
			t.Error(err)
		}
		if got := g.Thread(lena); len(got) != 1 || got[0].Failed {
			t.Errorf("Thread = %v, want one sent", got)
		}
		if err := g.Text(t.Context(), lena, strings.Repeat("a", 1000), sentAt); !errors.Is(err, virtual.ErrTooLong) {
			t.Errorf("seven segments: %v, want ErrTooLong", err)
		}
	})
}

func TestASubscriberSeesAllOrIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := virtual.New("v")
		start(t, g, new(smstest.Inbox))
		ctx, cancel := context.WithCancel(t.Context())
		quick, slow := g.Subscribe(ctx), g.Subscribe(t.Context())
		lena := number(t, "+33639980034")
		const n = 1000
		for i := range n {
			if _, err := g.Send(t.Context(), sms.Outgoing{To: lena, Text: fmt.Sprint(i)}); err != nil {
				t.Fatal(err)
			}
			if e := <-quick; e.Phone != lena || e.Bubble.Text != fmt.Sprint(i) {
				t.Fatalf("event %d = %+v", i, e)
			}
		}
		seen := 0
		for range slow {
			seen++
		}
		if seen == 0 || seen == n {
			t.Errorf("the slow subscriber saw %d of %d and was not dropped", seen, n)
		}
		cancel()
		synctest.Wait()
		if _, open := <-quick; open {
			t.Error("the channel is open after its context")
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := virtual.New("v")
		start(t, g, new(smstest.Inbox))
		first := number(t, "+33600000000")
		send := func(to sms.Number, text string) {
			if _, err := g.Send(t.Context(), sms.Outgoing{To: to, Text: text}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 2 * virtual.MaxMessagesPerPhone {
			send(first, fmt.Sprint(i))
		}
		if got := g.Thread(first); len(got) != virtual.MaxMessagesPerPhone || got[0].Text != fmt.Sprint(virtual.MaxMessagesPerPhone) {
			t.Errorf("%d messages are kept, from %v", len(got), got[0])
		}
		for i := range virtual.MaxPhones {
			send(number(t, fmt.Sprintf("+3370%07d", i)), "bonjour")
		}
		if got := g.Thread(first); got != nil {
			t.Errorf("the phone used first is still there, with %d messages", len(got))
		}
	})
}

func number(t *testing.T, e164 string) sms.Number {
	t.Helper()
	n, err := sms.FromE164(e164)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
