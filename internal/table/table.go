// Package table writes what a spreadsheet will read.
package table

import "strings"

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
