package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"maillon/internal/grammar"
	"maillon/internal/phrase"
	"maillon/internal/server"
	"maillon/internal/setting"
)

// maxParseLine bounds one text of parse, in octets: many times the longest SMS.
const maxParseLine = 64 << 10

// A parseCommand shows how texts are understood.
type parseCommand struct{}

// Help is what "maillon parse --help" says more.
func (parseCommand) Help() string {
	return `Each line of the input is one text, an empty line an empty text; \n and \u00a0 stand for a new line and a space that does not break. For each one line says what it is understood as, by a server with the units m (maillon) and h (heure).`
}

// Run parses each line of the input.
func (parseCommand) Run(ctx context.Context, io *Streams) error {
	parser, err := parseGrammar()
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(io.In)
	lines.Buffer(nil, maxParseLine)
	n := 0
	for lines.Scan() && ctx.Err() == nil {
		n++
		if _, err := fmt.Fprintln(io.Out, parsed(parser, lines.Text())); err != nil {
			return fmt.Errorf("write the parse of line %d: %w", n, err)
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return exitf(ExitUsage, "line %d is longer than %d octets", n+1, maxParseLine)
	}
	return errors.Join(ctx.Err(), lines.Err())
}

// parseGrammar is the grammar of grammar.tsv: all languages that ship, and two
// units.
func parseGrammar() (*grammar.Parser, error) {
	book, err := phrase.Shipped()
	if err != nil {
		return nil, err
	}
	set := setting.Default()
	set.Units = append(set.Units, setting.Unit{Name: "heure", Plural: "heures", Symbol: "h"})
	return server.Parser(book, &set)
}

// parsed returns what a line of the input is understood as, in the notation of
// grammar.tsv.
func parsed(p *grammar.Parser, line string) string {
	text := strings.NewReplacer(`\n`, "\n", `\u00a0`, "\u00a0").Replace(strings.ToValidUTF8(line, "\uFFFD"))
	c, err := p.Parse(text)
	if m, ok := errors.AsType[*grammar.Misunderstanding](err); ok {
		return m.Notation()
	}
	return c.String()
}
