package cli

import (
	"strings"
	"unicode"
)

// oneLine makes what a member wrote harmless to a terminal and to a table.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return ' '
		}
		return r
	}, text)
}
