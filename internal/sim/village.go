// Package sim plays with a whole server as the world would: a village of
// demonstration members on virtual phones, stories, and the load of many.
package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"maillon/internal/card"
	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/order"
	"maillon/internal/phones"
	"maillon/internal/server"
	"maillon/internal/setting"
	"maillon/internal/sms"
	"maillon/internal/sms/virtual"
	"maillon/internal/store"
	"maillon/internal/story"
)

// VillageLine is the name of the gateway behind the virtual phones.
const VillageLine = "virtual"

// villageOpened is where the books remember that there was a village.
const villageOpened = "village"

// villageStranger is the phone of the village whose number has no account.
const villageStranger = "malo"

const maxThread = 60 // SMS shown of a member

// A villager is who has a phone in the village, with what was earned.
type villager struct {
	name, language, word string
	earned               int64
	reason               string
	admin                bool
}

func villagers() []villager {
	return []villager{
		{name: "yann", earned: 120, reason: "trois samedis d'atelier"},
		{name: "lena", earned: 60, reason: "accueil du samedi"},
		{name: "gwen", language: "en", earned: 40, reason: "welding lesson"},
		{name: "soazig", word: "tulipe", earned: 80, reason: "affiches de la bourse"},
		{name: "atelier", earned: 200, reason: "ouverture"},
		{name: "annaig", admin: true},
	}
}

// villagePast is what was paid before anybody looked.
func villagePast() []story.Past {
	return []story.Past{
		{From: "yann", To: "atelier", Amount: 12}, {From: "lena", To: "yann", Amount: 8},
		{From: "soazig", To: "lena", Amount: 15}, {From: "atelier", To: "gwen", Amount: 10},
	}
}

// VillageSettings are the settings of a server that was given none.
func VillageSettings() setting.Settings {
	s := setting.Default()
	desk := story.Phones()["annaig"].National()
	s.Help, s.AlertPhones = desk, []string{desk}
	return s
}

// VillageNumber returns the number that the phones of the village write to.
func VillageNumber() sms.Number { return story.ServerNumber() }

// OpenVillage registers the villagers, unless there ever was a village or
// anybody else. It reports whether it did.
func OpenVillage(ctx context.Context, s *server.Server) (opened bool, err error) {
	err = s.DB.Update(ctx, func(tx *store.Tx) error {
		before, err := tx.State(ctx, villageOpened)
		if err != nil || before != "" {
			return err
		}
		anybody, err := tx.Members(ctx, store.Everyone, 0, 1)
		if err != nil || len(anybody) > 0 {
			return err
		}
		opened = true
		if err := settle(ctx, tx, s.Settings); err != nil {
			return err
		}
		return tx.SetState(ctx, villageOpened, tx.Now().UTC().Format(time.RFC3339))
	})
	return opened && err == nil, err
}

// settle writes the villagers and their past.
func settle(ctx context.Context, tx *store.Tx, set *setting.Settings) error {
	accounts := map[string]ledger.Account{}
	members := map[string]*member.Member{}
	emission, err := tx.SystemAccount(ctx, store.Emission, set.Currency())
	if err != nil {
		return err
	}
	for i, v := range villagers() {
		m, err := v.move(ctx, tx, set)
		if err != nil {
			return err
		}
		members[v.name] = m
		if v.admin {
			continue
		}
		if accounts[v.name], err = tx.AccountOf(ctx, m.ID, set.Currency()); err != nil {
			return err
		}
		o := &order.Order{
			Kind: order.Credit, Payee: int64(m.ID), Amount: setting.Whole(v.earned, set.Currency()), Secret: order.Secret{Memo: v.reason},
		}
		at := tx.Now().AddDate(0, 0, -20+i)
		if err := record(ctx, tx, o, m, emission.ID, accounts[v.name].ID, ledger.Credit, at); err != nil {
			return err
		}
	}
	for i, p := range villagePast() {
		from, to := members[p.From], members[p.To]
		o := &order.Order{Kind: order.Pay, Owner: int64(from.ID), Payer: int64(from.ID), Payee: int64(to.ID), Amount: setting.Whole(p.Amount, set.Currency())}
		at := tx.Now().AddDate(0, 0, -8+i)
		if err := record(ctx, tx, o, from, accounts[p.From].ID, accounts[p.To].ID, ledger.Payment, at); err != nil {
			return err
		}
	}
	return nil
}

