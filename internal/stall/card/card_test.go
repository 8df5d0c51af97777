package card_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"maillon/internal/grammar"
	"maillon/internal/member"
	"maillon/internal/phrase"
	"maillon/internal/poster"
	"maillon/internal/server"
	"maillon/internal/setting"
	"maillon/internal/sms"
	"maillon/internal/stall"
	"maillon/internal/stall/card"
	"maillon/internal/stall/counter"
	"maillon/internal/store"
)

// A market is a stall that sells honey for 12.50, and oil for what is said.
type market struct {
	*testing.T
	*server.Server
	http.Handler
	honey, oil *stall.Template
}

func open(t *testing.T) *market {
	t.Helper()
	book, err := phrase.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	set := setting.Default()
	set.Units[0].Decimals = 2
	s, err := server.Open(t.Context(), server.Config{Path: store.Memory, Secret: store.Secret{1}, Settings: set, Book: book})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	k := &market{T: t, Server: s}
	if s.Posters.Number, err = sms.FromE164("+33639980000"); err != nil {
		t.Fatal(err)
	}
	if k.Handler, err = card.New(s.DB, s.Posters); err != nil {
		t.Fatal(err)
	}
	k.do(func(tx *store.Tx) error {
		number, err := sms.FromE164("+33639980056")
		if err != nil {
			return err
		}
		m := &member.Member{State: member.Active, Number: number, Language: "fr", OpenedAt: tx.Now(), SeenAt: tx.Now()}
		if err := tx.CreateMember(t.Context(), m); err != nil {
			return err
		}
		if err := tx.TakeNick(t.Context(), m, "soazig", time.Time{}); err != nil {
			return err
		}
		if _, err := tx.AccountOf(t.Context(), m.ID, s.Settings.Currency()); err != nil {
			return err
		}
		if k.honey, err = s.Stalls.AddTemplate(t.Context(), tx, "test", stall.Of(m.ID), stall.NewTemplate{Description: "Miel & thym <1 kg>", Amount: 1250}); err != nil {
			return err
		}
		k.oil, err = s.Stalls.AddTemplate(t.Context(), tx, "test", stall.Of(m.ID), stall.NewTemplate{Description: "Huile", Short: "7KQ2"})
		return err
	})
	return k
}

func (k *market) do(do func(tx *store.Tx) error) {
	k.Helper()
	if err := k.DB.Update(k.Context(), do); err != nil {
		k.Fatal(err)
	}
}

// visit opens a page in a browser that wants a language.
func (k *market) visit(path, wants string) (int, string, http.Header) {
	k.Helper()
	r := httptest.NewRequestWithContext(k.Context(), http.MethodGet, path, nil)
	r.Header.Set("Accept-Language", wants)
	w := httptest.NewRecorder()
	k.ServeHTTP(w, r)
	return w.Code, w.Body.String(), w.Header()
}

// sent returns what the button of a page writes, and to whom.
func sent(page string) (number, text string) {
	found := regexp.MustCompile(`href="sms:([+0-9]+)\?body=([^"]+)"`).FindStringSubmatch(html.UnescapeString(page))
	if found == nil {
		return "", ""
	}
	text, err := url.PathUnescape(found[2])
	if err != nil {
		return "", ""
	}
	return found[1], text
}

func TestThePageWritesTheSMSThatPays(t *testing.T) {
	k := open(t)
	code, page, _ := k.visit("/t/"+k.honey.Short, "fr")
	number, text := sent(page)
	if code != http.StatusOK || number != "+33639980000" || text != "VIR "+k.honey.Short {
		t.Errorf("%d, %q to %q\n%s", code, text, number, page)
	}
	for _, part := range []string{"Soazig", "Miel &amp; thym &lt;1 kg&gt;", "12,50 m", "06 39 98 00 00", "Vous recevez un code"} {
		if !strings.Contains(page, part) && !strings.Contains(strings.ToLower(page), strings.ToLower(part)) {
			t.Errorf("no %q in\n%s", part, page)
		}
	}
	k.understands(text, k.honey, "")
	_, page, _ = k.visit("/t/"+strings.ToLower(k.honey.Short), "en-GB")
	_, text = sent(page)
	if text != "PAY "+k.honey.Short || !strings.Contains(page, "12.50 m") {
		t.Errorf("in English: %q\n%s", text, page)
	}
	k.understands(text, k.honey, "")
}

// understands fails unless the grammar reads a text as a payment of a template.
func (k *market) understands(text string, of *stall.Template, amount string) {
	k.Helper()
	book, err := phrase.Shipped()
	if err != nil {
		k.Fatal(err)
	}
	parser, err := server.Parser(book, k.Settings)
	if err != nil {
		k.Fatal(err)
	}
	c, err := parser.Parse(text)
	if err != nil || c.Verb != grammar.Pay || c.Item != of.Short || c.Amount.String() != amount && amount != "" {
		k.Errorf("%q is read as %+v, %v", text, c, err)
	}
}

