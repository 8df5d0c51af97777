package merchant

import (
	"context"
	"errors"
	"fmt"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/notice"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/trade"
)

// billKey is by what a charge is found when its operator speaks of it again.
func billKey(tx *store.Tx, gateway, key string) string { return tx.Mac("bill:"+gateway, key) }

// charge keeps a charge of a message that came, and what its operator has said of
// it before it came.
func (s *Service) charge(ctx context.Context, tx *store.Tx, m *trade.Merchant, p *trade.Policy, a *trade.Authorization, in sms.Incoming) (*trade.Charge, error) {
	state := trade.State(in.Charge.State)
	c := &trade.Charge{
		Merchant: m.ID, Authorization: a.ID, Gateway: in.Gateway, Key: billKey(tx, in.Gateway, in.Key), Rail: trade.Premium,
		Gross: in.Charge.Gross, Net: in.Charge.Net, Currency: in.Charge.Currency, Decimals: p.Currency.Decimals, Model: in.Charge.Model,
		State: trade.ChargePending,
	}
	if c.Net <= 0 || c.Net > c.Gross {
		c.Net = c.Gross
	}
	bill, err := tx.RecordByRef(ctx, kindBilling, 0, c.Key)
	switch {
	case err == nil && bill.Parent != 0:
		return nil, store.ErrTaken // the inbox keeps a repeated SMS from coming here
	case err == nil:
		state = heard(state, trade.State(bill.State))
	case !errors.Is(err, store.ErrNotFound):
		return nil, err
	default:
		bill = store.Record{Kind: kindBilling, Ref: c.Key, Body: []byte(`{}`)}
	}
	if err := s.saveCharge(ctx, tx, c); err != nil {
		return nil, err
	}
	bill.Parent, bill.State = c.ID, ""
	if err := tx.SaveRecord(ctx, &bill); err != nil {
		return nil, err
	}
	return c, s.billed(ctx, tx, m, p, a, c, state)
}

// Bill implements sms.Biller: what an operator says of a charge, in whatever order
// and however often.
func (s *Service) Bill(ctx context.Context, b sms.Bill) error {
	return s.DB.Update(ctx, func(tx *store.Tx) error { return s.bill(ctx, tx, b) })
}

func (s *Service) bill(ctx context.Context, tx *store.Tx, b sms.Bill) error {
	key := billKey(tx, b.Gateway, b.Key)
	r, err := tx.RecordByRef(ctx, kindBilling, 0, key)
	if errors.Is(err, store.ErrNotFound) || err == nil && r.Parent == 0 { // it comes before the SMS
		if err != nil {
			r = store.Record{Kind: kindBilling, Ref: key, Body: []byte(`{}`)}
		}
		r.State = string(heard(trade.State(r.State), trade.State(b.State)))
		return tx.SaveRecord(ctx, &r)
	}
	if err != nil {
		return err
	}
	c, err := one(ctx, tx, nil, KindCharge, r.Parent, fillCharge)
	if err != nil {
		return err
	}
	a, err := s.Authorization(ctx, tx, nil, c.Authorization)
	if err != nil {
		return err
	}
	p, err := s.Terms(ctx, tx, a)
	if err != nil {
		return err
	}
	m, err := s.Merchant(ctx, tx, c.Merchant)
	if err != nil {
		return err
	}
	if b.Net > 0 && b.Net <= c.Gross && c.State == trade.ChargePending {
		c.Net = b.Net
	}
	before := *a
	if err := s.billed(ctx, tx, m, p, a, c, trade.State(b.State)); err != nil {
		return err
	}
	if c.State != trade.ChargeConfirmed || before.Paid == a.Paid && before.Advance == a.Advance && before.Deposit == a.Deposit {
		return nil
	}
	return s.tellStanding(ctx, tx, m, p, a, nil)
}

// heard is what is known of a charge whose SMS is still on its way, after one more
// bill: the same as if it had been there already, see billed.
func heard(was, now trade.State) trade.State {
	switch {
	case now == trade.ChargePending && was != "", was == trade.ChargeClawedBack:
		return was
	case was == trade.ChargeConfirmed && now == trade.ChargeFailed:
		return trade.ChargeClawedBack
	}
	return now
}

