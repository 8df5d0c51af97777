package watch

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"maillon/internal/auth"
	"maillon/internal/console/frame"
	"maillon/internal/guard"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/sentry"
	"maillon/internal/store"
)

// An atLine is one threshold for people.
type atLine struct {
	guard.Threshold
	Field string // of the form
	Label string
	Now   string // what it is
	Typed string // what stands in the form
}

// A ruleLine is one rule for people.
type ruleLine struct {
	guard.Rule
	Name, What string
	Decree     guard.Decree
	Ruling     guard.Ruling // what it does now
	Default    string       // its act
	Changed    bool         // it is not as the table has it
	At         []atLine
	Now        string // what it does now
}

func (r room) ruleLine(v *frame.Visit, c guard.Circumstances, rule guard.Rule) ruleLine {
	d := c.Decrees.Of(rule)
	l := ruleLine{
		Rule: rule, Name: v.Say("rule." + rule.ID), What: v.Say("rule." + rule.ID + ".what"), Decree: d, Ruling: c.Ruling(rule.ID),
		Changed: d.String() != rule.Default().String(), Default: v.Say("act." + rule.Act.String()),
	}
	l.Now = v.Say("act." + l.Ruling.Act.String())
	for n, t := range rule.At {
		is := strconv.FormatInt(d.At[n], 10)
		if t.Setting != "" {
			is = r.settled(t.Setting)
		}
		l.At = append(l.At, atLine{Threshold: t, Field: "at" + strconv.Itoa(n), Label: v.Say("at." + t.Name), Now: is, Typed: is})
	}
	return l
}

// settled returns the value of a setting that is a threshold.
func (r room) settled(key string) string {
	s := r.server.Settings
	switch key {
	case "day":
		return strconv.FormatInt(s.Day, 10)
	case "first.warn":
		return strconv.FormatInt(s.FirstWarn, 10)
	case "first.max":
		return strconv.FormatInt(s.FirstMax, 10)
	case "new.accounts":
		return strconv.Itoa(s.NewAccounts)
	case "tries":
		return strconv.Itoa(s.Tries)
	case "dormant":
		return strconv.Itoa(int(s.Dormant / (24 * time.Hour)))
	case "lookups":
		return strconv.Itoa(s.Lookups)
	case "conflict":
		return strconv.Itoa(int(s.Conflict / time.Minute))
	}
	return "?"
}

func (r room) listRules(v *frame.Visit) error {
	var page struct {
		All     []ruleLine
		LogOnly time.Time // most rules only log until then
		Never   bool      // they only log by a setting
		Unasked bool
	}
	err := v.View(func(ctx context.Context, tx *store.Tx) error {
		c, err := r.server.Desk.Rules(ctx, tx)
		if err != nil {
			return err
		}
		for _, rule := range guard.Rules() {
			page.All = append(page.All, r.ruleLine(v, c, rule))
		}
		if end := c.Begun.Add(guard.LogOnly); c.Mode == guard.InWeeks && c.Now.Before(end) {
			page.LogOnly = end
		}
		page.Never, page.Unasked = c.Mode == guard.Never, c.Unasked
		return nil
	})
	if err != nil {
		return err
	}
	return v.Show("rules", page)
}

// A catchLine is a payment that a rule would have caught.
type catchLine struct {
	Ref    string
	From   string
	Amount money.Amount
	At     time.Time
}

// A pastView is what a rule would have caught, or what it wrote down.
type pastView struct {
	sentry.Answer
	Tried  bool // it was tried on payments
	Lines  []catchLine
	Fired  int64 // what it wrote down itself
	Listed []alertLine
}

type ruleView struct {
	ruleLine
	Past    pastView
	May     bool
	Acts    []actChoice
	Wrong   string
	Changes []changeLine
}

type actChoice struct {
	Name, Label, What string
	Chosen            bool
}

func (r room) rule(v *frame.Visit) (guard.Rule, error) {
	rule, ok := guard.RuleOf(v.Request.PathValue("id"))
	if !ok {
		return rule, store.ErrNotFound
	}
	return rule, nil
}

