package merchant

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"maillon/internal/money"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/trade"
)

// An Ask is what a shop asks for a client: exactly one of Code, Phone, Username
// and Authorization says who she is.
type Ask struct {
	Code, Phone, Username string
	Authorization         int64
	Policy                int64 // 0: any of the merchant's
	Order                 trade.Order
	Client                string // the shopper's session or address, for the limit of guessing; only a hash of it is kept
}

// A Decision is whether an order would be let through.
type Decision struct {
	Allowed       bool
	Reason        trade.Reason // why not
	Advance       int64        // that it takes, to be deducted from what is paid on delivery
	Authorization *trade.Authorization
	Policy        *trade.Policy
	Claim         *trade.Claim  // that the order has already
	Instructions  *Instructions // for the client, if there is something that she can do
}

// Instructions say what a client is to send.
type Instructions struct {
	ShortCode string
	Keyword   string
	Text      string // exactly
	Messages  int    // still missing
	Price     int64  // of each
	Currency  money.Currency
	Rails     []trade.Rail
}

func instruct(p *trade.Policy, a *trade.Authorization) *Instructions {
	i := &Instructions{ShortCode: p.ShortCode, Keyword: p.Keyword, Text: p.Keyword, Messages: p.Messages, Price: p.Price, Currency: p.Currency, Rails: p.Rails}
	if a != nil && a.State == trade.Pending {
		i.Messages = p.Messages - a.Paid
	}
	if a != nil && a.State == trade.Active {
		i.Messages = 1
	}
	return i
}

// Check says whether an order would be let through. A refusal is a Decision, not
// an error; ErrTooManyTries, ErrReference, ErrAmount, ErrAsk, ErrPhone and
// ErrUsername are errors.
func (s *Service) Check(ctx context.Context, tx *store.Tx, m *trade.Merchant, ask Ask) (Decision, error) {
	d, err := s.decide(ctx, tx, m, ask)
	if err == nil && d.Claim != nil {
		err = stands(d.Claim)
	}
	refusal, refused := errors.AsType[*trade.Refusal](err)
	if !refused {
		d.Allowed = err == nil
		return d, err
	}
	d.Reason = refusal.Reason
	switch d.Reason {
	case trade.NotFound, trade.IsPending, trade.IsExhausted, trade.IsExpired, trade.IsClosed, trade.OrderLimit, trade.AdvanceRequired:
	default:
		return d, nil
	}
	if d.Policy == nil {
		if d.Policy, err = s.offered(ctx, tx, m, ask.Policy); err != nil || d.Policy == nil {
			return d, err
		}
	}
	d.Instructions = instruct(d.Policy, d.Authorization)
	return d, nil
}

// stands says whether an order may be paid on delivery by the claim that it has: not
// while its client is only asked, nor after an outcome that ended it.
func stands(c *trade.Claim) error {
	switch c.State {
	case trade.Reserved, trade.Opened, trade.Honoured:
		return nil
	case trade.Requested:
		return &trade.Refusal{Reason: trade.IsPending}
	case trade.NotHonoured, trade.Forfeit:
		return &trade.Refusal{Reason: trade.IsForfeited}
	}
	return &trade.Refusal{Reason: trade.IsClosed}
}

// offered is the policy that a client is told of: the one that was asked for, or
// the oldest that is open.
func (s *Service) offered(ctx context.Context, tx *store.Tx, m *trade.Merchant, id int64) (*trade.Policy, error) {
	if id != 0 {
		return s.Policy(ctx, tx, m, id)
	}
	all, err := s.Policies(ctx, tx, m, Page{Limit: 1, States: []trade.State{"open"}})
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return all[0], nil
}

func checkOrder(o trade.Order) error {
	if o.Ref == "" || len(o.Ref) > MaxRef || strings.ContainsFunc(o.Ref, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return ErrReference
	}
	if o.Total < 0 || o.Total > trade.MaxSum {
		return ErrAmount
	}
	return nil
}

