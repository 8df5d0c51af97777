package premium

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"time"

	"maillon/internal/sms"
)

// The headers by which a gateway without certificate signs.
const (
	SignatureHeader = "X-Signature" // HMAC-SHA-256 of the body and the time after it, in hexadecimal digits
	TimeHeader      = "X-Timestamp" // seconds since 1970
)

// MaxSkew is how far the time of a signature may be from ours.
const MaxSkew = 5 * time.Minute

// Sign returns the headers that CheckSignature wants.
func Sign(h http.Header, key sms.Secret, body []byte, now time.Time) {
	at := strconv.FormatInt(now.Unix(), 10)
	h.Set(TimeHeader, at)
	h.Set(SignatureHeader, hex.EncodeToString(mac(key, body, at)))
}

// CheckSignature says ErrSignature unless a call is signed with key, and now.
func CheckSignature(h http.Header, key sms.Secret, body []byte, now time.Time) error {
	at := h.Get(TimeHeader)
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > MaxSkew || key.IsZero() {
		return ErrSignature
	}
	given, err := hex.DecodeString(h.Get(SignatureHeader))
	if err != nil || !hmac.Equal(given, mac(key, body, at)) {
		return ErrSignature
	}
	return nil
}

func mac(key sms.Secret, body []byte, at string) []byte {
	m := hmac.New(sha256.New, []byte(key.Reveal()))
	_, _ = m.Write(body)
	_, _ = m.Write([]byte(at))
	return m.Sum(nil)
}
