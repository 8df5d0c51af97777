package store

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"maillon/internal/member"
	"maillon/internal/sms"
)

// The kinds of records that e-mail has.
const (
	mailboxKind = "mailbox"
	headingKind = "mail.heading"
)

// The states of a mailbox.
const (
	mailboxAsked = "asked"
	mailboxBound = "bound"
)

// Bounds of mailboxes.
const (
	maxMailboxes   = 20                  // of a member, and at one address
	maxForgotten   = 1000                // at once
	keepHeadings   = 2 * strangerKeyLife // longer than they can be read
	maxHeadingText = 8 << 10             // octets
)

// A Mailbox is an e-mail address by which a member writes, or asks to: whoever
// writes from there is her.
type Mailbox struct {
	ID      int64
	Member  member.ID
	Address sms.Address // the zero Address once she is erased
	Bound   bool        // else it is asked for
	Since   time.Time   // when that began
	Ends    time.Time   // when asking is over; zero if it is bound
	Proof   string      // of the code that her telephone was sent, see Mac; "" if it is bound
	Tries   int         // wrong codes
	Line    string      // of her telephone
}

type mailboxBody struct {
	Sealed []byte `json:"sealed"`
	Proof  string `json:"proof,omitempty"`
	Tries  int    `json:"tries,omitempty"`
	Line   string `json:"line,omitempty"`
}

// SaveMailbox writes a mailbox of a member. Its address is sealed with her key.
func (tx *Tx) SaveMailbox(ctx context.Context, m *member.Member, b *Mailbox) error {
	key, err := tx.key(ctx, m.Key)
	if err != nil {
		return err
	}
	body, err := json.Marshal(mailboxBody{key.seal(mailboxKind, b.Address.Text()), b.Proof, b.Tries, b.Line})
	if err != nil {
		return fmt.Errorf("write a mailbox: %w", err)
	}
	r := Record{Kind: mailboxKind, ID: b.ID, Owner: int64(m.ID), State: mailboxAsked, Who: tx.Whose(b.Address.Text()), Due: b.Ends, Created: b.Since, Body: body}
	if b.Bound {
		r.State, r.Due = mailboxBound, time.Time{}
	}
	if err := tx.SaveRecord(ctx, &r); err != nil {
		return err
	}
	b.ID, b.Member, b.Since = r.ID, m.ID, r.Created
	return nil
}

// Mailboxes returns those of a member.
func (tx *Tx) Mailboxes(ctx context.Context, m *member.Member) ([]Mailbox, error) {
	return tx.mailboxes(ctx, RecordsWhere{Kind: mailboxKind, Owner: int64(m.ID)})
}

// MailboxesAt returns those at an address. At most one is bound.
func (tx *Tx) MailboxesAt(ctx context.Context, a sms.Address) ([]Mailbox, error) {
	return tx.mailboxes(ctx, RecordsWhere{Kind: mailboxKind, Who: tx.Whose(a.Text())})
}

// mailboxes returns what is bound, or asked for and not over.
func (tx *Tx) mailboxes(ctx context.Context, w RecordsWhere) (all []Mailbox, err error) {
	records, err := tx.Records(ctx, w, maxMailboxes)
	for _, r := range records {
		if err != nil {
			return nil, err
		}
		if r.State == mailboxAsked && !r.Due.After(tx.now) {
			continue
		}
		var b Mailbox
		b, err = tx.mailbox(ctx, r)
		all = append(all, b)
	}
	return all, err
}

func (tx *Tx) mailbox(ctx context.Context, r Record) (Mailbox, error) {
	var body mailboxBody
	if err := json.Unmarshal(r.Body, &body); err != nil {
		return Mailbox{}, fmt.Errorf("mailbox %d: %w", r.ID, err)
	}
	b := Mailbox{
		ID: r.ID, Member: member.ID(r.Owner), Bound: r.State == mailboxBound, Since: r.Created, Ends: r.Due,
		Proof: body.Proof, Tries: body.Tries, Line: body.Line,
	}
	m, err := tx.Member(ctx, b.Member)
	if err != nil {
		return b, err
	}
	key, err := tx.key(ctx, m.Key)
	if errors.Is(err, ErrErased) {
		return b, nil
	}
	if err != nil {
		return b, err
	}
	text, err := key.open(mailboxKind, body.Sealed)
	if err != nil {
		return b, fmt.Errorf("mailbox %d: %w", r.ID, err)
	}
	b.Address, err = sms.ParseAddress(text)
	return b, err
}

