package phrase_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"maillon/internal/phrase"
	"maillon/internal/sms"
)

func TestShippedLanguagesKeepTheirPromises(t *testing.T) {
	for _, p := range load(t).Lint(phrase.DefaultLimits()) {
		t.Errorf("%v", p)
	}
}

func TestLintRefuses(t *testing.T) {
	for _, c := range []struct{ name, file, text, want string }{
		{"a verb that means two things in its file", "en.toml", "[verbs]\nask = [\"pay\"]\n", "en.toml"},
		{"a verb that another language has", "de.toml", "base = \"fr\"\n[verbs]\nno = [\"sold\"]\n", "de.toml:3: verbs.no: \"sold\" already means balance (fr.toml"},
		{"a verb that accents alone tell apart", "de.toml", "base = \"fr\"\n[verbs]\nno = [\"sôld\"]\n", "de.toml:3: verbs.no"},
		{"an unknown verb", "en.toml", "[verbs]\nsing = [\"sing\"]\n", "en.toml:2: verbs.sing: unknown"},
		{"a verb in capitals", "en.toml", "[verbs]\nhelp = [\"Help\"]\n", "en.toml:2: verbs.help"},
		{"a verb of two words", "en.toml", "[verbs]\nhelp = [\"help me\"]\n", "en.toml:2: verbs.help"},
		{"a sign for a verb", "en.toml", "[verbs]\npay = [\"?\"]\n", "en.toml:2: verbs.pay"},
		{"a verb without words", "en.toml", "[verbs]\ntill = []\n", "en.toml:2: verbs.till: missing"},
		{"a key that means two slots", "en.toml", "[keys]\nmemo = [\"montant\"]\n", "en.toml:2: keys.memo"},
		{"an unknown slot", "en.toml", "[keys]\ncolour = [\"colour\"]\n", "en.toml:2: keys.colour: unknown"},
		{"a missing text", "de.toml", "name = \"Deutsch\"\n", "de.toml: texts.solde: missing"},
		{"missing habits", "de.toml", "name = \"Deutsch\"\n", "de.toml: dates.months: missing"},
		{"an unknown text", "en.toml", "[texts]\nsoldes = \"x\"\n", "en.toml:2: texts.soldes: unknown text"},
		{"an unknown text of the reference", "fr.toml", "[texts]\nsoldes = \"x\"\n", "fr.toml:2: texts.soldes: unknown text"},
		{"a placeholder that is not given", "en.toml", "[texts]\nsoi = \"No, {who}.\"\n", "en.toml:2: texts.soi: {who} is not allowed here"},
		{"the same in the reference", "fr.toml", "[texts]\nsoi = \"Non, {who}.\"\n", "fr.toml:2: texts.soi: {who} is not allowed here"},
		{"a placeholder that may be empty", "en.toml", "[texts]\nsolde = \"{bal} {u} {who}\"\n", "en.toml:2: texts.solde: {who} may be empty"},
		{"a question without its code", "en.toml", "[texts]\nrends = \"Give back {amt} {u} to {who} (ref {ref})?\"\n", "en.toml:2: texts.rends: {code} is missing"},
		{"a character outside GSM-7", "fr.toml", "[texts]\nsoi = \"Ça, vous avez reçu\"\n", "fr.toml:2: texts.soi: 'ç' is not in GSM-7"},
		{"a curly quote", "fr.toml", "[texts]\nsoi = \"l’autre\"\n", "fr.toml:2: texts.soi"},
		{"a month that cannot be sent", "en.toml", "[dates]\nmonths = [\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\",\"j\",\"k\",\"ł\"]\n", "en.toml:2: dates.months"},
		{"a text that is too long", "en.toml", "[texts]\nsoi = \"" + strings.Repeat("a", 153) + "\"\n", "en.toml:2: texts.soi: 153 characters"},
		{"a text that is too long once filled", "en.toml", "[texts]\nsolde = \"" + strings.Repeat("a", 147) + "{bal}\"\n", "en.toml:2: texts.solde: 153 characters"},
		{"two septets counted as one", "en.toml", "[texts]\nsoi = \"" + strings.Repeat("€", 77) + "\"\n", "en.toml:2: texts.soi: 154 characters"},
	} {
		problems := load(t, dir(c.file, c.text)).Lint(phrase.DefaultLimits())
		if !mentions(problems, c.want) {
			t.Errorf("%s: Lint = %v; want %q", c.name, problems, c.want)
		}
	}
}

