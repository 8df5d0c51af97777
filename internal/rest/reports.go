package rest

import (
	"context"
	"time"
)

// An outcomeReport is how the orders of a time came out.
type outcomeReport struct {
	Object         string `json:"object"`
	Livemode       bool   `json:"livemode"`
	Since          string `json:"since"` // a day
	Requested      int    `json:"requested"`
	Open           int    `json:"open"`
	Honoured       int    `json:"honoured"`
	Released       int    `json:"released"`
	Withdrawn      int    `json:"withdrawn"`
	NotHonoured    int    `json:"not_honoured"`
	Forfeited      int    `json:"forfeited"`
	Reinstated     int    `json:"reinstated"`
	ForfeitPercent int    `json:"forfeit_percent"`
}

// reportDays is how far back a report goes unless asked.
const reportDays = 30

func (h *Handler) reportOutcomes(ctx context.Context, c *call) (answer, error) {
	now := h.merchants.Now(c.tx, c.m).In(h.merchants.Set.Zone)
	since := time.Date(now.Year(), now.Month(), now.Day()-reportDays, 0, 0, 0, 0, h.merchants.Set.Zone)
	err := readQuery(c.r, filters{"since": func(v string) bool {
		day, err := time.ParseInLocation(time.DateOnly, v, h.merchants.Set.Zone)
		since = day
		return err == nil
	}})
	if err != nil {
		return answer{}, err
	}
	o, err := h.merchants.Outcomes(ctx, c.tx, c.m, since)
	if err != nil {
		return answer{}, err
	}
	return ok(outcomeReport{
		"outcome_report", !c.m.Test, since.Format(time.DateOnly), o.Requested, o.Open, o.Honoured, o.Released, o.Withdrawn, o.NotHonoured,
		o.Forfeited, o.Reinstated, o.ForfeitPercent,
	})
}