func (r room) showRule(v *frame.Visit) error {
	rule, err := r.rule(v)
	if err != nil {
		return err
	}
	page, err := r.ruleView(v, rule)
	if err != nil {
		return err
	}
	return v.Show("rule", page)
}

func (r room) ruleView(v *frame.Visit, rule guard.Rule) (page ruleView, err error) {
	err = v.View(func(ctx context.Context, tx *store.Tx) error {
		c, err := r.server.Desk.Rules(ctx, tx)
		if err != nil {
			return err
		}
		page.ruleLine = r.ruleLine(v, c, rule)
		page.May = v.May(auth.Settings)
		page.Acts = acts(v, rule, page.Decree.Act)
		if page.Past, err = r.past(ctx, tx, v, rule, page.Decree.At); err != nil {
			return err
		}
		changes, err := tx.Acts(ctx, store.ActsWhere{Subject: "rule:" + rule.ID}, maxSame)
		if err != nil {
			return err
		}
		page.Changes, err = changeLines(ctx, tx, v, changes)
		return err
	})
	return page, err
}

func acts(v *frame.Visit, rule guard.Rule, chosen guard.Act) []actChoice {
	var all []actChoice
	for _, a := range rule.Acts {
		what := v.Say("act." + a.String() + ".what")
		if a == guard.Warn && rule.Text {
			what = v.Say("act.warn.text")
		}
		all = append(all, actChoice{a.String(), v.Say("act." + a.String()), what, a == chosen})
	}
	return all
}

// past asks what a rule would have caught with some thresholds. It never waits.
func (r room) past(ctx context.Context, tx *store.Tx, v *frame.Visit, rule guard.Rule, at []int64) (p pastView, err error) {
	p.Tried = guard.OfPayments(rule.ID)
	if !p.Tried || v.May(auth.SeeNames) {
		if p.Fired, err = tx.Fired(ctx, rule.ID, tx.Now().AddDate(0, 0, -sentry.PastDays)); err != nil {
			return p, err
		}
	}
	if !p.Tried {
		if !v.May(auth.SeeNames) {
			return p, nil
		}
		all, err := tx.Alerts(ctx, store.AlertsWhere{Rule: rule.ID}, maxSame)
		if err != nil {
			return p, err
		}
		names, err := namesIn(ctx, tx, v, all...)
		p.Listed = alertLines(v, names, all)
		return p, err
	}
	p.Answer = r.server.Past.Ask(rule.ID, at)
	if !v.May(auth.SeeNames) {
		return p, nil
	}
	var ids []member.ID
	for _, m := range p.Sample {
		ids = append(ids, member.ID(m.From))
	}
	names, err := v.Names(ctx, tx, ids...)
	if err != nil {
		return p, err
	}
	for _, m := range slices.Backward(p.Sample) {
		ref, err := tx.RefOf(ctx, m.ID)
		if err != nil {
			return p, err
		}
		p.Lines = append(p.Lines, catchLine{ref, names.Of(member.ID(m.From)), money.New(m.Amount, r.server.Settings.Currency()), m.At})
	}
	return p, nil
}

// An effectView is what a change would do, before it is confirmed.
type effectView struct {
	ruleLine
	New     guard.Decree
	NewAct  string
	ActWhat string
	Before  pastView
	After   pastView
	Reason  string
	Wrong   string
	Was     string
}

// typed reads the decree that stands in a form.
func typed(v *frame.Visit, rule guard.Rule) (d guard.Decree, err error) {
	if d.Act, err = guard.ParseAct(v.Value("act")); err != nil {
		return d, err
	}
	d.At = make([]int64, len(rule.At))
	for n, t := range rule.At {
		if t.Setting != "" {
			continue
		}
		if d.At[n], err = strconv.ParseInt(v.Value("at"+strconv.Itoa(n)), 10, 64); err != nil {
			return d, fmt.Errorf("threshold %s: %w", t.Name, guard.ErrRule)
		}
	}
	return d, d.Check(rule.ID)
}