// move writes one villager, whose account is a year old.
func (v villager) move(ctx context.Context, tx *store.Tx, set *setting.Settings) (*member.Member, error) {
	m := &member.Member{
		State: member.Active, Number: story.Phones()[v.name], Language: set.Language, Line: VillageLine, Word: v.word,
		OpenedAt: tx.Now().AddDate(-1, 0, 0), SeenAt: tx.Now(),
	}
	if v.language != "" {
		m.Language, m.Chosen = v.language, true
	}
	if v.admin {
		m.State, m.Role, m.Ceiling = member.Staff, member.Admin, setting.Whole(ceiling, set.Currency()).Minor()
	}
	if err := tx.CreateMember(ctx, m); err != nil {
		return nil, err
	}
	if err := tx.SaveCard(ctx, m, &store.Card{Cells: card.Draw()}); err != nil {
		return nil, err
	}
	return m, tx.TakeNick(ctx, m, v.name, time.Time{})
}

// record posts a transfer of the past as it would have been posted then.
func record(ctx context.Context, tx *store.Tx, o *order.Order, owner *member.Member, from, to ledger.AccountID, kind ledger.Kind, at time.Time) error {
	if err := tx.InsertOrder(ctx, o, owner); err != nil {
		return err
	}
	postings, err := ledger.Transfer(from, to, o.Amount)
	if err != nil {
		return err
	}
	t := ledger.Transaction{Ref: o.Ref, Key: fmt.Sprintf("order:%d", o.ID), Kind: kind, At: at, Postings: postings}
	if err := ledger.Post(ctx, tx, &t); err != nil {
		return err
	}
	o.State, o.Transaction, o.Paid, o.Ended = order.Done, t.ID, at, at
	return tx.SaveOrder(ctx, o)
}

// A Village shows a server through virtual phones. It is a phones.Village.
type Village struct {
	server  *server.Server
	gateway *virtual.Gateway
}

// NewVillage returns the phones of a server, which must have gateway among its
// lines.
func NewVillage(s *server.Server, gateway *virtual.Gateway) *Village { return &Village{s, gateway} }

// Run tells page what happens, until ctx ends.
func (v *Village) Run(ctx context.Context, page *phones.Page) {
	books, unsubscribe := v.server.DB.Subscribe(store.Books)
	defer unsubscribe()
	for ctx.Err() == nil {
		events := v.gateway.Subscribe(ctx)
		for open := true; open && ctx.Err() == nil; {
			var e virtual.Event
			select {
			case e, open = <-events:
				if open {
					page.Ring(e.Phone)
				}
			case <-books:
				page.Changed()
			case <-ctx.Done():
			}
		}
		page.Changed() // it lagged behind, and looks anew
	}
}

// Phones implements phones.Village: the villagers and a stranger, or on another
// server its first members.
func (v *Village) Phones(ctx context.Context) ([]sms.Number, error) {
	var all []sms.Number
	err := v.server.DB.View(ctx, func(tx *store.Tx) error {
		opened, err := tx.State(ctx, villageOpened)
		if err != nil {
			return err
		}
		if opened != "" {
			for _, who := range villagers() {
				all = append(all, story.Phones()[who.name])
			}
			all = slices.Insert(all, 1, story.Phones()[villageStranger]) // beside whoever pays it first
			return nil
		}
		members, err := tx.Members(ctx, store.Everyone, 0, phones.MaxVillage)
		for _, m := range members {
			if !m.Number.IsZero() {
				all = append(all, m.Number)
			}
		}
		return err
	})
	return all, err
}

