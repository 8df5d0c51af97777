// Package sim plays with a whole server as the world would: a village of
// demonstration members on virtual phones, stories, and the load of many.
package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"maillon/internal/card"
	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
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

// What is shown of a member's SMS, and of the accounts by their names.
const (
	maxThread = 60
	maxNamed  = phones.MaxAccounts - 8
)

// A villager is who has a phone in the village, with what was earned.
type villager struct {
	name, language, word string
	number               sms.Number // zero: the one of that name in stories
	earned               int64
	reason               string
	days                 int  // since it was earned
	admin, away          bool // whether the phone is not on the page
}

func villagers() []villager {
	return []villager{
		{name: "yann", earned: 120, reason: "trois samedis d'atelier", days: 40},
		{name: "lena", earned: 60, reason: "accueil du samedi", days: 33},
		{name: "gwen", language: "en", earned: 40, reason: "welding lesson", days: 30},
		{name: "soazig", word: "tulipe", earned: 80, reason: "affiches de la bourse", days: 26},
		{name: "atelier", earned: 200, reason: "ouverture", days: 60},
		{name: "erwan", number: fictional("+33639980045"), earned: 35, reason: "réparation du portail", days: 21},
		{name: "rozenn", number: fictional("+33639980067"), earned: 50, reason: "goûter du village", days: 19, away: true},
		{name: "annaig", admin: true},
	}
}

// fictional returns a number of the range 06 39 98, set aside for fiction.
func fictional(e164 string) sms.Number {
	n, err := sms.FromE164(e164)
	if err != nil {
		panic(err) // a constant of this file is wrong
	}
	return n
}

func (v villager) phone() sms.Number {
	if v.number.IsZero() {
		return story.Phones()[v.name]
	}
	return v.number
}

// A deal is a payment of the past.
type deal struct {
	from, to string
	amount   int64
	memo     string
	days     int // ago
}

// villageDeals are what was paid before anybody looked, the oldest first.
func villageDeals() []deal {
	return []deal{
		{"yann", "atelier", 12, "selle vélo", 16},
		{"erwan", "yann", 6, "covoiturage", 15},
		{"lena", "yann", 8, "miel", 12},
		{"rozenn", "gwen", 5, "", 11},
		{"soazig", "lena", 15, "couture", 9},
		{"atelier", "gwen", 10, "welding", 8},
		{"yann", "rozenn", 4, "pain", 5},
		{"erwan", "atelier", 9, "chambre à air", 4},
		{"yann", "soazig", 7, "oeufs", 3},
	}
}

// VillageSettings are the settings of a server that was given none.
func VillageSettings() setting.Settings {
	s := setting.Default()
	desk := story.Phones()["annaig"].National()
	s.Help, s.AlertPhones = desk, []string{desk}
	s.Dormant = 100 * 365 * 24 * time.Hour // nobody has the villagers' paper cards at hand
	return s
}

// VillageNumber returns the number that the phones of the village write to.
func VillageNumber() sms.Number { return story.ServerNumber() }

// VillageStranger returns the phone of the village that has no account.
func VillageStranger() sms.Number { return story.Phones()[villageStranger] }

// A Presence says whether the books hold the village.
type Presence int

// What the books can hold.
const (
	Absent  Presence = iota
	Arrived          // just now
	Settled          // at an earlier start
)

// OpenVillage registers the villagers if it may, unless there ever was a
// village or anybody else. It returns what the books hold then.
func OpenVillage(ctx context.Context, s *server.Server, may bool) (p Presence, err error) {
	err = s.DB.Update(ctx, func(tx *store.Tx) error {
		p = Absent
		before, err := tx.State(ctx, villageOpened)
		if err != nil {
			return err
		}
		if before != "" {
			p = Settled
			return nil
		}
		anybody, err := tx.Members(ctx, store.Everyone, 0, 1)
		if err != nil || len(anybody) > 0 || !may {
			return err
		}
		p = Arrived
		if err := settle(ctx, tx, s.Settings); err != nil {
			return err
		}
		return tx.SetState(ctx, villageOpened, tx.Now().UTC().Format(time.RFC3339))
	})
	return p, err
}

