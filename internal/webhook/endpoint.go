package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"maillon/internal/store"
)

// How long the secret of before is still signed with, after a rotation.
const (
	DefaultOverlap = 24 * time.Hour
	MaxOverlap     = 7 * 24 * time.Hour
)

// The states of an endpoint.
const (
	enabled  = "enabled"
	disabled = "disabled"
)

// Why an endpoint was disabled by itself.
const (
	WhyGone   = "gone"        // it answered 410
	WhyFailed = "failed"      // nothing was taken for as long as one event is tried
	WhySecret = "secret_lost" // the books were restored without its key: it needs another secret
)

var (
	// ErrTypes means that an endpoint wants no events, or some that there are not.
	ErrTypes = errors.New("no such type of event")
	// ErrDescription means that a description is too long, or of more than one line.
	ErrDescription = errors.New("not a description of one line")
	// ErrTooMany means that a merchant has as many endpoints as there may be.
	ErrTooMany = errors.New("no more endpoints")
	// ErrDisabled means that an endpoint is called for nothing.
	ErrDisabled = errors.New("the endpoint is disabled")
	// ErrNoEndpoint means that the merchant has no such endpoint.
	ErrNoEndpoint = errors.New("no such endpoint")
	// ErrOverlap means that two secrets would be good together for too long.
	ErrOverlap = errors.New("not a time for two secrets")
)

// An Endpoint is where a merchant's program hears of events.
type Endpoint struct {
	ID          int64
	Merchant    int64
	Test        bool
	URL         string
	Description string
	Types       []string // Any: all
	Enabled     bool
	Why         string    // it was disabled by itself; ""
	Overlap     time.Time // until when the secret of before is signed with too; zero: it is not
	Created     time.Time

	secret, before []byte // sealed
}

// wants reports whether an endpoint is told of events of a type.
func (p *Endpoint) wants(typ string) bool {
	return slices.Contains(p.Types, Any) || slices.Contains(p.Types, typ)
}

// endpointBody is what is kept of an endpoint.
type endpointBody struct {
	URL         string    `json:"url"`
	Description string    `json:"description,omitempty"`
	Types       []string  `json:"types"`
	Test        bool      `json:"test,omitempty"`
	Why         string    `json:"why,omitempty"`
	Sealed      []byte    `json:"sealed"`           // the secret
	Before      []byte    `json:"before,omitempty"` // that of before, sealed
	Overlap     time.Time `json:"overlap,omitzero"`
}

func endpointOf(r store.Record) (Endpoint, error) {
	var b endpointBody
	if err := json.Unmarshal(r.Body, &b); err != nil {
		return Endpoint{}, fmt.Errorf("endpoint %d: %w", r.ID, err)
	}
	return Endpoint{
		ID: r.ID, Merchant: r.Owner, Test: b.Test, URL: b.URL, Description: b.Description, Types: b.Types, Enabled: r.State == enabled, Why: b.Why,
		Overlap: b.Overlap, Created: r.Created, secret: b.Sealed, before: b.Before,
	}, nil
}

func (p *Endpoint) save(ctx context.Context, tx *store.Tx) error {
	body, err := json.Marshal(endpointBody{p.URL, p.Description, p.Types, p.Test, p.Why, p.secret, p.before, p.Overlap})
	if err != nil {
		return err
	}
	r := store.Record{Kind: kindEndpoint, ID: p.ID, Owner: p.Merchant, State: disabled, Created: p.Created, Body: body}
	if p.Enabled {
		r.State = enabled
	}
	if err := tx.SaveRecord(ctx, &r); err != nil {
		return fmt.Errorf("endpoint %d: %w", p.ID, err)
	}
	p.ID, p.Created = r.ID, r.Created
	return nil
}

// check brings what somebody wrote into its form, or says what is wrong.
func (p *Endpoint) check(reach Reach) (err error) {
	if p.URL, err = CheckURL(p.URL, reach); err != nil {
		return err
	}
	p.Description = strings.TrimSpace(p.Description)
	if len(p.Description) > MaxDescription || strings.ContainsFunc(p.Description, func(r rune) bool { return r < ' ' }) {
		return ErrDescription
	}
	p.Types = slices.Compact(slices.Sorted(slices.Values(p.Types)))
	if slices.Contains(p.Types, Any) {
		p.Types = []string{Any}
	}
	if len(p.Types) == 0 {
		return ErrTypes
	}
	for _, t := range p.Types {
		if t != Any && !slices.Contains(Types(), t) {
			return fmt.Errorf("%q: %w", t[:min(len(t), maxType)], ErrTypes)
		}
	}
	return nil
}