// Phone implements phones.Village.
func (v *Village) Phone(ctx context.Context, n sms.Number) (phones.Phone, error) {
	var p phones.Phone
	err := v.server.DB.View(ctx, func(tx *store.Tx) error {
		m, err := tx.MemberByNumber(ctx, n)
		if errors.Is(err, store.ErrNotFound) {
			p.Thread = v.thread(n)
			return nil
		}
		if err != nil {
			return err
		}
		p.Name, p.State = m.Nick, m.State
		if m.HasAccount() {
			if p.Balance, err = v.server.Desk.Balance(ctx, tx, m, v.server.Settings.Currency()); err != nil {
				return err
			}
		}
		letters, err := tx.Thread(ctx, m, maxThread)
		for _, l := range letters {
			p.Thread = append(p.Thread, phones.Bubble{Mine: !l.Out, Text: l.Text, At: l.At})
		}
		return err
	})
	return p, err
}

// thread is what a phone without account shows: nothing of it is kept.
func (v *Village) thread(n sms.Number) []phones.Bubble {
	bubbles := v.gateway.Thread(n)
	all := make([]phones.Bubble, 0, len(bubbles))
	for _, b := range bubbles {
		all = append(all, phones.Bubble{Mine: b.Mine, Text: b.Text, At: b.At, Failed: b.Failed})
	}
	return all
}

// Text implements phones.Village.
func (v *Village) Text(ctx context.Context, from sms.Number, text string) error {
	err := v.gateway.Text(ctx, from, text, time.Now())
	if errors.Is(err, virtual.ErrTooLong) {
		return phones.ErrTooLong
	}
	return err
}

// Books implements phones.Village.
func (v *Village) Books(ctx context.Context) (phones.Books, error) {
	var b phones.Books
	err := v.server.DB.View(ctx, func(tx *store.Tx) error {
		names := map[ledger.AccountID]string{}
		err := tx.AllAccounts(ctx, func(a store.AccountRow) error {
			name := a.Name
			if a.Member != 0 {
				m, err := tx.Member(ctx, a.Member)
				if err != nil {
					return err
				}
				name = nameOf(m)
			}
			names[a.ID] = name
			if len(b.Accounts) < phones.MaxAccounts && (a.Member == 0 || !a.Balance.IsZero() || name != "") {
				b.Accounts = append(b.Accounts, phones.Account{Name: name, Balance: a.Balance})
			}
			return nil
		})
		if err != nil {
			return err
		}
		last, err := tx.LastTransactions(ctx, phones.MaxTransfers)
		if err != nil {
			return err
		}
		for _, t := range last {
			if len(t.Postings) != 2 {
				continue
			}
			transfer, err := show(ctx, tx, t, names)
			if err != nil {
				return err
			}
			b.Transfers = append(b.Transfers, transfer)
		}
		return nil
	})
	return b, err
}

func show(ctx context.Context, tx *store.Tx, t ledger.Transaction, names map[ledger.AccountID]string) (phones.Transfer, error) {
	from, to := t.Postings[0], t.Postings[1]
	if from.Amount.Sign() > 0 {
		from, to = to, from
	}
	shown := phones.Transfer{
		ID: t.ID, At: t.At, Ref: t.Ref, Kind: t.Kind, From: names[from.Account], To: names[to.Account], Amount: to.Amount, Note: t.Note,
	}
	o, err := tx.OrderOf(ctx, t.ID)
	if errors.Is(err, store.ErrNotFound) {
		return shown, nil
	}
	if err == nil && shown.Note == "" {
		shown.Note = o.Secret.Memo
	}
	return shown, err
}

func nameOf(m *member.Member) string {
	switch {
	case m.Nick != "":
		return m.Nick
	case m.State == member.Closed:
		return fmt.Sprintf("#%d", m.ID)
	}
	return m.Number.National()
}