func mentions(problems []phrase.Problem, want string) bool {
	for _, p := range problems {
		if strings.Contains(p.String(), want) {
			return true
		}
	}
	return false
}

func TestLintAllows(t *testing.T) {
	for _, c := range []struct{ name, file, text string }{
		{"the same word for the same verb", "de.toml", "base = \"en\"\n[verbs]\nstop = [\"stop\"]\n"},
		{"less than the reference says", "en.toml", "[texts]\ndebit = \"Paid.\"\n"},
		{"the house everywhere", "en.toml", "[texts]\nsoi = \"Not yourself. {asso}, {desk}, {hours}, {help}\"\n"},
		{"a text of just the length", "en.toml", "[texts]\nsoi = \"" + strings.Repeat("a", 152) + "\"\n"},
		{"what is left out anyway", "en.toml", "[texts]\nsolde = \"{bal}[[" + strings.Repeat("a", 160) + "]]\"\n"},
		{"an accent written in two characters", "fr.toml", "[texts]\nsoi = \"Paye\u0301\"\n"},
	} {
		for _, p := range load(t, dir(c.file, c.text)).Lint(phrase.DefaultLimits()) {
			t.Errorf("%s: %v", c.name, p)
		}
	}
}

// A name that fits one association's texts may be too long for another's.
func TestLintMeasuresTheSettingsOfThisServer(t *testing.T) {
	limits := phrase.DefaultLimits()
	limits.House["en"]["asso"] = strings.Repeat("w", 60)
	problems := load(t).Lint(limits)
	if !mentions(problems, "texts.bienvenue: ") {
		t.Fatalf("Lint = %v; want the welcome to be too long", problems)
	}
	for _, p := range problems {
		if p.File != "en.toml" || p.Line == 0 {
			t.Errorf("%v is not about a line of English", p)
		}
	}
}

// What lint lets pass can be said: each text, filled as widely as lint was
// told and after the longest word, is one SMS.
func TestWhatLintLetsPassIsOneSMS(t *testing.T) {
	b, limits := load(t), phrase.DefaultLimits()
	for language, texts := range specified(t) {
		f := phrase.Fields{"month": "septembre", "state": "SILENT", "what": "FRAUD reported"}
		for name, v := range limits.Widest {
			f[name] = v
		}
		for name, v := range limits.House[language] {
			f[name] = v
		}
		for key := range texts {
			text, err := b.Render(language, key, f, "tulipe")
			if n, _ := sms.Segments(text); err != nil || n > phrase.MaxSeptets || sms.AlphabetOf(text) != sms.GSM7 {
				t.Errorf("%s.%s: %q, %v", language, key, text, err)
			}
		}
	}
}

// No file brings the program down, and what lint lets pass can be rendered.
func FuzzLoad(f *testing.F) {
	f.Add("name = \"x\"\n[texts]\nsolde = \"{bal} {u}[[ {who}]]\"\n")
	f.Add("base = \"en\"\n[verbs]\npay = [\"vir\"]\n[dates]\norder = \"month/day\"\n")
	f.Add("[texts]\n\"code.rien\" = \"[[{memo}]] ]\"\n[keys]\nto = [\"à\"]\n")
	limits := phrase.DefaultLimits()
	fields := phrase.Fields{}
	for name, v := range limits.Widest {
		fields[name] = v
	}
	for name, v := range limits.House["fr"] {
		fields[name] = v
	}
	f.Fuzz(func(t *testing.T, text string) {
		b, err := phrase.Load(false, fstest.MapFS{"fr.toml": {Data: []byte(text)}})
		if err != nil {
			return
		}
		problems := b.Lint(limits)
		out, err := b.Render("fr", "solde", fields, "tulipe")
		if err != nil && !mentions(problems, "texts.solde") {
			t.Errorf("lint has nothing to say about solde, yet %v", err)
		}
		if n, _ := sms.Segments(out); n > phrase.MaxSeptets || sms.AlphabetOf(out) != sms.GSM7 {
			t.Errorf("%q is not one SMS", out)
		}
	})
}
