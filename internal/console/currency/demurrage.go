package currency

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"maillon/internal/charter"
	"maillon/internal/console/frame"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// demurrage shows what is decided, and what the last month would lose.
func (r room) demurrage(v *frame.Visit) error {
	var page struct {
		charter.Demurrage
		Percent string
		Pots    []charter.Pot
		Begins  string
		Melt    treasury.Melt
		Ready   bool // there is something to foresee
		Month   string
	}
	zone := r.server.Settings.Zone
	month, err := charter.ParsePeriod(v.Value("month"))
	if err != nil {
		month = charter.PeriodOf(time.Now(), zone).Add(-1)
	}
	page.Month = month.String()
	err = v.View(func(ctx context.Context, tx *store.Tx) error {
		c, err := r.server.Desk.Charter(ctx, tx)
		if err != nil {
			return err
		}
		page.Demurrage, page.Pots, page.Percent, page.Begins = c.Demurrage, c.Pots, c.Demurrage.Percent(), c.Demurrage.Since.String()
		page.Melt, err = r.server.Treasury.ForeseeDemurrage(ctx, tx, month)
		page.Ready = err == nil
		if errors.Is(err, treasury.ErrOff) || errors.Is(err, treasury.ErrNotYet) {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	return v.Show("demurrage", page)
}

func (r room) saveDemurrage(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	free, err := count(v, "free")
	if err != nil {
		return err
	}
	rate, err := readPercent(v.Value("rate"))
	if err != nil {
		return err
	}
	d := charter.Demurrage{On: v.Value("on") != "", Rate: rate, Free: free, Pot: v.Value("pot")}
	if text := v.Value("since"); text != "" || d.On {
		if d.Since, err = charter.ParsePeriod(text); err != nil {
			return sorry(err)
		}
	}
	return r.decide(v, "/demurrage", func(c *charter.Charter) error {
		c.Demurrage = d
		return nil
	})
}

// readPercent reads a rate such as 1,5 in hundredths of a percent.
func readPercent(text string) (int, error) {
	text = strings.TrimSuffix(strings.NewReplacer(",", ".", " ", "").Replace(text), "%")
	if text == "" {
		return 0, nil
	}
	whole, part, _ := strings.Cut(text, ".")
	n, err := strconv.Atoi(whole + (part + "00")[:2])
	if err != nil || len(part) > 2 || n < 0 {
		return 0, frame.Sorry("currency.fault.rate")
	}
	return n, nil
}

// melt runs the demurrage of a month. It may be posted again: what has melted
// does so once.
func (r room) melt(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	month, err := charter.ParsePeriod(v.Value("month"))
	if err != nil {
		return sorry(err)
	}
	got, err := r.server.Treasury.MeltAll(v.Context(), r.server.DB, v.By(), month)
	if err != nil {
		return sorry(err)
	}
	return v.Done("/demurrage", "demurrage.ran", got.Accounts, got.Total)
}
