// Package sheet reads a file of credits as spreadsheets write it:
// numero_ou_pseudo;montant;motif;cle. Whatever wrote it – UTF-8, UTF-16 or
// Windows-1252, semicolons, commas or tabs, a decimal comma – a file is read as
// what its author saw, or refused with the line and what to do. Nothing is
// guessed about a sum.
package sheet

import (
	"bytes"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"

	"maillon/internal/money"
)

// Bounds of a file of credits.
const (
	MaxOctets = 16 << 20
	MaxLines  = 100_000
	MaxReason = 200 // runes of a reason
	MaxCell   = 200 // runes of any other cell
)

// A Credit is one line of a file, as it was typed.
type Credit struct {
	Line   int // of the file; 0 if it is of none
	Who    string
	Sum    string
	Reason string
	Key    string // what makes a second one harmless
}

// The columns, as the header may name them.
var columns = [][]string{
	{"numero_ou_pseudo", "number_or_nick", "who"},
	{"montant", "amount"},
	{"motif", "reason"},
	{"cle", "clé", "key"},
}

// A What says what is wrong with a line, or with a whole file.
type What string

// What may be wrong.
const (
	Large     What = "large"     // the file has more than MaxOctets
	Torn      What = "torn"      // half a character at the end of UTF-16
	Quotes    What = "quotes"    // quotes that do not close, or stand within a cell
	Columns   What = "columns"   // the header lacks one
	Empty     What = "empty"     // there is no line
	Long      What = "long"      // more than MaxLines
	Sum       What = "sum"       // no sum
	Ambiguous What = "ambiguous" // 1.000: thousands or decimals?
	Decimals  What = "decimals"  // more than the unit has
	Zero      What = "zero"      // not more than zero
	NoReason  What = "reason"    // it is missing
	Wide      What = "wide"      // a cell is too long
	Formula   What = "formula"   // a cell begins with =
	NoKey     What = "key"       // it is missing
	Unknown   What = "unknown"   // neither a pseudo nor a mobile number
	Closed    What = "closed"    // the account is
	Frozen    What = "frozen"    // by an administrator
	Refused   What = "refused"   // the number wants no SMS, ever
	Twice     What = "twice"     // the key of another line too
	Used      What = "used"      // the key of another credit, made before
)

// A Fault is what is wrong with a line. It says what was typed there, which may
// be a number: it is for whoever has the file, not for a log.
type Fault struct {
	Line int // 0: the whole file
	What What
	Arg  string
}

// Error says it to whoever holds the machine.
func (f Fault) Error() string {
	if f.Line == 0 {
		return f.Text()
	}
	return fmt.Sprintf("%d: %s", f.Line, f.Text())
}

// Text is Error without the line.
func (f Fault) Text() string {
	switch f.What {
	case Large:
		return fmt.Sprintf("more than %d octets: cut the file in several", MaxOctets)
	case Torn:
		return "half a character at the end of UTF-16: save the file again, as CSV UTF-8"
	case Quotes:
		return "quotes that do not close, or stand within a cell: save the file again, as CSV"
	case Columns:
		return "the header names the columns numero_ou_pseudo, montant, motif and cle"
	case Empty:
		return "no line to credit: numero_ou_pseudo;montant;motif;cle is expected"
	case Long:
		return fmt.Sprintf("more than %d lines: cut the file in several", MaxLines)
	case Sum:
		return fmt.Sprintf("%q: a sum such as 50 or 12,50 is expected", f.Arg)
	case Ambiguous:
		return fmt.Sprintf("%q: thousands or decimals? Write 1000 or 1,00", f.Arg)
	case Decimals:
		return fmt.Sprintf("%s: more decimals than the currency has", f.Arg)
	case Zero:
		return "a credit is more than zero"
	case NoReason:
		return "the reason is missing"
	case Wide:
		return fmt.Sprintf("the reason is longer than %d characters, or another cell than %d", MaxReason, MaxCell)
	case Formula:
		return "a cell is a formula: write its value"
	case NoKey:
		return "the key (cle) is missing: any text that only this credit has, so that a second upload does nothing"
	case Unknown:
		return fmt.Sprintf("%q is neither a pseudo that somebody has nor a mobile number", f.Arg)
	case Closed:
		return "this account is closed"
	case Frozen:
		return "this account is frozen by an administrator: unfreeze it first"
	case Refused:
		return "this number asked never to be written to again"
	case Twice:
		return fmt.Sprintf("the key %s too", f.Arg)
	case Used:
		return fmt.Sprintf("the key %s was used before for another credit", f.Arg)
	}
	return string(f.What)
}

// Read returns the lines of a file, or a Fault.
func Read(raw []byte) ([]Credit, error) {
	if len(raw) > MaxOctets {
		return nil, Fault{What: Large}
	}
	text, err := decode(raw)
	if err != nil {
		return nil, err
	}
	return parse(strings.TrimPrefix(text, "\ufeff"))
}

