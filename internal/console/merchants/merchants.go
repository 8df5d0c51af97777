// Package merchants is the pages of those who sell and are paid on delivery:
// what each offers, its orders and their outcomes, clients and refunds, disputes,
// and what it is paid out.
package merchants

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"maillon/internal/auth"
	"maillon/internal/console/frame"
	"maillon/internal/merchant"
	"maillon/internal/money"
	"maillon/internal/server"
	"maillon/internal/store"
	"maillon/internal/trade"
	"maillon/internal/webhook"
)

//go:embed *.html *.toml
var files embed.FS

// New returns the room.
func New(s *server.Server) frame.Room {
	r := room{s, s.Merchants}
	return frame.Room{
		Name: "merchants", Files: files,
		Pages: []frame.Page{
			{Route: "GET /merchants", Right: auth.SeeNames, Serve: r.list},
			{Route: "POST /merchants", Right: auth.Merchants, Serve: r.add},
			{Route: "GET /merchants/{id}", Right: auth.SeeNames, Serve: r.show},
			{Route: "POST /merchants/{id}", Right: auth.Merchants, Serve: r.change},
			{Route: "GET /merchants/{id}/policies/new", Right: auth.Merchants, Serve: r.newPolicy},
			{Route: "POST /merchants/{id}/policies", Right: auth.Merchants, Serve: r.addPolicy},
			{Route: "GET /policies/{id}", Right: auth.SeeNames, Serve: r.showPolicy},
			{Route: "POST /policies/{id}", Right: auth.Merchants, Serve: r.changePolicy},
			{Route: "GET /merchants/{id}/orders", Right: auth.SeeNames, Serve: r.listOrders},
			{Route: "GET /merchants/{id}/orders/new", Right: auth.Merchants, Serve: r.newOrder},
			{Route: "POST /merchants/{id}/orders", Right: auth.Merchants, Serve: r.addOrder},
			{Route: "POST /merchants/{id}/orders/file", Right: auth.Merchants, Serve: r.addOrders},
			{Route: "GET /orders/{id}", Right: auth.SeeNames, Serve: r.showOrder},
			{Route: "POST /orders/{id}", Right: auth.Merchants, Serve: r.endOrder},
			{Route: "GET /merchants/{id}/clients", Right: auth.SeeNames, Serve: r.listClients},
			{Route: "GET /clients/{id}", Right: auth.SeeNames, Serve: r.showClient},
			{Route: "POST /clients/{id}", Right: auth.Merchants, Serve: r.changeClient},
			{Route: "GET /contested", Right: auth.SeeNames, Serve: r.listDisputes},
			{Route: "GET /contested/{id}", Right: auth.SeeNames, Serve: r.showDispute},
			{Route: "POST /contested/{id}", Right: auth.Decide, Serve: r.judge},
			{Route: "GET /merchants/{id}/payouts", Right: auth.SeeNames, Serve: r.listPayouts},
			{Route: "POST /merchants/{id}/payouts", Right: auth.Merchants, Serve: r.pay},
			{Route: "GET /merchants/{id}/programs", Right: auth.Merchants, Serve: r.listPrograms},
			{Route: "POST /merchants/{id}/programs", Right: auth.Merchants, Serve: r.changePrograms},
			{Route: "GET /merchants/{id}/programs/{endpoint}", Right: auth.Merchants, Serve: r.showEndpoint},
			{Route: "POST /merchants/{id}/programs/{endpoint}", Right: auth.Merchants, Serve: r.changeEndpoint},
			{Route: "GET /statements", Right: auth.SeeNames, Serve: r.listStatements},
			{Route: "POST /statements", Right: auth.Merchants, Serve: r.settle},
		},
		Menu: []frame.Entry{
			{Path: "/merchants", Word: "merchants.menu", Right: auth.SeeNames, Group: "trade", Order: 1},
			{Path: "/contested", Word: "contested.menu", Right: auth.SeeNames, Group: "trade", Order: 2},
			{Path: "/statements", Word: "statements.menu", Right: auth.SeeNames, Group: "trade", Order: 3},
		},
	}
}

