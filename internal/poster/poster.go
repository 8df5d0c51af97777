// Package poster draws what a stall puts on its counter: a poster, a ticket or
// a sheet of stickers with what is sold, a QR code for whoever has a camera, and
// the line to text for whoever has none.
//
// What comes out is drawn as outlines, black on white, in millimetres: it looks
// the same wherever it is printed, and needs no font there. The same poster is
// the same file, bit for bit. Nothing stands outside of the margins: a text that
// is too long is wrapped, made smaller as far as it can still be read, or refused.
package poster

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Bounds of what a poster says, in characters.
const (
	MaxStall       = 60
	MaxDescription = 120
	MaxPrice       = 24
	MaxShort       = 8
	MaxText        = 24 // the line to text
	MaxNumber      = 20
	MaxURL         = 120 // octets; a longer one makes squares that phones cannot see
	MaxNumbers     = 3
)

var (
	// ErrSize means that there is no paper of that name.
	ErrSize = errors.New("no such size")
	// ErrLanguage means that there are no words in a language, none was asked
	// for, or one twice.
	ErrLanguage = errors.New("languages are fr, ar, zgh and en, each once")
	// ErrMissing means that a poster would not say what it must.
	ErrMissing = errors.New("missing")
	// ErrLong means that a text does not fit on the paper, however small.
	ErrLong = errors.New("too long for this size")
	// ErrLetter means that a text has a letter that cannot be printed.
	ErrLetter = errors.New("has a letter that cannot be printed: there are Latin, Arabic and Tifinagh ones")
	// ErrCrowded means that all of it together does not fit on the paper.
	ErrCrowded = errors.New("too much for this size: take a larger one, or fewer languages")
)

// A FieldError says which field of a poster is wrong.
type FieldError struct {
	Field string // as programs write it: "description"
	Err   error
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap returns what is wrong with it.
func (e *FieldError) Unwrap() error { return e.Err }

// A Poster is what is printed.
type Poster struct {
	Stall       string
	Description string     // may be ""
	Price       string     // as its reader writes it: "5,00 MAD"; "": the buyer writes how much
	Short       string     // short id: "7KQ2"
	Text        string     // the line to text: "VIR 7KQ2"
	Numbers     []string   // to which, as they are dialled
	URL         string     // in the QR code
	Languages   []Language // in this order; the first one is the poster's
}

// check refuses what cannot be printed, whatever the paper.
func (p *Poster) check() error {
	for _, f := range []struct {
		name string
		text *string
		most int
		must bool
	}{
		{"stall", &p.Stall, MaxStall, true},
		{"description", &p.Description, MaxDescription, false},
		{"price", &p.Price, MaxPrice, false},
		{"short_id", &p.Short, MaxShort, true},
		{"text", &p.Text, MaxText, true},
	} {
		*f.text = norm.NFC.String(strings.TrimSpace(*f.text))
		if err := checkText(*f.text, f.most, f.must); err != nil {
			return &FieldError{f.name, err}
		}
	}
	if len(p.Numbers) == 0 {
		return &FieldError{"numbers", ErrMissing}
	}
	if len(p.Numbers) > MaxNumbers {
		return &FieldError{"numbers", fmt.Errorf("at most %d", MaxNumbers)}
	}
	for _, number := range p.Numbers {
		if err := checkText(number, MaxNumber, true); err != nil {
			return &FieldError{"numbers", err}
		}
	}
	if p.URL == "" {
		return &FieldError{"url", ErrMissing}
	}
	if len(p.URL) > MaxURL {
		return &FieldError{"url", ErrLong}
	}
	return nil
}

func checkText(text string, most int, must bool) error {
	switch {
	case must && text == "":
		return ErrMissing
	case utf8.RuneCountInString(text) > most:
		return ErrLong
	case !utf8.ValidString(text):
		return ErrLetter
	}
	return nil
}

// Draw lays a poster out on a paper.
func (s *Press) Draw(p Poster, size Size) (*Scene, error) {
	if size.wide == 0 {
		return nil, fmt.Errorf("draw poster: %w", ErrSize)
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("draw poster: %w", err)
	}
	words, err := s.wordsIn(p.Languages)
	if err != nil {
		return nil, fmt.Errorf("draw poster: %w", err)
	}
	scene, err := draw(p, size, words, s.typesetter())
	if err != nil {
		return nil, fmt.Errorf("draw poster: %w", err)
	}
	return scene, nil
}
