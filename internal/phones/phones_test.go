package phones_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"maillon/internal/member"
	"maillon/internal/phones"
	"maillon/internal/sms"
)

// get returns the page as somebody on this machine sees it.
func (v *village) get(path string, header ...string) *httptest.ResponseRecorder {
	return v.ask(httptest.NewRequest(http.MethodGet, "http://localhost:8080"+path, nil), header)
}

// post sends a form of the page.
func (v *village) post(path string, form url.Values, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "http://localhost:8080"+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return v.ask(r, header)
}

func (v *village) ask(r *http.Request, header []string) *httptest.ResponseRecorder {
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	v.page.ServeHTTP(w, r)
	return w
}

var handsets = regexp.MustCompile(`<article class="handset" id="(\w+)"`)

// ids returns how the page names its phones, in order.
func (v *village) ids() []string {
	var ids []string
	for _, found := range handsets.FindAllStringSubmatch(v.get("/").Body.String(), -1) {
		ids = append(ids, found[1])
	}
	return ids
}

// shown returns the text of the page without its escapes.
func shown(w *httptest.ResponseRecorder) string {
	return strings.ReplaceAll(html.UnescapeString(w.Body.String()), "\u00a0", " ")
}

func wants(t *testing.T, page string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(page, want) {
			t.Errorf("%q is not on the page", want)
		}
	}
}

func TestThePageShowsPhonesAndLedger(t *testing.T) {
	v := newVillage(t, phones.Options{})
	w := v.get("/")
	if w.Code != http.StatusOK || len(v.ids()) != 5 {
		t.Fatalf("status %d, %d phones", w.Code, len(v.ids()))
	}
	wants(t, shown(w), `<html lang="fr">`, ">yann<", "06 39 98 00 12", "membre · 120 m", "sans compte", "1\u202f200 m",
		`value="vir 5 @lena"`, `value="vir=10 num=0639980090"`, "Penn Rustin'", "06 39 98 00 00", "−1\u202f435 m", "<td>0 m</td>")
}

func TestItSpeaksTheLanguageOfItsReader(t *testing.T) {
	v := newVillage(t, phones.Options{})
	for _, test := range []struct{ path, accept, want string }{
		{"/", "", "fr"},
		{"/", "de-DE, *;q=0.1", "fr"},
		{"/", "\x00", "fr"},
		{"/", "en-GB,en;q=0.9,fr;q=0.8", "en"},
		{"/?lang=en", "fr", "en"},
		{"/?lang=fr", "en", "fr"},
		{"/?lang=xx", "en", "en"},
	} {
		if page := v.get(test.path, "Accept-Language", test.accept).Body.String(); !strings.Contains(page, `<html lang="`+test.want+`">`) {
			t.Errorf("%s, Accept-Language %q: not in %q", test.path, test.accept, test.want)
		}
	}
	wants(t, shown(v.get("/?lang=en")), "1,200 m", `value="pay 5 @lena"`)
}

func TestATextIsSentByAForm(t *testing.T) {
	v := newVillage(t, phones.Options{})
	yann := v.ids()[0]
	w := v.post("/text?lang=en", url.Values{"phone": {yann}, "text": {"solde"}})
	if to := w.Header().Get("Location"); w.Code != http.StatusSeeOther || to != "/?lang=en#"+yann {
		t.Fatalf("status %d to %q", w.Code, to)
	}
	wants(t, shown(v.get("/")), `class="mine"><p>solde</p>`, "Solde: 120 m.")
	w = v.post("/text", url.Values{"phone": {yann}, "text": {"vir 5 @lena"}}, "Phones-Script", "1")
	if w.Code != http.StatusOK || w.Body.String() != yann {
		t.Errorf("the script is answered %d %q", w.Code, w.Body)
	}
	wants(t, shown(v.get("/")), `value="482 913"`, "Répondre 482 913", `value="NON"`)
	v.post("/text", url.Values{"phone": {yann}, "text": {"482 913"}})
	wants(t, shown(v.get("/")), "yann <span class=\"arrow\">→</span> lena", "paiement K7F2 · œufs", "membre · 115 m", "membre · 50 m", "<td>0 m</td>")
}