type room struct {
	server *server.Server
	*merchant.Service
}

// pageSize is how many rows a list shows.
const pageSize = 50

// words are what is said of an error that only these pages know.
var words = []struct {
	err  error
	word string
}{
	{merchant.ErrName, "merchants.wrong.name"},
	{merchant.ErrKeyword, "merchants.wrong.keyword"},
	{merchant.ErrReasonNeeded, "merchants.wrong.reason"},
	{merchant.ErrBraked, "merchants.wrong.braked"},
	{merchant.ErrSuspended, "merchants.wrong.suspended"},
	{merchant.ErrAmount, "merchants.wrong.amount"},
	{merchant.ErrNotRefundable, "merchants.wrong.refund"},
	{merchant.ErrDestination, "merchants.wrong.destination"},
	{merchant.ErrReference, "merchants.wrong.reference"},
	{merchant.ErrPhone, "merchants.wrong.phone"},
	{merchant.ErrUsername, "merchants.wrong.username"},
	{merchant.ErrAsk, "merchants.wrong.ask"},
	{merchant.ErrTooManyTries, "merchants.wrong.tries"},
	{auth.ErrName, "programs.wrong.name"},
	{auth.ErrUnknown, "programs.wrong.key"},
	{webhook.ErrURL, "programs.wrong.url"},
	{webhook.ErrAddress, "programs.wrong.address"},
	{webhook.ErrTooMany, "programs.wrong.many"},
	{webhook.ErrDisabled, "programs.wrong.off"},
}

// sorry says what was wrong where only these pages know it.
func sorry(v *frame.Visit, err error) error {
	if refusal, ok := errors.AsType[*trade.Refusal](err); ok {
		return frame.Sorry("reason." + string(refusal.Reason))
	}
	if state, ok := errors.AsType[*trade.StateError](err); ok {
		return frame.Sorry("merchants.wrong.state", v.Say("state."+string(state.Is)))
	}
	if p, ok := errors.AsType[*trade.PolicyError](err); ok {
		return frame.Sorry("merchants.wrong.policy", v.Say("field."+p.Field), p.What)
	}
	for _, w := range words {
		if errors.Is(err, w.err) {
			return frame.Sorry(w.word)
		}
	}
	return err
}

// draw makes a key for a form, so that sent twice it does one thing.
func draw() string { return rand.Text() }

// A standing is a merchant with what its sheet shows.
type standing struct {
	*trade.Merchant
	Policies []*trade.Policy
	Outcomes merchant.Outcomes
	Due      []due
	Payee    string
}

type due struct{ Earned, Withheld, Owed, Available money.Amount }

func dues(all []merchant.Due) []due {
	list := make([]due, 0, len(all))
	for _, d := range all {
		sum := func(n int64) money.Amount { return money.New(n, d.Currency) }
		list = append(list, due{sum(d.Earned), sum(d.Withheld), sum(d.Owed), sum(d.Available)})
	}
	return list
}

func (r room) list(v *frame.Visit) error {
	var page struct{ All []*trade.Merchant }
	err := v.View(func(ctx context.Context, tx *store.Tx) (err error) {
		page.All, err = r.Service.Merchants(ctx, tx, 0, store.MaxRecords)
		return err
	})
	if err != nil {
		return err
	}
	return v.Show("list", page)
}

func (r room) add(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	var live *trade.Merchant
	err := v.Update(func(ctx context.Context, tx *store.Tx) (err error) {
		n := merchant.NewMerchant{Name: v.Value("name")}
		if who := v.Value("who"); who != "" {
			m, err := r.server.Treasury.Find(ctx, tx, who)
			if err != nil {
				return err
			}
			n.Member = m.ID
		}
		live, _, err = r.Service.Add(ctx, tx, v.By(), n)
		return err
	})
	if err != nil {
		return sorry(v, err)
	}
	return v.Done(sheet(live.ID), "merchants.added")
}

