package grammar_test

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"maillon/internal/grammar"
	"maillon/internal/sms"
)

// What a reply repeats is what was typed, and what it proposes is a number.
func TestWhatAReplyRepeats(t *testing.T) {
	p := shipped(t)
	for _, test := range []struct {
		text string
		want grammar.Misunderstanding
	}{
		{"vir 5O @yann", grammar.Misunderstanding{Key: "lettre", Verb: grammar.Pay, Language: "fr", Typed: "5O", N: "50"}},
		{"vir 1.000 @yann", grammar.Misunderstanding{Key: "ambigu.montant", Verb: grammar.Pay, Language: "fr", Typed: "1.000", N: "1000", N2: "1"}},
		{"ask 12,500 @yann", grammar.Misunderstanding{Key: "ambigu.montant", Verb: grammar.Ask, Language: "en", Typed: "12,500", N: "12500", N2: "12.5"}},
		{"vir 10 02.61.91.00.12", grammar.Misunderstanding{Key: "num.fixe", Verb: grammar.Pay, Language: "fr", Typed: "0261910012"}},
		{"pay 10 08 91 00 00 00", grammar.Misunderstanding{Key: "num.special", Verb: grammar.Pay, Language: "en", Typed: "0891000000"}},
		{"vir 10 06 39 98 00 1", grammar.Misunderstanding{Key: "num.court", Verb: grammar.Pay, Language: "fr", Typed: "063998001"}},
		{"vir 20 euros @yann", grammar.Misunderstanding{Key: "devise", Verb: grammar.Pay, Language: "fr", Typed: "euros"}},
		{"credite 20 @yann", grammar.Misunderstanding{Key: "aide.credite", Verb: grammar.Credit, Language: "fr"}},
		{"Payer", grammar.Misunderstanding{Key: "aide.vir", Verb: grammar.Pay, Language: "fr", Plain: "Payer"}},
		{"yes", grammar.Misunderstanding{Key: "code.manque", Verb: grammar.Yes, Language: "en", Plain: "yes"}},
		{"Malo !", grammar.Misunderstanding{Key: "incompris", Plain: "Malo"}},
		{"@Malo", grammar.Misunderstanding{Key: "incompris", Plain: "Malo"}},
		{"Malo Le Goff", grammar.Misunderstanding{Key: "incompris"}},
		{"0 @yann", grammar.Misunderstanding{Key: "zero", Verb: grammar.Pay, Typed: "0"}},
	} {
		_, err := p.Parse(test.text)
		var m *grammar.Misunderstanding
		if !errors.As(err, &m) {
			t.Errorf("%q is understood", test.text)
			continue
		}
		if *m != test.want {
			t.Errorf("%q: %+v, want %+v", test.text, *m, test.want)
		}
	}
}

func TestTheLanguageIsThatOfTheVerb(t *testing.T) {
	p := shipped(t)
	for text, want := range map[string]string{
		"solde": "fr", "balance": "en", "slode": "fr", "vir 5 @yann": "fr", "PAY 5 @yann": "en", "vir=5 num=0639980012": "fr", "ask=5 num=0639980012": "en",
		"pay5 @yann": "en", "50 @yann": "", "482913": "", "stop": "", "?": "", "👍": "",
	} {
		c, err := p.Parse(text)
		if err != nil || c.Language != want {
			t.Errorf("%q is in %q, %v; want %q", text, c.Language, err, want)
		}
	}
}

func TestThePayeeAsTyped(t *testing.T) {
	p := shipped(t)
	for text, want := range map[string]string{
		"vir 5 06 39 98 00 12": "0639980012", "vir 5 +33 (0)6.39.98.00.12": "+330639980012", "vir 5 @Yann": "yann", "20 0639980034": "0639980034",
	} {
		c, err := p.Parse(text)
		if err != nil || c.To.Typed != want || c.To.Nick != "" != c.To.Number.IsZero() {
			t.Errorf("%q: payee %q (%q), %v; want %q", text, c.To.Typed, c.To.Nick, err, want)
		}
	}
}

func TestWordsForOneselfAndVerbs(t *testing.T) {
	p := shipped(t)
	for _, word := range []string{"moi", "ME"} {
		if !p.Oneself(word) {
			t.Errorf("%q is not oneself", word)
		}
	}
	if v, ok := p.Verb("Débloquer"); v != grammar.Unblock || !ok {
		t.Errorf("Débloquer is %q, %v", v, ok)
	}
	if v, ok := p.Verb("yann"); ok || p.Oneself("yann") {
		t.Errorf("yann is a word of the server: %q", v)
	}
}

