package rest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strconv"

	"maillon/internal/auth"
	"maillon/internal/ledger"
	"maillon/internal/money"
	"maillon/internal/payment"
	"maillon/internal/store"
	"maillon/internal/webhook"
)

// A problem is what is wrong, as RFC 9457 says it. Its code never changes its
// meaning; title and detail are for people.
type problem struct {
	Status    int    `json:"status"`
	Title     string `json:"title"`
	Code      string `json:"code"`
	Detail    string `json:"detail"`
	Account   string `json:"account,omitempty"`   // that is the reason
	State     string `json:"state,omitempty"`     // where the object is, if that is the reason
	Field     string `json:"field,omitempty"`     // of the body, that is the reason
	Reference string `json:"reference,omitempty"` // of the line in the log

	after int // how many seconds to wait before asking again; 0: the usual ones
}

// Error implements error.
func (p *problem) Error() string { return p.Code + ": " + p.Detail }

// because returns the problem with another detail.
func (p *problem) because(detail string) *problem {
	q := *p
	q.Detail = detail
	return &q
}

func problemOf(status int, code, detail string) *problem {
	return &problem{Status: status, Title: http.StatusText(status), Code: code, Detail: detail}
}

// The problems that the edge itself finds.
var (
	problemUnauthorized = problemOf(http.StatusUnauthorized, "unauthorized", "a good key is needed: Authorization: Bearer maillon_…")
	problemScope        = problemOf(http.StatusForbidden, "scope_missing", "the key may not do this")
	problemPath         = problemOf(http.StatusNotFound, "not_found", "there is nothing here")
	problemMethod       = problemOf(http.StatusMethodNotAllowed, "method_not_allowed", "this cannot be done here")
	problemTooLarge     = problemOf(http.StatusRequestEntityTooLarge, "body_too_large", "the body is too large")
	problemMediaType    = problemOf(http.StatusUnsupportedMediaType, "media_type", "the body must be application/json")
	problemMalformed    = problemOf(http.StatusBadRequest, "malformed", "the body is not the JSON that is expected")
	problemParameter    = problemOf(http.StatusBadRequest, "parameter", "a parameter is wrong")
	problemBulk         = problemOf(http.StatusBadRequest, "bulk_size", "from 1 to 100 transfers are done at once")
	problemKeyMissing   = problemOf(http.StatusBadRequest, "idempotency_key_missing", "a transfer needs a key of its own, so that it is done once")
	problemKeyForm      = problemOf(http.StatusBadRequest, "idempotency_key_form", "an idempotency key is from 1 to 128 printable characters of ASCII, without spaces")
	problemNoKey        = problemOf(http.StatusBadRequest, "idempotency_key_missing", "the header Idempotency-Key is needed, with a name of your own for this request, so that it is done once")
	problemKeyReused    = problemOf(http.StatusUnprocessableEntity, "idempotency_key_reused", "this key stands for another request: take a new one")
	problemKeyRunning   = problemOf(http.StatusConflict, "idempotency_key_running", "the first request with this key is at work: ask again in a moment")
	problemNoEvent      = problemOf(http.StatusNotFound, "event_not_found", "there is no such event, or it is older than 30 days")
	problemRate         = problemOf(http.StatusTooManyRequests, "rate_limited", "too much is asked in too short a time: wait, then ask again")
	problemNoTransfer   = problemOf(http.StatusNotFound, "transfer_not_found", "there is no such transfer")
	problemNoAccount    = problemOf(http.StatusNotFound, "account_not_found", "there is no such account")
	problemUnavailable  = problemOf(http.StatusServiceUnavailable, "unavailable", "nothing was done, for the server is closing or its books are away: ask again")
	problemOutcome      = problemOf(http.StatusServiceUnavailable, "outcome_unknown", "it may have been done or not: ask again with the same key")
	problemInternal     = problemOf(http.StatusInternalServerError, "internal", "something went wrong here: ask again with the same key")
)

// A known error of the rooms below, and its problem.
type known struct {
	is error
	*problem
}

