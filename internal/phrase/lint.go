package phrase

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"maillon/internal/sms"
)

// room is what an SMS has for a text once the member's word is before it.
const room = MaxSeptets - MaxWord - len(": ")

// helpSign is the one verb that is no word.
const helpSign = "?"

// Limits say how wide each placeholder can get on one server.
type Limits struct {
	Widest map[string]string // the widest value of each placeholder that the house does not fix
	House  map[string]Fields // by language, what every text may name; without an entry, that of French
}

// DefaultLimits returns the limits of the settings that the program ships
// with. What is the widest of a language's own texts (what, state, month) is
// found by Lint itself, unless Widest names it.
//
// Sums of a payment have five digits, sums of an account six; a server that
// allows more must say so.
func DefaultLimits() Limits {
	const sum, account = "99999", "999999"
	house := func(desk, hours string) Fields {
		return Fields{
			"asso": "Penn Rustin'", "desk": desk, "hours": hours, "help": "06 39 98 01 01", "langs": "FR, EN, BR",
			"ttl": "10", "conf": "10", "lock": "24", "wait": "48", "look": "48",
			"gdays": "30", "rdays": "2", "rlock": "30", "ndays": "90", "tries": "3", "len": "8",
			"max": "200", "day": "300", "fmax": "50", "above": sum,
			"u": "m", "unit": "maillon", "units": "maillons",
		}
	}
	return Limits{
		Widest: map[string]string{
			"bal": account, "bal2": account, "amt": sum, "amt2": sum, "amt3": sum, "sgn": "+", "sgn2": "+", "sgn3": "+",
			"who": "soazigsoazig", "who2": "soazigsoazig", "who3": "soazigsoazig",
			"ph": "06**12", "phf": "+999999999999999", "num": "+999999999999999",
			"ref": "K7F2A", "code": "4829 1337", "proof": "A 47 120394 B 47 553201 C 47 884433", "vcode": "H7K2-94QX", "memo": strings.Repeat("m", memoCut),
			"txt": "12345678", "cell": "B3", "word": "tulipe", "d": "28/03", "d2": "28/03", "d3": "28/03", "t": "14:02",
			"n": account, "n2": account, "n3": account, "rule": "VEL1", "pct": "99,99",
			"u2": "h", "unit2": "heure",
			"shop": strings.Repeat("m", 20), "order": strings.Repeat("m", 20), "kw": "SOUKSOUKSOUK", "line": "+33639980012",
			"sum": "99999,99 MAD", "bcode": "SVRD-PV5K",
		},
		House: map[string]Fields{"fr": house("au local", "sam 10-12h"), "en": house("at the workshop", "Sat 10-12")},
	}
}

// A Problem is what should not be said: where, and why.
type Problem struct {
	File string
	Line int    // 0 if it is nowhere
	Key  string // "texts.solde"
	Text string
}

func (p Problem) String() string {
	if p.Line == 0 {
		return fmt.Sprintf("%s: %s: %s", p.File, p.Key, p.Text)
	}
	return fmt.Sprintf("%s:%d: %s: %s", p.File, p.Line, p.Key, p.Text)
}

// Lint returns everything in the files that would break a promise: a word that
// means two things, a text that is missing, unknown, outside GSM-7 or too long
// for one SMS at its widest, a placeholder that its text is not given.
func (b *Book) Lint(limits Limits) []Problem {
	n := &lint{book: b, limits: limits}
	n.wordsOf("verbs", b.reference.words.Verbs, func(w Words) map[string][]string { return w.Verbs })
	n.wordsOf("keys", b.reference.words.Keys, func(w Words) map[string][]string { return w.Keys })
	for _, tag := range b.order {
		l := b.languages[tag]
		n.habits(l)
		n.missing(l)
		for _, key := range slices.Sorted(maps.Keys(l.texts)) {
			n.text(l, key)
		}
	}
	slices.SortStableFunc(n.problems, func(x, y Problem) int {
		return cmp.Or(cmp.Compare(b.rank(x.File), b.rank(y.File)), cmp.Compare(x.Line, y.Line), cmp.Compare(x.Key, y.Key))
	})
	return n.problems
}

func (b *Book) rank(file string) int {
	return slices.Index(b.order, strings.TrimSuffix(file, suffix))
}

type lint struct {
	book     *Book
	limits   Limits
	problems []Problem
}

func (n *lint) add(l *language, key, format string, args ...any) {
	p := l.place(key)
	n.problems = append(n.problems, Problem{p.file, p.line, key, fmt.Sprintf(format, args...)})
}

func (l *language) place(key string) place {
	if p, ok := l.places[key]; ok {
		return p
	}
	return place{file: l.file}
}

// wordsOf checks the verbs, or the keys, of all languages together: all are
// understood at all times.
func (n *lint) wordsOf(table string, known map[string][]string, of func(Words) map[string][]string) {
	type meaning struct {
		name  string
		where place
	}
	taken := map[string]meaning{}
	for _, tag := range n.book.order {
		l := n.book.languages[tag]
		words := of(l.words)
		for _, name := range slices.Sorted(maps.Keys(words)) {
			key := table + "." + name
			if known[name] == nil {
				n.add(l, key, "unknown")
				continue
			}
			for _, w := range words[name] {
				if !readable(w, key) {
					n.add(l, key, "%q is not a word in small letters", w)
				}
				m, ok := taken[fold(w)]
				if ok && m.name != name {
					n.add(l, key, "%q already means %s (%s, line %d)", w, m.name, m.where.file, m.where.line)
					continue
				}
				taken[fold(w)] = meaning{name, l.place(key)}
			}
		}
	}
}

