package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/server"
	"maillon/internal/setting"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// Bounds of a load.
const (
	loadAtOnce  = 500 // members opened in one transaction
	loadFunds   = 1_000_000
	maxSamples  = 2_000_000 // latencies kept
	loadGateway = "load"
	logRecord   = 128 // octets that a transfer needs at least, in a raw log
)

// LoadSettings are settings under which members may pay as fast as they can:
// no limit, no rule and no flood cap stands in the way of measuring.
func LoadSettings(confirm setting.Mode) setting.Settings {
	s := setting.Default()
	s.Confirm, s.Rules = confirm, setting.Log
	s.Max, s.Day, s.FirstMax, s.FirstWarn = loadFunds, 1_000*loadFunds, loadFunds, loadFunds
	s.Flood.N = 1_000_000
	s.Lookups = 1_000_000
	return s
}

// A Load is many members who pay each other by SMS.
type Load struct {
	server  *server.Server
	numbers []sms.Number
	ids     []member.ID
	texts   atomic.Int64
}

// NewLoad registers n members with money, all opened a year ago.
func NewLoad(ctx context.Context, s *server.Server, n int) (*Load, error) {
	l := &Load{server: s}
	for len(l.ids) < n {
		err := s.DB.Update(ctx, func(tx *store.Tx) error {
			for range min(loadAtOnce, n-len(l.ids)) {
				if err := l.add(ctx, tx); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("register members: %w", err)
		}
	}
	return l, nil
}

func (l *Load) add(ctx context.Context, tx *store.Tx) error {
	number, err := sms.FromE164(fmt.Sprintf("+337%08d", len(l.ids)))
	if err != nil {
		return err
	}
	t := l.server.Treasury
	m, err := t.Add(ctx, tx, treasury.Operator, treasury.NewMember{Number: number, Nick: fmt.Sprintf("m%d", 100+len(l.ids))})
	if err != nil {
		return err
	}
	m.OpenedAt = tx.Now().AddDate(-1, 0, 0)
	if err := tx.SaveMember(ctx, m); err != nil {
		return err
	}
	l.numbers, l.ids = append(l.numbers, number), append(l.ids, m.ID)
	_, err = t.Grant(ctx, tx, treasury.Operator, nil, m, sms.Number{}, money.New(loadFunds, l.server.Settings.Currency()), "load")
	return err
}

// A Measure is what senders achieved.
type Measure struct {
	Done      int
	PerSecond float64
	P50, P99  time.Duration // until it was durable
}

// Run lets senders pay one after the other, each as fast as it is answered,
// for a time. hot makes all of them pay one member.
func (l *Load) Run(ctx context.Context, senders int, d time.Duration, hot bool) (Measure, error) {
	return measure(ctx, senders, d, func(r *rand.Rand, sender int) error { return l.pay(ctx, r, sender, senders, hot) })
}

// measure lets senders do something again and again for a time.
func measure(ctx context.Context, senders int, d time.Duration, do func(r *rand.Rand, sender int) error) (Measure, error) {
	var mu sync.Mutex
	var samples []time.Duration
	var failed error
	start := time.Now()
	end := start.Add(d)
	var all sync.WaitGroup
	for i := range senders {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 1)) //nolint:gosec // it decides who pays whom
			var mine []time.Duration
			var err error
			for time.Now().Before(end) && ctx.Err() == nil && err == nil && len(mine) < maxSamples/senders {
				began := time.Now()
				err = do(r, i)
				mine = append(mine, time.Since(began))
			}
			mu.Lock()
			defer mu.Unlock()
			samples, failed = append(samples, mine...), errors.Join(failed, err)
		})
	}
	all.Wait()
	took := time.Since(start)
	if failed != nil || len(samples) == 0 {
		return Measure{}, errors.Join(failed, ctx.Err())
	}
	slices.Sort(samples)
	return Measure{
		Done: len(samples), PerSecond: float64(len(samples)) / took.Seconds(),
		P50: samples[len(samples)/2], P99: samples[len(samples)*99/100],
	}, nil
}

// Transfers measures the books alone: transfers between the accounts of the
// members, each with a key, durable before the next of the same sender.
func (l *Load) Transfers(ctx context.Context, senders int, d time.Duration) (Measure, error) {
	var accounts []ledger.AccountID
	err := l.server.DB.View(ctx, func(tx *store.Tx) error {
		return tx.AllAccounts(ctx, func(a store.AccountRow) error {
			if a.Member != 0 {
				accounts = append(accounts, a.ID)
			}
			return nil
		})
	})
	if err != nil {
		return Measure{}, fmt.Errorf("read the accounts: %w", err)
	}
	one := money.New(1, l.server.Settings.Currency())
	return measure(ctx, senders, d, func(r *rand.Rand, _ int) error {
		from := r.IntN(len(accounts))
		to := (from + 1 + r.IntN(len(accounts)-1)) % len(accounts)
		postings, err := ledger.Transfer(accounts[from], accounts[to], one)
		if err != nil {
			return err
		}
		key := fmt.Sprintf("load:%d", l.texts.Add(1))
		return l.server.DB.Update(ctx, func(tx *store.Tx) error {
			return ledger.Post(ctx, tx, &ledger.Transaction{Key: key, Kind: ledger.Payment, At: tx.Now(), Postings: postings})
		})
	})
}

// Raw measures the limit of the disk: a record of record octets for each
// transfer, appended and synced for all who wait.
func Raw(ctx context.Context, path string, senders int, d time.Duration) (Measure, error) {
	log, err := NewRawLog(path)
	if err != nil {
		return Measure{}, err
	}
	m, err := measure(ctx, senders, d, func(*rand.Rand, int) error { return log.Append(make([]byte, logRecord)) })
	return m, errors.Join(err, log.Close())
}

// pay is one payment: its text, and its code where one is asked for. Each
// sender speaks for members of its own, so that no two orders of one meet.
func (l *Load) pay(ctx context.Context, r *rand.Rand, sender, senders int, hot bool) error {
	payer := 1 + sender + senders*r.IntN((len(l.ids)-1-sender+senders-1)/senders)
	payee := 0
	for !hot && (payee == 0 || payee == payer) {
		payee = r.IntN(len(l.ids))
	}
	n := l.texts.Add(1)
	if err := l.send(ctx, payer, fmt.Sprintf("vir 1 @m%d n%x", 100+payee, n)); err != nil {
		return err
	}
	if l.server.Settings.Confirm != setting.Always {
		return nil
	}
	code, err := l.code(ctx, payer)
	if err != nil {
		return err
	}
	return l.send(ctx, payer, code)
}

func (l *Load) send(ctx context.Context, from int, text string) error {
	key := fmt.Sprint(l.texts.Add(1))
	return l.server.Teller.Receive(ctx, sms.Incoming{Gateway: loadGateway, Key: key, From: l.numbers[from].E164(), Text: text, SentAt: time.Now()})
}

// code reads the code of a member's open order, as her phone shows it.
func (l *Load) code(ctx context.Context, i int) (code string, err error) {
	err = l.server.DB.View(ctx, func(tx *store.Tx) error {
		m, err := tx.Member(ctx, l.ids[i])
		if err != nil {
			return err
		}
		all, err := l.server.Desk.Questions(ctx, tx, m)
		if err != nil {
			return err
		}
		if len(all) == 0 || !all[0].OpenAt(time.Now()) {
			return errors.New("no code was asked for")
		}
		code = l.server.Desk.Code(all[0])
		return nil
	})
	return code, err
}
