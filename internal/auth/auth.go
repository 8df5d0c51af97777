// Package auth says who is asking: a program with a key of the API, at a Door,
// or a person who works here and is signed in, at the Gate; and what each role
// may, in right.go. How people sign in is in docs/design/signin.md.
//
// A key is shown once, when it is made, and kept as its SHA-256 alone, so that
// a copy of the books gives nobody a key. A slow hash would protect no better:
// it is for what people think up and others can guess, and nobody guesses 256
// random bits; it would only slow each request.
//
// A key that is revoked is refused within RevokedWithin, on every server of the
// books.
package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"maillon/internal/store"
)

// RevokedWithin is how long a key that was revoked may still be taken for good.
const RevokedWithin = time.Second

// Bounds of keys.
const (
	idLen     = 8  // octets
	secretLen = 32 // octets: 256 bits
	maxKnown  = 1024
	MaxName   = 64 // letters of a key's name
)

// kindHouse begins the keys of the association's own programs. Every key begins
// with its kind, so that who finds one knows what it opens.
const kindHouse = "maillon"

var (
	// ErrUnknown means that there is no such key, that it was revoked or has
	// expired.
	ErrUnknown = errors.New("no such key")
	// ErrName means that a name is empty, too long, or of more than one line.
	ErrName = errors.New("not a name for a key")
	// ErrScope means that there is no such scope.
	ErrScope = errors.New("no such scope")
)

// A Scope is something that a key may do.
type Scope string

// The scopes of the association's own keys; merchants' are in merchant.go.
const (
	Read     Scope = "read"     // accounts, balances, transfers
	Transfer Scope = "transfer" // move money between any two accounts
)

// Scopes returns every scope of the association's own keys.
func Scopes() []Scope { return []Scope{Read, Transfer} }

// A Token is a key as whoever uses it has it. It shows itself in no log.
type Token string

// LogValue implements slog.LogValuer.
func (Token) LogValue() slog.Value { return slog.StringValue("token") }

// id returns which key a token claims to be, false if it is none at all.
func (t Token) id() (string, bool) {
	for _, kind := range kinds() {
		rest, ok := strings.CutPrefix(string(t), kind+"_")
		if !ok {
			continue
		}
		id, secret, ok := strings.Cut(rest, "_")
		return id, ok && len(id) == hex.EncodedLen(idLen) && len(secret) == base64.RawURLEncoding.EncodedLen(secretLen)
	}
	return "", false
}

func (t Token) hash() [sha256.Size]byte { return sha256.Sum256([]byte(t)) }

// A Key is a program that may ask something.
type Key struct {
	ID       string
	Name     string
	Scopes   []Scope
	Merchant int64 // whose it is; 0: the association's
	Test     bool  // of the merchant's twin for tests
	Public   bool  // anybody can read it in a page

	expires time.Time
}

// May reports whether the key has a scope, or one that includes it.
func (k *Key) May(s Scope) bool {
	return slices.ContainsFunc(k.Scopes, func(has Scope) bool { return has == s || has.includes(s) })
}

// Issue makes a key of the association and returns it with its token, which
// nobody can read again.
func Issue(ctx context.Context, tx *store.Tx, by, name string, scopes []Scope) (Key, Token, error) {
	return issue(ctx, tx, by, kindHouse, Key{Name: name, Scopes: scopes}, Scopes())
}

// issue makes a key of a kind, which may have the scopes of some.
func issue(ctx context.Context, tx *store.Tx, by, kind string, k Key, all []Scope) (Key, Token, error) {
	k.Name, k.Scopes = strings.TrimSpace(k.Name), slices.Compact(slices.Sorted(slices.Values(k.Scopes)))
	if k.Name == "" || len([]rune(k.Name)) > MaxName || strings.ContainsFunc(k.Name, func(r rune) bool { return r < ' ' }) {
		return k, "", ErrName
	}
	for _, s := range k.Scopes {
		if !slices.Contains(all, s) {
			return k, "", fmt.Errorf("%q: %w", s, ErrScope)
		}
	}
	if len(k.Scopes) == 0 {
		return k, "", ErrScope
	}
	var drawn [idLen + secretLen]byte
	_, _ = rand.Read(drawn[:]) // it never fails
	k.ID = hex.EncodeToString(drawn[:idLen])
	t := Token(kind + "_" + k.ID + "_" + base64.RawURLEncoding.EncodeToString(drawn[idLen:]))
	hash := t.hash()
	row := store.APIKey{ID: k.ID, Hash: hash[:], Kind: kind, Merchant: k.Merchant, Name: k.Name, Scopes: joinScopes(k.Scopes), Expires: k.expires}
	return k, t, tx.AddAPIKey(ctx, by, &row)
}

func joinScopes(all []Scope) string {
	words := make([]string, len(all))
	for n, s := range all {
		words[n] = string(s)
	}
	return strings.Join(words, " ")
}

// A Door lets in who has a key. It is safe for concurrent use.
type Door struct {
	db *store.DB

	mu    sync.Mutex
	known map[string]known // by ID; held by mu
}

// known is what a key was when it was looked up last.
type known struct {
	key  *Key // nil: revoked
	hash []byte
	till time.Time
}

// NewDoor returns a door to the books.
func NewDoor(db *store.DB) *Door { return &Door{db: db, known: map[string]known{}} }

// Enter returns the key that a token is, or ErrUnknown.
func (d *Door) Enter(ctx context.Context, t Token) (*Key, error) {
	id, ok := t.id()
	if !ok {
		return nil, ErrUnknown
	}
	k, err := d.lookUp(ctx, id)
	if err != nil {
		return nil, err
	}
	hash := t.hash()
	// In constant time, though what is compared is a hash: there is no reason
	// to let anybody measure anything here.
	if subtle.ConstantTimeCompare(hash[:], k.hash) != 1 || k.key == nil {
		return nil, ErrUnknown
	}
	if e := k.key.expires; !e.IsZero() && !time.Now().Before(e) {
		return nil, ErrUnknown
	}
	return k.key, nil
}

// lookUp returns a key as it was at most RevokedWithin ago.
func (d *Door) lookUp(ctx context.Context, id string) (known, error) {
	now := time.Now()
	d.mu.Lock()
	k, ok := d.known[id]
	d.mu.Unlock()
	if ok && now.Before(k.till) {
		return k, nil
	}
	var row store.APIKey
	err := d.db.View(ctx, func(tx *store.Tx) (err error) {
		row, err = tx.APIKey(ctx, id)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return k, ErrUnknown
	}
	if err != nil {
		return k, fmt.Errorf("look up a key: %w", err)
	}
	k = known{hash: row.Hash, till: now.Add(RevokedWithin)}
	if row.Revoked.IsZero() {
		k.key = &Key{ID: row.ID, Name: row.Name, Merchant: row.Merchant, expires: row.Expires}
		k.key.Public, k.key.Test = modes(row.Kind)
		for _, s := range strings.Fields(row.Scopes) {
			k.key.Scopes = append(k.key.Scopes, Scope(s))
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.known) >= maxKnown {
		clear(d.known)
	}
	d.known[id] = k
	return k, nil
}
