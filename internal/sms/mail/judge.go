package mail

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/emersion/go-msgauth/dmarc"
	"golang.org/x/net/publicsuffix"
)

// Bounds of a signature.
const (
	maxSignatures = 5
	maxAge        = 3 * 24 * time.Hour // of the signed Date: servers try for some days
	maxAhead      = time.Hour          // of a clock that is fast
)

// signedFields must be in what is signed: who wrote, what, when, and by which
// name the letter is known.
var signedFields = []string{"from", "subject", "date", "message-id"}

// judge returns nil if the domain of the sender has signed a letter, or what to
// answer.
func (g *Gateway) judge(ctx context.Context, raw []byte, l letter, now time.Time) error {
	if now.Sub(l.date) > maxAge || l.date.Sub(now) > maxAhead {
		return errOld
	}
	lookup := g.lookup(ctx)
	found, err := dkim.VerifyWithOptions(bytes.NewReader(raw), &dkim.VerifyOptions{LookupTXT: lookup, MaxVerifications: maxSignatures})
	if err != nil && !errors.Is(err, dkim.ErrTooManySignatures) {
		return errShape
	}
	verdict := error(errUnsigned)
	for _, v := range found {
		switch err := judgeOne(v, l.from.Domain(), lookup); {
		case err == nil:
			return nil
		case !errors.Is(verdict, errDNS) && !errors.Is(err, errUnsigned):
			verdict = err // the most hopeful, or the most telling
		}
	}
	return verdict
}

// judgeOne judges one signature for the domain of a sender.
func judgeOne(v *dkim.Verification, domain string, lookup func(string) ([]string, error)) error {
	ok, err := aligned(v.Domain, domain, lookup)
	switch {
	case err != nil || ok && dkim.IsTempFail(v.Err):
		return errDNS
	case !ok:
		return errUnsigned
	case v.Err != nil:
		return errAltered
	case !covers(v.HeaderKeys):
		return errPartial
	}
	return nil
}

func covers(keys []string) bool {
	for _, want := range signedFields {
		if !slices.ContainsFunc(keys, func(k string) bool { return strings.EqualFold(strings.TrimSpace(k), want) }) {
			return false
		}
	}
	return true
}

// aligned reports whether a signature of one domain speaks for a sender of
// another: the same one, or unless its DMARC record is strict, one of the same
// organisation.
func aligned(signer, sender string, lookup func(string) ([]string, error)) (bool, error) {
	signer = strings.ToLower(strings.TrimSuffix(signer, "."))
	if signer == sender {
		return true, nil
	}
	org, err := publicsuffix.EffectiveTLDPlusOne(sender)
	if err != nil {
		return false, nil //nolint:nilerr // a domain of everybody speaks for nobody
	}
	if other, err := publicsuffix.EffectiveTLDPlusOne(signer); err != nil || other != org {
		return false, nil //nolint:nilerr // as above
	}
	for _, domain := range slices.Compact([]string{sender, org}) {
		r, err := dmarc.LookupWithOptions(domain, &dmarc.LookupOptions{LookupTXT: lookup})
		switch {
		case errors.Is(err, dmarc.ErrNoPolicy):
			continue
		case err != nil && dmarc.IsTempFail(err):
			return false, err
		case err != nil:
			return false, nil //nolint:nilerr // what it wants cannot be read: nothing but the same domain will do
		}
		return r.DKIMAlignment != dmarc.AlignmentStrict, nil
	}
	return true, nil
}

// lookup asks the DNS, for a bounded time each.
func (g *Gateway) lookup(ctx context.Context) func(name string) ([]string, error) {
	return func(name string) ([]string, error) {
		ctx, cancel := context.WithTimeout(ctx, lookupTime)
		defer cancel()
		return g.config.LookupTXT(ctx, name)
	}
}
