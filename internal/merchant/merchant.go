// Package merchant lets a client order and pay on delivery after a small payment
// by SMS, which is lost if she does not honour the order: policies, what clients
// are authorized to, orders and their outcomes, disputes, refunds and payouts.
//
// The rules are in package trade; here they meet the books. All that is done is
// done in the caller's transaction: the state, the postings, the event for the
// shop and the SMS to the client are on disk together or not at all. Writers
// take turns, so that what was read stays so until the transaction ends: of two
// orders for one last slot, one gets it.
//
// How it works is told in docs/design/merchants.md.
package merchant

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"maillon/internal/member"
	"maillon/internal/notice"
	"maillon/internal/setting"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/trade"
)

// Kinds of records.
const (
	KindMerchant      = "merchant"
	KindPolicy        = "policy"
	KindAuthorization = "authorization"
	KindClaim         = "claim"
	KindCharge        = "charge"
	KindDispute       = "dispute"
	KindRefund        = "refund"
	KindPayout        = "payout"
	KindStatement     = "statement"

	kindKeyword = "keyword" // its policy is its parent
	kindTerms   = "terms"   // of a policy, its parent, until they were changed
	kindCode    = "code"    // its authorization is its parent
	kindBilling = "billing" // its charge is its parent; 0: the bill came before the SMS
)

// Bounds.
const (
	MaxRef      = 64  // octets of an order's reference
	MaxReason   = 200 // octets
	MaxEvidence = 10  // pieces, of MaxReason octets each
	MaxUsername = 32  // octets

	maxLive   = 50               // of one client's authorizations that are looked at
	triesIn   = 15 * time.Minute // in which codes may be tried
	triesMost = 5
	contactOf = 400 * 24 * time.Hour // how long a client's number can be read after it was last needed
)

var (
	// ErrTooManyTries means that codes were guessed: nothing is said for a while.
	ErrTooManyTries = errors.New("too many codes were tried: wait a quarter of an hour")
	// ErrReference means that an order's reference is empty, too long or not printable.
	ErrReference = errors.New("a reference has 1 to 64 printable characters of ASCII")
	// ErrAmount means that a sum is not positive, or more than there is.
	ErrAmount = errors.New("not a sum that is there")
	// ErrNotRefundable means that nothing may go back to the client now.
	ErrNotRefundable = errors.New("nothing can be refunded now")
	// ErrDestination means that money cannot go there.
	ErrDestination = errors.New("the money cannot go there")
	// ErrReasonNeeded means that a reason, and for an order that was not honoured
	// evidence, must be given.
	ErrReasonNeeded = errors.New("a reason and evidence are needed, of at most 200 octets each")
	// ErrBraked means that too many of the merchant's orders were forfeited.
	ErrBraked = errors.New("too many orders were forfeited: an administrator must look first")
	// ErrKeyword means that a keyword is another policy's, or a word of the SMS commands.
	ErrKeyword = errors.New("the keyword is taken")
	// ErrName means that a merchant's name would not do in an SMS.
	ErrName = errors.New("a name has 2 to 20 letters of GSM-7")
	// ErrSuspended means that an administrator has stopped the merchant.
	ErrSuspended = errors.New("the merchant is suspended")
	// ErrTestOnly means that only the twin for tests may do this.
	ErrTestOnly = errors.New("this can be done in test mode only")
	// ErrPhone means that a number is none.
	ErrPhone = errors.New("not a telephone number")
	// ErrUsername means that a username is empty or too long.
	ErrUsername = errors.New("a username has 1 to 32 letters and digits")
	// ErrAsk means that a question does not say who asks: exactly one of code,
	// phone, username and authorization is needed.
	ErrAsk = errors.New("exactly one of code, phone, username and authorization is needed")
)

// A Service is what merchants have of one association.
type Service struct {
	DB       *store.DB
	Voice    *notice.Voice
	Set      *setting.Settings
	Line     string                 // the number that clients write to, for policies without short code
	Reserved func(word string) bool // whether a word is one of the SMS commands
	// Emit leaves an event for a merchant's programs.
	Emit func(ctx context.Context, tx *store.Tx, merchant int64, typ string, object any) error
	// Alert tells administrators of what no program can put right.
	Alert func(ctx context.Context, tx *store.Tx, rule string) error
}

