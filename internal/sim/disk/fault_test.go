package disk_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"testing"

	"maillon/internal/store"

	sqlite3 "modernc.org/sqlite/lib"
)

// A trouble is what a disk refuses: some requests of a kind, one after the
// other, with a code of SQLite.
type trouble struct {
	of    request
	code  int32
	first int // how many go well before
	n     int // how many fail
}

func (x trouble) String() string {
	return fmt.Sprintf("%s %d to %d", troubles[x.of], x.first, x.first+x.n-1)
}

var troubles = map[request]string{
	opening: "open", reading: "read", writing: "write", truncating: "truncate", syncing: "sync", deleting: "delete",
}

// fault returns what the disk answers.
func (x trouble) fault() func(request) int32 {
	seen := 0
	return func(r request) int32 {
		if r != x.of {
			return sqlite3.SQLITE_OK
		}
		if seen++; seen <= x.first || seen > x.first+x.n {
			return sqlite3.SQLITE_OK
		}
		return x.code
	}
}

// few is less than what a letter is tried again.
const few = patient / 4

// endure lives through a trouble of the disk: whoever meets it is told so, and
// can do the same again.
func endure(ctx context.Context, t *testing.T, d *Disk, fault func(request) int32) {
	w, err := openTown(ctx, d.folder)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.populate(ctx); err != nil {
		t.Fatal(err)
	}
	d.note(populated, 0)
	d.fail(fault)
	if err := w.talk(ctx, d, 0, 24); err != nil {
		t.Error(err)
	}
	_ = tidy(ctx, w.path, "PASSIVE") // its error is its own
	persist(t, "view", func() error {
		return w.DB.View(ctx, func(tx *store.Tx) error { _, err := tx.Backlog(ctx); return err })
	})
	persist(t, "erase", func() error { return w.leave(ctx, 1) })
	if err := w.talk(ctx, d, 24, 12); err != nil {
		t.Error(err)
	}
	_ = w.Close() // all that was acknowledged is on disk already
	for range patient {
		if w, err = openTown(ctx, d.folder); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := w.talk(ctx, d, 36, 12); err != nil {
		t.Error(err)
	}
	d.fail(nil)
	for n := 48; n < 52; n++ {
		d.note(asked, n)
		if err := w.Teller.Receive(ctx, letter(n)); err != nil {
			t.Errorf("the disk works again, and the server does not: %v", err)
			continue
		}
		d.note(acknowledged, n)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

// persist does something again and again, as long as the disk is at fault.
func persist(t *testing.T, what string, do func() error) {
	var err error
	for range patient {
		if err = do(); err == nil {
			return
		}
		if !store.IsOutage(err) {
			break
		}
	}
	t.Errorf("%s: %v", what, err)
}

// Whatever the disk refuses, and whenever: who is met by it is told that it is
// an outage, nothing that was acknowledged is lost, then or in a crash that
// follows, and the program goes on once the disk works again.
func TestNothingIsLostWhenTheDiskFails(t *testing.T) {
	var all [deleting + 1]atomic.Int64 // requests of an undisturbed run
	calm := newDisk(t, folder(t))
	endure(t.Context(), t, calm, func(r request) int32 { all[r].Add(1); return sqlite3.SQLITE_OK })
	r := rand.New(rand.NewPCG(2, 2))
	kinds := []trouble{
		{of: writing, code: sqlite3.SQLITE_IOERR_WRITE},
		{of: syncing, code: sqlite3.SQLITE_IOERR_FSYNC},
		{of: writing, code: sqlite3.SQLITE_FULL},
		{of: reading, code: sqlite3.SQLITE_IOERR_READ},
		{of: truncating, code: sqlite3.SQLITE_IOERR_TRUNCATE},
		{of: opening, code: sqlite3.SQLITE_CANTOPEN},
		{of: deleting, code: sqlite3.SQLITE_IOERR_DELETE},
	}
	faults, c := 0, tally{}
	for n := range crashes(t) / 4 {
		x := kinds[n%len(kinds)]
		x.first, x.n = r.IntN(int(all[x.of].Load())+1), 1+n/len(kinds)%few
		d := newDisk(t, folder(t))
		t.Run(fmt.Sprint(n, " ", x), func(t *testing.T) {
			endure(t.Context(), t, d, x.fault())
			crash(t, d.log, 0, 2, newClaim(), func(at, f string, claimed *claim) { c.prove(t, at, f, claimed, false) })
			if p := atEnd(d); !p.whole() {
				t.Errorf("at the end: %v", p)
			}
		})
		faults += d.faults
	}
	t.Logf("%d troubles, %d requests refused, crashes after them: %+v", crashes(t)/4, faults, c)
	if faults == 0 {
		t.Error("nothing failed: nothing is proven")
	}
}

// atEnd looks at what was left by an orderly end.
func atEnd(d *Disk) *proof {
	c := newClaim()
	for _, e := range d.log {
		c.apply(e)
	}
	return prove(context.Background(), d.folder, c, true)
}

// firstReads is more than a server reads until it has at hand what it needs.
const firstReads = 40

// A disk that cannot read fails in the middle of an Update that shares its
// commit with others: none of them is done in part.
func TestNothingIsDoneInPartWhenAReadFails(t *testing.T) {
	first := folder(t)
	w, err := openTown(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.populate(t.Context()), w.Close()); err != nil {
		t.Fatal(err)
	}
	files, base := load(t, first), t.TempDir()
	refused := 0
	step := max(1, 3*crashesByItself/crashes(t))
	for n := 0; n < firstReads; n += step {
		f := filepath.Join(base, fmt.Sprint(n))
		lay(t, f, files)
		d := newDisk(t, f)
		d.note(populated, 0)
		if w, err = openTown(t.Context(), f); err != nil { // nothing of it is at hand yet
			t.Fatal(err)
		}
		d.fail(trouble{of: reading, code: sqlite3.SQLITE_IOERR_READ, first: n, n: 1}.fault())
		if err := w.talk(t.Context(), d, 0, 2*writers); err != nil {
			t.Errorf("read %d: %v", n, err)
		}
		d.fail(nil)
		if err := w.Close(); err != nil {
			t.Errorf("read %d: %v", n, err)
		}
		if p := atEnd(d); !p.whole() {
			t.Errorf("read %d: %v", n, p)
		}
		refused += d.faults
	}
	t.Logf("%d reads refused", refused)
	if refused == 0 {
		t.Error("nothing failed: nothing is proven")
	}
}
