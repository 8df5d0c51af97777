package kill_test

import (
	"context"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"maillon/internal/store"
	"maillon/internal/store/pgtest"
)

// What is done to two servers beside one database, in percent; what is left is
// to kill one of them.
const (
	killsBoth     = 8
	crashesDB     = 8  // kills the database, as if its machine lost its power
	stallsDB      = 6  // stops the database for a moment
	pausesServer  = 25 // stops one of the servers for a moment
	leastAway     = 5 * time.Millisecond
	mostAway      = 700 * time.Millisecond // of the database
	calmAfter     = 10 * time.Second       // without a message that left, the next one is waited for
	patienceCalm  = 3 * time.Minute
	patienceAsked = 30 * time.Second // for the database to tell what is in it
)

// The same beside PostgreSQL, with two servers: one of them is killed, or stands
// still so long that the other takes over what it was doing, or both are killed,
// or the database. Who is not answered in time tries the other one.
func TestNothingIsLostBesidePostgreSQL(t *testing.T) {
	n := besiege(t, kills(t), sound)
	n.tell(t)
}

func TestABrokenServerIsNoticedBesidePostgreSQL(t *testing.T) {
	if os.Getenv("MAILLON_REAL") == "" {
		t.Skip("only with MAILLON_REAL=1, as make test does")
	}
	for broken, noticed := range map[string]func(figures) int{
		early:     func(c figures) int { return c.lost },
		forgetful: func(c figures) int { return c.doubled },
	} {
		t.Run(broken, func(t *testing.T) {
			if n := besiege(t, killsAtMost, broken); noticed(n.count) == 0 {
				t.Errorf("a server that %s was not noticed: %+v, %q", broken, n.count, n.faults)
			}
		})
	}
}

// A siege is two servers, their database, and what is done to them.
type siege struct {
	*network
	t      *testing.T
	pg     *pgtest.Server
	where  string
	broken string
	looks  *store.DB // to look at what is there, as anybody may
	shaken time.Time // when the database was last there again
}

// besiege runs two servers on one database, does something to them or to it
// again and again, lets them end their work once, and proves the books.
func besiege(t *testing.T, rounds int, broken string) *network {
	s := &siege{network: newNetwork(), t: t, pg: pgtest.Start(t), broken: broken}
	s.several, s.lapses = true, os.Getenv(killsVariable) != ""
	s.where = s.pg.New(t)
	s.populate(t, s.where)
	var err error
	if s.looks, err = store.Open(context.Background(), s.where, secret); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.looks.Close() }()
	for range 2 {
		s.start(t, s.where, broken)
	}
	for s.count.rounds < rounds {
		s.settleIn()
		s.strike()
		s.inspect()
		if s.count.rounds%verifyEvery == 0 {
			t.Logf("%d rounds, %d SMS acknowledged, %d payments, %d sent", s.count.rounds, s.count.acked, len(s.payments), s.count.sent)
			s.verify(t, s.where)
		}
		if len(s.faults) > 0 { // enough is known
			break
		}
	}
	s.settleIn()
	s.end(t, s.all()...)
	s.proveAll(t, s.where)
	return s.network
}

// settleIn waits until both servers take what comes, and work for a moment.
func (s *siege) settleIn() {
	for _, l := range s.all() {
		s.ready(l)
	}
	s.work(s.t, s.all()[0])
	s.mu.Lock()
	calm := time.Since(s.carried) < calmAfter
	s.mu.Unlock()
	if calm {
		return
	}
	before := time.Now()
	s.await(s.t, s.all()[0], patienceCalm, func() bool {
		s.wait(beat)
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.carried.After(before)
	})
}

// all returns the servers that live.
func (s *siege) all() []*life {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*life(nil), s.lives...)
}

// ready waits until a server takes what comes. One that found no database has
// ended, and is started anew, as whatever looks after it would do.
func (s *siege) ready(l *life) {
	for end := time.Now().Add(patienceStart); !s.takes(l); s.wait(beat) {
		if time.Now().After(end) {
			_ = l.command.Process.Kill()
			_ = l.command.Wait()
			s.t.Fatalf("the server stands still\n%s", l.stderr)
		}
		select {
		case <-l.heard:
		default:
			continue
		}
		if l.born.After(s.shaken) {
			s.t.Fatalf("the server died by itself\n%s", l.stderr)
		}
		s.count.undone++
		_ = s.buried(l)
		l = s.start(s.t, s.where, s.broken)
	}
}

// strike does one thing to the servers or to the database, and heals it.
func (s *siege) strike() {
	s.count.rounds++
	all := s.all()
	one := all[rand.IntN(len(all))]
	switch chance := rand.IntN(100); {
	case chance < killsBoth:
		s.count.both++
		s.kill(s.t, all...)
		s.start(s.t, s.where, s.broken)
		s.start(s.t, s.where, s.broken)
	case chance < killsBoth+crashesDB:
		s.count.crashes++
		s.away(func() { s.pg.Crash(s.t) }, func() { s.pg.Start(s.t) })
	case chance < killsBoth+crashesDB+stallsDB:
		s.count.stalls++
		s.away(func() { s.pg.Pause(s.t) }, func() { s.pg.Resume(s.t) })
	case chance < killsBoth+crashesDB+stallsDB+pausesServer:
		s.pause(s.t, one)
	default:
		s.kill(s.t, one)
		if again := s.start(s.t, s.where, s.broken); rand.IntN(100) < killsEarly {
			s.count.early++
			s.wait(rand.N(mostEarly))
			s.kill(s.t, again)
			s.start(s.t, s.where, s.broken)
		}
	}
}

// away takes the database away for a moment. What was being handed over when it
// went may stay unknown: by all servers.
func (s *siege) away(goes, comes func()) {
	began := time.Now().Add(-time.Minute)
	goes()
	s.wait(leastAway + rand.N(mostAway-leastAway))
	comes()
	s.shaken = time.Now()
	s.deaths = append(s.deaths, &death{born: began, at: s.shaken, most: 2 * s.flying()})
}

// inspect reads what came into the books since it was last read, and compares it
// with what the network knew before.
func (s *siege) inspect() {
	ctx := context.Background()
	s.mu.Lock()
	asOf, after := s.count.acked, event{Txn: s.books.txn, Out: s.books.out}
	s.mu.Unlock()
	var told []event
	for end := time.Now().Add(patienceAsked); ; s.wait(beat) {
		told = told[:0]
		err := s.looks.View(ctx, func(tx *store.Tx) error {
			return audit(ctx, tx, after, func(e event) { told = append(told, e) })
		})
		if err == nil {
			break
		}
		if !store.IsOutage(err) || time.Now().After(end) {
			s.t.Fatalf("the books cannot be read: %v", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range told {
		s.learn(e)
	}
	s.asOf = asOf
	s.prove()
}
