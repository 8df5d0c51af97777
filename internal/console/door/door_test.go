package door_test

import (
	"context"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"maillon/internal/auth"
	"maillon/internal/console/door"
	"maillon/internal/console/frame"
	"maillon/internal/console/frame/frametest"
	"maillon/internal/console/home"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/server"
	"maillon/internal/store"
)

const good = "velo rouge au soleil"

// A house is a console behind its own gate, and what it logs.
type house struct {
	*frametest.Console
	url string
	log *strings.Builder
	t   *testing.T
}

func rooms(s *server.Server) []frame.Room { return []frame.Room{home.New(s), door.New(s)} }

func newHouse(t *testing.T) *house {
	t.Helper()
	c := frametest.Open(t, rooms)
	var log strings.Builder
	f, err := frame.New(frame.Options{
		DB: c.DB, Settings: c.Settings, Voice: c.Desk.Voice, Door: c.Gate, Log: slog.New(slog.NewTextHandler(&log, nil)),
	}, rooms(c.Server)...)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return &house{c, s.URL, &log, t}
}

// A browser keeps cookies and follows where it is led.
type browser struct {
	*http.Client
	house  *house
	secret string
	codes  []string
}

// A page is what a browser shows.
type page struct {
	status int
	path   string // with query
	text   string
}

func (h *house) browser() *browser {
	h.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		h.t.Fatal(err)
	}
	return &browser{Client: &http.Client{Jar: jar, Timeout: time.Minute}, house: h}
}

func (b *browser) open(path string) page {
	b.house.t.Helper()
	return b.do(http.MethodGet, path, nil)
}

func (b *browser) post(path string, pairs ...string) page {
	b.house.t.Helper()
	form := url.Values{}
	for n := 0; n+1 < len(pairs); n += 2 {
		form.Set(pairs[n], pairs[n+1])
	}
	return b.do(http.MethodPost, path, form)
}

func (b *browser) do(method, path string, form url.Values) page {
	b.house.t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = b.house.url + frame.Root + path
	}
	r, err := http.NewRequestWithContext(b.house.t.Context(), method, path, strings.NewReader(form.Encode()))
	if err != nil {
		b.house.t.Fatal(err)
	}
	r.Header.Set("Accept-Language", "en")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", b.house.url)
	}
	resp, err := b.Do(r)
	if err != nil {
		b.house.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		b.house.t.Fatal(err)
	}
	if resp.StatusCode >= http.StatusInternalServerError {
		b.house.t.Errorf("%s %s = %d: %s", method, path, resp.StatusCode, b.house.log)
	}
	return page{resp.StatusCode, strings.TrimPrefix(resp.Request.URL.RequestURI(), frame.Root), html.UnescapeString(string(raw))}
}

// is checks where a browser has come to, and what it reads there.
func (p page) is(t *testing.T, status int, path string, words ...string) {
	t.Helper()
	if p.status != status || p.path != path {
		t.Errorf("the page is %d %s, want %d %s", p.status, p.path, status, path)
	}
	for _, w := range words {
		if !strings.Contains(p.text, w) {
			t.Errorf("%s does not say %q", p.path, w)
		}
	}
}

// token returns what the browser carries as its session.
func (b *browser) token() string {
	u, _ := url.Parse(b.house.url)
	for _, c := range b.Jar.Cookies(u) {
		if c.Name == frame.SessionCookie {
			return c.Value
		}
	}
	return ""
}

var (
	secretShown = regexp.MustCompile(`<code id="secret">([A-Z2-7 ]+)</code>`)
	linkShown   = regexp.MustCompile(`<code id="link">([^<]+)</code>`)
	codeShown   = regexp.MustCompile(`<code>([A-Z2-7-]{19})</code>`)
	seedShown   = regexp.MustCompile(`name="seed" value="([A-Z2-7]+)"`)
)

func find(t *testing.T, what *regexp.Regexp, p page) string {
	t.Helper()
	found := what.FindStringSubmatch(p.text)
	if found == nil {
		t.Fatalf("%s does not show %s", p.path, what)
	}
	return found[1]
}

// now is the code of the moment, some steps away.
func (b *browser) now(steps int) string {
	b.house.t.Helper()
	code, err := totp.GenerateCode(strings.ReplaceAll(b.secret, " ", ""), time.Now().Add(time.Duration(steps)*30*time.Second))
	if err != nil {
		b.house.t.Fatal(err)
	}
	return code
}

