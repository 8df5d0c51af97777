package rest

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"maillon/internal/auth"
)

// preflightAge is how long a browser remembers that a page may ask, in seconds.
const preflightAge = "86400"

// forPages reports whether pages of shops may ask something of a path: what
// public keys are for.
func (all operations) forPages() bool {
	for _, op := range all {
		if op.merchants && op.scope == auth.AuthorizationsCheck {
			return true
		}
	}
	return false
}

// openToPages lets a browser show the answer to the page that asked, whatever its
// site: it sends no key that the page does not have. It reports whether the
// browser only wanted to know.
func openToPages(w http.ResponseWriter, r *http.Request, all operations) (asked bool) {
	if r.Header.Get("Origin") == "" {
		return false
	}
	header := w.Header()
	header.Set("Access-Control-Allow-Origin", "*")
	header.Set("Access-Control-Expose-Headers", "Retry-After")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	header.Set("Access-Control-Allow-Methods", strings.Join(slices.Sorted(maps.Keys(all)), ", "))
	header.Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
	header.Set("Access-Control-Max-Age", preflightAge)
	w.WriteHeader(http.StatusNoContent)
	return true
}
