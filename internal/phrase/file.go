package phrase

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// Bounds of what a file may hold. A text longer than one SMS is for the lint.
const (
	maxFiles    = 64
	maxFileSize = 256 << 10
	maxEntries  = 1000 // of one table
	maxList     = 64
	maxText     = 1000 // bytes
	maxWord     = 48   // bytes
)

// The orders of day and month.
const (
	dayFirst   = "day/month"
	monthFirst = "month/day"
)

const suffix = ".toml"

var tagPattern = regexp.MustCompile(`^[a-z]{2,3}$`)

// A file is a language file as it is written. What it leaves out is kept as
// it was, or is the base's.
type file struct {
	Name    string `toml:"name"`
	Base    string `toml:"base"`
	Numbers struct {
		Decimal string `toml:"decimal"`
	} `toml:"numbers"`
	Dates struct {
		Order  string   `toml:"order"`
		Months []string `toml:"months"`
	} `toml:"dates"`
	Words struct {
		Small []string `toml:"small"`
		Self  []string `toml:"self"`
	} `toml:"words"`
	Verbs map[string][]string `toml:"verbs"`
	Keys  map[string][]string `toml:"keys"`
	Texts map[string]string   `toml:"texts"`
}

func (b *Book) readDir(dir fs.FS) error {
	entries, err := fs.ReadDir(dir, ".")
	if err != nil {
		return fmt.Errorf("languages: %w", err)
	}
	if len(entries) > maxFiles {
		return fmt.Errorf("languages: more than %d files in one directory", maxFiles)
	}
	for _, e := range entries {
		tag, ok := strings.CutSuffix(e.Name(), suffix)
		if !ok || e.IsDir() {
			continue
		}
		if !tagPattern.MatchString(tag) {
			return fmt.Errorf("%s: a file is named after its language, two or three small letters: br%s", e.Name(), suffix)
		}
		if err := b.readFile(dir, e.Name(), tag); err != nil {
			return fmt.Errorf("%s: %w", e.Name(), err)
		}
	}
	return nil
}

func (b *Book) readFile(dir fs.FS, name, tag string) error {
	source, err := readAll(dir, name)
	if err != nil {
		return err
	}
	var f file
	meta, err := toml.NewDecoder(bytes.NewReader(source)).Decode(&f)
	if err != nil {
		return explain(err)
	}
	lines := keyLines(source)
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		key := strings.Join(unknown[0], ".")
		return at(lines[key], key, errors.New("unknown key"))
	}
	l := b.languages[tag]
	if l == nil {
		l = &language{
			tag: tag, inherited: map[string]bool{}, places: map[string]place{}, texts: map[string]*template{},
			words: Words{Verbs: map[string][]string{}, Keys: map[string][]string{}},
		}
	}
	if err := l.apply(&f, name, lines); err != nil {
		return err
	}
	b.languages[tag] = l
	return nil
}

