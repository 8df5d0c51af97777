package merchants

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"

	"maillon/internal/console/frame"
	"maillon/internal/member"
	"maillon/internal/merchant"
	"maillon/internal/money"
	"maillon/internal/store"
	"maillon/internal/trade"
)

func frameID(id int64) member.ID { return member.ID(id) }

// An orderRow is an order in a list.
type orderRow struct {
	*trade.Claim
	Sum money.Amount
}

func (r room) sumOf(c *trade.Claim) money.Amount {
	currency, ok := r.server.Settings.CurrencyOf(c.Currency)
	if !ok {
		currency = money.Currency{Code: c.Currency}
	}
	return money.New(c.Total, currency)
}

func (r room) listOrders(v *frame.Visit) error {
	var page struct {
		*trade.Merchant
		All    []orderRow
		State  trade.State
		States []trade.State
		Next   int64
	}
	var only []trade.State
	page.State, only = chosen(v)
	page.States = states
	err := v.View(func(ctx context.Context, tx *store.Tx) (err error) {
		if page.Merchant, err = r.its(ctx, tx, v); err != nil {
			return err
		}
		all, err := r.Claims(ctx, tx, page.Merchant, merchant.Page{Limit: pageSize + 1, States: only, Newest: true, Before: before(v)})
		if err != nil {
			return err
		}
		all, page.Next = paged(all, func(c *trade.Claim) int64 { return c.ID })
		for _, c := range all {
			page.All = append(page.All, orderRow{c, r.sumOf(c)})
		}
		return nil
	})
	if err != nil {
		return err
	}
	return v.Show("orders", page)
}

// newOrder is the form by which an order is taken by hand, and a file of them.
func (r room) newOrder(v *frame.Visit) error { return r.orderForm(v, "", nil) }

// A result is what became of one line of a file.
type result struct {
	Line      int
	Ref, What string
	Bad       bool
}

func (r room) orderForm(v *frame.Visit, problem string, results []result) error {
	var page struct {
		*trade.Merchant
		Policies []*trade.Policy
		Problem  string
		Results  []result
	}
	page.Problem, page.Results = problem, results
	err := v.View(func(ctx context.Context, tx *store.Tx) (err error) {
		if page.Merchant, err = r.its(ctx, tx, v); err != nil {
			return err
		}
		page.Policies, err = r.Policies(ctx, tx, page.Merchant, merchant.Page{Limit: pageSize, States: []trade.State{"open"}})
		return err
	})
	if err != nil {
		return err
	}
	if problem != "" {
		return v.Refuse("order_new", page)
	}
	return v.Show("order_new", page)
}

// addOrder takes one order: with a code it must be authorized, with a number the
// client is asked if she is not.
func (r room) addOrder(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	var c *trade.Claim
	err := v.Update(func(ctx context.Context, tx *store.Tx) error {
		m, err := r.its(ctx, tx, v)
		if err != nil {
			return err
		}
		p, err := r.asked(ctx, tx, v, m)
		if err != nil {
			return err
		}
		total, err := sum(v, "total", p.Currency)
		if err != nil {
			return err
		}
		ask := merchant.Ask{
			Code: v.Value("code"), Phone: v.Value("phone"), Username: v.Value("username"), Client: v.By(),
			Order: trade.Order{Ref: strings.TrimSpace(v.Value("ref")), Total: total, Currency: p.Currency.Code},
		}
		c, err = r.takeOrder(ctx, tx, v.By(), m, p, ask)
		return err
	})
	if err == nil {
		return v.Done(fmt.Sprintf("/orders/%d", c.ID), "merchants.order.added", v.Say("state."+string(c.State)))
	}
	text, known := v.Sentence(sorry(v, err))
	if !known {
		return sorry(v, err)
	}
	return r.orderForm(v, text, nil)
}

// takeOrder lets an order through and confirms it at once, for it exists; or asks
// its client.
func (r room) takeOrder(ctx context.Context, tx *store.Tx, by string, m *trade.Merchant, p *trade.Policy, ask merchant.Ask) (*trade.Claim, error) {
	request := ask.Phone != ""
	if request {
		ask.Policy = p.ID
	}
	c, _, err := r.Claim(ctx, tx, m, ask, request)
	if err != nil || c.State != trade.Reserved {
		return c, err
	}
	return r.Confirm(ctx, tx, by, m, c.ID)
}

// asked is the policy that a form names.
func (r room) asked(ctx context.Context, tx *store.Tx, v *frame.Visit, m *trade.Merchant) (*trade.Policy, error) {
	var id int64
	if _, err := fmt.Sscan(v.Value("policy"), &id); err != nil {
		return nil, frame.Sorry("merchants.wrong.nopolicy")
	}
	p, err := r.Policy(ctx, tx, m, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, frame.Sorry("merchants.wrong.nopolicy")
	}
	return p, err
}

// Bounds of a file of orders.
const (
	maxFile   = 1 << 20 // octets
	maxOrders = 1000
)

