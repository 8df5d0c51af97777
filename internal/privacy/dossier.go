// Package privacy answers a member who asks what is known of her: all of it, in
// one file that she and a program can read. What is only hers to know, such as
// a code, is not in it either, for somebody else may hand it over.
package privacy

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/merchant"
	"maillon/internal/money"
	"maillon/internal/order"
	"maillon/internal/setting"
	"maillon/internal/stall"
	"maillon/internal/store"
	"maillon/internal/teller"
	"maillon/internal/treasury"
)

// Bounds of a dossier, and of what is read at once for it.
const (
	maxEntries = 50_000 // of each list
	perRead    = 500
	maxLetters = 5_000
)

// A Dossier is what is known of one member. Times are RFC 3339, sums decimal.
type Dossier struct {
	Association string    `json:"association"`
	Made        time.Time `json:"made"`
	Member      Person    `json:"member"`
	Accounts    []Account `json:"accounts"`
	Entries     []Entry   `json:"entries"`
	Orders      []Order   `json:"orders"`
	Messages    []Message `json:"messages"`
	Acts        []Act     `json:"acts"`
	Looks       []Act     `json:"looks"`
	Alerts      []Alert   `json:"alerts"`
	Buys        []Buys    `json:"buys,omitempty"`
	Sells       []Item    `json:"sells,omitempty"`
	Devices     []Device  `json:"devices,omitempty"`
	Cut         bool      `json:"cut"` // a list was too long to be whole
}

// A Person is who asks.
type Person struct {
	ID        string    `json:"id"`
	Nick      string    `json:"pseudo"`
	Number    string    `json:"number"`
	Mail      []Mail    `json:"mail,omitempty"`
	State     string    `json:"state"`
	Role      string    `json:"role,omitempty"`
	Language  string    `json:"language"`
	Muted     bool      `json:"muted"`
	Word      bool      `json:"own_word"`
	Card      bool      `json:"code_card"`
	Blocks    int       `json:"blocks"`
	Line      string    `json:"line,omitempty"`
	Opened    time.Time `json:"opened,omitzero"`
	Seen      time.Time `json:"last_sms,omitzero"`
	Frozen    time.Time `json:"frozen,omitzero"`
	Lost      time.Time `json:"lost,omitzero"`
	Locked    time.Time `json:"locked_until,omitzero"`
	LookTill  time.Time `json:"lookups_closed_until,omitzero"`
	AskTill   time.Time `json:"requests_closed_until,omitzero"`
	DoubtTill time.Time `json:"card_asked_until,omitzero"`
	Proved    time.Time `json:"card_proved,omitzero"`
}

// A Mail is an e-mail address by which she writes, or asks to.
type Mail struct {
	Address string    `json:"address"`
	Bound   bool      `json:"bound"`
	Since   time.Time `json:"since"`
}

// An Account is what a member has in one unit.
type Account struct {
	Unit    string `json:"unit"`
	Balance string `json:"balance"`
	Held    string `json:"held"`
}

// An Entry is money that moved.
type Entry struct {
	At      time.Time `json:"at"`
	Ref     string    `json:"ref"`
	Kind    string    `json:"kind"`
	Unit    string    `json:"unit"`
	Amount  string    `json:"amount"`
	Balance string    `json:"balance"`
	With    string    `json:"with"`
	Memo    string    `json:"memo,omitempty"`
}

// An Order is something that she asked, or was asked.
type Order struct {
	At     time.Time `json:"at"`
	Ref    string    `json:"ref"`
	Kind   string    `json:"kind"`
	State  string    `json:"state"`
	Mine   bool      `json:"asked_by_member"`
	Unit   string    `json:"unit"`
	Amount string    `json:"amount"`
	Typed  string    `json:"typed,omitempty"`
	Memo   string    `json:"memo,omitempty"`
}

