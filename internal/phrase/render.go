package phrase

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"maillon/internal/sms"
)

// MaxSeptets is the length of one SMS.
const MaxSeptets = 160

// MaxWord bounds the word that a member has chosen to know our SMS by.
const MaxWord = 6

const (
	memoField = "memo"
	memoCut   = 20 // characters of a memo that are quoted

	// What stands where something must: for a memo that may not be quoted, and
	// for what the association has not set. A payment does not fail for want
	// of a help number.
	memoDropped = "..."
	houseUnset  = "-"
)

// The house fields may stand in every text: they are the same in all.
var house = fieldSet("asso desk hours help langs ttl conf lock wait look gdays rdays rlock ndays tries len max day fmax above u unit units")

func fieldSet(names string) map[string]bool {
	set := map[string]bool{}
	for n := range strings.FieldsSeq(names) {
		set[n] = true
	}
	return set
}

// Render returns a text of a language filled with f, after the word of its
// reader if he has one ("tulipe: "). What stands in [[ ]] is left out where a
// placeholder in it is empty, and as far as the text would not fit in one SMS:
// first what quotes a memo, then the last. A text that cannot be filled, or
// does not fit, is an error of the program and never half said.
func (b *Book) Render(language, key string, f Fields, word string) (string, error) {
	l, ok := b.languages[language]
	if !ok {
		return "", fmt.Errorf("render %s: no language %q", key, language)
	}
	t, ok := l.texts[key]
	if !ok {
		return "", fmt.Errorf("render %s.%s: no such text", language, key)
	}
	text, err := t.fill(f, word)
	if err != nil {
		return "", fmt.Errorf("render %s.%s: %w", language, key, err)
	}
	return text, nil
}

func (t *template) fill(f Fields, word string) (string, error) {
	values := make(Fields, len(f))
	for name, v := range f {
		if name == memoField {
			values[name] = quotable(v)
			continue
		}
		values[name] = clean(v)
	}
	parts, err := t.present(values)
	if err != nil {
		return "", err
	}
	prefix := ""
	if word != "" {
		prefix = clean(word) + ": "
	}
	for range len(parts) + 1 {
		text := prefix + say(parts, values)
		if septets(text) <= MaxSeptets {
			return text, nil
		}
		i := expendable(parts)
		if i < 0 {
			return "", fmt.Errorf("%d septets are more than one SMS", septets(text))
		}
		parts = slices.Delete(parts, i, i+1)
	}
	return "", fmt.Errorf("more than one SMS")
}

// present returns the parts of t that have something to say, and gives values
// to the placeholders that may be empty where something must stand.
func (t *template) present(values Fields) ([]part, error) {
	kept := make([]part, 0, len(t.parts))
	stand := Fields{}
	for _, p := range t.parts {
		empty := ""
		for _, x := range p.pieces {
			if x.field == "" || values[x.field] != "" {
				continue
			}
			if !p.optional && standIn(x.field, values) != "" {
				stand[x.field] = standIn(x.field, values)
				continue
			}
			empty = x.field
			break
		}
		switch {
		case empty == "":
			kept = append(kept, p)
		case !p.optional:
			return nil, fmt.Errorf("{%s} is empty", empty)
		}
	}
	maps.Copy(values, stand)
	return kept, nil
}

func standIn(field string, values Fields) string {
	_, given := values[field]
	switch {
	case given && field == memoField:
		return memoDropped
	case given && house[field]:
		return houseUnset
	}
	return ""
}

func say(parts []part, values Fields) string {
	var s strings.Builder
	for _, p := range parts {
		for _, x := range p.pieces {
			s.WriteString(x.text)
			if x.field != "" {
				s.WriteString(values[x.field])
			}
		}
	}
	return s.String()
}

// expendable returns which part to leave out next, or -1.
func expendable(parts []part) int {
	last := -1
	for i, p := range parts {
		if !p.optional {
			continue
		}
		if p.has(memoField) {
			return i
		}
		last = i
	}
	return last
}

// septets returns the length of a clean text.
func septets(text string) int {
	n, _ := sms.Segments(text)
	return n
}

// clean returns text on one line, in GSM-7: what has no place there is "?".
func clean(text string) string {
	text = sms.Plain(text)
	if sms.AlphabetOf(text) == sms.GSM7 && strings.IndexFunc(text, isControl) < 0 {
		return text
	}
	return strings.Map(func(r rune) rune {
		switch {
		case isControl(r):
			return ' '
		case sms.AlphabetOf(string(r)) != sms.GSM7:
			return '?'
		}
		return r
	}, text)
}

func isControl(r rune) bool { return r < ' ' }

var (
	// Something that a telephone may show as a link, or a browser may open.
	linkPattern = regexp.MustCompile(`(?i)[a-z]+://|https?:|www\.|[^\s.]\.\p{L}{2,}`)
	// Four digits in a row, or two groups of them as we write our codes.
	codePattern = regexp.MustCompile(`\p{Nd}{4}|\p{Nd}{3,}[ .-]\p{Nd}{3,}`)
)

// quotable returns what our SMS may quote of a memo: its beginning, or nothing
// if anywhere in it is what could pass for a link or a code of ours. A
// quotation mark would end the quotation, and let the rest speak for us.
func quotable(memo string) string {
	text := clean(memo)
	if linkPattern.MatchString(text) || codePattern.MatchString(text) {
		return ""
	}
	text = strings.TrimSpace(strings.ReplaceAll(text, `"`, "'"))
	if r := []rune(text); len(r) > memoCut {
		text = strings.TrimSpace(string(r[:memoCut]))
	}
	return text
}
