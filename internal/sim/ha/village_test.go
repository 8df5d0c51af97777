//go:build linux

package ha_test

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/phrase"
	"maillon/internal/server"
	"maillon/internal/setting"
	"maillon/internal/sim"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

const (
	villagers = 6
	bySMS     = "sms:" // begins the names of what SMS pay
	line      = "line"
	composing = 100 * time.Millisecond // an SMS
)

// smsKey is what the payment of an amount by SMS is called. No two have the
// same.
func smsKey(amount int64) string { return fmt.Sprintf("%s%s%d", prefix, bySMS, amount) }

// openServer opens a server without lines: SMS are given to its teller, and
// answers stay in its outbox.
func openServer(ctx context.Context, where string) (*server.Server, error) {
	book, err := phrase.Shipped()
	if err != nil {
		return nil, err
	}
	return server.Open(ctx, server.Config{Path: where, Secret: secret, Settings: sim.LoadSettings(setting.Off), Book: book})
}

// A village are members who pay each other by SMS, through whichever server
// answers.
type village struct {
	bank    *bank
	servers []*server.Server
	numbers []sms.Number
	first   int // of their accounts in the bank
	amounts atomic.Int64
	written int // SMS about payments, counted at the end
}

// settle registers the members, and gives them money.
func settle(ctx context.Context, b *bank, servers []*server.Server) (*village, error) {
	v := &village{bank: b, servers: servers, first: len(b.accounts)}
	err := servers[0].DB.Update(ctx, func(tx *store.Tx) error {
		for n := range villagers {
			if err := v.add(ctx, tx, n); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("registering members: %w", err)
	}
	return v, nil
}

func nick(n int) string { return fmt.Sprintf("m%d", 100+n) }

func (v *village) add(ctx context.Context, tx *store.Tx, n int) error {
	number, err := sms.FromE164(fmt.Sprintf("+337%08d", n))
	if err != nil {
		return err
	}
	s := v.servers[0]
	m, err := s.Treasury.Add(ctx, tx, treasury.Operator, treasury.NewMember{Number: number, Nick: nick(n)})
	if err != nil {
		return err
	}
	m.OpenedAt = tx.Now().AddDate(-1, 0, 0)
	if err := tx.SaveMember(ctx, m); err != nil {
		return err
	}
	v.numbers = append(v.numbers, number)
	return v.fund(ctx, tx, m.ID)
}

func (v *village) fund(ctx context.Context, tx *store.Tx, id member.ID) error {
	currency := v.servers[0].Settings.Currency()
	emission, err := tx.SystemAccount(ctx, store.Emission, currency)
	if err != nil {
		return err
	}
	a, err := tx.AccountOf(ctx, id, currency)
	if err != nil {
		return err
	}
	v.bank.accounts = append(v.bank.accounts, a.ID)
	postings, err := ledger.Transfer(emission.ID, a.ID, money.New(funds, currency))
	if err != nil {
		return err
	}
	return ledger.Post(ctx, tx, &ledger.Transaction{Key: fmt.Sprintf("open:%d", a.ID), Kind: ledger.Credit, At: tx.Now(), Postings: postings})
}

// member pays one neighbour after the other until ctx ends. The network
// delivers an SMS that nobody took to the next server.
func (v *village) member(ctx context.Context, n int) {
	for k := 0; ctx.Err() == nil; k++ {
		amount := v.amounts.Add(1)
		to := (n + 1 + k%(villagers-1)) % villagers
		text := sms.Incoming{
			Gateway: line, Key: strconv.FormatInt(amount, 10), From: v.numbers[n].E164(),
			Text: fmt.Sprintf("vir %d @%s", amount, nick(to)), SentAt: time.Now(),
		}
		v.bank.insist(ctx, smsKey(amount), transfer{v.first + n, v.first + to, amount}, func(try int) error {
			s := v.servers[(n+k+try)%len(v.servers)]
			return s.Teller.Receive(context.WithoutCancel(ctx), text)
		})
		time.Sleep(composing)
	}
}

// What payer and payee are written, in the words of the shipped French.
var aboutPayment = regexp.MustCompile(`^(Payé: |\S+ \(\S+\) vous a payé )(\d+) m[ .]`)

// told compares the outbox with what was paid: of each payment, payer and payee
// are told once.
func (v *village) told(ctx context.Context, f *finding) error {
	v.written = 0
	times := map[string]int{}
	err := v.servers[0].DB.View(ctx, func(tx *store.Tx) error {
		for last, more := int64(0), true; more; {
			outs, err := tx.Outbox(ctx, last, atOnce)
			if err != nil {
				return err
			}
			for _, o := range outs {
				last = o.ID
				m := aboutPayment.FindStringSubmatch(o.Text)
				if m == nil {
					f.add(&f.wrong, "message %d says what nobody asked for", o.ID)
					continue
				}
				v.written++
				times[m[2]+" "+m[1][:3]]++
			}
			more = len(outs) == atOnce
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the outbox: %w", err)
	}
	for about, n := range times {
		if n != 1 {
			f.add(&f.doubled, "payment %s was told %d times", about, n)
		}
	}
	if want := 2 * v.bank.told(bySMS); v.written != want {
		f.add(&f.lost, "%d SMS tell of payments, want %d", v.written, want)
	}
	return nil
}

// The village and what is proven of it, beside a database that stays where it
// is.
func TestAVillageThatNothingBefallsIsSound(t *testing.T) {
	s, err := openServer(t.Context(), store.Memory)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	b := newBank()
	if err := b.open(t.Context(), s.DB); err != nil {
		t.Fatal(err)
	}
	v, err := settle(t.Context(), b, []*server.Server{s})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	v.member(ctx, 1)
	f, err := b.proof(t.Context(), ofStore(s.DB))
	if err == nil {
		err = v.told(t.Context(), &f)
	}
	if err != nil || len(f.faults) > 0 || f.open > 0 || f.acked == 0 {
		t.Errorf("%+v, %v", f, err)
	}
	b.ack(smsKey(1_000_000), false)
	if err := v.told(t.Context(), &f); err != nil || f.lost == 0 {
		t.Errorf("that nobody was told of a payment is not noticed: %+v, %v", f, err)
	}
}
