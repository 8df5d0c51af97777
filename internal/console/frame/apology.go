package frame

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"maillon/internal/auth"
	"maillon/internal/ledger"
	"maillon/internal/payment"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// An Apology is an error with the key of what its reader is told, for what only
// one page knows.
type Apology struct {
	Word string
	Args []any
	Err  error // nil if there is no more to say
}

// Error implements error.
func (a *Apology) Error() string {
	if a.Err != nil {
		return a.Word + ": " + a.Err.Error()
	}
	return a.Word
}

// Unwrap returns the cause.
func (a *Apology) Unwrap() error { return a.Err }

// Sorry refuses a visit with a text.
func Sorry(word string, args ...any) error { return &Apology{Word: word, Args: args} }

// apologies is the table from an error to what its reader is told.
var apologies = []struct {
	err    error
	status int
	word   string
}{
	{store.ErrNotFound, http.StatusNotFound, "frame.notfound"},
	{treasury.ErrUnknown, http.StatusNotFound, "frame.unknown"},
	{ErrMayNot, http.StatusForbidden, "frame.maynot"},
	{auth.ErrRenew, http.StatusForbidden, "frame.renew"},
	{errForged, http.StatusForbidden, "frame.forged"},
	{ErrForm, http.StatusBadRequest, "frame.form"},
	{ErrSum, http.StatusUnprocessableEntity, "frame.sum"},
	{treasury.ErrTaken, http.StatusConflict, "frame.taken"},
	{treasury.ErrSecond, http.StatusConflict, "frame.second"},
	{treasury.ErrDecided, http.StatusConflict, "frame.decided"},
	{treasury.ErrTooLate, http.StatusConflict, "frame.toolate"},
	{treasury.ErrReason, http.StatusUnprocessableEntity, "frame.reason"},
	{treasury.ErrRunning, http.StatusConflict, "frame.running"},
	{treasury.ErrMoved, http.StatusConflict, "frame.moved"},
	{treasury.ErrTooMuch, http.StatusConflict, "frame.toomuch"},
	{treasury.ErrNotPaused, http.StatusConflict, "frame.notpaused"},
	{payment.ErrNotWaiting, http.StatusConflict, "frame.notwaiting"},
	{payment.ErrNotUndone, http.StatusConflict, "frame.notundone"},
	{ledger.ErrDuplicate, http.StatusConflict, "frame.duplicate"},
	{ledger.ErrInsufficient, http.StatusConflict, "frame.insufficient"},
	{context.DeadlineExceeded, http.StatusServiceUnavailable, "frame.slow"},
}

// Sentence returns what the reader of a page is told of an error that people can
// cause, for a page that shows its form again; false for one that they cannot.
func (v *Visit) Sentence(err error) (text string, ok bool) {
	_, text, ok = v.frame.sentence(v, err)
	return text, ok
}

func (f *Frame) sentence(v *Visit, err error) (status int, text string, ok bool) {
	if a, is := errors.AsType[*Apology](err); is {
		args := make([]any, len(a.Args))
		for n, arg := range a.Args {
			args[n] = f.text(v.words, arg)
		}
		return http.StatusUnprocessableEntity, v.Say(a.Word, args...), true
	}
	if _, tooBig := errors.AsType[*http.MaxBytesError](err); tooBig {
		return http.StatusRequestEntityTooLarge, v.Say("frame.toobig"), true
	}
	if text, is := v.refusal(err); is {
		return http.StatusConflict, text, true
	}
	for _, a := range apologies {
		if errors.Is(err, a.err) {
			return a.status, v.Say(a.word), true
		}
	}
	return 0, "", false
}

// apologise answers an error.
func (f *Frame) apologise(v *Visit, err error) {
	switch {
	case errors.Is(err, auth.ErrUnknown):
		f.lead(v, "/signin", "")
		return
	case errors.Is(err, auth.ErrExpired):
		f.lead(v, "/signin", "expired")
		return
	case errors.Is(err, errStale):
		f.lead(v, "/confirm", "")
		return
	case errors.Is(err, context.Canceled):
		return // the reader has left
	}
	status, text, ok := f.sentence(v, err)
	if !ok {
		reference := rand.Text()[:8]
		f.options.Log.ErrorContext(v.Context(), "page failed", "reference", reference, "route", v.Request.Pattern, "error", err)
		status, text = http.StatusInternalServerError, v.Say("frame.internal", reference)
	}
	v.room = "frame"
	if err := v.show(status, "apology", text); err != nil {
		http.Error(v.Writer, text, status)
	}
}

// lead leads to a page that must come first, and says where to go after it: to
// the page that was asked, or from which something was posted.
func (f *Frame) lead(v *Visit, to, why string) {
	query := url.Values{}
	if back := Back(v.Request); back != "" && back != "/" {
		query.Set("back", back)
	}
	if why != "" || v.Request.Method == http.MethodPost {
		query.Set("why", why)
		if v.Request.Method == http.MethodPost {
			query.Set("why", "expired")
		}
	}
	target := Root + to
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	http.Redirect(v.Writer, v.Request, target, http.StatusSeeOther)
}

// Back returns the path, beneath Root, of the page that was asked, or from which
// something was posted; "" if there is none. No query is kept: it may say more
// than an address should.
func Back(r *http.Request) string {
	path := r.URL.Path
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		from, err := url.Parse(r.Referer())
		if err != nil || from.Host != r.Host {
			return ""
		}
		path = from.Path
	}
	return Local(strings.TrimPrefix(path, Root))
}

// Local returns a path beneath Root if it is one, else "".
func Local(path string) string {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\r\n?#") {
		return ""
	}
	return path
}