// A Message is an SMS.
type Message struct {
	At    time.Time `json:"at"`
	Out   bool      `json:"from_association"`
	Text  string    `json:"text"` // "" once it is forgotten
	State string    `json:"state"`
}

// An Act is what somebody at work did, by number and role.
type Act struct {
	At     time.Time `json:"at"`
	What   string    `json:"what"`
	By     string    `json:"by"`
	Reason string    `json:"reason,omitempty"`
}

// An Alert is a rule that met her.
type Alert struct {
	At   time.Time `json:"at"`
	Rule string    `json:"rule"`
}

// Buys is what she may order, or might, at a merchant, and pay on delivery.
type Buys struct {
	Merchant string    `json:"merchant"`
	Keyword  string    `json:"keyword"`
	State    string    `json:"state"`
	Currency string    `json:"currency"`
	Deposit  string    `json:"deposit"`
	Advance  string    `json:"advance"`
	Since    time.Time `json:"since"`
	Until    time.Time `json:"until,omitzero"`
	Orders   []Bought  `json:"orders,omitempty"`
}

// Bought is one order.
type Bought struct {
	Ref   string    `json:"ref"`
	Total string    `json:"total"`
	State string    `json:"state"`
	Since time.Time `json:"since"`
}

// An Item is something that she sells, or sold, at a stall.
type Item struct {
	Short       string    `json:"short_id"`
	Description string    `json:"description"`
	Unit        string    `json:"unit"`
	Amount      string    `json:"amount,omitempty"` // "": the buyer says it
	Ended       bool      `json:"ended"`
	Since       time.Time `json:"since"`
}

// A Device tells her stall whether it was paid.
type Device struct {
	Description string    `json:"description"`
	State       string    `json:"state"`
	Since       time.Time `json:"since"`
	Reported    time.Time `json:"last_report,omitzero"`
}

// Label is the number by which a member stands in lists: "M0012".
func Label(id member.ID) string { return fmt.Sprintf("M%04d", int64(id)) }

// A Registrar makes dossiers.
type Registrar struct {
	Set    *setting.Settings
	Teller *teller.Teller // masks what is secret
	Most   int            // lines of each list; 0: all, within reason
}

// most is how many lines each list has at most.
func (r Registrar) most() int {
	if r.Most == 0 {
		return maxEntries
	}
	return min(r.Most, maxEntries)
}

// gathering is one dossier at work.
type gathering struct {
	Registrar
	tx    *store.Tx
	m     *member.Member
	d     *Dossier
	names map[member.ID]string
	staff map[string]string
}

// Dossier returns what is known of a member.
func (r Registrar) Dossier(ctx context.Context, tx *store.Tx, m *member.Member) (*Dossier, error) {
	d := &Dossier{Association: r.Set.Association, Made: tx.Now()}
	g := &gathering{r, tx, m, d, map[member.ID]string{}, map[string]string{}}
	for _, step := range []func(context.Context) error{g.person, g.accounts, g.orders, g.messages, g.acts, g.alerts, g.merchants, g.stall} {
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("dossier of member %d: %w", m.ID, err)
		}
	}
	return d, nil
}

func (g *gathering) person(ctx context.Context) error {
	m := g.m
	_, err := g.tx.Card(ctx, m)
	if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrErased) {
		return err
	}
	g.d.Member = Person{
		ID: Label(m.ID), Nick: m.Nick, Number: m.Number.E164(), State: string(m.State), Role: string(m.Role), Language: m.Language, Muted: m.Muted,
		Word: m.Word != "", Card: err == nil, Line: m.Line, Opened: m.OpenedAt, Seen: m.SeenAt, Frozen: m.FrozenAt, Lost: m.LostAt,
		Locked: m.LockedTill, LookTill: m.LookTill, AskTill: m.AskTill, DoubtTill: m.DoubtTill, Proved: m.ProvedAt,
	}
	boxes, err := g.tx.Mailboxes(ctx, m)
	if err != nil {
		return err
	}
	for _, b := range boxes {
		g.d.Member.Mail = append(g.d.Member.Mail, Mail{b.Address.Text(), b.Bound, b.Since})
	}
	g.d.Member.Blocks, err = g.tx.Blocks(ctx, m.ID)
	return err
}