func sheet(id int64) string { return fmt.Sprintf("/merchants/%d", id) }

// its reads the merchant of a page; in test mode, its twin.
func (r room) its(ctx context.Context, tx *store.Tx, v *frame.Visit) (*trade.Merchant, error) {
	id, err := v.PathID("id")
	if err != nil {
		return nil, err
	}
	return r.Merchant(ctx, tx, id)
}

// lately is since when outcomes are counted.
const lately = 90 * 24 * time.Hour

func (r room) show(v *frame.Visit) error {
	var page standing
	err := v.View(func(ctx context.Context, tx *store.Tx) (err error) {
		if page.Merchant, err = r.its(ctx, tx, v); err != nil {
			return err
		}
		if page.Policies, err = r.Policies(ctx, tx, page.Merchant, merchant.Page{Limit: pageSize}); err != nil {
			return err
		}
		if page.Outcomes, err = r.Service.Outcomes(ctx, tx, page.Merchant, tx.Now().Add(-lately)); err != nil {
			return err
		}
		all, err := r.Payable(ctx, tx, page.Merchant)
		if err != nil {
			return err
		}
		page.Due = dues(all)
		page.Payee, err = r.payee(ctx, tx, v, page.Merchant)
		return err
	})
	if err != nil {
		return err
	}
	return v.Show("merchant", page)
}

func (r room) payee(ctx context.Context, tx *store.Tx, v *frame.Visit, m *trade.Merchant) (string, error) {
	if m.Member == 0 {
		return "", nil
	}
	names, err := v.Names(ctx, tx, frameID(m.Member))
	if err != nil {
		return "", err
	}
	return names.Of(frameID(m.Member)), nil
}

// change suspends a merchant, lets it go on, or says who is paid out.
func (r room) change(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	var id int64
	err := v.Update(func(ctx context.Context, tx *store.Tx) error {
		m, err := r.its(ctx, tx, v)
		if err != nil {
			return err
		}
		id = m.ID
		switch v.Value("what") {
		case "suspend":
			return r.Suspend(ctx, tx, v.By(), m.ID, true, v.Value("reason"))
		case "resume":
			return r.Suspend(ctx, tx, v.By(), m.ID, false, v.Value("reason"))
		case "unbrake":
			return r.Unbrake(ctx, tx, v.By(), m.ID, v.Value("reason"))
		case "payee":
			payee, err := r.server.Treasury.Find(ctx, tx, v.Value("who"))
			if err != nil {
				return err
			}
			return r.SetPayee(ctx, tx, v.By(), m.ID, payee.ID)
		}
		return frame.ErrForm
	})
	if err != nil {
		return sorry(v, err)
	}
	return v.Done(sheet(id), "merchants.done")
}

// number reads a whole number of a form, 0 for nothing.
func number(v *frame.Visit, name string) (int, error) {
	text := strings.TrimSpace(v.Value(name))
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, frame.Sorry("merchants.wrong.number", v.Say("field."+name))
	}
	return n, nil
}

// sum reads an amount of a form in a currency, 0 for nothing.
func sum(v *frame.Visit, name string, c money.Currency) (int64, error) {
	text := strings.TrimSpace(v.Value(name))
	if text == "" {
		return 0, nil
	}
	d, err := money.ParseDecimal(strings.Replace(text, ",", ".", 1))
	if err != nil {
		return 0, frame.ErrSum
	}
	a, err := d.In(c)
	if err != nil {
		return 0, frame.ErrSum
	}
	return a.Minor(), nil
}

// A form is a policy as its page shows it.
type form struct {
	*trade.Merchant
	P       trade.Policy
	Sums    map[string]string
	Rails   []trade.Rail
	Pickups string
	Days    int
	Hours   int
	Problem string
}

