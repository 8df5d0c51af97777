package guard

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// An Act is what a rule does when it fires, from nothing to the most.
type Act int

// The acts. What each of them means for a rule, the page of rules says.
const (
	Off    Act = iota // the rule is not asked, and its facts are not read
	Log               // a line for the administrators' page
	Warn              // and an SMS to them; of NEW1 and DRA1: the text that warns the payer
	Ask               // the code is asked for, whatever the mode
	Hold              // a person decides first
	Refuse            // nothing is done
	Pause             // all payments stop
)

var actNames = []string{"off", "log", "warn", "code", "hold", "refuse", "pause"}

// ErrRule means that a rule cannot be as somebody wants it.
var ErrRule = errors.New("no such rule, act or threshold")

// String returns the name of a: "hold".
func (a Act) String() string {
	if a < 0 || int(a) >= len(actNames) {
		return fmt.Sprintf("act %d", int(a))
	}
	return actNames[a]
}

// ParseAct reads the name of an act.
func ParseAct(name string) (Act, error) {
	n := slices.Index(actNames, name)
	if n < 0 {
		return 0, ErrRule
	}
	return Act(n), nil
}

// MarshalText implements encoding.TextMarshaler.
func (a Act) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *Act) UnmarshalText(text []byte) (err error) {
	*a, err = ParseAct(string(text))
	return err
}

// A Threshold is one number of a rule.
type Threshold struct {
	Name        string // "count", "percent", "sum" in whole units, "minutes", "hours", "days", "from" and "to" in local hours, "steps"
	Default     int64
	Least, Most int64
	Setting     string // it is this setting, and is changed there; "": it is the rule's own
}

// A Rule is one line of the table of anomaly rules.
type Rule struct {
	ID       string
	At       []Threshold
	Act      Act   // the default
	Acts     []Act // that it can do
	FirstDay bool  // acts from the first day; the others only log for two weeks
	Text     bool  // warn is the text ATTENTION, part of asking for the code
}

const (
	mostCount = 1_000_000
	mostSum   = 1_000_000_000_000
)

var (
	watching  = []Act{Off, Log, Warn}
	onPayment = []Act{Off, Log, Warn, Ask, Hold, Refuse, Pause}
	asking    = []Act{Off, Log, Warn, Ask, Hold, Refuse}
	refusing  = []Act{Log, Refuse}
)

func count(n int64) Threshold { return Threshold{Name: "count", Default: n, Least: 1, Most: mostCount} }

func percent(n int64) Threshold { return Threshold{Name: "percent", Default: n, Least: 1, Most: 100} }
func sum(n int64) Threshold     { return Threshold{Name: "sum", Default: n, Most: mostSum} }
func minutes(n int64) Threshold {
	return Threshold{Name: "minutes", Default: n, Least: 1, Most: 24 * 60}
}
func days(n int64) Threshold  { return Threshold{Name: "days", Default: n, Least: 1, Most: 3650} }
func steps(n int64) Threshold { return Threshold{Name: "steps", Default: n, Least: 2, Most: MaxSteps} }

func hours(from, to int64) []Threshold {
	return []Threshold{{Name: "from", Default: from, Most: 23}, {Name: "to", Default: to, Most: 23}}
}
func set(name, key string) Threshold { return Threshold{Name: name, Setting: key, Most: mostSum} }

// rules is the table of anomaly rules.
var rules = []Rule{
	{ID: "VEL1", At: []Threshold{count(5), minutes(10)}, Act: Hold, Acts: onPayment},
	{ID: "VEL2", At: []Threshold{set("sum", "day")}, Act: Refuse, Acts: refusing, FirstDay: true},
	{ID: "NEW1", At: []Threshold{set("sum", "first.warn")}, Act: Warn, Acts: asking, FirstDay: true, Text: true},
	{ID: "NEW2", At: []Threshold{set("sum", "first.max")}, Act: Refuse, Acts: refusing, FirstDay: true},
	{ID: "NGT1", At: append(hours(23, 6), sum(50)), Act: Ask, Acts: onPayment},
	{ID: "BUR1", At: []Threshold{set("count", "new.accounts")}, Act: Refuse, Acts: refusing, FirstDay: true},
	{ID: "BUR2", At: []Threshold{count(10)}, Act: Refuse, Acts: []Act{Off, Log, Warn, Refuse}},
	{ID: "DRA1", At: []Threshold{percent(80), sum(50)}, Act: Warn, Acts: asking, FirstDay: true, Text: true},
	{ID: "STR1", At: []Threshold{count(3), percent(90)}, Act: Warn, Acts: onPayment},
	{ID: "COD1", At: []Threshold{set("count", "tries")}, Act: Refuse, Acts: []Act{Refuse}, FirstDay: true},
	{ID: "COD2", At: []Threshold{count(20)}, Act: Ask, Acts: []Act{Off, Log, Warn, Ask}},
	{ID: "DOR1", At: []Threshold{set("days", "dormant")}, Act: Ask, Acts: []Act{Log, Ask}, FirstDay: true},
	{ID: "MUL1", At: []Threshold{count(5), percent(80)}, Act: Hold, Acts: onPayment},
	{ID: "CIR1", At: []Threshold{steps(4), sum(100)}, Act: Log, Acts: watching},
	{ID: "ADM1", Act: Hold, Acts: []Act{Hold}, FirstDay: true},
	{ID: "ADM2", At: append(hours(22, 7), minutes(15)), Act: Hold, Acts: []Act{Off, Log, Warn, Hold}, FirstDay: true},
	{ID: "ADM3", Act: Warn, Acts: []Act{Log, Warn}, FirstDay: true},
	{ID: "LOO1", At: []Threshold{set("count", "lookups")}, Act: Refuse, Acts: refusing, FirstDay: true},
	{ID: "REQ1", At: []Threshold{count(3), days(7)}, Act: Refuse, Acts: []Act{Off, Log, Warn, Refuse}, FirstDay: true},
	{ID: "SUB1", At: []Threshold{set("minutes", "conflict")}, Act: Refuse, Acts: []Act{Refuse}, FirstDay: true},
	{ID: "SIM1", At: []Threshold{days(30)}, Act: Log, Acts: watching},
	{ID: "SMS1", At: []Threshold{{Name: "times", Default: 2, Least: 1, Most: 100}, count(50)}, Act: Hold, Acts: []Act{Off, Log, Warn, Hold}},
	{ID: "DUP1", At: []Threshold{percent(5), count(20)}, Act: Warn, Acts: watching},
	{ID: "CLK1", At: []Threshold{minutes(5), {Name: "count", Default: 10, Least: 3, Most: 100}}, Act: Warn, Acts: watching},
	{ID: "INT1", Act: Pause, Acts: []Act{Warn, Pause}, FirstDay: true},
}