// A refused text is told where it was written, and is still there.
func TestWhatCannotBeSentIsTold(t *testing.T) {
	for name, test := range map[string]struct {
		text   string
		fault  error
		status int
		want   string
	}{
		"nothing":  {" \n", nil, http.StatusUnprocessableEntity, "Écrivez d'abord un message."},
		"too long": {strings.Repeat("vir ", 300), nil, http.StatusUnprocessableEntity, "trop long pour un SMS"},
		"too big":  {strings.Repeat("a", 1<<20), nil, http.StatusRequestEntityTooLarge, "C'est trop pour un SMS."},
		"later":    {"solde", fmt.Errorf("commit: %w", sms.ErrLater), http.StatusServiceUnavailable, "rien n'a été fait"},
	} {
		v := newVillage(t, phones.Options{})
		form := url.Values{"phone": {v.ids()[0]}, "text": {test.text}}
		v.fail(test.fault)
		w := v.post("/text", form, "Phones-Script", "1")
		if w.Code != test.status || !strings.Contains(w.Body.String(), test.want) {
			t.Errorf("%s: %d %q", name, w.Code, w.Body)
		}
		v.fail(nil)
		if v.texts() != 0 {
			t.Errorf("%s: was sent", name)
		}
	}
	v := newVillage(t, phones.Options{})
	long := strings.Repeat("vir ", 300)
	w := v.post("/text", url.Values{"phone": {v.ids()[0]}, "text": {long}})
	if w.Code != http.StatusUnprocessableEntity {
		t.Errorf("status %d", w.Code)
	}
	wants(t, shown(w), "trop long pour un SMS", `value="`+long+`"`)
	if w := v.post("/text", url.Values{"phone": {"p0000000000000000"}, "text": {"solde"}}); w.Code != http.StatusNotFound {
		t.Errorf("unknown phone: %d", w.Code)
	}
	if w := v.ask(httptest.NewRequest(http.MethodPost, "http://localhost/text?x=%zz", strings.NewReader("%zz")), []string{"Content-Type", "application/x-www-form-urlencoded"}); w.Code != http.StatusBadRequest {
		t.Errorf("no form: %d", w.Code)
	}
}

// What goes wrong is logged once, with the reference that its reader sees, and
// without number or text.
func TestAFaultHasAReference(t *testing.T) {
	var out bytes.Buffer
	v := newVillage(t, phones.Options{Log: slog.New(slog.NewTextHandler(&out, nil))})
	form := url.Values{"phone": {v.ids()[0]}, "text": {"vir 77 @lena"}}
	v.fail(errors.New("disk on fire"))
	w := v.post("/text", form, "Phones-Script", "1")
	reference := regexp.MustCompile(`Référence (\w{8})\.`).FindStringSubmatch(w.Body.String())
	if w.Code != http.StatusInternalServerError || reference == nil {
		t.Fatalf("%d %q", w.Code, w.Body)
	}
	if log := out.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, reference[1]) || !strings.Contains(log, "disk on fire") {
		t.Errorf("logged:\n%s", log)
	}
	for _, secret := range []string{"vir 77", "39980012", "980012"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
}

func TestAnotherPhoneIsPutOnTheTable(t *testing.T) {
	v := newVillage(t, phones.Options{})
	w := v.post("/phone", url.Values{"number": {"+33 (0)6.39.98.00.77"}})
	if w.Code != http.StatusSeeOther {
		t.Fatalf("status %d", w.Code)
	}
	ids := v.ids()
	if len(ids) != 6 || w.Header().Get("Location") != "/?lang=fr#"+ids[5] {
		t.Fatalf("%d phones, to %q", len(ids), w.Header().Get("Location"))
	}
	v.post("/text", url.Values{"phone": {ids[5]}, "text": {"bonjour"}})
	wants(t, shown(v.get("/")), `class="mine"><p>bonjour</p>`)
	for _, no := range []string{"", "solde", "0298000001", "0639", "36000", strings.Repeat("06", 100)} {
		w := v.post("/phone", url.Values{"number": {no}})
		if w.Code != http.StatusUnprocessableEntity || !strings.Contains(shown(w), "numéro de mobile") && no != "" {
			t.Errorf("%q: status %d", no, w.Code)
		}
	}
}

