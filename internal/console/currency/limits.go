package currency

import (
	"context"

	"maillon/internal/charter"
	"maillon/internal/console/frame"
	"maillon/internal/member"
	"maillon/internal/setting"
	"maillon/internal/store"
)

// maxOwing bounds the accounts that are shown, those that owe most first.
const maxOwing = 100

// An owing is an account that may go below zero, or is there.
type owing struct {
	store.AccountRow
	Who  string
	Soft bool // somebody should look
}

func (r room) limits(v *frame.Visit) error {
	var page struct {
		charter.Mutual
		All []owing
	}
	err := v.View(func(ctx context.Context, tx *store.Tx) error {
		c, err := r.server.Desk.Charter(ctx, tx)
		if err != nil {
			return err
		}
		page.Mutual = c.Mutual
		unit := r.server.Settings.Currency()
		rows, err := tx.BelowZero(ctx, unit, maxOwing)
		if err != nil {
			return err
		}
		ids := make([]member.ID, len(rows))
		for n, a := range rows {
			ids[n] = a.Member
		}
		names, err := v.Names(ctx, tx, ids...)
		for _, a := range rows {
			soft := c.Mutual.On && a.Balance.Minor() < 0 && -a.Balance.Minor() >= setting.Whole(c.Mutual.Soft, unit).Minor()
			page.All = append(page.All, owing{a, names.Of(a.Member), soft})
		}
		return err
	})
	if err != nil {
		return err
	}
	return v.Show("limits", page)
}

func (r room) saveLimits(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	soft, err := count(v, "soft")
	if err != nil {
		return err
	}
	hard, err := count(v, "hard")
	if err != nil {
		return err
	}
	return r.decide(v, "/limits", func(c *charter.Charter) error {
		c.Mutual = charter.Mutual{On: v.Value("on") != "", Soft: soft, Hard: hard}
		return nil
	})
}

// limit says how far the account of one member may go below zero.
func (r room) limit(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	sum, err := count(v, "limit")
	if err != nil {
		return err
	}
	if sum > charter.MaxSum {
		return frame.Sorry("currency.beyond")
	}
	limit := setting.Whole(sum, r.server.Settings.Currency())
	err = v.Update(func(ctx context.Context, tx *store.Tx) error {
		m, err := r.find(ctx, tx, v.Value("who"))
		if err != nil {
			return err
		}
		return r.server.Treasury.SetLimit(ctx, tx, v.By(), m, limit, v.Value("reason"))
	})
	if err != nil {
		return sorry(err)
	}
	return v.Done("/limits", "limits.set", limit)
}