// merchants lists her authorizations by her number; those that a shop knows under a
// username of its own are the shop's to say.
func (g *gathering) merchants(ctx context.Context) error {
	var s merchant.Service
	all, err := s.Of(ctx, g.tx, g.m.Number)
	if err != nil {
		return err
	}
	for _, a := range all {
		p, err := s.Policy(ctx, g.tx, nil, a.Policy)
		if err != nil {
			return err
		}
		m, err := s.Merchant(ctx, g.tx, a.Merchant)
		if err != nil {
			return err
		}
		sum := func(n int64) string { return money.New(n, p.Currency).Plain() }
		b := Buys{
			Merchant: m.Name, Keyword: p.Keyword, State: string(a.State), Currency: p.Currency.Code, Deposit: sum(a.Deposit), Advance: sum(a.Advance),
			Since: a.Created, Until: a.Expires,
		}
		orders, err := s.Claims(ctx, g.tx, m, merchant.Page{Parent: a.ID, Limit: maxBought})
		if err != nil {
			return err
		}
		for _, c := range orders {
			b.Orders = append(b.Orders, Bought{c.OrderRef, sum(c.Total), string(c.State), c.Created})
		}
		g.d.Buys = append(g.d.Buys, b)
	}
	return nil
}

// maxBought bounds the orders that are listed of one authorization.
const maxBought = 100

func (g *gathering) stall(ctx context.Context) error {
	var stalls stall.Service
	items, err := stalls.Templates(ctx, g.tx, stall.Of(g.m.ID), true)
	if err != nil {
		return err
	}
	for _, t := range items {
		i := Item{Short: t.Short, Description: t.Description, Unit: g.unit(t.Price()), Ended: t.Ended, Since: t.Created}
		if t.Amount > 0 {
			i.Amount = t.Price().Plain()
		}
		g.d.Sells = append(g.d.Sells, i)
	}
	devices, err := stalls.Devices(ctx, g.tx, stall.Of(g.m.ID))
	for _, d := range devices {
		g.d.Devices = append(g.d.Devices, Device{d.Description, d.State, d.Created, d.Reported})
	}
	return err
}

