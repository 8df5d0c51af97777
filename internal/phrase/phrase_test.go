package phrase_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/BurntSushi/toml"

	"maillon/internal/money"
	"maillon/internal/phrase"
)

func load(t *testing.T, dirs ...fs.FS) *phrase.Book {
	t.Helper()
	b, err := phrase.Load(true, dirs...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func dir(name, text string) fstest.MapFS {
	return fstest.MapFS{name: {Data: []byte(text)}}
}

// specified returns the replies of the specification, by language and key.
func specified(t *testing.T) map[string]map[string]string {
	t.Helper()
	table, err := os.ReadFile(filepath.Join("..", "..", "testdata", "spec", "replies.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]map[string]string{"fr": {}, "en": {}}
	for line := range strings.Lines(string(table)) {
		key, text, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		language, key, dotted := strings.Cut(key, ".")
		if !ok || !dotted || texts[language] == nil {
			t.Fatalf("replies.tsv: %q is no line of it", line)
		}
		texts[language][key] = text
	}
	return texts
}

func TestTextsAreTheRepliesOfTheSpecificationWordForWord(t *testing.T) {
	for language, want := range specified(t) {
		var file struct {
			Texts map[string]string `toml:"texts"`
		}
		if _, err := toml.DecodeFile(filepath.Join("languages", language+".toml"), &file); err != nil {
			t.Fatal(err)
		}
		for key, text := range want {
			if got := file.Texts[key]; got != text {
				t.Errorf("%s.%s = %q\nwant %q", language, key, got, text)
			}
		}
		for key := range file.Texts {
			if _, ok := want[key]; !ok && !ours(key) {
				t.Errorf("%s.%s is not in replies.tsv", language, key)
			}
		}
	}
}

// ours reports whether a text is none of the conversation's: the name of who has
// left, and what merchants and gateways say, whose words are in no table.
func ours(key string) bool {
	word, _, _ := strings.Cut(key, ".")
	return key == "compte.efface" || slices.Contains([]string{"marchand", "etal", "mail"}, word)
}

// The table of verbs, as the specification has it.
var verbs = map[string]map[string]string{
	"fr": {
		"balance": "solde, sold, s, combien",
		"pay":     "vir, virer, virement, v, payer, paye, paie, envoyer, envoie, donner, donne, transfert",
		"ask":     "demande, demander, d, facture", "yes": "oui, o, ok, confirme, valide", "no": "non, n, refus, refuse",
		"cancel": "annule, annuler, annulation, erreur", "refund": "rends, rendre, rembourse",
		"history": "histo, historique, relevé, h", "nick": "pseudo, surnom", "help": "aide, ?, info, menu",
		"lang": "langue", "word": "mot", "mail": "mail, courriel, email, mél", "fraud": "vol, fraude", "lost": "perdu, volé", "card": "carte",
		"block": "bloque, bloquer", "unblock": "débloque, débloquer", "verify": "vérif, vérifie", "till": "caisse",
		"stop": "stop, arrêt", "start": "reprendre", "close": "fermer", "voucher": "bon", "redeem": "encaisse",
		"admin.credit": "crédite, créditer", "admin.freeze": "gèle, geler", "admin.unfreeze": "dégèle, dégeler",
		"admin.pause": "pause", "admin.state": "état", "silence": "merci, super, parfait, trugarez",
	},
	"en": {
		"balance": "balance, bal, b", "pay": "pay, p, send", "ask": "ask, request, r", "yes": "yes, y", "no": "no",
		"cancel": "cancel", "refund": "refund", "history": "history, sta", "nick": "nick", "help": "help", "lang": "lang",
		"word": "word", "mail": "mail, email", "fraud": "fraud", "lost": "lost, stolen", "card": "card", "block": "block", "unblock": "unblock",
		"verify": "verify, check", "till": "till", "stop": "stop", "start": "start", "close": "close", "voucher": "voucher",
		"redeem": "redeem", "admin.credit": "credit", "admin.freeze": "freeze", "admin.unfreeze": "unfreeze",
		"admin.pause": "pause", "admin.state": "state", "silence": "thanks",
	},
}

func TestVerbsAreThoseOfTheSpecification(t *testing.T) {
	b := load(t)
	for language, want := range verbs {
		got := b.Words(language).Verbs
		for verb, words := range want {
			if g := strings.Join(got[verb], ", "); g != words {
				t.Errorf("%s: %s = %s; want %s", language, verb, g, words)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: verbs %v; want %v", language, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
		}
	}
}

func TestKeysReachEverySlot(t *testing.T) {
	b := load(t)
	for _, c := range []struct{ language, slot, word string }{
		{"fr", "pay", "vir"},
		{"fr", "ask", "demande"},
		{"fr", "number", "num"},
		{"fr", "number", "tel"},
		{"fr", "to", "à"},
		{"fr", "to", "pour"},
		{"fr", "memo", "motif"},
		{"fr", "amount", "montant"},
		{"fr", "nick", "pseudo"},
		{"fr", "code", "code"},
		{"fr", "ref", "ref"},
		{"en", "pay", "pay"},
		{"en", "ask", "ask"},
		{"en", "to", "to"},
		{"en", "amount", "amount"},
		{"en", "memo", "note"},
		{"en", "nick", "nick"},
		{"en", "code", "code"},
		{"en", "ref", "ref"},
	} {
		if words := b.Words(c.language).Keys[c.slot]; !slices.Contains(words, c.word) {
			t.Errorf("%s: %s = %q, without %s=", c.language, c.slot, words, c.word)
		}
	}
}

func TestCallersCannotChangeTheBook(t *testing.T) {
	b := load(t)
	w := b.Words("fr")
	w.Verbs["pay"][0] = "x"
	delete(w.Verbs, "help")
	w.Small[0] = "x"
	if again := b.Words("fr"); again.Verbs["pay"][0] != "vir" || again.Verbs["help"] == nil || again.Small[0] != "à" {
		t.Errorf("Words(fr) = %v after a caller changed his own", again)
	}
}

func TestNumbersAndDates(t *testing.T) {
	b := load(t, dir("us.toml", "base = \"en\"\n[dates]\norder = \"month/day\"\n"))
	heure := money.Currency{Code: "HEURE", Decimals: 2}
	for _, c := range []struct {
		language string
		minor    int64
		want     string
	}{
		{"fr", 1250, "12,50"},
		{"en", 1250, "12.50"},
		{"br", 1250, "12,50"},
		{"us", 1205, "12.05"},
		{"fr", 1200, "12"},
		{"fr", 0, "0"},
		{"fr", 5, "0,05"},
		{"fr", -1250, "-12,50"},
		{"fr", 123456700, "1234567"},
		{"zz", 1250, "12,50"},
	} {
		if got := b.Amount(c.language, money.New(c.minor, heure)); got != c.want {
			t.Errorf("Amount(%s, %d) = %q, want %q", c.language, c.minor, got, c.want)
		}
	}
	if got := b.Amount("fr", money.New(50, money.Currency{Code: "MAILLON"})); got != "50" {
		t.Errorf("50 maillons are %q", got)
	}
	at := time.Date(2026, time.March, 28, 14, 2, 59, 0, time.UTC)
	for language, want := range map[string]string{"fr": "28/03", "en": "28/03", "br": "28/03", "us": "03/28"} {
		if got := b.Date(language, at); got != want {
			t.Errorf("Date(%s) = %q, want %q", language, got, want)
		}
	}
	if got := b.Clock("fr", at); got != "14:02" {
		t.Errorf("Clock = %q", got)
	}
	for language, want := range map[string]string{"fr": "mars", "en": "March", "br": "mars"} {
		if got := b.Month(language, at.Month()); got != want {
			t.Errorf("Month(%s) = %q, want %q", language, got, want)
		}
	}
}

func TestLanguagesComeWithTheReferenceFirst(t *testing.T) {
	b := load(t, fstest.MapFS{"de.toml": {Data: []byte(`base = "en"`)}, "README.txt": {Data: []byte("not a language")}})
	if got := strings.Join(b.Languages(), " "); got != "fr en br de" {
		t.Errorf("Languages() = %s", got)
	}
}

func TestAnAssociationEditsOneText(t *testing.T) {
	b := load(t, dir("fr.toml", "[texts]\ndecimal = \"La {unit} ne se coupe pas. {n} ou {n2} ?\"\n[verbs]\nhelp = [\"aide\", \"secours\"]\n"))
	f := phrase.Fields{"unit": "graine", "n": "12", "n2": "13"}
	got, err := b.Render("fr", "decimal", f, "")
	if want := "La graine ne se coupe pas. 12 ou 13 ?"; got != want || err != nil {
		t.Errorf("decimal = %q, %v; want %q", got, err, want)
	}
	got, err = b.Render("fr", "soi", nil, "")
	if want := "Impossible de se payer à soi. Rien n'a été fait."; got != want || err != nil {
		t.Errorf("soi = %q, %v; want %q", got, err, want)
	}
	w := b.Words("fr").Verbs
	if !slices.Equal(w["help"], []string{"aide", "secours"}) || !slices.Contains(w["pay"], "virer") {
		t.Errorf("help = %q, pay = %q", w["help"], w["pay"])
	}
	for _, p := range b.Lint(phrase.DefaultLimits()) {
		t.Errorf("lint: %v", p)
	}
	if got, err = b.Render("br", "decimal", f, ""); !strings.HasPrefix(got, "La graine") {
		t.Errorf("Breton, whose base is French, says %q, %v", got, err)
	}
}

func TestWithoutTheShippedFilesTheReferenceMustBeThere(t *testing.T) {
	if _, err := phrase.Load(false, dir("en.toml", `name = "English"`)); err == nil {
		t.Error("loaded without French")
	}
	own := os.DirFS("languages")
	b, err := phrase.Load(false, own)
	if err != nil {
		t.Fatal(err)
	}
	if got := b.Languages(); !slices.Equal(got, []string{"fr", "en", "br"}) {
		t.Errorf("Languages() = %q", got)
	}
}

func TestFilesThatCannotBeReadAreNamed(t *testing.T) {
	for _, c := range []struct{ name, file, text, want string }{
		{"not TOML", "en.toml", "name = \n", "en.toml: line 1"},
		{"unknown table", "en.toml", "\n[template]\nsolde = \"x\"\n", "en.toml: line 2: template"},
		{"unknown key", "en.toml", "[dates]\norder = \"day/month\"\nera = \"AD\"\n", "en.toml: line 3: dates.era"},
		{"text of a wrong type", "en.toml", "[texts]\nsolde = 5\n", "en.toml: "},
		{"brace that stays open", "en.toml", "[texts]\n\nsolde = \"Balance: {bal\"\n", "en.toml: line 3: texts.solde"},
		{"brace that was not opened", "en.toml", "[texts]\nsolde = \"bal}\"\n", "en.toml: line 2: texts.solde"},
		{"no placeholder", "en.toml", "[texts]\n\"code.rien\" = \"{the balance}\"\n", "en.toml: line 2: texts.code.rien"},
		{"bracket that stays open", "en.toml", "[texts]\nsolde = \"a [[ b\"\n", "texts.solde"},
		{"bracket that was not opened", "en.toml", "[texts]\nsolde = \"a ]] b\"\n", "texts.solde"},
		{"bracket in a bracket", "en.toml", "[texts]\nsolde = \"[[ a [[ b ]] ]]\"\n", "texts.solde"},
		{"empty text", "en.toml", "[texts]\nsolde = \"\"\n", "texts.solde"},
		{"endless text", "en.toml", "[texts]\nsolde = \"" + strings.Repeat("a", 1001) + "\"\n", "texts.solde"},
		{"endless file", "en.toml", strings.Repeat("# a\n", 100_000), "en.toml: longer"},
		{"eleven months", "en.toml", "[dates]\nmonths = [\"a\"]\n", "en.toml: dates.months"},
		{"strange decimal", "en.toml", "[numbers]\ndecimal = \";\"\n", "en.toml: numbers.decimal"},
		{"strange order", "en.toml", "[dates]\norder = \"year\"\n", "en.toml: dates.order"},
		{"empty word", "en.toml", "[verbs]\npay = [\"\"]\n", "en.toml: verbs.pay"},
		{"strange name", "English.toml", "", "English.toml"},
		{"base that is not there", "de.toml", "base = \"nl\"\n", "de.toml: base"},
		{"base of a base", "de.toml", "base = \"br\"\n", "de.toml: base"},
	} {
		_, err := phrase.Load(true, dir(c.file, c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: Load = %v; want %q", c.name, err, c.want)
		}
	}
	if _, err := phrase.Load(true, os.DirFS(filepath.Join(t.TempDir(), "nowhere"))); err == nil {
		t.Error("a directory that is not there was loaded")
	}
}
