package merchant

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/notice"
	"maillon/internal/store"
	"maillon/internal/trade"
)

// The destinations of money.
const (
	ToWallet = "wallet"       // of a member; "wallet:7" says which
	ToCash   = "cash"         // at the desk
	ToMobile = "mobile_money" // by somebody's hand, from the bank
	ToBank   = "bank"         // of a merchant
	ByShop   = "merchant"     // by the merchant itself, who holds the clients' money
	ToHold   = "hold"         // what was set aside on a member's account is free again
)

// Refund gives a client back what is refundable, all of it for amount 0. It goes
// to the wallet of a member, the client's own if none is named, if that is in the
// same currency; or it is noted as paid in cash or by mobile money.
func (s *Service) Refund(ctx context.Context, tx *store.Tx, by string, m *trade.Merchant, id int64, to string, amount int64) (*trade.Refund, error) {
	a, err := s.Authorization(ctx, tx, m, id)
	if err != nil {
		return nil, err
	}
	p, err := s.Terms(ctx, tx, a)
	if err != nil {
		return nil, err
	}
	if _, err := s.pass(ctx, tx, a, s.Now(tx, m)); err != nil {
		return nil, err
	}
	sum := a.Refundable()
	switch {
	case sum == 0, a.Hold != 0: // what is set aside is hers already, and free once no order needs it
		return nil, ErrNotRefundable
	case amount < 0 || amount > sum:
		return nil, ErrAmount
	case amount == 0:
		amount = sum
	}
	kind, owner, _ := strings.Cut(to, ":")
	target := leg{amount: amount}
	switch kind {
	case ToWallet:
		account, err := s.wallet(ctx, tx, p, a, owner)
		if err != nil {
			return nil, err
		}
		target.id = account
	case ToCash:
		target.name = accCash
	case ToMobile:
		target.name = accBank
	case ByShop:
		if held, err := s.heldByShop(ctx, tx, a); err != nil {
			return nil, err
		} else if !held {
			return nil, ErrDestination
		}
		target.name, target.of = accOwed, m.ID
	default:
		return nil, ErrDestination
	}
	deposit, advance := a.Refund(amount)
	f := &trade.Refund{Merchant: m.ID, Authorization: a.ID, Amount: amount, To: kind}
	if err := s.saveRefund(ctx, tx, f); err != nil {
		return nil, err
	}
	txn, err := s.post(ctx, tx, p.Test, p.Currency, fmt.Sprintf("refund:%d", f.ID),
		leg{name: accDeposit, of: a.ID, amount: -deposit}, leg{name: accAdvance, of: a.ID, amount: -advance}, target)
	if err != nil {
		return nil, err
	}
	f.Transaction = int64(txn)
	if err := s.saveRefund(ctx, tx, f); err != nil {
		return nil, err
	}
	tx.Act(by, "authorization.refund", fmt.Sprintf("authorization:%d", a.ID), "")
	if err := s.saveAuthorization(ctx, tx, a); err != nil {
		return nil, err
	}
	err = s.tellClient(ctx, tx, m, a, "marchand.rendu", notice.Fields{"shop": m.Name, "sum": s.sum(amount, p.Currency)})
	if err != nil {
		return nil, err
	}
	return f, s.emit(ctx, tx, m.ID, "authorization.refunded", a)
}

// heldByShop reports whether operators have paid the merchant all that a client paid,
// so that it can give it back: what the association has, it gives back itself.
func (s *Service) heldByShop(ctx context.Context, tx *store.Tx, a *trade.Authorization) (bool, error) {
	w := store.RecordsWhere{Kind: KindCharge, Parent: a.ID, States: []string{string(trade.ChargeConfirmed), string(trade.ChargeSettled)}}
	all, err := some(ctx, tx, w, store.MaxRecords, fillCharge)
	if err != nil || len(all) == store.MaxRecords {
		return false, err
	}
	return !slices.ContainsFunc(all, func(c *trade.Charge) bool { return !c.Held }), nil
}

func (*Service) saveRefund(ctx context.Context, tx *store.Tx, f *trade.Refund) error {
	r := store.Record{Kind: KindRefund, ID: f.ID, Owner: f.Merchant, Parent: f.Authorization, Created: f.Created}
	err := save(ctx, tx, &r, f)
	f.ID, f.Created = r.ID, r.Created
	return err
}

