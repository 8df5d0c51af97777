package sim

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"maillon/internal/card"
	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/order"
	"maillon/internal/otp"
	"maillon/internal/setting"
	"maillon/internal/stall"
	"maillon/internal/store"
	"maillon/internal/story"
)

// What stories say of everybody, unless they say otherwise.
const (
	ceiling  = 200 // of an administrator, whole units a day
	language = "fr"
	newDays  = 5 // how long ago @new opened an account
)

// give writes what is there when a story begins.
func (s *stage) give(ctx context.Context, tx *store.Tx, setup story.Setup) error {
	for _, name := range story.Administrators() {
		if err := s.enter(ctx, tx, setup, name, false); err != nil {
			return err
		}
	}
	for _, b := range setup.Given {
		if _, ok := s.phones[b.Account]; !ok || slices.Contains(story.Administrators(), b.Account) {
			continue
		}
		if err := s.enter(ctx, tx, setup, b.Account, true); err != nil {
			return err
		}
	}
	for _, one := range setup.Stalls {
		if err := s.sell(ctx, tx, one); err != nil {
			return err
		}
	}
	return s.fill(ctx, tx, setup)
}

// sell opens the stall of a member, with a device that has a key of its own.
func (s *stage) sell(ctx context.Context, tx *store.Tx, one story.Stall) error {
	m, err := s.memberOf(ctx, tx, one.Name)
	if err != nil {
		return err
	}
	for _, i := range one.Items {
		n := stall.NewTemplate{Description: "article " + i.Short, Amount: i.Amount, Short: i.Short}
		if _, err := s.Stalls.AddTemplate(ctx, tx, "story", stall.Of(m.ID), n); err != nil {
			return err
		}
	}
	_, _, err = s.Stalls.AddDevice(ctx, tx, "story", stall.Of(m.ID), stall.NewDevice{Description: "stand", Key: otp.NewKey()})
	return err
}

// enter registers who has a phone: a member, or an administrator, who may be
// a member too.
func (s *stage) enter(ctx context.Context, tx *store.Tx, setup story.Setup, name string, active bool) error {
	m := &member.Member{
		State: member.Active, Number: s.phones[name], Language: language, Line: gateway,
		OpenedAt: setup.At.AddDate(-1, 0, 0), SeenAt: setup.At.AddDate(0, 0, -1),
	}
	if slices.Contains(setup.New, name) {
		m.OpenedAt = setup.At.AddDate(0, 0, -newDays)
	}
	if at, ok := setup.Seen[name]; ok {
		m.SeenAt = at
	}
	if slices.Contains(story.Administrators(), name) {
		m.Role, m.Ceiling = member.Admin, setting.Whole(ceiling, s.Settings.Currency()).Minor()
		active = slices.ContainsFunc(setup.Given, func(b story.Balance) bool { return b.Account == name })
	}
	if !active {
		m.State = member.Staff
	}
	if err := tx.CreateMember(ctx, m); err != nil {
		return err
	}
	s.owners[m.ID] = name
	if !active {
		return nil
	}
	cells, given := setup.Cards[name]
	if !given {
		cells = card.Draw()
	}
	if err := tx.SaveCard(ctx, m, &store.Card{Cells: cells}); err != nil {
		return err
	}
	return tx.TakeNick(ctx, m, name, time.Time{})
}

// fill opens the accounts, with what brings them to their balances once the
// past transfers are posted: nobody was below zero then either.
func (s *stage) fill(ctx context.Context, tx *store.Tx, setup story.Setup) error {
	past := slices.Clone(setup.Past)
	slices.SortStableFunc(past, func(a, b story.Past) int { return a.At.Compare(b.At) })
	for _, b := range setup.Given {
		sum, least := int64(0), int64(0)
		for _, p := range past {
			switch b.Account {
			case p.From:
				sum -= p.Amount
			case p.To:
				sum += p.Amount
			}
			least = min(least, sum)
		}
		if err := s.open(ctx, tx, setup, b.Account, max(b.Amount-sum, -least)); err != nil {
			return err
		}
	}
	for _, p := range past {
		if err := s.repeat(ctx, tx, p); err != nil {
			return err
		}
	}
	for _, b := range setup.Given {
		a, err := s.accountOf(ctx, tx, b.Account)
		if err != nil {
			return err
		}
		if err := s.open(ctx, tx, setup, b.Account, b.Amount-a.Balance.Minor()); err != nil {
			return err
		}
	}
	return nil
}