func readAll(dir fs.FS, name string) ([]byte, error) {
	r, err := dir.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	defer r.Close() //nolint:errcheck // it was only read
	source, err := io.ReadAll(io.LimitReader(r, maxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	if len(source) > maxFileSize {
		return nil, fmt.Errorf("longer than %d bytes", maxFileSize)
	}
	return source, nil
}

func explain(err error) error {
	var p toml.ParseError
	if !errors.As(err, &p) {
		return err
	}
	if p.LastKey == "" {
		return fmt.Errorf("line %d: %s", p.Position.Line, p.Message)
	}
	return fmt.Errorf("line %d: near %s: %s", p.Position.Line, p.LastKey, p.Message)
}

func at(line int, key string, err error) error {
	if line == 0 {
		return fmt.Errorf("%s: %w", key, err)
	}
	return fmt.Errorf("line %d: %s: %w", line, key, err)
}

// apply lets a file say what it says, and keeps what it does not name.
func (l *language) apply(f *file, name string, lines map[string]int) error {
	if err := f.check(); err != nil {
		return err
	}
	l.file = name
	for key, line := range lines {
		l.places[key] = place{name, line}
	}
	set(&l.name, f.Name)
	set(&l.base, f.Base)
	set(&l.decimal, f.Numbers.Decimal)
	set(&l.dates, f.Dates.Order)
	setList(&l.months, f.Dates.Months)
	setList(&l.words.Small, f.Words.Small)
	setList(&l.words.Self, f.Words.Self)
	maps.Copy(l.words.Verbs, f.Verbs)
	maps.Copy(l.words.Keys, f.Keys)
	for key, text := range f.Texts {
		t, err := parse(text)
		if err != nil {
			return at(lines["texts."+key], "texts."+key, err)
		}
		l.texts[key] = t
		l.places["texts."+key] = place{name, lines["texts."+key]}
	}
	return nil
}

func set(to *string, v string) {
	if v != "" {
		*to = v
	}
}

func setList(to *[]string, v []string) {
	if v != nil {
		*to = v
	}
}

// check refuses what no lint could speak about.
func (f *file) check() error {
	if d := f.Numbers.Decimal; d != "" && d != "," && d != "." {
		return fmt.Errorf(`numbers.decimal: "," or "." is expected`)
	}
	if o := f.Dates.Order; o != "" && o != dayFirst && o != monthFirst {
		return fmt.Errorf("dates.order: %q or %q is expected", dayFirst, monthFirst)
	}
	if n := len(f.Dates.Months); f.Dates.Months != nil && n != 12 {
		return fmt.Errorf("dates.months: 12 names are expected, not %d", n)
	}
	if max(len(f.Verbs), len(f.Keys), len(f.Texts)) > maxEntries {
		return fmt.Errorf("more than %d keys in one table", maxEntries)
	}
	lists := map[string][]string{"dates.months": f.Dates.Months, "words.small": f.Words.Small, "words.self": f.Words.Self}
	for k, v := range f.Verbs {
		lists["verbs."+k] = v
	}
	for k, v := range f.Keys {
		lists["keys."+k] = v
	}
	for _, key := range slices.Sorted(maps.Keys(lists)) {
		if len(lists[key]) > maxList {
			return fmt.Errorf("%s: more than %d words", key, maxList)
		}
		for _, w := range lists[key] {
			if w == "" || len(w) > maxWord {
				return fmt.Errorf("%s: a word of 1 to %d bytes is expected", key, maxWord)
			}
		}
	}
	return nil
}

// inherit gives each language what it lacks from its base, which has none.
func (b *Book) inherit() error {
	for _, tag := range slices.Sorted(maps.Keys(b.languages)) {
		l := b.languages[tag]
		if l.base == "" {
			continue
		}
		base, ok := b.languages[l.base]
		switch {
		case !ok:
			return fmt.Errorf("%s: base: no language %q", l.file, l.base)
		case base.base != "":
			return fmt.Errorf("%s: base: %q has a base itself", l.file, l.base)
		}
		l.decimal = first(l.decimal, base.decimal)
		l.dates = first(l.dates, base.dates)
		if l.months == nil {
			l.months = base.months
		}
		for key, t := range base.texts {
			if l.texts[key] == nil {
				l.texts[key] = t
				l.inherited[key] = true
				l.places["texts."+key] = base.places["texts."+key]
			}
		}
	}
	return nil
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

var (
	tableLine = regexp.MustCompile(`^\s*\[\s*([a-z]+)\s*\]`)
	keyLine   = regexp.MustCompile(`^\s*(?:"([^"]+)"|'([^']+)'|([A-Za-z0-9_.-]+))\s*=`)
)

// keyLines finds the line of each key, by the way people write such files. A
// key that is written otherwise has no line.
func keyLines(source []byte) map[string]int {
	lines := map[string]int{}
	table, n := "", 0
	for line := range bytes.Lines(source) {
		n++
		if m := tableLine.FindSubmatch(line); m != nil {
			table = string(m[1]) + "."
			lines[string(m[1])] = n
			continue
		}
		if m := keyLine.FindSubmatch(line); m != nil {
			lines[table+string(m[1])+string(m[2])+string(m[3])] = n
		}
	}
	return lines
}
