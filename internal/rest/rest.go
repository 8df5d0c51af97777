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
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"

	"maillon/internal/auth"
	"maillon/internal/merchant"
	"maillon/internal/payment"
	"maillon/internal/stall"
	"maillon/internal/stall/counter"
	"maillon/internal/store"
	"maillon/internal/webhook"
)

// Bounds of a request and of an answer.
const (
	maxBody     = 4 << 10  // octets of one transfer
	maxShopBody = 16 << 10 // octets of what a merchant asks
	maxBulkBody = 64 << 10 // octets of many
	maxBulk     = 100      // transfers in one request
	maxList     = 100      // rows of one page
	listLen     = 50       // rows of a page, unless asked
	maxKeyLen   = 128      // octets of an Idempotency-Key
)

// A Handler serves the API. All its paths begin with /v1/.
type Handler struct {
	db        *store.DB
	desk      *payment.Desk
	merchants *merchant.Service
	stalls    *stall.Service
	posters   *counter.Counter
	webhooks  webhook.Options
	door      *auth.Door
	mux       *http.ServeMux

	running running // requests of merchants that are at work
	keys    limits  // how much each key of a merchant asks
	pages   limits  // how much is asked with a public key from each address
	misses  limits  // from where keys come that are none
}

// Parts are what the API is made of.
type Parts struct {
	DB        *store.DB
	Desk      *payment.Desk
	Merchants *merchant.Service
	Stalls    *stall.Service
	Posters   *counter.Counter
	Webhooks  webhook.Options
}

// New returns the API of one association.
func New(p Parts) *Handler {
	h := &Handler{
		db: p.DB, desk: p.Desk, merchants: p.Merchants, stalls: p.Stalls, posters: p.Posters, webhooks: p.Webhooks, door: auth.NewDoor(p.DB), mux: http.NewServeMux(),
		keys: newLimits(keyEvery, keyBurst), pages: newLimits(pageEvery, pageBurst), misses: newLimits(missEvery, missBurst),
	}
	for _, paths := range []map[string]operations{h.housePaths(), h.shopPaths(), h.stallPaths(), h.eventPaths()} {
		for path, all := range paths {
			h.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { h.answer(w, r, all) })
		}
	}
	h.mux.HandleFunc("/", func(w http.ResponseWriter, req *http.Request) { h.refuse(w, req, problemPath) })
	return h
}

// housePaths are for the association's own programs.
func (h *Handler) housePaths() map[string]operations {
	return map[string]operations{
		"/v1/transfers":      {http.MethodGet: house(auth.Read, h.listTransfers), http.MethodPost: house(auth.Transfer, h.postTransfer)},
		"/v1/transfers/bulk": {http.MethodPost: house(auth.Transfer, h.postBulk)},
		"/v1/transfers/{id}": {http.MethodGet: house(auth.Read, h.getTransfer)},
		"/v1/accounts":       {http.MethodGet: house(auth.Read, h.listAccounts)},
		"/v1/accounts/{id}":  {http.MethodGet: house(auth.Read, h.getAccount)},
	}
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	h.mux.ServeHTTP(w, r)
}

// An endpoint answers a request of somebody who may ask, or returns why not.
type endpoint func(w http.ResponseWriter, r *http.Request, who *auth.Key) error

// An operation is what is done at one path by one method, and who may ask it.
type operation struct {
	merchants bool       // only they; else only the association's programs
	scope     auth.Scope // "": any key will do that is secret
	do        endpoint
}

// operations are what can be done at one path, by method.
type operations map[string]operation

func house(scope auth.Scope, do endpoint) operation { return operation{false, scope, do} }

// shop is an operation of merchants' programs, within the rate of their keys.
func shop(scope auth.Scope, do endpoint) operation { return operation{true, scope, do} }

// answer finds what is asked of a path, and lets in only keys that may ask it.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, all operations) {
	if all.forPages() && openToPages(w, r, all) {
		return
	}
	op, ok := all[r.Method]
	if !ok {
		w.Header().Set("Allow", strings.Join(slices.Sorted(maps.Keys(all)), ", "))
		h.refuse(w, r, problemMethod)
		return
	}
	who, err := h.enter(r, op)
	if err == nil {
		err = op.do(w, r, who)
	}
	if err != nil {
		h.refuse(w, r, err)
	}
}

// enter returns the key of who asks, if it may ask for an operation now.
func (h *Handler) enter(r *http.Request, op operation) (*auth.Key, error) {
	who, err := h.door.Enter(r.Context(), bearer(r))
	switch {
	case errors.Is(err, auth.ErrUnknown):
		return nil, cmp.Or[error](h.misses.take(from(r)), err)
	case err != nil && (r.Context().Err() != nil || store.IsOutage(err)):
		return nil, problemUnavailable // whatever was asked, it has not begun
	case err != nil:
		return nil, err
	case who.Public:
		if err := h.pages.take(who.ID + " " + from(r)); err != nil {
			return nil, err
		}
	}
	if who.Merchant != 0 {
		if err := h.keys.take(who.ID); err != nil {
			return nil, err
		}
	}
	switch {
	case op.merchants && who.Merchant == 0:
		return nil, problemScope.because("this needs the key of a merchant")
	case who.Public && op.scope == "":
		return nil, problemScope.because("a public key checks orders, and nothing else")
	case op.scope != "" && !who.May(op.scope):
		return nil, problemScope.because("this needs the scope " + string(op.scope))
	}
	return who, nil
}

// from returns from where a request comes, for counting.
func from(r *http.Request) string {
	return auth.Address(r.RemoteAddr, r.Header.Get("X-Forwarded-For"))
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
