package grammar_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"maillon/internal/grammar"
	"maillon/internal/phrase"
)

// shipped returns the parser of a server with the shipped languages and the
// units m and h.
func shipped(t testing.TB) *grammar.Parser {
	t.Helper()
	p, err := grammar.New(vocabulary(t))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func vocabulary(t testing.TB) grammar.Vocabulary {
	t.Helper()
	book, err := phrase.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	v := grammar.Vocabulary{
		Units:  []grammar.Unit{{Symbol: "m", Names: []string{"maillon", "maillons"}}, {Symbol: "h", Names: []string{"heure", "heures"}}},
		Region: "FR",
	}
	for _, tag := range book.Languages() {
		words := book.Words(tag)
		l := grammar.Language{Tag: tag, Verbs: map[grammar.Verb][]string{}, Keys: words.Keys, Small: words.Small, Self: words.Self}
		for verb, list := range words.Verbs {
			l.Verbs[grammar.Verb(verb)] = list
		}
		v.Languages = append(v.Languages, l)
	}
	return v
}

// read returns the parse of text in the notation of grammar.tsv.
func read(p *grammar.Parser, text string) string {
	c, err := p.Parse(text)
	if err == nil {
		return c.String()
	}
	var m *grammar.Misunderstanding
	if !errors.As(err, &m) {
		return "no misunderstanding: " + err.Error()
	}
	return m.Notation()
}

func TestTheTableOfTheSpecification(t *testing.T) {
	p := shipped(t)
	table, err := os.ReadFile("../../testdata/spec/grammar.tsv")
	if err != nil {
		t.Fatal(err)
	}
	escapes := strings.NewReplacer(`\n`, "\n", `\u00a0`, "\u00a0")
	for _, line := range strings.Split(strings.TrimRight(string(table), "\n"), "\n") {
		text, want, ok := strings.Cut(line, "\t")
		if !ok {
			t.Fatalf("%q has no tab", line)
		}
		if got := read(p, escapes.Replace(text)); got != want {
			t.Errorf("%q is read as %s, want %s", text, got, want)
		}
	}
}

// What a stall sells is named by four symbols, with or without an amount; in
// company of a payee they are words like others.
func TestWhatAStallSells(t *testing.T) {
	p := shipped(t)
	for text, want := range map[string]string{
		"vir 7KQ2":             "pay item=7KQ2",
		"PAY 7kq2.":            "pay item=7KQ2",
		"p 7KQ2":               "pay item=7KQ2",
		"pay=7KQ2":             "pay item=7KQ2",
		"vir 7KQ2 5":           "pay item=7KQ2 amount=5",
		"vir 5 7KQ2":           "pay item=7KQ2 amount=5",
		"vir 5 à 7KQ2":         "pay item=7KQ2 amount=5",
		"vir 7KQ2 2,50":        "pay item=7KQ2 amount=2.5",
		"vir 5m 7KQ2":          "pay item=7KQ2 amount=5 unit=m",
		"vir 5 maillons 7KQ2":  "pay item=7KQ2 amount=5 unit=m",
		"vir 7KQ2 0":           "error zero",
		"vir 7KQ2 5€":          "error devise",
		"vir 7KQ2 1.000":       "error ambigu.montant",
		"vir 5 @lena 7KQ2":     `pay amount=5 to=@lena memo="7KQ2"`,
		"vir 5 lena 7KQ2":      `pay amount=5 to=@lena memo="7KQ2"`,
		"vir 7KQ2 3FH4":        "error aide.vir",
		"vir 5 @7kq2":          "pay amount=5 to=@7kq2",
		"demande 5 @lena 7KQ2": `ask amount=5 to=@lena memo="7KQ2"`,
		"vir 7KQ0":             "error aide.vir",
	} {
		if got := read(p, text); got != want {
			t.Errorf("%q is read as %s, want %s", text, got, want)
		}
	}
	for _, s := range []string{"", "7KQ", "7KQ22", "KQ27", "7K22", "1KQ2", "7OQ2", "7kq2", "7KQ0"} {
		if grammar.IsItem(s) {
			t.Errorf("%q names something that a stall sells", s)
		}
	}
}
