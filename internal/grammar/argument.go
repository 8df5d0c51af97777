package grammar

import (
	"strconv"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// Bounds of codes and cells, in digits.
const (
	minCode, maxCode = 4, 8
	half             = maxCode / 2
	maxCell          = 8
	maxPage          = 4
	voucherLen       = 8
)

// command reads the words after a verb. Words that are not the argument
// expected are ignored.
func (p *Parser) command(c Command, words []word) (Command, *Misunderstanding) {
	switch c.Verb {
	case Pay, Ask, Credit:
		return p.transfer(c, words)
	case Voucher, Redeem:
		return p.voucher(c, words)
	}
	words = arguments(words)
	switch c.Verb {
	case Yes:
		if c.Code = code(words); c.Code == "" {
			return c, &Misunderstanding{Key: "code.manque"}
		}
	case No, Cancel, Refund, Verify:
		c.Ref = reference(words)
		if c.Ref == "" && (c.Verb == Refund || c.Verb == Verify) {
			return c, &Misunderstanding{Key: notUnderstood}
		}
	case History:
		if len(words) > 0 {
			c.Page = page(words)
		}
	case Help:
		if len(words) > 0 {
			c.About = p.verbs[words[0].text].is
		}
	case Till:
		c.Day, c.Month = date(words)
	case Nick, Lang, Word:
		return said(c, words)
	case Mail:
		c.Address = address(words)
		if c.Address == "" && len(words) > 0 && p.verbs[words[0].text].is == Stop {
			c.About = Stop
		} else if c.Address == "" && len(words) > 0 {
			c.Address = words[0].typed()
		}
	case Lost, Card, Block, Unblock, Freeze, Unfreeze:
		return p.about(c, words)
	}
	return c, nil
}

// arguments returns the words that say something, without the keys.
func arguments(words []word) []word {
	var list []word
	for _, w := range words {
		if w.key == "" && w.says() {
			list = append(list, w)
		}
	}
	return list
}

// said reads the one word that a command sets.
func said(c Command, words []word) (Command, *Misunderstanding) {
	missing := map[Verb]string{Nick: "pseudo.invalide", Lang: "langue.inconnue", Word: "mot.invalide"}
	if len(words) == 0 {
		return c, &Misunderstanding{Key: missing[c.Verb]}
	}
	w := words[0]
	switch c.Verb {
	case Nick:
		c.Nick, _ = w.name()
	case Lang:
		c.Lang, _ = w.name()
	case Word: // with its accents, for the word may have none
		c.Word = strings.ToLower(norm.NFC.String(w.typed()))
	}
	if c.Nick+c.Lang+c.Word == "" {
		return c, &Misunderstanding{Key: missing[c.Verb]}
	}
	return c, nil
}

// address returns the word that holds an "@", as typed, with what stands before
// it if that was cut off; "" if there is none.
func address(words []word) string {
	for i, w := range words {
		s := strings.Trim(w.raw, `"'()[]{}<>,;:.?!`)
		switch at := strings.IndexByte(s, '@'); {
		case at > 0:
			return s
		case at == 0 && i > 0:
			return strings.TrimSpace(words[i-1].raw) + s
		}
	}
	return ""
}

// about reads whom a command is about, and the cell of a code card.
func (p *Parser) about(c Command, words []word) (Command, *Misunderstanding) {
	if c.Verb != Card {
		c.Who = p.who(words)
	}
	ok := c.Who != ""
	if c.Verb == Card || c.Verb == Lost {
		c.Cell, ok = cell(words)
	}
	if !ok || c.Verb == Card && c.Cell == "" {
		return c, &Misunderstanding{Key: notUnderstood}
	}
	return c, nil
}

// who returns the name with "@", else the first word that can be a pseudo.
func (p *Parser) who(words []word) string {
	plain := ""
	for _, w := range words {
		nick, at := w.name()
		if at && nick != "" {
			return nick
		}
		if plain == "" && len(nick) >= 3 && !p.small[nick] && !w.isFigure() && !digits(nick) {
			plain = nick
		}
	}
	return plain
}

// cell returns the first row of digits, ok false if it is longer than a cell,
// as a number is; the name of the cell, as "B3", is skipped.
func cell(words []word) (digits string, ok bool) {
	for _, w := range words {
		c, isDigits := w.chunk()
		if !isDigits && digits != "" {
			break
		}
		if isDigits && len(digits) <= maxCell {
			digits += c
		}
	}
	return digits, len(digits) <= maxCell
}

func page(words []word) int {
	for _, w := range words {
		if digits(w.text) && len(w.text) <= maxPage {
			n, _ := strconv.Atoi(w.text)
			return n
		}
	}
	return 0
}

// date reads a day and a month, "28/03"; a date that no year has is ignored.
func date(words []word) (day, month int) {
	for _, w := range words {
		parts := strings.FieldsFunc(w.text, func(r rune) bool { return strings.ContainsRune("/.-", r) })
		if len(parts) < 2 || len(parts) > 3 || !digits(strings.Join(parts, "")) || len(parts[0]) > 2 || len(parts[1]) > 2 {
			continue
		}
		day, _ = strconv.Atoi(parts[0])
		month, _ = strconv.Atoi(parts[1])
		if month >= 1 && month <= 12 && day >= 1 && day <= daysIn[month-1] {
			return day, month
		}
	}
	return 0, 0
}

var daysIn = [12]int{31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

// reference returns the first word with the shape of a reference: letter digit
// letter digit, without what is mistaken for something else.
func reference(words []word) string {
	for _, w := range words {
		if ref := strings.ToUpper(w.text); isReference(ref) {
			return ref
		}
	}
	return ""
}

func isReference(s string) bool {
	if len(s) < 4 || len(s) > 8 {
		return false
	}
	for i := range len(s) {
		letter := s[i] >= 'A' && s[i] <= 'Z' && s[i] != 'I' && s[i] != 'O'
		digit := s[i] >= '1' && s[i] <= '9'
		if i%2 == 0 && !letter || i%2 == 1 && !digit {
			return false
		}
	}
	return true
}

// code returns the first code among words: in one piece, in two or in pairs.
func code(words []word) string {
	for i := range words {
		if s, _ := codeAt(words, i); s != "" {
			return s
		}
	}
	return ""
}

func codeAt(words []word, i int) (code string, end int) {
	group := func(j int) string {
		if j < len(words) && digits(words[j].text) {
			return words[j].text
		}
		return ""
	}
	a, b, c, d := group(i), group(i+1), group(i+2), group(i+3)
	left, right, cut := cutCode(words[i].text)
	switch {
	case cut:
		return left + right, i + 1
	case len(a) == half && (len(b) == half || len(b) == half-1) && c == "": // as long codes are shown
		return a + b, i + 2
	case len(a) >= minCode && len(a) <= maxCode:
		return a, i + 1
	case len(a) == 2 && len(b) == 2 && len(c) == 2 && len(d) == 2:
		return a + b + c + d, i + 4
	case len(a) == 2 && len(b) == 2 && len(c) == 2:
		return a + b + c, i + 3
	case len(a) >= 2 && len(b) >= 2 && len(a)-len(b) >= -1 && len(a)-len(b) <= 1 && len(a)+len(b) <= maxCode:
		return a + b, i + 2
	}
	return "", i
}

// cutCode cuts a code whose halves have a hyphen or a point between them.
func cutCode(s string) (left, right string, ok bool) {
	at := strings.IndexAny(s, "-.")
	if at < 2 || len(s) != 2*at+1 {
		return "", "", false
	}
	left, right = s[:at], s[at+1:]
	return left, right, digits(left+right) && len(left+right) <= maxCode
}

// bareCode reads a code alone, or with words of thanks and consent after it.
func (p *Parser) bareCode(words []word) (string, bool) {
	words = arguments(words)
	s, end := codeAt(words, 0)
	for _, w := range words[end:] {
		if v := p.verbs[w.text].is; v != Yes && v != Silence && !p.small[w.text] {
			return "", false
		}
	}
	return s, s != ""
}

// voucher reads an amount, and before it the code of the voucher to redeem.
func (p *Parser) voucher(c Command, words []word) (Command, *Misunderstanding) {
	o, ok := p.order(c, words)
	if !ok {
		return c, help(c.Verb)
	}
	if c.Verb == Redeem {
		if o.c.Voucher = o.voucher(); o.c.Voucher == "" {
			return c, help(c.Verb)
		}
	}
	o.amount()
	if o.wrong != nil {
		return c, o.wrong
	}
	if o.short != "" || c.Verb == Voucher && !o.have {
		return c, help(c.Verb)
	}
	return o.c, nil
}

// voucher takes the code of a voucher, in one piece or in two.
func (o *order) voucher() string {
	for i, w := range o.words {
		if o.used[i] {
			continue
		}
		for j := i; j < i+2 && j < len(o.words); j++ {
			s := w.text
			if j > i {
				s += o.words[j].text
			}
			s = strings.ToUpper(strings.ReplaceAll(s, "-", ""))
			if isVoucher(s) {
				o.use(i, j+1)
				return s
			}
		}
	}
	return ""
}

func isVoucher(s string) bool {
	letters, figures := 0, 0
	for i := range len(s) {
		switch {
		case s[i] >= 'A' && s[i] <= 'Z':
			letters++
		case s[i] >= '0' && s[i] <= '9':
			figures++
		default:
			return false
		}
	}
	return len(s) == voucherLen && letters > 0 && figures > 0
}
