package poster

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/go-text/typesetting/font"
)

//go:embed fonts/*.ttf words/*.toml
var files embed.FS

// A Language is one that posters speak, by its tag of BCP 47.
type Language string

// The languages of posters.
const (
	French   Language = "fr"
	Arabic   Language = "ar"
	Tifinagh Language = "zgh" // Standard Moroccan Amazigh
	English  Language = "en"
)

// Languages returns all languages that posters speak.
func Languages() []Language { return []Language{French, Arabic, Tifinagh, English} }

// ParseLanguages reads tags with commas between them: "fr,ar,zgh".
func ParseLanguages(tags string) ([]Language, error) {
	var all []Language
	for tag := range strings.SplitSeq(tags, ",") {
		l := Language(strings.TrimSpace(tag))
		if !slices.Contains(Languages(), l) || slices.Contains(all, l) {
			return nil, &FieldError{"lang", ErrLanguage}
		}
		all = append(all, l)
	}
	return all, nil
}

// words are what a poster says to buyers in one language.
type words struct {
	language Language
	Pay      string `toml:"pay"`
	Amount   string `toml:"amount"` // where the price is written
	Fixed    string `toml:"fixed"`  // what to do
	Open     string `toml:"open"`   // what to do if the buyer writes the price
}

// The faces of letters, in this order: a letter is drawn in the first one that
// has it.
var alphabets = []string{"latin", "arabic", "tifinagh"}

// A weight is how thick letters are.
type weight int

const (
	regular weight = iota
	bold
)

// A Press has the fonts and the words. It draws for several at once.
type Press struct {
	fonts [bold + 1][]*font.Font
	words map[Language]words
}

// NewPress returns a press. It panics if the program was built with fonts or
// words that it cannot read.
func NewPress() *Press {
	s := &Press{words: map[Language]words{}}
	for _, alphabet := range alphabets {
		thin, err := readFont(alphabet + "-Regular.ttf")
		if err != nil {
			panic("poster: " + err.Error())
		}
		thick, err := readFont(alphabet + "-Bold.ttf")
		if err != nil {
			thick = thin // Tifinagh has one weight
		}
		s.fonts[regular] = append(s.fonts[regular], thin)
		s.fonts[bold] = append(s.fonts[bold], thick)
	}
	for _, l := range Languages() {
		w, err := readWords(l)
		if err != nil {
			panic("poster: " + err.Error())
		}
		s.words[l] = w
	}
	return s
}

func readFont(name string) (*font.Font, error) {
	file, err := files.ReadFile("fonts/" + name)
	if err != nil {
		return nil, fmt.Errorf("read font: %w", err)
	}
	face, err := font.ParseTTF(bytes.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("read font %s: %w", name, err)
	}
	if face.Upem() != em {
		return nil, fmt.Errorf("read font %s: an em has %d units, not %d", name, face.Upem(), em)
	}
	return face.Font, nil
}

func readWords(l Language) (words, error) {
	w := words{language: l}
	said, err := toml.DecodeFS(files, "words/"+string(l)+".toml", &w)
	if err != nil {
		return w, fmt.Errorf("read words of %s: %w", l, err)
	}
	if len(said.Undecoded()) > 0 || w.Pay == "" || w.Amount == "" || w.Fixed == "" || w.Open == "" {
		return w, errors.New("words of " + string(l) + ": pay, amount, fixed and open must be there, and nothing else")
	}
	return w, nil
}

// wordsIn returns the words of languages, in their order.
func (s *Press) wordsIn(languages []Language) ([]words, error) {
	var all []words
	for n, l := range languages {
		w, there := s.words[l]
		if !there || slices.Contains(languages[:n], l) {
			return nil, &FieldError{"lang", ErrLanguage}
		}
		all = append(all, w)
	}
	if len(all) == 0 {
		return nil, &FieldError{"lang", ErrLanguage}
	}
	return all, nil
}
