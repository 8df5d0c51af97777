// Package rest is the API for programs, over HTTP, as api/openapi.yaml says.
//
// All is JSON. Amounts are whole smallest units with the code of their
// currency, rows are named by prefixed IDs (acc_7, txn_42), and what is wrong
// is a problem of RFC 9457 with a code that does not change. Nobody's number,
// pseudo or text comes in or goes out.
//
// Whoever asks for a transfer names it by a key of its own, and may ask again
// as often as it likes: it is done once, and the answer is the same. When it
// comes, the transfer is on disk.
package rest

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"maillon/internal/auth"
	"maillon/internal/payment"
	"maillon/internal/store"
)

// Bounds of a request and of an answer.
const (
	maxBody     = 4 << 10  // octets of one transfer
	maxBulkBody = 64 << 10 // octets of many
	maxBulk     = 100      // transfers in one request
	maxList     = 100      // rows of one page
	listLen     = 50       // rows of a page, unless asked
	maxKeyLen   = 128      // octets of an Idempotency-Key
)

// A Handler serves the API. All its paths begin with /v1/.
type Handler struct {
	db   *store.DB
	desk *payment.Desk
	door *auth.Door
	mux  *http.ServeMux
}

// New returns the API of one association.
func New(db *store.DB, desk *payment.Desk) *Handler {
	h := &Handler{db: db, desk: desk, door: auth.NewDoor(db), mux: http.NewServeMux()}
	for path, e := range map[string]endpoints{
		"/v1/transfers":      {h.listTransfers, h.postTransfer},
		"/v1/transfers/bulk": {nil, h.postBulk},
		"/v1/transfers/{id}": {h.getTransfer, nil},
		"/v1/accounts":       {h.listAccounts, nil},
		"/v1/accounts/{id}":  {h.getAccount, nil},
	} {
		h.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { h.answer(w, r, e) })
	}
	h.mux.HandleFunc("/", func(w http.ResponseWriter, req *http.Request) { h.refuse(w, req, problemPath) })
	return h
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	h.mux.ServeHTTP(w, r)
}

// An endpoint answers a request of somebody who may ask, or returns why not.
type endpoint func(w http.ResponseWriter, r *http.Request, who *auth.Key) error

// endpoints are what can be done at one path; nil cannot.
type endpoints struct{ get, post endpoint }

// answer finds what is asked of a path, and lets in only keys that may ask it.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, all endpoints) {
	do, scope := all.get, auth.Read
	if r.Method == http.MethodPost {
		do, scope = all.post, auth.Transfer
	}
	if do == nil || r.Method != http.MethodPost && r.Method != http.MethodGet {
		w.Header().Set("Allow", all.allow())
		h.refuse(w, r, problemMethod)
		return
	}
	who, err := h.enter(r, scope)
	if err == nil {
		err = do(w, r, who)
	}
	if err != nil {
		h.refuse(w, r, err)
	}
}

// enter returns the key of who asks, if it has a scope.
func (h *Handler) enter(r *http.Request, scope auth.Scope) (*auth.Key, error) {
	who, err := h.door.Enter(r.Context(), bearer(r))
	switch {
	case err == nil && !who.May(scope):
		return nil, problemScope.because("this needs the scope " + string(scope))
	case err != nil && (r.Context().Err() != nil || store.IsOutage(err)):
		return nil, problemUnavailable // whatever was asked, it has not begun
	}
	return who, err
}

func (e endpoints) allow() string {
	var all []string
	if e.get != nil {
		all = append(all, http.MethodGet)
	}
	if e.post != nil {
		all = append(all, http.MethodPost)
	}
	return strings.Join(all, ", ")
}

// bearer returns the token of a request, RFC 6750; "" if it brings none.
func bearer(r *http.Request) auth.Token {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return auth.Token(strings.TrimSpace(token))
}

// read reads a body of JSON into v, which knows all its fields.
func read(w http.ResponseWriter, r *http.Request, limit int64, v any) error {
	if kind := r.Header.Get("Content-Type"); kind != jsonType {
		if base, _, err := mime.ParseMediaType(kind); err != nil || base != jsonType {
			return problemMediaType
		}
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, limit))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		err = errTrailing
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return problemTooLarge
	}
	return problemMalformed.because(explainJSON(err))
}

const jsonType = "application/json"

var errTrailing = errors.New("more than one value")

// explainJSON says what is wrong with a body without repeating it.
func explainJSON(err error) string {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return "the field " + e.Field + " is of the wrong kind"
	}
	if strings.HasPrefix(err.Error(), "json: unknown field") {
		return "the body has a field that does not belong there"
	}
	return "the body is not the JSON that is expected"
}

// write answers with a body of JSON.
func write(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", jsonType)
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // whoever has gone can ask again
	return nil
}
