// Package page is the web page of a stall that sells without network, at
// /stall/: it is opened once by the link of a device, /stall/#TOKEN, and from
// then on a telephone says PAID or REFUSED by itself, whatever becomes of the
// network. It needs nothing from elsewhere, and keeps the key where no script
// can read it. When there is network it tells what was sold, and learns whether
// it may go on.
package page

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"time"

	"maillon/internal/stall"
	"maillon/internal/store"
)

// Root is where the page is.
const Root = "/stall/"

// Bounds of what telephones say.
const (
	maxEnrol = 1 << 10   // octets of a link's token, as JSON
	maxSync  = 256 << 10 // octets of a report
	workTime = 10 * time.Second
)

// policy lets the page load what this handler serves, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; manifest-src 'self'; worker-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// kinds are the media types of what is served, by the end of its name.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
	".json": "application/json", ".svg": "image/svg+xml", ".webmanifest": "application/manifest+json",
}

// worker is served with the version and the names of the others above it.
const worker = "worker.js"

//go:embed static
var static embed.FS

// Devices are what the page asks the stalls for.
type Devices interface {
	// Enrol turns the token of a link, which is good once, into a device.
	Enrol(ctx context.Context, token string) (*stall.Enrolment, error)
	// Sync notes what a device sold. What it says again is noted once.
	Sync(ctx context.Context, bearer string, passed []stall.Passed) (*stall.Answer, error)
}

// New returns the page and what it asks, beneath Root.
func New(devices Devices) (http.Handler, error) {
	mux := http.NewServeMux()
	if err := serveFiles(mux); err != nil {
		return nil, err
	}
	mux.HandleFunc("POST "+Root+"enrol", func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Token string `json:"token"`
		}
		answer(w, r, maxEnrol, &body, func(ctx context.Context) (any, error) { return devices.Enrol(ctx, body.Token) })
	})
	mux.HandleFunc("POST "+Root+"sync", func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Sales []stall.Passed `json:"sales"`
		}
		answer(w, r, maxSync, &body, func(ctx context.Context) (any, error) {
			if len(body.Sales) > stall.MaxSales {
				return nil, errForm
			}
			scheme, bearer, _ := strings.Cut(r.Header.Get("Authorization"), " ")
			if !strings.EqualFold(scheme, "Bearer") || bearer == "" {
				return nil, stall.ErrDevice
			}
			return devices.Sync(ctx, bearer, body.Sales)
		})
	})
	return http.NewCrossOriginProtection().Handler(mux), nil
}

// serveFiles serves the page as one version, which changes with any of it.
func serveFiles(mux *http.ServeMux) error {
	files, err := fs.Sub(static, "static")
	if err != nil {
		return err
	}
	all, err := fs.ReadDir(files, ".")
	if err != nil {
		return err
	}
	version, names := sha256.New(), []string{"./"}
	texts := map[string][]byte{}
	for _, f := range all {
		text, err := fs.ReadFile(files, f.Name())
		if err != nil {
			return err
		}
		texts[f.Name()] = text
		fmt.Fprintf(version, "%s %d\n%s", f.Name(), len(text), text)
		if f.Name() != worker && f.Name() != "index.html" {
			names = append(names, f.Name())
		}
	}
	list, err := json.Marshal(names)
	if err != nil {
		return err
	}
	texts[worker] = fmt.Appendf(nil, "const VERSION = \"stall-%x\", FILES = %s;\n%s", version.Sum(nil)[:8], list, texts[worker])
	for name, text := range texts {
		kind, at := kinds[path.Ext(name)], name
		if kind == "" {
			return fmt.Errorf("static/%s is of no kind that is served", name)
		}
		if name == "index.html" {
			at = "{$}"
		}
		mux.HandleFunc("GET "+Root+at, func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("Content-Type", kind)
			h.Set("Content-Security-Policy", policy)
			h.Set("X-Content-Type-Options", "nosniff")
			h.Set("Referrer-Policy", "no-referrer")
			h.Set("Cross-Origin-Opener-Policy", "same-origin")
			h.Set("Cross-Origin-Resource-Policy", "same-origin")
			h.Set("Cache-Control", "no-cache")
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(text))
		})
	}
	return nil
}

// errForm means that a body is not what the page sends.
var errForm = errors.New("not what the page of a stall sends")

// answer reads what a telephone says and writes what it learns.
func answer(w http.ResponseWriter, r *http.Request, most int64, body any, do func(context.Context) (any, error)) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, most)).Decode(body); err != nil {
		refuse(w, r, errors.Join(errForm, err))
		return
	}
	// A telephone that leaves has sold all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), workTime)
	defer cancel()
	learnt, err := do(ctx)
	if err != nil {
		refuse(w, r, err)
		return
	}
	h.Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(learnt) // or the telephone is gone, and asks again
}

// A problem is why something was not done, for whoever looks at what a page
// was answered; the page itself goes by the status.
type problem struct {
	status       int
	code, detail string
}

// problemOf is the one table from an error to what is said of it.
func problemOf(err error) problem {
	_, large := errors.AsType[*http.MaxBytesError](err)
	switch {
	case large:
		return problem{http.StatusRequestEntityTooLarge, "body_too_large", "the body is too large: send less at once"}
	case errors.Is(err, errForm):
		return problem{http.StatusBadRequest, "malformed", "the body is not what the page of a stall sends"}
	case errors.Is(err, stall.ErrLink):
		return problem{http.StatusGone, "link_used", "this link was used or is not good any more: ask for another"}
	case errors.Is(err, stall.ErrDevice):
		return problem{http.StatusUnauthorized, "device_unknown", "no such device: enrol the telephone again"}
	case store.IsOutage(err):
		return problem{http.StatusServiceUnavailable, "unavailable", "the books are away: ask again"}
	}
	return problem{http.StatusInternalServerError, "internal", "something went wrong here: ask again"}
}

func refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	h := w.Header()
	switch p.status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="stall"`)
	case http.StatusInternalServerError:
		slog.ErrorContext(r.Context(), "request of a stall failed", "error", err)
	}
	h.Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.status)
	_ = json.NewEncoder(w).Encode(map[string]any{"status": p.status, "title": http.StatusText(p.status), "code": p.code, "detail": p.detail})
}
