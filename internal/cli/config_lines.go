package cli

import (
	"fmt"
	"strings"
)

// configLines finds the line of each key of a TOML text, by its dotted name.
// It reads only as much as that needs; what it misses is reported on the line
// of the table that it stands in.
func configLines(text string) map[string]int {
	lines, table, arrays := map[string]int{}, "", map[string]int{}
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
			continue
		case strings.HasPrefix(line, "[["):
			name, _, _ := strings.Cut(line[2:], "]]")
			name = dotted(name)
			table = fmt.Sprintf("%s.%d", name, arrays[name])
			arrays[name]++
			first(lines, name, number)
			first(lines, table, number)
		case line[0] == '[':
			name, _, _ := strings.Cut(line[1:], "]")
			table = dotted(name)
			first(lines, table, number)
		default:
			key, _, ok := strings.Cut(line, "=")
			if !ok {
				continue
			}
			key = dotted(key)
			if table != "" {
				key = table + "." + key
			}
			first(lines, key, number)
		}
	}
	return lines
}

// first notes a key and the tables that it stands in, where they are met first.
func first(lines map[string]int, key string, number int) {
	for key != "" {
		if _, ok := lines[key]; ok {
			return
		}
		lines[key] = number
		key, _, _ = cutLast(key)
	}
}

// dotted returns a key without quotes and blanks.
func dotted(key string) string {
	return strings.NewReplacer(`"`, "", "'", "", " ", "", "\t", "").Replace(key)
}
