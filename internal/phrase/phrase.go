// Package phrase speaks the languages of the people: one file for each
// language holds its verbs, its texts and its habits with numbers and dates.
// It promises that what it renders is one SMS in GSM-7, whole or not at all,
// and that nobody can forge a code or a link inside it. Its lint says before
// the server starts which file would break that promise.
//
// Beside money it imports sms, of the same layer, for the alphabet and the
// length of an SMS: two opinions of those would be one too many.
package phrase

import (
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"maillon/internal/money"
)

// The reference is the language whose shipped file says which texts exist and
// what they are filled with; the second comes after it in lists.
const (
	reference = "fr"
	second    = "en"
)

//go:embed languages/*.toml
var shipped embed.FS

// Fields are what a text is filled with, by placeholder.
type Fields map[string]string

// Words are what people write in one language, in lower case, with accents or
// without. Verbs and slots are in the notation of grammar.tsv.
type Words struct {
	Verbs map[string][]string // "balance", "admin.credit"; a word may be "?"
	Keys  map[string][]string // of key=value: pay and ask (verb and amount), number, to, memo, amount, nick, code, ref
	Small []string            // skipped between slots
	Self  []string            // oneself
}

// A Book holds the languages of one server. It does not change, and may be
// read from everywhere at once.
type Book struct {
	languages map[string]*language
	order     []string
	reference *language // as shipped, whatever an association edits
}

// A language is one file, or what several files of one name make together.
type language struct {
	tag, name, base string
	decimal         string
	dates           string
	months          []string
	words           Words
	texts           map[string]*template
	inherited       map[string]bool  // texts that are the base's
	places          map[string]place // of each key, "texts.solde"
	file            string           // the last that was read, for what is missing
}

// A place is where a file says something; line 0 is unknown.
type place struct {
	file string
	line int
}

// Shipped returns the languages that the program ships with.
func Shipped() (*Book, error) { return Load(true) }

// Load returns the shipped languages, if wanted, and those of the directories,
// one file fr.toml for a language. A file of the same name as an earlier one
// replaces what it names, key by key, and leaves the rest. The errors name
// file and key; what can be read but should not be said is for Lint.
func Load(withShipped bool, dirs ...fs.FS) (*Book, error) {
	own, err := fs.Sub(shipped, "languages")
	if err != nil {
		return nil, fmt.Errorf("shipped languages: %w", err)
	}
	b := &Book{languages: map[string]*language{}}
	if err := b.readDir(own); err != nil {
		return nil, fmt.Errorf("shipped languages: %w", err)
	}
	b.reference = b.languages[reference].clone()
	if !withShipped {
		clear(b.languages)
	}
	for _, dir := range dirs {
		if err := b.readDir(dir); err != nil {
			return nil, err
		}
	}
	if b.languages[reference] == nil {
		return nil, fmt.Errorf("%s.toml: the language of reference is missing", reference)
	}
	if err := b.inherit(); err != nil {
		return nil, err
	}
	b.order = inOrder(b.languages)
	return b, nil
}

func inOrder(languages map[string]*language) []string {
	rank := func(tag string) int { return 2 - slices.Index([]string{second, reference}, tag) }
	return slices.SortedFunc(maps.Keys(languages), func(x, y string) int {
		if d := rank(x) - rank(y); d != 0 {
			return d
		}
		return strings.Compare(x, y)
	})
}

// Languages returns the tags in lower case: the reference, English, then the
// others by alphabet.
func (b *Book) Languages() []string { return slices.Clone(b.order) }

// Words returns what people write in a language; nothing if it is unknown.
func (b *Book) Words(language string) Words {
	l, ok := b.languages[language]
	if !ok {
		return Words{}
	}
	return l.words.clone()
}

// habits returns a language for its numbers and dates, which must always be
// said somehow: the reference if it is unknown.
func (b *Book) habits(language string) *language {
	if l, ok := b.languages[language]; ok {
		return l
	}
	return b.languages[reference]
}

// Amount returns an amount as people write it: "12,50", and without decimals
// if it is whole: "12". A negative one keeps its sign.
func (b *Book) Amount(language string, a money.Amount) string {
	whole, part, _ := strings.Cut(a.Plain(), ".")
	if strings.Trim(part, "0") == "" {
		return whole
	}
	return whole + b.habits(language).decimal + part
}

// Date returns day and month of a local time: "28/03".
func (b *Book) Date(language string, t time.Time) string {
	if b.habits(language).dates == monthFirst {
		return t.Format("01/02")
	}
	return t.Format("02/01")
}

// Clock returns hour and minute of a local time: "14:02".
func (b *Book) Clock(_ string, t time.Time) string { return t.Format("15:04") }

// Month returns the name of a month.
func (b *Book) Month(language string, m time.Month) string {
	months := b.habits(language).months
	if m < time.January || int(m) > len(months) {
		return m.String()
	}
	return months[m-1]
}

func (w Words) clone() Words {
	return Words{cloneLists(w.Verbs), cloneLists(w.Keys), slices.Clone(w.Small), slices.Clone(w.Self)}
}

func cloneLists(lists map[string][]string) map[string][]string {
	c := make(map[string][]string, len(lists))
	for k, v := range lists {
		c[k] = slices.Clone(v)
	}
	return c
}

func (l *language) clone() *language {
	c := *l
	c.months = slices.Clone(l.months)
	c.words = l.words.clone()
	c.texts = maps.Clone(l.texts)
	c.inherited = maps.Clone(l.inherited)
	c.places = maps.Clone(l.places)
	return &c
}
