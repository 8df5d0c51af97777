// Package home is the first page of the console: how the service does, and what
// waits for a decision.
package home

import (
	"context"
	"embed"

	"maillon/internal/auth"
	"maillon/internal/console/frame"
	"maillon/internal/money"
	"maillon/internal/server"
	"maillon/internal/store"
)

//go:embed *.html *.toml
var files embed.FS

// New returns the room of the first page.
func New(s *server.Server) frame.Room {
	h := home{s}
	return frame.Room{
		Name: "home", Files: files,
		Pages: []frame.Page{{Route: "GET /{$}", Right: frame.Somebody, Serve: h.show}},
		Menu:  []frame.Entry{{Path: "/", Word: "home.menu", Right: frame.Somebody}},
	}
}

type home struct{ server *server.Server }

// A glance is what the page knows.
type glance struct {
	Members     int64
	Circulating money.Amount
	Alerts      int
}

func (h home) show(v *frame.Visit) error {
	var g glance
	err := v.View(func(ctx context.Context, tx *store.Tx) (err error) {
		if g.Members, err = tx.CountMembers(ctx); err != nil {
			return err
		}
		emission, err := tx.SystemAccount(ctx, store.Emission, h.server.Settings.Currency())
		if err != nil {
			return err
		}
		if g.Circulating, err = emission.Balance.Neg(); err != nil || !v.May(auth.SeeNames) {
			return err
		}
		g.Alerts, err = tx.OpenAlerts(ctx)
		return err
	})
	if err != nil {
		return err
	}
	return v.Show("home", g)
}
