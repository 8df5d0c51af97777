package server

import (
	"context"
	"fmt"
	"log/slog"

	"maillon/internal/courier"
	"maillon/internal/store"
	"maillon/internal/trade"
	"maillon/internal/trade/object"
	"maillon/internal/webhook"
)

// emit tells a merchant's programs what happened, in the form in which they read
// the object from the API.
func (s *Server) emit(ctx context.Context, tx *store.Tx, merchant int64, typ string, about any) error {
	shown, err := s.shown(ctx, tx, merchant, about)
	if err != nil {
		return fmt.Errorf("event %s: %w", typ, err)
	}
	return webhook.Emit(ctx, tx, merchant, typ, shown)
}

// trouble tells administrators of messages in trouble, and all merchants' programs if
// it is the line's.
func (s *Server) trouble(ctx context.Context, a courier.Alert) {
	s.Teller.Trouble(ctx, a)
	if a.Trouble == courier.OptedOut {
		return
	}
	degraded := map[string]string{"object": "gateway", "gateway": a.Line, "trouble": string(a.Trouble)}
	err := s.DB.Update(ctx, func(tx *store.Tx) error {
		all, err := s.Merchants.Merchants(ctx, tx, 0, store.MaxRecords)
		if err != nil {
			return err
		}
		for _, m := range all {
			if err := webhook.Emit(ctx, tx, m.ID, "gateway.degraded", degraded); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		slog.ErrorContext(ctx, "merchants not told of trouble", "line", a.Line, "error", err)
	}
}

// shown returns an object as programs read it. What is none of trade's is for
// them as it is.
func (s *Server) shown(ctx context.Context, tx *store.Tx, merchant int64, about any) (any, error) {
	m, err := s.Merchants.Merchant(ctx, tx, merchant)
	if err != nil {
		return nil, err
	}
	switch v := about.(type) {
	case *trade.Authorization:
		p, err := s.Merchants.Terms(ctx, tx, v)
		if err != nil {
			return nil, err
		}
		return object.OfAuthorization(p, v), nil
	case *trade.Claim:
		return object.OfClaim(m.Test, v), nil
	case *trade.Dispute:
		return object.OfDispute(m.Test, v), nil
	case *trade.Charge:
		return object.OfCharge(m.Test, v), nil
	case *trade.Payout:
		return object.OfPayout(m.Test, v), nil
	case *trade.Statement:
		return object.OfStatement(v), nil
	}
	return about, nil
}
