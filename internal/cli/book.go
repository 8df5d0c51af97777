package cli

import (
	"fmt"
	"io/fs"
	"os"

	"maillon/internal/phrase"
)

// Book returns the languages that ship, with those of the configured folder
// over them.
func (c Config) Book() (*phrase.Book, error) {
	var dirs []fs.FS
	if c.Languages != "" {
		dirs = append(dirs, os.DirFS(c.Languages))
	}
	book, err := phrase.Load(true, dirs...)
	if err != nil {
		return nil, &ExitError{ExitUsage, fmt.Errorf("read the languages: %w", err)}
	}
	return book, nil
}
