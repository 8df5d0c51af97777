// Package copies takes copies of the books off the machine while a server is at
// work, and proves them: each copy is read back, and once a day one is restored
// beside the books, its journal replayed and its balances compared.
//
// A copy is a backup of the store: the books without the members' keys, and in
// one file beside all of them the keys, still wrapped by the server's secret. So
// whoever is erased is erased in old copies too. The secret is in none of them.
package copies

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"maillon/internal/duty"
	"maillon/internal/store"
)

// Bounds of copying.
const (
	MinEvery  = time.Minute
	MaxEvery  = 24 * time.Hour
	retryWait = time.Minute // after a failure, doubled each time
	maxRetry  = time.Hour
	proofAge  = 24 * time.Hour // then a copy is proven again
	copyTime  = 6 * time.Hour  // for one copy with its proof
)

// A Depot is where copies are kept.
type Depot interface {
	// Keep takes the backup that lies in a folder, with its keys.
	Keep(ctx context.Context, m store.Manifest) error
	// Fetch brings a backup of a moment or before, the newest, with its keys into
	// a folder, and returns where it lies.
	Fetch(ctx context.Context, at time.Time, dir string) (string, error)
	// Prune removes copies of before a moment.
	Prune(ctx context.Context, before time.Time) error
}

// ErrNone means that a depot has no copy of then.
var ErrNone = errors.New("there is no copy of then")

// A Plan says where copies go, and how often.
type Plan struct {
	Name  string
	Depot Depot
	Every time.Duration
	Keep  time.Duration // how old they get
}

// Names under which the books keep how copies do.
const (
	ProvenAt = "copy_proven_at" // the last that was restored and compared; followed by ":" and the name of a plan, the last of its depot
	FailedAt = "copy_failed_at" // followed by ":" and the name of a plan; "" once it went well
)

// A Keeper makes copies by its plans.
type Keeper struct {
	DB     *store.DB
	Secret store.Secret // of the books, to prove copies
	Plans  []Plan
	Spool  string        // a folder for copies on their way, on a disk with room for two
	First  time.Duration // from the start to the first copy
	Log    *slog.Logger  // nil: the default
}

// Run makes copies until ctx ends, as the one server that has the duty.
func (k *Keeper) Run(ctx context.Context, d *duty.Duty) {
	if k.Log == nil {
		k.Log = slog.Default()
	}
	d.While(ctx, func(ctx context.Context) {
		done := make(chan struct{})
		for _, p := range k.Plans {
			go func() {
				k.keep(ctx, p)
				done <- struct{}{}
			}()
		}
		for range k.Plans {
			<-done
		}
	})
}

// keep makes the copies of one plan.
func (k *Keeper) keep(ctx context.Context, p Plan) {
	wait, retry, last := k.First, retryWait, int64(-1)
	for {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		seq, err := k.once(ctx, p, last)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			k.Log.ErrorContext(ctx, "copy failed", "target", p.Name, "error", err)
			k.note(ctx, FailedAt+":"+p.Name, time.Now())
			wait, retry = retry, min(2*retry, maxRetry)
			continue
		}
		wait, retry, last = p.Every, retryWait, seq
	}
}

// once makes a copy if something has happened since row last of the journal, and
// returns the last row that the newest copy holds.
func (k *Keeper) once(ctx context.Context, p Plan, last int64) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, copyTime)
	defer cancel()
	if seq, err := k.head(ctx); err != nil || seq == last {
		return last, err
	}
	spool, err := os.MkdirTemp(k.Spool, "copy-")
	if err != nil {
		return last, fmt.Errorf("no room to make a copy: %w", err)
	}
	defer func() { _ = os.RemoveAll(spool) }() // it has been kept, or failed
	m, err := k.DB.Backup(ctx, spool)
	if err == nil {
		err = m.ReadBack(ctx)
	}
	if err == nil {
		err = p.Depot.Keep(ctx, m)
	}
	if err == nil {
		err = p.Depot.Prune(ctx, m.Time.Add(-p.Keep))
	}
	if err != nil {
		return last, err
	}
	proven, err := k.prove(ctx, p, spool)
	if err != nil {
		return last, err
	}
	noted := proven + k.note(ctx, store.BackedUpAt, m.Time) + k.note(ctx, FailedAt+":"+p.Name, time.Time{})
	k.Log.InfoContext(ctx, "copy kept", "target", p.Name, "journal_row", m.Seq)
	seq, err := k.head(ctx)
	if err == nil && seq == m.Seq+noted {
		return seq, nil // nothing but these notes has happened since
	}
	return m.Seq, err
}

// head returns the number of the last row of the journal.
func (k *Keeper) head(ctx context.Context) (seq int64, err error) {
	err = k.DB.View(ctx, func(tx *store.Tx) error {
		h, err := tx.Head(ctx)
		seq = h.Seq
		return err
	})
	return seq, err
}

// prove restores what the depot holds, once a day: not the copy that was sent,
// but what comes back. It returns how many notes it wrote.
func (k *Keeper) prove(ctx context.Context, p Plan, spool string) (noted int64, err error) {
	var at time.Time
	err = k.DB.View(ctx, func(tx *store.Tx) (err error) {
		at, err = tx.Moment(ctx, ProvenAt+":"+p.Name)
		return err
	})
	if err != nil || time.Since(at) < proofAge {
		return 0, err
	}
	back := filepath.Join(spool, "back")
	if err := os.Mkdir(back, 0o700); err != nil {
		return 0, err
	}
	from, err := p.Depot.Fetch(ctx, time.Now(), back)
	if err != nil {
		return 0, fmt.Errorf("bring the copy back: %w", err)
	}
	report, err := store.Restore(ctx, store.Restoration{From: from, To: filepath.Join(spool, "proof.db"), Secret: k.Secret})
	if err != nil {
		return 0, fmt.Errorf("prove the copy: %w", err)
	}
	if n := len(report.Differences); n > 0 {
		return 0, fmt.Errorf("prove the copy: %d accounts differ from the journal", n)
	}
	now := time.Now()
	return k.note(ctx, ProvenAt, now) + k.note(ctx, ProvenAt+":"+p.Name, now), nil
}

// note keeps a time in the books, and returns how many rows of the journal that
// took. If it fails, the copy is no worse.
func (k *Keeper) note(ctx context.Context, name string, at time.Time) (rows int64) {
	err := k.DB.Update(ctx, func(tx *store.Tx) error {
		was, err := tx.Moment(ctx, name)
		if err != nil || was.Equal(at) || at.IsZero() && was.IsZero() {
			return err
		}
		rows = 1
		return tx.SetMoment(ctx, name, at)
	})
	if err != nil && ctx.Err() == nil {
		k.Log.WarnContext(ctx, "the books do not know of a copy", "error", err)
	}
	return rows
}
