package sentry

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"maillon/internal/guard"
	"maillon/internal/ledger"
	"maillon/internal/setting"
	"maillon/internal/store"
)

// Bounds of what is asked of the past.
const (
	PastDays   = 90
	MaxPast    = 200_000 // transactions, the newest: older ones are not looked at
	pastSlice  = 1000    // transactions read at once
	pastFresh  = time.Hour
	maxAnswers = 100 // that are remembered
	maxAsked   = 30  // that one pass works out together
)

// An Answer is what a rule would have caught in the last 90 days.
type Answer struct {
	Ready  bool // false: it is being worked out
	Done   int  // percent, until it is ready
	Failed bool // it could not be worked out; it is tried again when asked again

	N      int
	Sample []guard.Move // the newest, by transaction
	Since  time.Time    // what was looked at
	Cut    bool         // there were more transactions than MaxPast
	At     time.Time    // when it was worked out
}

// Past answers what rules would have caught. It reads beside the work, a slice
// at a time, and rests as long as a slice took: whoever asks does not wait.
type Past struct {
	db  *store.DB
	set *setting.Settings

	ctx  context.Context //nolint:containedctx // of the goroutine that it owns, until Close
	stop context.CancelFunc
	work sync.WaitGroup

	mu      sync.Mutex // held to read or change what follows
	answers map[string]*Answer
	asked   []question
	busy    bool
}

type question struct {
	key string
	guard.Ruling
}

// NewPast returns the past of some books.
func NewPast(db *store.DB, set *setting.Settings) *Past {
	p := &Past{db: db, set: set, answers: map[string]*Answer{}}
	p.ctx, p.stop = context.WithCancel(context.Background())
	return p
}

// Close ends what is being worked out.
func (p *Past) Close() {
	p.stop()
	p.work.Wait()
}

// Ask returns what a rule would have caught with some thresholds, if it is known,
// and otherwise begins to work it out.
func (p *Past) Ask(id string, at []int64) Answer {
	key := id + " " + guard.Decree{At: at}.String()
	p.mu.Lock()
	defer p.mu.Unlock()
	if a, ok := p.answers[key]; ok && !a.Failed && (!a.Ready || time.Since(a.At) < pastFresh) {
		return *a
	}
	if len(p.answers) >= maxAnswers {
		for k, a := range p.answers {
			if a.Ready || a.Failed {
				delete(p.answers, k)
			}
		}
	}
	if len(p.asked) >= maxAsked || p.ctx.Err() != nil {
		return Answer{}
	}
	p.answers[key] = &Answer{}
	p.asked = append(p.asked, question{key, guard.Ruling{ID: id, At: at}})
	if !p.busy {
		p.busy = true
		p.work.Go(p.answer)
	}
	return Answer{}
}

// answer works out what was asked until nothing is left.
func (p *Past) answer() {
	for {
		p.mu.Lock()
		all := p.asked
		p.asked = nil
		if len(all) == 0 {
			p.busy = false
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
		err := p.pass(all)
		if err == nil {
			continue
		}
		if p.ctx.Err() == nil {
			slog.ErrorContext(p.ctx, "the past is out of reach", "error", err)
		}
		p.mu.Lock()
		for _, q := range all {
			p.answers[q.key] = &Answer{Failed: true}
		}
		p.mu.Unlock()
	}
}

// pass tries rules on the past, all at once.
func (p *Past) pass(all []question) error {
	c := p.set.Currency()
	minor := func(n int64) int64 { return setting.Whole(n, c).Minor() }
	setup := guard.Setup{
		Limits: guard.Limits{Max: minor(p.set.Max), Day: minor(p.set.Day), FirstMax: minor(p.set.FirstMax), FirstWarn: minor(p.set.FirstWarn)},
		Unit:   minor(1), NewAccounts: p.set.NewAccounts, Zone: p.set.Zone,
	}
	var from, last ledger.TransactionID
	var oldest, since time.Time
	err := p.db.View(p.ctx, func(tx *store.Tx) (err error) {
		since = tx.Now().AddDate(0, 0, -PastDays)
		from, last, oldest, err = tx.TransactionsFrom(p.ctx, MaxPast)
		return err
	})
	if err != nil {
		return err
	}
	trials := make([]*guard.Trial, len(all))
	for n, q := range all {
		trials[n] = &guard.Trial{Setup: setup, Ruling: q.Ruling, Since: since}
	}
	for at := from; at < last; at += pastSlice {
		began := time.Now()
		var paid []guard.Paid
		err := p.db.View(p.ctx, func(tx *store.Tx) (err error) {
			paid, err = tx.PaidAfter(p.ctx, at, c, pastSlice)
			return err
		})
		if err != nil {
			return err
		}
		for _, one := range paid {
			for _, t := range trials {
				t.Next(one)
			}
		}
		p.progress(all, int(100*(at-from)/(last-from)))
		if !sleep(p.ctx, time.Since(began)) {
			return p.ctx.Err()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	cut := oldest.After(since)
	if cut {
		since = oldest
	}
	for n, q := range all {
		p.answers[q.key] = &Answer{
			Ready: true, N: trials[n].Catch.N, Sample: trials[n].Catch.Sample, Since: since, Cut: cut, At: time.Now(),
		}
	}
	return nil
}

func (p *Past) progress(all []question, percent int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, q := range all {
		p.answers[q.key].Done = percent
	}
}
