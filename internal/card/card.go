// Package card draws paper code cards and lays them out for printing: a sheet
// that is cut and folded to the size of a bank card (ISO/IEC 7810 ID-1), the
// member's name on one side and the cells on the other.
//
// Who holds the card proves to be the person, whatever phone he writes from.
// The cells are therefore secrets: they are in no log and in no error.
package card

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"strconv"
	"unicode/utf8"
)

// The grid: a column has a letter, a row a number, a cell that many digits.
const (
	Columns = "ABCDEFGH"
	Rows    = 6
	Digits  = 4
)

// MaxText bounds each text on a sheet, in runes.
const MaxText = 200

var (
	// ErrCells means that a sheet does not have exactly the cells of the grid,
	// each of its digits.
	ErrCells = errors.New("not the cells of a code card")
	// ErrText means that a text of a sheet is too long to be printed.
	ErrText = errors.New("text too long for a code card")
)

// Cells are the secrets of a card, by position: "B3". Printed or logged, they
// show nothing.
type Cells map[string]string

// Format prints how many cells there are, whatever the verb.
func (c Cells) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "%d cells", len(c)) }

// LogValue returns how many cells there are.
func (c Cells) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(c)) }

// A Sheet is what is printed on one page.
type Sheet struct {
	Cells       Cells
	Association string
	Name        string // whose card it is
	Issued      string // the date, as its reader writes it
	Captions    Captions
}

// Captions are the words around the cells, in the member's language.
type Captions struct {
	Title  string // "Carte de codes"
	Issued string // before the date: "Remise le"
	Rule   string // to whom a cell may be told
	Cut    string // how the sheet is cut and folded
}

// Positions returns the names of all cells, row by row: A1, B1 … H6.
func Positions() []string {
	all := make([]string, 0, len(Columns)*Rows)
	for row := 1; row <= Rows; row++ {
		for _, column := range Columns {
			all = append(all, string(column)+strconv.Itoa(row))
		}
	}
	return all
}

// Draw returns the cells of a new card, each drawn by itself, any value as
// likely as any other.
func Draw() Cells {
	values := big.NewInt(1)
	for range Digits {
		values.Mul(values, big.NewInt(10))
	}
	cells := make(Cells, len(Columns)*Rows)
	for _, position := range Positions() {
		n, err := rand.Int(rand.Reader, values)
		if err != nil {
			panic("card: crypto/rand promises not to fail: " + err.Error())
		}
		cells[position] = fmt.Sprintf("%0*d", Digits, n)
	}
	return cells
}

// SVG writes s as a picture of one page, A6 upright.
func SVG(w io.Writer, s Sheet) error { return s.print(w, newSVG()) }

// PDF writes s as a document of one page, A6 upright, in the fonts that every
// reader of PDF has. A letter that is not in them is printed as a question mark.
func PDF(w io.Writer, s Sheet) error { return s.print(w, newPDF(s.Captions.Title)) }

func (s Sheet) print(w io.Writer, p page) error {
	if err := s.check(); err != nil {
		return fmt.Errorf("print code card: %w", err)
	}
	s.lay(p)
	if _, err := p.WriteTo(w); err != nil {
		return fmt.Errorf("print code card: %w", err)
	}
	return nil
}

func (s Sheet) check() error {
	positions := Positions()
	if len(s.Cells) != len(positions) {
		return ErrCells
	}
	for _, position := range positions {
		if !isCode(s.Cells[position]) {
			return ErrCells
		}
	}
	for _, text := range []string{s.Association, s.Name, s.Issued, s.Captions.Title, s.Captions.Issued, s.Captions.Rule, s.Captions.Cut} {
		if utf8.RuneCountInString(text) > MaxText {
			return ErrText
		}
	}
	return nil
}

func isCode(s string) bool {
	if len(s) != Digits {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
