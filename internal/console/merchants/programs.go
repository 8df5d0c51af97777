package merchants

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"maillon/internal/auth"
	"maillon/internal/console/frame"
	"maillon/internal/store"
	"maillon/internal/trade"
	"maillon/internal/webhook"
)

// eventsShown is how many of the last events a page shows.
const eventsShown = 20

// An endpoint is where a merchant's program hears of events, with how it does.
type endpoint struct {
	webhook.Endpoint
	Line webhook.Line
}

// listPrograms shows a merchant's keys, endpoints and last events.
func (r room) listPrograms(v *frame.Visit) error {
	var page struct {
		*trade.Merchant
		Keys      []store.APIKey
		Endpoints []endpoint
		Events    []webhook.Event
	}
	err := v.View(func(ctx context.Context, tx *store.Tx) (err error) {
		if page.Merchant, err = r.its(ctx, tx, v); err != nil {
			return err
		}
		if page.Keys, err = tx.MerchantKeys(ctx, page.ID); err != nil {
			return err
		}
		all, err := webhook.Endpoints(ctx, tx, page.ID)
		if err != nil {
			return err
		}
		for _, e := range all {
			line, err := webhook.LineOf(ctx, tx, e.ID)
			if err != nil {
				return err
			}
			page.Endpoints = append(page.Endpoints, endpoint{e, line})
		}
		page.Events, err = webhook.LastEvents(ctx, tx, page.ID, 0, eventsShown)
		return err
	})
	if err != nil {
		return err
	}
	return v.Show("programs", page)
}

// A secret is shown once, to whoever asked for it.
type secret struct {
	*trade.Merchant
	Word, Secret string
}

// changePrograms makes or ends a key, or adds an endpoint. What is secret is on the
// page that answers, and on no other.
func (r room) changePrograms(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	var shown secret
	if url := v.Value("url"); url != "" { // before the transaction, for it asks the network
		if err := r.look(v, url); err != nil {
			return sorry(v, err)
		}
	}
	err := v.Update(func(ctx context.Context, tx *store.Tx) (err error) {
		if shown.Merchant, err = r.its(ctx, tx, v); err != nil {
			return err
		}
		m := shown.Merchant
		switch v.Value("what") {
		case "key":
			asked := auth.MerchantKey{Merchant: m.ID, Test: m.Test, Public: v.Value("public") != "", Name: v.Value("name")}
			_, token, err := auth.IssueMerchant(ctx, tx, v.By(), asked)
			shown.Word, shown.Secret = "programs.key.once", string(token)
			return err
		case "revoke":
			return auth.RevokeMerchant(ctx, tx, v.By(), m.ID, v.Value("key"))
		case "endpoint":
			e := webhook.Endpoint{Merchant: m.ID, Test: m.Test, URL: strings.TrimSpace(v.Value("url")), Types: []string{webhook.Any}}
			s, err := r.server.Webhooks.Add(ctx, tx, v.By(), &e)
			shown.Word, shown.Secret = "programs.endpoint.once", string(s)
			return err
		}
		return frame.ErrForm
	})
	switch {
	case err != nil:
		return sorry(v, err)
	case shown.Secret != "":
		return v.Show("secret", shown)
	}
	return v.Done(sheet(shown.ID)+"/programs", "merchants.done")
}

// look refuses an address that leads to us or to our neighbours.
func (r room) look(v *frame.Visit, url string) error {
	var m *trade.Merchant
	err := v.View(func(ctx context.Context, tx *store.Tx) (err error) {
		m, err = r.its(ctx, tx, v)
		return err
	})
	if err != nil {
		return err
	}
	return r.server.Webhooks.Look(v.Context(), strings.TrimSpace(url), m.Test)
}

// endpoint reads the endpoint of a page with its merchant.
func (r room) endpoint(ctx context.Context, tx *store.Tx, v *frame.Visit) (*trade.Merchant, webhook.Endpoint, error) {
	m, err := r.its(ctx, tx, v)
	if err != nil {
		return nil, webhook.Endpoint{}, err
	}
	id, err := v.PathID("endpoint")
	if err != nil {
		return nil, webhook.Endpoint{}, err
	}
	e, err := webhook.EndpointByID(ctx, tx, m.ID, id)
	if errors.Is(err, webhook.ErrNoEndpoint) {
		err = store.ErrNotFound
	}
	return m, e, err
}

// A delivery is what became of one event, with what it was.
type delivery struct {
	webhook.Delivery
	Type string
}

// Last is the last attempt; nil before the first.
func (d delivery) Last() *webhook.Attempt {
	if len(d.Attempts) == 0 {
		return nil
	}
	return &d.Attempts[len(d.Attempts)-1]
}

func (r room) showEndpoint(v *frame.Visit) error {
	var page struct {
		*trade.Merchant
		E    webhook.Endpoint
		Line webhook.Line
		All  []delivery
		Next int64
	}
	err := v.View(func(ctx context.Context, tx *store.Tx) (err error) {
		if page.Merchant, page.E, err = r.endpoint(ctx, tx, v); err != nil {
			return err
		}
		if page.Line, err = webhook.LineOf(ctx, tx, page.E.ID); err != nil {
			return err
		}
		all, err := webhook.Deliveries(ctx, tx, page.E.ID, before(v), pageSize+1)
		if err != nil {
			return err
		}
		all, page.Next = paged(all, func(d webhook.Delivery) int64 { return d.ID })
		for _, d := range all {
			e, err := webhook.EventByID(ctx, tx, page.ID, d.Event)
			if err != nil && !errors.Is(err, store.ErrNotFound) { // it may be forgotten by now
				return err
			}
			page.All = append(page.All, delivery{d, e.Type})
		}
		return nil
	})
	if err != nil {
		return err
	}
	return v.Show("endpoint", page)
}

// changeEndpoint turns an endpoint on or off, gives it another secret, sends an
// event again, or ends it.
func (r room) changeEndpoint(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	var shown secret
	back := ""
	err := v.Update(func(ctx context.Context, tx *store.Tx) error {
		m, e, err := r.endpoint(ctx, tx, v)
		if err != nil {
			return err
		}
		shown.Merchant = m
		back = fmt.Sprintf("%s/programs/%d", sheet(m.ID), e.ID)
		switch v.Value("what") {
		case "on", "off":
			e.Enabled = v.Value("what") == "on"
			return r.server.Webhooks.Change(ctx, tx, v.By(), &e)
		case "rotate":
			s, err := webhook.Rotate(ctx, tx, v.By(), &e, webhook.DefaultOverlap)
			shown.Word, shown.Secret = "programs.rotated.once", string(s)
			return err
		case "stolen":
			s, err := webhook.Rotate(ctx, tx, v.By(), &e, 0)
			shown.Word, shown.Secret = "programs.stolen.once", string(s)
			return err
		case "resend":
			event, err := strconv.ParseInt(v.Value("event"), 10, 64)
			if err != nil {
				return frame.ErrForm
			}
			_, err = webhook.Resend(ctx, tx, v.By(), m.ID, event, e.ID)
			return err
		case "end":
			back = sheet(m.ID) + "/programs"
			return webhook.End(ctx, tx, v.By(), e)
		}
		return frame.ErrForm
	})
	switch {
	case err != nil:
		return sorry(v, err)
	case shown.Secret != "":
		return v.Show("secret", shown)
	}
	return v.Done(back, "merchants.done")
}
