package courier

import (
	"slices"
	"sync"
	"time"
)

// A Rate is how many segments may leave in any span of time; the zero Rate has
// no bound.
type Rate struct {
	Segments int
	Per      time.Duration
}

// maxTokens bounds the memory of a bucket. A greater rate is kept in
// proportion, over a shorter span.
const maxTokens = 1000

// A bucket holds as many tokens as segments may leave in a span. Each token
// that is spent comes home one span later; so no span, wherever it begins, sees
// more segments than the rate allows, as telephones and contracts count them.
type bucket struct {
	per time.Duration

	mu   sync.Mutex
	home []time.Time // when each token is at home, sorted; nil: no bound
}

func newBucket(r Rate) *bucket {
	if r.Segments <= 0 || r.Per <= 0 {
		return &bucket{}
	}
	if r.Segments > maxTokens {
		r.Per = r.Per * maxTokens / time.Duration(r.Segments)
		r.Segments = maxTokens
	}
	return &bucket{per: r.Per, home: make([]time.Time, r.Segments)}
}

// ready returns when a message of n segments may leave. One that is longer than
// the whole bucket waits for the whole bucket.
func (b *bucket) ready(n int) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.home == nil {
		return time.Time{}
	}
	return b.home[min(n, len(b.home))-1]
}

// spend takes n tokens and returns when they will be at home again, for refund.
// What is longer than the bucket keeps its tokens away for longer.
func (b *bucket) spend(now time.Time, n int) []time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.home == nil {
		return nil
	}
	size := len(b.home)
	spent := make([]time.Time, min(n, size))
	for i := range spent {
		rounds := (n - i + size - 1) / size
		spent[i] = now.Add(time.Duration(rounds) * b.per)
	}
	copy(b.home, spent)
	slices.SortFunc(b.home, time.Time.Compare)
	return spent
}

// forget brings all tokens home.
func (b *bucket) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.home)
}

// refund brings tokens home whose message did not leave.
func (b *bucket) refund(spent []time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range spent {
		if i := slices.Index(b.home, t); i >= 0 {
			b.home[i] = time.Time{}
		}
	}
	slices.SortFunc(b.home, time.Time.Compare)
}
