package charter

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// A Tally is what was given for one reason.
type Tally struct {
	Name    string // of a Reason, or a reason as it was typed, normalised
	Named   bool   // it is a Reason
	Measure string
	N       int
	Sum     int64 // smallest units
	Tenths  int64 // of the measure: the number found in each reason, in tenths
}

// Count adds up credits by reason. Fold makes of a text what is compared: lower
// case, no accents.
type Count struct {
	reasons []Reason
	fold    func(string) string
	by      map[string]*Tally
}

// Count begins to count.
func (c *Charter) Count(fold func(string) string) *Count {
	return &Count{c.Reasons, fold, map[string]*Tally{}}
}

// Add counts one credit.
func (c *Count) Add(reason string, sum int64) {
	words := words(c.fold(reason))
	t := Tally{Name: strings.Join(words, " ")}
	for _, r := range c.reasons {
		if slices.ContainsFunc(r.Words, func(w string) bool { return slices.Contains(words, c.fold(w)) }) {
			t = Tally{Name: r.Name, Named: true, Measure: r.Measure}
			break
		}
	}
	key := t.Name
	if t.Named {
		key = "=" + key
	}
	if c.by[key] == nil {
		c.by[key] = &t
	}
	one := c.by[key]
	one.N++
	one.Sum += sum
	if one.Measure != "" {
		one.Tenths += number(reason)
	}
}

// Top returns at most n of the reasons, those with the largest sums first, the
// named ones before the others.
func (c *Count) Top(n int) []Tally {
	all := make([]Tally, 0, len(c.by))
	for _, t := range c.by {
		all = append(all, *t)
	}
	rank := func(t Tally) int {
		if t.Named {
			return 0
		}
		return 1
	}
	slices.SortFunc(all, func(a, b Tally) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(b.Sum, a.Sum), cmp.Compare(a.Name, b.Name))
	})
	return all[:min(n, len(all))]
}

// words are the words of a folded text, without numbers.
func words(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && r != '\'' })
}

// maxMeasure bounds the number in a reason: more is a year or a mistake.
const maxMeasure = 1000

// measured finds a number that is no part of a date or of a time.
var measured = regexp.MustCompile(`(?:^|[^\d/:.,-])(\d{1,4})(?:[.,](\d)\d*)?(?:$|[^\d/:.,-]|[.,](?:$|\D))`)

// number returns the first number of a text in tenths: "3 h", "2,5 heures".
func number(s string) int64 {
	m := measured.FindStringSubmatch(s)
	if m == nil {
		return 0
	}
	n, err := strconv.ParseInt(m[1]+cmp.Or(m[2], "0"), 10, 64)
	if err != nil || n > 10*maxMeasure {
		return 0
	}
	return n
}
