package grammar

import "strings"

// The symbols of an item's short id, digit letter letter digit: none is taken
// for another, by eye or by ear, and no such word is an amount or a reference.
const (
	ItemDigits  = "23456789"
	ItemLetters = "ACDEFGHJKMNPQRTVWXY"
)

// IsItem reports whether s, in upper case, has the shape of the short id of
// something that a stall sells: "7KQ2".
func IsItem(s string) bool {
	shape := []string{ItemDigits, ItemLetters, ItemLetters, ItemDigits}
	if len(s) != len(shape) {
		return false
	}
	for i := range shape {
		if strings.IndexByte(shape[i], s[i]) < 0 {
			return false
		}
	}
	return true
}

// item reads the words after a verb that pays as the short id of what a stall
// sells, with an amount before or after it or without one, if nothing else
// stands there: "7KQ2", "7KQ2 5", "5 m 7KQ2".
func (p *Parser) item(c Command, words []word) (Command, *Misunderstanding, bool) {
	var sum []word
	for _, w := range words {
		id := strings.ToUpper(strings.Trim(w.raw, around))
		switch {
		case w.key == slotPay || w.key == slotTo || w.key == slotAmount || !w.says() || p.small[w.text]:
		case w.key != "" || IsItem(id) && c.Item != "":
			return c, nil, false
		case IsItem(id):
			c.Item = id
		default:
			sum = append(sum, w)
		}
	}
	if c.Item == "" || len(sum) > 2 || len(sum) > 0 && !sum[0].isFigure() {
		return c, nil, false
	}
	if len(sum) == 0 {
		return c, nil, true
	}
	f := p.figure(figureText(sum[0]))
	if len(sum) == 2 {
		symbol, ours := p.units[sum[1].text]
		if !ours || f.unit != "" {
			return c, nil, false
		}
		f.unit = symbol
	}
	switch f.key {
	case "":
		c.Amount, c.Unit = f.value, f.unit
		return c, nil, true
	case malformed:
		return c, help(c.Verb), true
	}
	return c, &Misunderstanding{Key: f.key, Typed: first(sum[0].typed(), maxTyped), N: f.n, N2: f.n2}, true
}
