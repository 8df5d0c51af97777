// Package reference shows the contract of the API to people, at /docs/api: each
// operation, what it takes and answers, and the line that tries it. The page is
// made of api/openapi.yaml when the program starts, so that it says what the
// server does; it needs no script and nothing from elsewhere, is one page so
// that a browser finds every word of it, and is read by anybody, for it says
// nothing of the association.
package reference

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"maillon/api"
)

// Root is where the page is.
const Root = "/docs/api"

// policy lets the page show itself and its style, and do nothing.
const policy = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

//go:embed reference.html reference.css
var files embed.FS

// New returns the page, its style and the contract itself, beneath Root.
func New() (http.Handler, error) {
	p, err := read([]byte(api.Contract()))
	if err != nil {
		return nil, fmt.Errorf("read the contract of the API: %w", err)
	}
	t, err := template.ParseFS(files, "reference.html")
	if err != nil {
		return nil, err
	}
	var page bytes.Buffer
	if err := t.Execute(&page, p); err != nil {
		return nil, err
	}
	style, err := files.ReadFile("reference.css")
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	for path, f := range map[string]struct{ kind, text string }{
		"":              {"text/html; charset=utf-8", page.String()},
		"/style.css":    {"text/css; charset=utf-8", string(style)},
		"/openapi.yaml": {"application/yaml; charset=utf-8", api.Contract()},
	} {
		mux.HandleFunc("GET "+Root+path, func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("Content-Type", f.kind)
			h.Set("Content-Security-Policy", policy)
			h.Set("X-Content-Type-Options", "nosniff")
			h.Set("Referrer-Policy", "no-referrer")
			h.Set("Cache-Control", "no-cache")
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader(f.text))
		})
	}
	return mux, nil
}
