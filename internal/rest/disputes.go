package rest

import (
	"context"

	"maillon/internal/merchant"
	"maillon/internal/trade"
	"maillon/internal/trade/object"
)

func (h *Handler) getDispute(ctx context.Context, c *call) (answer, error) {
	id, err := pathID(c, object.DisputeID, problemNoDispute)
	if err != nil {
		return answer{}, err
	}
	d, err := h.merchants.Dispute(ctx, c.tx, c.m, id)
	if err != nil {
		return answer{}, found(err, problemNoDispute)
	}
	return ok(object.OfDispute(c.m.Test, d))
}

func (h *Handler) listDisputes(ctx context.Context, c *call) (answer, error) {
	var page merchant.Page
	limit, err := readPage(c, object.DisputeID, &page, filters{
		"status": stateFilter(&page.States, trade.DisputeOpen, trade.DisputeAnswer, trade.DisputeWon, trade.DisputeLost),
		"claim":  idFilter(object.ClaimID, &page.Parent),
	})
	if err != nil {
		return answer{}, err
	}
	all, err := h.merchants.Disputes(ctx, c.tx, c.m, page)
	if err != nil {
		return answer{}, err
	}
	show := func(d *trade.Dispute) (object.Dispute, error) { return object.OfDispute(c.m.Test, d), nil }
	return shown(all, limit, show, func(v object.Dispute) string { return v.ID })
}

// A disputeResponse is what the merchant says of it.
type disputeResponse struct {
	Accept   bool     `json:"accept"`
	Answer   string   `json:"answer"`
	Evidence []string `json:"evidence"`
}

func (h *Handler) respondDispute(ctx context.Context, c *call, q disputeResponse) (answer, error) {
	id, err := pathID(c, object.DisputeID, problemNoDispute)
	if err != nil {
		return answer{}, err
	}
	d, err := h.merchants.Answer(ctx, c.tx, c.by, c.m, id, q.Accept, q.Answer, q.Evidence)
	if err != nil {
		return answer{}, found(err, problemNoDispute)
	}
	return ok(object.OfDispute(c.m.Test, d))
}
