package merchant

import (
	"context"
	"errors"
	"fmt"
	"time"

	"maillon/internal/notice"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/trade"
)

// Claim lets an order through and takes its slot and its advance, or returns the
// claim that it has already: fresh is false then. With request the order exists
// already, and a client with a number is asked by SMS if she is not authorized yet. It
// returns a *trade.Refusal, or an error of Check.
func (s *Service) Claim(ctx context.Context, tx *store.Tx, m *trade.Merchant, ask Ask, request bool) (c *trade.Claim, fresh bool, err error) {
	d, err := s.decide(ctx, tx, m, ask)
	if err == nil && d.Claim != nil {
		return d.Claim, false, nil
	}
	c = &trade.Claim{
		Merchant: m.ID, OrderRef: ask.Order.Ref, Total: ask.Order.Total, Currency: ask.Order.Currency, Delivery: ask.Order.Delivery, Point: ask.Order.Point,
	}
	if err == nil {
		c.State = trade.Reserved
		if request {
			c.State = trade.Opened
		}
		return c, true, s.take(ctx, tx, m, d.Policy, d.Authorization, c, d.Advance)
	}
	if refusal, ok := errors.AsType[*trade.Refusal](err); !request || ask.Phone == "" || !ok || !mayBeAsked(refusal.Reason) {
		return nil, false, err
	}
	return c, true, s.request(ctx, tx, m, ask, c)
}

// mayBeAsked reports whether a client can do something about a refusal.
func mayBeAsked(r trade.Reason) bool {
	switch r {
	case trade.NotFound, trade.IsPending, trade.IsExhausted, trade.IsExpired, trade.IsClosed, trade.OrderLimit, trade.AdvanceRequired, trade.IsForfeited:
		return true
	}
	return false
}

// request keeps an order that waits for its client, and asks her.
func (s *Service) request(ctx context.Context, tx *store.Tx, m *trade.Merchant, ask Ask, c *trade.Claim) error {
	p, err := s.offered(ctx, tx, m, ask.Policy)
	if err != nil {
		return err
	}
	if p == nil || p.Ended {
		return &trade.PolicyError{Field: "policy", What: "the merchant has none that is open"}
	}
	if ask.Order.Currency != p.Currency.Code {
		return &trade.Refusal{Reason: trade.WrongCurrency}
	}
	if !p.Delivers(ask.Order) {
		return &trade.Refusal{Reason: trade.NotDelivered}
	}
	if p.MaxTotal > 0 && ask.Order.Total > p.MaxTotal {
		return &trade.Refusal{Reason: trade.TotalTooHigh}
	}
	n, err := s.number(ask.Phone)
	if err != nil {
		return err
	}
	who := whoPhone(tx, m.Test, n)
	if err := s.patience(ctx, tx, m, n, who); err != nil {
		return err
	}
	to := address{Number: n.E164()}
	if c.Contact, err = s.seal(ctx, tx, to); err != nil {
		return err
	}
	c.Policy, c.State, c.Who, c.Due = p.ID, trade.Requested, who, s.Now(tx, m).Add(trade.RequestFor)
	if err := s.saveClaim(ctx, tx, c); err != nil {
		return err
	}
	err = s.tell(ctx, tx, m, to, "marchand.demande", notice.Fields{
		"shop": m.Name, "order": cut(c.OrderRef), "sum": s.sum(c.Total, p.Currency), "kw": p.Keyword, "line": s.LineOf(p),
	})
	if err != nil {
		return err
	}
	return s.emit(ctx, tx, m.ID, "claim.requested", c)
}

// patience counts one more SMS that asks a client, or refuses it: nobody is flooded
// by a shop, neither with orders that wait nor with orders that it takes back.
func (s *Service) patience(ctx context.Context, tx *store.Tx, m *trade.Merchant, n sms.Number, who []byte) error {
	w := store.RecordsWhere{Kind: KindClaim, Owner: m.ID, Who: who, States: []string{string(trade.Requested)}}
	waiting, err := tx.Records(ctx, w, maxRequested)
	switch {
	case err != nil:
		return err
	case len(waiting) == maxRequested:
		return &trade.Refusal{Reason: trade.TooManyOpen}
	case m.Test: // nothing leaves
		return nil
	}
	asked, err := tx.Count(ctx, fmt.Sprintf("asked:%d:%s", m.ID, tx.Mac("asked", n.E164())), tx.Now().Truncate(askedIn))
	if err == nil && asked > maxRequested {
		err = &trade.Refusal{Reason: trade.TooManyOpen}
	}
	return err
}

