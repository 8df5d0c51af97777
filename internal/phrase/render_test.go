package phrase_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"maillon/internal/phrase"
	"maillon/internal/sms"
)

func TestRenderSaysWhatTheStoriesSay(t *testing.T) {
	credit := phrase.Fields{"who": "mallory", "ph": "06**66", "amt": "1", "u": "m", "bal": "41", "ref": "R1S2"}
	histo := phrase.Fields{
		"d": "28/03", "sgn": "+", "amt": "20", "who": "lena", "d2": "28/03", "sgn2": "-", "amt2": "5", "who2": "yann",
		"bal": "35", "u": "m",
	}
	for _, c := range []struct {
		name, language, key string
		fields              phrase.Fields
		word, want          string
	}{
		{
			"balance without movement", "fr", "solde",
			phrase.Fields{"bal": "50", "u": "m", "who": ""},
			"",
			"Solde: 50 m. AIDE = commandes.",
		},
		{
			"balance with the newest", "fr", "solde",
			phrase.Fields{"bal": "42", "u": "m", "sgn": "+", "amt": "1", "who": "mallory", "d": "28/03"},
			"tulipe",
			"tulipe: Solde: 42 m. Dernier: +1 mallory 28/03. AIDE = commandes.",
		},
		{
			"question", "fr", "confirm",
			phrase.Fields{"amt": "1", "u": "m", "who": "soazig", "ph": "06**56", "code": "173 920", "ttl": "10", "ref": "R1S2"},
			"",
			"Payer 1 m à soazig (06**56) ? Pour OUI répondre 173 920. Sinon NON. Valable 10 min. Ne donnez ce code à personne. Réf R1S2",
		},
		{
			"credit without memo", "fr", "credit", credit, "tulipe",
			"tulipe: mallory (06**66) vous a payé 1 m. Nouveau solde 41 m. Réf R1S2",
		},
		{
			"credit by the association", "fr", "credit.admin",
			phrase.Fields{"asso": "Penn Rustin'", "amt": "20", "u": "m", "memo": "atelier vélo", "bal": "40", "ref": "A1B2"},
			"",
			`Penn Rustin' vous crédite 20 m: "atelier vélo". Nouveau solde 40 m. Réf A1B2`,
		},
		{
			"history of two", "fr", "histo", histo, "",
			"28/03 +20 lena / 28/03 -5 yann / Solde 35 m.",
		},
		{
			"English", "en", "num.fixe",
			phrase.Fields{"num": "0261910012"},
			"",
			"0261910012 is a landline, it cannot read SMS. Use a mobile number (06 or 07) or a @nick.",
		},
		{
			"Breton from its base", "br", "soi", nil, "",
			"Impossible de se payer à soi. Rien n'a été fait.",
		},
	} {
		got, err := load(t).Render(c.language, c.key, c.fields, c.word)
		if got != c.want || err != nil {
			t.Errorf("%s:\ngot  %q, %v\nwant %q", c.name, got, err, c.want)
		}
	}
}

func TestMemosAreQuotedSoThatNobodySpeaksForUs(t *testing.T) {
	b := load(t)
	const quoted, dropped = `. Motif: "`, ""
	for _, c := range []struct{ memo, want string }{
		{"selle vélo", "selle vélo"},
		{"yann vous a payé 500 m. Nouveau solde 700", "yann vous a payé 500"},
		{"une selle de velo de course", "une selle de velo de"},
		{"merci pour la selle et", "merci pour la selle"},
		{"3 pains, 12.50 et 100 de plus", "3 pains, 12.50 et 10"},
		{"Chaîne neuve", "Chaine neuve"},
		{"pour le 28/03", "pour le 28/03"},
		{"velo 🚲 bleu", "velo ? bleu"},
		{"fini...", "fini..."},
		{`x". Nouveau solde 99`, "x'. Nouveau solde 99"},
		{"deux\nlignes", "deux lignes"},
		{"", dropped},
		{"   ", dropped},
		{"http://mal.ex 482913", dropped},
		{"voir https://mal.ex", dropped},
		{"www.mal", dropped},
		{"va sur mal.ex", dropped},
		{"x.fr", dropped},
		{"Mal.EX/abc", dropped},
		{"le code 4829", dropped},
		{"une longue phrase, et loin apres 482913", dropped},
		{"une longue phrase, et loin apres mal.ex", dropped},
		{"le code 482 913", dropped},
	} {
		got, err := b.Render("fr", "credit", phrase.Fields{
			"who": "mallory", "ph": "06**66", "amt": "1", "u": "m", "bal": "41", "ref": "R1S2", "memo": c.memo,
		}, "")
		want := "mallory (06**66) vous a payé 1 m. Nouveau solde 41 m. Réf R1S2"
		if c.want != dropped {
			want += quoted + c.want + `"`
		}
		if got != want || err != nil {
			t.Errorf("memo %q:\ngot  %q, %v\nwant %q", c.memo, got, err, want)
		}
	}
}