// billed moves a charge to what its operator says, and the money with it. What
// was said before is not done again; a failure after a confirmation is a clawback.
func (s *Service) billed(ctx context.Context, tx *store.Tx, m *trade.Merchant, p *trade.Policy, a *trade.Authorization, c *trade.Charge, to trade.State) error {
	credited := c.State == trade.ChargeConfirmed || c.State == trade.ChargeSettled
	switch {
	case to == trade.ChargeConfirmed && (c.State == trade.ChargePending || c.State == trade.ChargeFailed):
		if c.Currency != p.Currency.Code {
			return s.unassigned(ctx, tx, m, c)
		}
		c.State = trade.ChargeConfirmed
		return s.credit(ctx, tx, m, p, a, c)
	case to == trade.ChargeFailed && c.State == trade.ChargePending:
		c.State = trade.ChargeFailed
		if err := s.saveCharge(ctx, tx, c); err != nil {
			return err
		}
		if err := s.tellClient(ctx, tx, m, a, "marchand.echec", notice.Fields{"shop": m.Name}); err != nil {
			return err
		}
		return s.emit(ctx, tx, m.ID, "charge.failed", c)
	case (to == trade.ChargeClawedBack || to == trade.ChargeFailed) && credited:
		return s.clawBack(ctx, tx, m, p, a, c)
	case to == trade.ChargeClawedBack && c.State == trade.ChargePending:
		c.State = trade.ChargeClawedBack
		return s.saveCharge(ctx, tx, c)
	}
	return nil
}

// unassigned keeps a charge in another currency than the policy's: nothing can be
// given for it, and an administrator is told.
func (s *Service) unassigned(ctx context.Context, tx *store.Tx, m *trade.Merchant, c *trade.Charge) error {
	c.State = trade.ChargeFailed
	if err := s.saveCharge(ctx, tx, c); err != nil {
		return err
	}
	if err := s.emit(ctx, tx, m.ID, "charge.failed", c); err != nil || s.Alert == nil || m.Test {
		return err
	}
	return s.Alert(ctx, tx, "CHARGE")
}

// credit gives a client what a confirmed charge brings.
func (s *Service) credit(ctx context.Context, tx *store.Tx, m *trade.Merchant, p *trade.Policy, a *trade.Authorization, c *trade.Charge) error {
	c.Credited = c.Gross
	if p.Basis == trade.Net {
		c.Credited = c.Net
	}
	if err := s.saveCharge(ctx, tx, c); err != nil {
		return err
	}
	var deposit, advance int64
	err := s.change(ctx, tx, m, a, func() {
		deposit, advance = a.Fund(p, c.Credited)
		a.Unsettled += c.Credited
	})
	if err != nil {
		return err
	}
	if c.Gross < p.Price { // it is hers, but it is not the message that was asked for
		a.Paid--
	}
	legs := []leg{
		{name: accDeposit, of: a.ID, amount: deposit}, {name: accAdvance, of: a.ID, amount: advance},
	}
	switch c.Rail {
	case trade.Cash:
		legs = append(legs, leg{name: accCash, amount: -c.Credited})
	default:
		c.Held = p.Holder == trade.AMerchant
		legs = append(legs, debtor(m, c, -c.Net), leg{name: accShare, of: m.ID, amount: c.Net - c.Credited})
	}
	if _, err := s.post(ctx, tx, p.Test, p.Currency, fmt.Sprintf("charge:%d", c.ID), legs...); err != nil {
		return err
	}
	if c.Rail == trade.Cash || c.Held { // no operator pays us for it
		c.State, c.Settled = trade.ChargeSettled, tx.Now()
		if err := s.saveCharge(ctx, tx, c); err != nil {
			return err
		}
		if err := s.change(ctx, tx, m, a, func() { a.Unsettled -= c.Credited }); err != nil {
			return err
		}
	}
	if a.Rail == "" {
		a.Rail = c.Rail
	}
	if err := s.emit(ctx, tx, m.ID, "charge.confirmed", c); err != nil {
		return err
	}
	return s.funded(ctx, tx, m, p, a)
}

