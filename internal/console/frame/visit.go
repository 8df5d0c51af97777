package frame

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"maillon/internal/auth"
	"maillon/internal/money"
	"maillon/internal/setting"
	"maillon/internal/store"
)

// MaxForm bounds a form without files, in octets.
const MaxForm = 64 << 10

var (
	// ErrMayNot means that the role of who is asking does not allow it.
	ErrMayNot = errors.New("the role does not allow this")
	// ErrForm means that what was posted is no form.
	ErrForm = errors.New("unreadable form")
	// ErrSum means that a text is no amount of the association's unit.
	ErrSum = errors.New("not an amount")

	errForged = errors.New("posted from another site")
	errStale  = errors.New("the second factor must be shown again")
)

// A Visit is one request by a person.
type Visit struct {
	Writer  http.ResponseWriter
	Request *http.Request
	Who     *auth.Visitor // nil if nobody is signed in

	frame *Frame
	room  string
	words *words
}

// Context is that of the request.
func (v *Visit) Context() context.Context { return v.Request.Context() }

// By names who is asking in the journal: "member:7".
func (v *Visit) By() string { return "member:" + strconv.FormatInt(int64(v.Who.Member.ID), 10) }

// May reports whether who is asking has a right.
func (v *Visit) May(right auth.Right) bool { return v.Who.May(right) }

// Leads returns a path beneath Root if there is a page at it, else "".
func (v *Visit) Leads(path string) string {
	if v.frame.Route(path) == "" {
		return ""
	}
	return path
}

// Language returns the language that is spoken, such as "fr".
func (v *Visit) Language() string { return v.words.tag }

// Say returns a text in the language of the visit, its marks {1}, {2} replaced.
func (v *Visit) Say(key string, args ...any) string { return v.words.say(key, args...) }

// Update runs do in a transaction that writes.
func (v *Visit) Update(do func(ctx context.Context, tx *store.Tx) error) error {
	return v.frame.options.DB.Update(v.Context(), func(tx *store.Tx) error { return do(v.Context(), tx) })
}

// View runs do in a transaction that only reads.
func (v *Visit) View(do func(ctx context.Context, tx *store.Tx) error) error {
	return v.frame.options.DB.View(v.Context(), func(tx *store.Tx) error { return do(v.Context(), tx) })
}

// Form reads what was posted, at most so many octets.
func (v *Visit) Form(most int64) error {
	v.Request.Body = http.MaxBytesReader(v.Writer, v.Request.Body, most)
	err := v.Request.ParseMultipartForm(most)
	if errors.Is(err, http.ErrNotMultipart) {
		err = nil
	}
	if _, tooBig := errors.AsType[*http.MaxBytesError](err); err != nil && !tooBig {
		return ErrForm
	}
	return err
}

