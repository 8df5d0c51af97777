package otp

import (
	"bytes"
	"fmt"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"
)

// URI returns what an authenticator reads as a QR code, otpauth://totp/…: eight
// digits of SHA-1, a step of 30 seconds. It is for Plain alone; the others have
// a price, which no authenticator asks for.
func URI(k Key, issuer, stall string) (string, error) {
	key, err := totp.Generate(totp.GenerateOpts{
		Issuer: issuer, AccountName: stall, Period: uint(Step / time.Second), SecretSize: uint(len(k)), //nolint:gosec // within MaxKeyLen
		Digits: otp.DigitsEight, Algorithm: otp.AlgorithmSHA1, Rand: bytes.NewReader(k),
	})
	if err != nil {
		return "", fmt.Errorf("write the link of a device: %w", err)
	}
	return key.URL(), nil
}
