package story

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What may be a code or a reference: both stand alone, so that nothing of
// their kind touches them. What follows is looked at by cut.
var (
	// As people type them: a code without its space, a reference in lower case.
	typedToken = regexp.MustCompile(`(?:^|[^0-9])(` + proofShape + `|[0-9]{3} ?[0-9]{3})|(?:^|[^\pL\pN])([A-Za-z][0-9][A-Za-z][0-9])`)
	// As the server draws them.
	drawnToken = regexp.MustCompile(`(?:^|[^0-9])(` + proofShape + `|` + codeShape + `)|(?:^|[^\pL\pN])(` + refShape + `)`)
)

var wholeRef = regexp.MustCompile(`\A` + refShape + `\z`)

// The shapes of what the server draws (conversation.md, 5 and 6). A reference
// has a fifth letter once half of the shorter ones are used.
const (
	codeShape  = `[0-9]{3} [0-9]{3}`
	proofShape = `[0-9]{2} [0-9]{6}` // by which a stall knows that it was paid
	refShape   = `[A-HJ-NP-Z][1-9][A-HJ-NP-Z][1-9][A-HJ-NP-Z]?`
)

const (
	codeDigits = 6
	proofLen   = 9
)

// names are the codes and references of a file with the values that they are
// bound to. Two names never share a value.
type names struct {
	values map[string]string // by name: "482 913", "K7F2"
	owners map[string]string // by value
}

func newNames() *names { return &names{values: map[string]string{}, owners: map[string]string{}} }

// bind makes name mean value from now on. It reports whether it does: not if
// name means another value or value has another name.
func (n *names) bind(name, value string) bool {
	if old, ok := n.values[name]; ok {
		return old == value
	}
	if _, taken := n.owners[value]; taken {
		return false
	}
	n.values[name], n.owners[value] = value, name
	return true
}

// draw binds a reference that the server drew where the file has name.
func (n *names) draw(name, value string) error {
	if !wholeRef.MatchString(value) {
		return fmt.Errorf("the server drew %q, which is no reference", value)
	}
	if _, bound := n.values[name]; bound {
		return fmt.Errorf("%s stands for something already", name)
	}
	if !n.bind(name, value) {
		return fmt.Errorf("the reference drawn for %s is that of %s", name, n.owners[value])
	}
	return nil
}

// typed returns text as somebody sends it: with values in place of bound names.
// Every other code or reference stands for itself from now on.
func (n *names) typed(text string) (string, error) {
	for _, p := range cut(typedToken, text) {
		if !p.token {
			continue
		}
		name := nameOf(p.text)
		if _, bound := n.values[name]; !bound && !n.bind(name, name) {
			return "", fmt.Errorf("%s was to be nothing that the server drew, and is %s by chance", name, n.owners[name])
		}
	}
	return n.spell(text), nil
}

// spell returns text with values in place of bound names.
func (n *names) spell(text string) string {
	var b strings.Builder
	for _, p := range cut(typedToken, text) {
		if value, bound := n.values[nameOf(p.text)]; p.token && bound {
			b.WriteString(respell(value, p.text))
			continue
		}
		b.WriteString(p.text)
	}
	return b.String()
}

// match reports whether got is what want promises, and binds the names that
// want shows for the first time.
func (n *names) match(want, got string) bool {
	var pattern strings.Builder
	var unbound []string
	for _, p := range cut(typedToken, want) {
		name := nameOf(p.text)
		value, bound := n.values[name]
		switch {
		case p.token && bound:
			pattern.WriteString(regexp.QuoteMeta(respell(value, p.text)))
		case p.token && name == p.text:
			pattern.WriteString("(" + shapeOf(name) + ")")
			unbound = append(unbound, name)
		default:
			pattern.WriteString(regexp.QuoteMeta(p.text))
		}
	}
	values := regexp.MustCompile(`\A` + pattern.String() + `\z`).FindStringSubmatch(got)
	if values == nil {
		return false
	}
	for i, name := range unbound {
		if !n.bind(name, values[i+1]) {
			return false
		}
	}
	return true
}

// retell returns got in the words of the file, to be shown beside want: bound
// values by their names, new ones by the names that want has for new ones.
func (n *names) retell(want, got string) string {
	fresh := n.unbound(want)
	told := maps.Clone(n.owners)
	var b strings.Builder
	for _, p := range cut(drawnToken, got) {
		if !p.token {
			b.WriteString(p.text)
			continue
		}
		sameKind := func(name string) bool { return shapeOf(name) == shapeOf(p.text) }
		if i := slices.IndexFunc(fresh, sameKind); told[p.text] == "" && i >= 0 {
			told[p.text] = fresh[i]
			fresh = slices.Delete(fresh, i, i+1)
		}
		b.WriteString(cmp.Or(told[p.text], p.text))
	}
	return b.String()
}

// unbound returns the names in text that mean nothing yet, each once.
func (n *names) unbound(text string) []string {
	var all []string
	for _, p := range cut(typedToken, text) {
		if _, bound := n.values[p.text]; p.token && !bound && p.text == nameOf(p.text) && !slices.Contains(all, p.text) {
			all = append(all, p.text)
		}
	}
	return all
}

// A piece of a text is a token or what lies between two.
type piece struct {
	text  string
	token bool
}

// cut returns text in pieces, with what matches one of the two groups of a
// pattern and stands alone as tokens.
func cut(pattern *regexp.Regexp, text string) []piece {
	var all []piece
	end := 0
	for _, m := range pattern.FindAllStringSubmatchIndex(text, -1) {
		from, to := max(m[2], m[4]), max(m[3], m[5])
		next, _ := utf8.DecodeRuneInString(text[to:])
		if isDigit(next) || m[4] >= 0 && (unicode.IsLetter(next) || unicode.IsNumber(next)) {
			continue
		}
		all = append(all, piece{text[end:from], false}, piece{text[from:to], true})
		end = to
	}
	return append(all, piece{text[end:], false})
}

func isDigit(r rune) bool { return r >= '0' && r <= '9' }

func isCode(token string) bool { return isDigit(rune(token[0])) }

// shapeOf returns the shape of what the server draws for a token.
func shapeOf(token string) string {
	switch {
	case !isCode(token):
		return refShape
	case len(token) == proofLen:
		return proofShape
	}
	return codeShape
}

// nameOf returns the name that a token is bound by, however it was typed.
func nameOf(token string) string {
	if len(token) == codeDigits {
		return token[:codeDigits/2] + " " + token[codeDigits/2:]
	}
	return strings.ToUpper(token)
}

// respell returns value in the manner of a token: a code without its space if
// the token has none, a reference in lower case if the token is.
func respell(value, token string) string {
	switch {
	case isCode(token) && len(token) == codeDigits:
		return strings.ReplaceAll(value, " ", "")
	case token == strings.ToLower(token):
		return strings.ToLower(value)
	}
	return value
}
