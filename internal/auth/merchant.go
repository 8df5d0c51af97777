package auth

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"maillon/internal/store"
)

// How merchants' keys begin: secret ones, which stay on the shop's server, and
// public ones, which stand in its pages.
const (
	kindSecret     = "sk_live"
	kindSecretTest = "sk_test"
	kindPublic     = "pk_live"
	kindPublicTest = "pk_test"
)

// kinds returns how keys begin.
func kinds() []string {
	return []string{kindHouse, kindSecret, kindSecretTest, kindPublic, kindPublicTest}
}

// modes tells from the kind of a key whether it is public, and for tests.
func modes(kind string) (public, test bool) {
	return strings.HasPrefix(kind, "pk_"), strings.HasSuffix(kind, "_test")
}

// The scopes of merchants' keys. Who may write in an area may read there too.
const (
	PoliciesRead        Scope = "policies:read"
	PoliciesWrite       Scope = "policies:write"
	AuthorizationsCheck Scope = "authorizations:check" // may this order be placed, and nothing else
	AuthorizationsRead  Scope = "authorizations:read"
	AuthorizationsWrite Scope = "authorizations:write"
	ClaimsRead          Scope = "claims:read"
	ClaimsWrite         Scope = "claims:write"
	DisputesRead        Scope = "disputes:read"
	DisputesWrite       Scope = "disputes:write"
	PayoutsRead         Scope = "payouts:read" // and charges, refunds, accounts, reports
	TemplatesRead       Scope = "templates:read"
	TemplatesWrite      Scope = "templates:write"
	EventsRead          Scope = "events:read"
	WebhooksRead        Scope = "webhooks:read"
	WebhooksWrite       Scope = "webhooks:write"
)

// MerchantScopes returns every scope of merchants' keys.
func MerchantScopes() []Scope {
	return []Scope{
		PoliciesRead, PoliciesWrite, AuthorizationsCheck, AuthorizationsRead, AuthorizationsWrite, ClaimsRead, ClaimsWrite,
		DisputesRead, DisputesWrite, PayoutsRead, TemplatesRead, TemplatesWrite, EventsRead, WebhooksRead, WebhooksWrite,
	}
}

// includes reports whether whoever has a scope may do what another allows.
func (s Scope) includes(other Scope) bool {
	area, may, _ := strings.Cut(string(s), ":")
	of, what, ok := strings.Cut(string(other), ":")
	rank := []string{"check", "read", "write"}
	return ok && area == of && slices.Index(rank, what) < slices.Index(rank, may)
}

// ErrMerchant means that a key lacks its merchant.
var ErrMerchant = errors.New("a merchant's key needs its merchant")

// ErrEnded means that a key would have ended before it begins.
var ErrEnded = errors.New("the key would have expired already")

// A MerchantKey is a key of a merchant that is asked for.
type MerchantKey struct {
	Merchant int64 // that of the mode: tests have a twin of their own
	Test     bool
	Public   bool // checks orders, and nothing else
	Name     string
	Scopes   []Scope   // none: all that there are
	Expires  time.Time // zero: never by itself
}

// IssueMerchant makes a key of a merchant and returns it with its token, which
// nobody can read again.
func IssueMerchant(ctx context.Context, tx *store.Tx, by string, m MerchantKey) (Key, Token, error) {
	if m.Merchant <= 0 {
		return Key{}, "", ErrMerchant
	}
	if !m.Expires.IsZero() && !m.Expires.After(tx.Now()) {
		return Key{}, "", ErrEnded
	}
	kind, all := kindSecret, MerchantScopes()
	switch {
	case m.Public && m.Test:
		kind = kindPublicTest
	case m.Public:
		kind = kindPublic
	case m.Test:
		kind = kindSecretTest
	}
	if m.Public {
		all = []Scope{AuthorizationsCheck}
	}
	k := Key{Name: m.Name, Scopes: m.Scopes, Merchant: m.Merchant, Test: m.Test, Public: m.Public, expires: m.Expires}
	if len(k.Scopes) == 0 {
		k.Scopes = all
	}
	return issue(ctx, tx, by, kind, k, all)
}

// RevokeMerchant ends a key of a merchant, or returns ErrUnknown if that
// merchant has none such.
func RevokeMerchant(ctx context.Context, tx *store.Tx, by string, merchant int64, id string) error {
	k, err := tx.APIKey(ctx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && (k.Merchant != merchant || merchant == 0) {
		return ErrUnknown
	}
	if err != nil {
		return err
	}
	return tx.RevokeAPIKey(ctx, by, id)
}