// debtor is who owes us what an operator bills: the operator, or the merchant whom
// it pays.
func debtor(m *trade.Merchant, c *trade.Charge, amount int64) leg {
	if c.Held {
		return leg{name: accOwed, of: m.ID, amount: amount}
	}
	return leg{name: accReceivable, of: c.Gateway, amount: amount}
}

// funded saves an authorization that has got money or a message, makes it active
// if that was the last, and lets the orders through that waited for it.
func (s *Service) funded(ctx context.Context, tx *store.Tx, m *trade.Merchant, p *trade.Policy, a *trade.Authorization) error {
	event := "authorization.topped_up"
	if a.Challenge == "" && a.Activate(p, s.Now(tx, m)) {
		event = "authorization.activated"
	}
	if p.Ended && a.Live() {
		a.State, a.Reason = trade.Revoked, "policy_ended"
		event = "authorization.revoked"
	}
	if err := s.saveAuthorization(ctx, tx, a); err != nil {
		return err
	}
	if a.State == trade.Active && p.Flow == trade.ByCode && a.Code == "" {
		a.Code = codeRef(tx, m.ID, codeOf(tx, a.ID))
		r := store.Record{Kind: kindCode, Owner: m.ID, Parent: a.ID, Ref: a.Code, Body: []byte(`{}`)}
		if err := tx.SaveRecord(ctx, &r); err != nil {
			return err
		}
		if err := s.saveAuthorization(ctx, tx, a); err != nil {
			return err
		}
	}
	if err := s.emit(ctx, tx, m.ID, event, a); err != nil || a.State != trade.Active {
		return err
	}
	return s.openRequested(ctx, tx, m, p, a)
}

// maxRequested bounds how many orders of one client wait for her SMS, and how many
// she is asked for in the span of askedIn.
const (
	maxRequested = 10
	askedIn      = 24 * time.Hour
)

// openRequested lets the client's orders through that were waiting for her, unless
// the merchant is stopped.
func (s *Service) openRequested(ctx context.Context, tx *store.Tx, m *trade.Merchant, p *trade.Policy, a *trade.Authorization) error {
	if m.Suspended {
		return nil
	}
	to, err := s.contact(ctx, tx, a)
	if err != nil || to.Number == "" {
		return err
	}
	n, err := to.number()
	if err != nil {
		return err
	}
	w := store.RecordsWhere{Kind: KindClaim, Owner: m.ID, Who: whoPhone(tx, m.Test, n), States: []string{string(trade.Requested)}}
	waiting, err := some(ctx, tx, w, maxRequested, fillClaim)
	if err != nil {
		return err
	}
	for _, c := range waiting {
		order := trade.Order{Ref: c.OrderRef, Total: c.Total, Currency: c.Currency, Delivery: c.Delivery, Point: c.Point}
		advance, err := a.Allows(p, order, s.Now(tx, m))
		if c.Policy != p.ID || err != nil {
			continue // it goes on waiting
		}
		if _, err := c.To(trade.Opened, s.Now(tx, m)); err != nil {
			return err
		}
		if err := s.take(ctx, tx, m, p, a, c, advance); err != nil {
			return err
		}
	}
	return nil
}

// clawBack undoes a charge that the operator takes back. What the client has spent
// by then, the merchant owes.
func (s *Service) clawBack(ctx context.Context, tx *store.Tx, m *trade.Merchant, p *trade.Policy, a *trade.Authorization, c *trade.Charge) error {
	settled := c.State == trade.ChargeSettled && !c.Settled.After(tx.Now())
	advance := min(c.Credited, a.Advance)
	deposit := int64(0)
	if a.Deposited != trade.Disputed {
		deposit = min(c.Credited-advance, a.Deposit)
	}
	owed := c.Credited - advance - deposit
	key := fmt.Sprintf("charge:%d:back", c.ID)
	if err := s.ready(ctx, tx, a, p, accAdvance, advance, key+":advance"); err != nil {
		return err
	}
	if err := s.ready(ctx, tx, a, p, accDeposit, deposit, key+":deposit"); err != nil {
		return err
	}
	_, err := s.post(ctx, tx, p.Test, p.Currency, key,
		leg{name: accAdvance, of: a.ID, amount: -advance}, leg{name: accDeposit, of: a.ID, amount: -deposit},
		leg{name: accOwed, of: m.ID, amount: -owed}, debtor(m, c, c.Net),
		leg{name: accShare, of: m.ID, amount: c.Credited - c.Net})
	if err != nil {
		return err
	}
	c.State = trade.ChargeClawedBack
	if err := s.saveCharge(ctx, tx, c); err != nil {
		return err
	}
	err = s.change(ctx, tx, m, a, func() {
		a.Advance -= advance
		a.Deposit -= deposit
		if c.Gross >= p.Price {
			a.Paid--
		}
		if !settled {
			a.Unsettled -= c.Credited
		}
	})
	if err != nil {
		return err
	}
	if err := s.emit(ctx, tx, m.ID, "charge.clawed_back", c); err != nil {
		return err
	}
	if (a.State == trade.Active || a.State == trade.Exhausted) && a.Paid < p.Messages {
		return s.revoke(ctx, tx, a, "charge_clawed_back")
	}
	return s.saveAuthorization(ctx, tx, a)
}

