package webhook_test

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"maillon/internal/webhook"
)

// Whatever is written as an address: what is taken is HTTPS to a public address
// or a name of the internet, without anybody's password, and is kept as it can
// be read again.
func FuzzCheckURL(f *testing.F) {
	for _, text := range []string{shopURL, "https://9.9.9.9:8443/x?y=z", "https://[2606:4700::1]/", "https://127.1/", "http://a:b@c.d/#e", "https://a.b%2f@c/"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		kept, err := webhook.CheckURL(text, webhook.Internet)
		if err != nil {
			return
		}
		u, err := url.Parse(kept)
		if err != nil || u.Scheme != "https" || u.User != nil || u.Fragment != "" {
			t.Fatalf("%q is kept as %q, %v", text, kept, err)
		}
		if a, err := netip.ParseAddr(u.Hostname()); err == nil && !webhook.Public(a) || err != nil && !strings.Contains(u.Hostname(), ".") {
			t.Errorf("%q leads to %s", text, u.Hostname())
		}
		if again, err := webhook.CheckURL(kept, webhook.Internet); err != nil || again != kept {
			t.Errorf("%q is kept as %q, and then as %q, %v", text, kept, again, err)
		}
	})
}

// Whatever a sender who does not know the secret writes in the headers, it is not
// taken.
func FuzzVerify(f *testing.F) {
	f.Add(vectorID, "1614265330", "v1,AAAA", vectorBody)
	f.Add("", "", "v1, v1,, ,", "")
	secret := webhook.NewSecret()
	f.Fuzz(func(t *testing.T, id, at, signatures, body string) {
		if err := secret.Verify(id, at, signatures, []byte(body), time.Unix(1614265330, 0)); err == nil {
			t.Errorf("%q %q %q %q is taken", id, at, signatures, body)
		}
	})
}
