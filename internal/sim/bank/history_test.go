package bank_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"maillon/internal/ledger"
	"maillon/internal/store"
)

// Bounds of a history.
const (
	villages     = 2 // in one history
	clients      = 4 // of each village
	acts         = 11
	mostTries    = 3 // of one act
	checkTimeout = 20 * time.Second

	hurry   = 3 * time.Millisecond   // the most patience of a client in a hurry
	dawdle  = 200 * time.Microsecond // the most between two looks of one View
	healing = 20 * time.Second       // until a database that failed must be back
	readers = 16                     // no store has more connections
	breath  = 2 * time.Millisecond   // after a failure
)

// errMistake is a client's own, in the middle of its Update.
var errMistake = errors.New("a mistake of the client")

// panicked is how the store tells of a client that panicked.
const panicked = "internal error in update"

// A record is one call and its return.
type record struct {
	client    int
	act       act
	answer    answer
	call, ret int64
}

// A tally counts what histories were made of.
type tally struct {
	histories, calls, refused, open, resolved int
	nothing                                   map[string]int // why nothing was done
	slowest                                   time.Duration  // check
}

func (t *tally) String() string {
	return fmt.Sprintf("%d histories of %d answered calls, %d of them refusals; %d calls of unknown fate, %d of which had not happened; nothing done: %v; slowest check %v",
		t.histories, t.calls, t.refused, t.open, t.resolved, t.nothing, t.slowest)
}

// A client does one act after the other.
type client struct {
	n                       int
	r                       *rand.Rand
	keeper                  keeper
	village                 *village
	start                   time.Time
	hurried, clumsy, herded bool

	records []record
	nothing map[string]int
	faults  []error
}

func (c *client) run(ctx context.Context) {
	for n := range acts {
		var a act
		if c.herded {
			a = c.village.follow(c.r, n)
		} else {
			a = c.village.draw(c.r)
		}
		for range mostTries {
			if !c.try(ctx, a) {
				break
			}
			c.heal(ctx)
			if c.r.IntN(3) == 0 { // leave it so: nobody will ever know
				break
			}
		}
	}
}

// try does an act once, and reports whether it is of unknown fate.
func (c *client) try(ctx context.Context, a act) (unknown bool) {
	if c.hurried && c.r.IntN(4) == 0 {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, time.Duration(c.r.Int64N(int64(hurry))))
		defer cancel()
	}
	mistake := 0
	if c.clumsy {
		mistake = c.r.IntN(10)
	}
	called := time.Since(c.start)
	r, err := c.ask(ctx, a, mistake)
	returned := time.Since(c.start)
	outcome, why := judge(err)
	switch {
	case why == "":
		if err != nil {
			r.outcome = outcome
		}
		if a.kind == place && err == nil {
			c.village.learn(a, r.hold)
		}
		c.records = append(c.records, record{c.n, a, r.answer, int64(called), int64(returned)})
	case why == outage:
		if !a.kind.reads() {
			c.records = append(c.records, record{c.n, a, answer{outcome: open}, int64(called), math.MaxInt64})
		}
		return true
	case why == strange:
		c.faults = append(c.faults, fmt.Errorf("%v: %w", a, err))
	default:
		c.nothing[why]++
		time.Sleep(breath)
	}
	return false
}

// ask calls the keeper. A client that is clumsy does all, and then errs.
func (c *client) ask(ctx context.Context, a act, mistake int) (r result, err error) {
	if a.kind.reads() && c.r.IntN(4) > 0 {
		if c.r.IntN(2) == 0 {
			a.dawdle = time.Duration(c.r.Int64N(int64(dawdle)))
		}
		err = c.keeper.View(ctx, func(tx books) (err error) {
			r, err = c.village.do(ctx, tx, a)
			return err
		})
		return r, err
	}
	err = c.keeper.Update(ctx, func(tx books) (err error) {
		r, err = c.village.do(ctx, tx, a)
		switch {
		case err != nil:
		case mistake == 1:
			return errMistake
		case mistake == 2:
			panic(errMistake)
		}
		return err
	})
	return r, err
}

// Why an act has no answer.
const (
	outage  = "outage"
	strange = "strange"
)

