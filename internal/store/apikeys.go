package store

import (
	"context"
	"fmt"
	"time"
)

// maxAPIKeys bounds how many keys are listed.
const maxAPIKeys = 1000

// An APIKey is what is kept of a key of the API: enough to know it again, not
// to make it.
type APIKey struct {
	ID       string // drawn at random
	Hash     []byte
	Kind     string // how it begins
	Merchant int64  // whose it is; 0: the association's
	Name     string // for the operator
	Scopes   string
	Created  time.Time
	Expires  time.Time // zero: never by itself
	Revoked  time.Time // zero: it is good
}

const apiKeyColumns = `id, hash, kind, merchant, name, scopes, created_at, expires_at, revoked_at`

func scanAPIKey(scan scan) (APIKey, error) {
	var k APIKey
	err := scan(&k.ID, &k.Hash, &k.Kind, &k.Merchant, &k.Name, &k.Scopes, moment{&k.Created}, moment{&k.Expires}, moment{&k.Revoked})
	return k, found(err)
}

// AddAPIKey writes a new key, whose ID nobody may have.
func (tx *Tx) AddAPIKey(ctx context.Context, by string, k *APIKey) error {
	k.Created = tx.now
	err := tx.later(ctx, `INSERT INTO api_key (id, hash, kind, merchant, name, scopes, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		k.ID, k.Hash, k.Kind, k.Merchant, k.Name, k.Scopes, micros(k.Created), micros(k.Expires))
	if err != nil {
		return fmt.Errorf("add the key %s: %w", k.ID, err)
	}
	tx.Act(by, "key.add", "key:"+k.ID, k.Scopes)
	return nil
}

// APIKey returns a key by its ID, revoked or not, or ErrNotFound.
func (tx *Tx) APIKey(ctx context.Context, id string) (APIKey, error) {
	return scanAPIKey(tx.row(ctx, `SELECT `+apiKeyColumns+` FROM api_key WHERE id = $1`, id).Scan)
}

// APIKeys returns the keys there have ever been, merchants' too, the oldest first.
func (tx *Tx) APIKeys(ctx context.Context) ([]APIKey, error) {
	var all []APIKey
	err := tx.each(ctx, func(scan scan) error {
		k, err := scanAPIKey(scan)
		all = append(all, k)
		return err
	}, `SELECT `+apiKeyColumns+` FROM api_key ORDER BY created_at, id LIMIT $1 + 0`, maxAPIKeys)
	return all, err
}

// MerchantKeys returns the keys that a merchant has and had, the oldest first.
func (tx *Tx) MerchantKeys(ctx context.Context, merchant int64) ([]APIKey, error) {
	var all []APIKey
	err := tx.each(ctx, func(scan scan) error {
		k, err := scanAPIKey(scan)
		all = append(all, k)
		return err
	}, `SELECT `+apiKeyColumns+` FROM api_key WHERE merchant = $1 AND merchant <> 0 ORDER BY created_at, id LIMIT $2 + 0`, merchant, maxAPIKeys)
	return all, err
}

// RevokeAPIKey ends a key for good. Ending it again changes nothing. It returns
// ErrNotFound if there never was one.
func (tx *Tx) RevokeAPIKey(ctx context.Context, by, id string) error {
	n, err := tx.exec(ctx, `UPDATE api_key SET revoked_at = $2 WHERE id = $1 AND revoked_at = 0`, id, micros(tx.now))
	if err != nil {
		return fmt.Errorf("revoke the key %s: %w", id, err)
	}
	if n > 0 {
		tx.Act(by, "key.revoke", "key:"+id, "")
		return nil
	}
	_, err = tx.APIKey(ctx, id)
	return err
}
