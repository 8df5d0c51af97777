// Package frametest opens a server in memory with a console around it, signs
// somebody of each role in, and looks at pages as a browser does.
package frametest

import (
	"bytes"
	"context"
	"fmt"
	"html"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"maillon/internal/auth"
	"maillon/internal/console/frame"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/phrase"
	"maillon/internal/server"
	"maillon/internal/setting"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// A Console is rooms of pages around a server in memory.
type Console struct {
	*server.Server
	Frame *frame.Frame
	Log   *bytes.Buffer // what was logged

	// Broken says that a page is expected to fail.
	Broken bool

	t    testing.TB
	door door
}

// A door lets in who was put there, by a token of their name.
type door map[string]*auth.Visitor

// Enter implements frame.Door.
func (d door) Enter(_ context.Context, token string) (*auth.Visitor, error) {
	switch v := d[token]; {
	case v != nil:
		return v, nil
	case token == expired:
		return nil, auth.ErrExpired
	}
	return nil, auth.ErrUnknown
}

// expired is the token of a session that has ended.
const expired = "expired"

// Open opens a server with members and the rooms that are made for it. At work
// are ann (reader), fay (front desk), cam (cashier), tess (treasurer), abe and
// ada (admins), and aud (auditor); members are yann, lena and soazig with
// 120, 45 and 70 of the unit.
func Open(t testing.TB, rooms func(*server.Server) []frame.Room) *Console {
	t.Helper()
	return OpenWith(t, setting.Default(), rooms)
}

// OpenWith is Open with settings.
func OpenWith(t testing.TB, set setting.Settings, rooms func(*server.Server) []frame.Room) *Console {
	t.Helper()
	book, err := phrase.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.Open(t.Context(), server.Config{Path: store.Memory, Secret: store.Secret{1}, Settings: set, Book: book, Alone: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	c := &Console{Server: s, Log: &bytes.Buffer{}, t: t, door: door{}}
	c.people()
	c.Frame, err = frame.New(frame.Options{
		DB: s.DB, Settings: s.Settings, Voice: s.Desk.Voice, Door: c.door, Log: slog.New(slog.NewTextHandler(c.Log, nil)),
	}, rooms(s)...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// people registers who works here, and some members.
func (c *Console) people() {
	roles := map[string]member.Role{
		"ann": member.Reader, "fay": member.FrontDesk, "cam": member.Cashier, "tess": member.Treasurer,
		"abe": member.Admin, "ada": member.Admin, "aud": member.Auditor,
	}
	for n, name := range []string{"ann", "fay", "cam", "tess", "abe", "ada", "aud"} {
		m := c.Add(name, fmt.Sprintf("+3363998020%d", n), roles[name], 0)
		c.door[name] = &auth.Visitor{Member: m, Session: name}
	}
	for n, p := range []struct {
		name string
		sum  int64
	}{{"yann", 120}, {"lena", 45}, {"soazig", 70}} {
		c.Add(p.name, fmt.Sprintf("+3363998010%d", n), "", p.sum)
	}
}

// Add registers somebody, with money from the association.
func (c *Console) Add(name, number string, role member.Role, sum int64) *member.Member {
	c.t.Helper()
	var m *member.Member
	n, err := sms.FromE164(number)
	if err != nil {
		c.t.Fatal(err)
	}
	c.Update(func(ctx context.Context, tx *store.Tx) error {
		m, err = c.Treasury.Add(ctx, tx, treasury.Operator, treasury.NewMember{
			Number: n, Nick: name, Language: "en", Role: role, Ceiling: money.New(200, c.Settings.Currency()), NoMember: role != "",
		})
		if err != nil || sum == 0 {
			return err
		}
		_, err = c.Treasury.Grant(ctx, tx, treasury.Operator, nil, m, n, money.New(sum, c.Settings.Currency()), "workshop")
		return err
	})
	return m
}

// Update runs do in a transaction and fails the test if it fails.
func (c *Console) Update(do func(ctx context.Context, tx *store.Tx) error) {
	c.t.Helper()
	ctx := c.t.Context()
	if err := c.DB.Update(ctx, func(tx *store.Tx) error { return do(ctx, tx) }); err != nil {
		c.t.Fatal(err)
	}
}

// Member returns a member by pseudo, as it is now.
func (c *Console) Member(name string) (m *member.Member) {
	c.t.Helper()
	c.Update(func(ctx context.Context, tx *store.Tx) (err error) {
		m, err = tx.MemberByNick(ctx, name)
		return err
	})
	return m
}

// Balance returns what a member has of the first unit, in smallest units.
func (c *Console) Balance(name string) (sum int64) {
	c.t.Helper()
	m := c.Member(name)
	c.Update(func(ctx context.Context, tx *store.Tx) error {
		a, err := c.Desk.Balance(ctx, tx, m, c.Settings.Currency())
		sum = a.Minor()
		return err
	})
	return sum
}

// Fresh lets somebody have shown the second factor just now, or long ago.
func (c *Console) Fresh(name string, v auth.Visitor) {
	v.Member = c.door[name].Member
	c.door[name] = &v
}

// An Answer is what came back.
type Answer struct {
	Status   int
	Location string // where it leads, without the root of the console
	Body     string // whole
	Text     string // without tags
	Header   http.Header
	Cookies  []*http.Cookie
}

// Says reports whether the reader can read some words.
func (a Answer) Says(words string) bool { return strings.Contains(a.Text, words) }

// Get asks for a page as somebody; "" is nobody.
func (c *Console) Get(as, path string) Answer {
	c.t.Helper()
	return c.ask(as, httptest.NewRequest(http.MethodGet, frame.Root+path, nil))
}

// Post sends a form as somebody: pairs of names and values.
func (c *Console) Post(as, path string, pairs ...string) Answer {
	c.t.Helper()
	form := url.Values{}
	for n := 0; n+1 < len(pairs); n += 2 {
		form.Add(pairs[n], pairs[n+1])
	}
	r := httptest.NewRequest(http.MethodPost, frame.Root+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return c.ask(as, r)
}

// Upload sends a form with a file as somebody.
func (c *Console) Upload(as, path, field string, file []byte, pairs ...string) Answer {
	c.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	part, err := w.CreateFormFile(field, "file.csv")
	if err == nil {
		_, err = part.Write(file)
	}
	for n := 0; n+1 < len(pairs) && err == nil; n += 2 {
		err = w.WriteField(pairs[n], pairs[n+1])
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		c.t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, frame.Root+path, &body)
	r.Header.Set("Content-Type", w.FormDataContentType())
	return c.ask(as, r)
}

// Send sends a request as somebody.
func (c *Console) Send(as string, r *http.Request) Answer { c.t.Helper(); return c.ask(as, r) }

func (c *Console) ask(as string, r *http.Request) Answer {
	c.t.Helper()
	if r.Header.Get("Sec-Fetch-Site") == "" {
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	r.Header.Set("Accept-Language", "en")
	if as != "" {
		r.AddCookie(&http.Cookie{Name: "maillon", Value: as})
	}
	w := httptest.NewRecorder()
	c.Frame.ServeHTTP(w, r)
	resp := w.Result()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if resp.StatusCode >= http.StatusInternalServerError && !c.Broken {
		c.t.Errorf("%s %s = %d: %s", r.Method, r.URL.Path, resp.StatusCode, c.Log)
	}
	return Answer{
		Status: resp.StatusCode, Location: strings.TrimPrefix(resp.Header.Get("Location"), frame.Root),
		Body: string(body), Text: text(string(body)), Header: resp.Header, Cookies: resp.Cookies(),
	}
}

// text leaves out the tags, and what is only space.
func text(page string) string {
	var b strings.Builder
	inside := false
	for _, r := range page {
		switch {
		case r == '<':
			inside = true
			b.WriteByte(' ')
		case r == '>':
			inside = false
		case !inside:
			b.WriteRune(r)
		}
	}
	return strings.Join(strings.Fields(html.UnescapeString(b.String())), " ")
}