// judge reads an error: an answer, nothing done, or nobody knows. Busy and
// closed are outages to whoever asks again, but they promise that nothing was
// done, and are held to it.
func judge(err error) (o outcome, why string) {
	switch {
	case err == nil:
		return done, ""
	case errors.Is(err, store.ErrBusy), errors.Is(err, store.ErrClosed):
		return 0, err.Error()
	case store.IsOutage(err):
		return 0, outage
	case errors.Is(err, ledger.ErrInsufficient):
		return insufficient, ""
	case errors.Is(err, ledger.ErrDuplicate):
		return already, ""
	case errors.Is(err, ledger.ErrHold):
		return notHeld, ""
	case errors.Is(err, store.ErrNotFound):
		return notFound, ""
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return 0, "cancelled"
	case errors.Is(err, errMistake):
		return 0, "mistake"
	case strings.Contains(err.Error(), panicked):
		return 0, "panic"
	}
	return 0, strange
}

// settled waits until a store writes again, and reads on all its connections.
func settled(ctx context.Context, d *door) (err error) {
	for end := time.Now().Add(healing); time.Now().Before(end); time.Sleep(breath) {
		if err = d.Update(ctx, func(books) error { return nil }); err != nil {
			continue
		}
		for range readers {
			e := d.View(ctx, func(tx books) error {
				_, err := tx.Account(ctx, 1)
				return err
			})
			err = errors.Join(err, e)
		}
		if err == nil {
			return nil
		}
	}
	return err
}

// heal waits until the database answers again.
func (c *client) heal(ctx context.Context) {
	for end := time.Now().Add(healing); time.Now().Before(end); time.Sleep(breath) {
		err := c.keeper.View(ctx, func(tx books) error {
			_, err := tx.Account(ctx, c.village.id[0])
			return err
		})
		if err == nil {
			return
		}
	}
	c.faults = append(c.faults, fmt.Errorf("the database is not back after %v", healing))
}

// A scene is what one history is played on.
type scene struct {
	number          int // of the history: names its villages
	seed            uint64
	stores          []*door
	keepers         []keeper // of the stores: clients take turns
	hurried, clumsy bool
	herded          bool                                          // clients do the same at once
	fault           func(ctx context.Context, r *rand.Rand) error // runs beside the clients until ctx ends
}

// play plays one history, and returns what no bank could have answered, and the
// errors of which nobody has heard.
func (s scene) play(t *testing.T, count *tally) (wrong []string, unheard []error) {
	t.Helper()
	ctx := t.Context()
	var all []*client
	start := time.Now()
	for v := range villages {
		village, err := settle(ctx, s.stores[0].now(), s.number*villages+v)
		if err != nil {
			t.Fatal(err)
		}
		for range clients {
			n := len(all)
			all = append(all, &client{
				n: n, r: rand.New(rand.NewPCG(s.seed, uint64(n))), keeper: s.keepers[n%len(s.keepers)], village: village, start: start,
				hurried: s.hurried, clumsy: s.clumsy, herded: s.herded, nothing: map[string]int{},
			})
		}
	}
	if err := s.perform(ctx, all); err != nil {
		t.Fatal(err)
	}
	for n, c := range all {
		for _, err := range c.faults {
			unheard = append(unheard, fmt.Errorf("history %d, seed %d: client %d: %w", s.number, s.seed, n, err))
		}
		for why, n := range c.nothing {
			count.nothing[why] += n
		}
	}
	count.histories++
	for part := range slices.Chunk(all, clients) {
		wrong = append(wrong, s.check(t, part, count)...)
	}
	return wrong, unheard
}

// perform lets the clients and the fault act beside each other.
func (s scene) perform(ctx context.Context, all []*client) error {
	faulty, end := context.WithCancel(ctx)
	defer end()
	over := make(chan error, 1)
	go func() {
		if s.fault == nil {
			over <- nil
			return
		}
		over <- s.fault(faulty, rand.New(rand.NewPCG(s.seed, math.MaxUint64)))
	}()
	var working sync.WaitGroup
	for _, c := range all {
		working.Go(func() { c.run(ctx) })
	}
	working.Wait()
	end()
	return <-over
}

