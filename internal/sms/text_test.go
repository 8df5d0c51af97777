package sms_test

import (
	"strings"
	"testing"

	wartsms "github.com/warthog618/sms"
	"github.com/warthog618/sms/encoding/gsm7/charset"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"maillon/internal/sms"
)

func TestSegmentsOfWhatPeopleWrite(t *testing.T) {
	for _, test := range []struct {
		text            string
		alphabet        sms.Alphabet
		units, segments int
	}{
		{"", sms.GSM7, 0, 1},
		{"Payé 12,50 € à Zoé", sms.GSM7, 19, 1},
		{"Paye\u0301", sms.GSM7, 4, 1}, // NFD
		{"Reçu", sms.UCS2, 4, 1},
		{"l’euro", sms.UCS2, 6, 1},
		{"ok 👍", sms.UCS2, 5, 1},
		{strings.Repeat("a", 160), sms.GSM7, 160, 1},
		{strings.Repeat("a", 161), sms.GSM7, 161, 2},
		{strings.Repeat("a", 153*2), sms.GSM7, 306, 2},
		{strings.Repeat("a", 153*2+1), sms.GSM7, 307, 3},
		{strings.Repeat("a", 152) + "€" + strings.Repeat("a", 152), sms.GSM7, 306, 3}, // an escape is not cut
		{strings.Repeat("ê", 70), sms.UCS2, 70, 1},
		{strings.Repeat("ê", 71), sms.UCS2, 71, 2},
		{strings.Repeat("ê", 66) + "👍" + strings.Repeat("ê", 66), sms.UCS2, 134, 3}, // nor is an emoji
	} {
		units, segments := sms.Segments(test.text)
		if a := sms.AlphabetOf(test.text); a != test.alphabet || units != test.units || segments != test.segments {
			t.Errorf("%q: alphabet %d, %d units, %d segments, want %d, %d, %d",
				test.text, a, units, segments, test.alphabet, test.units, test.segments)
		}
	}
}

// Our table of GSM 03.38 is the encoder's, character by character.
func TestTheAlphabetIsTheEncoders(t *testing.T) {
	basic, extended := charset.DefaultEncoder(), charset.DefaultExtEncoder()
	for r := rune(0); r <= 0xFFFF; r++ {
		s := norm.NFC.String(string(r))
		if r == 0x1b || len([]rune(s)) != 1 || []rune(s)[0] != r {
			continue
		}
		_, inBasic := basic[r]
		_, inExtended := extended[r]
		if got := sms.AlphabetOf(s) == sms.GSM7; got != (inBasic || inExtended) {
			t.Errorf("%U: in GSM7 = %v, want %v", r, got, !got)
		}
	}
}

// However a text is made up, we count the segments that the encoder makes.
func TestSegmentsAreTheEncoders(t *testing.T) {
	letters := rapid.SampledFrom([]string{"a", "é", "€", "[", "~", "@", " ", "\n", "ê", "’", "👍", "e\u0301", "Ω"})
	gsm7 := rapid.SampledFrom([]string{"a", "é", "€", "[", "~", "@", " ", "\n", "Ω"})
	text := rapid.OneOf(
		rapid.StringN(1, 400, -1).Filter(func(s string) bool { return !strings.Contains(s, "\x1b") }),
		rapid.Map(rapid.SliceOfN(letters, 1, 400), join),
		rapid.Map(rapid.SliceOfN(gsm7, 1, 400), join),
	)
	rapid.Check(t, func(t *rapid.T) {
		s := text.Draw(t, "text")
		pdus, err := wartsms.Encode([]byte(norm.NFC.String(s)))
		if err != nil {
			t.Fatal(err)
		}
		if _, got := sms.Segments(s); got != len(pdus) {
			t.Fatalf("Segments(%q) = %d, the encoder makes %d", s, got, len(pdus))
		}
	})
}

func join(s []string) string { return strings.Join(s, "") }

func TestPlainKeepsOurTextsInGSM7(t *testing.T) {
	const text = "« Reçu » : l’œuvre — “Noël à l’île” d’Anaïs… 10\u00a0€, É È À Ç Ê ñ Ñ"
	const want = `" Recu " : l'oeuvre - "Noel à l'ile" d'Anais... 10 €, É E A Ç E ñ Ñ`
	if got := sms.Plain(text); got != want || sms.AlphabetOf(got) != sms.GSM7 {
		t.Errorf("Plain(%q) = %q, want %q", text, got, want)
	}
	if got := sms.Plain("Łukasz 👍"); got != "Łukasz 👍" {
		t.Errorf("Plain changed what it does not know: %q", got)
	}
}