// decide finds the authorization that lets an order through. The error is a
// *trade.Refusal if none does; what was found on the way is in the decision.
func (s *Service) decide(ctx context.Context, tx *store.Tx, m *trade.Merchant, ask Ask) (d Decision, err error) {
	if err := checkOrder(ask.Order); err != nil {
		return d, err
	}
	if m.Suspended {
		return d, ErrSuspended
	}
	switch c, err := s.ClaimByRef(ctx, tx, m, ask.Order.Ref); {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return d, err
	case !c.Same(ask.Order):
		return d, &trade.Refusal{Reason: trade.RefConflict}
	default:
		if err := s.speaksFor(ctx, tx, m, ask, c); err != nil {
			return d, err
		}
		// The order has its claim: the cash remainder of the same order is no second one.
		d.Claim, d.Advance = c, c.Advance
		if d.Policy, err = s.Policy(ctx, tx, m, c.Policy); err != nil || c.Authorization == 0 {
			return d, err
		}
		d.Authorization, err = s.Authorization(ctx, tx, m, c.Authorization)
		return d, err
	}
	all, err := s.find(ctx, tx, m, ask)
	if err != nil {
		return d, err
	}
	why := error(&trade.Refusal{Reason: trade.NotFound})
	for _, a := range all { // the oldest first: several that would do are used up in their order
		p, err := s.Terms(ctx, tx, a)
		if err != nil {
			return d, err
		}
		if ask.Policy != 0 && p.ID != ask.Policy {
			continue
		}
		advance, err := a.Allows(p, ask.Order, s.Now(tx, m))
		d.Authorization, d.Policy, d.Advance = a, p, advance
		if err == nil {
			return d, nil
		}
		why = err // the newest says why
	}
	return d, why
}

// speaksFor refuses a code that is not of the client of a claim. A shop that names
// her otherwise, or not at all, asks about its own order.
func (s *Service) speaksFor(ctx context.Context, tx *store.Tx, m *trade.Merchant, ask Ask, c *trade.Claim) error {
	if ask.Code == "" {
		return nil
	}
	all, err := s.findCode(ctx, tx, m, ask)
	for _, a := range all {
		if a.ID == c.Authorization || c.Authorization == 0 && bytes.Equal(a.Who, c.Who) {
			return nil
		}
	}
	if err != nil {
		return err
	}
	return &trade.Refusal{Reason: trade.NotFound}
}

// find returns the authorizations that an Ask names, the oldest first.
func (s *Service) find(ctx context.Context, tx *store.Tx, m *trade.Merchant, ask Ask) ([]*trade.Authorization, error) {
	given := 0
	for _, is := range []bool{ask.Code != "", ask.Phone != "", ask.Username != "", ask.Authorization != 0} {
		if is {
			given++
		}
	}
	if given != 1 {
		return nil, ErrAsk
	}
	var who []byte
	flow := trade.ByPhone
	switch {
	case ask.Code != "":
		return s.findCode(ctx, tx, m, ask)
	case ask.Authorization != 0:
		a, err := s.Authorization(ctx, tx, m, ask.Authorization)
		if errors.Is(err, store.ErrNotFound) {
			return nil, nil
		}
		return []*trade.Authorization{a}, err
	case ask.Phone != "":
		n, err := s.number(ask.Phone)
		if err != nil {
			return nil, err
		}
		who = whoPhone(tx, m.Test, n)
	default:
		name, err := username(ask.Username)
		if err != nil {
			return nil, err
		}
		who, flow = whoUser(tx, m.ID, name), trade.ByUsername
	}
	newest, err := some(ctx, tx, store.RecordsWhere{Kind: KindAuthorization, Owner: m.ID, Who: who, Newest: true}, maxLive, fillAuthorization)
	if err != nil {
		return nil, err
	}
	var all []*trade.Authorization
	for n := len(newest) - 1; n >= 0; n-- {
		p, err := s.Terms(ctx, tx, newest[n])
		if err != nil {
			return nil, err
		}
		if p.Flow == flow { // a number alone opens nothing that a code must open
			all = append(all, newest[n])
		}
	}
	return all, nil
}