// TakeCash notes that a client has paid the price of one message at the desk. The
// same key is taken once.
func (s *Service) TakeCash(ctx context.Context, tx *store.Tx, by string, m *trade.Merchant, id int64, key string) (*trade.Authorization, error) {
	a, err := s.Authorization(ctx, tx, m, id)
	if err != nil {
		return nil, err
	}
	p, err := s.Terms(ctx, tx, a)
	if err != nil {
		return nil, err
	}
	bill := store.Record{Kind: kindBilling, Ref: billKey(tx, "desk", key), Body: []byte(`{}`)}
	if _, err := tx.RecordByRef(ctx, kindBilling, 0, bill.Ref); !errors.Is(err, store.ErrNotFound) {
		return a, err
	}
	switch {
	case !p.Takes(trade.Cash) || p.Price == 0:
		return nil, ErrDestination
	case !a.Live():
		return nil, &trade.StateError{Is: a.State}
	}
	c := &trade.Charge{
		Merchant: m.ID, Authorization: a.ID, Gateway: "desk", Key: bill.Ref, Rail: trade.Cash, Gross: p.Price, Net: p.Price,
		Currency: p.Currency.Code, Decimals: p.Currency.Decimals, State: trade.ChargeConfirmed,
	}
	if err := s.saveCharge(ctx, tx, c); err != nil {
		return nil, err
	}
	bill.Parent = c.ID
	if err := tx.SaveRecord(ctx, &bill); err != nil {
		return nil, err
	}
	tx.Act(by, "authorization.cash", fmt.Sprintf("authorization:%d", a.ID), "")
	if err := s.credit(ctx, tx, m, p, a, c); err != nil {
		return nil, err
	}
	return a, s.tellStanding(ctx, tx, m, p, a, nil)
}

// setAside takes what is missing from a member's account, by a hold: it stays hers
// until an order takes its advance, or is not honoured.
func (s *Service) setAside(ctx context.Context, tx *store.Tx, m *trade.Merchant, p *trade.Policy, a *trade.Authorization, from *member.Member) error {
	messages := max(p.Messages-a.Paid, 1)
	sum := money.New(p.Price*int64(messages), p.Currency)
	account, err := tx.AccountOf(ctx, from.ID, p.Currency)
	if err != nil {
		return err
	}
	if account.Spendable().Cmp(sum) < 0 { // before anything is let go
		return ledger.ErrInsufficient
	}
	if a.Hold != 0 { // one hold for all: the old one grows
		h, err := tx.Hold(ctx, ledger.HoldID(a.Hold))
		if err != nil {
			return err
		}
		left, err := sum.Add(h.Left)
		if err != nil {
			return err
		}
		if err := ledger.Release(ctx, tx, h.ID); err != nil {
			return err
		}
		sum = left
	}
	h := ledger.Hold{Account: account.ID, Placed: sum}
	if err := ledger.Place(ctx, tx, &h); err != nil {
		return err
	}
	a.Hold, a.Rail, a.Member = int64(h.ID), trade.Balance, int64(from.ID)
	for range messages {
		a.Fund(p, p.Price)
	}
	return s.funded(ctx, tx, m, p, a)
}
