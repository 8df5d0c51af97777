package store_test

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"maillon/internal/store"
)

// Whoever looks after a server sees how many shared each commit, and who was
// sent away.
func TestStatsTellHowCommitsWereShared(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		db := p.open(t)
		before := db.Stats()
		for _, err := range batch(t, db, func(*store.Tx) error { return nil }, func(*store.Tx) error { return nil }) {
			if err != nil {
				t.Fatal(err)
			}
		}
		s := db.Stats()
		if s.Commits <= before.Commits || s.Batches.Count != s.Commits || s.CommitTimes.Count != s.Commits || s.Failed != 0 || s.Busy != 0 {
			t.Errorf("after some commits the stats are %+v", s)
		}
		if n := s.Batches.Sum - before.Batches.Sum; n < 2 {
			t.Errorf("%d Updates were counted of two and the one before them", n)
		}
		if !slices.IsSorted(s.Batches.N) || s.Batches.N[len(s.Batches.N)-1] != s.Commits || s.Batches.N[0] == s.Commits {
			t.Errorf("sizes up to %v were counted %v times", s.Batches.UpTo, s.Batches.N)
		}
		if s.Waiting != 0 || s.Room == 0 {
			t.Errorf("%d of %d wait when nobody does", s.Waiting, s.Room)
		}
	})
}

// A slow statement is told by its text, without what it was given, and not so
// often that it fills a disk.
func TestSlowStatementsAreToldWithoutTheirArguments(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		db := p.open(t)
		var told bytes.Buffer
		old := slog.Default()
		slog.SetDefault(slog.New(slog.NewTextHandler(&told, nil)))
		defer slog.SetDefault(old)

		const personal = "what-nobody-else-reads"
		write := func() { update(t, db, func(tx *store.Tx) error { return tx.SetState(t.Context(), "note", personal) }) }
		write()
		if told.Len() > 0 {
			t.Errorf("what takes no time is told: %s", &told)
		}
		db.SetSlow(time.Nanosecond)
		for range 20 {
			write()
		}
		lines := strings.Count(told.String(), "\n")
		if lines == 0 || lines > 10 || !strings.Contains(told.String(), "statement slow") {
			t.Errorf("%d lines are told:\n%s", lines, &told)
		}
		if strings.Contains(told.String(), personal) {
			t.Errorf("an argument is told:\n%s", &told)
		}
		if slow := db.Stats().Slow; slow < uint64(lines) {
			t.Errorf("%d are counted, of %d told", slow, lines)
		}
		db.SetSlow(0)
		before := db.Stats().Slow
		write()
		if db.Stats().Slow != before {
			t.Error("statements are slow though nothing shall be")
		}
	})
}

// Money that appeared is seen without a whole proof.
func TestSumsAndTransactionsAreWeighed(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		db := p.open(t)
		settle(t, db)
		weigh := func() (sums map[string]int64, unbalanced, height int64) {
			view(t, db, func(tx *store.Tx) (err error) {
				if sums, err = tx.Sums(t.Context()); err != nil {
					return err
				}
				if unbalanced, err = tx.Unbalanced(t.Context()); err != nil {
					return err
				}
				height, err = tx.Height(t.Context())
				return err
			})
			return sums, unbalanced, height
		}
		sums, unbalanced, height := weigh()
		if len(sums) != 2 || sums["MAILLON"] != 0 || sums["HEURE"] != 0 || unbalanced != 0 || height == 0 {
			t.Errorf("good books: sums %v, %d transactions unbalanced, %d rows", sums, unbalanced, height)
		}
		p.edit(t, `UPDATE account SET balance = balance + 7 WHERE member = 1 AND currency = 'MAILLON'`,
			`UPDATE posting SET amount = amount + 1 WHERE n = 1 AND txn = (SELECT max(txn) FROM posting)`)
		if sums, unbalanced, _ = weigh(); sums["MAILLON"] != 7 || sums["HEURE"] != 0 || unbalanced != 1 {
			t.Errorf("books with 7 too many, and 1 in a transaction: sums %v, %d unbalanced", sums, unbalanced)
		}
	})
}

func TestAMomentIsKept(t *testing.T) {
	db := open(t)
	at := time.UnixMicro(1_700_000_000_000_001)
	update(t, db, func(tx *store.Tx) error { return tx.SetMoment(t.Context(), store.VerifiedAt, at) })
	view(t, db, func(tx *store.Tx) error {
		if got, err := tx.Moment(t.Context(), store.VerifiedAt); err != nil || !got.Equal(at) {
			t.Errorf("kept %v, %v, want %v", got, err, at)
		}
		if got, err := tx.Moment(t.Context(), store.BackedUpAt); err != nil || !got.IsZero() {
			t.Errorf("never kept, and is %v, %v", got, err)
		}
		return nil
	})
}