func TestTheBuyerWritesTheAmountIfItIsNotFixed(t *testing.T) {
	k := open(t)
	_, page, _ := k.visit("/t/7KQ2", "fr")
	if _, text := sent(page); text != "" || !strings.Contains(page, `name="amount"`) {
		t.Errorf("%q before the amount is known\n%s", text, page)
	}
	_, page, _ = k.visit("/t/7KQ2?lang=fr&amount=12,50", "en")
	_, text := sent(page)
	if text != "VIR 7KQ2 12,50" {
		t.Errorf("text %q\n%s", text, page)
	}
	k.understands(text, k.oil, "")
	for _, amount := range []string{"x", "-5", "5 000", "1.234", "12345678", "5%0Avir 9 @x", "<b>"} {
		_, page, _ := k.visit("/t/7KQ2?amount="+url.QueryEscape(amount), "fr")
		if _, text := sent(page); text != "" || !strings.Contains(page, "Écrivez un montant") {
			t.Errorf("amount %q: text %q", amount, text)
		}
	}
}

func TestVisitorsReadTheirOwnLanguage(t *testing.T) {
	k := open(t)
	for wants, has := range map[string]string{
		"fr-FR,fr;q=0.9": `lang="fr" dir="ltr"`, "ar-MA,ar;q=0.9,fr;q=0.5": `lang="ar" dir="rtl"`, "zgh": `lang="zgh" dir="ltr"`,
		"en": `lang="en" dir="ltr"`, "": `lang="fr"`, "ja": `lang="fr"`, ";;;": `lang="fr"`,
	} {
		_, page, header := k.visit("/t/"+k.honey.Short, wants)
		if !strings.Contains(page, "<html "+has) {
			t.Errorf("%q reads %.60s", wants, page)
		}
		if header.Get("Vary") != "Accept-Language" {
			t.Error("a cache would mix the languages up")
		}
	}
	if _, page, _ := k.visit("/t/"+k.honey.Short+"?lang=ar", "fr"); !strings.Contains(page, `dir="rtl"`) {
		t.Error("the link to another language does not lead there")
	}
}

func TestWhatIsNotSoldIsNotFound(t *testing.T) {
	k := open(t)
	k.do(func(tx *store.Tx) error {
		_, err := k.Stalls.EndTemplate(t.Context(), tx, "test", k.oil.Stall, k.oil.ID)
		return err
	})
	for _, path := range []string{"/t/7KQ2", "/t/9ZZ9", "/t/x", "/t/%3Cscript%3E", "/t/" + strings.Repeat("7", 500)} {
		code, page, _ := k.visit(path, "fr")
		if code != http.StatusNotFound || !strings.Contains(page, "Rien n’a été payé") || strings.Contains(page, "sms:") {
			t.Errorf("%s: %d\n%s", path, code, page)
		}
	}
}

// The page loads nothing and runs nothing; its style is the one of the policy.
func TestThePageIsSmallAndRunsNothing(t *testing.T) {
	k := open(t)
	_, page, header := k.visit("/t/"+k.honey.Short, "fr")
	if len(page) > 8<<10 {
		t.Errorf("%d octets", len(page))
	}
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(page)
	sum := sha256.Sum256([]byte(style[1]))
	policy := header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") || !strings.HasPrefix(policy, "default-src 'none'") {
		t.Errorf("policy %q does not let the page's own style in", policy)
	}
	for _, not := range []string{"<script", "src=", "http://", "https://", "onclick"} {
		if strings.Contains(page, not) {
			t.Errorf("%q in the page", not)
		}
	}
}

// What a poster of the template says is what the page says.
func TestThePosterLeadsToThePage(t *testing.T) {
	k := open(t)
	languages, err := poster.ParseLanguages("fr,ar,zgh")
	if err != nil {
		t.Fatal(err)
	}
	size, err := poster.ParseSize("A6")
	if err != nil {
		t.Fatal(err)
	}
	k.do(func(tx *store.Tx) error {
		p, err := k.Posters.Poster(t.Context(), tx, k.honey, counter.Origin("maillon.example", true), languages)
		if err != nil {
			return err
		}
		if p.URL != "https://maillon.example/t/"+k.honey.Short || p.Text != "VIR "+k.honey.Short || p.Price != "12,50 m" || p.Numbers[0] != "06 39 98 00 00" {
			t.Errorf("%+v", p)
		}
		scene, err := k.Posters.Draw(t.Context(), p, size)
		if err != nil {
			return err
		}
		var out bytes.Buffer
		if err := scene.SVG(&out); err != nil {
			return err
		}
		if err := xml.NewDecoder(&out).Decode(new(struct{})); err != nil && !errors.Is(err, io.EOF) {
			t.Errorf("no picture: %v", err)
		}
		return nil
	})
	k.Posters.Number = sms.Number{}
	k.do(func(tx *store.Tx) error {
		if _, err := k.Posters.Poster(t.Context(), tx, k.honey, "https://maillon.example", languages); !errors.Is(err, counter.ErrNumber) {
			t.Errorf("without a number: %v, want ErrNumber", err)
		}
		return nil
	})
	if _, page, _ := k.visit("/t/"+k.honey.Short, "fr"); strings.Contains(page, "sms:") {
		t.Error("an SMS to nobody")
	}
}