func newForm(m *trade.Merchant, p trade.Policy) form {
	f := form{Merchant: m, P: p, Sums: map[string]string{}, Rails: []trade.Rail{trade.Premium, trade.Balance, trade.Cash}}
	for name, n := range map[string]int64{
		"price": p.Price, "advance_per_order": p.PerOrder, "deposit": p.Deposit, "forfeit_amount": p.Forfeit, "max_order_total": p.MaxTotal,
	} {
		if n != 0 {
			f.Sums[name] = money.New(n, p.Currency).Plain()
		}
	}
	f.Pickups, f.Days, f.Hours = strings.Join(p.Pickups, "\n"), int(p.Validity/(24*time.Hour)), int(p.Window/time.Hour)
	return f
}

// Has reports whether money may come by a rail.
func (f form) Has(r trade.Rail) bool { return f.P.Takes(r) }

func (r room) newPolicy(v *frame.Visit) error {
	var m *trade.Merchant
	err := v.View(func(ctx context.Context, tx *store.Tx) (err error) {
		m, err = r.its(ctx, tx, v)
		return err
	})
	if err != nil {
		return err
	}
	return v.Show("policy", newForm(m, trade.Policy{
		Flow: trade.ByCode, Kind: trade.Deposit, Messages: 1, MaxOrders: 1, Delivery: trade.Either, Window: trade.DefaultHours * time.Hour,
		OnOutage: trade.Closed, Basis: trade.Face, Holder: trade.Platform, Currency: r.server.Settings.Currency(), ReturnsSlot: true, RefundWithdraw: true,
		Rails: []trade.Rail{trade.Premium, trade.Balance, trade.Cash},
	}))
}

// readPolicy reads the form of a policy.
func (r room) readPolicy(v *frame.Visit, p *trade.Policy) error {
	p.ShortCode, p.OnOutage = strings.TrimSpace(v.Value("short_code")), trade.Outage(v.Value("on_outage"))
	p.Delivery, p.Basis, p.Holder = trade.Delivery(v.Value("delivery")), trade.Basis(v.Value("credit_basis")), trade.Holder(v.Value("holder"))
	p.ReturnsSlot, p.RefundWithdraw, p.Ended = v.Value("release_returns_slot") != "", v.Value("withdrawal_refunds") != "", v.Value("ended") != ""
	p.Rails = nil
	for _, rail := range []trade.Rail{trade.Premium, trade.Balance, trade.Cash} {
		if v.Value("rail_"+string(rail)) != "" {
			p.Rails = append(p.Rails, rail)
		}
	}
	if len(p.Rails) == 0 {
		return frame.Sorry("merchants.wrong.rails")
	}
	p.Pickups = nil
	for line := range strings.Lines(v.Value("pickup_points")) {
		if line = strings.TrimSpace(line); line != "" {
			p.Pickups = append(p.Pickups, line)
		}
	}
	var days, hours int
	var err error
	for name, to := range map[string]*int{
		"messages_required": &p.Messages, "max_orders": &p.MaxOrders, "max_open_orders": &p.MaxOpen, "days": &days, "hours": &hours,
	} {
		if *to, err = number(v, name); err != nil {
			return err
		}
	}
	p.Validity, p.Window = time.Duration(min(days, 10_000))*24*time.Hour, time.Duration(min(hours, 100_000))*time.Hour
	for name, to := range map[string]*int64{
		"price": &p.Price, "advance_per_order": &p.PerOrder, "deposit": &p.Deposit, "forfeit_amount": &p.Forfeit, "max_order_total": &p.MaxTotal,
	} {
		if *to, err = sum(v, name, p.Currency); err != nil {
			return err
		}
	}
	return nil
}

