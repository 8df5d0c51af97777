package grammar

import (
	"strings"

	"maillon/internal/sms"
)

// Bounds of the search for numbers in one text.
const (
	maxPhoneDigits = 18  // "00", fifteen digits and a "(0)"
	maxTries       = 300 // candidates; a text with more is not clear
	minAttempt     = 6   // digits from which "0…" is a number that lacks some, and no amount
	maxRow         = 64  // digits in a row; there is no number in so many
	maxNumTyped    = 20  // characters of a number in a reply
)

// A phone is a number found in words[from:to].
type phone struct {
	from, to int
	number   sms.Number
	typed    string
}

// chunk returns the digits of w with a leading "+", if w can be a piece of a
// number.
func (w word) chunk() (string, bool) {
	s := strings.TrimRight(w.raw, ",;:!?.")
	var b strings.Builder
	for i, r := range []rune(s) {
		switch r = halfWidth(r); {
		case r >= '0' && r <= '9', r == '+' && i == 0:
			b.WriteRune(r)
		case !strings.ContainsRune(".-/()", r):
			return "", false
		}
	}
	return b.String(), b.Len() > 0
}

// phones finds the numbers among the words that are free, the longest match at
// each place. It gives up, ok false, if there are two or the digits can be cut
// in two ways.
func (o *order) phones() (found phone, any, ok bool) {
	tries, reached := 0, 0
	for i := range o.words {
		p, n := o.phoneAt(i)
		tries += n
		switch {
		case tries > maxTries:
			return found, any, false
		case p.to <= reached: // none, or a part of the one before
		case any:
			return found, any, false
		default:
			found, any, reached = p, true, p.to
		}
	}
	return found, any, any || !o.twoGlued()
}

// phoneAt returns the longest number that begins at word i, and how many
// candidates it looked at.
func (o *order) phoneAt(i int) (found phone, tries int) {
	var s string
	for j := i; j < len(o.words) && o.free(i, j); j++ {
		c, ok := o.words[j].chunk()
		if !ok || j > i && strings.HasPrefix(c, "+") || len(s)+len(c) > maxPhoneDigits+1 {
			break
		}
		if s += c; len(s) < minAttempt+1 {
			continue
		}
		tries++
		if n, ok := o.p.number(s); ok {
			found = phone{i, j + 1, n, s}
		}
	}
	return found, tries
}

// number reads digits with or without a "+" as a number: national with its
// first 0, or international. Nine digits without the 0 are no number, for they
// may be an amount.
func (p *Parser) number(s string) (sms.Number, bool) {
	n, err := sms.ParseNumber(s, p.region)
	if err != nil || s[0] != '+' && s[0] != '0' && n.E164() != "+"+s {
		return sms.Number{}, false
	}
	return n, true
}

// twoGlued reports whether a row of digits can be cut into two numbers.
func (o *order) twoGlued() bool {
	tries := 0
	for i := range o.words {
		s, _ := o.row(i)
		if s == "" || s[0] != '0' && s[0] != '+' || len(s) < 2*(minAttempt+1) || len(s) > 2*maxPhoneDigits {
			continue
		}
		for k := minAttempt + 1; k < len(s)-minAttempt; k++ {
			if tries++; tries > maxTries {
				return true
			}
			if _, left := o.p.number(s[:k]); !left {
				continue
			}
			if _, right := o.p.number(s[k:]); right {
				return true
			}
		}
	}
	return false
}

// row returns the digits of the free chunks from word i on, and where they end.
func (o *order) row(i int) (s string, end int) {
	for end = i; end < len(o.words) && o.free(i, end); end++ {
		c, ok := o.words[end].chunk()
		if !ok || end > i && strings.HasPrefix(c, "+") || len(s) > maxRow {
			break
		}
		s += c
	}
	return s, end
}

// attempt reports whether the digits from word i on are a number that lacks
// some, and no amount.
func (o *order) attempt(i int) (typed string, ok bool) {
	c, isChunk := o.words[i].chunk()
	if !isChunk || len(c) < 2 || c[0] != '0' && c[0] != '+' || strings.HasPrefix(o.words[i].raw, "-") {
		return "", false
	}
	if strings.ContainsAny(o.words[i].raw, ".,") && len(c) < minAttempt {
		return "", false
	}
	s, _ := o.row(i)
	return s, len(s) >= minAttempt
}

// refused returns the key of the reply to a French number that takes no SMS,
// by its second digit; "" for those of mobiles. Other countries come later.
func refused(n sms.Number) string {
	national := n.National()
	if national[0] != '0' {
		return ""
	}
	switch national[1] {
	case '6', '7':
		return ""
	case '8':
		return "num.special"
	}
	return "num.fixe"
}
