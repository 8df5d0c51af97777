package sms_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"maillon/internal/sms"
)

func TestFromE164TakesOnlyE164(t *testing.T) {
	for _, s := range []string{"+33639980012", "+1234567", "+123456789012345"} {
		n, err := sms.FromE164(s)
		if err != nil || n.E164() != s {
			t.Errorf("FromE164(%q) = %q, %v", s, n.E164(), err)
		}
	}
	for _, s := range []string{"", "+", "33639980012", "+123456", "+1234567890123456", "+0639980012", "+33 639980012", "+3363998001a", "+3363998００12"} {
		if _, err := sms.FromE164(s); !errors.Is(err, sms.ErrNotNumber) {
			t.Errorf("FromE164(%q) = %v, want ErrNotNumber", s, err)
		}
	}
}

func TestParseNumberReadsWhatPeopleWrite(t *testing.T) {
	for _, test := range []struct{ text, region, want string }{
		{"0639980012", "FR", "+33639980012"},
		{"06 39 98 00 12", "FR", "+33639980012"},
		{"06.39.98.00.12", "FR", "+33639980012"},
		{"06-39-98-00-12", "FR", "+33639980012"},
		{"+33639980012", "FR", "+33639980012"},
		{"+33 (0)6 39 98 00 12", "FR", "+33639980012"},
		{"+33(0)639980012", "FR", "+33639980012"},
		{"+330639980012", "FR", "+33639980012"},
		{"0033639980012", "FR", "+33639980012"},
		{"00 33 6 39 98 00 12", "FR", "+33639980012"},
		{"33639980012", "FR", "+33639980012"},
		{"639980012", "FR", "+33639980012"},
		{"０６３９９８００１２", "FR", "+33639980012"},
		{"＋３３６３９９８００１２", "FR", "+33639980012"},
		{"0700000001", "FR", "+33700000001"},
		{"0298000001", "FR", "+33298000001"},
		{"+44 7700 900123", "FR", "+447700900123"},
		{"0692000001", "RE", "+262692000001"},
		{"+269 331 00 01", "KM", "+2693310001"},
		{"06 698 12345", "IT", "+390669812345"},
		{"3310001", "KM", "+2693310001"},
	} {
		n, err := sms.ParseNumber(test.text, test.region)
		if err != nil || n.E164() != test.want {
			t.Errorf("ParseNumber(%q, %s) = %q, %v, want %q", test.text, test.region, n.E164(), err, test.want)
		}
	}
}

func TestParseNumberRefusesWhatIsNoNumber(t *testing.T) {
	for _, text := range []string{
		"", "36000", "+3336000", "118218", "38663", "LaPoste", "Lena 0639980012", "0639980012 ext 3", "063998001", "06399800123",
		"+", "....", "+999123456789", "0639980012" + strings.Repeat(" ", 100), "\xff\xfe0639980012\x00", "1-800-FLOWERS",
	} {
		if n, err := sms.ParseNumber(text, "FR"); !errors.Is(err, sms.ErrNotNumber) {
			t.Errorf("ParseNumber(%q) = %q, %v, want ErrNotNumber", text, n.E164(), err)
		}
	}
	if _, err := sms.ParseNumber("5551234", "US"); !errors.Is(err, sms.ErrNotNumber) {
		t.Errorf("a number without its area: %v, want ErrNotNumber", err)
	}
}

func TestNumberInItsForms(t *testing.T) {
	for _, test := range []struct {
		e164, national, masked, country string
		mobile                          bool
	}{
		{"+33639980012", "0639980012", "06**12", "FR", true},
		{"+33700000001", "0700000001", "07**01", "FR", true},
		{"+33298000001", "0298000001", "02**01", "FR", false},
		{"+33937000000", "0937000000", "09**00", "FR", false},
		{"+262692123456", "+262692123456", "26**56", "RE", true},
		{"+262693123456", "+262693123456", "26**56", "RE", true},
		{"+447700900123", "+447700900123", "44**23", "GB", false},
		{"+447400123456", "+447400123456", "44**56", "GB", true},
		{"+9991234567", "+9991234567", "99**67", "", false},
	} {
		n := number(t, test.e164)
		if n.National() != test.national || n.Masked() != test.masked || n.Country() != test.country || n.Mobile() != test.mobile {
			t.Errorf("%s: %q, %q, %q, %v, want %q, %q, %q, %v", test.e164, n.National(), n.Masked(), n.Country(), n.Mobile(),
				test.national, test.masked, test.country, test.mobile)
		}
	}
	var none sms.Number
	if !none.IsZero() || none.Masked() != "" || none.National() != "" || none.Country() != "" || none.Mobile() {
		t.Errorf("the zero Number is a number: %q", none.E164())
	}
}

// Neither fmt nor slog gets at the digits of a number or at a secret, even
// inside another structure.
func TestNothingShowsByAccident(t *testing.T) {
	type holder struct {
		Number sms.Number
		Secret sms.Secret
	}
	h := holder{Number: number(t, "+33639980012"), Secret: sms.NewSecret("s3cret-639980012")}
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	log.Info("x", "number", h.Number, "secret", h.Secret, "holder", h)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "number", h.Number, "secret", h.Secret, "holder", h)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%20s"} {
		fmt.Fprintf(&out, verb+"\n", h.Number)
		fmt.Fprintf(&out, verb+"\n", h.Secret)
		fmt.Fprintf(&out, verb+"\n", h)
	}
	for _, leak := range []string{"39980012", "s3cret", fmt.Sprintf("%x", "39980012"), fmt.Sprintf("%X", "s3cret")} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("%q shows in:\n%s", leak, &out)
		}
	}
}

func number(t *testing.T, e164 string) sms.Number {
	t.Helper()
	n, err := sms.FromE164(e164)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func FuzzParseNumber(f *testing.F) {
	for _, text := range []string{"0639980012", "+33 (0)6 39 98 00 12", "36000", "０６３９９８００１２", "0033639980012", "tel:+33;ext=3"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := sms.ParseNumber(text, "FR")
		if err != nil {
			if !errors.Is(err, sms.ErrNotNumber) || !n.IsZero() {
				t.Fatalf("ParseNumber(%q) = %q, %v", text, n.E164(), err)
			}
			return
		}
		again, err := sms.ParseNumber(n.E164(), "FR")
		if err != nil || again != n {
			t.Fatalf("ParseNumber(%q) = %q, read again: %q, %v", text, n.E164(), again.E164(), err)
		}
	})
}