// again shows the form of a policy again, with what is wrong.
func (r room) again(v *frame.Visit, m *trade.Merchant, p trade.Policy, err error) error {
	text, known := v.Sentence(sorry(v, err))
	if !known {
		return sorry(v, err)
	}
	f := newForm(m, p)
	for _, name := range []string{"price", "advance_per_order", "deposit", "forfeit_amount", "max_order_total"} {
		f.Sums[name] = v.Value(name)
	}
	f.Problem = text
	return v.Refuse("policy", f)
}

func (r room) addPolicy(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	var m *trade.Merchant
	p := trade.Policy{
		Keyword: strings.ToUpper(strings.TrimSpace(v.Value("keyword"))), Flow: trade.Flow(v.Value("flow")), Kind: trade.Kind(v.Value("kind")),
	}
	err := v.Update(func(ctx context.Context, tx *store.Tx) (err error) {
		if m, err = r.its(ctx, tx, v); err != nil {
			return err
		}
		c, ok := r.server.Settings.CurrencyOf(strings.TrimSpace(v.Value("currency")))
		if !ok {
			p.Currency = r.server.Settings.Currency()
			return frame.Sorry("merchants.wrong.currency")
		}
		p.Currency = c
		if err := r.readPolicy(v, &p); err != nil {
			return err
		}
		return r.AddPolicy(ctx, tx, v.By(), m, &p)
	})
	if err != nil && m != nil {
		p.ID = 0
		return r.again(v, m, p, err)
	}
	if err != nil {
		return err
	}
	return v.Done(fmt.Sprintf("/policies/%d", p.ID), "merchants.policy.added")
}

// policy reads the policy of a page with its merchant.
func (r room) policy(ctx context.Context, tx *store.Tx, v *frame.Visit) (*trade.Merchant, *trade.Policy, error) {
	id, err := v.PathID("id")
	if err != nil {
		return nil, nil, err
	}
	p, err := r.Policy(ctx, tx, nil, id)
	if err != nil {
		return nil, nil, err
	}
	m, err := r.Merchant(ctx, tx, p.Merchant)
	return m, p, err
}

func (r room) showPolicy(v *frame.Visit) error {
	var m *trade.Merchant
	var p *trade.Policy
	err := v.View(func(ctx context.Context, tx *store.Tx) (err error) {
		m, p, err = r.policy(ctx, tx, v)
		return err
	})
	if err != nil {
		return err
	}
	return v.Show("policy", newForm(m, *p))
}

func (r room) changePolicy(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	var m *trade.Merchant
	var p *trade.Policy
	err := v.Update(func(ctx context.Context, tx *store.Tx) (err error) {
		if m, p, err = r.policy(ctx, tx, v); err != nil {
			return err
		}
		if err := r.readPolicy(v, p); err != nil {
			return err
		}
		return r.ChangePolicy(ctx, tx, v.By(), m, p)
	})
	if err != nil && p != nil {
		return r.again(v, m, *p, err)
	}
	if err != nil {
		return err
	}
	return v.Done(fmt.Sprintf("/policies/%d", p.ID), "merchants.done")
}

// paged cuts a list that was read with one row more than the page has.
func paged[T any](all []T, id func(T) int64) ([]T, int64) {
	if len(all) <= pageSize {
		return all, 0
	}
	return all[:pageSize], id(all[pageSize-1])
}

// before reads where a page begins, 0 for the first.
func before(v *frame.Visit) int64 {
	n, err := strconv.ParseInt(v.Request.URL.Query().Get("before"), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// states are those by which orders are chosen.
var states = []trade.State{
	trade.Requested, trade.Reserved, trade.Opened, trade.Honoured, trade.Released, trade.Withdrawn, trade.NotHonoured, trade.Forfeit, trade.Reinstated,
}

func chosen(v *frame.Visit) (trade.State, []trade.State) {
	s := trade.State(v.Request.URL.Query().Get("state"))
	if !slices.Contains(states, s) {
		return "", nil
	}
	return s, []trade.State{s}
}
