package auth_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"maillon/internal/auth"
	"maillon/internal/store"
)

func issueMerchant(t *testing.T, db *store.DB, m auth.MerchantKey) (k auth.Key, token auth.Token, err error) {
	t.Helper()
	err = db.Update(t.Context(), func(tx *store.Tx) (err error) {
		k, token, err = auth.IssueMerchant(t.Context(), tx, "operator", m)
		return err
	})
	return k, token, err
}

// Each kind of key says how it begins, whose it is, and what it may do.
func TestAMerchantsKeyOpensWhatItWasMadeFor(t *testing.T) {
	db := open(t)
	door := auth.NewDoor(db)
	for _, c := range []struct {
		asked  auth.MerchantKey
		begins string
		may    []auth.Scope
		mayNot []auth.Scope
	}{
		{
			auth.MerchantKey{Merchant: 7, Name: "shop"},
			"sk_live_",
			auth.MerchantScopes(),
			[]auth.Scope{auth.Read, auth.Transfer, "", "claims"},
		},
		{
			auth.MerchantKey{Merchant: 8, Test: true, Name: "shop", Scopes: []auth.Scope{auth.ClaimsWrite, auth.AuthorizationsRead}},
			"sk_test_",
			[]auth.Scope{auth.ClaimsWrite, auth.ClaimsRead, auth.AuthorizationsRead, auth.AuthorizationsCheck},
			[]auth.Scope{auth.AuthorizationsWrite, auth.PoliciesRead, auth.WebhooksRead, auth.Read},
		},
		{
			auth.MerchantKey{Merchant: 7, Public: true, Name: "page"},
			"pk_live_",
			[]auth.Scope{auth.AuthorizationsCheck},
			[]auth.Scope{auth.AuthorizationsRead, auth.ClaimsRead, auth.EventsRead},
		},
		{
			auth.MerchantKey{Merchant: 8, Public: true, Test: true, Name: "page"},
			"pk_test_",
			[]auth.Scope{auth.AuthorizationsCheck},
			[]auth.Scope{auth.AuthorizationsWrite},
		},
	} {
		_, token, err := issueMerchant(t, db, c.asked)
		if err != nil || !strings.HasPrefix(string(token), c.begins) {
			t.Errorf("the key for %+v is of another kind: %v", c.asked, err)
			continue
		}
		k, err := door.Enter(t.Context(), token)
		if err != nil || k.Merchant != c.asked.Merchant || k.Test != c.asked.Test || k.Public != c.asked.Public {
			t.Errorf("%s: the key is %+v, %v", c.begins, k, err)
			continue
		}
		for _, s := range c.may {
			if !k.May(s) {
				t.Errorf("%s: it may not %s", c.begins, s)
			}
		}
		for _, s := range c.mayNot {
			if k.May(s) {
				t.Errorf("%s: it may %s", c.begins, s)
			}
		}
		// What was made for tests is no live key, whatever is written before it.
		for _, kind := range []string{"maillon_", "sk_live_", "sk_test_", "pk_live_", "pk_test_"} {
			if forged := kind + string(token[len(c.begins):]); kind != c.begins {
				if _, err := door.Enter(t.Context(), auth.Token(forged)); !errors.Is(err, auth.ErrUnknown) {
					t.Errorf("%s spelt %s: %v", c.begins, kind, err)
				}
			}
		}
	}
}

func TestWhatIsNoMerchantsKeyIsNotMade(t *testing.T) {
	db := open(t)
	for name, c := range map[string]struct {
		auth.MerchantKey
		want error
	}{
		"nobody's":         {auth.MerchantKey{Name: "shop"}, auth.ErrMerchant},
		"without name":     {auth.MerchantKey{Merchant: 7}, auth.ErrName},
		"the house's":      {auth.MerchantKey{Merchant: 7, Name: "shop", Scopes: []auth.Scope{auth.Transfer}}, auth.ErrScope},
		"public, to write": {auth.MerchantKey{Merchant: 7, Public: true, Name: "page", Scopes: []auth.Scope{auth.ClaimsWrite}}, auth.ErrScope},
		"over already":     {auth.MerchantKey{Merchant: 7, Name: "shop", Expires: time.Now().Add(-time.Hour)}, auth.ErrEnded},
	} {
		if _, token, err := issueMerchant(t, db, c.MerchantKey); !errors.Is(err, c.want) || token != "" {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, token, err := issue(t, db, "till", auth.ClaimsRead); !errors.Is(err, auth.ErrScope) || token != "" {
		t.Errorf("a key of the house for claims: %v", err)
	}
}

// A key ends when it was said to, and within a second of being revoked; a
// merchant ends its own alone.
func TestAMerchantsKeyEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := open(t)
		door := auth.NewDoor(db)
		_, brief, err := issueMerchant(t, db, auth.MerchantKey{Merchant: 7, Name: "trial", Expires: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		key, token, err := issueMerchant(t, db, auth.MerchantKey{Merchant: 7, Name: "shop"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(59*time.Minute - time.Millisecond)
		if _, err := door.Enter(t.Context(), brief); err != nil {
			t.Errorf("just before its end: %v", err)
		}
		time.Sleep(time.Millisecond)
		if _, err := door.Enter(t.Context(), brief); !errors.Is(err, auth.ErrUnknown) {
			t.Errorf("at its end: %v", err)
		}
		if _, err := door.Enter(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			merchant int64
			want     error
		}{{8, auth.ErrUnknown}, {0, auth.ErrUnknown}, {7, nil}, {7, nil}} {
			err := db.Update(t.Context(), func(tx *store.Tx) error {
				return auth.RevokeMerchant(t.Context(), tx, "operator", c.merchant, key.ID)
			})
			if !errors.Is(err, c.want) {
				t.Errorf("merchant %d revokes: %v, want %v", c.merchant, err, c.want)
			}
		}
		time.Sleep(auth.RevokedWithin)
		if _, err := door.Enter(t.Context(), token); !errors.Is(err, auth.ErrUnknown) {
			t.Errorf("revoked: %v", err)
		}
		err = db.View(t.Context(), func(tx *store.Tx) error {
			all, err := tx.MerchantKeys(t.Context(), 7)
			if len(all) != 2 || all[1].Revoked.IsZero() || all[0].Kind != "sk_live" {
				t.Errorf("the merchant's keys are %+v", all)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}
