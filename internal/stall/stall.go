// Package stall is selling where there is no network: what a stall sells, under
// a short id that buyers send by SMS; the devices that tell from a code in the
// buyer's SMS whether it was paid; what was sold in a day. A stall is a member,
// and what is paid to it is a payment like others; here it gets its code.
//
// A code belongs to the time of its payment: asked for again it is the same. Of
// the keys, a copy of the books tells nothing, and revoking a device destroys its
// key. How it works is told in docs/design/stall.md.
package stall

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"maillon/internal/grammar"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/notice"
	"maillon/internal/otp"
	"maillon/internal/payment"
	"maillon/internal/setting"
	"maillon/internal/sms"
	"maillon/internal/store"
)

// Kinds of records.
const (
	KindTemplate = "template"
	KindDevice   = "device"
	KindSale     = "sale"    // its reference is the payment's
	KindChecked  = "checked" // a code that a device let through; the device is its parent

	kindItem   = "item"         // its reference is a short id, its parent the template
	kindLink   = "stall.link"   // its reference is a keyed hash of a link's token, its parent the device
	kindBearer = "stall.bearer" // likewise, of what a device shows at each report
)

// The states of templates and devices.
const (
	offered = "offered"
	ended   = "ended"

	Waiting = "waiting" // for its link to be opened
	Active  = "active"
	Revoked = "revoked"
)

// Bounds.
const (
	MaxTemplates   = 100 // of one stall that are offered
	MaxDevices     = 3   // of one stall that are not revoked: so many codes has an SMS room for
	MaxDescription = 40  // characters
	MaxSales       = 500 // of one report
	MaxDay         = store.MaxRecords
	LinkLife       = 24 * time.Hour

	maxDraws = 64
	maxKept  = 1000 // devices and templates that are listed, ended ones included
)

var (
	// ErrDescription means that a description would not do in an SMS.
	ErrDescription = errors.New("a description has 1 to 40 letters of GSM-7, in one line")
	// ErrPrice means that a price is negative or above what one payment may be.
	ErrPrice = errors.New("a price is more than 0 and at most what one payment may be; leave it out to let buyers say it")
	// ErrShort means that a short id is another's, or has not the shape of one.
	ErrShort = errors.New("a short id is a digit, two letters and a digit such as 7KQ2, and nothing else has it")
	// ErrUnit means that a currency is none of this server's.
	ErrUnit = errors.New("no such currency here")
	// ErrFull means that a stall has as many templates or devices as it may have.
	ErrFull = errors.New("too many: end or revoke one first")
	// ErrAlgorithm means that there is no such algorithm.
	ErrAlgorithm = errors.New("an algorithm is numbered, totp or totp_price")
	// ErrEnded means that a device was revoked.
	ErrEnded = errors.New("the device is revoked: add another")
	// ErrAuthenticator means that no authenticator has what a device needs.
	ErrAuthenticator = errors.New("authenticators know nothing of prices and numbers: add a device with the algorithm totp")
	// ErrNoStall means that a member cannot be paid, or has left.
	ErrNoStall = errors.New("a stall is a member with an open account")
	// ErrLink means that a link is not good, or not any more.
	ErrLink = errors.New("link of a stall is not good, or not any more")
	// ErrDevice means that a device is unknown.
	ErrDevice = errors.New("unknown device of a stall")
	// ErrNotSold means that a reference is no payment to the stall that can be given back.
	ErrNotSold = errors.New("no payment to this stall has this reference")
)

// An ID says whose a stall is: a member's or, for tests, a merchant's twin's,
// which is never paid.
type ID int64

// Of returns the stall of a member.
func Of(m member.ID) ID { return ID(m) }

// Twin returns the stall for tests of a merchant's twin.
func Twin(merchant int64) ID { return ID(-merchant) }

// Member returns whose stall it is; 0 if it is one for tests.
func (i ID) Member() member.ID { return member.ID(max(0, i)) }

// A Template is something that a stall sells.
type Template struct {
	ID          int64          `json:"-"`
	Stall       ID             `json:"-"`
	Short       string         `json:"short"` // "7KQ2"; buyers send it
	Description string         `json:"description"`
	Amount      int64          `json:"amount,omitempty"` // 0: the buyer says it
	Currency    money.Currency `json:"currency"`
	Ended       bool           `json:"-"`
	Created     time.Time      `json:"-"`
}

