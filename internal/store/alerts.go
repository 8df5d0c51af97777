package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"maillon/internal/guard"
	"maillon/internal/member"
)

// Bounds of alerts.
const (
	MaxAlerts = 200 // listed at once
	maxFacts  = 20  // of one
)

// A Fact is something by which a rule judged: an ID, a reference, a sum, a time;
// never a name, a number or a text of a member.
type Fact struct {
	Name  string `json:"n"`
	Value string `json:"v"`
}

// An Alert is a rule that fired. Act says what it did; one that only logs asks
// nobody for anything.
type Alert struct {
	ID    int64
	At    time.Time
	Rule  string
	About member.ID // 0: the whole service
	Act   guard.Act
	Facts []Fact

	Ended   time.Time // zero: open
	EndedBy string
	Reason  string
}

// Open reports whether somebody must look at a.
func (a Alert) Open() bool { return a.Ended.IsZero() && a.Act != guard.Log }

const (
	alertColumns = `id, at, rule, member, act, facts, ended_at, ended_by, reason`
	openAlert    = `ended_at = 0 AND act <> 'log'` // word for word that of the index
)

// Raise notes an alert for the administrators' page.
func (tx *Tx) Raise(ctx context.Context, rule string, about member.ID) error {
	return tx.RaiseAlert(ctx, Alert{Rule: rule, About: about, Act: guard.Warn})
}

// RaiseAlert is Raise with what the rule did, and the facts.
func (tx *Tx) RaiseAlert(ctx context.Context, a Alert) error {
	if len(a.Facts) > maxFacts {
		a.Facts = a.Facts[:maxFacts]
	}
	facts := ""
	if len(a.Facts) > 0 {
		text, err := json.Marshal(a.Facts)
		if err != nil {
			return err
		}
		facts = string(text)
	}
	id, err := tx.nextID(ctx, "alert")
	if err != nil {
		return err
	}
	return tx.later(ctx, `INSERT INTO alert (id, at, rule, member, act, facts) VALUES ($1, $2, $3, $4, $5, $6)`,
		id, micros(tx.now), a.Rule, int64(a.About), a.Act.String(), facts)
}

// OpenAlerts counts the alerts that nobody has dealt with.
func (tx *Tx) OpenAlerts(ctx context.Context) (n int, err error) {
	err = tx.row(ctx, `SELECT count(*) FROM alert WHERE `+openAlert).Scan(&n)
	return n, err
}

// AlertsWhere says which alerts are listed; the zero value lists all.
type AlertsWhere struct {
	Open   bool // only those that somebody must look at
	Rule   string
	About  member.ID
	Before int64 // only those with a lower ID; 0: from the newest on
}

// Alerts returns at most limit alerts, at most MaxAlerts, the newest first.
func (tx *Tx) Alerts(ctx context.Context, w AlertsWhere, limit int) ([]Alert, error) {
	where, args := []string{`id > 0`}, []any{}
	add := func(condition string, value any) {
		args = append(args, value)
		where = append(where, fmt.Sprintf(condition, len(args)))
	}
	if w.Open {
		where = append(where, openAlert)
	}
	if w.Rule != "" {
		add(`rule = $%d`, w.Rule)
	}
	if w.About != 0 {
		add(`member > 0 AND member = $%d`, int64(w.About))
	}
	if w.Before > 0 {
		add(`id < $%d`, w.Before)
	}
	args = append(args, min(limit, MaxAlerts))
	var all []Alert
	err := tx.each(ctx, func(scan scan) error {
		a, err := scanAlert(scan)
		all = append(all, a)
		return err
	}, `SELECT `+alertColumns+` FROM alert WHERE `+strings.Join(where, ` AND `)+fmt.Sprintf(` ORDER BY id DESC LIMIT $%d + 0`, len(args)), args...)
	return all, err
}

