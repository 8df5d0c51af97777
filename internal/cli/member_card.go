package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"maillon/internal/card"
	"maillon/internal/member"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

type memberCard struct {
	who
	Output string `required:"" short:"o" placeholder:"FILE" help:"The page to write, .svg or .pdf; it must not exist. Destroy it once printed."`
}

// Run draws a card and writes it. The page is made before the card counts, so
// that a full disk leaves the old card good.
func (c memberCard) Run(ctx context.Context, out *Streams) error {
	write, err := c.format()
	if err != nil {
		return err
	}
	page, err := newPage(c.Output)
	if err != nil {
		return err
	}
	defer page.discard()
	err = c.act(ctx, func(b *books, tx *store.Tx, m *member.Member) error {
		cells, err := b.Treasury.IssueCard(ctx, tx, treasury.Operator, m)
		if err != nil {
			return err
		}
		var text bytes.Buffer
		if err := write(&text, b.sheet(tx, m, cells)); err != nil {
			return err
		}
		return page.write(text.Bytes())
	})
	if err != nil {
		return err
	}
	if err := page.keep(); err != nil {
		return exitf(ExitTrouble, "the new card counts, but its page could not be kept: %w; draw another one", err)
	}
	_, err = fmt.Fprintf(out.Out, "%s: print it, hand it over, and destroy the file\n", c.Output)
	return err
}

func (c memberCard) format() (func(io.Writer, card.Sheet) error, error) {
	switch strings.ToLower(filepath.Ext(c.Output)) {
	case ".svg":
		return card.SVG, nil
	case ".pdf":
		return card.PDF, nil
	}
	return nil, exitf(ExitUsage, "--output %s: the name of a page ends in .svg or .pdf", c.Output)
}

func (b *books) sheet(tx *store.Tx, m *member.Member, cells card.Cells) card.Sheet {
	return card.Sheet{
		Cells: cells, Association: b.Settings.Association, Name: called(m), Captions: card.CaptionsIn(m.Language),
		Issued: tx.Now().In(b.Settings.Zone).Format("02/01/2006"),
	}
}

// A page is a file that is there whole, and for its owner alone, or not at all.
type page struct {
	draft *os.File
	path  string
}

func newPage(path string) (*page, error) {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil, exitf(ExitUsage, "%s is there already: name another file", path)
	}
	draft, err := os.CreateTemp(filepath.Dir(path), ".page-") // 0600
	if err != nil {
		return nil, exitf(ExitUsage, "write the page: %w", err)
	}
	return &page{draft, path}, nil
}

func (p *page) write(text []byte) error {
	_, err := p.draft.Write(text)
	return errors.Join(err, p.draft.Sync())
}

func (p *page) keep() error { return os.Link(p.draft.Name(), p.path) }

func (p *page) discard() {
	_ = p.draft.Close()
	_ = os.Remove(p.draft.Name())
}
