package currency

import (
	"context"
	"slices"
	"strings"
	"time"

	"maillon/internal/charter"
	"maillon/internal/console/frame"
	"maillon/internal/grammar"
	"maillon/internal/money"
	"maillon/internal/store"
)

func (r room) charter(v *frame.Visit) (c charter.Charter, err error) {
	err = v.View(func(ctx context.Context, tx *store.Tx) error {
		c, err = r.server.Desk.Charter(ctx, tx)
		return err
	})
	return c, err
}

func (r room) groups(v *frame.Visit) error {
	c, err := r.charter(v)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(c.Groups, func(g charter.Group) bool { return g.Name == "" }) {
		c.Groups = append([]charter.Group{{}}, c.Groups...)
	}
	return v.Show("groups", c.Groups)
}

// saveGroup writes one group, a new one or one that is there.
func (r room) saveGroup(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	start, err := count(v, "start")
	if err != nil {
		return err
	}
	g := charter.Group{Name: v.Value("name"), Start: start, Why: v.Value("text"), Exempt: v.Value("exempt") != ""}
	return r.decide(v, "/groups", func(c *charter.Charter) error {
		c.Groups = slices.DeleteFunc(c.Groups, func(o charter.Group) bool { return o.Name == g.Name })
		c.Groups = append(c.Groups, g)
		slices.SortFunc(c.Groups, func(a, b charter.Group) int { return strings.Compare(a.Name, b.Name) })
		return nil
	})
}

// assign puts a member into a group.
func (r room) assign(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	err := v.Update(func(ctx context.Context, tx *store.Tx) error {
		m, err := r.find(ctx, tx, v.Value("who"))
		if err != nil {
			return err
		}
		return r.server.Treasury.SetGroup(ctx, tx, v.By(), m, v.Value("group"))
	})
	if err != nil {
		return sorry(err)
	}
	return v.Done("/groups", "groups.assigned")
}

// Bounds of what credits are counted for.
const (
	maxCounted = 20_000 // the newest credits of a month
	maxTallies = 50
)

// A tallyLine is what was given for one reason.
type tallyLine struct {
	charter.Tally
	Amount   money.Amount
	Quantity string
}

// reasons counts what credits of a month were given for.
func (r room) reasons(v *frame.Visit) error {
	var page struct {
		Month, Before, After string
		All                  []tallyLine
		Reasons              []charter.Reason
		Full                 bool
	}
	zone := r.server.Settings.Zone
	month, err := charter.ParsePeriod(v.Value("month"))
	if err != nil {
		month = charter.PeriodOf(time.Now(), zone)
	}
	page.Month, page.Before, page.After = month.String(), month.Add(-1).String(), month.Add(1).String()
	err = v.View(func(ctx context.Context, tx *store.Tx) error {
		c, err := r.server.Desk.Charter(ctx, tx)
		if err != nil {
			return err
		}
		page.Reasons = c.Reasons
		credits, err := tx.CreditsBetween(ctx, month.Start(zone), month.Add(1).Start(zone), maxCounted)
		if err != nil {
			return err
		}
		page.Full = len(credits) == maxCounted
		count := c.Count(grammar.Fold)
		for _, o := range credits {
			if o.Amount.Currency() == r.server.Settings.Currency() {
				count.Add(o.Secret.Memo, o.Amount.Minor())
			}
		}
		for _, t := range count.Top(maxTallies) {
			l := tallyLine{Tally: t, Amount: money.New(t.Sum, r.server.Settings.Currency())}
			if t.Measure != "" {
				l.Quantity = r.server.Book.Amount(v.Language(), money.New(t.Tenths, money.Currency{Decimals: 1})) + " " + t.Measure
			}
			page.All = append(page.All, l)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return v.Show("reasons", page)
}

// saveReason writes one reason that is counted; without words it ends.
func (r room) saveReason(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	reason := charter.Reason{Name: v.Value("name"), Measure: v.Value("measure"), Words: strings.FieldsFunc(grammar.Fold(v.Value("words")), func(r rune) bool { return strings.ContainsRune(" ,;", r) })}
	return r.decide(v, "/reasons", func(c *charter.Charter) error {
		c.Reasons = slices.DeleteFunc(c.Reasons, func(o charter.Reason) bool { return o.Name == reason.Name })
		if len(reason.Words) > 0 {
			c.Reasons = append(c.Reasons, reason)
		}
		return nil
	})
}