// Alert returns one alert, or ErrNotFound.
func (tx *Tx) Alert(ctx context.Context, id int64) (Alert, error) {
	a, err := scanAlert(tx.row(ctx, `SELECT `+alertColumns+` FROM alert WHERE id = $1`, id).Scan)
	return a, found(err)
}

func scanAlert(scan scan) (a Alert, err error) {
	var act, facts string
	if err := scan(&a.ID, moment{&a.At}, &a.Rule, &a.About, &act, &facts, moment{&a.Ended}, &a.EndedBy, &a.Reason); err != nil {
		return a, err
	}
	if a.Act, err = guard.ParseAct(act); err != nil { // of a later version
		a.Act = guard.Warn
	}
	if facts == "" {
		return a, nil
	}
	return a, json.Unmarshal([]byte(facts), &a.Facts)
}

// EndAlert notes that somebody dealt with an alert. It reports whether it was
// open.
func (tx *Tx) EndAlert(ctx context.Context, id int64, by, reason string) (bool, error) {
	n, err := tx.exec(ctx, `UPDATE alert SET ended_at = $2, ended_by = $3, reason = $4 WHERE id = $1 AND `+openAlert,
		id, micros(tx.now), by, reason)
	return n == 1, err
}

// Fired counts the alerts of a rule since a time, those that only logged too.
func (tx *Tx) Fired(ctx context.Context, rule string, since time.Time) (n int64, err error) {
	err = tx.row(ctx, `SELECT count(*) FROM alert WHERE rule = $1 AND at >= $2`, rule, micros(since)).Scan(&n)
	return n, err
}

// decreesName is the name under which is kept how rules differ from the table.
const decreesName = "rules"

// scarceName is the name under which is kept from when to when only codes leave.
const scarceName = "only_codes"

// A Regime is what is decreed of the rules, when the books were begun, and from
// when to when only codes leave by rule SMS1.
type Regime struct {
	Decrees        guard.Decrees
	Begun          time.Time
	Scarce, Plenty time.Time
}

// Regime returns what is decreed of the rules now. The writer remembers it until
// somebody, here or elsewhere, changes it: a payment asks for it each time.
func (tx *Tx) Regime(ctx context.Context) (Regime, error) {
	if tx.behind != nil && tx.db.regime != nil {
		return *tx.db.regime, nil
	}
	var r Regime
	var text, scarce string
	err := tx.row(ctx, `SELECT coalesce((SELECT value FROM state WHERE name = $1), ''),
		coalesce((SELECT at FROM journal WHERE seq = (SELECT min(seq) FROM journal)), 0),
		coalesce((SELECT value FROM state WHERE name = $2), '')`, decreesName, scarceName).Scan(&text, moment{&r.Begun}, &scarce)
	if err != nil {
		return r, err
	}
	var from, to int64
	if n, _ := fmt.Sscan(scarce, &from, &to); n == 2 {
		r.Scarce, r.Plenty = fromMicros(from), fromMicros(to)
	}
	if r.Begun.IsZero() { // this is what begins them
		r.Begun = tx.now
	}
	if r.Decrees, err = guard.ParseDecrees(text); err != nil {
		return r, err
	}
	if tx.behind != nil && !tx.decreed && r.Begun != tx.now {
		tx.db.regime = &r
	}
	return r, nil
}

// SetDecrees writes how rules differ from the table, from the next transaction
// on, on every server.
func (tx *Tx) SetDecrees(ctx context.Context, all guard.Decrees) error {
	text, err := all.Text()
	if err != nil {
		return err
	}
	return tx.setRegime(ctx, decreesName, text)
}

// OnlyCodes lets nothing but codes leave from one moment to another.
func (tx *Tx) OnlyCodes(ctx context.Context, from, to time.Time) error {
	return tx.setRegime(ctx, scarceName, fmt.Sprint(micros(from), micros(to)))
}

func (tx *Tx) setRegime(ctx context.Context, name, value string) error {
	tx.decreed = true
	if tx.behind != nil {
		tx.db.regime = nil
	}
	return tx.SetState(ctx, name, value)
}
