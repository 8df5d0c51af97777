package watch

import (
	"context"

	"maillon/internal/auth"
	"maillon/internal/console/frame"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// Bounds of the lists.
const (
	maxOpen  = 100
	pageLen  = 50
	maxSame  = 10  // earlier alerts about the same member
	maxWhy   = 300 // of a reason, in octets
	sameSeen = 30  // alerts about a payer among which that of an order is looked for
)

// An alertLine is one alert for people.
type alertLine struct {
	store.Alert
	Name  string // of the rule
	Who   string
	Path  string // of who
	Facts []factLine
	Ender string
}

func alertLines(v *frame.Visit, names frame.Names, all []store.Alert) []alertLine {
	lines := make([]alertLine, len(all))
	for n, a := range all {
		lines[n] = alertLine{
			Alert: a, Name: ruleName(v, a.Rule), Path: memberPath(v, a.About),
			Facts: factLines(v, names, a.Facts), Ender: names.By(a.EndedBy),
		}
		if a.About != 0 {
			lines[n].Who = names.Of(a.About)
		}
	}
	return lines
}

type alertsView struct {
	Open, Past []alertLine
	More       int64 // what comes after has lower IDs; 0: there is no more
	Further    bool  // this is not the first page
	Full       bool  // there are more open ones than are shown
}

func (r room) listAlerts(v *frame.Visit) error {
	var page alertsView
	before, err := beforeID(v)
	if err != nil {
		return err
	}
	page.Further = before > 0
	err = v.View(func(ctx context.Context, tx *store.Tx) error {
		var open, past []store.Alert
		var err error
		if !page.Further {
			if open, err = tx.Alerts(ctx, store.AlertsWhere{Open: true}, maxOpen); err != nil {
				return err
			}
			page.Full = len(open) == maxOpen
		}
		all, err := tx.Alerts(ctx, store.AlertsWhere{Before: before}, pageLen)
		if err != nil {
			return err
		}
		if len(all) == pageLen {
			page.More = all[len(all)-1].ID
		}
		for _, a := range all {
			if !a.Open() {
				past = append(past, a)
			}
		}
		names, err := namesIn(ctx, tx, v, append(past, open...)...)
		page.Open, page.Past = alertLines(v, names, open), alertLines(v, names, past)
		return err
	})
	if err != nil {
		return err
	}
	return v.Show("alerts", page)
}

type alertView struct {
	alertLine
	Same  []alertLine
	Order string // that was held, and waits still
	Paid  string // it was paid
	Typed string // as a reason
	Wrong string
	May   bool
}

func (r room) showAlert(v *frame.Visit) error {
	page, err := r.alert(v)
	if err != nil {
		return err
	}
	return v.Show("alert", page)
}

// alert reads what the page of an alert shows.
func (r room) alert(v *frame.Visit) (page alertView, err error) {
	id, err := v.PathID("id")
	if err != nil {
		return page, err
	}
	err = v.View(func(ctx context.Context, tx *store.Tx) error {
		a, err := tx.Alert(ctx, id)
		if err != nil {
			return err
		}
		same, err := tx.Alerts(ctx, store.AlertsWhere{Rule: a.Rule, About: a.About, Before: id}, maxSame)
		if err != nil {
			return err
		}
		names, err := namesIn(ctx, tx, v, append(same, a)...)
		if err != nil {
			return err
		}
		page.alertLine, page.Same = alertLines(v, names, []store.Alert{a})[0], alertLines(v, names, same)
		page.May = a.Open() && v.May(auth.Decide)
		page.Order, page.Paid, err = became(ctx, tx, a)
		return err
	})
	return page, err
}

func (r room) endAlert(v *frame.Visit) error {
	id, err := v.PathID("id")
	if err != nil {
		return err
	}
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	reason := v.Value("reason")
	if reason == "" || len(reason) > maxWhy {
		page, err := r.alert(v)
		if err != nil {
			return err
		}
		page.Typed, page.Wrong = reason, v.Say("watch.reason.wrong", maxWhy)
		return v.Refuse("alert", page)
	}
	err = v.Update(func(ctx context.Context, tx *store.Tx) error {
		return r.server.Treasury.EndAlert(ctx, tx, v.By(), id, reason)
	})
	if err != nil {
		return err
	}
	return v.Done("/alerts", "alert.ended")
}

// listChanges shows what was decreed of the rules, by whom and why.
func (r room) listChanges(v *frame.Visit) error {
	var page struct {
		All  []changeLine
		More int64
	}
	before, err := beforeID(v)
	if err != nil {
		return err
	}
	err = v.View(func(ctx context.Context, tx *store.Tx) error {
		acts, err := tx.Acts(ctx, store.ActsWhere{What: treasury.ChangeRule, Before: before}, pageLen)
		if err != nil {
			return err
		}
		if len(acts) == pageLen {
			page.More = acts[len(acts)-1].ID
		}
		page.All, err = changeLines(ctx, tx, v, acts)
		return err
	})
	if err != nil {
		return err
	}
	return v.Show("changes", page)
}