// settle writes the villagers and their past.
func settle(ctx context.Context, tx *store.Tx, set *setting.Settings) error {
	emission, err := tx.SystemAccount(ctx, store.Emission, set.Currency())
	if err != nil {
		return err
	}
	accounts, members := map[string]ledger.AccountID{}, map[string]*member.Member{}
	everybody := villagers()
	for _, v := range everybody {
		m, err := v.move(ctx, tx, set)
		if err != nil {
			return fmt.Errorf("%s: %w", v.name, err)
		}
		if members[v.name] = m; v.admin {
			continue
		}
		a, err := tx.AccountOf(ctx, m.ID, set.Currency())
		if err != nil {
			return err
		}
		accounts[v.name] = a.ID
	}
	slices.SortStableFunc(everybody, func(a, b villager) int { return b.days - a.days })
	for _, v := range everybody {
		if v.admin {
			continue
		}
		m := members[v.name]
		o := &order.Order{Kind: order.Credit, Payee: int64(m.ID), Amount: setting.Whole(v.earned, set.Currency()), Secret: order.Secret{Memo: v.reason}}
		if err := record(ctx, tx, o, m, emission.ID, accounts[v.name], ledger.Credit, ago(tx, v.days)); err != nil {
			return err
		}
	}
	for _, d := range villageDeals() {
		from, to := members[d.from], members[d.to]
		o := &order.Order{
			Kind: order.Pay, Owner: int64(from.ID), Payer: int64(from.ID), Payee: int64(to.ID),
			Amount: setting.Whole(d.amount, set.Currency()), Secret: order.Secret{Memo: d.memo},
		}
		if err := record(ctx, tx, o, from, accounts[d.from], accounts[d.to], ledger.Payment, ago(tx, d.days)); err != nil {
			return err
		}
	}
	return nil
}

// move writes one villager, whose account is a year old.
func (v villager) move(ctx context.Context, tx *store.Tx, set *setting.Settings) (*member.Member, error) {
	m := &member.Member{
		State: member.Active, Number: v.phone(), Language: set.Language, Line: VillageLine, Word: v.word,
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

// ago returns a moment some days ago, not each day the same.
func ago(tx *store.Tx, days int) time.Time {
	return tx.Now().AddDate(0, 0, -days).Add(-time.Duration(days*47%180) * time.Minute)
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
	began   time.Time // what the phones showed before stands in the books alone

	mu    sync.Mutex // held to read or change what follows
	known bool       // books are what the ledger holds now
	books phones.Books
}

// NewVillage returns the phones of a server, which must have gateway among its
// lines. Nothing may have been said on the phones yet.
func NewVillage(s *server.Server, gateway *virtual.Gateway) *Village {
	return &Village{server: s, gateway: gateway, began: time.Now()}
}

// Run tells page what happens, until ctx ends.
func (v *Village) Run(ctx context.Context, page *phones.Page) {
	books, unsubscribe := v.server.DB.Subscribe(store.Books)
	defer unsubscribe()
	for ctx.Err() == nil {
		events := v.gateway.Subscribe(ctx)
		v.forget()
		page.Changed() // what happened before is looked at anew
		for open := true; open && ctx.Err() == nil; {
			var e virtual.Event
			select {
			case e, open = <-events:
				if open {
					v.forget() // names change too
					page.Ring(e.Phone)
				}
			case <-books:
				v.forget()
				page.Changed()
			case <-ctx.Done():
			}
		}
	}
}

// forget lets the books be read again.
func (v *Village) forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.known = false
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
				if !who.away {
					all = append(all, who.phone())
				}
			}
			all = slices.Insert(all, 1, VillageStranger()) // beside whoever pays it first
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
			p.Thread = v.thread(n, nil)
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
		p.Thread = v.thread(n, letters)
		return err
	})
	return p, err
}

