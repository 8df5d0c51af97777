package link

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"maillon/internal/pki"
	"maillon/internal/store"
)

// kindCertificate is the kind of the records that certificates have, whose
// reference is the fingerprint.
const kindCertificate = "certificate"

// The states of a certificate.
const (
	allowed = "allowed"
	revoked = "revoked"
)

// MaxLive bounds the certificates of one gateway that are allowed and have not
// ended.
const MaxLive = 20

var (
	// ErrTooMany means that a gateway has MaxLive certificates already.
	ErrTooMany = fmt.Errorf("the gateway has %d certificates that have not ended", MaxLive)
	// ErrStranger means that a certificate is on no list, or was revoked.
	ErrStranger = errors.New("the certificate is not allowed")
)

// A Certificate is what the books know of the certificate of a gateway. Only
// those in the books are let in.
type Certificate struct {
	ID          int64     `json:"-"`
	Gateway     string    `json:"gateway"`
	Fingerprint string    `json:"-"` // SHA-256, in hexadecimal digits
	Serial      string    `json:"serial"`
	Until       time.Time `json:"until"`
	Made        time.Time `json:"-"`
	Revoked     bool      `json:"-"`
}

// Allow lets a certificate of a gateway in. Doing it again changes nothing, and
// one that was revoked stays so.
func Allow(ctx context.Context, tx *store.Tx, by string, c *x509.Certificate) (Certificate, error) {
	_, name, err := pki.GatewayOf(c)
	if err != nil {
		return Certificate{}, err
	}
	entry := Certificate{Gateway: name, Fingerprint: pki.Fingerprint(c), Serial: c.SerialNumber.Text(16), Until: c.NotAfter.UTC()}
	switch r, err := tx.RecordByRef(ctx, kindCertificate, 0, entry.Fingerprint); {
	case err == nil:
		return readCertificate(r)
	case !errors.Is(err, store.ErrNotFound):
		return Certificate{}, err
	}
	mine, err := tx.Records(ctx, store.RecordsWhere{Kind: kindCertificate, Who: whose(tx, name), States: []string{allowed}, Newest: true}, store.MaxRecords)
	if err != nil {
		return Certificate{}, err
	}
	live := 0
	for _, r := range mine {
		if c, err := readCertificate(r); err != nil {
			return Certificate{}, err
		} else if c.Until.After(tx.Now()) {
			live++
		}
	}
	if live >= MaxLive {
		return Certificate{}, ErrTooMany
	}
	body, err := json.Marshal(entry)
	if err != nil {
		return Certificate{}, err
	}
	r := store.Record{Kind: kindCertificate, State: allowed, Ref: entry.Fingerprint, Who: whose(tx, name), Body: body}
	if err := tx.SaveRecord(ctx, &r); err != nil {
		return Certificate{}, err
	}
	tx.Act(by, "certificate.allow", "gateway:"+name, entry.Fingerprint)
	return readCertificate(r)
}

// whose is how records of a gateway are found.
func whose(tx *store.Tx, gateway string) []byte { return tx.Whose("gateway:" + gateway) }

// Revoke turns a certificate away, by its fingerprint: from the next request on,
// also on connections that are open. Doing it again changes nothing. It returns
// store.ErrNotFound if there is no such certificate.
func Revoke(ctx context.Context, tx *store.Tx, by, fingerprint string) error {
	r, err := tx.RecordByRef(ctx, kindCertificate, 0, fingerprint)
	if err != nil || r.State == revoked {
		return err
	}
	c, err := readCertificate(r)
	if err != nil {
		return err
	}
	r.State = revoked
	tx.Act(by, "certificate.revoke", "gateway:"+c.Gateway, fingerprint)
	return tx.SaveRecord(ctx, &r)
}

// Certificates lists what the books know, the newest first and at most
// store.MaxRecords.
func Certificates(ctx context.Context, tx *store.Tx) (all []Certificate, err error) {
	records, err := tx.Records(ctx, store.RecordsWhere{Kind: kindCertificate, Newest: true}, store.MaxRecords)
	for _, r := range records {
		c, err := readCertificate(r)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, err
}

// check returns the gateway whose certificate this is, or ErrStranger.
func check(ctx context.Context, tx *store.Tx, c *x509.Certificate) (gateway string, err error) {
	_, name, err := pki.GatewayOf(c)
	if err != nil {
		return "", err
	}
	r, err := tx.RecordByRef(ctx, kindCertificate, 0, pki.Fingerprint(c))
	if errors.Is(err, store.ErrNotFound) {
		return "", ErrStranger
	}
	if err != nil {
		return "", err
	}
	known, err := readCertificate(r)
	if err != nil {
		return "", err
	}
	if known.Revoked || known.Gateway != name || !tx.Now().Before(c.NotAfter) {
		return "", ErrStranger
	}
	return name, nil
}

func readCertificate(r store.Record) (c Certificate, err error) {
	if err := json.Unmarshal(r.Body, &c); err != nil {
		return c, fmt.Errorf("read certificate %d: %w", r.ID, err)
	}
	c.ID, c.Fingerprint, c.Made, c.Revoked = r.ID, r.Ref, r.Created, r.State == revoked
	return c, nil
}