// check ends the history of a village with one look at everything, and asks the
// checker.
func (s scene) check(t *testing.T, part []*client, count *tally) []string {
	t.Helper()
	v := part[0].village
	for _, d := range s.stores { // what is still on its way ends before whoever writes next
		if err := settled(t.Context(), d); err != nil {
			t.Fatalf("history %d, after all faults have ended: %v", s.number, err)
		}
	}
	last := &client{n: len(part) * villages, r: part[0].r, keeper: s.stores[0], village: v, start: part[0].start, nothing: count.nothing}
	last.try(t.Context(), act{kind: balances})
	for n := range accounts {
		last.try(t.Context(), act{kind: statement, from: n, limit: 2 * maxNumbers})
	}
	for _, err := range last.faults {
		t.Error(err)
	}
	never, all := s.recall(t, v), records(append(part, last))
	did := map[int]bool{} // by an attempt that was answered, so that no other did it
	for _, r := range all {
		if r.answer.outcome == done && !r.act.kind.reads() && r.act.kind != release {
			did[r.act.mark()] = true
		}
	}
	var history []porcupine.Operation
	for _, r := range all {
		switch {
		case r.answer.outcome != open:
			count.calls++
			if r.answer.outcome != done {
				count.refused++
			}
		case never(r.act), r.act.kind != release && did[r.act.mark()]:
			count.open++
			count.resolved++
			continue
		default:
			count.open++
		}
		history = append(history, porcupine.Operation{ClientId: r.client, Input: r.act, Output: r.answer, Call: r.call, Return: r.ret})
	}
	began := time.Now()
	verdict, info := porcupine.CheckOperationsVerbose(model(&v.end), history, checkTimeout)
	count.slowest = max(count.slowest, time.Since(began))
	if verdict == porcupine.Ok {
		return nil
	}
	return []string{fmt.Sprintf("history %d, village %s, seed %d: %s\n%s", s.number, v.name, s.seed, verdict, tell(history, info))}
}

// records returns what all clients recorded.
func records(all []*client) (records []record) {
	for _, c := range all {
		records = append(records, c.records...)
	}
	return records
}

// recall learns what became of each transaction, and returns what tells whether
// an act of unknown fate did nothing, so that the checker need not try it at
// every moment: what cannot be seen in the end was at no time.
func (s scene) recall(t *testing.T, v *village) (never func(act) bool) {
	t.Helper()
	placed, left := [maxNumbers]bool{}, [maxNumbers]bool{}
	numbers := map[ledger.TransactionID]int{}
	err := s.stores[0].now().View(t.Context(), func(tx *store.Tx) error {
		for n := range v.end.at {
			found, err := tx.TransactionByRef(t.Context(), v.key(n))
			if errors.Is(err, store.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			v.end.at[n], numbers[found.ID] = found.At.UnixMicro(), n
		}
		for n := range v.numbers {
			holds, err := tx.HoldsFor(t.Context(), v.mark(n))
			if err != nil {
				return err
			}
			left[n] = len(holds) > 0
			placed[n] = left[n] || v.holdID[n] != 0
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for n, id := range slices.Sorted(maps.Keys(numbers)) {
		v.end.rank[numbers[id]] = n + 1
	}
	return func(a act) bool {
		switch a.kind {
		case place:
			return !placed[a.number]
		case release:
			return left[a.hold]
		}
		return v.end.rank[a.mark()] == 0
	}
}

// tell writes a history that no bank could have given, in the order of its
// calls: what stands in the longest order that was found has a number.
func tell(history []porcupine.Operation, info porcupine.LinearizationInfo) string {
	var longest []porcupine.Operation
	for _, partial := range slices.Concat(info.PartialLinearizationsOperations()...) {
		if len(partial) > len(longest) {
			longest = partial
		}
	}
	type name struct {
		client int
		call   int64
	}
	place := map[name]int{}
	for n, o := range longest {
		place[name{o.ClientId, o.Call}] = n + 1
	}
	slices.SortFunc(history, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	var b strings.Builder
	for _, o := range history {
		order, ret := "-", "open"
		if n := place[name{o.ClientId, o.Call}]; n > 0 {
			order = fmt.Sprint(n)
		}
		if o.Return != math.MaxInt64 {
			ret = fmt.Sprint(o.Return / 1000)
		}
		fmt.Fprintf(&b, "%4s  %8d %8s µs  client %d: %s\n", order, o.Call/1000, ret, o.ClientId, describe(o.Input.(act), o.Output.(answer)))
	}
	return b.String()
}
