package cli

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"

	"maillon/internal/store"
)

// Bounds of a file of credits. All of it is one transaction, for which a server
// at work waits: half a millisecond for each line, and 10 seconds at most.
const (
	maxCredits   = 10_000
	maxCreditCSV = 16 << 20 // octets
	maxShown     = 50       // lines of each kind that a dry run names
)

// The columns, as the header may name them.
var creditColumns = [][]string{
	{"numero_ou_pseudo", "number_or_nick", "who"},
	{"montant", "amount"},
	{"motif", "reason"},
	{"cle", "clé", "key"},
}

// many credits all lines of a file, or shows what that would do.
func (c creditCommand) many(ctx context.Context, out *Streams, batch *creditBatch) error {
	progress := out.bar("credit")
	defer progress.end()
	if c.DryRun {
		if err := batch.view(ctx, func(tx *store.Tx) error { return batch.check(ctx, tx, progress) }); err != nil {
			return err
		}
		progress.end()
		batch.report(out, "would be credited")
		return batch.refused()
	}
	if err := batch.update(ctx, func(tx *store.Tx) error { return batch.grant(ctx, tx, progress) }); err != nil {
		return err
	}
	progress.end()
	batch.report(out, "credited")
	return nil
}

// report says what a batch did, or would do.
func (b *creditBatch) report(out *Streams, done string) {
	fmt.Fprintf(out.Out, "%d lines, %d new: %s %s\n", len(b.lines), b.granted, b.total, done)
	fmt.Fprintf(out.Out, "%d accounts opened for numbers that have none\n", len(b.opened))
	fmt.Fprintf(out.Out, "%d done before, not again%s\n", len(b.repeated), lineNumbers(b.repeated))
	if len(b.faults) > 0 {
		fmt.Fprintf(out.Out, "%d lines cannot be credited\n", len(b.faults))
	}
}

func lineNumbers(lines []creditLine) string {
	if len(lines) == 0 {
		return ""
	}
	var numbers []string
	for _, l := range lines[:min(len(lines), maxShown)] {
		numbers = append(numbers, fmt.Sprint(l.line))
	}
	if len(lines) > maxShown {
		numbers = append(numbers, "…")
	}
	return ": lines " + strings.Join(numbers, ", ")
}

// readCredits reads a file as spreadsheets write it.
func readCredits(path string) ([]creditLine, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, &ExitError{ExitUsage, err}
	}
	if info.Size() > maxCreditCSV {
		return nil, exitf(ExitUsage, "%s has more than %d octets: cut it in several files", path, maxCreditCSV)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, &ExitError{ExitUsage, err}
	}
	text, err := decodeText(raw)
	if err != nil {
		return nil, exitf(ExitUsage, "%s: %w", path, err)
	}
	lines, err := parseCredits(strings.TrimPrefix(text, "\ufeff"))
	if err != nil {
		return nil, exitf(ExitUsage, "%s:%w", path, err)
	}
	return lines, nil
}

// decodeText reads UTF-8 and UTF-16, each with a mark at its start or without,
// and for the rest Windows-1252, which French spreadsheets still write.
func decodeText(raw []byte) (string, error) {
	switch {
	case bytes.HasPrefix(raw, []byte{0xef, 0xbb, 0xbf}):
		raw = raw[3:]
	case bytes.HasPrefix(raw, []byte{0xff, 0xfe}):
		return decodeUTF16(raw[2:], binary.LittleEndian)
	case bytes.HasPrefix(raw, []byte{0xfe, 0xff}):
		return decodeUTF16(raw[2:], binary.BigEndian)
	case len(raw) > 1 && raw[1] == 0:
		return decodeUTF16(raw, binary.LittleEndian)
	case len(raw) > 1 && raw[0] == 0:
		return decodeUTF16(raw, binary.BigEndian)
	}
	if utf8.Valid(raw) {
		return string(raw), nil
	}
	text, err := charmap.Windows1252.NewDecoder().Bytes(raw)
	return string(text), err
}

func decodeUTF16(raw []byte, order binary.ByteOrder) (string, error) {
	if len(raw)%2 != 0 {
		return "", errors.New("half a character at the end of UTF-16: save the file again, as CSV UTF-8")
	}
	units := make([]uint16, len(raw)/2)
	for n := range units {
		units[n] = order.Uint16(raw[2*n:])
	}
	return string(utf16.Decode(units)), nil
}

// separator returns what stands between the cells of the first line.
func separator(text string) rune {
	first, _, _ := strings.Cut(text, "\n")
	for _, r := range []rune{';', '\t'} {
		if strings.ContainsRune(first, r) {
			return r
		}
	}
	return ','
}

// parseCredits returns the lines of a file; its errors begin with the line.
func parseCredits(text string) ([]creditLine, error) {
	r := csv.NewReader(strings.NewReader(text))
	r.Comma, r.FieldsPerRecord, r.ReuseRecord = separator(text), -1, true
	columns := []int{0, 1, 2, 3}
	var lines []creditLine
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if e, ok := errors.AsType[*csv.ParseError](err); ok {
			return nil, fmt.Errorf("%d: %w", e.Line, e.Err)
		}
		if err != nil {
			return nil, fmt.Errorf("1: %w", err)
		}
		number, _ := r.FieldPos(0)
		if blank(cells) {
			continue
		}
		if named, ok := header(cells); ok && len(lines) == 0 {
			if named == nil {
				return nil, fmt.Errorf("%d: the header names the columns numero_ou_pseudo, montant, motif and cle", number)
			}
			columns = named
			continue
		}
		if len(lines) == maxCredits {
			return nil, fmt.Errorf("%d: more than %d lines: cut the file in several", number, maxCredits)
		}
		lines = append(lines, creditLine{
			line: number, who: cell(cells, columns[0]), sum: cell(cells, columns[1]), reason: cell(cells, columns[2]), name: cell(cells, columns[3]),
		})
	}
	if len(lines) == 0 {
		return nil, errors.New("1: no line to credit: numero_ou_pseudo;montant;motif;cle is expected")
	}
	return lines, nil
}

func blank(cells []string) bool {
	return !slices.ContainsFunc(cells, func(c string) bool { return strings.TrimSpace(c) != "" })
}

// header returns where the columns are if cells are a header; nil if it lacks one.
func header(cells []string) ([]int, bool) {
	is := false
	columns := make([]int, len(creditColumns))
	for n, names := range creditColumns {
		columns[n] = slices.IndexFunc(cells, func(c string) bool { return slices.Contains(names, strings.ToLower(strings.TrimSpace(c))) })
		is = is || columns[n] >= 0
	}
	if slices.Contains(columns, -1) {
		return nil, is
	}
	return columns, true
}

// cell returns a cell without the apostrophe that spreadsheets put before what
// must stay a text.
func cell(cells []string, n int) string {
	if n >= len(cells) {
		return ""
	}
	return strings.TrimPrefix(strings.TrimSpace(cells[n]), "'")
}