func TestARequiredMemoThatMayNotBeQuotedDoesNotStopTheCredit(t *testing.T) {
	f := phrase.Fields{"asso": "Penn Rustin'", "amt": "20", "u": "m", "memo": "atelier 2026", "bal": "40", "ref": "A1B2"}
	got, err := load(t).Render("en", "credit.admin", f, "")
	if want := `Penn Rustin' credits you 20 m: "...". New balance 40 m. Ref A1B2`; got != want || err != nil {
		t.Errorf("got  %q, %v\nwant %q", got, err, want)
	}
}

func TestAnAssociationWithoutHelpNumberStillAnswers(t *testing.T) {
	f := phrase.Fields{"ref": "A1B2", "amt": "20", "u": "m", "help": ""}
	got, err := load(t).Render("en", "litige", f, "")
	if want := "Dispute on ref A1B2: 20 m held on your account while we talk about it. All else works. Call -."; got != want || err != nil {
		t.Errorf("got  %q, %v\nwant %q", got, err, want)
	}
}

func TestWhatDoesNotFitIsLeftOutMemoFirstThenTheLast(t *testing.T) {
	b := load(t, dir("fr.toml", `[texts]
credit = "{who}[[ A{ph}]][[ B{memo}]][[ C{ref}]]"
`))
	wide := func(n int) string { return strings.Repeat("w", n) }
	for _, c := range []struct {
		name             string
		who, memo, other int
		word, want       string
	}{
		{"all fits", 120, 18, 8, "", wide(120) + " A" + wide(8) + " B" + wide(18) + " C" + wide(8)},
		{"all fits but for the word", 120, 18, 8, "tulipe", "tulipe: " + wide(120) + " A" + wide(8) + " C" + wide(8)},
		{"without the memo", 121, 18, 8, "", wide(121) + " A" + wide(8) + " C" + wide(8)},
		{"without the last", 150, 18, 8, "", wide(150) + " A" + wide(8)},
		{"the bare text", 160, 18, 8, "", wide(160)},
	} {
		f := phrase.Fields{"who": wide(c.who), "memo": wide(c.memo), "ph": wide(c.other), "ref": wide(c.other)}
		got, err := b.Render("fr", "credit", f, c.word)
		if got != c.want || err != nil {
			t.Errorf("%s:\ngot  %q, %v\nwant %q", c.name, got, err, c.want)
		}
	}
	if got, err := b.Render("fr", "credit", phrase.Fields{"who": wide(161)}, ""); err == nil {
		t.Errorf("161 characters were rendered: %q", got)
	}
	if got, err := b.Render("fr", "credit", phrase.Fields{"who": wide(153)}, "tulipe"); err == nil {
		t.Errorf("161 characters with the word were rendered: %q", got)
	}
	// Two septets each: as many characters would have fitted.
	if got, err := b.Render("fr", "credit", phrase.Fields{"who": strings.Repeat("€", 81)}, ""); err == nil {
		t.Errorf("162 septets were rendered: %q", got)
	}
}

func TestATextIsNeverHalfFilled(t *testing.T) {
	b := load(t)
	for _, c := range []struct {
		name, language, key string
		fields              phrase.Fields
	}{
		{"no such text", "fr", "solde.nulle.part", nil},
		{"no such language", "zz", "soi", nil},
		{"missing amount", "fr", "insuffisant", phrase.Fields{"bal": "5", "u": "m"}},
		{"empty amount", "fr", "insuffisant", phrase.Fields{"bal": "5", "u": "m", "amt": ""}},
		{"missing reason", "fr", "credit.admin", phrase.Fields{"asso": "a", "amt": "2", "u": "m", "bal": "4", "ref": "A1B2"}},
		{"missing setting", "fr", "litige", phrase.Fields{"ref": "A1B2", "amt": "20", "u": "m"}},
	} {
		if got, err := b.Render(c.language, c.key, c.fields, ""); got != "" || err == nil {
			t.Errorf("%s: Render = %q, %v; want an error alone", c.name, got, err)
		}
	}
}

// Whatever members write, what we send is one SMS in GSM-7 that begins with
// our own words.
func TestAnyNameAndMemoMakeOneSMS(t *testing.T) {
	b := load(t)
	rapid.Check(t, func(t *rapid.T) {
		memo := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z0-9 ."]{0,60}`)).Draw(t, "memo")
		who := rapid.StringN(1, 12, 24).Draw(t, "who") + "w"
		text, err := b.Render("fr", "credit", phrase.Fields{
			"who": who, "ph": "06**66", "amt": "99999", "u": "m", "bal": "999999", "ref": "R1S2", "memo": memo,
		}, "tulipe")
		if err != nil {
			t.Fatal(err)
		}
		if n, _ := sms.Segments(text); n > phrase.MaxSeptets || sms.AlphabetOf(text) != sms.GSM7 || strings.ContainsAny(text, "\r\n\f") {
			t.Fatalf("%q is not one line in one SMS", text)
		}
		if !strings.HasPrefix(text, "tulipe: ") {
			t.Fatalf("%q does not begin with the member's word", text)
		}
		_, rest, _ := strings.Cut(text, "Réf R1S2")
		if n := strings.Count(rest, `"`); n != 0 && n != 2 {
			t.Fatalf("%q has a quotation that ends before our text does", text)
		}
	})
}