// decode reads UTF-8 and UTF-16, each with a mark at its start or without, and
// for the rest Windows-1252, which French spreadsheets still write.
func decode(raw []byte) (string, error) {
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
		return "", Fault{What: Torn}
	}
	units := make([]uint16, len(raw)/2)
	for n := range units {
		units[n] = order.Uint16(raw[2*n:])
	}
	return string(utf16.Decode(units)), nil
}

// separator returns what stands between the cells of the first line.
func separator(text string) rune {
	first, _, _ := strings.Cut(strings.TrimLeft(text, "\r\n"), "\n")
	for _, r := range []rune{';', '\t'} {
		if strings.ContainsRune(first, r) {
			return r
		}
	}
	return ','
}

func parse(text string) ([]Credit, error) {
	r := csv.NewReader(strings.NewReader(text))
	r.Comma, r.FieldsPerRecord, r.ReuseRecord = separator(text), -1, true
	at := []int{0, 1, 2, 3}
	var lines []Credit
	for {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if e, ok := errors.AsType[*csv.ParseError](err); ok {
			return nil, Fault{Line: e.Line, What: Quotes}
		}
		if err != nil {
			return nil, Fault{Line: 1, What: Quotes}
		}
		number, _ := r.FieldPos(0)
		if blank(cells) {
			continue
		}
		if named, is := header(cells); is && len(lines) == 0 {
			if named == nil {
				return nil, Fault{Line: number, What: Columns}
			}
			at = named
			continue
		}
		if len(lines) == MaxLines {
			return nil, Fault{Line: number, What: Long}
		}
		lines = append(lines, Credit{
			Line: number, Who: cell(cells, at[0]), Sum: cell(cells, at[1]), Reason: cell(cells, at[2]), Key: cell(cells, at[3]),
		})
	}
	if len(lines) == 0 {
		return nil, Fault{Line: 1, What: Empty}
	}
	return lines, nil
}

func blank(cells []string) bool {
	return !slices.ContainsFunc(cells, func(c string) bool { return strings.TrimSpace(c) != "" })
}

// header returns where the columns are if cells are a header; nil if it lacks one.
func header(cells []string) ([]int, bool) {
	is := false
	at := make([]int, len(columns))
	for n, names := range columns {
		at[n] = slices.IndexFunc(cells, func(c string) bool { return slices.Contains(names, strings.ToLower(strings.TrimSpace(c))) })
		is = is || at[n] >= 0
	}
	if slices.Contains(at, -1) {
		return nil, is
	}
	return at, true
}

// cell returns a cell without the apostrophe that spreadsheets put before what
// must stay a text.
func cell(cells []string, n int) string {
	if n >= len(cells) {
		return ""
	}
	return strings.Clone(strings.TrimPrefix(strings.TrimSpace(cells[n]), "'"))
}

// Check returns what is wrong with a line in itself, whoever it is for, and its
// sum in a currency.
func (l Credit) Check(c money.Currency) (money.Amount, *Fault) {
	a, what, arg := ParseSum(l.Sum, c)
	runes := func(s string) int { return utf8.RuneCountInString(s) }
	switch {
	case what != "":
	case a.Sign() <= 0:
		what = Zero
	case l.Reason == "":
		what = NoReason
	case runes(l.Reason) > MaxReason || runes(l.Who) > MaxCell || runes(l.Key) > MaxCell:
		what = Wide
	case l.Line > 0 && (strings.HasPrefix(l.Reason, "=") || strings.HasPrefix(l.Who, "=") || strings.HasPrefix(l.Key, "=")):
		what = Formula
	case l.Line > 0 && l.Key == "":
		what = NoKey
	default:
		return a, nil
	}
	return a, &Fault{Line: l.Line, What: what, Arg: arg}
}

// ParseSum reads a sum as people write it here: 50, 12.50, 12,50, 1 000. What is
// wrong with it is "" if nothing is.
func ParseSum(text string, c money.Currency) (money.Amount, What, string) {
	none := money.New(0, c)
	plain := strings.NewReplacer(" ", "", "\u00a0", "", "\u202f", "").Replace(strings.TrimSpace(text))
	whole, part, comma := strings.Cut(plain, ",")
	if comma {
		if strings.ContainsAny(part, ",.") || strings.Contains(whole, ".") {
			return none, Sum, text
		}
		plain = whole + "." + part
	}
	d, err := money.ParseDecimal(plain)
	if err != nil {
		return none, Sum, text
	}
	if _, after, _ := strings.Cut(plain, "."); len(after) == 3 {
		return none, Ambiguous, text
	}
	a, err := d.In(c)
	switch {
	case errors.Is(err, money.ErrDecimals):
		return none, Decimals, fmt.Sprintf("%q: %s has %d decimals", text, c.Code, c.Decimals)
	case err != nil:
		return none, Sum, text
	}
	return a, "", ""
}
