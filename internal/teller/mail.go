package teller

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"time"

	"maillon/internal/grammar"
	"maillon/internal/guard"
	"maillon/internal/member"
	"maillon/internal/notice"
	"maillon/internal/sms"
	"maillon/internal/store"
)

// Bounds of binding an e-mail address.
const (
	mailAskLife  = time.Hour
	mailAskADay  = 3 // by a member, and of an address
	mailTries    = 5 // wrong codes
	mailCodeLen  = 8
	mailCodeMany = 100_000_000
)

// byMail reports whether this came as e-mail.
func (h hearing) byMail() bool { return !h.address.IsZero() }

// mail begins to bind an e-mail address, or ends that of the member. The code
// that binds goes to her telephone and comes back from the address: whoever
// forges her number cannot read it, and whoever has only the address neither.
func (k *talk) mail(ctx context.Context) error {
	switch {
	case k.command.About == grammar.Stop:
		return k.mailStop(ctx)
	case len(k.options.Letters) == 0:
		return notice.Refuse("mail.absent", nil)
	case k.command.Address == "":
		return k.answer(ctx, "mail.aide", nil)
	case k.byMail():
		return notice.Refuse("mail.sms", nil)
	case !k.from.HasAccount():
		return notice.Refuse("incompris", nil)
	}
	if err := k.desk.MayAct(ctx, k.tx, k.from); err != nil {
		return err
	}
	a, err := sms.ParseAddress(k.command.Address)
	if err != nil {
		return notice.Refuse("mail.invalide", nil)
	}
	for _, name := range []string{"mailbox:" + strconv.FormatInt(int64(k.from.ID), 10), k.tx.StrangerTally("mailbox:" + a.Text())} {
		n, err := k.tx.Count(ctx, name, k.set.Midnight(k.tx.Now()))
		if err != nil {
			return err
		}
		if n > mailAskADay {
			return notice.Refuse("mail.trop", nil)
		}
	}
	return k.mailAsk(ctx, a)
}

func (k *talk) mailAsk(ctx context.Context, a sms.Address) error {
	before, err := k.tx.Mailboxes(ctx, k.from)
	if err != nil {
		return err
	}
	for _, b := range before {
		if b.Bound {
			continue
		}
		if err := k.tx.EndMailbox(ctx, b.ID); err != nil {
			return err
		}
	}
	n, err := rand.Int(rand.Reader, big.NewInt(mailCodeMany))
	if err != nil {
		return fmt.Errorf("draw a code: %w", err)
	}
	code := fmt.Sprintf("%0*d", mailCodeLen, n)
	until := k.tx.Now().Add(mailAskLife)
	b := store.Mailbox{Address: a, Ends: until, Proof: mailProof(k.tx, a, code), Line: k.Gateway}
	if err := k.tx.SaveMailbox(ctx, k.from, &b); err != nil {
		return err
	}
	if err := k.voice.Write(ctx, k.tx, k.from, a, k.options.Letters[0], "mail.preuve", notice.Fields{"who": notice.Name(k.from, "")}); err != nil {
		return err
	}
	return k.voice.Ask(ctx, k.tx, k.from, "mail.demande", notice.Fields{"code": notice.Code(code), "n": int(mailAskLife / time.Minute)}, until)
}

// mailProof returns what is kept of a code, good for one address.
func mailProof(tx *store.Tx, a sms.Address, code string) string {
	return tx.Mac("mailbox", a.Text()+"\x00"+code)
}

func (k *talk) mailStop(ctx context.Context) error {
	had, err := k.desk.Unbind(ctx, k.tx, k.from)
	if err != nil {
		return err
	}
	if !had {
		return k.answer(ctx, "mail.rien", nil)
	}
	return k.answer(ctx, "mail.stop", nil)
}

