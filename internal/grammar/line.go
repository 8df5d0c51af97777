package grammar

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxRunes bounds what is read of a line: more than the ten parts of a long
// SMS hold. What follows is not read.
const maxRunes = 2000

// A word is a piece of the line between spaces, or a key before "=".
type word struct {
	raw  string // as typed
	text string // folded and without punctuation around it; "" if it says nothing
	key  string // slot that this word announces; "" if it is no key
}

// firstLine returns the first line of text that is not empty, with plain
// spaces and quotes and without invalid UTF-8.
func firstLine(text string) string {
	var b strings.Builder
	n := 0
	for i := 0; i < len(text) && n < maxRunes; {
		r, size := utf8.DecodeRuneInString(text[i:])
		i += size
		if r == utf8.RuneError && size <= 1 {
			continue
		}
		if strings.ContainsRune("\n\r\u0085\u2028\u2029", r) {
			if n > 0 {
				break
			}
			continue
		}
		if r = plain(r); r == 0 || r == ' ' && n == 0 {
			continue
		}
		b.WriteRune(r)
		n++
	}
	return strings.TrimSpace(b.String())
}

// plain returns what r is read as, 0 if it is nothing.
func plain(r rune) rune {
	switch {
	case unicode.IsSpace(r), unicode.IsControl(r), unicode.Is(unicode.Zs, r), r == '\u200b', r == '\ufeff':
		return ' '
	case unicode.Is(unicode.Cf, r):
		return 0
	case strings.ContainsRune("‘’‚‛′", r):
		return '\''
	case strings.ContainsRune("“”„‟«»″", r):
		return '"'
	case strings.ContainsRune("‐‑‒–—−", r):
		return '-'
	}
	return r
}

// around is the punctuation that people put around a word.
const around = `?!.;,:"'()[]{}*<>_~…¿¡-`

// final is what vanishes at the end of a line.
const final = " ?!.;,…"

// words cuts a line into words and keys.
func (p *Parser) words(line string) []word {
	var list []word
	fields := strings.Fields(strings.TrimRight(line, final))
	for i := 0; i < len(fields); i++ {
		field := fields[i]
		if i+1 < len(fields) && strings.IndexAny(fields[i+1], "=:") == 0 && p.announces(field, len(list) == 0) {
			field += fields[i+1]
			i++
		}
		list = p.cut(list, field)
	}
	return list
}

// cut appends field to list, its keys apart: a field such as "vir=50" is two
// words. The verb may be written as a key too, though it is none.
func (p *Parser) cut(list []word, field string) []word {
	for {
		at := strings.IndexAny(field, "=:")
		if at <= 0 || !p.announces(field[:at], len(list) == 0) {
			break
		}
		w := newWord(field[:at])
		w.key = p.keys[w.text].is
		if w.key != "" {
			w.raw += field[at : at+1]
		}
		list = append(list, w)
		field = strings.TrimLeft(field[at:], "=:")
	}
	if field == "" {
		return list
	}
	if at := strings.Index(field, "@"); at > 0 && (len(list) == 0 || isDigit(rune(field[0]))) && isAmount(field[:at]) {
		return append(list, newWord(field[:at]), newWord(field[at:]))
	}
	return append(list, newWord(field))
}

// isAmount reports whether s may be an amount that is glued to the name after
// it, be there a verb before: "vir50@yann", "50m@yann".
func isAmount(s string) bool { return strings.ContainsFunc(s, isDigit) }

func (p *Parser) announces(s string, first bool) bool {
	text := strings.Trim(Fold(s), around)
	if _, key := p.keys[text]; key {
		return true
	}
	_, verb := p.verbs[text]
	return verb && first
}

func newWord(raw string) word {
	if rest, ok := strings.CutPrefix(raw, "¡"); ok && rest != "" {
		raw = "@" + rest
	}
	text := Fold(raw)
	switch {
	case text == "?":
	case !strings.ContainsFunc(text, significant):
		text = strings.Trim(text, around)
		if !isCurrency(text) {
			text = ""
		}
	default:
		text = strings.Trim(text, around)
	}
	return word{raw: raw, text: text}
}

// significant reports whether r alone makes a word of what it is in.
func significant(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// says reports whether w holds a letter or a digit, or is a lone "?".
func (w word) says() bool { return w.text == "?" || strings.ContainsFunc(w.text, significant) }

// name returns the pseudo that w is, and whether it has an "@".
func (w word) name() (nick string, at bool) {
	nick, at = strings.CutPrefix(w.text, "@")
	return strings.Trim(nick, around+"@"), at
}

// typed returns w as typed, without "@" and the punctuation around it.
func (w word) typed() string { return strings.Trim(w.raw, around+"@") }

// isDigit reports whether r is a digit, be it a wide one.
func isDigit(r rune) bool {
	r = halfWidth(r)
	return r >= '0' && r <= '9'
}

// digits reports whether s is ASCII digits alone.
func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// first returns at most n characters of s.
func first(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}
