package sms_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"maillon/internal/sms"
)

// slow is an inbox that needs a second to commit.
type slow struct{ committed atomic.Int64 }

func (s *slow) Receive(context.Context, sms.Incoming) error {
	time.Sleep(time.Second)
	s.committed.Add(1)
	return nil
}

func (s *slow) Report(context.Context, sms.Report) error { return nil }

func TestADoorLetsOutThoseInsideAndNobodyIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var door sms.Door
		in := new(slow)
		if err := door.Receive(t.Context(), sms.Incoming{}); !errors.Is(err, sms.ErrLater) || door.IsOpen() {
			t.Errorf("Receive at a door that was never opened = %v, want ErrLater", err)
		}
		door.Open(in)
		for range 3 {
			go func() {
				if err := door.Receive(t.Context(), sms.Incoming{}); err != nil {
					t.Errorf("Receive = %v", err)
				}
			}()
		}
		synctest.Wait()
		door.Shut()
		if n := in.committed.Load(); n != 3 {
			t.Errorf("%d had left when the door was shut, want 3", n)
		}
		if err := door.Receive(t.Context(), sms.Incoming{}); !errors.Is(err, sms.ErrLater) {
			t.Errorf("Receive at a shut door = %v, want ErrLater", err)
		}
		if err := door.Report(t.Context(), sms.Report{}); !errors.Is(err, sms.ErrLater) {
			t.Errorf("Report at a shut door = %v, want ErrLater", err)
		}
	})
}

// A door that two hold open is shut by the second.
func TestADoorIsOpenForAsLongAsAnybodyHoldsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var door sms.Door
		ctx, stop := context.WithCancel(t.Context())
		door.Open(new(slow))
		go door.Attend(ctx, new(slow))
		synctest.Wait()
		door.Shut()
		if err := door.Receive(t.Context(), sms.Incoming{}); err != nil {
			t.Errorf("Receive while somebody attends = %v", err)
		}
		stop()
		synctest.Wait()
		if err := door.Receive(t.Context(), sms.Incoming{}); !errors.Is(err, sms.ErrLater) {
			t.Errorf("Receive when nobody attends = %v, want ErrLater", err)
		}
	})
}

func TestOneMissIsNoReasonToWakeAnybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pulse sms.Pulse
		start := time.Now()
		want := func(up bool, since time.Duration, detail string) {
			t.Helper()
			if got := (sms.Health{Up: up, Since: start.Add(since), Detail: detail}); pulse.Health() != got {
				t.Errorf("health %+v, want %+v", pulse.Health(), got)
			}
			time.Sleep(time.Minute)
		}
		pulse.Miss("no answer")
		want(false, 0, "no answer")
		pulse.Beat()
		want(true, 1*time.Minute, "")
		pulse.Miss("no answer")
		want(true, 1*time.Minute, "no answer")
		pulse.Beat()
		want(true, 1*time.Minute, "")
		pulse.Miss("no answer")
		pulse.Miss("no answer")
		want(false, 4*time.Minute, "no answer")
		pulse.Stop()
		want(false, 4*time.Minute, "not running")
	})
}

// billed is an inbox that takes bills too.
type billed struct {
	slow
	bills []sms.Bill
}

func (b *billed) Bill(_ context.Context, bill sms.Bill) error {
	b.bills = append(b.bills, bill)
	return nil
}

func TestADoorPassesBillsToWhoeverTakesThem(t *testing.T) {
	var door sms.Door
	bill := sms.Bill{Gateway: "g", Key: "7", State: sms.ChargeConfirmed}
	if err := door.Bill(t.Context(), bill); !errors.Is(err, sms.ErrLater) {
		t.Errorf("Bill at a shut door = %v, want ErrLater", err)
	}
	door.Open(new(slow))
	if err := door.Bill(t.Context(), bill); !errors.Is(err, sms.ErrLater) {
		t.Errorf("Bill to an inbox that takes none = %v, want ErrLater", err)
	}
	door.Shut()
	in := new(billed)
	door.Open(in)
	defer door.Shut()
	if err := door.Bill(t.Context(), bill); err != nil || len(in.bills) != 1 || in.bills[0] != bill {
		t.Errorf("Bill = %v, and %v came", err, in.bills)
	}
}