// proves answers a letter from an address that somebody asks to bind, and
// reports whether that was all there is to do about it. What comes from the
// address of a member is answered only if it is the code: she may mean another.
func (t *Teller) proves(ctx context.Context, tx *store.Tx, h hearing, from *member.Member) (done bool, err error) {
	if from != nil && h.command.Code == "" {
		return false, nil
	}
	all, err := tx.MailboxesAt(ctx, h.address)
	if err != nil {
		return false, err
	}
	asked := slices.DeleteFunc(all, func(b store.Mailbox) bool { return b.Bound })
	for _, b := range asked {
		if h.command.Code != "" && guard.SameCode(mailProof(tx, h.address, h.command.Code), b.Proof) {
			return true, t.bind(ctx, tx, h, asked, b)
		}
	}
	for n := range asked {
		if err := t.mailWrong(ctx, tx, h, &asked[n], n == 0 && from == nil); err != nil {
			return true, err
		}
	}
	return len(asked) > 0 && from == nil, nil
}

// mailWrong counts a wrong code, and may say so.
func (t *Teller) mailWrong(ctx context.Context, tx *store.Tx, h hearing, b *store.Mailbox, say bool) error {
	m, err := tx.Member(ctx, b.Member)
	if err != nil {
		return err
	}
	if b.Tries++; b.Tries >= mailTries {
		return tx.EndMailbox(ctx, b.ID)
	}
	if err := tx.SaveMailbox(ctx, m, b); err != nil || !say {
		return err
	}
	to := notice.Stranger{Address: h.address, Language: m.Language, Line: h.Gateway}
	return t.voice.Stranger(ctx, tx, to, "mail.faux", notice.Fields{"n": mailTries - b.Tries, "who": notice.Name(m, "")})
}

// bind lets a member write from an address: from no other, and nobody else from
// this one.
func (t *Teller) bind(ctx context.Context, tx *store.Tx, h hearing, asked []store.Mailbox, b store.Mailbox) error {
	for _, other := range asked {
		if err := tx.EndMailbox(ctx, other.ID); err != nil {
			return err
		}
	}
	m, err := tx.Member(ctx, b.Member)
	if err != nil {
		return err
	}
	var refusal *notice.Refusal
	if err := t.desk.MayAct(ctx, tx, m); errors.As(err, &refusal) {
		return t.voice.Answer(ctx, tx, m, refusal.Key, refusal.Fields)
	} else if err != nil {
		return err
	}
	if err := t.mailLeave(ctx, tx, h.address, m); err != nil {
		return err
	}
	b.ID, b.Bound, b.Since, b.Ends, b.Proof, b.Tries = 0, true, time.Time{}, time.Time{}, "", 0
	if err := tx.SaveMailbox(ctx, m, &b); err != nil {
		return err
	}
	phone := *m
	phone.Line = b.Line
	if err := t.voice.Answer(ctx, tx, &phone, "mail.lie", nil); err != nil {
		return err
	}
	m.Line = h.Gateway
	if err := tx.SeeMember(ctx, m); err != nil {
		return err
	}
	return t.voice.Answer(ctx, tx, m, "mail.ok", notice.Fields{"who": notice.Name(m, "")})
}

// mailLeave unbinds a member's address before, and whoever had the new one.
func (t *Teller) mailLeave(ctx context.Context, tx *store.Tx, a sms.Address, m *member.Member) error {
	former, err := tx.MemberByAddress(ctx, a)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err == nil && former.ID != m.ID {
		if _, err := t.desk.Unbind(ctx, tx, former); err != nil {
			return err
		}
		if err := t.voice.Answer(ctx, tx, former, "mail.stop", nil); err != nil {
			return err
		}
	}
	_, err = t.desk.Unbind(ctx, tx, m)
	return err
}

// sender returns who wrote: nil is a stranger, or nobody who can be answered.
func (t *Teller) sender(ctx context.Context, tx *store.Tx, h hearing) (from *member.Member, err error) {
	switch {
	case h.byMail():
		from, err = tx.MemberByAddress(ctx, h.address)
	case h.number.IsZero():
		return nil, nil
	default:
		from, err = tx.MemberByNumber(ctx, h.number)
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	return from, err
}