func readable(word, key string) bool {
	if word == helpSign {
		return key == "verbs.help"
	}
	for _, r := range word {
		if !unicode.IsLetter(r) && !unicode.Is(unicode.Mn, r) || unicode.ToLower(r) != r {
			return false
		}
	}
	return true
}

// fold returns a word as it is compared: small letters without accents.
func fold(word string) string {
	word = strings.NewReplacer("œ", "oe", "æ", "ae").Replace(strings.ToLower(word))
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return r
	}, norm.NFD.String(word))
}

func (n *lint) habits(l *language) {
	for key, missing := range map[string]bool{
		"numbers.decimal": l.decimal == "", "dates.order": l.dates == "", "dates.months": l.months == nil,
	} {
		if missing {
			n.add(l, key, "missing")
		}
	}
	for _, m := range l.months {
		if r := outside(sms.Plain(m)); r != 0 {
			n.add(l, "dates.months", "%q: %q is not in GSM-7", m, r)
		}
	}
}

func (n *lint) missing(l *language) {
	if l.base != "" {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(n.book.reference.texts)) {
		if l.texts[key] == nil {
			n.add(l, "texts."+key, "missing")
		}
	}
	for _, verb := range slices.Sorted(maps.Keys(n.book.reference.words.Verbs)) {
		if len(l.words.Verbs[verb]) == 0 {
			n.add(l, "verbs."+verb, "missing")
		}
	}
}

func (n *lint) text(l *language, key string) {
	t, path := l.texts[key], "texts."+key
	model, ok := n.book.reference.texts[key]
	if !ok {
		if !l.inherited[key] {
			n.add(l, path, "unknown text")
		}
		return
	}
	if !l.inherited[key] {
		if r := outside(norm.NFC.String(t.raw)); r != 0 {
			n.add(l, path, "%q is not in GSM-7", r)
		}
		if !n.placeholders(l, path, t, model) {
			return
		}
	}
	length, err := n.length(l, t)
	if err != nil {
		n.add(l, path, "%v", err)
		return
	}
	if length > room && !(l.inherited[key] && n.tooLong(n.book.languages[l.base], key)) {
		n.add(l, path, "%d characters at its widest in %s, with the member's word %d: more than %d",
			length, l.tag, length+MaxSeptets-room, MaxSeptets)
	}
}

func (n *lint) tooLong(l *language, key string) bool {
	length, err := n.length(l, l.texts[key])
	return err == nil && length > room
}

// placeholders reports whether a text uses nothing that it may not be given.
// The code is the one thing that it must use: an order cannot be paid without.
func (n *lint) placeholders(l *language, path string, t, model *template) bool {
	allowed, used := model.fields(), t.fields()
	ok := true
	for _, f := range slices.Sorted(maps.Keys(used)) {
		needed, known := allowed[f]
		switch {
		case house[f] && !known:
		case !known:
			n.add(l, path, "{%s} is not allowed here", f)
			ok = false
		case used[f] && !needed:
			n.add(l, path, "{%s} may be empty: it must stand in [[ ]]", f)
			ok = false
		}
	}
	if allowed["code"] && !used["code"] {
		n.add(l, path, "{code} is missing")
	}
	return ok
}

// length returns the septets of a text at its widest, without what may be left
// out.
func (n *lint) length(l *language, t *template) (int, error) {
	fixed := make([]part, 0, len(t.parts))
	values := Fields{}
	for _, p := range t.parts {
		if p.optional {
			continue
		}
		fixed = append(fixed, p)
		for _, x := range p.pieces {
			if x.field == "" {
				continue
			}
			v := n.widest(l, x.field)
			if v == "" {
				return 0, fmt.Errorf("nobody knows how wide {%s} gets", x.field)
			}
			values[x.field] = clean(v)
		}
	}
	return septets(say(fixed, values)), nil
}

func (n *lint) widest(l *language, field string) string {
	own, ok := n.limits.House[l.tag]
	if !ok {
		own = n.limits.House[reference]
	}
	if v, ok := own[field]; ok {
		return first(v, houseUnset)
	}
	if v, ok := n.limits.Widest[field]; ok {
		return v
	}
	switch field {
	case "what":
		return n.widestText(l, "alerte.")
	case "state":
		return n.widestText(l, "modem.")
	case "month":
		return widestOf(l.months)
	}
	return ""
}

// widestText returns the widest of the texts that others quote.
func (n *lint) widestText(l *language, prefix string) string {
	var texts []string
	for key, t := range l.texts {
		if !strings.HasPrefix(key, prefix) {
			continue
		}
		values := Fields{}
		for f := range t.fields() {
			if f != "what" && f != "state" { // a text does not quote itself
				values[f] = clean(n.widest(l, f))
			}
		}
		texts = append(texts, say(t.parts, values))
	}
	return widestOf(texts)
}

func widestOf(texts []string) string {
	widest := ""
	for _, t := range texts {
		if septets(clean(t)) > septets(clean(widest)) {
			widest = t
		}
	}
	return widest
}

// outside returns the first character of text that GSM-7 lacks, or 0. A line
// break is in GSM-7, but not in an SMS of ours.
func outside(text string) rune {
	if clean(text) == text {
		return 0
	}
	for _, r := range text {
		if isControl(r) || sms.AlphabetOf(string(r)) != sms.GSM7 {
			return r
		}
	}
	return 0
}
