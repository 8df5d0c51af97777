package story

import (
	"errors"
	"fmt"
	"strings"
)

// words cuts a line at its spaces; one between double quotes does not cut.
func words(line string) ([]string, error) {
	var all []string
	var word strings.Builder
	quoted := false
	for _, r := range line + " " {
		if r == '"' {
			quoted = !quoted
		}
		if r != ' ' || quoted {
			word.WriteRune(r)
			continue
		}
		if word.Len() == 0 {
			return nil, errors.New("one space is expected between words")
		}
		all = append(all, word.String())
		word.Reset()
	}
	if quoted {
		return nil, errors.New("a quote is not closed")
	}
	return all, nil
}

// A pair is one key=value of a line, its value without quotes.
type pair struct{ key, value string }

// pairs reads words that are all key=value or key="value with spaces", each key
// once.
func pairs(words []string) ([]pair, error) {
	all := make([]pair, 0, len(words))
	seen := map[string]bool{}
	for _, w := range words {
		key, value, ok := strings.Cut(w, "=")
		if !ok || key == "" || strings.Contains(key, `"`) {
			return nil, fmt.Errorf("%q is not key=value", w)
		}
		value, err := unquote(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
		if seen[key] {
			return nil, fmt.Errorf("%s is there twice", key)
		}
		seen[key] = true
		all = append(all, pair{key, value})
	}
	return all, nil
}

func unquote(value string) (string, error) {
	bare := strings.TrimSuffix(strings.TrimPrefix(value, `"`), `"`)
	switch {
	case value == "":
		return "", errors.New("a value is missing")
	case strings.Contains(bare, `"`), bare != value && len(bare) != len(value)-2:
		return "", errors.New("a quote is out of place")
	}
	return bare, nil
}

// accepted returns the values of pairs by key; every key must be one of keys.
func accepted(given []pair, keys ...string) (map[string]string, error) {
	known := map[string]bool{}
	for _, k := range keys {
		known[k] = true
	}
	values := make(map[string]string, len(given))
	for _, g := range given {
		if !known[g.key] {
			return nil, fmt.Errorf("unknown attribute %q", g.key)
		}
		values[g.key] = g.value
	}
	return values, nil
}
