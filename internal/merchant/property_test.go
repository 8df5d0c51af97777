package merchant_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"maillon/internal/merchant"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/trade"
)

// seeds is how many histories are tried, and acts how long each is.
const seeds, acts = 24, 80

// Whatever is done in whatever order, with whatever the operators say: the books
// sum to zero, hold for each client what is hers, and are what the journal says;
// what is refused is refused for a reason that has a name.
func TestWhateverHappensTheBooksHold(t *testing.T) {
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 7))
			k := open(t, store.Memory)
			p := k.policy(func(p *trade.Policy) {
				p.Flow, p.Messages = trade.ByPhone, 1+r.IntN(2)
				p.Kind = []trade.Kind{trade.Advance, trade.Deposit, trade.Both}[r.IntN(3)]
				p.Deposit, p.PerOrder = 700, 300
				switch p.Kind {
				case trade.Advance:
					p.Deposit = 0
				case trade.Deposit:
					p.PerOrder = 0
				}
				p.Forfeit = min(p.Deposit, []int64{0, 400}[r.IntN(2)])
				p.Basis = []trade.Basis{trade.Face, trade.Net}[r.IntN(2)]
				p.MaxOrders, p.ReturnsSlot, p.RefundWithdraw = 1+r.IntN(4), r.IntN(2) == 0, r.IntN(2) == 0
				p.Validity = 30 * 24 * time.Hour
			})
			w := walk{k, r, p, 0}
			for n := range acts {
				if err := w.act(n); err != nil && !named(err) {
					t.Fatalf("act %d: %v", n, err)
				}
			}
			k.books()
		})
	}
}

type walk struct {
	*souk
	r      *rand.Rand
	p      *trade.Policy
	passed time.Duration
}

func (w *walk) phone() string { return fmt.Sprintf("+21261234567%d", w.r.IntN(3)) }

// act does one thing that may happen.
func (w *walk) act(n int) error {
	ctx, s := w.Context(), w.Merchants
	switch kind := w.r.IntN(14); kind {
	case 0, 1, 2:
		m := charged(fmt.Sprint(n), w.phone(), "SOUK")
		m.Charge.State = []sms.ChargeState{sms.ChargeConfirmed, sms.ChargeConfirmed, sms.ChargePending}[w.r.IntN(3)]
		return w.Teller.Receive(ctx, m)
	case 3:
		state := []sms.ChargeState{sms.ChargeConfirmed, sms.ChargeFailed, sms.ChargeClawedBack}[w.r.IntN(3)]
		return s.Bill(ctx, sms.Bill{Gateway: "premium", Key: fmt.Sprint(w.r.IntN(n + 3)), State: state})
	case 4:
		w.passed += time.Duration(w.r.IntN(100)) * time.Hour
		w.later(w.passed)
		return nil
	}
	return w.DB.Update(ctx, func(tx *store.Tx) error {
		m, err := s.Merchant(ctx, tx, w.m.ID)
		if err != nil {
			return err
		}
		return w.ask(tx, m, n)
	})
}

// ask does one thing that a shop or an administrator may ask for.
func (w *walk) ask(tx *store.Tx, m *trade.Merchant, n int) error {
	ctx, s := w.Context(), w.Merchants
	claims, err := s.Claims(ctx, tx, m, merchant.Page{Limit: 100})
	if err != nil {
		return err
	}
	var claim int64
	if len(claims) > 0 {
		claim = claims[w.r.IntN(len(claims))].ID
	}
	all, err := s.Authorizations(ctx, tx, m, merchant.Page{Limit: 100}, "")
	if err != nil {
		return err
	}
	var id int64
	if len(all) > 0 {
		id = all[w.r.IntN(len(all))].ID
	}
	switch w.r.IntN(12) {
	case 0, 1, 2:
		ask := merchant.Ask{Phone: w.phone(), Policy: w.p.ID, Order: order(fmt.Sprint("A-", n))}
		_, _, err = s.Claim(ctx, tx, m, ask, w.r.IntN(3) == 0)
	case 3:
		_, err = s.Confirm(ctx, tx, "key", m, claim)
	case 4:
		_, err = s.Honour(ctx, tx, "key", m, claim)
	case 5:
		_, err = s.Release(ctx, tx, "key", m, claim)
	case 6:
		_, err = s.Withdraw(ctx, tx, "key", m, claim)
	case 7:
		_, err = s.NotHonoured(ctx, tx, "key", m, claim, "no_show", []string{"x"})
	case 8:
		d, wrong := s.Contest(ctx, tx, "member:1", m, claim)
		if err = wrong; err == nil && w.r.IntN(2) == 0 {
			_, err = s.Judge(ctx, tx, "member:1", d.ID, w.r.IntN(2) == 0, "heard both")
		}
	case 9:
		_, err = s.Revoke(ctx, tx, "key", m, id, "asked for it")
	case 10:
		_, err = s.Refund(ctx, tx, "key", m, id, "cash", int64(w.r.IntN(2)*w.r.IntN(500)))
	case 11:
		if _, err = s.TakeCash(ctx, tx, "key", m, id, fmt.Sprint(n)); err == nil && w.r.IntN(2) == 0 {
			_, err = s.Settle(ctx, tx, "key", "premium", "MAD", tx.Now(), int64(w.r.IntN(2000)), fmt.Sprint(n))
		}
		if err == nil {
			_, err = s.Pay(ctx, tx, "key", m, "MAD", 0, fmt.Sprint(n))
		}
	}
	return err
}

// named reports whether an error says why something was refused.
func named(err error) bool {
	if _, ok := errors.AsType[*trade.Refusal](err); ok {
		return true
	}
	if _, ok := errors.AsType[*trade.StateError](err); ok {
		return true
	}
	for _, is := range []error{
		store.ErrNotFound, merchant.ErrAmount, merchant.ErrNotRefundable, merchant.ErrDestination, merchant.ErrBraked, merchant.ErrReasonNeeded,
	} {
		if errors.Is(err, is) {
			return true
		}
	}
	return false
}
