package store_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/sim"
	"maillon/internal/store"
)

const benchAccounts = 10_000

// BenchmarkTransfers posts transfers of two postings with a key each, durable
// before the next of the same caller begins. Compare with BenchmarkRawLog, the
// limit of the same disk, in the same run.
func BenchmarkTransfers(b *testing.B) {
	for _, c := range []struct {
		callers int
		hot     bool // all pay one merchant
	}{{1, false}, {8, false}, {64, false}, {64, true}} {
		b.Run(fmt.Sprintf("callers=%d,hot=%v", c.callers, c.hot), func(b *testing.B) {
			db := openFile(b, filepath.Join(b.TempDir(), "books.db"))
			accounts := fund(b, db, benchAccounts)
			var n atomic.Int64
			perSecond(b, c.callers, func() error {
				i := n.Add(1)
				from, to := accounts[1+i%(benchAccounts-1)], accounts[0]
				if !c.hot {
					to = accounts[(1+i%(benchAccounts-1)+benchAccounts/2)%benchAccounts]
				}
				return db.Update(b.Context(), func(tx *store.Tx) error {
					return post(b.Context(), tx, fmt.Sprintf("bench:%d", i), from, to, 1)
				})
			})
		})
	}
}

// BenchmarkRawLog is the limit of any such store: append what waits to a file
// and sync it once for all who wait.
func BenchmarkRawLog(b *testing.B) {
	for _, callers := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			log, err := sim.NewRawLog(filepath.Join(b.TempDir(), "log"))
			if err != nil {
				b.Fatal(err)
			}
			record := make([]byte, 128)
			perSecond(b, callers, func() error { return log.Append(record) })
			if err := log.Close(); err != nil {
				b.Error(err)
			}
		})
	}
}

// perSecond runs do b.N times from callers at once and reports the rate.
func perSecond(b *testing.B, callers int, do func() error) {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(b.N))
	var all sync.WaitGroup
	b.ResetTimer()
	start := time.Now()
	for range callers {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				if err := do(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "transfers/s")
}

// fund opens accounts that emission gave plenty.
func fund(b *testing.B, db *store.DB, n int) []ledger.AccountID {
	b.Helper()
	const perUpdate = 500
	var all []ledger.AccountID
	for len(all) < n {
		err := db.Update(b.Context(), func(tx *store.Tx) error {
			emission, err := tx.SystemAccount(b.Context(), store.Emission, maillon)
			if err != nil {
				return err
			}
			for range perUpdate {
				a, err := tx.AccountOf(b.Context(), member.ID(len(all)+1), maillon)
				if err != nil {
					return err
				}
				all = append(all, a.ID)
				if err := post(b.Context(), tx, fmt.Sprintf("open:%d", a.ID), emission.ID, a.ID, 1_000_000_000); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return all
}

func post(ctx context.Context, tx *store.Tx, key string, from, to ledger.AccountID, amount int64) error {
	postings, err := ledger.Transfer(from, to, money.New(amount, maillon))
	if err != nil {
		return err
	}
	return ledger.Post(ctx, tx, &ledger.Transaction{Key: key, Kind: ledger.Payment, At: tx.Now(), Postings: postings})
}