// take gives an order its slot.
func (s *Service) take(ctx context.Context, tx *store.Tx, m *trade.Merchant, p *trade.Policy, a *trade.Authorization, c *trade.Claim, advance int64) error {
	now := s.Now(tx, m)
	a.Take(p, advance)
	c.Policy, c.Authorization, c.Who, c.Advance = p.ID, a.ID, a.Who, advance
	event := "claim.opened"
	if c.State == trade.Reserved {
		c.Due, event = now.Add(trade.ReserveFor), "claim.reserved"
	}
	if err := s.saveClaim(ctx, tx, c); err != nil {
		return err
	}
	key := fmt.Sprintf("claim:%d:open", c.ID)
	if err := s.ready(ctx, tx, a, p, accAdvance, advance, key); err != nil {
		return err
	}
	_, err := s.post(ctx, tx, p.Test, p.Currency, key,
		leg{name: accAdvance, of: a.ID, amount: -advance}, leg{name: accPrepaid, of: c.ID, amount: advance})
	if err != nil {
		return err
	}
	if err := s.saveAuthorization(ctx, tx, a); err != nil {
		return err
	}
	if err := s.emit(ctx, tx, m.ID, event, c); err != nil || a.State != trade.Exhausted {
		return err
	}
	return s.emit(ctx, tx, m.ID, "authorization.exhausted", a)
}

// A course is a claim on its way to another state.
type course struct {
	c *trade.Claim
	a *trade.Authorization // nil while it is only requested
	p *trade.Policy
	m *trade.Merchant
}

// move reads a claim and moves it; moved is false if it was there already.
func (s *Service) move(ctx context.Context, tx *store.Tx, m *trade.Merchant, id int64, next trade.State) (o course, moved bool, err error) {
	o.m = m
	if o.c, err = s.ClaimByID(ctx, tx, m, id); err != nil {
		return o, false, err
	}
	if o.c.Authorization == 0 {
		o.p, err = s.Policy(ctx, tx, m, o.c.Policy)
	} else if o.a, err = s.Authorization(ctx, tx, m, o.c.Authorization); err == nil {
		o.p, err = s.Terms(ctx, tx, o.a)
	}
	if err != nil {
		return o, false, err
	}
	if o.a == nil && next != trade.Released && next != o.c.State {
		return o, false, &trade.StateError{Is: o.c.State}
	}
	moved, err = o.c.To(next, s.Now(tx, m))
	return o, moved, err
}

// done saves both, and tells the shop.
func (s *Service) done(ctx context.Context, tx *store.Tx, o course, event string) error {
	if o.a != nil {
		if err := s.release(ctx, tx, o.a); err != nil {
			return err
		}
		if err := s.saveAuthorization(ctx, tx, o.a); err != nil {
			return err
		}
	}
	if err := s.saveClaim(ctx, tx, o.c); err != nil {
		return err
	}
	return s.emit(ctx, tx, o.m.ID, event, o.c)
}

// Confirm says that the shop has placed the order of a reserved claim.
func (s *Service) Confirm(ctx context.Context, tx *store.Tx, _ string, m *trade.Merchant, id int64) (*trade.Claim, error) {
	o, moved, err := s.move(ctx, tx, m, id, trade.Opened)
	if err != nil || !moved {
		return o.c, err
	}
	return o.c, s.done(ctx, tx, o, "claim.opened")
}

// Honour says that the client has paid on delivery: the advance is the merchant's,
// the deposit stays.
func (s *Service) Honour(ctx context.Context, tx *store.Tx, _ string, m *trade.Merchant, id int64) (*trade.Claim, error) {
	o, moved, err := s.move(ctx, tx, m, id, trade.Honoured)
	if err != nil || !moved {
		return o.c, err
	}
	if err := s.earn(ctx, tx, o, 0, "honour"); err != nil {
		return nil, err
	}
	o.a.End(0, false)
	return o.c, s.done(ctx, tx, o, "claim.honoured")
}

// earn posts the advance of an order, and what is lost of the deposit, to the
// merchant.
func (s *Service) earn(ctx context.Context, tx *store.Tx, o course, lost int64, what string) error {
	key := fmt.Sprintf("claim:%d:%s", o.c.ID, what)
	if err := s.ready(ctx, tx, o.a, o.p, accDeposit, lost, key); err != nil {
		return err
	}
	_, err := s.post(ctx, tx, o.p.Test, o.p.Currency, key,
		leg{name: accPrepaid, of: o.c.ID, amount: -o.c.Advance}, leg{name: accDeposit, of: o.a.ID, amount: -lost},
		leg{name: accPayable, of: o.m.ID, amount: o.c.Advance + lost})
	if err != nil {
		return err
	}
	return s.change(ctx, tx, o.m, o.a, func() { o.a.Earned += o.c.Advance + lost })
}

