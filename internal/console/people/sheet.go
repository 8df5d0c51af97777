package people

import (
	"bytes"
	"context"
	"errors"
	"html/template"
	"strconv"
	"strings"
	"time"

	"maillon/internal/auth"
	"maillon/internal/card"
	"maillon/internal/console/frame"
	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/order"
	"maillon/internal/payment"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/teller"
	"maillon/internal/treasury"
)

// A sheetView is all that is known of a member, as far as the visitor may see it.
type sheetView struct {
	*member.Member
	Name      string
	Phone     string // in full: whoever is at the desk needs it
	Mail      string // the same; "" if she has none
	Balance   money.Amount
	Held      money.Amount
	May       payment.Allowance
	Movements []movement
	Orders    []*order.Order
	Thread    []store.Letter
	Acts      []actView
	Moving    *order.Order // a change of number that waits
	HasCard   bool
	Erasing   int64 // the proposal to forget her
	Seen      int64 // the last act about her, for whoever acts upon this page
	Locked    bool

	Tried string // a text, as if she wrote it
	Told  []store.Letter
	Other int // messages that others would get
	Wrong string
}

type movement struct {
	store.Movement
	With string
}

type actView struct {
	store.Act
	Who string
}

// member returns whom a page is about.
func (r room) member(ctx context.Context, tx *store.Tx, v *frame.Visit) (*member.Member, error) {
	id, err := v.PathID("id")
	if err != nil {
		return nil, err
	}
	return tx.Member(ctx, member.ID(id))
}

// sheet shows a member. That it was opened is written down.
func (r room) sheet(v *frame.Visit) error {
	var s sheetView
	err := v.Update(func(ctx context.Context, tx *store.Tx) error {
		m, err := r.member(ctx, tx, v)
		if err != nil {
			return err
		}
		if v.Who.Member.ID != m.ID {
			tx.Act(v.By(), treasury.Looked, treasury.By(m), "")
		}
		s, err = r.gather(ctx, tx, v, m)
		return err
	})
	if err != nil {
		return err
	}
	return v.Show("sheet", s)
}

func (r room) gather(ctx context.Context, tx *store.Tx, v *frame.Visit, m *member.Member) (s sheetView, err error) {
	c := r.server.Settings.Currency()
	s = sheetView{Member: m, Name: called(m), Locked: m.LockedTill.After(tx.Now())}
	if !m.Number.IsZero() {
		s.Phone = m.Number.National()
	}
	if s.May, err = r.server.Desk.Allowance(ctx, tx, m, c); err != nil {
		return s, err
	}
	s.Balance, s.Held = money.New(0, c), money.New(0, c)
	accounts, err := tx.AccountsOf(ctx, m.ID)
	if err != nil {
		return s, err
	}
	for _, a := range accounts {
		if a.Balance.Currency() == c {
			s.Balance, s.Held = a.Balance, a.Held
		}
	}
	for _, step := range []func() error{
		func() error { return r.story(ctx, tx, v, &s, accounts) },
		func() error { return r.thread(ctx, tx, &s) },
		func() error { return r.acts(ctx, tx, v, &s) },
	} {
		if err := step(); err != nil {
			return s, err
		}
	}
	boxes, err := tx.Mailboxes(ctx, m)
	if err != nil {
		return s, err
	}
	for _, b := range boxes {
		if b.Bound {
			s.Mail = b.Address.Text()
		}
	}
	_, err = tx.Card(ctx, m)
	s.HasCard = err == nil
	if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrErased) {
		return s, err
	}
	if s.Seen, err = tx.LastAct(ctx, treasury.By(m), treasury.Looked); err != nil {
		return s, err
	}
	s.Erasing, err = r.server.Treasury.ErasureOf(ctx, tx, m.ID)
	return s, err
}

// fresh refuses to act upon a page that was shown before somebody else acted:
// of two persons who act in the same second, the second is told.
func fresh(ctx context.Context, tx *store.Tx, v *frame.Visit, m *member.Member) error {
	last, err := tx.LastAct(ctx, treasury.By(m), treasury.Looked)
	if err == nil && v.Value("seen") != strconv.FormatInt(last, 10) {
		return frame.Sorry("change.meanwhile")
	}
	return err
}

