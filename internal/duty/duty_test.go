package duty_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"maillon/internal/duty"
	"maillon/internal/store"
)

// A clerk is one server with one duty.
type clerk struct {
	*duty.Duty
	roster *duty.Roster
	hang   context.CancelFunc // nothing is renewed any more
	stop   context.CancelFunc // it stops in order
	mu     sync.Mutex
	since  time.Time // when it last took the duty; zero: it is not at it
	times  int
	cause  error
}

// in runs test in a bubble with an empty store.
func in(t *testing.T, test func(t *testing.T, db *store.DB)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		db, err := store.Open(t.Context(), store.Memory, store.Secret{1})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		test(t, db)
	})
}

func hire(t *testing.T, db *store.DB) *clerk {
	t.Helper()
	c := &clerk{roster: duty.New(db, true)}
	c.Duty = c.roster.Duty("timers", func() string { return "at work" })
	hanging, hang := context.WithCancel(t.Context())
	stopping, stop := context.WithCancel(t.Context())
	c.hang, c.stop = hang, stop
	var all sync.WaitGroup
	all.Go(func() { c.roster.Run(hanging) })
	all.Go(func() { c.While(stopping, c.work) })
	t.Cleanup(func() { stop(); hang(); all.Wait() })
	return c
}

func (c *clerk) work(ctx context.Context) {
	c.mu.Lock()
	c.since, c.times = time.Now(), c.times+1
	c.mu.Unlock()
	<-ctx.Done()
	c.mu.Lock()
	c.since, c.cause = time.Time{}, context.Cause(ctx)
	c.mu.Unlock()
}

func (c *clerk) working() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.since.IsZero()
}

// passes lets time pass, and fails if both work at once.
func passes(t *testing.T, d time.Duration, a, b *clerk) {
	t.Helper()
	const step = 10 * time.Millisecond
	for range d / step {
		time.Sleep(step)
		synctest.Wait()
		if a.working() && b.working() {
			t.Fatal("both do what only one may do")
		}
	}
}

func check(t *testing.T, db *store.DB, c *clerk) error {
	t.Helper()
	return db.View(t.Context(), func(tx *store.Tx) error { return c.Check(t.Context(), tx) })
}

func TestADutyIsDoneByOneServer(t *testing.T) {
	in(t, func(t *testing.T, db *store.DB) {
		a := hire(t, db)
		time.Sleep(time.Second)
		b := hire(t, db)
		passes(t, time.Minute, a, b)
		if !a.working() || a.times != 1 || b.times != 0 {
			t.Fatalf("taken %d and %d times, want once by the first", a.times, b.times)
		}
		if note, ok := b.Note(); !ok || note != "at work" {
			t.Errorf("the other is told %q, %v", note, ok)
		}
		if err := check(t, db, a); err != nil {
			t.Errorf("Check by who has it = %v", err)
		}
		if err := check(t, db, b); !errors.Is(err, duty.ErrLost) {
			t.Errorf("Check by who has it not = %v, want ErrLost", err)
		}
	})
}

func TestADutyIsLeftAtOnceByWhoStops(t *testing.T) {
	in(t, func(t *testing.T, db *store.DB) {
		a := hire(t, db)
		time.Sleep(time.Second)
		b := hire(t, db)
		passes(t, 10*time.Second, a, b)
		a.stop()
		passes(t, 1100*time.Millisecond, a, b)
		if a.working() || !b.working() {
			t.Error("the other has not taken over")
		}
		if errors.Is(a.cause, duty.ErrLost) {
			t.Error("who stops believes that the duty was taken from it")
		}
	})
}

// Who cannot renew any more stops before anybody else begins; the other begins
// within the lease and a look.
func TestADutyIsTakenFromWhoHangs(t *testing.T) {
	in(t, func(t *testing.T, db *store.DB) {
		a := hire(t, db)
		time.Sleep(time.Second)
		b := hire(t, db)
		passes(t, 10*time.Second, a, b)
		a.hang()
		passes(t, duty.TTL+time.Second+100*time.Millisecond, a, b)
		if a.working() || !b.working() {
			t.Fatal("the other has not taken over")
		}
		if !errors.Is(a.cause, duty.ErrLost) {
			t.Errorf("who lost the duty was told %v", a.cause)
		}
		if err := check(t, db, a); !errors.Is(err, duty.ErrLost) {
			t.Errorf("Check by who lost it = %v, want ErrLost", err)
		}
	})
}

// A service is away only while no server is there.
func TestAServerSeesWhetherOthersAreThere(t *testing.T) {
	in(t, func(t *testing.T, db *store.DB) {
		first, second := duty.New(db, true), duty.New(db, true)
		for n, step := range []struct {
			do   func(context.Context, *store.Tx) (bool, error)
			want bool
		}{{first.Enter, false}, {second.Enter, true}, {first.Leave, true}, {second.Leave, false}} {
			err := db.Update(t.Context(), func(tx *store.Tx) error {
				others, err := step.do(t.Context(), tx)
				if others != step.want {
					t.Errorf("step %d: others are there = %v, want %v", n, others, step.want)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestWhoIsAloneDoesEverything(t *testing.T) {
	in(t, func(t *testing.T, db *store.DB) {
		r := duty.New(db, false)
		d := r.Duty("timers", nil)
		done := false
		d.While(t.Context(), func(context.Context) { done = true })
		if !done || !d.Held() || !r.Alone() {
			t.Error("who is alone did not do what is to be done")
		}
	})
}