// The newest few are shown; a phone that went can still be written on by who
// has it on his page.
func TestTheTableIsBounded(t *testing.T) {
	v := newVillage(t, phones.Options{})
	for i := range 200 {
		v.post("/phone", url.Values{"number": {fmt.Sprintf("06399811%02d", i%100)}})
		v.page.Ring(number(t, "+33639980012"))
	}
	if ids := v.ids(); len(ids) != 5+phones.MaxGuests {
		t.Errorf("%d phones", len(ids))
	}
	wants(t, shown(v.get("/")), "06 39 98 11 99", "06 39 98 11 96")
	first := v.ids()[5]
	v.page.Ring(number(t, "+33639989999"))
	wants(t, shown(v.get("/")), "06 39 98 99 99")
	if w := v.post("/text", url.Values{"phone": {first}, "text": {"bonjour"}}); w.Code != http.StatusSeeOther {
		t.Errorf("a phone that went: %d", w.Code)
	}
}

func TestACodeIsSuggestedOnlyWhereItIsAsked(t *testing.T) {
	for _, test := range []struct{ text, code string }{
		{"Payer 5 m à lena (06**34) ? Pour OUI répondre 482 913. Sinon NON.", "482 913"},
		{"Pay 5 m to lena? For YES reply 482 913. Else NO.", "482 913"},
		{"Payer 5 m ? Répondre 4829. Sinon NON", "4829"},
		{"En attente: 5 m à lena, répondre 482 913 ou NON.", "482 913"},
		{"Solde: 482 913 m. AIDE = commandes.", ""},
		{"0639980090 n'a pas de compte.", ""},
		{"Pour valider il faut le code: répondre le code de 6 chiffres.", ""},
	} {
		v := newVillage(t, phones.Options{})
		v.mu.Lock()
		v.say(v.order[0], test.text)
		v.mu.Unlock()
		page := shown(v.get("/"))
		if got := strings.Contains(page, `class="answer"`); got != (test.code != "") {
			t.Errorf("%q: answers suggested: %v", test.text, got)
		}
		if test.code != "" && !strings.Contains(page, `name="text" value="`+test.code+`"`) {
			t.Errorf("%q: %q is not suggested", test.text, test.code)
		}
	}
}

func TestExamplesSuitTheOwner(t *testing.T) {
	for _, test := range []struct {
		known phones.Phone
		want  string
	}{
		{phones.Phone{State: member.New, Balance: m(5)}, `value="pseudo zoe"`},
		{phones.Phone{State: member.Staff, Name: "annaig"}, `value="crédite 20 @lena atelier"`},
		{phones.Phone{}, `value="aide"`},
	} {
		v := newVillage(t, phones.Options{})
		v.known[v.order[0]] = &test.known
		wants(t, shown(v.get("/")), test.want)
	}
}