// change runs do on an authorization, and keeps what the merchant must wait for
// in step.
func (s *Service) change(ctx context.Context, tx *store.Tx, m *trade.Merchant, a *trade.Authorization, do func()) error {
	by := a.Change(do)
	if by == 0 {
		return nil
	}
	m.Withheld += by
	return s.saveMerchant(ctx, tx, m)
}

// Release says that the merchant cancels the order: the advance is the client's again.
func (s *Service) Release(ctx context.Context, tx *store.Tx, _ string, m *trade.Merchant, id int64) (*trade.Claim, error) {
	return s.letGo(ctx, tx, m, id, "")
}

func (s *Service) letGo(ctx context.Context, tx *store.Tx, m *trade.Merchant, id int64, reason string) (*trade.Claim, error) {
	before, err := s.ClaimByID(ctx, tx, m, id)
	if err != nil {
		return nil, err
	}
	o, moved, err := s.move(ctx, tx, m, id, trade.Released)
	if err != nil || !moved {
		return o.c, err
	}
	o.c.Reason = reason
	if o.a == nil {
		return o.c, s.done(ctx, tx, o, "claim.released")
	}
	if err := s.back(ctx, tx, o, "release"); err != nil {
		return nil, err
	}
	o.a.End(o.c.Advance, o.p.ReturnsSlot || before.State == trade.Reserved)
	return o.c, s.done(ctx, tx, o, "claim.released")
}

// back posts the advance of an order to the client's.
func (s *Service) back(ctx context.Context, tx *store.Tx, o course, what string) error {
	_, err := s.post(ctx, tx, o.p.Test, o.p.Currency, fmt.Sprintf("claim:%d:%s", o.c.ID, what),
		leg{name: accPrepaid, of: o.c.ID, amount: -o.c.Advance}, leg{name: accAdvance, of: o.a.ID, amount: o.c.Advance})
	return err
}

// Withdraw says that the client used her right to withdraw: nothing of the deposit
// is lost, and the policy says whose the advance is.
func (s *Service) Withdraw(ctx context.Context, tx *store.Tx, _ string, m *trade.Merchant, id int64) (*trade.Claim, error) {
	o, moved, err := s.move(ctx, tx, m, id, trade.Withdrawn)
	if err != nil || !moved {
		return o.c, err
	}
	returned := int64(0)
	if o.p.RefundWithdraw {
		returned = o.c.Advance
		err = s.back(ctx, tx, o, "withdraw")
	} else {
		err = s.earn(ctx, tx, o, 0, "withdraw")
	}
	if err != nil {
		return nil, err
	}
	o.a.End(returned, false)
	return o.c, s.done(ctx, tx, o, "claim.withdrawn")
}

// NotHonoured says that the client did not take or pay the order. Nothing is lost
// yet: she is told what would be, and has the policy's time to say otherwise.
func (s *Service) NotHonoured(ctx context.Context, tx *store.Tx, _ string, m *trade.Merchant, id int64, reason string, evidence []string) (*trade.Claim, error) {
	if !plain(reason) || !grounds(evidence) {
		return nil, ErrReasonNeeded
	}
	if m.Braked {
		return nil, ErrBraked
	}
	o, moved, err := s.move(ctx, tx, m, id, trade.NotHonoured)
	if err != nil || !moved {
		return o.c, err
	}
	o.c.Reason, o.c.Evidence, o.c.Due = reason, evidence, s.Now(tx, m).Add(o.p.Window)
	o.c.Done = time.Time{}
	o.c.AtRisk = atRisk(o.p, o.a)
	err = s.tellClient(ctx, tx, m, o.a, "marchand.perdu", notice.Fields{
		"shop": m.Name, "order": cut(o.c.OrderRef), "sum": s.sum(o.c.AtRisk+o.c.Advance, o.p.Currency), "d": notice.Day(o.c.Due), "n": o.c.ID,
	})
	if err != nil {
		return nil, err
	}
	return o.c, s.done(ctx, tx, o, "claim.not_honoured")
}

// atRisk is what of the deposit would be lost.
func atRisk(p *trade.Policy, a *trade.Authorization) int64 {
	if p.Kind == trade.Advance {
		return 0
	}
	if p.Forfeit > 0 {
		return min(a.Deposit, p.Forfeit)
	}
	return a.Deposit
}

func grounds(evidence []string) bool {
	if len(evidence) == 0 || len(evidence) > MaxEvidence {
		return false
	}
	for _, e := range evidence {
		if !plain(e) {
			return false
		}
	}
	return true
}

