package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// SecretLen is the length of a server's secret, in octets.
const SecretLen = 32

// ErrErased means that the key of something personal was destroyed.
var ErrErased = errors.New("erased")

// A Secret is the one key that a server keeps outside its database. From it
// derive the keys that wrap the members' keys, that hash numbers and pseudos
// for look-up, and that make codes.
type Secret [SecretLen]byte

// NewSecret draws a secret.
func NewSecret() (Secret, error) {
	var s Secret
	_, err := rand.Read(s[:])
	return s, err
}

// ParseSecret reads what Encode wrote.
func ParseSecret(text string) (Secret, error) {
	var s Secret
	raw, err := hex.DecodeString(strings.TrimSpace(text))
	if err != nil || len(raw) != SecretLen {
		return s, fmt.Errorf("a secret is %d hexadecimal digits", 2*SecretLen)
	}
	copy(s[:], raw)
	return s, nil
}

// Encode returns the secret as text, for its file.
func (s Secret) Encode() string { return hex.EncodeToString(s[:]) }

// String hides the secret.
func (s Secret) String() string { return "secret" }

// LogValue hides the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue("secret") }

// A keyring is what derives from a secret (HKDF-SHA-256, RFC 5869).
type keyring struct {
	wrap   cipher.AEAD
	number []byte
	nick   []byte
	dedup  []byte
	refuse []byte
	code   []byte
}

func newKeyring(s Secret) (*keyring, error) {
	derive := func(purpose string) ([]byte, error) {
		return hkdf.Key(sha256.New, s[:], nil, "maillon/"+purpose, 32)
	}
	var r keyring
	var wrap []byte
	for purpose, key := range map[string]*[]byte{
		"wrap": &wrap, "number": &r.number, "nick": &r.nick, "dedup": &r.dedup, "refuse": &r.refuse, "code": &r.code,
	} {
		k, err := derive(purpose)
		if err != nil {
			return nil, err
		}
		*key = k
	}
	var err error
	r.wrap, err = newAEAD(wrap)
	return &r, err
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func keyedHash(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write([]byte(text))
	return mac.Sum(nil)[:16]
}

// A sealKey seals what is personal to one member, or to the strangers of an hour.
type sealKey struct {
	id   int64
	aead cipher.AEAD
}

// seal encrypts text for a column, so that it cannot be moved to another.
func (k sealKey) seal(column, text string) []byte {
	return k.aead.Seal(nil, nil, []byte(text), []byte(column))
}

// open decrypts what seal returned.
func (k sealKey) open(column string, sealed []byte) (string, error) {
	if k.aead == nil || sealed == nil {
		return "", ErrErased
	}
	text, err := k.aead.Open(nil, nil, sealed, []byte(column))
	if err != nil {
		return "", fmt.Errorf("unseal %s under key %d: %w", column, k.id, err)
	}
	return string(text), nil
}

func (r *keyring) newKey() (raw, wrapped []byte, err error) {
	raw = make([]byte, 32)
	if _, err := rand.Read(raw); err != nil {
		return nil, nil, err
	}
	return raw, r.wrap.Seal(nil, nil, raw, []byte("key")), nil
}

func (r *keyring) unwrap(id int64, wrapped []byte) (sealKey, error) {
	if len(wrapped) == 0 {
		return sealKey{id: id}, nil
	}
	raw, err := r.wrap.Open(nil, nil, wrapped, []byte("key"))
	if err != nil {
		return sealKey{}, fmt.Errorf("unwrap key %d: the secret file is not the one of this database: %w", id, err)
	}
	aead, err := newAEAD(raw)
	return sealKey{id, aead}, err
}