// A vocabulary in which a word means two things is refused: nobody guesses.
func TestAmbiguousVocabularies(t *testing.T) {
	one := grammar.Language{Tag: "xx", Verbs: map[grammar.Verb][]string{grammar.Pay: {"dà"}}}
	for name, v := range map[string]grammar.Vocabulary{
		"two verbs":     {Languages: []grammar.Language{one, {Tag: "yy", Verbs: map[grammar.Verb][]string{grammar.Ask: {"DA"}}}}},
		"two keys":      {Languages: []grammar.Language{{Tag: "xx", Keys: map[string][]string{"to": {"a"}, "memo": {"à"}}}}},
		"two units":     {Units: []grammar.Unit{{Symbol: "m", Names: []string{"maillon"}}, {Symbol: "g", Names: []string{"M"}}}},
		"unknown verb":  {Languages: []grammar.Language{{Tag: "xx", Verbs: map[grammar.Verb][]string{"dance": {"dance"}}}}},
		"unknown key":   {Languages: []grammar.Language{{Tag: "xx", Keys: map[string][]string{"colour": {"colour"}}}}},
		"two words":     {Languages: []grammar.Language{{Tag: "xx", Verbs: map[grammar.Verb][]string{grammar.Pay: {"give to"}}}}},
		"empty word":    {Languages: []grammar.Language{{Tag: "xx", Verbs: map[grammar.Verb][]string{grammar.Pay: {""}}}}},
		"nameless unit": {Units: []grammar.Unit{{Names: []string{"maillon"}}}},
	} {
		if _, err := grammar.New(v); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestFold(t *testing.T) {
	for text, want := range map[string]string{"Débloquer": "debloquer", "ETE\u0301": "ete", "Cœur ŒUF": "coeur oeuf", "ＶＩＲ ５": "vir 5", "Noël à l'île": "noel a l'ile"} {
		if got := grammar.Fold(text); got != want {
			t.Errorf("Fold(%q) = %q, want %q", text, got, want)
		}
	}
}

// Whatever the language, the spelling of the verb, of the number and of the
// amount, and the order of the two: a payment is read as it was meant.
func TestAPaymentIsReadAsItWasMeant(t *testing.T) {
	v, p := vocabulary(t), shipped(t)
	var verbs []string
	for _, l := range v.Languages {
		verbs = append(verbs, l.Verbs[grammar.Pay]...)
	}
	rapid.Check(t, func(t *rapid.T) {
		verb := rapid.SampledFrom(verbs).Draw(t, "verb")
		if rapid.Bool().Draw(t, "capitals") {
			verb = strings.ToUpper(verb)
		}
		whole := rapid.StringMatching(`[1-9][0-9]{0,2}`).Draw(t, "amount")
		unit := rapid.SampledFrom([]string{"", "m", " m", " maillons", ",-", ",00"}).Draw(t, "unit")
		to := rapid.StringMatching(`@[a-z]{3,12}`).Draw(t, "nick")
		payee := to
		if rapid.Bool().Draw(t, "number") {
			d := rapid.StringMatching(`[67]([1-9][0-9]){4}`).Draw(t, "digits")
			between := rapid.SampledFrom([]string{"", " ", ".", "-"}).Draw(t, "between")
			payee = "+33" + d
			to = rapid.SampledFrom([]string{"0", "+33", "+33 (0)", "0033"}).Draw(t, "prefix") +
				strings.Join([]string{d[:1], d[1:3], d[3:5], d[5:7], d[7:]}, between)
		}
		text := verb + " " + whole + unit + " " + to
		want := "pay amount=" + whole
		if strings.Contains(unit, "m") {
			want += " unit=m"
		}
		want += " to=" + payee
		if note := rapid.SampledFrom([]string{"", "chambre à air", "Selle N 3"}).Draw(t, "memo"); note != "" {
			text, want = text+" "+note, want+` memo="`+note+`"`
		}
		if got := read(p, text); got != want {
			t.Fatalf("%q is read as %s, want %s", text, got, want)
		}
	})
}

// A text of any length is read in a moment.
func TestLongTexts(t *testing.T) {
	p := shipped(t)
	for _, piece := range []string{"0", "0 ", "06 ", "+33 ", "06 39 98 00 1 ", "\n", " ", "vir=", "=", "@", "👍", "é\u0301", "12 345 ", "\xff", "\u202e", "solde"} {
		for _, head := range []string{"", "vir 50 ", "oui ", "encaisse "} {
			text := head + strings.Repeat(piece, (1<<20)/len(piece))
			start := time.Now()
			_, _ = p.Parse(text)
			if took := time.Since(start); took > time.Second {
				t.Errorf("%q… took %v", text[:min(20, len(text))], took)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range spellings {
		f.Add(s.text)
	}
	f.Add("vir 50 @yann \u202eמה\u202c 👨‍👩‍👧 \xff\x00\r\n")
	p := shipped(f)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := p.Parse(text)
		if err != nil {
			m, ok := errors.AsType[*grammar.Misunderstanding](err)
			if !ok || m.Key == "" || utf8.RuneCountInString(m.Typed) > 20 {
				t.Fatalf("%q: %+v", text, err)
			}
			return
		}
		s := c.String()
		if !utf8.ValidString(s) || strings.ContainsAny(s, "\r\n\u2028\u2029") {
			t.Fatalf("%q is read as %q", text, s)
		}
		if sms.AlphabetOf(c.Memo) != sms.GSM7 || strings.ContainsAny(c.Memo, "\r\n\f") {
			t.Fatalf("%q has the memo %q", text, c.Memo)
		}
		switch c.Verb {
		case grammar.Pay, grammar.Ask, grammar.Credit:
			if c.Amount.IsZero() || (c.To.Nick == "") == c.To.Number.IsZero() || c.Guessed {
				t.Fatalf("%q is read as %s", text, s)
			}
		case grammar.Yes:
			if len(c.Code) < 4 || len(c.Code) > 8 || strings.Trim(c.Code, "0123456789") != "" {
				t.Fatalf("%q is read as %s", text, s)
			}
		}
	})
}

// A code of seven or eight digits is shown in two halves, and sent back so.
func TestALongCodeIsReadAsItIsShown(t *testing.T) {
	p := shipped(t)
	for text, want := range map[string]string{
		"4829 1305":       "yes code=48291305",
		"4829 130":        "yes code=4829130",
		"oui 4829 1305":   "yes code=48291305",
		"4829 1305 merci": "yes code=48291305",
		"48291305":        "yes code=48291305",
		"482 913":         "yes code=482913",
		"4829":            "yes code=4829",
		"oui 4829 merci":  "yes code=4829",
	} {
		if got := read(p, text); got != want {
			t.Errorf("%q is read as %q, want %q", text, got, want)
		}
	}
}