// Now returns what time it is for a merchant: the twin for tests has a clock of
// its own.
func (*Service) Now(tx *store.Tx, m *trade.Merchant) time.Time {
	if m.Test {
		return tx.Now().Add(m.Clock)
	}
	return tx.Now()
}

// A Page says which of many objects are wanted.
type Page struct {
	After, Before int64
	Limit         int // at most 100; 0: 20
	States        []trade.State
	Newest        bool
	Parent        int64 // that they belong to
}

const (
	pageUsual = 20
	pageMost  = 100
)

func (p Page) limit() int {
	if p.Limit <= 0 {
		return pageUsual
	}
	return min(p.Limit, pageMost+1)
}

func (p Page) where(kind string, m *trade.Merchant) store.RecordsWhere {
	w := store.RecordsWhere{Kind: kind, Parent: p.Parent, After: p.After, Before: p.Before, Newest: p.Newest}
	if m != nil {
		w.Owner = m.ID
	}
	for _, s := range p.States {
		w.States = append(w.States, string(s))
	}
	return w
}

// NewMerchant is who shall sell.
type NewMerchant struct {
	Name   string
	Member member.ID // who is paid out; 0: nobody yet
}

// usualHold is for how many days settled charges of a merchant wait before they
// are paid out: stolen SIM cards are noticed late.
const usualHold = 14

// Add registers a merchant and the twin for tests.
func (s *Service) Add(ctx context.Context, tx *store.Tx, by string, n NewMerchant) (live, test *trade.Merchant, err error) {
	name := strings.Join(strings.Fields(n.Name), " ")
	if l := len([]rune(name)); l < 2 || l > 20 || sms.AlphabetOf(name) != sms.GSM7 {
		return nil, nil, ErrName
	}
	live = &trade.Merchant{Name: name, Member: int64(n.Member), HoldDays: usualHold}
	test = &trade.Merchant{Name: name, Test: true}
	if err := s.saveMerchant(ctx, tx, live); err != nil {
		return nil, nil, err
	}
	test.Twin = live.ID
	if err := s.saveMerchant(ctx, tx, test); err != nil {
		return nil, nil, err
	}
	live.Twin = test.ID
	tx.Act(by, "merchant.add", subject(live), "")
	return live, test, s.saveMerchant(ctx, tx, live)
}

func subject(m *trade.Merchant) string { return fmt.Sprintf("merchant:%d", m.ID) }

func (*Service) saveMerchant(ctx context.Context, tx *store.Tx, m *trade.Merchant) error {
	state := "live"
	if m.Test {
		state = "test"
	}
	r := store.Record{Kind: KindMerchant, ID: m.ID, State: state, Created: m.Created}
	err := save(ctx, tx, &r, m)
	m.ID, m.Created = r.ID, r.Created
	return err
}

// save writes a record with its body.
func save(ctx context.Context, tx *store.Tx, r *store.Record, body any) (err error) {
	if r.Body, err = json.Marshal(body); err != nil {
		return err
	}
	return tx.SaveRecord(ctx, r)
}

func read[T any](r store.Record, fill func(*T, store.Record)) (*T, error) {
	v := new(T)
	if err := json.Unmarshal(r.Body, v); err != nil {
		return nil, fmt.Errorf("%s %d: %w", r.Kind, r.ID, err)
	}
	fill(v, r)
	return v, nil
}

// one reads an object of a merchant; another's is not found.
func one[T any](ctx context.Context, tx *store.Tx, m *trade.Merchant, kind string, id int64, fill func(*T, store.Record)) (*T, error) {
	r, err := tx.Record(ctx, kind, id)
	if err != nil {
		return nil, err
	}
	if m != nil && r.Owner != m.ID {
		return nil, store.ErrNotFound
	}
	return read(r, fill)
}