// File returns what was posted as a file, after Form; nothing if there is none.
func (v *Visit) File(name string) ([]byte, error) {
	f, _, err := v.Request.FormFile(name)
	if errors.Is(err, http.ErrMissingFile) || errors.Is(err, http.ErrNotMultipart) {
		return nil, nil
	}
	if err != nil {
		return nil, ErrForm
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(f) // bounded by Form
}

// Value returns a field of the form or of the query, without space around it.
func (v *Visit) Value(name string) string {
	return strings.TrimSpace(strings.ToValidUTF8(v.Request.FormValue(name), "\uFFFD"))
}

// PathID returns a number of the path, or store.ErrNotFound.
func (v *Visit) PathID(name string) (int64, error) {
	id, err := strconv.ParseInt(v.Request.PathValue(name), 10, 64)
	if err != nil || id <= 0 {
		return 0, store.ErrNotFound
	}
	return id, nil
}

// QueryID returns a number of the query or the form, or store.ErrNotFound.
func (v *Visit) QueryID(name string) (int64, error) {
	id, err := strconv.ParseInt(v.Value(name), 10, 64)
	if err != nil || id <= 0 {
		return 0, store.ErrNotFound
	}
	return id, nil
}

// Sum reads a field as an amount of the association's first unit, as people
// write one: "12,50", "50 m". It returns ErrSum.
func (v *Visit) Sum(name string) (money.Amount, error) {
	set := v.frame.options.Settings
	return ReadSum(v.Value(name), set.Units[0])
}

// ReadSum reads an amount of a unit as people write it. It returns ErrSum.
func ReadSum(text string, u setting.Unit) (money.Amount, error) {
	text = strings.NewReplacer("\u00a0", "", "\u202f", "", " ", "", ",", ".").Replace(text)
	text = strings.TrimSuffix(strings.TrimSuffix(text, u.Name), u.Symbol)
	if _, part, _ := strings.Cut(text, "."); len(part) == 3 && u.Decimals < 3 { // 1.000: thousands, or decimals?
		return money.Amount{}, ErrSum
	}
	d, err := money.ParseDecimal(text)
	if err != nil {
		return money.Amount{}, ErrSum
	}
	a, err := d.In(u.Currency())
	if err != nil {
		return money.Amount{}, ErrSum
	}
	return a, nil
}

// Show shows a page of the room.
func (v *Visit) Show(page string, data any) error { return v.show(http.StatusOK, page, data) }

// Refuse shows a page again, with what was wrong.
func (v *Visit) Refuse(page string, data any) error {
	return v.show(http.StatusUnprocessableEntity, page, data)
}

// Done leads to a page of the console, where a text tells what was done. Its
// arguments are amounts, references and counts, no names.
func (v *Visit) Done(path, word string, args ...any) error {
	texts := make([]string, len(args))
	for n, a := range args {
		texts[n] = v.frame.text(v.words, a)
	}
	raw, err := json.Marshal(told{word, texts})
	if err != nil {
		return err
	}
	v.remember(noticeCookie, base64.RawURLEncoding.EncodeToString(raw), noticeLife)
	return v.Lead(path)
}

// Lead leads to a page of the console.
func (v *Visit) Lead(path string) error {
	http.Redirect(v.Writer, v.Request, Root+path, http.StatusSeeOther)
	return nil
}

// What a notice travels in from one page to the next.
const (
	noticeCookie = "maillon-notice"
	noticeLife   = 60 // seconds
)

type told struct {
	Word string
	Args []string
}

// remember gives the browser a cookie for the console, for a number of seconds.
func (v *Visit) remember(name, value string, seconds int) {
	http.SetCookie(v.Writer, &http.Cookie{ //nolint:gosec // G124: secure where the console is
		Name: name, Value: value, Path: Root, MaxAge: seconds, HttpOnly: true, Secure: Secure(v.Request), SameSite: http.SameSiteLaxMode,
	})
}

// notice takes what the page before wanted to be said.
func (v *Visit) notice() string {
	c, err := v.Request.Cookie(noticeCookie)
	if err != nil {
		return ""
	}
	v.remember(noticeCookie, "", -1)
	var n told
	raw, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil || json.Unmarshal(raw, &n) != nil || !v.words.has(n.Word) {
		return ""
	}
	args := make([]any, len(n.Args))
	for i, a := range n.Args {
		args[i] = a
	}
	return v.words.say(n.Word, args...)
}

// SessionCookie is the name of the cookie that holds the session. By HTTPS it is
// another, which a browser takes from this host alone.
const (
	SessionCookie       = "maillon"
	secureSessionCookie = "__Host-" + SessionCookie
)

// Token returns the session that a request carries, "" if none.
func Token(r *http.Request) string {
	name := SessionCookie
	if Secure(r) {
		name = secureSessionCookie
	}
	c, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return c.Value
}

// SetToken gives a session to the browser, or takes it away with "".
func (v *Visit) SetToken(token string) {
	c := &http.Cookie{Name: SessionCookie, Value: token, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if Secure(v.Request) {
		c.Name, c.Secure = secureSessionCookie, true
	}
	if token == "" {
		c.MaxAge = -1
	}
	http.SetCookie(v.Writer, c)
}

// Download begins the answer that is a file.
func (v *Visit) Download(name, kind string) io.Writer {
	v.Writer.Header().Set("Content-Type", kind)
	v.Writer.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", name))
	return v.Writer
}

// streamTime bounds how long a large file may take to be fetched.
const streamTime = 30 * time.Minute

// Stream answers with a file that may be large, as it is written. What goes wrong
// after its first octets breaks the answer off, so that nobody takes a part for
// the whole.
func (v *Visit) Stream(name, kind string, write func(io.Writer) error) error {
	_ = http.NewResponseController(v.Writer).SetWriteDeadline(time.Now().Add(streamTime)) // what has no deadline needs none
	if err := write(v.Download(name, kind)); err != nil {
		slog.ErrorContext(v.Context(), "download broken off", "error", err)
		panic(http.ErrAbortHandler)
	}
	return nil
}
