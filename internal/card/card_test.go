package card_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"maillon/internal/card"
)

func sheet() card.Sheet {
	return card.Sheet{
		Cells:       card.Draw(),
		Association: "Penn Rustin'",
		Name:        "soazig",
		Issued:      "28/03/2026",
		Captions: card.Captions{
			Title:  "Carte de codes",
			Issued: "Remise le",
			Rule:   "Ne dites une case à personne. Envoyez-la seulement par SMS au numéro de l'association (06\u00a039\u00a098\u00a000\u00a000), quand ce numéro la demande.",
			Cut:    "Découper suivant le trait plein, plier suivant les tirets: le nom d'un côté, les cases de l'autre.",
		},
	}
}

func TestACardHasEveryCellOnceWithItsDigits(t *testing.T) {
	cells, positions := card.Draw(), card.Positions()
	if want := len(card.Columns) * card.Rows; len(positions) != want || len(cells) != want {
		t.Fatalf("%d positions, %d cells, want %d", len(positions), len(cells), want)
	}
	if names := slices.Sorted(maps.Keys(cells)); !slices.Equal(names, slices.Sorted(slices.Values(positions))) {
		t.Errorf("cells %v are not the positions", names)
	}
	for position, digits := range cells {
		if len(digits) != card.Digits || strings.Trim(digits, "0123456789") != "" {
			t.Errorf("cell %s is not of %d digits", position, card.Digits)
		}
	}
}

// Of 480,000 draws each first digit comes up 48,000 times, more or less: six
// standard deviations are 1,247.
func TestEveryValueIsAsLikely(t *testing.T) {
	const cards = 10_000
	var first [10]int
	for range cards {
		for _, digits := range card.Draw() {
			first[digits[0]-'0']++
		}
	}
	const want, spread = cards * 48 / 10, 1247
	for digit, n := range first {
		if n < want-spread || n > want+spread {
			t.Errorf("first digit %d came %d times, want about %d", digit, n, want)
		}
	}
}

func TestCellsShowNowhereByAccident(t *testing.T) {
	s := sheet()
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "cells", s.Cells, "sheet", s)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "cells", s.Cells)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		fmt.Fprintf(&out, verb+verb, s.Cells, s)
	}
	for position, digits := range s.Cells {
		if strings.Contains(out.String(), position+":"+digits) || strings.Contains(out.String(), `"`+digits+`"`) {
			t.Errorf("cell %s shows", position)
		}
	}
}

func TestAnIncompleteCardIsNotPrinted(t *testing.T) {
	for name, spoil := range map[string]func(*card.Sheet){
		"no cells":         func(s *card.Sheet) { s.Cells = nil },
		"a cell missing":   func(s *card.Sheet) { delete(s.Cells, "B3") },
		"a cell too many":  func(s *card.Sheet) { s.Cells["J9"] = "1234" },
		"another position": func(s *card.Sheet) { delete(s.Cells, "B3"); s.Cells["J9"] = "1234" },
		"three digits":     func(s *card.Sheet) { s.Cells["B3"] = "123" },
		"a letter":         func(s *card.Sheet) { s.Cells["B3"] = "12O4" },
	} {
		s := sheet()
		spoil(&s)
		if err := card.SVG(io.Discard, s); !errors.Is(err, card.ErrCells) {
			t.Errorf("%s: SVG: %v, want ErrCells", name, err)
		}
		if err := card.PDF(io.Discard, s); !errors.Is(err, card.ErrCells) {
			t.Errorf("%s: PDF: %v, want ErrCells", name, err)
		}
	}
	s := sheet()
	s.Name = strings.Repeat("a", card.MaxText+1)
	if err := card.SVG(io.Discard, s); !errors.Is(err, card.ErrText) {
		t.Errorf("a long name: %v, want ErrText", err)
	}
}

func TestThePictureShowsEveryCellAndIsXML(t *testing.T) {
	s := sheet()
	s.Name = `<b>&"soazig"</b>`
	var out bytes.Buffer
	if err := card.SVG(&out, s); err != nil {
		t.Fatal(err)
	}
	texts := textsOf(t, &out)
	for _, want := range append(slices.Collect(maps.Values(s.Cells)), s.Name, s.Association, "A", "H", "1", "6") {
		if !slices.Contains(texts, want) {
			t.Errorf("%q is not in the picture", want)
		}
	}
}

// textsOf reads r to its end as XML and returns its texts.
func textsOf(t *testing.T, r io.Reader) []string {
	t.Helper()
	var texts []string
	for d := xml.NewDecoder(r); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return texts
		}
		if err != nil {
			t.Fatal(err)
		}
		if c, ok := token.(xml.CharData); ok {
			texts = append(texts, string(c))
		}
	}
}

// A reader of PDF that is not ours sees every cell in its row and column.
func TestTheDocumentShowsEveryCell(t *testing.T) {
	s := sheet()
	s.Name = `soazig (l'été) \`
	file := filepath.Join(t.TempDir(), "card.pdf")
	write(t, file, s)
	words := strings.Fields(run(t, "pdftotext", "-layout", file, "-"))
	all := strings.Join(words, " ")
	for row := 1; row <= card.Rows; row++ {
		line := fmt.Sprint(row)
		for _, column := range card.Columns {
			line += " " + s.Cells[fmt.Sprintf("%c%d", column, row)]
		}
		if !strings.Contains(all, line) {
			t.Errorf("row %d is not in the document", row)
		}
	}
	for _, want := range []string{s.Name, s.Association, "A B C D E F G H", "Remise le 28/03/2026", "à personne"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not in the document:\n%s", want, all)
		}
	}
	if info := run(t, "pdfinfo", file); !strings.Contains(info, "297.64 x 419.53 pts") || !strings.Contains(info, "Pages:           1") {
		t.Errorf("not one page of A6:\n%s", info)
	}
}

func write(t *testing.T, file string, s card.Sheet) {
	t.Helper()
	var out bytes.Buffer
	if err := card.PDF(&out, s); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run runs a program of poppler-utils.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	if os.Getenv("MAILLON_REAL") != "1" {
		t.Skip("set MAILLON_REAL=1 to test against poppler")
	}
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v (install poppler-utils)\n%s", name, err, out)
	}
	return string(out)
}