// open brings an amount into an account, or takes it out, without showing it
// to anybody. What is given sums to zero, so that emission comes out right by
// itself.
func (s *stage) open(ctx context.Context, tx *store.Tx, setup story.Setup, account string, amount int64) error {
	to, err := s.accountOf(ctx, tx, account)
	if err != nil || amount == 0 || account == story.Emission {
		return err
	}
	from, err := s.accountOf(ctx, tx, story.Emission)
	if err != nil {
		return err
	}
	postings, err := ledger.Transfer(from.ID, to.ID, money.New(amount, to.Balance.Currency()))
	if err != nil {
		return err
	}
	at := setup.At.AddDate(-1, 0, 0)
	key := fmt.Sprintf("opening:%d:%d", to.ID, to.Balance.Minor())
	return ledger.Post(ctx, tx, &ledger.Transaction{Key: key, Kind: ledger.Opening, At: at, Postings: postings})
}

// repeat posts a transfer of the past as it was then.
func (s *stage) repeat(ctx context.Context, tx *store.Tx, p story.Past) error {
	t, err := s.transfer(ctx, tx, p.From, p.To, p.Amount)
	if err != nil {
		return err
	}
	o := t.order
	if err := tx.InsertOrder(ctx, o, nil); err != nil {
		return err
	}
	postings, err := ledger.Transfer(t.from, t.to, o.Amount)
	if err != nil {
		return err
	}
	txn := ledger.Transaction{Ref: o.Ref, Key: fmt.Sprintf("order:%d", o.ID), Kind: t.kind, At: p.At, Postings: postings}
	if err := ledger.Post(ctx, tx, &txn); err != nil {
		return err
	}
	o.State, o.Transaction, o.Paid, o.Ended = order.Done, txn.ID, p.At, p.At
	return tx.SaveOrder(ctx, o)
}

// A transfer is one that no code was asked for.
type transfer struct {
	order    *order.Order // what it would have been ordered as
	from, to ledger.AccountID
	kind     ledger.Kind
}

// transfer names a transfer by its accounts, as stories do.
func (s *stage) transfer(ctx context.Context, tx *store.Tx, from, to string, amount int64) (transfer, error) {
	t := transfer{order: &order.Order{Kind: order.Pay, Amount: money.New(amount, s.Settings.Currency())}, kind: ledger.Payment}
	payer, err := s.who(ctx, tx, from)
	if err != nil {
		return t, err
	}
	payee, err := s.who(ctx, tx, to)
	if err != nil {
		return t, err
	}
	debit, err := s.accountOf(ctx, tx, from)
	if err != nil {
		return t, err
	}
	credit, err := s.accountOf(ctx, tx, to)
	t.from, t.to = debit.ID, credit.ID
	t.order.Owner, t.order.Payer, t.order.Payee = int64(payer), int64(payer), int64(payee)
	if payer == 0 || payee == 0 {
		t.order.Kind = order.Credit
	}
	if payer == 0 {
		t.kind = ledger.Credit
	}
	return t, err
}

// who returns the member of whom a story speaks, 0 if it is the association.
func (s *stage) who(ctx context.Context, tx *store.Tx, name string) (member.ID, error) {
	if _, ok := s.phones[name]; !ok {
		return 0, nil
	}
	m, err := s.memberOf(ctx, tx, name)
	if err != nil {
		return 0, err
	}
	return m.ID, nil
}

// errNobody means that a phone has no account.
var errNobody = errors.New("this phone has no account")

// memberOf returns the member whom a story names by a phone, whatever number
// that member has by now.
func (s *stage) memberOf(ctx context.Context, tx *store.Tx, name string) (*member.Member, error) {
	for _, id := range slices.Sorted(maps.Keys(s.owners)) {
		if s.owners[id] != name {
			continue
		}
		m, err := tx.Member(ctx, id)
		if err != nil {
			return nil, err
		}
		if m.State != member.Closed {
			return m, nil
		}
	}
	return nil, fmt.Errorf("%s: %w", name, errNobody)
}

// accountOf returns an account by its name in stories, and opens it if there is
// none yet.
func (s *stage) accountOf(ctx context.Context, tx *store.Tx, name string) (ledger.Account, error) {
	if _, ok := s.phones[name]; !ok {
		return tx.SystemAccount(ctx, name, s.Settings.Currency())
	}
	m, err := s.memberOf(ctx, tx, name)
	if err != nil {
		return ledger.Account{}, err
	}
	return tx.AccountOf(ctx, m.ID, s.Settings.Currency())
}
