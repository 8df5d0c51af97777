// Package charter is what an association decided about its currency beyond
// single payments: groups and their starting credit, reasons that are counted,
// demurrage, pots, how far accounts may go below zero, and how messages to all
// are spread. Everything is off, or harmless, until somebody decides.
//
// It is rules alone: what is decided, whether that can be, and what follows.
package charter

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of what may be decided.
const (
	MaxGroups  = 20
	MaxReasons = 30
	MaxWords   = 10 // of one reason
	MaxPots    = 50
	MaxName    = 24 // runes of a name
	MaxSum     = 1_000_000_000
	MaxRate    = 1000    // of demurrage, in hundredths of a percent a month
	MaxPerHour = 100_000 // SMS of one message to all
	MaxSMSCost = 100_000 // thousandths of a euro
	maxOctets  = 64 << 10
)

// A Group is some of the members, for whom something else holds.
type Group struct {
	Name   string `json:"name"`            // "" is everybody who is in no other
	Start  int64  `json:"start,omitempty"` // whole units that each new member gets
	Why    string `json:"why,omitempty"`   // what the member reads of it
	Exempt bool   `json:"exempt,omitempty"`
}

// A Reason is something that credits are given for, and that is counted.
type Reason struct {
	Name    string   `json:"name"`
	Words   []string `json:"words"`             // folded; one of them in a reason makes it this one
	Measure string   `json:"measure,omitempty"` // of the number in it: hours, bicycles
}

// Demurrage is what melts of what sleeps.
type Demurrage struct {
	On    bool   `json:"on,omitempty"`
	Rate  int    `json:"rate,omitempty"`  // hundredths of a percent a month
	Free  int64  `json:"free,omitempty"`  // whole units that never melt
	Pot   string `json:"pot,omitempty"`   // where it goes; "" is the common one
	Since Period `json:"since,omitempty"` // the first month that melts
}

// A Pot is money that members share, for something.
type Pot struct {
	Name  string `json:"name"` // of its account
	Title string `json:"title"`
	Goal  int64  `json:"goal,omitempty"` // whole units; 0: none
	Ended bool   `json:"ended,omitempty"`
}

// Mutual says how far below zero accounts may go.
type Mutual struct {
	On   bool  `json:"on,omitempty"`
	Soft int64 `json:"soft,omitempty"` // whole units owed from which somebody looks
	Hard int64 `json:"hard,omitempty"` // the most that any account may be allowed
}

// A Charter is all of it. Its zero value is in force until something is decided.
type Charter struct {
	Groups    []Group   `json:"groups,omitempty"`
	Reasons   []Reason  `json:"reasons,omitempty"`
	Demurrage Demurrage `json:"demurrage"`
	Pots      []Pot     `json:"pots,omitempty"`
	Mutual    Mutual    `json:"mutual"`
	Second    Second    `json:"second"`
	Messages  Messages  `json:"messages"`
}

// Second says from where on a second person is asked.
type Second struct {
	Sum     *int64 `json:"sum,omitempty"`     // whole units of one file of credits
	Readers *int   `json:"readers,omitempty"` // of one message
}

// Messages says how messages to many leave.
type Messages struct {
	PerHour int `json:"per_hour,omitempty"`
	Cost    int `json:"cost,omitempty"` // thousandths of a euro for one SMS; 0: not known
}

// What holds until somebody decides otherwise.
const (
	DefaultSecondSum = 500
	DefaultReaders   = 50
	DefaultPerHour   = 600
)

// SecondSum returns the whole units above which a file of credits needs two.
func (c *Charter) SecondSum() int64 {
	if c.Second.Sum == nil {
		return DefaultSecondSum
	}
	return *c.Second.Sum
}

// SecondReaders returns the readers above which a message needs two.
func (c *Charter) SecondReaders() int {
	if c.Second.Readers == nil {
		return DefaultReaders
	}
	return *c.Second.Readers
}

// PerHour returns how many SMS to many leave in an hour.
func (c *Charter) PerHour() int {
	if c.Messages.PerHour == 0 {
		return DefaultPerHour
	}
	return c.Messages.PerHour
}

// Parse reads what Encode wrote; "" is the zero value.
func Parse(text string) (Charter, error) {
	var c Charter
	if text == "" {
		return c, nil
	}
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return c, fmt.Errorf("charter: %w", err)
	}
	return c, nil
}

// Encode writes a charter as text, or says what is wrong with it.
func (c *Charter) Encode() (string, error) {
	if err := c.Check(); err != nil {
		return "", err
	}
	text, err := json.Marshal(c)
	if err == nil && len(text) > maxOctets {
		err = fault("size", "")
	}
	return string(text), err
}

// A Fault is why something cannot be decided. Key says it to the program, Arg
// what it is about.
type Fault struct{ Key, Arg string }

// Error implements error.
func (f *Fault) Error() string { return "charter: " + f.Key + " " + f.Arg }