// houseKnown is the one table of them, with that of the merchants' room in refusal.go.
var houseKnown = []known{
	{auth.ErrUnknown, problemUnauthorized},
	{payment.ErrReused, problemOf(http.StatusUnprocessableEntity, "idempotency_key_reused", "this key stands for another transfer")},
	{payment.ErrAmount, problemOf(http.StatusUnprocessableEntity, "amount", "an amount is from 1 to 9007199254740991")},
	{payment.ErrOneself, problemOf(http.StatusUnprocessableEntity, "same_account", "a transfer needs two accounts")},
	{ledger.ErrNoAccount, problemOf(http.StatusUnprocessableEntity, "account_unknown", "there is no such account")},
	{money.ErrCurrency, problemOf(http.StatusUnprocessableEntity, "currency", "the account is not kept in this currency")},
	{payment.ErrBlocked, problemOf(http.StatusUnprocessableEntity, "account_blocked", "the account is frozen or locked")},
	{payment.ErrNotOpen, problemOf(http.StatusUnprocessableEntity, "account_not_open", "the account was closed, or nobody has accepted it yet")},
	{payment.ErrReserved, problemOf(http.StatusUnprocessableEntity, "account_reserved", "only administrators move the money of this account")},
	{ledger.ErrInsufficient, problemOf(http.StatusUnprocessableEntity, "insufficient_funds", "the account has less than that to spend")},
	{money.ErrOverflow, problemOf(http.StatusUnprocessableEntity, "overflow", "the account cannot hold so much")},
	{payment.ErrPaused, problemOf(http.StatusServiceUnavailable, "payments_paused", "an administrator has stopped all payments")},
	{webhook.ErrNoEndpoint, problemOf(http.StatusNotFound, "webhook_endpoint_not_found", "there is no such endpoint")},
	{webhook.ErrURL, problemOf(http.StatusUnprocessableEntity, "webhook_url", "an endpoint is https:// and a public host, without a name, a password or a # in it")},
	{webhook.ErrAddress, problemOf(http.StatusUnprocessableEntity, "webhook_url", "the host is not one of the public internet")},
	{webhook.ErrTypes, problemOf(http.StatusUnprocessableEntity, "webhook_events", "events are types that there are, at least one, or * for all")},
	{webhook.ErrDescription, problemOf(http.StatusUnprocessableEntity, "webhook_description", "a description is one line of at most 200 octets")},
	{webhook.ErrTooMany, problemOf(http.StatusConflict, "webhook_endpoints_full", "there are 16 endpoints already: remove one first")},
	{webhook.ErrDisabled, problemOf(http.StatusConflict, "webhook_disabled", "the endpoint is disabled: enable it first")},
	{webhook.ErrOverlap, problemOf(http.StatusUnprocessableEntity, "webhook_overlap", "two secrets are good together for 0 to 604800 seconds")},
	{store.ErrBusy, problemOf(http.StatusServiceUnavailable, "busy", "too much is asked at once: ask again in a moment")},
	{store.ErrClosed, problemUnavailable},
	{store.ErrMoved, problemUnavailable},
}

// retryAfter is what is said to whoever may ask again, in seconds.
const retryAfter = 1

// problemFor finds the problem of an error. One that is nobody's business is
// logged, and has a reference.
func problemFor(ctx context.Context, err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	if p := shopProblem(err); p != nil {
		return p
	}
	for _, k := range slices.Concat(houseKnown, shopKnown, stallKnown) {
		if !errors.Is(err, k.is) {
			continue
		}
		p := *k.problem
		if e, ok := errors.AsType[*payment.AccountError](err); ok {
			p.Account = accountID(e.Account)
		}
		return &p
	}
	switch {
	case err == ctx.Err(): //nolint:errorlint // as it is, it comes before anything has begun; what a commit wraps does not
		return problemUnavailable
	case store.IsOutage(err):
		return problemOutcome
	}
	p := *problemInternal
	p.Reference = rand.Text()[:8]
	slog.ErrorContext(ctx, "request of the API failed", "reference", p.Reference, "error", err)
	return &p
}

// refuse answers with what is wrong.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p := problemFor(r.Context(), err)
	if p == problemOutcome && r.Method != http.MethodPost {
		p = problemUnavailable
	}
	switch p.Status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="maillon"`)
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		w.Header().Set("Retry-After", strconv.Itoa(max(p.after, retryAfter)))
	}
	body, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings and numbers
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n'))
}
