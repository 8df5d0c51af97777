package rest

import (
	"context"
	"errors"
	"net/http"

	"maillon/internal/auth"
	"maillon/internal/store"
	"maillon/internal/trade/object"
	"maillon/internal/webhook"
)

// The prefixes of IDs of events and endpoints.
const (
	eventPrefix    = object.Prefix(webhook.EventPrefix)
	endpointPrefix = object.Prefix(webhook.EndpointPrefix)
	deliveryPrefix = object.Prefix("whd_")
)

// eventPaths are what merchants' programs hear, and where.
func (h *Handler) eventPaths() map[string]operations {
	return map[string]operations{
		"/v1/events":             {http.MethodGet: shop(auth.EventsRead, h.listEvents)},
		"/v1/events/{id}":        {http.MethodGet: shop(auth.EventsRead, h.getEvent)},
		"/v1/events/{id}/resend": {http.MethodPost: shop(auth.WebhooksWrite, h.resendEvent)},
		"/v1/webhook_endpoints": {
			http.MethodGet: shop(auth.WebhooksRead, h.listEndpoints), http.MethodPost: shop(auth.WebhooksWrite, h.postEndpoint),
		},
		"/v1/webhook_endpoints/{id}": {
			http.MethodGet: shop(auth.WebhooksRead, h.getEndpoint), http.MethodPatch: shop(auth.WebhooksWrite, h.patchEndpoint),
			http.MethodDelete: shop(auth.WebhooksWrite, h.deleteEndpoint),
		},
		"/v1/webhook_endpoints/{id}/rotate_secret": {http.MethodPost: shop(auth.WebhooksWrite, h.rotateSecret)},
		"/v1/webhook_endpoints/{id}/deliveries":    {http.MethodGet: shop(auth.WebhooksRead, h.listDeliveries)},
	}
}

func (h *Handler) listEvents(w http.ResponseWriter, r *http.Request, who *auth.Key) error {
	var typ string
	l, err := readList(r, string(eventPrefix), filters{"type": func(v string) bool { typ = v; return webhook.Typed(v) }})
	if err != nil {
		return err
	}
	var rows []webhook.Shown
	err = h.db.View(r.Context(), func(tx *store.Tx) error {
		all, err := webhook.Events(r.Context(), tx, who.Merchant, l.after, typ, l.limit+1)
		rows = make([]webhook.Shown, len(all))
		for n, e := range all {
			rows[n] = e.Show(who.Test)
		}
		return err
	})
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, paged(rows, l.limit, func(e webhook.Shown) string { return e.ID }))
}

func (h *Handler) getEvent(w http.ResponseWriter, r *http.Request, who *auth.Key) error {
	var e webhook.Event
	err := h.db.View(r.Context(), func(tx *store.Tx) (err error) {
		e, err = eventIn(r.Context(), tx, who, r.PathValue("id"))
		return err
	})
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, e.Show(who.Test))
}

func eventIn(ctx context.Context, tx *store.Tx, who *auth.Key, text string) (webhook.Event, error) {
	id, ok := eventPrefix.Number(text)
	if !ok {
		return webhook.Event{}, problemNoEvent
	}
	e, err := webhook.EventByID(ctx, tx, who.Merchant, id)
	if errors.Is(err, store.ErrNotFound) {
		err = problemNoEvent
	}
	return e, err
}

// A resendRequest asks for an event once more.
type resendRequest struct {
	Endpoint string `json:"endpoint,omitempty"`
}

// A resent is where an event is sent once more.
type resent struct {
	Object    string   `json:"object"`
	Event     string   `json:"event"`
	Endpoints []string `json:"endpoints"`
}

func (h *Handler) resendEvent(w http.ResponseWriter, r *http.Request, who *auth.Key) error {
	var asked resendRequest
	if err := read(w, r, maxBody, &asked); err != nil {
		return err
	}
	return h.once(w, r, who, asked, func(ctx context.Context, tx *store.Tx) (answer, error) {
		e, err := eventIn(ctx, tx, who, r.PathValue("id"))
		if err != nil {
			return answer{}, err
		}
		var only int64
		if asked.Endpoint != "" {
			var ok bool
			if only, ok = endpointPrefix.Number(asked.Endpoint); !ok {
				return answer{}, webhook.ErrNoEndpoint
			}
		}
		to, err := webhook.Resend(ctx, tx, keyName(who), who.Merchant, e.ID, only)
		done := resent{"resend", eventPrefix.Of(e.ID), []string{}}
		for _, p := range to {
			done.Endpoints = append(done.Endpoints, endpointPrefix.Of(p.ID))
		}
		return answer{status: http.StatusOK, body: done}, err
	})
}

// keyName is how the audit names who asked.
func keyName(who *auth.Key) string { return "key:" + who.ID }