// findCode finds who has a code. An unknown one and another merchant's are told
// alike, and counted.
func (s *Service) findCode(ctx context.Context, tx *store.Tx, m *trade.Merchant, ask Ask) ([]*trade.Authorization, error) {
	tally := fmt.Sprintf("code:%d:%s", m.ID, tx.Mac("client", ask.Client))
	period := tx.Now().Truncate(triesIn)
	tried, err := tx.Counted(ctx, tally, period)
	if err != nil {
		return nil, err
	}
	if tried >= triesMost {
		return nil, ErrTooManyTries
	}
	code := normal(ask.Code)
	r, err := tx.RecordByRef(ctx, kindCode, m.ID, codeRef(tx, m.ID, code))
	if errors.Is(err, store.ErrNotFound) {
		_, err := tx.Count(ctx, tally, period)
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	a, err := s.Authorization(ctx, tx, m, r.Parent)
	return []*trade.Authorization{a}, err
}

// codeSymbols are 28 without vowels, so that no code is a word, and without what
// looks alike when it is read aloud or copied: 8 of them are 38 bits.
const codeSymbols = "BCDFGHJKLMNPQRSTVWXZ23456789"

const codeLen = 8

// codeOf is the code of an authorization: derived, so that it can be said again
// and stands nowhere.
func codeOf(tx *store.Tx, authorization int64) string {
	return derive(tx, "code", fmt.Sprint(authorization), codeSymbols, codeLen)
}

// derive makes symbols of a keyed hash. Each takes 4 octets of which the rest is
// even enough: 28 divides 2^32 but for one part in 10^8.
func derive(tx *store.Tx, what, of, symbols string, n int) string {
	var b strings.Builder
	for block := 0; b.Len() < n; block++ {
		mac := tx.Mac("merchant."+what, fmt.Sprintf("%s/%d", of, block))
		for at := 0; at+8 <= len(mac) && b.Len() < n; at += 8 {
			var v uint32
			_, _ = fmt.Sscanf(mac[at:at+8], "%08x", &v)  // hexadecimal digits of ours
			b.WriteByte(symbols[v%uint32(len(symbols))]) //nolint:gosec // a few symbols
		}
	}
	return b.String()
}

// showCode groups a code as people copy it.
func showCode(code string) string { return code[:codeLen/2] + "-" + code[codeLen/2:] }

// normal reads a code as people write it.
func normal(text string) string {
	return strings.ToUpper(strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' || r == '.' {
			return -1
		}
		return r
	}, text))
}

func codeRef(tx *store.Tx, merchant int64, code string) string {
	return tx.Mac("merchant.codes", fmt.Sprintf("%d:%s", merchant, code))
}

// username reads a shop's name for a client: letters, digits, dot, dash and
// underscore, in lower case.
func username(text string) (string, error) {
	name := strings.ToLower(strings.TrimSpace(text))
	bad := strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_'
	})
	if name == "" || len(name) > MaxUsername || bad {
		return "", ErrUsername
	}
	return name, nil
}

// A Registration makes an authorization wait for a client's messages, before she
// sends any.
type Registration struct {
	Policy          int64
	Phone, Username string
	Language        string
}

