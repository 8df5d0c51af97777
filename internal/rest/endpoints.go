package rest

import (
	"context"
	"net/http"
	"time"

	"maillon/internal/auth"
	"maillon/internal/store"
	"maillon/internal/webhook"
)

// An endpointView is an endpoint as the API shows it.
type endpointView struct {
	Object        string     `json:"object"`
	ID            string     `json:"id"`
	Livemode      bool       `json:"livemode"`
	URL           string     `json:"url"`
	Description   string     `json:"description"`
	Events        []string   `json:"events"`
	Enabled       bool       `json:"enabled"`
	DisabledFor   *string    `json:"disabled_for"`
	Secret        *string    `json:"secret"` // shown once
	OverlapUntil  *time.Time `json:"overlap_until"`
	Waiting       int        `json:"waiting"`
	Missed        int        `json:"missed"`
	FailsInARow   int        `json:"failures_in_a_row"`
	LastSuccessAt *time.Time `json:"last_success_at"`
	LastFailureAt *time.Time `json:"last_failure_at"`
	CreatedAt     time.Time  `json:"created_at"`
}

// showEndpoint shows an endpoint with how it does.
func showEndpoint(ctx context.Context, tx *store.Tx, p webhook.Endpoint) (endpointView, error) {
	l, err := webhook.LineOf(ctx, tx, p.ID)
	v := endpointView{
		Object: "webhook_endpoint", ID: endpointPrefix.Of(p.ID), Livemode: !p.Test, URL: p.URL, Description: p.Description, Events: p.Types,
		Enabled: p.Enabled, Waiting: l.Waiting, Missed: l.Missed, FailsInARow: l.Fails,
		LastSuccessAt: moment(l.Taken), LastFailureAt: moment(l.Refused), CreatedAt: p.Created.UTC(),
	}
	if p.Why != "" {
		v.DisabledFor = &p.Why
	}
	if p.Overlap.After(tx.Now()) {
		v.OverlapUntil = moment(p.Overlap)
	}
	return v, err
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// endpointIn returns the endpoint of a merchant that a path names.
func endpointIn(ctx context.Context, tx *store.Tx, r *http.Request, who *auth.Key) (webhook.Endpoint, error) {
	id, ok := endpointPrefix.Number(r.PathValue("id"))
	if !ok {
		return webhook.Endpoint{}, webhook.ErrNoEndpoint
	}
	return webhook.EndpointByID(ctx, tx, who.Merchant, id)
}

func (h *Handler) listEndpoints(w http.ResponseWriter, r *http.Request, who *auth.Key) error {
	l, err := readList(r, string(endpointPrefix), nil)
	if err != nil {
		return err
	}
	rows := []endpointView{}
	err = h.db.View(r.Context(), func(tx *store.Tx) error {
		all, err := webhook.Endpoints(r.Context(), tx, who.Merchant)
		if err != nil {
			return err
		}
		for _, p := range all {
			if p.ID <= l.after {
				continue
			}
			v, err := showEndpoint(r.Context(), tx, p)
			if err != nil {
				return err
			}
			rows = append(rows, v)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, paged(rows, l.limit, func(v endpointView) string { return v.ID }))
}

func (h *Handler) getEndpoint(w http.ResponseWriter, r *http.Request, who *auth.Key) error {
	var v endpointView
	err := h.db.View(r.Context(), func(tx *store.Tx) error {
		p, err := endpointIn(r.Context(), tx, r, who)
		if err != nil {
			return err
		}
		v, err = showEndpoint(r.Context(), tx, p)
		return err
	})
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, v)
}

// An endpointRequest registers an endpoint.
type endpointRequest struct {
	URL         string   `json:"url"`
	Description string   `json:"description,omitempty"`
	Events      []string `json:"events"`
}

func (h *Handler) postEndpoint(w http.ResponseWriter, r *http.Request, who *auth.Key) error {
	var asked endpointRequest
	if err := read(w, r, maxBody, &asked); err != nil {
		return err
	}
	if err := h.webhooks.Look(r.Context(), asked.URL, who.Test); err != nil {
		return err
	}
	return h.once(w, r, who, asked, func(ctx context.Context, tx *store.Tx) (answer, error) {
		p := webhook.Endpoint{Merchant: who.Merchant, Test: who.Test, URL: asked.URL, Description: asked.Description, Types: asked.Events}
		secret, err := h.webhooks.Add(ctx, tx, keyName(who), &p)
		if err != nil {
			return answer{}, err
		}
		v, err := showSecret(ctx, tx, p, secret)
		return answer{http.StatusCreated, "/v1/webhook_endpoints/" + v.ID, v}, err
	})
}

func showSecret(ctx context.Context, tx *store.Tx, p webhook.Endpoint, secret webhook.Secret) (endpointView, error) {
	v, err := showEndpoint(ctx, tx, p)
	text := string(secret)
	v.Secret = &text
	return v, err
}

// An endpointChange changes what it names of an endpoint.
type endpointChange struct {
	URL         *string  `json:"url"`
	Description *string  `json:"description"`
	Events      []string `json:"events"`
	Enabled     *bool    `json:"enabled"`
}

func (h *Handler) patchEndpoint(w http.ResponseWriter, r *http.Request, who *auth.Key) error {
	var asked endpointChange
	if err := read(w, r, maxBody, &asked); err != nil {
		return err
	}
	if asked.URL != nil {
		if err := h.webhooks.Look(r.Context(), *asked.URL, who.Test); err != nil {
			return err
		}
	}
	var v endpointView
	err := h.db.Update(r.Context(), func(tx *store.Tx) error {
		p, err := endpointIn(r.Context(), tx, r, who)
		if err != nil {
			return err
		}
		if asked.URL != nil {
			p.URL = *asked.URL
		}
		if asked.Description != nil {
			p.Description = *asked.Description
		}
		if asked.Events != nil {
			p.Types = asked.Events
		}
		if asked.Enabled != nil {
			p.Enabled = *asked.Enabled
		}
		if err := h.webhooks.Change(r.Context(), tx, keyName(who), &p); err != nil {
			return err
		}
		v, err = showEndpoint(r.Context(), tx, p)
		return err
	})
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, v)
}

func (h *Handler) deleteEndpoint(w http.ResponseWriter, r *http.Request, who *auth.Key) error {
	err := h.db.Update(r.Context(), func(tx *store.Tx) error {
		p, err := endpointIn(r.Context(), tx, r, who)
		if err != nil {
			return err
		}
		return webhook.End(r.Context(), tx, keyName(who), p)
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// A rotateRequest asks for another secret.
type rotateRequest struct {
	Overlap *int64 `json:"overlap,omitempty"` // seconds
}

func (h *Handler) rotateSecret(w http.ResponseWriter, r *http.Request, who *auth.Key) error {
	var asked rotateRequest
	if err := read(w, r, maxBody, &asked); err != nil {
		return err
	}
	overlap := webhook.DefaultOverlap
	if asked.Overlap != nil {
		if *asked.Overlap < 0 || *asked.Overlap > int64(webhook.MaxOverlap/time.Second) {
			return webhook.ErrOverlap
		}
		overlap = time.Duration(*asked.Overlap) * time.Second
	}
	return h.once(w, r, who, asked, func(ctx context.Context, tx *store.Tx) (answer, error) {
		p, err := endpointIn(ctx, tx, r, who)
		if err != nil {
			return answer{}, err
		}
		secret, err := webhook.Rotate(ctx, tx, keyName(who), &p, overlap)
		if err != nil {
			return answer{}, err
		}
		v, err := showSecret(ctx, tx, p, secret)
		return answer{status: http.StatusOK, body: v}, err
	})
}

// A deliveryView is what became of an event at an endpoint.
type deliveryView struct {
	Object        string        `json:"object"`
	ID            string        `json:"id"`
	Event         string        `json:"event"`
	Status        string        `json:"status"`
	NextAttemptAt *time.Time    `json:"next_attempt_at"`
	Attempts      []attemptView `json:"attempts"`
}

// An attemptView is one call of an endpoint.
type attemptView struct {
	At         time.Time `json:"at"`
	StatusCode *int      `json:"status_code"`
	Failure    *string   `json:"failure"`
	DurationMS int64     `json:"duration_ms"`
}

func showDelivery(d webhook.Delivery) deliveryView {
	v := deliveryView{
		Object: "webhook_delivery", ID: deliveryPrefix.Of(d.ID), Event: eventPrefix.Of(d.Event), Status: d.State, NextAttemptAt: moment(d.Next),
		Attempts: []attemptView{},
	}
	for _, a := range d.Attempts {
		shown := attemptView{At: a.At.UTC(), DurationMS: a.Took.Milliseconds()}
		if a.Status != 0 {
			shown.StatusCode = &a.Status
		}
		if a.Why != "" {
			shown.Failure = &a.Why
		}
		v.Attempts = append(v.Attempts, shown)
	}
	return v
}

// listDeliveries shows the newest first: what goes wrong now.
func (h *Handler) listDeliveries(w http.ResponseWriter, r *http.Request, who *auth.Key) error {
	l, err := readList(r, string(deliveryPrefix), nil)
	if err != nil {
		return err
	}
	var rows []deliveryView
	err = h.db.View(r.Context(), func(tx *store.Tx) error {
		rows = nil
		p, err := endpointIn(r.Context(), tx, r, who)
		if err != nil {
			return err
		}
		all, err := webhook.Deliveries(r.Context(), tx, p.ID, l.after, l.limit+1)
		for _, d := range all {
			rows = append(rows, showDelivery(d))
		}
		return err
	})
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, paged(rows, l.limit, func(v deliveryView) string { return v.ID }))
}
