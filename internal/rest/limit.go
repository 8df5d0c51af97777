package rest

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How much may be asked: so many at once, and then one for each span of time.
// A good key is never refused for what others do, wherever they are.
const (
	keyEvery  = 20 * time.Millisecond // by one key of a merchant
	keyBurst  = 100
	pageEvery = time.Second // with one public key, from one address
	pageBurst = 20
	missEvery = 2 * time.Second // with keys that are none, from one address
	missBurst = 30
	maxCounts = 10_000 // of keys or addresses that are remembered
)

// limits holds each of many to one rate. It is safe for concurrent use.
type limits struct {
	every time.Duration
	burst int

	mu    *sync.Mutex // held to read or change what follows
	known map[string]*rate.Limiter
}

func newLimits(every time.Duration, burst int) limits {
	return limits{every: every, burst: burst, mu: new(sync.Mutex), known: map[string]*rate.Limiter{}}
}

// take counts one request of somebody, or returns that it is one too many, and
// when there is room again.
func (l limits) take(who string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	limiter, ok := l.known[who]
	if !ok {
		if len(l.known) >= maxCounts {
			l.forget(now)
		}
		limiter = rate.NewLimiter(rate.Every(l.every), l.burst)
		l.known[who] = limiter
	}
	asked := limiter.ReserveN(now, 1)
	wait := asked.DelayFrom(now)
	if wait == 0 {
		return nil
	}
	asked.CancelAt(now)
	p := *problemRate
	p.after = int((wait + time.Second - 1) / time.Second)
	return &p
}

// forget drops who has asked nothing for so long that nothing counts any more;
// if that is nobody, everybody.
func (l limits) forget(now time.Time) {
	for who, limiter := range l.known {
		if int(limiter.TokensAt(now)) >= l.burst {
			delete(l.known, who)
		}
	}
	if len(l.known) >= maxCounts {
		clear(l.known)
	}
}