// Register makes a pending authorization of the username or phone flow, or
// returns the one that there is, with what the client is to send. A username is
// bound by what its account shows: the text with four digits.
func (s *Service) Register(ctx context.Context, tx *store.Tx, m *trade.Merchant, r Registration) (*trade.Authorization, *Instructions, error) {
	if m.Suspended {
		return nil, nil, ErrSuspended
	}
	p, err := s.Policy(ctx, tx, m, r.Policy)
	if err != nil {
		return nil, nil, err
	}
	if p.Ended {
		return nil, nil, &trade.PolicyError{Field: "policy", What: "has ended"}
	}
	var who, contact []byte
	user := ""
	switch {
	case p.Flow == trade.ByUsername && r.Username != "" && r.Phone == "":
		if user, err = username(r.Username); err != nil {
			return nil, nil, err
		}
		who = whoUser(tx, m.ID, user)
	case p.Flow == trade.ByPhone && r.Phone != "" && r.Username == "":
		n, err := s.number(r.Phone)
		if err != nil {
			return nil, nil, err
		}
		who = whoPhone(tx, m.Test, n)
		if contact, err = s.seal(ctx, tx, address{Number: n.E164(), Language: r.Language}); err != nil {
			return nil, nil, err
		}
	default:
		return nil, nil, ErrAsk
	}
	a, err := s.standing(ctx, tx, m, p, who)
	if err != nil {
		return nil, nil, err
	}
	if a.Contact == nil {
		a.Contact = contact
	}
	if user != "" && a.Username == nil {
		if a.Username, err = tx.SealFor(ctx, tx.Now().Add(contactOf), []byte(user)); err != nil {
			return nil, nil, err
		}
	}
	if err := s.saveAuthorization(ctx, tx, a); err != nil {
		return nil, nil, err
	}
	i := instruct(p, a)
	if user != "" {
		i.Text = fmt.Sprintf("%s %s %s", p.Keyword, user, bindOf(tx, a.ID))
	}
	return a, i, nil
}

// bindOf is what an account shows beside a username, so that nobody pays for, or
// locks, another's name.
func bindOf(tx *store.Tx, authorization int64) string {
	return derive(tx, "bind", fmt.Sprint(authorization), "0123456789", 4)
}

// standing returns the authorization to which a client's money goes: the one that
// is pending or active, or a new one.
func (s *Service) standing(ctx context.Context, tx *store.Tx, m *trade.Merchant, p *trade.Policy, who []byte) (*trade.Authorization, error) {
	now := s.Now(tx, m)
	r, err := tx.RecordByRef(ctx, KindAuthorization, m.ID, live(p.ID, who))
	switch {
	case err == nil:
		a, err := read(r, fillAuthorization)
		if err != nil {
			return nil, err
		}
		ended, err := s.pass(ctx, tx, a, now)
		if err != nil || !ended {
			return a, err
		}
	case !errors.Is(err, store.ErrNotFound):
		return nil, err
	}
	a := &trade.Authorization{Merchant: m.ID, Policy: p.ID, State: trade.Pending, Who: who, Dies: now.Add(trade.PendingFor)}
	if err := s.saveAuthorization(ctx, tx, a); err != nil {
		return nil, err
	}
	return a, s.emit(ctx, tx, m.ID, "authorization.created", a)
}

// pass applies what time does to an authorization, in the transaction that meets it.
func (s *Service) pass(ctx context.Context, tx *store.Tx, a *trade.Authorization, now time.Time) (bool, error) {
	if !a.Pass(now) {
		return false, nil
	}
	if err := s.release(ctx, tx, a); err != nil {
		return true, err
	}
	if err := s.saveAuthorization(ctx, tx, a); err != nil {
		return true, err
	}
	return true, s.emit(ctx, tx, a.Merchant, "authorization.expired", a)
}

// An address is how a client is written to.
type address struct {
	Number   string `json:"number,omitempty"` // E.164
	Language string `json:"language,omitempty"`
	Line     string `json:"line,omitempty"`
}

func (a address) number() (sms.Number, error) { return sms.FromE164(a.Number) }

// Offer returns the policy with a keyword and its merchant, for who has nothing
// but the word; store.ErrNotFound if there is none that is open.
func (s *Service) Offer(ctx context.Context, tx *store.Tx, word string) (*trade.Merchant, *trade.Policy, error) {
	r, err := tx.RecordByRef(ctx, kindKeyword, 0, word)
	if err != nil {
		return nil, nil, err
	}
	p, err := s.Policy(ctx, tx, nil, r.Parent)
	if err != nil {
		return nil, nil, err
	}
	m, err := s.Merchant(ctx, tx, p.Merchant)
	if err == nil && (p.Ended || m.Suspended) {
		err = store.ErrNotFound
	}
	return m, p, err
}