// some reads objects of a merchant, of all if m is nil.
func some[T any](ctx context.Context, tx *store.Tx, w store.RecordsWhere, limit int, fill func(*T, store.Record)) ([]*T, error) {
	all, err := tx.Records(ctx, w, limit)
	if err != nil {
		return nil, err
	}
	list := make([]*T, 0, len(all))
	for _, r := range all {
		v, err := read(r, fill)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

func fillMerchant(m *trade.Merchant, r store.Record) { m.ID, m.Created = r.ID, r.Created }

// Merchant returns a merchant, or store.ErrNotFound.
func (*Service) Merchant(ctx context.Context, tx *store.Tx, id int64) (*trade.Merchant, error) {
	return one(ctx, tx, nil, KindMerchant, id, fillMerchant)
}

// Merchants returns merchants without their twins, the oldest first.
func (*Service) Merchants(ctx context.Context, tx *store.Tx, after int64, limit int) ([]*trade.Merchant, error) {
	w := store.RecordsWhere{Kind: KindMerchant, States: []string{"live"}, After: after}
	return some(ctx, tx, w, min(limit, store.MaxRecords), fillMerchant)
}

// Suspend stops a merchant: nobody orders, nothing is paid out. Orders under way
// keep their course.
func (s *Service) Suspend(ctx context.Context, tx *store.Tx, by string, id int64, on bool, reason string) error {
	if !plain(reason) {
		return ErrReasonNeeded
	}
	m, err := s.Merchant(ctx, tx, id)
	if err != nil || m.Suspended == on {
		return err
	}
	m.Suspended = on
	what := "merchant.resume"
	if on {
		what = "merchant.suspend"
	}
	tx.Act(by, what, subject(m), reason)
	return s.saveMerchant(ctx, tx, m)
}

// Unbrake lets a merchant forfeit again, after an administrator has looked at the
// orders that there are.
func (s *Service) Unbrake(ctx context.Context, tx *store.Tx, by string, id int64, reason string) error {
	if !plain(reason) {
		return ErrReasonNeeded
	}
	m, err := s.Merchant(ctx, tx, id)
	if err != nil || !m.Braked {
		return err
	}
	m.Braked, m.Looked = false, s.Now(tx, m)
	tx.Act(by, "merchant.unbrake", subject(m), reason)
	return s.saveMerchant(ctx, tx, m)
}

// SetPayee says which member a merchant is, to be paid out.
func (s *Service) SetPayee(ctx context.Context, tx *store.Tx, by string, id int64, payee member.ID) error {
	m, err := s.Merchant(ctx, tx, id)
	if err != nil {
		return err
	}
	if _, err := tx.Member(ctx, payee); err != nil {
		return ErrDestination
	}
	m.Member = int64(payee)
	tx.Act(by, "merchant.payee", subject(m), "")
	return s.saveMerchant(ctx, tx, m)
}

// plain reports whether a reason is one: not empty, of bounded length, one line.
func plain(text string) bool {
	return strings.TrimSpace(text) != "" && len(text) <= MaxReason && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' })
}

// AddPolicy adds an offer, whose keyword becomes its own.
func (s *Service) AddPolicy(ctx context.Context, tx *store.Tx, by string, m *trade.Merchant, p *trade.Policy) error {
	if err := p.Check(); err != nil {
		return err
	}
	if s.Reserved != nil && s.Reserved(strings.ToLower(p.Keyword)) {
		return ErrKeyword
	}
	p.ID, p.Merchant, p.Test, p.Ended = 0, m.ID, m.Test, false
	if err := s.savePolicy(ctx, tx, p); err != nil {
		return err
	}
	word := store.Record{Kind: kindKeyword, Owner: tester(m), Parent: p.ID, Ref: p.Keyword, Body: []byte(`{}`)}
	if err := tx.SaveRecord(ctx, &word); err != nil {
		if errors.Is(err, store.ErrTaken) {
			return ErrKeyword
		}
		return err
	}
	tx.Act(by, "policy.add", fmt.Sprintf("policy:%d", p.ID), "")
	return nil
}

// tester is whose keywords are apart: those of test mode are each merchant's own,
// those of real messages are all merchants'.
func tester(m *trade.Merchant) int64 {
	if m == nil || !m.Test {
		return 0
	}
	return m.ID
}

// ChangePolicy changes an offer, for who comes from now on, see Terms. Its keyword,
// kind, flow and currency stay.
func (s *Service) ChangePolicy(ctx context.Context, tx *store.Tx, by string, m *trade.Merchant, p *trade.Policy) error {
	was, err := s.Policy(ctx, tx, m, p.ID)
	if err != nil {
		return err
	}
	for _, c := range []struct {
		same  bool
		field string
	}{
		{p.Keyword == was.Keyword, "keyword"}, {p.Kind == was.Kind, "kind"}, {p.Flow == was.Flow, "flow"}, {p.Currency == was.Currency, "currency"},
	} {
		if !c.same {
			return &trade.PolicyError{Field: c.field, What: "cannot be changed: add another policy"}
		}
	}
	if err := p.Check(); err != nil {
		return err
	}
	if err := s.keepTerms(ctx, tx, was); err != nil {
		return err
	}
	p.Merchant, p.Test, p.Created = m.ID, m.Test, was.Created
	tx.Act(by, "policy.change", fmt.Sprintf("policy:%d", p.ID), "")
	return s.savePolicy(ctx, tx, p)
}

func (*Service) savePolicy(ctx context.Context, tx *store.Tx, p *trade.Policy) error {
	state := "open"
	if p.Ended {
		state = "ended"
	}
	r := store.Record{Kind: KindPolicy, ID: p.ID, Owner: p.Merchant, State: state, Created: p.Created}
	err := save(ctx, tx, &r, p)
	p.ID, p.Created = r.ID, r.Created
	return err
}

func fillPolicy(p *trade.Policy, r store.Record) {
	p.ID, p.Merchant, p.Created = r.ID, r.Owner, r.Created
}

// Policy returns a policy, or store.ErrNotFound.
func (*Service) Policy(ctx context.Context, tx *store.Tx, m *trade.Merchant, id int64) (*trade.Policy, error) {
	return one(ctx, tx, m, KindPolicy, id, fillPolicy)
}

// Policies returns a merchant's policies.
func (*Service) Policies(ctx context.Context, tx *store.Tx, m *trade.Merchant, p Page) ([]*trade.Policy, error) {
	return some(ctx, tx, p.where(KindPolicy, m), p.limit(), fillPolicy)
}

func (*Service) saveAuthorization(ctx context.Context, tx *store.Tx, a *trade.Authorization) error {
	r := store.Record{
		Kind: KindAuthorization, ID: a.ID, Owner: a.Merchant, Parent: a.Policy, State: string(a.State), Who: a.Who, Due: a.Expires, Created: a.Created,
	}
	switch a.State {
	case trade.Pending:
		r.Due = a.Dies
	case trade.Active, trade.Exhausted:
		if !a.Warned && !a.Expires.IsZero() {
			r.Due = a.Expires.Add(-trade.WarnBefore)
		}
	default:
		r.Due = time.Time{}
	}
	if a.Live() { // one at a time, and money goes to that
		r.Ref = live(a.Policy, a.Who)
	}
	err := save(ctx, tx, &r, a)
	if errors.Is(err, store.ErrTaken) { // it is active again, but her money goes to another by now
		r.Ref = ""
		err = save(ctx, tx, &r, a)
	}
	a.ID, a.Created = r.ID, r.Created
	return err
}

func live(policy int64, who []byte) string { return fmt.Sprintf("%d:%x", policy, who) }

func fillAuthorization(a *trade.Authorization, r store.Record) {
	a.ID, a.Merchant, a.Policy, a.State, a.Who, a.Created = r.ID, r.Owner, r.Parent, trade.State(r.State), r.Who, r.Created
}

// Authorization returns an authorization as it is now, or store.ErrNotFound.
func (s *Service) Authorization(ctx context.Context, tx *store.Tx, m *trade.Merchant, id int64) (*trade.Authorization, error) {
	return one(ctx, tx, m, KindAuthorization, id, fillAuthorization)
}

// Authorizations returns a merchant's authorizations, of one number if it is
// not "". It returns ErrPhone.
func (s *Service) Authorizations(ctx context.Context, tx *store.Tx, m *trade.Merchant, p Page, phone string) ([]*trade.Authorization, error) {
	w := p.where(KindAuthorization, m)
	if phone != "" {
		n, err := s.number(phone)
		if err != nil {
			return nil, err
		}
		w.Who = whoPhone(tx, m.Test, n)
	}
	return some(ctx, tx, w, p.limit(), fillAuthorization)
}

// Of returns the authorizations that a number has, the oldest first, at most 50.
func (s *Service) Of(ctx context.Context, tx *store.Tx, n sms.Number) ([]*trade.Authorization, error) {
	if n.IsZero() {
		return nil, nil
	}
	return some(ctx, tx, store.RecordsWhere{Kind: KindAuthorization, Who: whoPhone(tx, false, n)}, maxLive, fillAuthorization)
}

func (s *Service) number(phone string) (sms.Number, error) {
	n, err := sms.ParseNumber(phone, s.Set.Region())
	if err != nil {
		return n, ErrPhone
	}
	return n, nil
}

// whoPhone and whoUser are whom an authorization concerns. What is of tests is
// apart.
func whoPhone(tx *store.Tx, test bool, n sms.Number) []byte {
	if test {
		return tx.Whose("test:" + n.E164())
	}
	return tx.Whose(n.E164())
}

func whoUser(tx *store.Tx, merchant int64, name string) []byte {
	return tx.Whose(fmt.Sprintf("user:%d:%s", merchant, name))
}

func (*Service) saveClaim(ctx context.Context, tx *store.Tx, c *trade.Claim) error {
	r := store.Record{
		Kind: KindClaim, ID: c.ID, Owner: c.Merchant, Parent: c.Authorization, State: string(c.State), Ref: c.OrderRef, Who: c.Who, Due: c.Due,
		Created: c.Created,
	}
	if c.State == trade.Released { // the shop may ask for the same order again
		r.Ref = fmt.Sprintf("%s%s%d", c.OrderRef, releasedMark, c.ID)
	}
	err := save(ctx, tx, &r, c)
	c.ID, c.Created = r.ID, r.Created
	return err
}

// releasedMark is in no reference of an order.
const releasedMark = " #"

func fillClaim(c *trade.Claim, r store.Record) {
	c.ID, c.Merchant, c.Authorization, c.State, c.Who, c.Due, c.Created = r.ID, r.Owner, r.Parent, trade.State(r.State), r.Who, r.Due, r.Created
	c.OrderRef, _, _ = strings.Cut(r.Ref, releasedMark)
}

// ClaimByID returns a claim, or store.ErrNotFound.
func (*Service) ClaimByID(ctx context.Context, tx *store.Tx, m *trade.Merchant, id int64) (*trade.Claim, error) {
	return one(ctx, tx, m, KindClaim, id, fillClaim)
}

// ClaimByRef returns the claim of an order that was not released, or
// store.ErrNotFound.
func (*Service) ClaimByRef(ctx context.Context, tx *store.Tx, m *trade.Merchant, ref string) (*trade.Claim, error) {
	r, err := tx.RecordByRef(ctx, KindClaim, m.ID, ref)
	if err != nil {
		return nil, err
	}
	return read(r, fillClaim)
}

// Claims returns a merchant's claims.
func (*Service) Claims(ctx context.Context, tx *store.Tx, m *trade.Merchant, p Page) ([]*trade.Claim, error) {
	return some(ctx, tx, p.where(KindClaim, m), p.limit(), fillClaim)
}

func (*Service) saveCharge(ctx context.Context, tx *store.Tx, c *trade.Charge) error {
	r := store.Record{Kind: KindCharge, ID: c.ID, Owner: c.Merchant, Parent: c.Authorization, State: string(c.State), Created: c.Created}
	if c.State == trade.ChargeSettled && c.Settled.After(tx.Now()) {
		r.Due = c.Settled
	}
	err := save(ctx, tx, &r, c)
	c.ID, c.Created = r.ID, r.Created
	return err
}

func fillCharge(c *trade.Charge, r store.Record) {
	c.ID, c.Merchant, c.Authorization, c.State, c.Created = r.ID, r.Owner, r.Parent, trade.State(r.State), r.Created
}

// Charges returns a merchant's charges.
func (*Service) Charges(ctx context.Context, tx *store.Tx, m *trade.Merchant, p Page) ([]*trade.Charge, error) {
	return some(ctx, tx, p.where(KindCharge, m), p.limit(), fillCharge)
}

func (*Service) saveDispute(ctx context.Context, tx *store.Tx, d *trade.Dispute) error {
	r := store.Record{Kind: KindDispute, ID: d.ID, Owner: d.Merchant, Parent: d.Claim, State: string(d.State), Due: d.Due, Created: d.Created}
	err := save(ctx, tx, &r, d)
	d.ID, d.Created = r.ID, r.Created
	return err
}

func fillDispute(d *trade.Dispute, r store.Record) {
	d.ID, d.Merchant, d.Claim, d.State, d.Due, d.Created = r.ID, r.Owner, r.Parent, trade.State(r.State), r.Due, r.Created
}

// Dispute returns a dispute, or store.ErrNotFound.
func (*Service) Dispute(ctx context.Context, tx *store.Tx, m *trade.Merchant, id int64) (*trade.Dispute, error) {
	return one(ctx, tx, m, KindDispute, id, fillDispute)
}

// Disputes returns disputes: a merchant's, or all if m is nil.
func (*Service) Disputes(ctx context.Context, tx *store.Tx, m *trade.Merchant, p Page) ([]*trade.Dispute, error) {
	return some(ctx, tx, p.where(KindDispute, m), p.limit(), fillDispute)
}

func fillRefund(f *trade.Refund, r store.Record) {
	f.ID, f.Merchant, f.Authorization, f.Created = r.ID, r.Owner, r.Parent, r.Created
}

// Refunds returns a merchant's refunds.
func (*Service) Refunds(ctx context.Context, tx *store.Tx, m *trade.Merchant, p Page) ([]*trade.Refund, error) {
	return some(ctx, tx, p.where(KindRefund, m), p.limit(), fillRefund)
}

func fillPayout(p *trade.Payout, r store.Record) {
	p.ID, p.Merchant, p.Created = r.ID, r.Owner, r.Created
}

// Payouts returns a merchant's payouts.
func (*Service) Payouts(ctx context.Context, tx *store.Tx, m *trade.Merchant, p Page) ([]*trade.Payout, error) {
	return some(ctx, tx, p.where(KindPayout, m), p.limit(), fillPayout)
}

func fillStatement(p *trade.Statement, r store.Record) { p.ID, p.Created = r.ID, r.Created }

// Statements returns what operators have paid.
func (*Service) Statements(ctx context.Context, tx *store.Tx, p Page) ([]*trade.Statement, error) {
	return some(ctx, tx, p.where(KindStatement, nil), p.limit(), fillStatement)
}

// Terms returns the policy of an authorization as it was when that began: nobody loses
// more than she has read. Where messages are sent, by which rails money comes and who
// has it, what a shop does without us, and whether the policy has ended, is as now.
func (s *Service) Terms(ctx context.Context, tx *store.Tx, a *trade.Authorization) (*trade.Policy, error) {
	now, err := one(ctx, tx, nil, KindPolicy, a.Policy, fillPolicy)
	if err != nil {
		return nil, err
	}
	// Numbers of records rise: the first terms that ended after it began were those.
	ended, err := some(ctx, tx, store.RecordsWhere{Kind: kindTerms, Parent: a.Policy, After: a.ID}, 1, fillTerms)
	if err != nil || len(ended) == 0 {
		return now, err
	}
	p := ended[0]
	p.ShortCode, p.Rails, p.Holder, p.OnOutage, p.Ended, p.Created = now.ShortCode, now.Rails, now.Holder, now.OnOutage, now.Ended, now.Created
	return p, nil
}

func fillTerms(p *trade.Policy, r store.Record) { p.ID, p.Merchant = r.Parent, r.Owner }

// keepTerms keeps a policy as it was for those who came under it, if anybody has
// since it was kept last.
func (*Service) keepTerms(ctx context.Context, tx *store.Tx, was *trade.Policy) error {
	last, err := tx.Records(ctx, store.RecordsWhere{Kind: kindTerms, Parent: was.ID, Newest: true}, 1)
	if err != nil {
		return err
	}
	w := store.RecordsWhere{Kind: KindAuthorization, Parent: was.ID}
	if len(last) > 0 {
		w.After = last[0].ID
	}
	came, err := tx.Records(ctx, w, 1)
	if err != nil || len(came) == 0 {
		return err
	}
	return save(ctx, tx, &store.Record{Kind: kindTerms, Owner: was.Merchant, Parent: was.ID}, was)
}

// emit leaves an event.
func (s *Service) emit(ctx context.Context, tx *store.Tx, merchant int64, typ string, object any) error {
	if s.Emit == nil {
		return nil
	}
	return s.Emit(ctx, tx, merchant, typ, object)
}