// story is what moved, and what was asked.
func (r room) story(ctx context.Context, tx *store.Tx, v *frame.Visit, s *sheetView, accounts []ledger.Account) error {
	var others []member.ID
	for _, a := range accounts {
		moves, err := tx.MovementsBefore(ctx, a, tx.Now().Add(time.Hour), maxStory)
		if err != nil {
			return err
		}
		for _, m := range moves {
			s.Movements = append(s.Movements, movement{Movement: m})
			others = append(others, m.OtherMember)
		}
	}
	names, err := v.Names(ctx, tx, others...)
	if err != nil {
		return err
	}
	for n, m := range s.Movements {
		if s.Movements[n].With = m.OtherName; m.OtherMember != 0 {
			s.Movements[n].With = names.Of(m.OtherMember)
		}
	}
	orders, err := tx.OrdersOf(ctx, s.ID, tx.Now().Add(time.Hour), maxStory)
	for _, o := range orders {
		if o.Kind == order.Renumber && o.State == order.Waiting {
			s.Moving = o
		}
		if o.Transaction == 0 {
			s.Orders = append(s.Orders, o)
		}
	}
	return err
}

func (r room) thread(ctx context.Context, tx *store.Tx, s *sheetView) (err error) {
	if s.Thread, err = tx.Thread(ctx, s.Member, maxThread); err != nil {
		return err
	}
	return r.server.Teller.Veil(ctx, tx, s.Member, s.Thread)
}

// acts are what administrators did to her; who looked at her sheet, for those
// who read the audit.
func (r room) acts(ctx context.Context, tx *store.Tx, v *frame.Visit, s *sheetView) error {
	all, err := tx.Acts(ctx, store.ActsWhere{Subject: treasury.By(s.Member)}, 2*maxStory)
	if err != nil {
		return err
	}
	var who []member.ID
	for _, a := range all {
		if a.What == treasury.Looked && !v.May(auth.SeeAudit) || len(s.Acts) >= maxStory {
			continue
		}
		a.What = deed(v, a.What)
		s.Acts = append(s.Acts, actView{Act: a})
		if id, ok := frame.ActorID(a.By); ok {
			who = append(who, id)
		}
	}
	names, err := v.Names(ctx, tx, who...)
	for n := range s.Acts {
		s.Acts[n].Who = names.By(s.Acts[n].By)
	}
	return err
}

// deed says what an act is; one of another room that has no word here by its
// name in the journal.
func deed(v *frame.Visit, what string) string {
	key := "act." + what
	if text := v.Say(key); text != key {
		return text
	}
	return what
}

// try shows what she would read if she wrote a text now. Nothing of it is done.
func (r room) try(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	id, err := v.PathID("id")
	if err != nil {
		return err
	}
	text := v.Value("text")
	told, err := r.server.Teller.Rehearse(v.Context(), member.ID(id), text)
	secret := errors.Is(err, teller.ErrSecret)
	if err != nil && !secret {
		return err
	}
	var s sheetView
	err = v.View(func(ctx context.Context, tx *store.Tx) error {
		m, err := r.member(ctx, tx, v)
		if err == nil {
			s, err = r.gather(ctx, tx, v, m)
		}
		return err
	})
	if err != nil {
		return err
	}
	s.Tried, s.Told, s.Other = text, told.Told, told.Others
	if secret {
		s.Wrong = v.Say("try.secret")
		return v.Refuse("sheet", s)
	}
	return v.Show("sheet", s)
}

func (r room) changes(v *frame.Visit) error {
	var s sheetView
	err := v.View(func(ctx context.Context, tx *store.Tx) error {
		m, err := r.member(ctx, tx, v)
		if err == nil {
			s, err = r.gather(ctx, tx, v, m)
		}
		return err
	})
	if err != nil {
		return err
	}
	return v.Show("change", s)
}

