package phrase

import (
	"maps"
	"slices"
)

// A Sample is a text as it could leave.
type Sample struct {
	Key     string
	Text    string
	Septets int // of MaxSeptets
}

// Samples returns at most so many texts of a language that name a field, each
// filled as widely as limits say. A text that does not fit is left to Lint.
func (b *Book) Samples(language, field string, limits Limits, most int) (all []Sample) {
	l, ok := b.languages[language]
	if !ok {
		return nil
	}
	n := &lint{book: b, limits: limits}
	for _, key := range slices.Sorted(maps.Keys(l.texts)) {
		fields := l.texts[key].fields()
		if _, uses := fields[field]; !uses || len(all) >= most {
			continue
		}
		values := Fields{}
		for f := range fields {
			values[f] = n.widest(l, f)
		}
		if text, err := l.texts[key].fill(values, ""); err == nil {
			all = append(all, Sample{key, text, septets(text)})
		}
	}
	return all
}
