package sms

import (
	"strings"

	"golang.org/x/text/unicode/norm"
)

// An Alphabet is how the text of an SMS is coded on the air (3GPP TS 23.038).
type Alphabet int

// The alphabets.
const (
	GSM7 Alphabet = iota // 160 septets in one SMS
	UCS2                 // 70 units of 16 bits in one SMS: the price of one letter outside GSM7
)

// Sizes in units of the alphabet: septets or 16 bits.
const (
	gsm7Single, gsm7Part = 160, 153
	ucs2Single, ucs2Part = 70, 67
)

// The default alphabet without its escape, and what the escape leads to, at
// two septets each (3GPP TS 23.038, 6.2.1). France has no table of its own.
const (
	gsm7Basic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ" +
		" !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§" +
		"¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsm7Extended = "\f^{}\\[~]|€"
)

// AlphabetOf returns the cheapest alphabet that holds text once it is in NFC.
func AlphabetOf(text string) Alphabet {
	for _, r := range norm.NFC.String(text) {
		if gsm7Width(r) == 0 {
			return UCS2
		}
	}
	return GSM7
}

// Segments returns the length of text in units of its alphabet, the headers of
// parts not counted, and the number of SMS that it takes, at least 1. Neither a
// character nor an escape is cut in two.
func Segments(text string) (units, segments int) {
	width, single, part := gsm7Width, gsm7Single, gsm7Part
	if AlphabetOf(text) == UCS2 {
		width, single, part = ucs2Width, ucs2Single, ucs2Part
	}
	segments, room := 1, part
	for _, r := range norm.NFC.String(text) {
		w := width(r)
		units += w
		if w > room {
			segments++
			room = part
		}
		room -= w
	}
	if units <= single {
		return units, 1
	}
	return units, segments
}

// gsm7Width returns how many septets r takes; 0 if GSM7 has no such character.
func gsm7Width(r rune) int { return int(gsm7Widths[r]) }

// gsm7Widths is the same as a table: every text that leaves is counted.
var gsm7Widths = func() map[rune]uint8 {
	widths := map[rune]uint8{}
	for _, r := range gsm7Basic {
		widths[r] = 1
	}
	for _, r := range gsm7Extended {
		widths[r] = 2
	}
	return widths
}()

func ucs2Width(r rune) int {
	if r > 0xFFFF {
		return 2
	}
	return 1
}

// Plain returns text in NFC with what GSM7 lacks and people would not miss
// written otherwise: typographic quotes, dashes and spaces, and the letters of
// French that have no place there. What it does not know stays as it is.
func Plain(text string) string {
	return plainer.Replace(norm.NFC.String(text))
}

var plainer = strings.NewReplacer(
	"’", "'", "‘", "'", "“", `"`, "”", `"`, "«", `"`, "»", `"`,
	"—", "-", "–", "-", "…", "...", "\u00a0", " ", "\u202f", " ",
	"œ", "oe", "Œ", "OE", "ç", "c",
	"ê", "e", "ë", "e", "â", "a", "î", "i", "ï", "i", "ô", "o", "û", "u",
	"Ê", "E", "Ë", "E", "È", "E", "Â", "A", "À", "A", "Î", "I", "Ï", "I", "Ô", "O", "Û", "U", "Ù", "U",
	"ÿ", "y", "Ÿ", "Y",
)
