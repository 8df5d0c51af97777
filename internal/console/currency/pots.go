package currency

import (
	"context"
	"slices"
	"strings"

	"maillon/internal/charter"
	"maillon/internal/console/frame"
	"maillon/internal/grammar"
	"maillon/internal/member"
	"maillon/internal/order"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

func (r room) pots(v *frame.Visit) error {
	var page struct {
		All []treasury.PotNow
		Key string
	}
	page.Key = draw()
	err := v.View(func(ctx context.Context, tx *store.Tx) (err error) {
		page.All, err = r.server.Treasury.Pots(ctx, tx)
		return err
	})
	if err != nil {
		return err
	}
	return v.Show("pots", page)
}

// openPot opens a pot, or ends one or begins it again.
func (r room) openPot(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	goal, err := count(v, "goal")
	if err != nil {
		return err
	}
	title, end := v.Value("title"), v.Value("end")
	return r.decide(v, "/pots", func(c *charter.Charter) error {
		if end == "" {
			c.Pots = append(c.Pots, charter.Pot{Name: potName(title, c.Pots), Title: title, Goal: goal})
			return nil
		}
		n := slices.IndexFunc(c.Pots, func(p charter.Pot) bool { return p.Name == end })
		if n < 0 {
			return charter.ErrNoPot
		}
		c.Pots[n].Ended = !c.Pots[n].Ended
		return nil
	})
}

// potName makes the name of an account out of a title.
func potName(title string, taken []charter.Pot) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, grammar.Fold(title))
	name = name[:min(len(name), member.MaxNick)]
	for name != "" && slices.ContainsFunc(taken, func(p charter.Pot) bool { return p.Name == name }) {
		name += "2"
	}
	return name
}

// movePot fills a pot from emission, or pays out of one to a member.
func (r room) movePot(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	sum, err := v.Sum("sum")
	if err != nil {
		return err
	}
	reason := v.Value("reason")
	if reason == "" || len([]rune(reason)) > treasury.MaxActReason {
		return treasury.ErrReason
	}
	move := treasury.PotMove{Pot: v.Value("pot"), Amount: sum, Reason: reason, Name: "form:" + v.Value("key")}
	var o *order.Order
	err = v.Update(func(ctx context.Context, tx *store.Tx) error {
		admin, err := tx.Member(ctx, v.Who.Member.ID)
		if err != nil {
			return err
		}
		who := v.Value("who")
		if who == "" {
			move.From = store.Emission
			o, err = r.server.Treasury.FillPot(ctx, tx, admin, move)
			return err
		}
		payee, err := r.find(ctx, tx, who)
		if err != nil {
			return err
		}
		o, err = r.server.Treasury.PayFromPot(ctx, tx, admin, payee, move)
		return err
	})
	if err != nil {
		return sorry(err)
	}
	return v.Done("/pots", "pots.moved", o.Amount, o.Ref)
}
