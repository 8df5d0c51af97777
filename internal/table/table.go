// Package table writes what a spreadsheet, or a line of a table, will show.
package table

import (
	"strings"
	"unicode"
)

// Cell returns a text as a cell that a spreadsheet shows and never calculates.
// What begins like a formula, whatever space stands before it, gets an
// apostrophe in front (OWASP, CSV injection).
func Cell(text string) string {
	rest := strings.TrimLeft(text, " \t\r\n\u00a0\ufeff")
	if rest != text && strings.ContainsAny(text[:len(text)-len(rest)], "\t\r\n") || rest != "" && strings.ContainsRune("=+-@＝＋－＠", []rune(rest)[0]) {
		return "'" + text
	}
	return text
}

// Cells is Cell for a whole row.
func Cells(row ...string) []string {
	safe := make([]string, len(row))
	for n, text := range row {
		safe[n] = Cell(text)
	}
	return safe
}

// Line makes what somebody wrote harmless to a terminal, to a table and to a
// line of text: what is no sign becomes a space.
func Line(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return ' '
		}
		return r
	}, text)
}
