package grammar

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"maillon/internal/sms"
)

// Fold returns s as it is compared: lower case, no accents, "œ" as "oe".
func Fold(s string) string {
	var b strings.Builder
	for _, r := range norm.NFD.String(s) {
		switch r = unicode.ToLower(halfWidth(r)); {
		case unicode.Is(unicode.Mn, r):
		case r == 'œ':
			b.WriteString("oe")
		case r == 'æ':
			b.WriteString("ae")
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// halfWidth returns the ASCII character that r is a wide form of, or r: some
// keyboards write digits and "@" so.
func halfWidth(r rune) rune {
	if r >= '！' && r <= '～' {
		return r - '！' + '!'
	}
	return r
}

// memo returns s in GSM 7-bit and otherwise as typed. A letter that is not
// there loses its accent; what has no letter, as an emoji, is left out.
func memo(s string) string {
	var b strings.Builder
	for _, r := range sms.Plain(s) {
		switch {
		case unicode.IsControl(r):
			b.WriteByte(' ')
		case sms.AlphabetOf(string(r)) == sms.GSM7:
			b.WriteRune(r)
		default:
			for _, r := range norm.NFD.String(string(halfWidth(r))) {
				if sms.AlphabetOf(string(r)) == sms.GSM7 {
					b.WriteRune(r)
				}
			}
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
