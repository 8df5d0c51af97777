package rest

import (
	"context"
	"net/http"

	"maillon/internal/auth"
	"maillon/internal/store"
	"maillon/internal/trade"
)

// A call is one request of a merchant's program, in its transaction.
type call struct {
	r  *http.Request
	tx *store.Tx
	m  *trade.Merchant // the twin for tests, with a key for tests
	by string          // who does it, for the record

	client string // from where a key of a page is used; "": it is no such key
}

// begin finds whose key it is.
func (h *Handler) begin(ctx context.Context, tx *store.Tx, r *http.Request, who *auth.Key) (*call, error) {
	m, err := h.merchants.Merchant(ctx, tx, who.Merchant)
	c := &call{r: r, tx: tx, m: m, by: keyName(who)}
	if who.Public {
		c.client = auth.Address(r.RemoteAddr, r.Header.Get("X-Forwarded-For"))
	}
	return c, err
}

// A sight is what a request sees, or what is done without a body.
type sight func(ctx context.Context, c *call) (answer, error)

// look is an operation that reads.
func (h *Handler) look(scope auth.Scope, do sight) operation {
	return shop(scope, func(w http.ResponseWriter, r *http.Request, who *auth.Key) error {
		var a answer
		err := h.db.View(r.Context(), func(tx *store.Tx) error {
			c, err := h.begin(r.Context(), tx, r, who)
			if err != nil {
				return err
			}
			a, err = do(r.Context(), c)
			return err
		})
		if err != nil {
			return err
		}
		return write(w, a.status, a.body)
	})
}

// nothing is asked with requests that have no body.
type nothing struct{}

// An act does what a request asks, which was read before.
type act[Q any] func(ctx context.Context, c *call, asked Q) (answer, error)

// bare is an act that is asked without a body.
func bare(do sight) act[nothing] {
	return func(ctx context.Context, c *call, _ nothing) (answer, error) { return do(ctx, c) }
}

// readAsked reads what is asked; nothing is not read.
func readAsked[Q any](w http.ResponseWriter, r *http.Request) (asked Q, err error) {
	if _, none := any(asked).(nothing); none {
		return asked, nil
	}
	return asked, read(w, r, maxShopBody, &asked)
}

// deedOf is what an act does in the transaction of its key.
func deedOf[Q any](h *Handler, r *http.Request, who *auth.Key, asked Q, do act[Q]) deed {
	return func(ctx context.Context, tx *store.Tx) (answer, error) {
		c, err := h.begin(ctx, tx, r, who)
		if err != nil {
			return answer{}, err
		}
		return do(ctx, c, asked)
	}
}

// onceOp is an operation that is done once for each Idempotency-Key.
func onceOp[Q any](h *Handler, scope auth.Scope, do act[Q]) operation {
	return shop(scope, func(w http.ResponseWriter, r *http.Request, who *auth.Key) error {
		asked, err := readAsked[Q](w, r)
		if err != nil {
			return err
		}
		return h.once(w, r, who, asked, deedOf(h, r, who, asked, do))
	})
}

// plainOp is an operation that may be asked again without harm: it needs no key.
func plainOp[Q any](h *Handler, scope auth.Scope, do act[Q]) operation {
	return shop(scope, func(w http.ResponseWriter, r *http.Request, who *auth.Key) error {
		asked, err := readAsked[Q](w, r)
		if err != nil {
			return err
		}
		var a answer
		d := deedOf(h, r, who, asked, do)
		err = h.db.Update(r.Context(), func(tx *store.Tx) (err error) {
			a, err = d(r.Context(), tx)
			return err
		})
		if err != nil {
			return err
		}
		if a.location != "" {
			w.Header().Set("Location", a.location)
		}
		return write(w, a.status, a.body)
	})
}