// MemberByAddress returns who writes from an address, or ErrNotFound.
func (tx *Tx) MemberByAddress(ctx context.Context, a sms.Address) (*member.Member, error) {
	bound, err := tx.Records(ctx, RecordsWhere{Kind: mailboxKind, Who: tx.Whose(a.Text()), States: []string{mailboxBound}}, 1)
	if err != nil {
		return nil, err
	}
	if len(bound) == 0 {
		return nil, ErrNotFound
	}
	return tx.Member(ctx, member.ID(bound[0].Owner))
}

// EndMailbox ends a mailbox.
func (tx *Tx) EndMailbox(ctx context.Context, id int64) error {
	return tx.EndRecord(ctx, mailboxKind, id)
}

// EndMailboxes ends all mailboxes of a member, bound or asked for.
func (tx *Tx) EndMailboxes(ctx context.Context, id member.ID) error {
	all, err := tx.Records(ctx, RecordsWhere{Kind: mailboxKind, Owner: int64(id)}, MaxRecords)
	for _, r := range all {
		if err == nil {
			err = tx.EndMailbox(ctx, r.ID)
		}
	}
	return err
}

// forgetMail ends what was asked for in vain, and the headings of letters that
// cannot be read any more.
func (tx *Tx) forgetMail(ctx context.Context) error {
	over, err := tx.Records(ctx, RecordsWhere{Kind: mailboxKind, DueBy: tx.now}, maxForgotten)
	for _, r := range over {
		if err == nil {
			err = tx.EndMailbox(ctx, r.ID)
		}
	}
	if err == nil {
		_, err = tx.DropRecords(ctx, headingKind, tx.now.Add(-keepHeadings), maxForgotten)
	}
	return err
}

// headingBody is sealed for a day, with what strangers send.
type headingBody struct {
	Key    int64  `json:"key"`
	Sealed []byte `json:"sealed"`
}

// NoteHeading keeps the heading of the last letter from an address, for a day.
func (tx *Tx) NoteHeading(ctx context.Context, from sms.Address, h sms.Heading) error {
	text, err := json.Marshal(h)
	if err != nil || len(text) > maxHeadingText { // the answer begins a talk of its own
		return err
	}
	key, err := tx.strangerKey(ctx)
	if err != nil {
		return err
	}
	body, err := json.Marshal(headingBody{key.id, key.seal(headingKind, string(text))})
	if err != nil {
		return fmt.Errorf("write a heading: %w", err)
	}
	ref := hex.EncodeToString(tx.Whose(from.Text()))
	r, err := tx.RecordByRef(ctx, headingKind, 0, ref)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	r.Kind, r.Ref, r.Loose, r.Body = headingKind, ref, true, body
	return tx.SaveRecord(ctx, &r)
}

// heading returns that of the last letter from an address; the zero Heading if
// that is too long ago.
func (tx *Tx) heading(ctx context.Context, from sms.Address) (h sms.Heading, err error) {
	r, err := tx.RecordByRef(ctx, headingKind, 0, hex.EncodeToString(tx.Whose(from.Text())))
	if errors.Is(err, ErrNotFound) {
		return h, nil
	}
	if err != nil {
		return h, err
	}
	var body headingBody
	if err := json.Unmarshal(r.Body, &body); err != nil {
		return h, fmt.Errorf("heading %d: %w", r.ID, err)
	}
	key, err := tx.key(ctx, body.Key)
	if errors.Is(err, ErrErased) {
		return h, nil
	}
	if err != nil {
		return h, err
	}
	text, err := key.open(headingKind, body.Sealed)
	if err != nil {
		return h, fmt.Errorf("heading %d: %w", r.ID, err)
	}
	return h, json.Unmarshal([]byte(text), &h)
}

// Correspondent returns who reads what goes to a number, or to an address if
// that is not zero. It returns sms.ErrNoAddress if nobody does.
func (tx *Tx) Correspondent(ctx context.Context, to sms.Number, at sms.Address) (c sms.Correspondent, err error) {
	c.Address = at
	if at.IsZero() {
		m, err := tx.MemberByNumber(ctx, to)
		if errors.Is(err, ErrNotFound) {
			return c, sms.ErrNoAddress
		}
		if err != nil {
			return c, err
		}
		all, err := tx.Mailboxes(ctx, m)
		if err != nil {
			return c, err
		}
		for _, b := range all {
			if b.Bound {
				c.Address = b.Address
			}
		}
	}
	if c.Address.IsZero() {
		return c, sms.ErrNoAddress
	}
	c.Last, err = tx.heading(ctx, c.Address)
	return c, err
}