func (g *gathering) accounts(ctx context.Context) error {
	accounts, err := g.tx.AccountsOf(ctx, g.m.ID)
	if err != nil {
		return err
	}
	for _, a := range accounts {
		g.d.Accounts = append(g.d.Accounts, Account{g.unit(a.Balance), a.Balance.Plain(), a.Held.Plain()})
		if err := g.entries(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

func (g *gathering) unit(a money.Amount) string { return g.Set.UnitOf(a.Currency()).Name }

func (g *gathering) entries(ctx context.Context, a ledger.Account) error {
	for skip := 0; ; skip += perRead {
		moves, err := g.tx.Movements(ctx, a.ID, skip, perRead)
		if err != nil {
			return err
		}
		for _, x := range moves {
			if len(g.d.Entries) == g.most() {
				g.d.Cut = true
				return nil
			}
			e := Entry{At: x.At, Ref: x.Ref, Kind: string(x.Kind), Unit: g.unit(x.Amount), Amount: x.Amount.Plain(), Balance: x.Balance.Plain()}
			if e.With, err = g.name(ctx, x.OtherMember, x.OtherName); err != nil {
				return err
			}
			if e.Memo, err = g.memo(ctx, x.Transaction); err != nil {
				return err
			}
			g.d.Entries = append(g.d.Entries, e)
		}
		if len(moves) < perRead {
			return nil
		}
	}
}

// name is what she may call somebody: the pseudo, or the masked number.
func (g *gathering) name(ctx context.Context, id member.ID, account string) (string, error) {
	if id == 0 {
		return account, nil
	}
	if name, ok := g.names[id]; ok {
		return name, nil
	}
	m, err := g.tx.Member(ctx, id)
	if err != nil {
		return "", err
	}
	name := Label(id)
	switch {
	case m.Nick != "":
		name = m.Nick
	case !m.Number.IsZero():
		name = m.Number.Masked()
	}
	g.names[id] = name
	return name, nil
}

func (g *gathering) memo(ctx context.Context, id ledger.TransactionID) (string, error) {
	o, err := g.tx.OrderOf(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return o.Secret.Memo, nil
}

func (g *gathering) orders(ctx context.Context) error {
	before := g.tx.Now().Add(time.Microsecond)
	for len(g.d.Orders) < g.most() {
		some, err := g.tx.OrdersOf(ctx, g.m.ID, before, perRead)
		if err != nil {
			return err
		}
		for _, o := range some {
			before = o.Created
			g.d.Orders = append(g.d.Orders, g.order(o))
		}
		if len(some) < perRead {
			return nil
		}
	}
	g.d.Cut = true
	return nil
}

// order says of what another asked only what the SMS said.
func (g *gathering) order(o *order.Order) Order {
	mine := o.Owner == int64(g.m.ID)
	line := Order{
		At: o.Created, Ref: o.Ref, Kind: string(o.Kind), State: string(o.State), Mine: mine, Unit: g.unit(o.Amount), Amount: o.Amount.Plain(), Memo: o.Secret.Memo,
	}
	if mine {
		line.Typed = o.Secret.Typed
	}
	return line
}

func (g *gathering) messages(ctx context.Context) error {
	letters, err := g.tx.Thread(ctx, g.m, min(maxLetters, g.most()))
	if err != nil {
		return err
	}
	g.d.Cut = g.d.Cut || len(letters) == min(maxLetters, g.most())
	if err := g.Teller.Veil(ctx, g.tx, g.m, letters); err != nil {
		return err
	}
	for _, l := range letters {
		g.d.Messages = append(g.d.Messages, Message{l.At, l.Out, l.Text, l.State})
	}
	return nil
}

func (g *gathering) acts(ctx context.Context) error {
	w := store.ActsWhere{Subject: treasury.By(g.m)}
	for len(g.d.Acts)+len(g.d.Looks) < g.most() {
		some, err := g.tx.Acts(ctx, w, perRead)
		if err != nil {
			return err
		}
		for _, a := range some {
			w.Before = a.ID
			by, err := g.worker(ctx, a.By)
			if err != nil {
				return err
			}
			if act := (Act{a.At, a.What, by, a.Reason}); a.What == treasury.Looked {
				g.d.Looks = append(g.d.Looks, act)
			} else {
				g.d.Acts = append(g.d.Acts, act)
			}
		}
		if len(some) < perRead {
			return nil
		}
	}
	g.d.Cut = true
	return nil
}

// worker names who acted by number and role, not by name: she has a right to
// know that it was somebody at work, and that it is known who.
func (g *gathering) worker(ctx context.Context, by string) (string, error) {
	if name, ok := g.staff[by]; ok {
		return name, nil
	}
	name := by
	if rest, is := strings.CutPrefix(by, "member:"); is {
		id, err := strconv.ParseInt(rest, 10, 64)
		if err != nil {
			return "", err
		}
		m, err := g.tx.Member(ctx, member.ID(id))
		if err != nil {
			return "", err
		}
		name = strings.TrimSpace(Label(m.ID) + " " + string(m.Role))
	}
	g.staff[by] = name
	return name, nil
}

func (g *gathering) alerts(ctx context.Context) error {
	some, err := g.tx.AlarmsOf(ctx, g.m.ID, perRead)
	for _, a := range some {
		g.d.Alerts = append(g.d.Alerts, Alert(a))
	}
	return err
}