// Price returns what a template costs; zero if the buyer says it.
func (t *Template) Price() money.Amount { return money.New(t.Amount, t.Currency) }

// A Device tells a stall whether it was paid.
type Device struct {
	ID          int64          `json:"-"`
	Stall       ID             `json:"-"`
	State       string         `json:"-"`
	Label       string         `json:"label"` // A, B or C: which of the codes in an SMS is for this one
	Description string         `json:"description"`
	Algorithm   otp.Algorithm  `json:"algorithm"`
	Currency    money.Currency `json:"currency"`
	Key         []byte         `json:"key,omitempty"` // sealed
	Enrolled    time.Time      `json:"enrolled,omitzero"`
	Reported    time.Time      `json:"reported,omitzero"`
	Created     time.Time      `json:"-"`
}

// A Service is the stalls of one association.
type Service struct {
	DB   *store.DB
	Set  *setting.Settings
	Desk *payment.Desk
}

// Name returns how a stall is called.
func (*Service) Name(ctx context.Context, tx *store.Tx, id ID) (string, error) {
	if id.Member() == 0 {
		return "test", nil
	}
	m, err := tx.Member(ctx, id.Member())
	if err != nil {
		return "", err
	}
	if m.State != member.Active {
		return "", ErrNoStall
	}
	return notice.Name(m, ""), nil
}

// NewTemplate is what shall be sold.
type NewTemplate struct {
	Description string
	Unit        string // symbol or name of its currency; "": the first
	Amount      int64  // 0: the buyer says it
	Short       string // that posters have already; "": one is drawn
}

// AddTemplate offers something under a short id that nothing else has, or had.
func (s *Service) AddTemplate(ctx context.Context, tx *store.Tx, by string, id ID, n NewTemplate) (*Template, error) {
	if _, err := s.Name(ctx, tx, id); err != nil {
		return nil, err
	}
	t := &Template{Stall: id, Description: describe(n.Description), Amount: n.Amount}
	unit, err := s.unit(n.Unit)
	if err != nil {
		return nil, err
	}
	t.Currency = unit
	switch {
	case t.Description == "":
		return nil, ErrDescription
	case t.Amount < 0, t.Amount > setting.Whole(s.Set.Max, t.Currency).Minor():
		return nil, ErrPrice
	}
	counts, err := tx.CountRecords(ctx, KindTemplate, int64(id))
	if err != nil {
		return nil, err
	}
	if counts[offered] >= MaxTemplates {
		return nil, ErrFull
	}
	if t.Short = strings.ToUpper(n.Short); t.Short == "" {
		if t.Short, err = freeItem(ctx, tx); err != nil {
			return nil, err
		}
	}
	if !grammar.IsItem(t.Short) {
		return nil, ErrShort
	}
	if err := saveTemplate(ctx, tx, t); err != nil {
		return nil, err
	}
	item := store.Record{Kind: kindItem, Parent: t.ID, Ref: t.Short, Body: []byte(`{}`)}
	if err := tx.SaveRecord(ctx, &item); errors.Is(err, store.ErrTaken) {
		return nil, ErrShort
	} else if err != nil {
		return nil, err
	}
	tx.Act(by, "stall.template.add", fmt.Sprintf("template:%d", t.ID), "")
	return t, nil
}

// describe returns a description in one line, "" if it would not do.
func describe(text string) string {
	text = strings.Join(strings.Fields(sms.Plain(text)), " ")
	if len([]rune(text)) > MaxDescription || sms.AlphabetOf(text) != sms.GSM7 {
		return ""
	}
	return text
}

func (s *Service) unit(name string) (money.Currency, error) {
	for _, u := range s.Set.Units {
		if name == "" || strings.EqualFold(name, u.Symbol) || strings.EqualFold(name, u.Name) {
			return u.Currency(), nil
		}
	}
	return money.Currency{}, ErrUnit
}

