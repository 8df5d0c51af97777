package grammar

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Language is what one language file says about the words that people send.
type Language struct {
	Tag   string
	Verbs map[Verb][]string
	Keys  map[string][]string // by slot, such as "pay", "number" or "memo": the words before "="
	Small []string            // skipped between two slots
	Self  []string            // mean the sender
}

// A Unit is a unit of account of this server.
type Unit struct {
	Symbol string
	Names  []string // singular and plural
}

// A Vocabulary is all that a Parser knows of languages and of the server.
type Vocabulary struct {
	Languages []Language
	Units     []Unit
	Region    string // of numbers without a country: "FR"
}

// The slots of Language.Keys.
const (
	slotPay    = "pay"
	slotAsk    = "ask"
	slotNumber = "number"
	slotTo     = "to"
	slotMemo   = "memo"
	slotAmount = "amount"
	slotNick   = "nick"
	slotCode   = "code"
	slotRef    = "ref"
)

var slots = []string{slotPay, slotAsk, slotNumber, slotTo, slotMemo, slotAmount, slotNick, slotCode, slotRef}

// meaning is what a word does in the languages that have it.
type meaning[T comparable] struct {
	is       T
	language string // "" if more than one language has the word
}

// A Parser reads texts in all languages at once. It does not change, so that
// many may use it at the same time.
type Parser struct {
	region string
	verbs  map[string]meaning[Verb]
	keys   map[string]meaning[string]
	small  map[string]bool
	self   map[string]bool
	units  map[string]string // symbol or name to symbol
}

// Knows reports whether a word means something here, or is no word: nobody else
// may give it another meaning.
func (p *Parser) Knows(word string) bool {
	word = Fold(word)
	_, verb := p.verbs[word]
	_, key := p.keys[word]
	_, unit := p.units[word]
	return word == "" || verb || key || unit || p.small[word] || p.self[word]
}

// New returns a Parser for v, or an error that names the first word that
// would mean two things.
func New(v Vocabulary) (*Parser, error) {
	p := &Parser{
		region: v.Region,
		verbs:  map[string]meaning[Verb]{},
		keys:   map[string]meaning[string]{},
		small:  map[string]bool{},
		self:   map[string]bool{},
		units:  map[string]string{},
	}
	for _, u := range v.Units {
		for _, name := range append([]string{u.Symbol}, u.Names...) {
			name = Fold(name)
			if other, taken := p.units[name]; name == "" || taken && other != u.Symbol {
				return nil, fmt.Errorf("unit %s: the name %q is empty or of two units", u.Symbol, name)
			}
			p.units[name] = u.Symbol
		}
	}
	for _, l := range v.Languages {
		if err := p.learn(l); err != nil {
			return nil, fmt.Errorf("language %s: %w", l.Tag, err)
		}
	}
	return p, nil
}

func (p *Parser) learn(l Language) error {
	for verb, words := range l.Verbs {
		if !known(verb) {
			return fmt.Errorf("there is no verb %q", verb)
		}
		for _, w := range words {
			if err := teach(p.verbs, w, verb, l.Tag); err != nil {
				return err
			}
		}
	}
	for slot, words := range l.Keys {
		if !slices.Contains(slots, slot) {
			return fmt.Errorf("there is no slot %q", slot)
		}
		for _, w := range words {
			if err := teach(p.keys, w, slot, l.Tag); err != nil {
				return err
			}
		}
	}
	for _, w := range l.Small {
		p.small[Fold(w)] = true
	}
	for _, w := range l.Self {
		p.self[Fold(w)] = true
	}
	return nil
}

func teach[T comparable](words map[string]meaning[T], word string, is T, language string) error {
	word = Fold(word)
	if word == "" || strings.ContainsAny(word, " =:@") || !utf8.ValidString(word) {
		return fmt.Errorf("%q cannot be sent as one word", word)
	}
	before, taken := words[word]
	if taken && before.is != is {
		return fmt.Errorf("%q means both %v and %v", word, before.is, is)
	}
	if taken && before.language != language {
		language = ""
	}
	words[word] = meaning[T]{is, language}
	return nil
}

// Verb returns the verb that word is in any language, which is why nobody may
// bear it as a pseudo.
func (p *Parser) Verb(word string) (Verb, bool) {
	m, ok := p.verbs[Fold(word)]
	return m.is, ok
}

// Oneself reports whether word means the sender in any language.
func (p *Parser) Oneself(word string) bool { return p.self[Fold(word)] }