// effect shows what a change would do.
func (r room) effect(v *frame.Visit) error {
	rule, err := r.rule(v)
	if err != nil {
		return err
	}
	d, err := typed(v, rule)
	if err != nil {
		return r.again(v, rule)
	}
	page, err := r.effectView(v, rule, d)
	if err != nil {
		return err
	}
	return v.Show("effect", page)
}

// again shows the form with what is wrong in it.
func (r room) again(v *frame.Visit, rule guard.Rule) error {
	page, err := r.ruleView(v, rule)
	if err != nil {
		return err
	}
	page.Wrong = v.Say("rule.wrong")
	page.Acts = slices.Clone(page.Acts)
	for n := range page.Acts {
		page.Acts[n].Chosen = page.Acts[n].Name == v.Value("act")
	}
	for n := range page.At {
		page.At[n].Typed = v.Value(page.At[n].Field)
	}
	return v.Refuse("rule", page)
}

func (r room) effectView(v *frame.Visit, rule guard.Rule, d guard.Decree) (page effectView, err error) {
	err = v.View(func(ctx context.Context, tx *store.Tx) error {
		c, err := r.server.Desk.Rules(ctx, tx)
		if err != nil {
			return err
		}
		page.ruleLine = r.ruleLine(v, c, rule)
		page.New, page.NewAct, page.Was = d, v.Say("act."+d.Act.String()), page.Decree.String()
		for _, a := range acts(v, rule, d.Act) {
			if a.Chosen {
				page.ActWhat = a.What
			}
		}
		for n := range page.At {
			if page.At[n].Setting == "" {
				page.At[n].Typed = strconv.FormatInt(d.At[n], 10)
			}
		}
		if page.Before, err = r.past(ctx, tx, v, rule, page.Decree.At); err != nil {
			return err
		}
		page.After, err = r.past(ctx, tx, v, rule, d.At)
		return err
	})
	return page, err
}

// change does what was confirmed.
func (r room) change(v *frame.Visit) error {
	rule, err := r.rule(v)
	if err != nil {
		return err
	}
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	d, err := typed(v, rule)
	if err != nil {
		return r.again(v, rule)
	}
	was, reason := v.Value("was"), v.Value("reason")
	if reason == "" || len(reason) > maxWhy {
		page, err := r.effectView(v, rule, d)
		if err != nil {
			return err
		}
		page.Reason, page.Wrong = reason, v.Say("watch.reason.wrong", maxWhy)
		return v.Refuse("effect", page)
	}
	before, err := parseDecree(was)
	if err != nil {
		return frame.ErrForm
	}
	err = v.Update(func(ctx context.Context, tx *store.Tx) error {
		return r.server.Treasury.SetRule(ctx, tx, v.By(), rule.ID, before, d, reason)
	})
	if err != nil {
		return err
	}
	return v.Done("/rules/"+rule.ID, "rule.changed", rule.ID)
}

// parseDecree reads what guard.Decree.String wrote.
func parseDecree(text string) (d guard.Decree, err error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return d, guard.ErrRule
	}
	if d.Act, err = guard.ParseAct(words[0]); err != nil {
		return d, err
	}
	for _, w := range words[1:] {
		n, err := strconv.ParseInt(w, 10, 64)
		if err != nil {
			return d, guard.ErrRule
		}
		d.At = append(d.At, n)
	}
	return d, nil
}

// A changeLine is one change of a rule for people.
type changeLine struct {
	store.Act
	Rule string
	Who  string
}

func changeLines(ctx context.Context, tx *store.Tx, v *frame.Visit, all []store.Act) ([]changeLine, error) {
	var ids []member.ID
	for _, a := range all {
		if id, ok := frame.ActorID(a.By); ok {
			ids = append(ids, id)
		}
	}
	names, err := v.Names(ctx, tx, ids...)
	lines := make([]changeLine, len(all))
	for n, a := range all {
		lines[n] = changeLine{a, strings.TrimPrefix(a.Subject, "rule:"), names.By(a.By)}
	}
	return lines, err
}

// beforeID reads where a list goes on.
func beforeID(v *frame.Visit) (int64, error) {
	text := v.Value("before")
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 {
		return 0, frame.ErrForm
	}
	return n, nil
}