// wallet finds the account of a member: of one who is named, or of the client.
func (s *Service) wallet(ctx context.Context, tx *store.Tx, p *trade.Policy, a *trade.Authorization, owner string) (ledger.AccountID, error) {
	if p.Test || p.Currency != s.Set.Currency() {
		return 0, ErrDestination
	}
	id, err := strconv.ParseInt(strings.TrimPrefix(owner, "mem_"), 10, 64)
	switch {
	case owner != "" && err != nil:
		return 0, ErrDestination
	case owner != "":
		return s.account(ctx, tx, member.ID(id), p.Currency)
	case a.Member != 0:
		return s.account(ctx, tx, member.ID(a.Member), p.Currency)
	}
	to, err := s.contact(ctx, tx, a)
	if err != nil || to.Number == "" {
		return 0, errors.Join(err, ErrDestination)
	}
	n, err := to.number()
	if err != nil {
		return 0, err
	}
	m, err := tx.MemberByNumber(ctx, n)
	if errors.Is(err, store.ErrNotFound) {
		return 0, ErrDestination
	}
	if err != nil {
		return 0, err
	}
	return s.account(ctx, tx, m.ID, p.Currency)
}

func (*Service) account(ctx context.Context, tx *store.Tx, id member.ID, c money.Currency) (ledger.AccountID, error) {
	m, err := tx.Member(ctx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && m.State == member.Closed {
		return 0, ErrDestination
	}
	if err != nil {
		return 0, err
	}
	account, err := tx.AccountOf(ctx, m.ID, c)
	return account.ID, err
}

// release frees what is set aside on a member's account for an authorization
// that has no more orders and will have none: it was hers all the time.
func (s *Service) release(ctx context.Context, tx *store.Tx, a *trade.Authorization) error {
	if a.Hold == 0 || a.Open > 0 || a.Refundable() == 0 {
		return nil
	}
	p, err := s.Terms(ctx, tx, a)
	if err != nil {
		return err
	}
	h, err := tx.Hold(ctx, ledger.HoldID(a.Hold))
	if err != nil {
		return err
	}
	f := &trade.Refund{Merchant: a.Merchant, Authorization: a.ID, Amount: a.Refundable(), To: ToHold}
	if err := s.saveRefund(ctx, tx, f); err != nil {
		return err
	}
	a.Refund(f.Amount)
	var legs []leg
	var captured int64
	for _, name := range []string{accDeposit, accAdvance} { // what an order took and gave back
		own, err := leg{name: name, of: a.ID}.account(ctx, tx, p.Test, p.Currency)
		if err != nil {
			return err
		}
		legs = append(legs, leg{name: name, of: a.ID, amount: -own.Balance.Minor()})
		captured += own.Balance.Minor()
	}
	_, err = s.post(ctx, tx, p.Test, p.Currency, fmt.Sprintf("refund:%d", f.ID), append(legs, leg{id: h.Account, amount: captured})...)
	if err != nil {
		return err
	}
	a.Hold = 0
	if err := ledger.Release(ctx, tx, h.ID); err != nil {
		return err
	}
	return s.emit(ctx, tx, a.Merchant, "authorization.refunded", a)
}

// Due is what a merchant is owed in a currency, in smallest units.
type Due struct {
	Currency  money.Currency
	Earned    int64 // by orders that were honoured or forfeited, and not paid out yet
	Withheld  int64 // of it, from charges that operators have not paid, or only lately
	Owed      int64 // that the merchant owes, for charges that were taken back
	Available int64
}

// Payable returns what a merchant is owed.
func (s *Service) Payable(ctx context.Context, tx *store.Tx, m *trade.Merchant) ([]Due, error) {
	currencies, err := s.currencies(ctx, tx, m)
	if err != nil {
		return nil, err
	}
	all := make([]Due, 0, len(currencies))
	for _, c := range currencies {
		d, err := s.due(ctx, tx, m, c, len(currencies) == 1)
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

func (s *Service) due(ctx context.Context, tx *store.Tx, m *trade.Merchant, c money.Currency, only bool) (Due, error) {
	d := Due{Currency: c, Withheld: m.Withheld}
	payable, err := leg{name: accPayable, of: m.ID}.account(ctx, tx, m.Test, c)
	if err != nil {
		return d, err
	}
	owed, err := leg{name: accOwed, of: m.ID}.account(ctx, tx, m.Test, c)
	if err != nil {
		return d, err
	}
	d.Earned, d.Owed = payable.Balance.Minor(), -owed.Balance.Minor()
	if !only { // what waits is kept in one sum: with several currencies, each waits for all of it
		d.Withheld = min(m.Withheld, d.Earned)
	}
	d.Available = max(d.Earned-d.Withheld-d.Owed, 0)
	return d, nil
}

// Pay pays a merchant out, all that is available for amount 0: to the wallet of
// its member if that is in the same currency, else by the bank. The same key pays
// once.
func (s *Service) Pay(ctx context.Context, tx *store.Tx, by string, m *trade.Merchant, currency string, amount int64, key string) (*trade.Payout, error) {
	ref := tx.Mac("payout", key)
	r, err := tx.RecordByRef(ctx, KindPayout, m.ID, ref)
	if err == nil {
		return read(r, fillPayout)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if m.Suspended {
		return nil, ErrSuspended
	}
	all, err := s.Payable(ctx, tx, m)
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		if !strings.EqualFold(d.Currency.Code, currency) {
			continue
		}
		if amount == 0 {
			amount = d.Available
		}
		if amount <= 0 || amount > d.Available {
			return nil, ErrAmount
		}
		return s.pay(ctx, tx, by, m, d, amount, ref)
	}
	return nil, ErrDestination
}

func (s *Service) pay(ctx context.Context, tx *store.Tx, by string, m *trade.Merchant, d Due, amount int64, ref string) (*trade.Payout, error) {
	p := &trade.Payout{Merchant: m.ID, Amount: amount, Currency: d.Currency.Code, Decimals: d.Currency.Decimals, To: ToBank}
	target := leg{name: accBank, amount: amount}
	if d.Currency == s.Set.Currency() && m.Member != 0 && !m.Test {
		id, err := s.account(ctx, tx, member.ID(m.Member), d.Currency)
		if err != nil {
			return nil, err
		}
		target, p.To = leg{id: id, amount: amount}, ToWallet
	}
	record := store.Record{Kind: KindPayout, Owner: m.ID, State: "paid", Ref: ref}
	if err := save(ctx, tx, &record, p); err != nil {
		return nil, err
	}
	p.ID, p.Created = record.ID, record.Created
	txn, err := s.post(ctx, tx, m.Test, d.Currency, fmt.Sprintf("payout:%d", p.ID),
		leg{name: accPayable, of: m.ID, amount: -amount - d.Owed}, leg{name: accOwed, of: m.ID, amount: d.Owed}, target)
	if err != nil {
		return nil, err
	}
	p.Transaction = int64(txn)
	if err := save(ctx, tx, &record, p); err != nil {
		return nil, err
	}
	tx.Act(by, "merchant.payout", subject(m), "")
	return p, s.emit(ctx, tx, m.ID, "payout.paid", p)
}

// maxSettled bounds the charges of one statement.
const maxSettled = 100_000

// Settle notes what an operator has paid for the charges of a gateway that came
// before a time: they may be paid out once their merchant's days of waiting are
// over. The difference to what was expected is a variance. The same key settles
// once.
func (s *Service) Settle(ctx context.Context, tx *store.Tx, by, gateway, currency string, until time.Time, received int64, key string) (*trade.Statement, error) {
	ref := tx.Mac("statement", key)
	r, err := tx.RecordByRef(ctx, KindStatement, 0, ref)
	if err == nil {
		return read(r, fillStatement)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if received < 0 || received > trade.MaxSum {
		return nil, ErrAmount
	}
	st := &trade.Statement{Gateway: gateway, Currency: currency, Received: received}
	record := store.Record{Kind: KindStatement, State: "reconciled", Ref: ref}
	if err := save(ctx, tx, &record, st); err != nil {
		return nil, err
	}
	st.ID, st.Created = record.ID, record.Created
	c := money.Currency{Code: currency}
	merchants := map[int64]bool{}
	for w := (store.RecordsWhere{Kind: KindCharge, States: []string{string(trade.ChargeConfirmed)}}); st.Charges < maxSettled; {
		all, err := some(ctx, tx, w, store.MaxRecords, fillCharge)
		if err != nil {
			return nil, err
		}
		for _, charge := range all {
			w.After = charge.ID
			if charge.Gateway != gateway || charge.Currency != currency || charge.Created.After(until) {
				continue
			}
			m, err := s.Merchant(ctx, tx, charge.Merchant)
			if err != nil {
				return nil, err
			}
			if m.Test {
				continue
			}
			c.Decimals = charge.Decimals
			st.Charges++
			st.Expected += charge.Net
			merchants[m.ID] = true
			charge.State, charge.Settled = trade.ChargeSettled, tx.Now().AddDate(0, 0, m.HoldDays)
			if err := s.saveCharge(ctx, tx, charge); err != nil {
				return nil, err
			}
		}
		if len(all) < store.MaxRecords {
			break
		}
	}
	if st.Charges == 0 {
		return nil, ErrAmount
	}
	_, err = s.post(ctx, tx, false, c, fmt.Sprintf("statement:%d", st.ID),
		leg{name: accBank, amount: -received}, leg{name: accReceivable, of: gateway, amount: st.Expected},
		leg{name: accVariance, amount: received - st.Expected})
	if err != nil {
		return nil, err
	}
	tx.Act(by, "statement", fmt.Sprintf("statement:%d", st.ID), "")
	if err := save(ctx, tx, &record, st); err != nil {
		return nil, err
	}
	for id := range merchants {
		if err := s.emit(ctx, tx, id, "payout.reconciled", st); err != nil {
			return nil, err
		}
	}
	return st, nil
}
