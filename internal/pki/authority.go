// Package pki makes the certificates of the link between gateways and server: a
// root that is kept offline, an issuer below it that works beside the server,
// and short-lived certificates of both ends. Nothing is looked up anywhere; who
// a certificate is for stands in it, as spiffe://HOST/gateway/NAME.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// How long certificates live. None outlives its issuer.
const (
	RootLife   = 10 * 365 * 24 * time.Hour
	IssuerLife = 3 * 365 * 24 * time.Hour
	LeafLife   = 30 * 24 * time.Hour // of gateways and servers
	// Early is how long before it is made a certificate begins, for clocks that are slow.
	Early = time.Hour
)

// leastRSA is the shortest key of RSA that is signed, in bits.
const leastRSA = 2048

var (
	// ErrName means that a host or the name of a gateway cannot stand in a certificate.
	ErrName = errors.New("not a name")
	// ErrRequest means that a certificate signing request cannot be used.
	ErrRequest = errors.New("not a certificate signing request that can be used")
	// ErrNoGateway means that a certificate is not one of a gateway.
	ErrNoGateway = errors.New("not a certificate of a gateway")
)

var (
	gatewayName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)
	hostName    = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)
)

const maxHost = 253 // octets, RFC 1035

// An Identity is a certificate, its key, and those that issued it, up to but
// not including the root.
type Identity struct {
	Certificate *x509.Certificate
	Chain       []*x509.Certificate
	Key         crypto.Signer
}

// An Authority is a certificate that may issue others, with its key.
type Authority struct {
	Identity
	host string // whose gateways these are; "" for a root
}

// NewRoot makes a root for the server of a host.
func NewRoot(host string, now time.Time) (*Authority, error) {
	if err := checkHost(host); err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:  pkix.Name{CommonName: "maillon root of " + host},
		NotAfter: now.Add(RootLife), MaxPathLen: 1,
	}
	return newAuthority(template, nil, now)
}

// NewIssuer makes an authority below a root that issues certificates to the
// gateways of a host and to its server.
func (a *Authority) NewIssuer(host string, now time.Time) (*Authority, error) {
	if err := checkHost(host); err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:  pkix.Name{CommonName: "maillon issuer of " + host},
		URIs:     []*url.URL{{Scheme: spiffe, Host: host}},
		NotAfter: now.Add(IssuerLife), MaxPathLenZero: true,
	}
	return newAuthority(template, a, now)
}

func newAuthority(template *x509.Certificate, parent *Authority, now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	if parent == nil {
		parent = &Authority{Identity: Identity{Certificate: template, Key: key}}
	}
	c, err := parent.sign(template, key.Public(), now)
	if err != nil {
		return nil, err
	}
	return authorityOf(Identity{Certificate: c, Key: key})
}

// authorityOf reads whose gateways an authority issues for.
func authorityOf(i Identity) (*Authority, error) {
	if !i.Certificate.IsCA || i.Key == nil {
		return nil, errors.New("not the certificate of an authority with its key")
	}
	a := &Authority{Identity: i}
	if uris := i.Certificate.URIs; len(uris) == 1 && uris[0].Scheme == spiffe {
		a.host = uris[0].Host
	}
	return a, nil
}

// Host returns the host whose gateways an issuer issues for.
func (a *Authority) Host() string { return a.host }

// sign draws a serial number and signs.
func (a *Authority) sign(template *x509.Certificate, public crypto.PublicKey, now time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), serialBits))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial.Add(serial, big.NewInt(1))
	template.NotBefore = now.Add(-Early)
	if end := a.Certificate.NotAfter; template.NotAfter.After(end) {
		template.NotAfter = end
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.Certificate, public, a.Key)
	if err != nil {
		return nil, fmt.Errorf("sign a certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

// serialBits is how much chance is in a serial number.
const serialBits = 120

// Server makes the certificate of a server under some names, hosts or
// addresses.
func (a *Authority) Server(names []string, now time.Time) (Identity, error) {
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: a.host},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if err := addNames(template, names); err != nil {
		return Identity{}, err
	}
	return a.leaf(template, now)
}

// Gateway makes a key for a gateway and its certificate.
func (a *Authority) Gateway(name string, now time.Time) (Identity, error) {
	template, err := a.gateway(name)
	if err != nil {
		return Identity{}, err
	}
	return a.leaf(template, now)
}

// Renew makes a certificate for a gateway, which keeps its key: from the request
// (PKCS #10, DER) comes nothing but the key.
func (a *Authority) Renew(name string, request []byte, now time.Time) (Identity, error) {
	template, err := a.gateway(name)
	if err != nil {
		return Identity{}, err
	}
	r, err := x509.ParseCertificateRequest(request)
	if err != nil {
		return Identity{}, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if err := r.CheckSignature(); err != nil {
		return Identity{}, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if err := checkKey(r.PublicKey); err != nil {
		return Identity{}, err
	}
	return a.certify(template, r.PublicKey, now)
}

func checkKey(public crypto.PublicKey) error {
	switch k := public.(type) {
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() || k.Curve == elliptic.P384() {
			return nil
		}
	case ed25519.PublicKey:
		return nil
	case *rsa.PublicKey:
		if k.N.BitLen() >= leastRSA {
			return nil
		}
	}
	return fmt.Errorf("%w: its key must be ECDSA on P-256 or P-384, Ed25519, or RSA of at least %d bits", ErrRequest, leastRSA)
}

const spiffe = "spiffe"

// gatewayPath is where the names of gateways begin in their URI.
const gatewayPath = "/gateway/"

func (a *Authority) gateway(name string) (*x509.Certificate, error) {
	if !gatewayName.MatchString(name) {
		return nil, fmt.Errorf("gateway: %w: 1 to 64 letters, digits, _ and -", ErrName)
	}
	return &x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		URIs:        []*url.URL{{Scheme: spiffe, Host: a.host, Path: gatewayPath + name}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, nil
}

func (a *Authority) leaf(template *x509.Certificate, now time.Time) (Identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Identity{}, err
	}
	i, err := a.certify(template, key.Public(), now)
	i.Key = key
	return i, err
}

func (a *Authority) certify(template *x509.Certificate, public crypto.PublicKey, now time.Time) (Identity, error) {
	if a.host == "" {
		return Identity{}, errors.New("a root issues to no gateway and no server")
	}
	template.NotAfter = now.Add(LeafLife)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.BasicConstraintsValid = true
	c, err := a.sign(template, public, now)
	return Identity{Certificate: c, Chain: []*x509.Certificate{a.Certificate}}, err
}

// GatewayOf returns the host and the name that a certificate of a gateway
// states.
func GatewayOf(c *x509.Certificate) (host, name string, err error) {
	if len(c.URIs) != 1 || c.URIs[0].Scheme != spiffe {
		return "", "", ErrNoGateway
	}
	name, is := strings.CutPrefix(c.URIs[0].Path, gatewayPath)
	if !is || !gatewayName.MatchString(name) {
		return "", "", ErrNoGateway
	}
	return c.URIs[0].Host, name, nil
}

// Fingerprint returns the SHA-256 of a certificate, in hexadecimal digits.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

func checkHost(host string) error {
	if len(host) > maxHost || !hostName.MatchString(host) {
		return fmt.Errorf("host: %w: small letters, digits, - and dots are expected, such as money.example.org", ErrName)
	}
	return nil
}