// forfeit gives the merchant what is lost: the window has passed, or the client
// was not right.
func (s *Service) forfeit(ctx context.Context, tx *store.Tx, m *trade.Merchant, id int64) (*trade.Claim, error) {
	o, moved, err := s.move(ctx, tx, m, id, trade.Forfeit)
	if err != nil || !moved {
		return o.c, err
	}
	o.c.AtRisk = min(o.c.AtRisk, o.a.Deposit)
	if err := s.earn(ctx, tx, o, o.c.AtRisk, "forfeit"); err != nil {
		return nil, err
	}
	o.a.Forfeit(o.c.AtRisk)
	if err := s.done(ctx, tx, o, "claim.forfeited"); err != nil {
		return nil, err
	}
	if err := s.emit(ctx, tx, m.ID, "authorization.forfeited", o.a); err != nil {
		return nil, err
	}
	err = s.tellClient(ctx, tx, m, o.a, "marchand.confisque", notice.Fields{
		"shop": m.Name, "order": cut(o.c.OrderRef), "sum": s.sum(o.c.AtRisk+o.c.Advance, o.p.Currency),
	})
	if err != nil {
		return nil, err
	}
	return o.c, s.brake(ctx, tx, m)
}

// The brake: who forfeits this share of the orders that had an outcome lately,
// and not only a few, must be looked at.
const (
	brakeOf      = 5
	brakePercent = 30
	brakeIn      = 90 * 24 * time.Hour
	brakeHolds   = 24 * time.Hour // what is to be forfeited meanwhile, each time
)

func (s *Service) brake(ctx context.Context, tx *store.Tx, m *trade.Merchant) error {
	o, err := s.Outcomes(ctx, tx, m, later(s.Now(tx, m).Add(-brakeIn), m.Looked))
	if err != nil || o.Forfeited < brakeOf || o.ForfeitPercent <= brakePercent || m.Braked {
		return err
	}
	m.Braked = true
	if err := s.saveMerchant(ctx, tx, m); err != nil || s.Alert == nil || m.Test {
		return err
	}
	return s.Alert(ctx, tx, "FORFEIT")
}

// Outcomes are how a merchant's orders ended.
type Outcomes struct {
	Requested, Open, Honoured, Released, Withdrawn, NotHonoured, Forfeited, Reinstated int

	ForfeitPercent int // of those that were honoured or forfeited
}

// maxOutcomes bounds how many orders are counted.
const maxOutcomes = 50_000

// Outcomes counts the orders that were claimed since a time, at most 50,000.
func (s *Service) Outcomes(ctx context.Context, tx *store.Tx, m *trade.Merchant, since time.Time) (o Outcomes, err error) {
	to := map[trade.State]*int{
		trade.Requested: &o.Requested, trade.Reserved: &o.Open, trade.Opened: &o.Open, trade.Honoured: &o.Honoured, trade.Released: &o.Released,
		trade.Withdrawn: &o.Withdrawn, trade.NotHonoured: &o.NotHonoured, trade.Forfeit: &o.Forfeited, trade.Reinstated: &o.Reinstated,
	}
	if m.Test { // its times are of another clock
		since = time.Time{}
	}
	w := store.RecordsWhere{Kind: KindClaim, Owner: m.ID, Since: since}
	for n := 0; n < maxOutcomes; {
		all, err := tx.Records(ctx, w, store.MaxRecords)
		if err != nil {
			return o, err
		}
		for _, r := range all {
			if count := to[trade.State(r.State)]; count != nil {
				*count++
			}
			w.After = r.ID
		}
		if n += len(all); len(all) < store.MaxRecords {
			break
		}
	}
	if sum := o.Honoured + o.Forfeited; sum > 0 {
		o.ForfeitPercent = 100 * o.Forfeited / sum
	}
	return o, nil
}

// Revoke ends an authorization for new orders; no money moves.
func (s *Service) Revoke(ctx context.Context, tx *store.Tx, by string, m *trade.Merchant, id int64, reason string) (*trade.Authorization, error) {
	if !plain(reason) {
		return nil, ErrReasonNeeded
	}
	a, err := s.Authorization(ctx, tx, m, id)
	if err != nil {
		return nil, err
	}
	if a.State == trade.Revoked {
		return a, nil
	}
	tx.Act(by, "authorization.revoke", fmt.Sprintf("authorization:%d", a.ID), reason)
	return a, s.revoke(ctx, tx, a, reason)
}

func (s *Service) revoke(ctx context.Context, tx *store.Tx, a *trade.Authorization, reason string) error {
	if err := a.Revoke(reason); err != nil {
		return err
	}
	if err := s.release(ctx, tx, a); err != nil {
		return err
	}
	if err := s.saveAuthorization(ctx, tx, a); err != nil {
		return err
	}
	return s.emit(ctx, tx, a.Merchant, "authorization.revoked", a)
}