// accept opens an invitation and chooses how to come in.
func (b *browser) accept(link string, more ...string) page {
	t := b.house.t
	t.Helper()
	p := b.open(link)
	p.is(t, http.StatusOK, "/welcome", "Second factor")
	b.secret = find(t, secretShown, p)
	p = b.post("/welcome", append([]string{"password", good, "again", good, "code", b.now(0)}, more...)...)
	for _, found := range codeShown.FindAllStringSubmatch(p.text, -1) {
		b.codes = append(b.codes, found[1])
	}
	return p
}

// recovery takes one of the recovery codes: they need no clock.
func (b *browser) recovery() string {
	code := b.codes[0]
	b.codes = b.codes[1:]
	return code
}

// first is a browser in which the first administrator has come in, as ada.
func (h *house) first() *browser {
	h.t.Helper()
	b := h.browser()
	b.accept(h.link(func(ctx context.Context, tx *store.Tx) (auth.Token, error) {
		return h.Gate.InviteFirst(ctx, tx, "operator")
	}),
		"nick", "ada", "number", "0639980205", "language", "en").is(h.t, http.StatusOK, "/welcome", "Recovery codes")
	if len(b.codes) != auth.RecoveryCodes {
		h.t.Fatalf("%d recovery codes are shown", len(b.codes))
	}
	return b
}

func (h *house) link(draw func(context.Context, *store.Tx) (auth.Token, error)) (link string) {
	h.t.Helper()
	h.Update(func(ctx context.Context, tx *store.Tx) error {
		t, err := draw(ctx, tx)
		link = door.Link(h.url, t)
		return err
	})
	return link
}

func TestTheFirstVisit(t *testing.T) {
	h := newHouse(t)
	b := h.browser()
	link := h.link(func(ctx context.Context, tx *store.Tx) (auth.Token, error) {
		return h.Gate.InviteFirst(ctx, tx, "operator")
	})
	p := b.open(link)
	p.is(t, http.StatusOK, "/welcome", "You will be the first", `href="otpauth://totp/`)
	b.secret = find(t, secretShown, p)
	whole := map[string]string{"nick": "zoe", "number": "0639980250", "language": "en", "password": good, "again": good, "code": b.now(0)}
	for _, wrong := range []struct{ field, value, says string }{
		{"nick", "x", "A pseudo has"},
		{"nick", "solde", "A pseudo has"},
		{"number", "12", "no mobile number"},
		{"password", "short", "not the same"},
		{"again", "short", "not the same"},
		{"code", "000000", "not the code of this moment"},
	} {
		var pairs []string
		for field, value := range whole {
			if field == wrong.field {
				value = wrong.value
			}
			pairs = append(pairs, field, value)
		}
		b.post("/welcome", pairs...).is(t, http.StatusUnprocessableEntity, "/welcome", wrong.says)
	}
	pairs := []string{}
	for field, value := range whole {
		pairs = append(pairs, field, value)
	}
	b.post("/welcome", append(pairs, "password", "motdepasse2026", "again", "motdepasse2026")...).
		is(t, http.StatusUnprocessableEntity, "/welcome", "tried first")
	b.post("/welcome", pairs...).is(t, http.StatusOK, "/welcome", "Recovery codes")
	b.open("/staff").is(t, http.StatusOK, "/staff", "zoe", "can come in")
	if m := h.Member("zoe"); m.Role != member.Admin || m.State != member.Staff {
		t.Errorf("the first administrator is %s, %s", m.Role, m.State)
	}
	// The door for the first is shut.
	h.browser().open(link).is(t, http.StatusUnprocessableEntity, "/welcome", "This invitation was used")
}

func TestSigningIn(t *testing.T) {
	h := newHouse(t)
	ada := h.first()
	old := ada.token()
	ada.post("/signout").is(t, http.StatusOK, "/signin")
	if _, err := h.Gate.Enter(t.Context(), old); err == nil {
		t.Error("the session goes on after signing out")
	}

	b := h.browser()
	b.secret = ada.secret
	b.open("/account").is(t, http.StatusOK, "/signin?back=%2Faccount", "Sign in")
	unknown := b.post("/signin", "name", "nobody", "password", good)
	wrong := b.post("/signin", "name", "ada", "password", "guess")
	wrong.is(t, http.StatusUnprocessableEntity, "/signin", "is not right")
	if strings.ReplaceAll(unknown.text, "nobody", "ada") != wrong.text {
		t.Error("a name that is not there is answered in another way")
	}
	b.post("/signin", "name", "Ada ", "password", good, "back", "/account").is(t, http.StatusOK, "/signin/code?back=%2Faccount", "Second factor")
	b.open("/account").is(t, http.StatusOK, "/signin?back=%2Faccount")
	b.post("/signin/code", "code", "000000", "back", "/account").is(t, http.StatusUnprocessableEntity, "/signin/code", "is not right")
	b.post("/signin/code", "code", b.now(1), "back", "/account").is(t, http.StatusOK, "/account", "My account", "here")

	// Only to pages of the console, whatever the form says.
	for _, evil := range []string{"https://evil.example/", "//evil.example", "/\\evil.example", "/signout"} {
		c := h.browser()
		c.post("/signin", "name", "ada", "password", good, "back", evil)
		c.post("/signin/code", "code", ada.recovery(), "back", evil).is(t, http.StatusOK, "/")
	}
	if strings.Contains(h.log.String(), good) {
		t.Error("the log holds the password")
	}
}