// Add registers an endpoint of a merchant, who is told of events from now on,
// and returns its secret, which nobody can read again.
func (o Options) Add(ctx context.Context, tx *store.Tx, by string, p *Endpoint) (Secret, error) {
	if err := p.check(o.reach(p.Test)); err != nil {
		return "", err
	}
	all, err := Endpoints(ctx, tx, p.Merchant)
	if err != nil {
		return "", err
	}
	if len(all) >= MaxEndpoints {
		return "", ErrTooMany
	}
	secret := NewSecret()
	if p.secret, err = tx.SealFor(ctx, time.Time{}, []byte(secret)); err != nil {
		return "", err
	}
	p.Enabled, p.Why = true, ""
	if err := p.save(ctx, tx); err != nil {
		return "", err
	}
	tx.Act(by, "webhook.add", fmt.Sprintf("endpoint:%d", p.ID), "")
	return secret, nil
}

// Change writes another URL, description, types or state of an endpoint. What
// still waited when it was disabled is carried once it is enabled.
func (o Options) Change(ctx context.Context, tx *store.Tx, by string, p *Endpoint) error {
	if err := p.check(o.reach(p.Test)); err != nil {
		return err
	}
	if p.Enabled {
		p.Why = ""
		if err := wake(ctx, tx, p.ID); err != nil {
			return err
		}
	}
	tx.Act(by, "webhook.change", fmt.Sprintf("endpoint:%d", p.ID), "")
	return p.save(ctx, tx)
}

// End removes an endpoint of a merchant, with its secrets and its queue.
func End(ctx context.Context, tx *store.Tx, by string, p Endpoint) error {
	for _, sealed := range [][]byte{p.secret, p.before} {
		if err := tx.EraseSealed(ctx, sealed); err != nil {
			return err
		}
	}
	if err := endLine(ctx, tx, p.ID); err != nil {
		return err
	}
	tx.Act(by, "webhook.end", fmt.Sprintf("endpoint:%d", p.ID), "")
	return tx.EndRecord(ctx, kindEndpoint, p.ID)
}

// Rotate gives an endpoint another secret and returns it. What leaves is signed
// with both for as long as overlap says.
func Rotate(ctx context.Context, tx *store.Tx, by string, p *Endpoint, overlap time.Duration) (Secret, error) {
	if overlap < 0 || overlap > MaxOverlap {
		return "", ErrOverlap
	}
	if err := tx.EraseSealed(ctx, p.before); err != nil {
		return "", err
	}
	p.before, p.Overlap = p.secret, tx.Now().Add(overlap)
	if _, err := tx.UnsealFor(ctx, p.secret); errors.Is(err, store.ErrErased) {
		overlap = 0 // there is none of before
	} else if err != nil {
		return "", err
	}
	if overlap == 0 {
		if err := tx.EraseSealed(ctx, p.before); err != nil {
			return "", err
		}
		p.before, p.Overlap = nil, time.Time{}
	}
	secret := NewSecret()
	var err error
	if p.secret, err = tx.SealFor(ctx, time.Time{}, []byte(secret)); err != nil {
		return "", err
	}
	tx.Act(by, "webhook.rotate", fmt.Sprintf("endpoint:%d", p.ID), "")
	return secret, p.save(ctx, tx)
}

// secrets returns what a message to the endpoint is signed with now.
func (p *Endpoint) secrets(ctx context.Context, tx *store.Tx) ([]Secret, error) {
	sealed := [][]byte{p.secret}
	if p.before != nil && tx.Now().Before(p.Overlap) {
		sealed = append(sealed, p.before)
	}
	all := make([]Secret, len(sealed))
	for n, s := range sealed {
		text, err := tx.UnsealFor(ctx, s)
		if err != nil {
			return nil, fmt.Errorf("secret of endpoint %d: %w", p.ID, err)
		}
		all[n] = Secret(text)
	}
	return all, nil
}

// Endpoints returns the endpoints of a merchant, the oldest first.
func Endpoints(ctx context.Context, tx *store.Tx, merchant int64) ([]Endpoint, error) {
	if merchant <= 0 { // who would have those of all
		return nil, nil
	}
	rows, err := tx.Records(ctx, store.RecordsWhere{Kind: kindEndpoint, Owner: merchant}, MaxEndpoints)
	if err != nil {
		return nil, err
	}
	all := make([]Endpoint, len(rows))
	for n, r := range rows {
		if all[n], err = endpointOf(r); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// EndpointByID returns an endpoint of a merchant, or ErrNoEndpoint.
func EndpointByID(ctx context.Context, tx *store.Tx, merchant, id int64) (Endpoint, error) {
	r, err := tx.Record(ctx, kindEndpoint, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && r.Owner != merchant {
		return Endpoint{}, ErrNoEndpoint
	}
	if err != nil {
		return Endpoint{}, err
	}
	return endpointOf(r)
}
