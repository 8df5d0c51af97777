package frame_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"

	"maillon/internal/auth"
	"maillon/internal/console"
	"maillon/internal/console/frame"
	"maillon/internal/console/frame/frametest"
	"maillon/internal/ledger"
	"maillon/internal/server"
)

// rooms are one room of pages to try the frame with.
func rooms(*server.Server) []frame.Room {
	serve := func(err error) func(*frame.Visit) error {
		return func(v *frame.Visit) error {
			if err != nil {
				return err
			}
			return v.Done("/plain", "plain.done", 3)
		}
	}
	return []frame.Room{{
		Name: "plain",
		Files: fstest.MapFS{
			"plain.html": {Data: []byte(`{{define "title"}}{{say "plain.title"}}{{end}}{{define "main"}}<h1>{{.D}}</h1>{{end}}`)},
			"fr.toml":    {Data: []byte(`"plain.title" = "Titre"` + "\n" + `"plain.done" = "Fait: {1}"`)},
			"en.toml":    {Data: []byte(`"plain.title" = "Title"` + "\n" + `"plain.done" = "Done: {1}"`)},
		},
		Pages: []frame.Page{
			{Route: "GET /plain", Right: frame.Somebody, Serve: func(v *frame.Visit) error { return v.Show("plain", "<b>plain</b>") }},
			{Route: "GET /settings", Right: auth.Settings, Serve: func(v *frame.Visit) error { return v.Show("plain", "all") }},
			{Route: "GET /dangerous", Right: frame.Somebody, Fresh: true, Serve: func(v *frame.Visit) error { return v.Show("plain", "fresh") }},
			{Route: "POST /do", Right: frame.Somebody, Serve: serve(nil)},
			{Route: "POST /twice", Right: frame.Somebody, Serve: serve(ledger.ErrDuplicate)},
			{Route: "POST /broken", Right: frame.Somebody, Serve: serve(errors.New("number 0639980012"))},
		},
		Menu: []frame.Entry{{Path: "/settings", Word: "plain.title", Right: auth.Settings, Group: "house"}},
	}}
}

// Who is not signed in is led to where one signs in, and from there back.
func TestWhoIsNotSignedInIsLedToTheDoor(t *testing.T) {
	c := frametest.Open(t, rooms)
	for _, x := range []struct{ as, path, want string }{
		{"", "/plain", "/signin?back=%2Fplain"},
		{"nobody", "/plain?who=secret", "/signin?back=%2Fplain"},
		{"expired", "/plain", "/signin?back=%2Fplain&why=expired"},
		{"abe", "/dangerous", "/confirm?back=%2Fdangerous"},
	} {
		if got := c.Get(x.as, x.path); got.Status != http.StatusSeeOther || got.Location != x.want {
			t.Errorf("GET %s as %q leads to %d %s, want %s", x.path, x.as, got.Status, got.Location, x.want)
		}
	}
}

// A role sees its pages and their lines of the menu, and no others.
func TestARoleSeesItsPages(t *testing.T) {
	c := frametest.Open(t, rooms)
	if got := c.Get("abe", "/settings"); got.Status != http.StatusOK || !strings.Contains(got.Body, `href="/console/settings" aria-current="page"`) {
		t.Errorf("an admin gets %d %s", got.Status, got.Text)
	}
	got := c.Get("ann", "/settings")
	if got.Status != http.StatusForbidden || !got.Says("Your role does not allow this page") || strings.Contains(got.Body, `href="/console/settings"`) {
		t.Errorf("a reader gets %d %s", got.Status, got.Text)
	}
}

// What is done is told on the page that follows, once; nothing is done for
// another site.
func TestFormsTellWhatWasDone(t *testing.T) {
	c := frametest.Open(t, rooms)
	done := c.Post("abe", "/do")
	if done.Status != http.StatusSeeOther || done.Location != "/plain" || len(done.Cookies) != 1 || !done.Cookies[0].HttpOnly {
		t.Fatalf("POST = %+v", done)
	}
	r, _ := http.NewRequest(http.MethodGet, frame.Root+"/plain", nil)
	r.AddCookie(done.Cookies[0])
	if got := c.Send("abe", r); !got.Says("Done: 3") || !got.Says("<b>plain</b>") || got.Cookies[0].MaxAge >= 0 {
		t.Errorf("the page after it says %s", got.Text)
	}
	if got := c.Post("abe", "/twice"); got.Status != http.StatusConflict || !got.Says("It was done already. Nothing was done twice.") {
		t.Errorf("twice: %d %s", got.Status, got.Text)
	}
	forged, _ := http.NewRequest(http.MethodPost, frame.Root+"/do", nil)
	forged.Header.Set("Sec-Fetch-Site", "cross-site")
	if got := c.Send("abe", forged); got.Status != http.StatusForbidden || !got.Says("did not come from this page") {
		t.Errorf("from another site: %d %s", got.Status, got.Text)
	}
}

// What goes wrong inside is told by a reference alone; what it was is in the log.
func TestWhatGoesWrongInsideHasAReference(t *testing.T) {
	c := frametest.Open(t, rooms)
	c.Broken = true
	got := c.Post("abe", "/broken")
	if got.Status != http.StatusInternalServerError || got.Says("0639980012") || !got.Says("Tell this reference") {
		t.Errorf("%d %s", got.Status, got.Text)
	}
	if !strings.Contains(c.Log.String(), "page failed") {
		t.Errorf("the log says nothing: %s", c.Log)
	}
}

// A page may load nothing from elsewhere, is kept by nobody, and is in no frame.
func TestPagesAreForThisBrowserAlone(t *testing.T) {
	c := frametest.Open(t, rooms)
	h := c.Get("abe", "/plain").Header
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; script-src 'self'", "Cache-Control": "no-store",
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
	} {
		if !strings.HasPrefix(h.Get(name), want) {
			t.Errorf("%s: %s", name, h.Get(name))
		}
	}
}

// The words of a room are in every language, and whatever a page says is there.
func TestWordsAreWhole(t *testing.T) {
	for name, files := range map[string]fstest.MapFS{
		"missing in a language": {"fr.toml": {Data: []byte(`"a" = "b"`)}, "en.toml": {Data: []byte(``)}},
		"nowhere":               {"fr.toml": {}, "en.toml": {}, "a.html": {Data: []byte(`{{define "main"}}{{say "no.such"}}{{end}}`)}},
		"of another room":       {"fr.toml": {Data: []byte(`"frame.skip" = "b"`)}, "en.toml": {Data: []byte(`"frame.skip" = "b"`)}},
	} {
		if _, err := frame.New(frame.Options{}, frame.Room{Name: "a", Files: files}); err == nil {
			t.Errorf("words %s are taken", name)
		}
	}
	frametest.Open(t, console.Rooms)
}