// What a browser carried before it signed in is not what it carries afterwards,
// and nothing that somebody put there becomes a session.
func TestASessionCannotBeFixed(t *testing.T) {
	h := newHouse(t)
	ada := h.first()
	b := h.browser()
	u, _ := url.Parse(h.url)
	planted := strings.Repeat("A", 43)
	b.Jar.SetCookies(u, []*http.Cookie{
		{Name: frame.SessionCookie, Value: planted, Path: "/"}, {Name: "maillon-door", Value: planted, Path: "/"},
	})
	b.post("/signin", "name", "ada", "password", good)
	half := b.token()
	b.post("/signin/code", "code", ada.recovery()).is(t, http.StatusOK, "/")
	if b.token() == planted || b.token() == half {
		t.Error("the session has the token of before")
	}
	before := b.token()
	b.post("/confirm", "code", ada.recovery(), "back", "/account").is(t, http.StatusOK, "/account")
	if b.token() == before {
		t.Error("the token of before the second factor goes on")
	}
	if _, err := h.Gate.Enter(t.Context(), before); err == nil {
		t.Error("the token of before the second factor opens")
	}
	b.post("/signin", "name", "ada", "password", good)
	last := b.token()
	b.post("/signin/code", "code", ada.recovery())
	if _, err := h.Gate.Enter(t.Context(), last); err == nil {
		t.Error("the session of before goes on in the same browser")
	}
}