// deeds are what the desk does to a member, with the right that each needs.
var deeds = map[string]auth.Right{
	"freeze": auth.Freeze, "unfreeze": auth.Freeze, "nick": auth.Register, "language": auth.Register, "mute": auth.Register, "unmute": auth.Register,
	"endmail":  auth.Register,
	"renumber": auth.Renumber, "stopmove": auth.Renumber, "erase": auth.Erase,
}

// change does one thing to a member.
func (r room) change(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	what, reason, value := v.Value("what"), v.Value("reason"), v.Value("value")
	right, ok := deeds[what]
	switch {
	case !ok:
		return frame.ErrForm
	case !v.May(right):
		return frame.ErrMayNot
	case reason == "" || len([]rune(reason)) > maxReason:
		return treasury.ErrReason
	}
	var to string
	err := v.Update(func(ctx context.Context, tx *store.Tx) error {
		m, err := r.member(ctx, tx, v)
		if err != nil {
			return err
		}
		to = "/members/" + strconv.FormatInt(int64(m.ID), 10)
		if m.State == member.Closed {
			return treasury.ErrClosed
		}
		if err := fresh(ctx, tx, v, m); err != nil {
			return err
		}
		return r.do(ctx, tx, v, m, what, value, reason)
	})
	switch {
	case errors.Is(err, treasury.ErrNick):
		return frame.Sorry("new.nick.wrong")
	case errors.Is(err, treasury.ErrRole):
		return frame.Sorry("erase.role")
	case errors.Is(err, treasury.ErrProposed):
		return frame.Sorry("erase.proposed")
	case errors.Is(err, treasury.ErrClosed):
		return frame.Sorry("change.closed")
	case err != nil:
		return err
	}
	return v.Done(to, "change.done."+what)
}

func (r room) do(ctx context.Context, tx *store.Tx, v *frame.Visit, m *member.Member, what, value, reason string) error {
	t, by := r.server.Treasury, v.By()
	switch what {
	case "freeze":
		return t.Freeze(ctx, tx, by, m, reason)
	case "unfreeze":
		return t.Unfreeze(ctx, tx, by, m, reason)
	case "nick":
		if r.server.Teller.Reserved(strings.ToLower(value)) {
			return treasury.ErrNick
		}
		return t.Rename(ctx, tx, by, m, strings.ToLower(value), reason)
	case "language":
		return t.Speak(ctx, tx, by, m, value, reason)
	case "mute", "unmute":
		return t.Mute(ctx, tx, by, m, what == "mute", reason)
	case "endmail":
		return t.EndMail(ctx, tx, by, m, reason)
	case "renumber":
		n, err := sms.ParseNumber(value, r.server.Settings.Region())
		if err != nil || !n.Mobile() {
			return frame.Sorry("new.number.wrong")
		}
		return t.Renumber(ctx, tx, by, m, n, reason)
	case "stopmove":
		return t.StopMove(ctx, tx, by, value, reason)
	}
	_, err := t.ProposeErase(ctx, tx, by, m, reason)
	return err
}

// card draws a new code card and shows it, once, to be printed.
func (r room) card(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	var page bytes.Buffer
	var m *member.Member
	err := v.Update(func(ctx context.Context, tx *store.Tx) (err error) {
		page.Reset()
		if m, err = r.member(ctx, tx, v); err != nil {
			return err
		}
		if !m.HasAccount() {
			return frame.Sorry("change.closed")
		}
		if err := fresh(ctx, tx, v, m); err != nil {
			return err
		}
		cells, err := r.server.Treasury.IssueCard(ctx, tx, v.By(), m)
		if err != nil {
			return err
		}
		return card.SVG(&page, card.Sheet{
			Cells: cells, Association: r.server.Settings.Association, Name: called(m), Captions: card.CaptionsIn(m.Language), Issued: v.Day(tx.Now()),
		})
	})
	if err != nil {
		return err
	}
	return v.Show("card", struct {
		Name string
		ID   member.ID
		SVG  template.HTML
	}{called(m), m.ID, template.HTML(page.String())}) //nolint:gosec // drawn by package card
}
