package phrase

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

var fieldPattern = regexp.MustCompile(`^[a-z]{1,8}[0-9]?$`)

// A template is a text with places to fill.
type template struct {
	raw   string
	parts []part
}

// A part is filled or left out as a whole; only what stands in [[ ]] may be
// left out.
type part struct {
	optional bool
	pieces   []piece
}

// A piece is a placeholder if field is set, else text.
type piece struct{ text, field string }

func (p part) has(field string) bool {
	for _, x := range p.pieces {
		if x.field == field {
			return true
		}
	}
	return false
}

func parse(text string) (*template, error) {
	if text == "" || len(text) > maxText {
		return nil, fmt.Errorf("a text of 1 to %d bytes is expected", maxText)
	}
	t := &template{raw: text}
	rest := text
	for rest != "" {
		open := strings.Index(rest, "[[")
		fixed := rest
		if open >= 0 {
			fixed = rest[:open]
		}
		if strings.Contains(fixed, "]]") {
			return nil, errors.New("]] without [[")
		}
		if err := t.add(fixed, false); err != nil {
			return nil, err
		}
		if open < 0 {
			break
		}
		inner, after, ok := strings.Cut(rest[open+2:], "]]")
		if !ok || strings.Contains(inner, "[[") {
			return nil, errors.New("[[ without ]]")
		}
		if err := t.add(inner, true); err != nil {
			return nil, err
		}
		rest = after
	}
	return t, nil
}

func (t *template) add(text string, optional bool) error {
	p := part{optional: optional}
	for text != "" {
		before, after, open := strings.Cut(text, "{")
		if strings.Contains(before, "}") {
			return errors.New("} without {")
		}
		if before != "" {
			p.pieces = append(p.pieces, piece{text: clean(before)})
		}
		if !open {
			break
		}
		field, rest, ok := strings.Cut(after, "}")
		if !ok {
			return errors.New("{ without }")
		}
		if !fieldPattern.MatchString(field) {
			return fmt.Errorf("{%s} is no placeholder", field)
		}
		p.pieces = append(p.pieces, piece{field: field})
		text = rest
	}
	if len(p.pieces) > 0 {
		t.parts = append(t.parts, p)
	}
	return nil
}

// fields returns the placeholders of t: true for those that it cannot do
// without.
func (t *template) fields() map[string]bool {
	needed := map[string]bool{}
	for _, p := range t.parts {
		for _, x := range p.pieces {
			if x.field != "" {
				needed[x.field] = needed[x.field] || !p.optional
			}
		}
	}
	return needed
}