func TestCookies(t *testing.T) {
	h := newHouse(t)
	ada := h.first()
	for _, https := range []bool{false, true} {
		form := url.Values{"name": {"ada"}, "password": {good}}
		var cookies []*http.Cookie
		for _, path := range []string{"/signin", "/signin/code"} {
			r := httptest.NewRequest(http.MethodPost, frame.Root+path, strings.NewReader(form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if https {
				r.Header.Set("X-Forwarded-Proto", "https")
			}
			for _, c := range cookies {
				r.AddCookie(c)
			}
			w := httptest.NewRecorder()
			h.Console.Frame.ServeHTTP(w, r)
			for _, c := range w.Result().Cookies() {
				if c.MaxAge >= 0 {
					cookies = append(cookies, c)
				}
			}
			form = url.Values{"code": {ada.recovery()}}
		}
		names := map[string]bool{}
		for _, c := range cookies {
			names[c.Name] = true
			if !c.HttpOnly || c.Path != "/" || c.Secure != https || c.Domain != "" || c.SameSite != http.SameSiteLaxMode && c.SameSite != http.SameSiteStrictMode {
				t.Errorf("https %v: the cookie %s is %+v", https, c.Name, c)
			}
		}
		want := "maillon"
		if https {
			want = "__Host-maillon"
		}
		if !names[want] || !names[want+"-door"] {
			t.Errorf("https %v: the cookies are %v", https, names)
		}
	}
}

func TestOnesOwnAccount(t *testing.T) {
	h := newHouse(t)
	ada := h.first()
	other := h.browser()
	other.post("/signin", "name", "ada", "password", good)
	other.post("/signin/code", "code", ada.recovery()).is(t, http.StatusOK, "/")

	ada.open("/account").is(t, http.StatusOK, "/account", "Recovery codes left: 9")
	ada.post("/account/password", "old", "guess", "password", "another long one", "again", "another long one").
		is(t, http.StatusUnprocessableEntity, "/account/password", "not your present password")
	ada.post("/account/password", "old", good, "password", "ada-ada-ada-ada", "again", "ada-ada-ada-ada").
		is(t, http.StatusUnprocessableEntity, "/account/password", "only your name")
	ada.post("/account/password", "old", good, "password", "another long one", "again", "another long one").
		is(t, http.StatusOK, "/account", "The password is changed")
	other.open("/account").is(t, http.StatusOK, "/signin?back=%2Faccount")

	p := ada.open("/account/totp")
	p.is(t, http.StatusOK, "/account/totp", "<svg")
	seed := find(t, seedShown, p)
	ada.post("/account/totp", "seed", seed, "code", "000000").is(t, http.StatusUnprocessableEntity, "/account/totp", "not the code of this moment")
	ada.secret = find(t, secretShown, p)
	ada.post("/account/totp", "seed", seed, "code", ada.now(0)).is(t, http.StatusOK, "/account", "The second factor is changed")

	ada.post("/account/recovery").is(t, http.StatusOK, "/account/recovery", "Write these codes on paper now")
	ada.post("/account/sessions/others").is(t, http.StatusOK, "/account", "Your other sessions have ended")
	ada.open("/account/passkeys").is(t, http.StatusOK, "/account/passkeys", "No passkey", "Passkeys need an address with a name")
	id := h.sessions("ada")[0].ID
	ada.post("/account/sessions/end", "session", id).is(t, http.StatusOK, "/signin")
}

func (h *house) sessions(name string) (all []auth.SessionInfo) {
	h.t.Helper()
	m := h.Member(name)
	h.Update(func(ctx context.Context, tx *store.Tx) (err error) {
		all, err = auth.Sessions(ctx, tx, m.ID)
		return err
	})
	return all
}

// hire lets somebody who has a role come in, by an invitation of the first.
func (h *house) hire(by *browser, name string) *browser {
	h.t.Helper()
	link := find(h.t, linkShown, by.post(h.person(name)+"/invite"))
	b := h.browser()
	b.accept(link).is(h.t, http.StatusOK, "/welcome", "Recovery codes")
	return b
}

func (h *house) person(name string) string {
	return "/staff/" + strings.TrimPrefix(idOf(h.Member(name)), "member:")
}

func idOf(m *member.Member) string { return (&frame.Visit{Who: &auth.Visitor{Member: m}}).By() }

func TestTheTeam(t *testing.T) {
	h := newHouse(t)
	ada := h.first()
	ada.open("/staff").is(t, http.StatusOK, "/staff", "abe", "not invited yet", "treasurer")

	// While nobody could be the second person, a role is given at once.
	ada.post(h.person("cam")+"/role", "role", "reader", "ceiling", "0", "reason", "").
		is(t, http.StatusUnprocessableEntity, h.person("cam")+"/role", "A reason is needed")
	ada.post(h.person("cam")+"/role", "role", "frontdesk", "ceiling", "0", "reason", "less to do").is(t, http.StatusOK, "/staff", "The role is changed")
	if r := h.Member("cam").Role; r != member.FrontDesk {
		t.Errorf("the role is %s", r)
	}
	ada.post(h.person("ada")+"/role", "role", "reader", "reason", "tired").
		is(t, http.StatusUnprocessableEntity, h.person("ada")+"/role", "the last administrator")

	tess := h.hire(ada, "tess")
	tess.open("/staff").is(t, http.StatusForbidden, "/staff")
	tess.open("/account").is(t, http.StatusOK, "/account", "treasurer")

	// From then on it takes two.
	ada.post("/staff/new", "who", "yann", "role", "admin", "reason", "helps a lot").is(t, http.StatusOK, "/staff", "waits for a second person")
	tess.open("/staff/proposals/1").is(t, http.StatusOK, "/staff/proposals/1", "yann", "from “no role” to “administrator”", "helps a lot")
	if r := h.Member("yann").Role; r != "" {
		t.Errorf("yann is %s already", r)
	}
	var waiting []store.Proposal
	h.Update(func(ctx context.Context, tx *store.Tx) (err error) {
		if waiting, err = tx.Proposals(ctx); err != nil || len(waiting) != 1 {
			t.Fatalf("there are %d proposals, %v", len(waiting), err)
		}
		return h.Treasury.Approve(ctx, tx, idOf(h.memberIn(ctx, tx, "tess")), waiting[0].ID)
	})
	if m := h.Member("yann"); m.Role != member.Admin || m.State != member.Active {
		t.Errorf("yann is %s, %s", m.Role, m.State)
	}
	ada.post("/staff/new", "who", "nobody", "role", "admin", "reason", "why").is(t, http.StatusUnprocessableEntity, "/staff/new", "Nobody has this pseudo")
	ada.post("/staff/new", "who", "0639980251", "role", "reader", "reason", "new here").is(t, http.StatusOK, "/staff", "waits for a second person")

	// Another role ends the sessions.
	h.Update(func(ctx context.Context, tx *store.Tx) error {
		m := h.memberIn(ctx, tx, "tess")
		return h.Treasury.SetRole(ctx, tx, "operator", m, member.Admin, h.zero())
	})
	tess.open("/staff").is(t, http.StatusOK, "/signin?back=%2Fstaff&why=expired", "Your session has ended")
}

func TestRevokingAtTheDesk(t *testing.T) {
	h := newHouse(t)
	ada := h.first()
	abe := h.hire(ada, "abe")
	abe.open("/staff").is(t, http.StatusOK, "/staff")
	ada.open(h.person("abe")).is(t, http.StatusOK, h.person("abe"), "open sessions: 1", "Revoke sessions")
	ada.post(h.person("abe")+"/revoke").is(t, http.StatusOK, "/staff", "The sessions have ended", "to be renewed at the desk")
	abe.open("/staff").is(t, http.StatusOK, "/signin?back=%2Fstaff")
	abe.post("/signin", "name", "abe", "password", good).is(t, http.StatusUnprocessableEntity, "/signin", "Renew your password and second factor at the desk")

	told := h.texts("abe")
	link := find(t, linkShown, ada.post(h.person("abe")+"/renew"))
	if h.texts("abe") != told+1 {
		t.Error("nobody tells abe that there is a link to be abe")
	}
	abe.codes = nil
	abe.accept(link).is(t, http.StatusOK, "/welcome", "Recovery codes")
	abe.open("/staff").is(t, http.StatusOK, "/staff")

	ada.post(h.person("ada")+"/revoke").is(t, http.StatusUnprocessableEntity, h.person("ada")+"/revoke", "go by My account")
	ada.post("/staff/everybody").is(t, http.StatusOK, "/signin")
	abe.open("/staff").is(t, http.StatusOK, "/signin?back=%2Fstaff")
	ada.post("/signin", "name", "ada", "password", good).is(t, http.StatusOK, "/signin/code")
	ada.post("/signin/code", "code", ada.recovery()).is(t, http.StatusOK, "/")
}

// What is dangerous asks for the second factor again, and leads back.
func TestWhatIsDangerousAsksAgain(t *testing.T) {
	c := frametest.Open(t, rooms)
	c.Fresh("abe", auth.Visitor{Session: "abe", Proved: time.Now().Add(-11 * time.Minute)})
	for _, path := range []string{"/account/password", "/account/totp", "/account/recovery", "/account/passkeys"} {
		if a := c.Get("abe", path); a.Location != "/confirm?back="+url.QueryEscape(path) {
			t.Errorf("%s leads to %s", path, a.Location)
		}
	}
	for _, path := range []string{"/staff/new", "/staff/everybody", "/staff/1/revoke", "/staff/1/renew", "/staff/1/invite", "/staff/1/role", "/account/recovery"} {
		if a := c.Post("abe", path); !strings.HasPrefix(a.Location, "/confirm") {
			t.Errorf("posting to %s leads to %s", path, a.Location)
		}
	}
	if a := c.Get("abe", "/confirm?back=/staff"); !a.Says("Nothing has been done yet") {
		t.Errorf("the page says %s", a.Text)
	}
}

// A form of another site, or an expired session in the middle of one, changes
// nothing.
func TestForgedAndLateForms(t *testing.T) {
	c := frametest.Open(t, rooms)
	r := httptest.NewRequest(http.MethodPost, frame.Root+"/staff/everybody", nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if a := c.Send("abe", r); a.Status != http.StatusForbidden {
		t.Errorf("a form of another site: %d", a.Status)
	}
	r = httptest.NewRequest(http.MethodPost, frame.Root+"/staff/1/role", nil)
	r.Header.Set("Referer", "http://example.com/console/staff/1")
	if a := c.Send("expired", r); a.Location != "/signin?back=%2Fstaff%2F1&why=expired" {
		t.Errorf("a form after the session leads to %s", a.Location)
	}
}

func (h *house) memberIn(ctx context.Context, tx *store.Tx, name string) *member.Member {
	h.t.Helper()
	m, err := tx.MemberByNick(ctx, name)
	if err != nil {
		h.t.Fatal(err)
	}
	return m
}

func (h *house) zero() money.Amount { return money.New(0, h.Settings.Currency()) }

// texts counts the SMS that were sent to somebody.
func (h *house) texts(name string) (n int) {
	h.t.Helper()
	to := h.Member(name).Number
	h.Update(func(ctx context.Context, tx *store.Tx) error {
		all, err := tx.Outbox(ctx, 0, store.MaxActs)
		for _, o := range all {
			if o.To == to {
				n++
			}
		}
		return err
	})
	return n
}