// addOrders takes a file of orders, a line each: reference, total, number. What is
// wrong with one changes nothing of the others; a line that was taken before is
// taken once.
func (r room) addOrders(v *frame.Visit) error {
	if err := v.Form(maxFile); err != nil {
		return err
	}
	file, err := v.File("file")
	if err != nil {
		return err
	}
	lines, err := readOrders(string(file))
	if err != nil {
		return r.orderForm(v, v.Say("merchants.wrong.file"), nil)
	}
	results := make([]result, 0, len(lines))
	for n, line := range lines {
		var state trade.State
		err := v.Update(func(ctx context.Context, tx *store.Tx) error {
			m, err := r.its(ctx, tx, v)
			if err != nil {
				return err
			}
			p, err := r.asked(ctx, tx, v, m)
			if err != nil {
				return err
			}
			d, err := money.ParseDecimal(strings.Replace(line[1], ",", ".", 1))
			if err != nil {
				return frame.ErrSum
			}
			total, err := d.In(p.Currency)
			if err != nil {
				return frame.ErrSum
			}
			ask := merchant.Ask{Phone: line[2], Order: trade.Order{Ref: line[0], Total: total.Minor(), Currency: p.Currency.Code}}
			c, err := r.takeOrder(ctx, tx, v.By(), m, p, ask)
			if err == nil {
				state = c.State
			}
			return err
		})
		one := result{Line: n + 1, Ref: line[0]}
		if err != nil {
			text, known := v.Sentence(sorry(v, err))
			if !known {
				return sorry(v, err)
			}
			one.What, one.Bad = text, true
		} else {
			one.What = v.Say("state." + string(state))
		}
		results = append(results, one)
	}
	return r.orderForm(v, "", results)
}

// readOrders reads lines of three cells, between which a comma, a semicolon or a
// tab stands. A first line without a number in its second cell is a heading.
func readOrders(text string) (all [][]string, err error) {
	first, _, _ := strings.Cut(text, "\n")
	read := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "\ufeff")))
	for _, sep := range []rune{';', '\t'} {
		if strings.ContainsRune(first, sep) {
			read.Comma = sep
		}
	}
	read.FieldsPerRecord, read.TrimLeadingSpace = 3, true
	for {
		line, err := read.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || len(all) == maxOrders {
			return nil, errors.Join(err, frame.ErrForm)
		}
		for n := range line {
			line[n] = strings.TrimSpace(line[n])
		}
		if _, err := money.ParseDecimal(strings.Replace(line[1], ",", ".", 1)); err != nil && len(all) == 0 {
			continue
		}
		all = append(all, line)
	}
	if len(all) == 0 {
		return nil, frame.ErrForm
	}
	return all, nil
}

func (r room) showOrder(v *frame.Visit) error {
	var page struct {
		*trade.Claim
		Of              *trade.Merchant
		P               *trade.Policy
		Sum             money.Amount
		Advance, AtRisk money.Amount
		Rest            money.Amount // to pay on delivery
		Dispute         *trade.Dispute
		Contestable     bool
	}
	id, err := v.PathID("id")
	if err != nil {
		return err
	}
	err = v.View(func(ctx context.Context, tx *store.Tx) (err error) {
		if page.Claim, err = r.ClaimByID(ctx, tx, nil, id); err != nil {
			return err
		}
		if page.Of, err = r.Merchant(ctx, tx, page.Merchant); err != nil {
			return err
		}
		if page.P, err = r.Policy(ctx, tx, page.Of, page.Policy); err != nil {
			return err
		}
		if page.Claim.Dispute != 0 {
			if page.Dispute, err = r.Service.Dispute(ctx, tx, page.Of, page.Claim.Dispute); err != nil {
				return err
			}
		}
		c := page.P.Currency
		page.Sum, page.Advance, page.AtRisk = money.New(page.Total, c), money.New(page.Claim.Advance, c), money.New(page.Claim.AtRisk, c)
		page.Rest = money.New(page.Total-page.Claim.Advance, c)
		page.Contestable = page.Dispute == nil && (page.State == trade.NotHonoured || page.State == trade.Forfeit)
		return nil
	})
	if err != nil {
		return err
	}
	return v.Show("order", page)
}

// endOrder gives an order its outcome.
func (r room) endOrder(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	id, err := v.PathID("id")
	if err != nil {
		return err
	}
	var state trade.State
	err = v.Update(func(ctx context.Context, tx *store.Tx) error {
		c, err := r.ClaimByID(ctx, tx, nil, id)
		if err != nil {
			return err
		}
		m, err := r.Merchant(ctx, tx, c.Merchant)
		if err != nil {
			return err
		}
		switch v.Value("what") {
		case "confirm":
			c, err = r.Confirm(ctx, tx, v.By(), m, id)
		case "honour":
			c, err = r.Honour(ctx, tx, v.By(), m, id)
		case "release":
			c, err = r.Release(ctx, tx, v.By(), m, id)
		case "withdraw":
			c, err = r.Withdraw(ctx, tx, v.By(), m, id)
		case "not_honoured":
			c, err = r.NotHonoured(ctx, tx, v.By(), m, id, v.Value("reason"), []string{v.Value("evidence")})
		case "contest":
			_, err = r.Contest(ctx, tx, v.By(), m, id)
		default:
			err = frame.ErrForm
		}
		if err != nil {
			return err
		}
		tx.Act(v.By(), "claim."+v.Value("what"), fmt.Sprintf("claim:%d", id), v.Value("reason"))
		state = c.State
		return nil
	})
	if err != nil {
		return sorry(v, err)
	}
	return v.Done(fmt.Sprintf("/orders/%d", id), "merchants.order.now", v.Say("state."+string(state)))
}
