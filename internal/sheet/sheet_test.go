package sheet_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf16"

	"golang.org/x/text/encoding/charmap"

	"maillon/internal/money"
	"maillon/internal/sheet"
)

const plain = "numero_ou_pseudo;montant;motif;cle\r\n@Yann;20;atelier vélo;2026-03-1\r\n\r\n0639980050;2,5;\"dit \"\"Zoé\"\"; fête\";2026-03-2\r\n"

var want = []sheet.Credit{
	{Line: 2, Who: "@Yann", Sum: "20", Reason: "atelier vélo", Key: "2026-03-1"},
	{Line: 4, Who: "0639980050", Sum: "2,5", Reason: `dit "Zoé"; fête`, Key: "2026-03-2"},
}

// A file is read as its author saw it, in whatever dress a spreadsheet put it.
func TestAFileInEveryDress(t *testing.T) {
	wide := func(order binary.AppendByteOrder, mark bool) string {
		var raw []byte
		text := plain
		if mark {
			text = "\ufeff" + text
		}
		for _, u := range utf16.Encode([]rune(text)) {
			raw = order.AppendUint16(raw, u)
		}
		return string(raw)
	}
	windows, err := charmap.Windows1252.NewEncoder().String(plain)
	if err != nil {
		t.Fatal(err)
	}
	tabs := strings.ReplaceAll(strings.ReplaceAll(plain, "; ", "\x00"), ";", "\t")
	for name, raw := range map[string]string{
		"UTF-8": plain, "UTF-8 with a mark": "\ufeff" + plain,
		"UTF-16 little": wide(binary.LittleEndian, true), "UTF-16 big": wide(binary.BigEndian, true),
		"UTF-16 little, no mark": wide(binary.LittleEndian, false), "UTF-16 big, no mark": wide(binary.BigEndian, false),
		"Windows-1252": windows,
		"tabs":         strings.ReplaceAll(tabs, "\x00", "; "),
		"Unix lines":   strings.ReplaceAll(plain, "\r", ""),
		"other order":  "key,who,amount,reason\n2026-03-1,@Yann,20,atelier vélo\n\n2026-03-2,0639980050,\"2,5\",\"dit \"\"Zoé\"\"; fête\"\n",
	} {
		got, err := sheet.Read([]byte(raw))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// A file that cannot be read is refused with the line and what to do.
func TestAFileThatCannotBeRead(t *testing.T) {
	for raw, want := range map[string]sheet.Fault{
		"":                                     {Line: 1, What: sheet.Empty},
		"numero_ou_pseudo;montant\nyann;5\n":   {Line: 1, What: sheet.Columns},
		"yann;5;a \"b;c\n":                     {Line: 1, What: sheet.Quotes},
		"yann;5;\"a;c\n":                       {Line: 1, What: sheet.Quotes},
		"\xff\xfea":                            {What: sheet.Torn},
		strings.Repeat("x", sheet.MaxOctets+1): {What: sheet.Large},
		strings.Repeat("y;1;r;k\n", sheet.MaxLines+1): {Line: sheet.MaxLines + 1, What: sheet.Long},
	} {
		_, err := sheet.Read([]byte(raw))
		if f, ok := errors.AsType[sheet.Fault](err); !ok || f.What != want.What || f.Line != want.Line && want.What != sheet.Quotes {
			t.Errorf("%.40q: %v, want %v", raw, err, want)
		}
	}
}

// What is wrong with a line in itself is found, and a sum is never guessed.
func TestALineIsChecked(t *testing.T) {
	heure := money.Currency{Code: "HEURE", Decimals: 2}
	good := sheet.Credit{Line: 2, Who: "yann", Sum: "1 000,50", Reason: "atelier", Key: "k"}
	if a, fault := good.Check(heure); fault != nil || a.Minor() != 100050 {
		t.Errorf("%+v: %v, %v", good, a, fault)
	}
	for name, c := range map[string]struct {
		spoil func(*sheet.Credit)
		want  sheet.What
	}{
		"thousands or decimals": {func(l *sheet.Credit) { l.Sum = "1.000" }, sheet.Ambiguous},
		"the comma too":         {func(l *sheet.Credit) { l.Sum = "1,000" }, sheet.Ambiguous},
		"both":                  {func(l *sheet.Credit) { l.Sum = "1.000,50" }, sheet.Sum},
		"four decimals":         {func(l *sheet.Credit) { l.Sum = "1,0005" }, sheet.Decimals},
		"a letter":              {func(l *sheet.Credit) { l.Sum = "5O" }, sheet.Sum},
		"below zero":            {func(l *sheet.Credit) { l.Sum = "-5" }, sheet.Sum},
		"nothing":               {func(l *sheet.Credit) { l.Sum = "0" }, sheet.Zero},
		"a formula":             {func(l *sheet.Credit) { l.Reason = "=cmd|'/C calc'!A0" }, sheet.Formula},
		"a formula for a name":  {func(l *sheet.Credit) { l.Who = "=A1" }, sheet.Formula},
		"no reason":             {func(l *sheet.Credit) { l.Reason = "" }, sheet.NoReason},
		"a long reason":         {func(l *sheet.Credit) { l.Reason = strings.Repeat("é", sheet.MaxReason+1) }, sheet.Wide},
		"no key":                {func(l *sheet.Credit) { l.Key = "" }, sheet.NoKey},
	} {
		l := good
		c.spoil(&l)
		if _, fault := l.Check(heure); fault == nil || fault.What != c.want || fault.Text() == string(fault.What) {
			t.Errorf("%s: %v, want %s", name, fault, c.want)
		}
	}
}

// Whatever a file holds, it is read or refused, and lines are within bounds.
func FuzzRead(f *testing.F) {
	f.Add([]byte(plain))
	f.Add([]byte("\xff\xfey\x00;\x00"))
	f.Add([]byte("a,b\n\"c"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		lines, err := sheet.Read(raw)
		if err == nil && len(lines) == 0 {
			t.Error("no line and no error")
		}
		for _, l := range lines {
			if l.Line < 1 {
				t.Errorf("line %d", l.Line)
			}
			_, _ = l.Check(money.Currency{Code: "M"})
			_ = fmt.Sprint(err)
		}
	})
}