func fault(key, arg string) error { return &Fault{key, arg} }

// ErrNoPot means that there is no such pot, or that it has ended.
var ErrNoPot = errors.New("no such pot")

// Check returns the first thing that is wrong, as a Fault.
func (c *Charter) Check() error {
	for _, check := range []func() error{c.checkGroups, c.checkReasons, c.checkPots, c.checkDemurrage, c.checkRest} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Charter) checkGroups() error {
	seen := map[string]bool{}
	for _, g := range c.Groups {
		switch {
		case len(c.Groups) > MaxGroups:
			return fault("many", "")
		case seen[g.Name]:
			return fault("twice", g.Name)
		case g.Name != "" && !short(g.Name):
			return fault("name", g.Name)
		case g.Start < 0 || g.Start > MaxSum:
			return fault("sum", g.Name)
		case g.Start > 0 && !short(g.Why):
			return fault("why", g.Name)
		}
		seen[g.Name] = true
	}
	return nil
}

func (c *Charter) checkReasons() error {
	seen := map[string]bool{}
	for _, r := range c.Reasons {
		switch {
		case len(c.Reasons) > MaxReasons || len(r.Words) > MaxWords:
			return fault("many", r.Name)
		case seen[r.Name]:
			return fault("twice", r.Name)
		case !short(r.Name) || r.Measure != "" && !short(r.Measure):
			return fault("name", r.Name)
		case len(r.Words) == 0 || slices.ContainsFunc(r.Words, func(w string) bool { return !short(w) || strings.ContainsAny(w, " ;,") }):
			return fault("words", r.Name)
		}
		seen[r.Name] = true
	}
	return nil
}

func (c *Charter) checkPots() error {
	seen := map[string]bool{}
	for _, p := range c.Pots {
		switch {
		case len(c.Pots) > MaxPots:
			return fault("many", "")
		case seen[p.Name]:
			return fault("twice", p.Title)
		case p.Name == "" || strings.Trim(p.Name, "abcdefghijklmnopqrstuvwxyz0123456789") != "" || !short(p.Name) || !short(p.Title):
			return fault("name", p.Title)
		case p.Goal < 0 || p.Goal > MaxSum:
			return fault("sum", p.Title)
		}
		seen[p.Name] = true
	}
	return nil
}

func (c *Charter) checkDemurrage() error {
	d := c.Demurrage
	switch {
	case d.Rate < 0 || d.Rate > MaxRate || d.On && d.Rate == 0:
		return fault("rate", "")
	case d.Free < 0 || d.Free > MaxSum:
		return fault("sum", "")
	case d.On && d.Since.IsZero():
		return fault("since", "")
	}
	if _, err := c.Pot(d.Pot); d.On && err != nil {
		return fault("pot", d.Pot)
	}
	return nil
}

func (c *Charter) checkRest() error {
	m := c.Mutual
	switch {
	case m.Soft < 0 || m.Hard < 0 || m.Hard > MaxSum || m.Soft > m.Hard, m.On && m.Hard == 0:
		return fault("limit", "")
	case c.SecondSum() < 0 || c.SecondSum() > MaxSum || c.SecondReaders() < 0:
		return fault("second", "")
	case c.Messages.PerHour < 0 || c.Messages.PerHour > MaxPerHour || c.Messages.Cost < 0 || c.Messages.Cost > MaxSMSCost:
		return fault("messages", "")
	}
	return nil
}

func short(s string) bool {
	n := utf8.RuneCountInString(s)
	return n > 0 && n <= MaxName && strings.TrimSpace(s) == s && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' })
}

// Group returns a group; one that is no more is that of everybody else.
func (c *Charter) Group(name string) Group {
	for _, n := range []string{name, ""} {
		if i := slices.IndexFunc(c.Groups, func(g Group) bool { return g.Name == n }); i >= 0 {
			return c.Groups[i]
		}
	}
	return Group{}
}

// HasGroup reports whether there is such a group; "" always is.
func (c *Charter) HasGroup(name string) bool {
	return name == "" || slices.ContainsFunc(c.Groups, func(g Group) bool { return g.Name == name })
}

// potPrefix begins the name of the account of every pot but the common one.
const potPrefix = "pot:"

// Pot returns a pot that takes and gives; "" is the common one.
func (c *Charter) Pot(name string) (Pot, error) {
	if name == "" {
		return Pot{}, nil
	}
	i := slices.IndexFunc(c.Pots, func(p Pot) bool { return p.Name == name })
	if i < 0 || c.Pots[i].Ended {
		return Pot{}, ErrNoPot
	}
	return c.Pots[i], nil
}

// Account returns the name of the association's account that a pot is.
func (p Pot) Account() string {
	if p.Name == "" {
		return "pot"
	}
	return potPrefix + p.Name
}

// PotOf returns the name of the pot that an account is, and whether it is one
// with a name.
func PotOf(account string) (string, bool) { return strings.CutPrefix(account, potPrefix) }
