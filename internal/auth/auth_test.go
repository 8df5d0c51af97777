package auth_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"maillon/internal/auth"
	"maillon/internal/store"
)

func open(t *testing.T) *store.DB {
	t.Helper()
	secret, err := store.NewSecret()
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), store.Memory, secret)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func issue(t *testing.T, db *store.DB, name string, scopes ...auth.Scope) (k auth.Key, token auth.Token, err error) {
	t.Helper()
	err = db.Update(t.Context(), func(tx *store.Tx) (err error) {
		k, token, err = auth.Issue(t.Context(), tx, "operator", name, scopes)
		return err
	})
	return k, token, err
}

func TestAKeyOpensWhatItWasMadeFor(t *testing.T) {
	db := open(t)
	made, token, err := issue(t, db, " till ", auth.Transfer, auth.Read, auth.Read)
	if err != nil {
		t.Fatal(err)
	}
	_, other, err := issue(t, db, "books", auth.Read)
	if err != nil {
		t.Fatal(err)
	}
	door := auth.NewDoor(db)
	key, err := door.Enter(t.Context(), token)
	if err != nil || key.ID != made.ID || key.Name != "till" || !key.May(auth.Read) || !key.May(auth.Transfer) {
		t.Errorf("the key is %+v, %v", key, err)
	}
	if key, err := door.Enter(t.Context(), other); err != nil || key.May(auth.Transfer) {
		t.Errorf("the key that reads is %+v, %v", key, err)
	}

	// One letter of another key, or another's secret, opens nothing.
	last := token[len(token)-1]
	swapped := byte('A')
	if last == swapped {
		swapped = 'Q'
	}
	half := len("maillon_") + strings.IndexByte(string(token[len("maillon_"):]), '_')
	for _, wrong := range []auth.Token{
		"", "maillon_", "sesame", token[:len(token)-1], token + "A", token[:len(token)-1] + auth.Token(swapped),
		token[:half] + other[half:], "Maillon_" + token[8:], auth.Token(strings.Repeat("maillon_", 1000)),
	} {
		if key, err := door.Enter(t.Context(), wrong); !errors.Is(err, auth.ErrUnknown) {
			t.Errorf("%d letters that are no key open as %+v, %v", len(wrong), key, err)
		}
	}
}

func TestWhatIsNoKeyIsNotMade(t *testing.T) {
	db := open(t)
	for _, name := range []string{"", "  ", "two\nlines", strings.Repeat("n", auth.MaxName+1)} {
		if _, token, err := issue(t, db, name, auth.Read); !errors.Is(err, auth.ErrName) || token != "" {
			t.Errorf("a key named %q: %v", name, err)
		}
	}
	for _, scopes := range [][]auth.Scope{nil, {"everything"}, {auth.Read, ""}} {
		if _, token, err := issue(t, db, "till", scopes...); !errors.Is(err, auth.ErrScope) || token != "" {
			t.Errorf("a key for %q: %v", scopes, err)
		}
	}
}

// A key that was revoked by another process is refused within the bound, and by
// no door ever again.
func TestARevokedKeyOpensNothingASecondLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := open(t)
		key, token, err := issue(t, db, "till", auth.Read)
		if err != nil {
			t.Fatal(err)
		}
		door := auth.NewDoor(db)
		if _, err := door.Enter(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			err = db.Update(t.Context(), func(tx *store.Tx) error { return tx.RevokeAPIKey(t.Context(), "operator", key.ID) })
			if err != nil {
				t.Fatal(err)
			}
		}
		if _, err := auth.NewDoor(db).Enter(t.Context(), token); !errors.Is(err, auth.ErrUnknown) {
			t.Errorf("a door that never knew it: %v", err)
		}
		time.Sleep(auth.RevokedWithin)
		if _, err := door.Enter(t.Context(), token); !errors.Is(err, auth.ErrUnknown) {
			t.Errorf("the door that knew it: %v", err)
		}
	})
}

// Neither the books nor a log holds a key.
func TestAKeyIsShownOnce(t *testing.T) {
	db := open(t)
	made, token, err := issue(t, db, "till", auth.Read)
	if err != nil {
		t.Fatal(err)
	}
	var kept store.APIKey
	err = db.View(t.Context(), func(tx *store.Tx) (err error) {
		kept, err = tx.APIKey(t.Context(), made.ID)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	secret := strings.SplitN(string(token), "_", 3)[2]
	if len(kept.Hash) != 32 || bytes.Contains(kept.Hash, []byte(secret)) || strings.Contains(kept.ID+kept.Name+kept.Scopes, secret) {
		t.Errorf("the books keep %+v", kept)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).InfoContext(context.Background(), "asked", "token", token)
	if strings.Contains(log.String(), secret) {
		t.Errorf("the log says %s", &log)
	}
}
