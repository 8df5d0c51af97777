package pki_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"maillon/internal/pki"
)

const host = "money.example.org"

func folder(t *testing.T, passphrase string) (pki.Folder, string) {
	t.Helper()
	f := pki.Folder{Path: filepath.Join(t.TempDir(), "ca")}
	key, err := f.Init(host, passphrase, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return f, key
}

func issuer(t *testing.T, f pki.Folder) *pki.Authority {
	t.Helper()
	a, err := f.Issuer()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// verify checks a certificate as the other side does: by its chain alone.
func verify(t *testing.T, i pki.Identity, usage x509.ExtKeyUsage, trusted ...*x509.Certificate) error {
	t.Helper()
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for _, c := range trusted {
		roots.AddCert(c)
	}
	for _, c := range i.Chain {
		between.AddCert(c)
	}
	_, err := i.Certificate.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{usage}})
	return err
}

func TestACertificateSaysWhoItIsForAndForHowLong(t *testing.T) {
	f, _ := folder(t, "")
	a := issuer(t, f)
	g, err := a.Gateway("gw1", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	c := g.Certificate
	if h, name, err := pki.GatewayOf(c); h != host || name != "gw1" || err != nil {
		t.Errorf("GatewayOf = %q, %q, %v", h, name, err)
	}
	if got := c.URIs[0].String(); got != "spiffe://money.example.org/gateway/gw1" {
		t.Errorf("the URI is %s", got)
	}
	if k, ok := c.PublicKey.(*ecdsa.PublicKey); !ok || k.Curve != elliptic.P256() {
		t.Errorf("the key is a %T", c.PublicKey)
	}
	if left := time.Until(c.NotAfter); left > pki.LeafLife || left < pki.LeafLife-time.Minute {
		t.Errorf("it lives for %s", left)
	}
	root, err := f.Root()
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(t, g, x509.ExtKeyUsageClientAuth, root); err != nil {
		t.Errorf("below the root: %v", err)
	}
	if err := verify(t, g, x509.ExtKeyUsageServerAuth, root); err == nil {
		t.Error("a gateway could pass for a server")
	}
	if len(pki.Fingerprint(c)) != 64 {
		t.Errorf("the fingerprint is %s", pki.Fingerprint(c))
	}
}

func TestAServerIsCheckedByItsRootAndItsName(t *testing.T) {
	f, _ := folder(t, "")
	s, err := issuer(t, f).Server([]string{host, "10.0.0.7", "::1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	root, _ := f.Root()
	if err := verify(t, s, x509.ExtKeyUsageServerAuth, root); err != nil {
		t.Error(err)
	}
	for _, name := range []string{host, "10.0.0.7", "::1"} {
		if err := s.Certificate.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	if err := s.Certificate.VerifyHostname("other.example.org"); err == nil {
		t.Error("it is good for another host")
	}
}

// A request may ask for whatever it likes: it gets its own gateway's name.
func TestARequestThatSaysAdminGetsItsOwnName(t *testing.T) {
	f, _ := folder(t, "")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	admin := &url.URL{Scheme: "spiffe", Host: host, Path: "/gateway/admin"}
	request := csr(t, key, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "admin"}, DNSNames: []string{"admin"}, URIs: []*url.URL{admin},
	})
	g, err := issuer(t, f).Renew("gw1", request, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, name, err := pki.GatewayOf(g.Certificate); name != "gw1" || err != nil || g.Certificate.Subject.CommonName != "gw1" || len(g.Certificate.DNSNames) != 0 {
		t.Errorf("it got %v for %q, %v", g.Certificate.Subject, name, err)
	}
	if !key.PublicKey.Equal(g.Certificate.PublicKey) || g.Key != nil {
		t.Error("the key is not the one of the request")
	}
}

func csr(t *testing.T, key crypto.Signer, template *x509.CertificateRequest) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := pki.ParseRequest(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestWhatIsNoRequestIsRefused(t *testing.T) {
	f, _ := folder(t, "")
	a := issuer(t, f)
	weak, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // that it is too short is the point
	if err != nil {
		t.Skip("this Go makes no such short key")
	}
	good, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	forged := csr(t, good, &x509.CertificateRequest{})
	forged[len(forged)-1] ^= 1
	for name, request := range map[string][]byte{"nothing": nil, "noise": []byte("noise"), "a short key": csr(t, weak, &x509.CertificateRequest{}), "a forged one": forged} {
		if _, err := a.Renew("gw1", request, time.Now()); !errors.Is(err, pki.ErrRequest) {
			t.Errorf("%s: %v, want ErrRequest", name, err)
		}
	}
	for _, name := range []string{"", "a/b", "../x", "é", "-x"} {
		if _, err := a.Gateway(name, time.Now()); !errors.Is(err, pki.ErrName) {
			t.Errorf("Gateway(%q): %v, want ErrName", name, err)
		}
	}
}

func TestNothingIsOverwrittenAndOnlyTheOwnerReadsKeys(t *testing.T) {
	f, key := folder(t, "")
	before, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Init("other.example.org", "", time.Now()); !errors.Is(err, pki.ErrThere) {
		t.Errorf("Init again: %v, want ErrThere", err)
	}
	if after, _ := os.ReadFile(key); string(after) != string(before) {
		t.Error("the key of the root has changed")
	}
	files, err := os.ReadDir(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range files {
		if info, _ := e.Info(); info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", e.Name(), info.Mode())
		}
	}
}

// A, then A and B, then B.
func TestTwoIssuersOverlap(t *testing.T) {
	f, _ := folder(t, "")
	old, err := issuer(t, f).Gateway("gw1", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	before, _ := f.Stamp()
	if _, err := f.Rotate("", "", time.Now()); err != nil {
		t.Fatal(err)
	}
	if after, _ := f.Stamp(); after == before {
		t.Error("the stamp does not tell that the issuer has changed")
	}
	fresh, err := issuer(t, f).Gateway("gw1", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	both, err := f.Trusted()
	if err != nil || len(both) != 2 {
		t.Fatalf("%d are trusted, %v", len(both), err)
	}
	for _, g := range []pki.Identity{old, fresh} {
		if err := verify(t, g, x509.ExtKeyUsageClientAuth, both...); err != nil {
			t.Errorf("while both are trusted: %v", err)
		}
	}
	if n, err := f.Finish(); n != 1 || err != nil {
		t.Errorf("Finish = %d, %v", n, err)
	}
	one, _ := f.Trusted()
	if err := verify(t, old, x509.ExtKeyUsageClientAuth, one...); err == nil {
		t.Error("the old one is still trusted")
	}
	if err := verify(t, fresh, x509.ExtKeyUsageClientAuth, one...); err != nil {
		t.Errorf("the new one: %v", err)
	}
	root, _ := f.Root()
	if err := verify(t, fresh, x509.ExtKeyUsageClientAuth, root); err != nil {
		t.Errorf("the new one is not below the root: %v", err)
	}
}

func TestTheRootMayBeElsewhereAndUnderAPassphrase(t *testing.T) {
	f, key := folder(t, "correct horse")
	stick := filepath.Join(t.TempDir(), "root.p12")
	if err := os.Rename(key, stick); err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string][2]string{"without the key": {"", ""}, "another passphrase": {stick, "wrong"}} {
		if _, err := f.Rotate(try[0], try[1], time.Now()); !errors.Is(err, pki.ErrNoRoot) {
			t.Errorf("%s: %v, want ErrNoRoot", name, err)
		}
	}
	other, otherKey := folder(t, "")
	if _, err := f.Rotate(otherKey, "", time.Now()); !errors.Is(err, pki.ErrNoRoot) {
		t.Errorf("by the root of %s: %v, want ErrNoRoot", other.Path, err)
	}
	if _, err := f.Rotate(stick, "correct horse", time.Now()); err != nil {
		t.Error(err)
	}
}

func TestAPhoneTakesPKCS12(t *testing.T) {
	f, _ := folder(t, "")
	g, err := issuer(t, f).Gateway("phone", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, old := range []bool{false, true} {
		data, err := g.EncodePKCS12("s3cret", old)
		if err != nil {
			t.Fatal(err)
		}
		back, err := pki.ParsePKCS12(data, "s3cret")
		if err != nil || !back.Certificate.Equal(g.Certificate) || len(back.Chain) != 1 {
			t.Errorf("read again: %v", err)
		}
		if _, err := pki.ParsePKCS12(data, "other"); !errors.Is(err, pki.ErrPassword) {
			t.Errorf("with another password: %v, want ErrPassword", err)
		}
	}
}

func TestAFileOfOneIdentityIsReadAgain(t *testing.T) {
	f, _ := folder(t, "")
	g, _ := issuer(t, f).Gateway("gw1", time.Now())
	other, _ := issuer(t, f).Gateway("gw2", time.Now())
	text, err := g.EncodePEM()
	if err != nil {
		t.Fatal(err)
	}
	back, err := pki.ParseIdentity(text)
	if err != nil || !back.Certificate.Equal(g.Certificate) || len(back.Chain) != 1 || back.Key == nil {
		t.Errorf("read again: %v", err)
	}
	g.Key = other.Key
	text, _ = g.EncodePEM()
	if _, err := pki.ParseIdentity(text); err == nil {
		t.Error("a key of another certificate was taken")
	}
}

func FuzzParseIdentity(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if i, err := pki.ParseIdentity(text); err == nil && i.Certificate == nil {
			t.Error("an identity without a certificate")
		}
		_, _ = pki.ParseCertificates(text)
		_, _ = pki.ParseRequest(text)
	})
}
