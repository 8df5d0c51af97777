package disk_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

func TestMain(m *testing.M) {
	install()
	os.Exit(m.Run())
}

const (
	crashesVariable = "MAILLON_CRASHES"
	crashesByItself = 28  // in go test ./...
	letters         = 120 // until the last crash; each is delivered again after every second
)

func crashes(t testing.TB) int {
	t.Helper()
	text := os.Getenv(crashesVariable)
	if text == "" {
		return crashesByItself
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q is no number of crashes", crashesVariable, text)
	}
	return n
}

func folder(t testing.TB) string {
	t.Helper()
	f := filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(f, 0o700); err != nil {
		t.Fatal(err)
	}
	return f
}

// Whatever a crash leaves of what was not synced, all that was acknowledged is
// there, once and whole, and nothing that was not asked for. And when the
// network delivers again what it has ever delivered, nothing is done twice. The
// same holds when the start after the crash is cut short by another.
//
// MAILLON_CRASHES asks for more crashes than go test ./... makes.
//
// It was seen to fail with synchronous(NORMAL) instead of FULL.
func TestWhatWasAcknowledgedSurvivesACrash(t *testing.T) {
	n := crashes(t)
	d := newDisk(t, folder(t))
	live(t.Context(), t, d, letters)
	var once, twice tally
	crash(t, d.log, 0, n, newClaim(), func(at, f string, c *claim) {
		if once.images%crashedAgain != 0 {
			once.prove(t, at, f, c, once.images%2 == 0)
			return
		}
		d := newDisk(t, f)
		first := len(d.log)
		once.prove(t, at, f, c, false)
		crash(t, d.log, first, 2, c, func(again, f string, c *claim) { twice.prove(t, at+", then "+again, f, c, false) })
	})
	t.Logf("%d requests to the disk; crashes: %+v; crashes while starting after a crash: %+v", len(d.log), once, twice)
}

// crashedAgain is of how many starts after a crash one is cut short.
const crashedAgain = 5

// A disk that says that it has synced when it has not can lose what was
// acknowledged; no program can help it. What it leaves is then an earlier state
// of the books, whole, or it is refused or named as broken: never taken for what
// it is not. Of what is no part of the books, messages that wait, whole pages may
// be missed by nobody.
//
// So it is seen too that the test above can fail.
func TestADiskThatLiesIsNotBelieved(t *testing.T) {
	d := newDisk(t, folder(t))
	d.lies = true
	live(t.Context(), t, d, letters)
	var c tally
	crash(t, d.log, 0, crashes(t), newClaim(), func(at, f string, claimed *claim) {
		p := prove(context.Background(), f, claimed, true)
		if p.accepted() && len(p.wrong) > 0 {
			t.Errorf("%s: taken for good: %v", at, p)
		}
		c.count(p)
	})
	t.Logf("%d crashes, %+v", c.images, c)
	if c.earlier == 0 {
		t.Error("nothing was lost: these crashes prove nothing")
	}
}

// A tally is what came of crashes.
type tally struct {
	images  int
	whole   int // all that was acknowledged is there
	earlier int // whole, but without some of what was acknowledged
	refused int // not opened
	named   int // opened, and Verify names what is broken
	wrong   int // taken for good, and is not
	untold  int // whole books, but messages about them are missing
}

// prove counts a crash that must have done no harm.
func (c *tally) prove(t testing.TB, at, folder string, claimed *claim, again bool) {
	t.Helper()
	p := prove(context.Background(), folder, claimed, again)
	c.count(p)
	if !p.whole() {
		t.Errorf("%s: %v", at, p)
	}
}

func (c *tally) count(p *proof) {
	c.images++
	switch {
	case p.refused != nil:
		c.refused++
	case len(p.faults) > 0:
		c.named++
	case len(p.wrong) > 0:
		c.wrong++
	case len(p.untold) > 0:
		c.untold++
	case len(p.lost) > 0:
		c.earlier++
	default:
		c.whole++
	}
}

// crash makes n images of moments of a log, but not of its first events, and
// looks at each. Before them all of a claim was so.
func crash(t testing.TB, log []event, first, n int, claimed *claim, look func(at string, folder string, c *claim)) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, uint64(n)))
	base := t.TempDir()
	s, taken := newState(), 0
	for at, e := range log {
		s.apply(e)
		claimed.apply(e)
		for at >= first && taken*(len(log)-first) < (at-first+1)*n {
			kind := taken % len(choices)
			f := filepath.Join(base, fmt.Sprint(taken))
			lay(t, f, s.image(r, kind))
			look(fmt.Sprintf("image %d, event %d of %d, %s", taken, at, len(log), choices[kind].name), f, claimed)
			if err := os.RemoveAll(f); err != nil {
				t.Fatal(err)
			}
			taken++
		}
	}
}
