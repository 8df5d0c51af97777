package grammar

import (
	"slices"
	"strings"

	"maillon/internal/money"
)

// currencies are units that people try and that few servers run. A server that
// runs one names it in its vocabulary, which is asked first.
var currencies = []string{"€", "euro", "euros", "eur", "$", "dollar", "dollars", "£"}

func isCurrency(s string) bool { return slices.Contains(currencies, s) }

// A figure is an amount as it stands in the text.
type figure struct {
	value money.Decimal
	unit  string // symbol, if it is glued to the figure
	key   string // why it is refused; "" if it is not
	n, n2 string // what it may have meant
}

// The keys of replies to an amount. Of what is malformed the caller knows how it
// should be written.
const (
	malformed   = "malformed"
	foreignUnit = "devise"
	letter      = "lettre"
)

// isFigure reports whether w is meant as an amount: a digit comes first, but
// for a sign or a currency.
func (w word) isFigure() bool {
	s := figureText(w)
	s = strings.TrimLeft(s, "+-€$£")
	return s != "" && digits(s[:1])
}

// figureText returns w folded, with the sign that word.text has lost.
func figureText(w word) string {
	return strings.TrimRight(strings.TrimLeft(Fold(w.raw), `"'([{*<_~`), `?!.;,:"')]}*>_~…`)
}

// figure reads s, folded, as an amount: "50", "12,50", "50m", "50,-".
func (p *Parser) figure(s string) figure {
	if strings.HasPrefix(s, "-") {
		return figure{key: "zero"}
	}
	s = strings.TrimPrefix(s, "+")
	bare := strings.TrimLeft(s, "€$£")
	if bare != s {
		return figure{key: foreignUnit}
	}
	end := strings.IndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && r != '.' && r != ',' })
	if end < 0 {
		end = len(s)
	}
	number, suffix := s[:end], s[end:]
	if strings.HasSuffix(number, ",") || strings.HasSuffix(number, ".") {
		suffix = strings.TrimLeft(suffix, "-")
		number = number[:len(number)-1]
	}
	f := readNumber(number)
	switch symbol, known := p.units[suffix]; {
	case suffix == "":
	case known:
		f.unit = symbol
	case isCurrency(suffix):
		return figure{key: foreignUnit}
	case strings.Trim(s, looksLikeDigit) == "":
		if n := readNumber(toDigits.Replace(s)); n.key == "" {
			return figure{key: letter, n: n.value.String()}
		}
		return figure{key: malformed}
	case strings.ContainsFunc(suffix, func(r rune) bool { return !significant(r) || r >= '0' && r <= '9' }):
		return figure{key: malformed}
	default:
		return figure{key: foreignUnit}
	}
	if f.key == "" && f.value.IsZero() {
		f.key = "zero"
	}
	return f
}

// The letters that are taken for digits, and what they are taken for.
const looksLikeDigit = "0123456789oil"

var toDigits = strings.NewReplacer("o", "0", "i", "1", "l", "1")

// readNumber reads digits with separators. One separator and three digits may
// be thousands or decimals; nobody is asked to guess.
func readNumber(s string) figure {
	parts := strings.FieldsFunc(s, func(r rune) bool { return r == '.' || r == ',' })
	separators := strings.Trim(s, "0123456789")
	separators = strings.Map(func(r rune) rune {
		if r == '.' || r == ',' {
			return r
		}
		return -1
	}, separators)
	if len(parts) == 0 || len(parts) != len(separators)+1 {
		return figure{key: malformed}
	}
	whole, part := strings.Join(parts, ""), ""
	last := len(parts) - 1
	switch {
	case last == 0:
	case last == 1 && thousands(parts):
		high, err := money.ParseDecimal(whole)
		low, err2 := money.ParseDecimal(parts[0] + "." + parts[1])
		if err != nil || err2 != nil {
			return figure{key: malformed}
		}
		return figure{key: "ambigu.montant", n: high.String(), n2: low.String()}
	case last == 1:
		whole, part = parts[0], parts[1]
	case thousands(parts) && strings.Trim(separators, separators[:1]) == "":
	case thousands(parts[:last]) && strings.Trim(separators[:last-1], separators[:1]) == "" && separators[last-1] != separators[0]:
		whole, part = strings.Join(parts[:last], ""), parts[last]
	default:
		return figure{key: malformed}
	}
	if part != "" {
		whole += "." + part
	}
	value, err := money.ParseDecimal(whole)
	if err != nil {
		return figure{key: malformed}
	}
	return figure{value: value}
}

// thousands reports whether parts can be groups of three digits.
func thousands(parts []string) bool {
	if len(parts[0]) > 3 || parts[0][0] == '0' {
		return false
	}
	for _, part := range parts[1:] {
		if len(part) != 3 {
			return false
		}
	}
	return true
}
