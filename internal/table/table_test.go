package table_test

import (
	"encoding/csv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"maillon/internal/table"
)

func TestACellIsNeverAFormula(t *testing.T) {
	for in, want := range map[string]string{
		"":                   "",
		"lena":               "lena",
		"l'atelier":          "l'atelier",
		"3-4":                "3-4",
		"=cmd|' /C calc'!A0": "'=cmd|' /C calc'!A0",
		"+33639980012":       "'+33639980012",
		"-2+3":               "'-2+3",
		"@SUM(A1)":           "'@SUM(A1)",
		"  =1":               "'  =1",
		"\t=1":               "'\t=1",
		"\rlena":             "'\rlena",
		"\ufeff=1":           "'\ufeff=1",
		"＝1":                 "'＝1",
		"lena\n=1":           "lena\n=1",
	} {
		if got := table.Cell(in); got != want {
			t.Errorf("Cell(%q) = %q, want %q", in, got, want)
		}
	}
}

// Whatever was written comes back whole, but for the apostrophe.
func TestACellKeepsItsText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strings.ReplaceAll(rapid.String().Draw(t, "text"), "\r\n", "\n")
		var b strings.Builder
		w := csv.NewWriter(&b)
		if err := w.Write(table.Cells("first", text)); err != nil {
			t.Fatal(err)
		}
		w.Flush()
		row, err := csv.NewReader(strings.NewReader(b.String())).Read()
		if err != nil || len(row) != 2 || row[1] != text && row[1] != "'"+text {
			t.Fatalf("%q comes back as %q, %v", text, row, err)
		}
	})
}