// shopPaths are for merchants' programs.
func (h *Handler) shopPaths() map[string]operations {
	const get, post, patch = http.MethodGet, http.MethodPost, http.MethodPatch
	m := h.merchants
	return map[string]operations{
		"/v1/merchant":                     {get: h.look("", readMerchant)},
		"/v1/policies":                     {get: h.look(auth.PoliciesRead, h.listPolicies), post: onceOp(h, auth.PoliciesWrite, h.postPolicy)},
		"/v1/policies/{id}":                {get: h.look(auth.PoliciesRead, h.getPolicy), patch: plainOp(h, auth.PoliciesWrite, h.patchPolicy)},
		"/v1/authorizations/check":         {post: plainOp(h, auth.AuthorizationsCheck, h.postCheck)},
		"/v1/authorizations/search":        {post: plainOp(h, auth.AuthorizationsRead, h.searchAuthorizations)},
		"/v1/authorizations":               {get: h.look(auth.AuthorizationsRead, h.listAuthorizations), post: onceOp(h, auth.AuthorizationsWrite, h.postAuthorization)},
		"/v1/authorizations/{id}":          {get: h.look(auth.AuthorizationsRead, h.getAuthorization)},
		"/v1/authorizations/{id}/revoke":   {post: onceOp(h, auth.AuthorizationsWrite, h.revokeAuthorization)},
		"/v1/authorizations/{id}/refund":   {post: onceOp(h, auth.AuthorizationsWrite, h.refundAuthorization)},
		"/v1/claims":                       {get: h.look(auth.ClaimsRead, h.listClaims), post: h.claim()},
		"/v1/claims/{id}":                  {get: h.look(auth.ClaimsRead, h.getClaim)},
		"/v1/claims/{id}/confirm":          {post: onceOp(h, auth.ClaimsWrite, bare(h.settle(m.Confirm)))},
		"/v1/claims/{id}/honour":           {post: onceOp(h, auth.ClaimsWrite, bare(h.settle(m.Honour)))},
		"/v1/claims/{id}/release":          {post: onceOp(h, auth.ClaimsWrite, bare(h.settle(m.Release)))},
		"/v1/claims/{id}/withdraw":         {post: onceOp(h, auth.ClaimsWrite, bare(h.settle(m.Withdraw)))},
		"/v1/claims/{id}/not_honoured":     {post: onceOp(h, auth.ClaimsWrite, h.notHonoured)},
		"/v1/disputes":                     {get: h.look(auth.DisputesRead, h.listDisputes)},
		"/v1/disputes/{id}":                {get: h.look(auth.DisputesRead, h.getDispute)},
		"/v1/disputes/{id}/respond":        {post: onceOp(h, auth.DisputesWrite, h.respondDispute)},
		"/v1/charges":                      {get: h.look(auth.PayoutsRead, h.listCharges)},
		"/v1/refunds":                      {get: h.look(auth.PayoutsRead, h.listRefunds)},
		"/v1/payouts":                      {get: h.look(auth.PayoutsRead, h.listPayouts)},
		"/v1/balance":                      {get: h.look(auth.PayoutsRead, h.getBalance)},
		"/v1/ledger/accounts":              {get: h.look(auth.PayoutsRead, h.listLedgerAccounts)},
		"/v1/ledger/accounts/{id}/entries": {get: h.look(auth.PayoutsRead, h.listLedgerEntries)},
		"/v1/reports/outcomes":             {get: h.look(auth.PayoutsRead, h.reportOutcomes)},
		"/v1/test/inbound_messages":        {post: plainOp(h, auth.ClaimsWrite, h.postTestMessage)},
		"/v1/test/billing_reports":         {post: plainOp(h, auth.ClaimsWrite, h.postTestBill)},
		"/v1/test/disputes":                {post: plainOp(h, auth.DisputesWrite, h.postTestDispute)},
		"/v1/test/clock":                   {get: h.look(auth.ClaimsRead, h.getTestClock), post: plainOp(h, auth.ClaimsWrite, h.postTestClock)},
	}
}