// thread is what a phone shows: of before this start what the books keep, and
// since then all that was said on it.
func (v *Village) thread(n sms.Number, letters []store.Letter) []phones.Bubble {
	now := v.gateway.Thread(n)
	all := make([]phones.Bubble, 0, len(letters)+len(now))
	for _, l := range letters {
		late := func(b virtual.Bubble) bool { return l.Out && !b.Mine && b.Text == l.Text } // it waited for this start
		if l.At.Before(v.began) && l.Text != "" && !slices.ContainsFunc(now, late) {
			all = append(all, phones.Bubble{Mine: !l.Out, Text: l.Text, At: l.At})
		}
	}
	for _, b := range now {
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

// Books implements phones.Village. However many pages ask, the ledger is read
// once for each change.
func (v *Village) Books(ctx context.Context) (phones.Books, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.known {
		return v.books, nil
	}
	var b phones.Books
	err := v.server.DB.View(ctx, func(tx *store.Tx) (err error) {
		if b.Accounts, err = balances(ctx, tx); err != nil {
			return err
		}
		b.Transfers, err = transfers(ctx, tx)
		return err
	})
	v.books, v.known = b, err == nil
	return b, err
}

// balances returns the accounts with a name each, and all beyond what a page
// shows as one of each currency, so that the sum is that of all.
func balances(ctx context.Context, tx *store.Tx) ([]phones.Account, error) {
	var house, members []phones.Account
	rest := map[money.Currency]money.Amount{}
	err := tx.AllAccounts(ctx, func(a store.AccountRow) (err error) {
		switch {
		case a.Member == 0:
			house = append(house, phones.Account{Name: a.Name, Balance: a.Balance})
			return nil
		case len(members) < maxNamed:
			name, err := nameOf(ctx, tx, a.Member)
			members = append(members, phones.Account{Name: name, Balance: a.Balance})
			return err
		}
		c := a.Balance.Currency()
		if _, ok := rest[c]; !ok {
			rest[c] = money.New(0, c)
		}
		rest[c], err = rest[c].Add(a.Balance)
		return err
	})
	for _, sum := range rest {
		members = append(members, phones.Account{Name: "…", Balance: sum})
	}
	return append(members, house...), err
}

// transfers returns what happened last.
func transfers(ctx context.Context, tx *store.Tx) ([]phones.Transfer, error) {
	last, err := tx.LastTransactions(ctx, phones.MaxTransfers)
	if err != nil {
		return nil, err
	}
	var all []phones.Transfer
	for _, t := range last {
		if len(t.Postings) != 2 {
			continue
		}
		one, err := show(ctx, tx, t)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

func show(ctx context.Context, tx *store.Tx, t ledger.Transaction) (phones.Transfer, error) {
	from, to := t.Postings[0], t.Postings[1]
	if from.Amount.Sign() > 0 {
		from, to = to, from
	}
	shown := phones.Transfer{ID: t.ID, At: t.At, Ref: t.Ref, Kind: t.Kind, Amount: to.Amount, Note: t.Note}
	var err error
	if shown.From, err = accountName(ctx, tx, from.Account); err != nil {
		return shown, err
	}
	if shown.To, err = accountName(ctx, tx, to.Account); err != nil {
		return shown, err
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

func accountName(ctx context.Context, tx *store.Tx, id ledger.AccountID) (string, error) {
	m, name, err := tx.Owner(ctx, id)
	if err != nil || m == 0 {
		return name, err
	}
	return nameOf(ctx, tx, m)
}

// nameOf names a member as the handsets do.
func nameOf(ctx context.Context, tx *store.Tx, id member.ID) (string, error) {
	m, err := tx.Member(ctx, id)
	switch {
	case err != nil:
		return "", err
	case m.State == member.Closed:
		return fmt.Sprintf("#%d", m.ID), nil
	case m.Nick == "":
		return m.Number.National(), nil
	}
	return m.Nick, nil
}
