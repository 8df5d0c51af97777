package rest

import (
	"context"
	"errors"
	"net/http"

	"maillon/internal/auth"
	"maillon/internal/merchant"
	"maillon/internal/store"
	"maillon/internal/trade"
	"maillon/internal/trade/object"
)

// A claimRequest asks that an order be let through.
type claimRequest struct {
	orderRequest
	Mode string `json:"mode"`
}

// The modes of a claim.
const (
	modeGate    = "gate"
	modeRequest = "request"
)

// claim is the operation that takes a slot. A refusal leaves nothing behind, but
// that a code was tried in vain must be remembered, or codes could be guessed.
func (h *Handler) claim() operation {
	return shop(auth.ClaimsWrite, func(w http.ResponseWriter, r *http.Request, who *auth.Key) error {
		asked, err := readAsked[claimRequest](w, r)
		if err != nil {
			return err
		}
		err = h.once(w, r, who, asked, deedOf(h, r, who, asked, h.postClaim))
		if refusal, is := errors.AsType[*trade.Refusal](err); is && refusal.Reason == trade.NotFound && asked.Code != "" {
			count := deedOf(h, r, who, asked.orderRequest, h.postCheck)
			if e := h.db.Update(r.Context(), func(tx *store.Tx) error { _, e := count(r.Context(), tx); return e }); e != nil {
				return e
			}
		}
		return err
	})
}

func (h *Handler) postClaim(ctx context.Context, c *call, q claimRequest) (answer, error) {
	if q.Mode != "" && q.Mode != modeGate && q.Mode != modeRequest {
		return answer{}, problemMalformed.because("mode is gate or request")
	}
	ask, err := q.ask(c)
	if err != nil {
		return answer{}, err
	}
	claim, fresh, err := h.merchants.Claim(ctx, c.tx, c.m, ask, q.Mode == modeRequest)
	if err != nil {
		return answer{}, found(err, problemNoPolicy)
	}
	v := object.OfClaim(c.m.Test, claim)
	if !fresh {
		return ok(v)
	}
	return created(v, "/v1/claims/"+v.ID)
}

func (h *Handler) getClaim(ctx context.Context, c *call) (answer, error) {
	id, err := pathID(c, object.ClaimID, problemNoClaim)
	if err != nil {
		return answer{}, err
	}
	claim, err := h.merchants.ClaimByID(ctx, c.tx, c.m, id)
	if err != nil {
		return answer{}, found(err, problemNoClaim)
	}
	return ok(object.OfClaim(c.m.Test, claim))
}

// claimStates are those that a list can be asked for.
var claimStates = []trade.State{
	trade.Requested, trade.Reserved, trade.Opened, trade.Honoured, trade.Released, trade.Withdrawn, trade.NotHonoured, trade.Forfeit, trade.Reinstated,
}

func (h *Handler) listClaims(ctx context.Context, c *call) (answer, error) {
	var page merchant.Page
	ref := ""
	limit, err := readPage(c, object.ClaimID, &page, filters{
		"status": stateFilter(&page.States, claimStates...), "authorization": idFilter(object.AuthorizationID, &page.Parent),
		"order_ref": func(v string) bool { ref = v; return v != "" && len(v) <= merchant.MaxRef },
	})
	if err != nil {
		return answer{}, err
	}
	var all []*trade.Claim
	if ref != "" {
		all, err = h.claimOf(ctx, c, ref, page)
	} else {
		all, err = h.merchants.Claims(ctx, c.tx, c.m, page)
	}
	if err != nil {
		return answer{}, err
	}
	show := func(claim *trade.Claim) (object.Claim, error) { return object.OfClaim(c.m.Test, claim), nil }
	return shown(all, limit, show, func(v object.Claim) string { return v.ID })
}

// claimOf returns the claim of an order, if it is what else was asked for.
func (h *Handler) claimOf(ctx context.Context, c *call, ref string, page merchant.Page) ([]*trade.Claim, error) {
	claim, err := h.merchants.ClaimByRef(ctx, c.tx, c.m, ref)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if len(page.States) > 0 && claim.State != page.States[0] || page.Parent != 0 && claim.Authorization != page.Parent || claim.ID <= page.After {
		return nil, nil
	}
	return []*trade.Claim{claim}, nil
}

// An outcome is what the merchants' room does to a claim.
type outcome func(ctx context.Context, tx *store.Tx, by string, m *trade.Merchant, claim int64) (*trade.Claim, error)

// settle answers the request for an outcome, which needs no body.
func (h *Handler) settle(do outcome) sight {
	return func(ctx context.Context, c *call) (answer, error) {
		id, err := pathID(c, object.ClaimID, problemNoClaim)
		if err != nil {
			return answer{}, err
		}
		claim, err := do(ctx, c.tx, c.by, c.m, id)
		if err != nil {
			return answer{}, found(err, problemNoClaim)
		}
		return ok(object.OfClaim(c.m.Test, claim))
	}
}

// A notHonouredRequest says what happened, and what shows it.
type notHonouredRequest struct {
	Reason   string   `json:"reason"`
	Evidence []string `json:"evidence"`
}

func (h *Handler) notHonoured(ctx context.Context, c *call, q notHonouredRequest) (answer, error) {
	return h.settle(func(ctx context.Context, tx *store.Tx, by string, m *trade.Merchant, claim int64) (*trade.Claim, error) {
		return h.merchants.NotHonoured(ctx, tx, by, m, claim, q.Reason, q.Evidence)
	})(ctx, c)
}