// Rules returns the table of anomaly rules, in the order of the specification.
func Rules() []Rule { return slices.Clone(rules) }

// RuleOf returns a rule by its ID, false if there is none.
func RuleOf(id string) (Rule, bool) {
	n := slices.IndexFunc(rules, func(r Rule) bool { return r.ID == id })
	if n < 0 {
		return Rule{}, false
	}
	return rules[n], true
}

// A Decree is how an association wants a rule.
type Decree struct {
	Act Act     `json:"act"`
	At  []int64 `json:"at,omitempty"` // its own thresholds; those that are settings stand as 0
}

// Decrees are those that differ from the table, by rule.
type Decrees map[string]Decree

// Check returns an error that wraps ErrRule unless a rule can be as d says.
func (d Decree) Check(id string) error {
	r, ok := RuleOf(id)
	if !ok {
		return fmt.Errorf("rule %q: %w", id, ErrRule)
	}
	if !slices.Contains(r.Acts, d.Act) {
		return fmt.Errorf("rule %s: %s: %w", id, d.Act, ErrRule)
	}
	if len(d.At) != len(r.At) {
		return fmt.Errorf("rule %s: %d thresholds, not %d: %w", id, len(d.At), len(r.At), ErrRule)
	}
	for n, t := range r.At {
		if t.Setting == "" && (d.At[n] < t.Least || d.At[n] > t.Most) {
			return fmt.Errorf("rule %s: %s of %d is not from %d to %d: %w", id, t.Name, d.At[n], t.Least, t.Most, ErrRule)
		}
	}
	return nil
}

// String writes a decree for the audit: "hold 5 10".
func (d Decree) String() string {
	text := d.Act.String()
	for _, n := range d.At {
		text += fmt.Sprintf(" %d", n)
	}
	return text
}

// Default returns how the table wants a rule.
func (r Rule) Default() Decree {
	d := Decree{Act: r.Act, At: make([]int64, len(r.At))}
	for n, t := range r.At {
		d.At[n] = t.Default
	}
	return d
}

// Of returns what is decreed of a rule, or how the table wants it. What a later
// version of the program does not understand counts as the table.
func (all Decrees) Of(r Rule) Decree {
	if d, ok := all[r.ID]; ok && d.Check(r.ID) == nil {
		return d
	}
	return r.Default()
}

// ParseDecrees reads what Decrees.Text wrote.
func ParseDecrees(text string) (Decrees, error) {
	if text == "" {
		return nil, nil
	}
	var all Decrees
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return nil, fmt.Errorf("decrees of rules: %w", err)
	}
	return all, nil
}

// Text writes decrees to be kept.
func (all Decrees) Text() (string, error) {
	text, err := json.Marshal(all)
	return string(text), err
}

// LogOnly is how long most rules only log, from when the books were begun: a
// very busy Saturday must not block an association that has just begun.
const LogOnly = 14 * 24 * time.Hour

// A Mode says whether rules act.
type Mode int

// The modes.
const (
	Always  Mode = iota // as decreed, from the first day
	Never               // they only log; limits and safeguards of the conversation act
	InWeeks             // as decreed, after LogOnly
)

// Circumstances are what decides, beside the decrees, what a rule does.
type Circumstances struct {
	Decrees Decrees
	Mode    Mode
	Begun   time.Time // when the books were begun
	Now     time.Time
	Unasked bool // no code is ever asked for: codes and texts that warn only log
}

// A Ruling is what a rule does now.
type Ruling struct {
	ID    string
	Act   Act
	At    []int64
	Until time.Time // it only logs until then; zero: it acts
}

// Ruling returns what a rule does now.
func (c Circumstances) Ruling(id string) Ruling {
	r, ok := RuleOf(id)
	if !ok {
		panic("guard: no rule " + id)
	}
	d := c.Decrees.Of(r)
	is := Ruling{ID: id, Act: d.Act, At: d.At}
	if is.Act <= Log {
		return is
	}
	switch {
	case r.FirstDay:
	case c.Mode == Never:
		is.Act = Log
	case c.Mode == InWeeks && c.Now.Before(c.Begun.Add(LogOnly)):
		is.Act, is.Until = Log, c.Begun.Add(LogOnly)
	}
	if c.Unasked && (is.Act == Ask || is.Act == Warn && r.Text) && id != "DOR1" && id != "COD2" {
		is.Act = Log
	}
	return is
}

// Asked reports whether the facts of the rule are needed.
func (r Ruling) Asked() bool { return r.Act != Off }
