package store

import (
	"slices"
	"sync"
	"time"
)

// Stats are what a DB has done since it was opened, and what waits now.
type Stats struct {
	Waiting int // Updates in the queue
	Room    int // in the queue: beyond, ErrBusy

	Commits uint64 // batches on disk
	Failed  uint64 // batches that could not be committed
	Busy    uint64 // Updates that were refused with ErrBusy
	Slow    uint64 // statements that took longer than SetSlow says

	Batches     Tally // Updates, by how many shared a commit
	CommitTimes Tally // microseconds from the first Update of a batch until it was on disk
}

// A Tally counts values by what they are at most.
type Tally struct {
	UpTo  []int64  // ascending
	N     []uint64 // as many, each with those before it
	Count uint64   // in all, greater ones too
	Sum   int64
}

// What values are at most: those that tell a batch of one from a full one, and
// a disk in good health from a bad one.
var (
	batchSizes  = []int64{1, 2, 4, 8, 16, 32, 64, 128, 256, maxBatch}
	commitTimes = []int64{500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000}
)

func newTally(upTo []int64) Tally { return Tally{UpTo: upTo, N: make([]uint64, len(upTo))} }

func (t *Tally) add(v int64) {
	t.Count++
	t.Sum += v
	for n := len(t.UpTo) - 1; n >= 0 && v <= t.UpTo[n]; n-- {
		t.N[n]++
	}
}

func (t *Tally) clone() Tally {
	c := *t
	c.N = slices.Clone(t.N)
	return c
}

// A counter holds the Stats of one DB. It is touched once for each commit, not
// for each Update.
type counter struct {
	mu  sync.Mutex // held to read or change what follows
	now Stats
}

func newCounter() *counter {
	return &counter{now: Stats{Batches: newTally(batchSizes), CommitTimes: newTally(commitTimes)}}
}

// observeCommit counts one batch of n Updates that took d, and its end.
func (c *counter) observeCommit(n int, d time.Duration, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.now.Failed++
		return
	}
	c.now.Commits++
	c.now.Batches.add(int64(n))
	c.now.CommitTimes.add(d.Microseconds())
}

func (c *counter) observeBusy() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now.Busy++
}

func (c *counter) observeSlow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now.Slow++
}

// Stats returns what db has done, at one moment. It asks no database.
func (db *DB) Stats() Stats {
	db.counter.mu.Lock()
	defer db.counter.mu.Unlock()
	s := db.counter.now
	s.Batches, s.CommitTimes = s.Batches.clone(), s.CommitTimes.clone()
	s.Waiting, s.Room = len(db.queue), cap(db.queue)
	return s
}