func freeItem(ctx context.Context, tx *store.Tx) (string, error) {
	for range maxDraws {
		id := draw(grammar.ItemDigits) + draw(grammar.ItemLetters) + draw(grammar.ItemLetters) + draw(grammar.ItemDigits)
		if _, err := tx.RecordByRef(ctx, kindItem, 0, id); errors.Is(err, store.ErrNotFound) {
			return id, nil
		} else if err != nil {
			return "", err
		}
	}
	return "", ErrFull
}

func draw(symbols string) string {
	n, err := rand.Int(rand.Reader, big.NewInt(int64(len(symbols))))
	if err != nil {
		panic("stall: " + err.Error()) // crypto/rand does not fail
	}
	return symbols[n.Int64() : n.Int64()+1]
}

func saveTemplate(ctx context.Context, tx *store.Tx, t *Template) error {
	r := store.Record{Kind: KindTemplate, ID: t.ID, Owner: int64(t.Stall), State: offered, Created: t.Created}
	if t.Ended {
		r.State = ended
	}
	err := save(ctx, tx, &r, t)
	t.ID, t.Created = r.ID, r.Created
	return err
}

func save(ctx context.Context, tx *store.Tx, r *store.Record, body any) (err error) {
	if r.Body, err = json.Marshal(body); err != nil {
		return err
	}
	return tx.SaveRecord(ctx, r)
}

func readTemplate(r store.Record) (*Template, error) {
	t := &Template{ID: r.ID, Stall: ID(r.Owner), Ended: r.State == ended, Created: r.Created}
	if err := json.Unmarshal(r.Body, t); err != nil {
		return nil, fmt.Errorf("template %d: %w", r.ID, err)
	}
	return t, nil
}

// Template returns a template of a stall, of any if the stall is 0, or
// store.ErrNotFound.
func (*Service) Template(ctx context.Context, tx *store.Tx, stall ID, id int64) (*Template, error) {
	r, err := tx.Record(ctx, KindTemplate, id)
	if err != nil {
		return nil, err
	}
	if stall != 0 && r.Owner != int64(stall) {
		return nil, store.ErrNotFound
	}
	return readTemplate(r)
}

// Sold returns what is offered under a short id, in either case, or
// store.ErrNotFound.
func (s *Service) Sold(ctx context.Context, tx *store.Tx, short string) (*Template, error) {
	r, err := tx.RecordByRef(ctx, kindItem, 0, strings.ToUpper(short))
	if err != nil {
		return nil, err
	}
	t, err := s.Template(ctx, tx, 0, r.Parent)
	if err == nil && (t.Ended || t.Stall < 0) {
		err = store.ErrNotFound
	}
	return t, err
}

// Templates returns what a stall offers, the oldest first, with what it does not
// any more if all is true.
func (*Service) Templates(ctx context.Context, tx *store.Tx, stall ID, all bool) (list []*Template, err error) {
	w := store.RecordsWhere{Kind: KindTemplate, Owner: int64(stall)}
	if !all {
		w.States = []string{offered}
	}
	rows, err := tx.Records(ctx, w, maxKept)
	for _, r := range rows {
		t, err := readTemplate(r)
		if err != nil {
			return nil, err
		}
		list = append(list, t)
	}
	return list, err
}

// EndTemplate offers something no more. Its short id is never given again.
func (s *Service) EndTemplate(ctx context.Context, tx *store.Tx, by string, stall ID, id int64) (*Template, error) {
	t, err := s.Template(ctx, tx, stall, id)
	if err != nil || t.Ended {
		return t, err
	}
	t.Ended = true
	tx.Act(by, "stall.template.end", fmt.Sprintf("template:%d", t.ID), "")
	return t, saveTemplate(ctx, tx, t)
}

// Stalls returns who sells something or has a device, those for tests left out.
func (*Service) Stalls(ctx context.Context, tx *store.Tx) (all []ID, err error) {
	seen := map[ID]bool{}
	for _, kind := range []string{KindTemplate, KindDevice} {
		rows, err := tx.Records(ctx, store.RecordsWhere{Kind: kind}, store.MaxRecords)
		if err != nil {
			return nil, err
		}
		for _, r := range rows {
			if id := ID(r.Owner); id.Member() != 0 && !seen[id] {
				seen[id] = true
				all = append(all, id)
			}
		}
	}
	slices.Sort(all)
	return all, nil
}