func TestNothingComesFromElsewhereAndNoNumberIsInAnAddress(t *testing.T) {
	v := newVillage(t, phones.Options{})
	w := v.get("/")
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cache-Control": "no-store", "Cross-Origin-Resource-Policy": "same-origin",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	policy := w.Header().Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "http") {
		t.Errorf("Content-Security-Policy: %q", policy)
	}
	page := w.Body.String()
	for _, inline := range []string{"<style", " style=", " onclick=", "javascript:", "<script>", "http://", "https://"} {
		if strings.Contains(page, inline) {
			t.Errorf("%q is on the page", inline)
		}
	}
	for _, address := range regexp.MustCompile(`(?:href|src|action|id|data-stream)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if regexp.MustCompile(`06 ?39|6399800`).MatchString(address[1]) {
			t.Errorf("a number is in %q", address[1])
		}
	}
	for _, asset := range []string{"/phones.css", "/phones.js", "/phones.svg"} {
		w := v.get(asset)
		if body := strings.ReplaceAll(w.Body.String(), "http://www.w3.org/2000/svg", ""); w.Code != http.StatusOK || strings.Contains(body, "http") || strings.Contains(body, "@import") {
			t.Errorf("%s: status %d, or not by itself", asset, w.Code)
		}
	}
	if w := v.get("/page.html"); w.Code != http.StatusNotFound {
		t.Errorf("the template is served: %d", w.Code)
	}
}

func TestItAnswersOnlyToNamesOfThisMachine(t *testing.T) {
	v := newVillage(t, phones.Options{AllowHosts: []string{"Maillon.example"}})
	for host, want := range map[string]int{
		"localhost": 200, "LOCALHOST:8080": 200, "127.0.0.1:8080": 200, "127.1.2.3": 200, "[::1]:8080": 200, "maillon.example:443": 200,
		"evil.example": 421, "evil.example:8080": 421, "192.168.1.4:8080": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example": 421, "": 421, "0.0.0.0:80": 421,
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = host
		if w := v.ask(r, nil); w.Code != want {
			t.Errorf("host %q: status %d, want %d", host, w.Code, want)
		}
	}
}

func TestAnotherSiteCannotText(t *testing.T) {
	v := newVillage(t, phones.Options{})
	form := url.Values{"phone": {v.ids()[0]}, "text": {"vir 50 @mallory"}}
	for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Sec-Fetch-Site", "", "Origin", "https://evil.example"}} {
		if w := v.post("/text", form, header...); w.Code != http.StatusForbidden {
			t.Errorf("%q: status %d", header, w.Code)
		}
	}
	if w := v.get("/live", "Sec-Fetch-Site", "cross-site"); w.Code != http.StatusForbidden {
		t.Errorf("a stream for another site: %d", w.Code)
	}
	if v.texts() != 0 {
		t.Error("it texted")
	}
	if w := v.get("/text?phone=" + form.Get("phone") + "&text=solde"); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET /text: %d", w.Code)
	}
}

// What others write on their phones is text, never part of the page.
func TestTextsAreEscaped(t *testing.T) {
	v := newVillage(t, phones.Options{})
	v.post("/text", url.Values{"phone": {v.ids()[0]}, "text": {`</p><script>alert(1)</script>` + "\r\n\xff"}})
	page := v.get("/").Body.String()
	if strings.Contains(page, "<script>alert") {
		t.Error("a text became part of the page")
	}
	wants(t, page, "&lt;script&gt;alert(1)&lt;/script&gt;", "\uFFFD")
}

// A thread and a ledger that grow without end do not make the page do so.
func TestThePageIsBounded(t *testing.T) {
	v := newVillage(t, phones.Options{})
	for i := range 1000 {
		v.put(v.order[0], phones.Bubble{Text: fmt.Sprintf("message-%d.", i), At: time.Now()})
		v.pay(v.order[0])
	}
	page := v.get("/").Body.String()
	if n := strings.Count(page, `class="theirs"`); n > 2*phones.MaxBubbles {
		t.Errorf("%d bubbles", n)
	}
	if n := strings.Count(page, `class="way"`); n != phones.MaxTransfers {
		t.Errorf("%d transfers", n)
	}
	wants(t, page, "message-999.")
}

func TestAPageThatCannotBeReadSaysSo(t *testing.T) {
	v := newVillage(t, phones.Options{Log: slog.New(slog.DiscardHandler)})
	v.fail(context.DeadlineExceeded)
	if w := v.get("/"); w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "Référence") {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}
