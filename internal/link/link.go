// Package link is where gateways come in: programs and telephones elsewhere that
// carry SMS for the server, each known by a certificate that the server issued
// and that stands in its books, or by signatures if it can present none.
//
// A gateway brings SMS and bills, and takes what goes out in one of three ways:
// in the answer to the SMS that is answered, by asking what waits, or because it
// is sent there. Whatever the way, the courier hands each message over once, and
// the books say so before it leaves.
package link

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"maillon/internal/pki"
	"maillon/internal/store"
)

const (
	// fresh is how much of its life the certificate of the server must have left,
	// or it makes itself another.
	fresh = pki.LeafLife / 3
	// warnIssuer is from when on it is told that the issuer ends.
	warnIssuer = 90 * 24 * time.Hour
)

// A Link is the door of all gateways of a server. Use must be called before
// anybody comes.
type Link struct {
	folder   pki.Folder
	names    []string
	gateways map[string]*Gateway
	db       atomic.Pointer[store.DB]

	mu    sync.Mutex // held to read the folder anew
	trust atomic.Pointer[trust]
}

// A trust is what was read of the folder of the authority.
type trust struct {
	stamp   pki.Stamp
	pool    *x509.CertPool
	issuers []*x509.Certificate
	issuer  *pki.Authority
	server  tls.Certificate
	until   time.Time // when the folder is read anew, changed or not
}

// New makes the door of some gateways, for a server that is called by some
// names besides the host of its authority. Without a folder no certificates are
// known, and only gateways that sign come in.
func New(folder string, names []string, gateways []*Gateway) (*Link, error) {
	l := &Link{folder: pki.Folder{Path: folder}, names: names, gateways: map[string]*Gateway{}}
	for _, g := range gateways {
		l.gateways[g.config.Name] = g
	}
	if folder == "" {
		return l, nil
	}
	if _, err := l.trusted(time.Now()); err != nil {
		return nil, err
	}
	return l, nil
}

// Use says where the books are.
func (l *Link) Use(db *store.DB) {
	l.db.Store(db)
	for _, g := range l.gateways {
		g.Use(db)
	}
}

// TLS is how gateways are let in that present a certificate: one of an issuer
// that is trusted now, and that the books allow now.
func (l *Link) TLS() *tls.Config {
	return l.config(func(c *tls.Config, t *trust) {
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, t.pool
		c.VerifyConnection = func(s tls.ConnectionState) error {
			_, err := l.identify(s.PeerCertificates)
			return err
		}
	})
}

// SignedTLS is how gateways are let in that present none, and sign.
func (l *Link) SignedTLS() *tls.Config { return l.config(func(*tls.Config, *trust) {}) }

// config makes a configuration that follows the folder from one connection to
// the next. No session is resumed: what has been revoked meanwhile would be let
// in, https://go.dev/issue/77217.
func (l *Link) config(set func(*tls.Config, *trust)) *tls.Config {
	base := &tls.Config{MinVersion: tls.VersionTLS12, SessionTicketsDisabled: true}
	base.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		t, err := l.trusted(time.Now())
		if err != nil {
			return nil, err
		}
		c := &tls.Config{
			MinVersion: tls.VersionTLS12, SessionTicketsDisabled: true, Certificates: []tls.Certificate{t.server}, NextProtos: []string{"http/1.1"},
		}
		set(c, t)
		return c, nil
	}
	return base
}

// trusted returns what is trusted now: the folder is read anew when it has
// changed. One that cannot be read changes nothing.
func (l *Link) trusted(now time.Time) (*trust, error) {
	last := l.trust.Load()
	stamp, err := l.folder.Stamp()
	holds := func(t *trust) bool { return err == nil && t != nil && t.stamp == stamp && now.Before(t.until) }
	if holds(last) {
		return last, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if last = l.trust.Load(); holds(last) { // somebody was quicker
		return last, nil
	}
	t, err := l.read(now)
	if err != nil && last != nil {
		slog.Error("the authority of the link cannot be read: what it said last holds", "error", err)
		return last, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the authority of the link: %w", err)
	}
	l.trust.Store(t)
	return t, nil
}

func (l *Link) read(now time.Time) (*trust, error) {
	t := &trust{pool: x509.NewCertPool()}
	var err error
	if t.stamp, err = l.folder.Stamp(); err != nil {
		return nil, err
	}
	if t.issuers, err = l.folder.Trusted(); err != nil {
		return nil, err
	}
	for _, c := range t.issuers {
		t.pool.AddCert(c)
	}
	if t.issuer, err = l.folder.Issuer(); err != nil {
		return nil, err
	}
	server, err := t.issuer.Server(append([]string{t.issuer.Host()}, l.names...), now)
	if err != nil {
		return nil, err
	}
	t.server = tls.Certificate{PrivateKey: server.Key, Leaf: server.Certificate, Certificate: [][]byte{server.Certificate.Raw}}
	for _, c := range server.Chain {
		t.server.Certificate = append(t.server.Certificate, c.Raw)
	}
	t.until = server.Certificate.NotAfter.Add(-fresh)
	if end := t.issuer.Certificate.NotAfter; end.Sub(now) < warnIssuer {
		slog.Warn("the issuer of the link ends soon: maillon ca rotate makes another", "ends", end)
		if server.Certificate.NotAfter.Equal(end) {
			t.until = end // no certificate of it will be fresher
		}
	}
	return t, nil
}

// issued reports whether one of the issuers that are trusted now has issued c.
func (t *trust) issued(c *x509.Certificate) bool {
	for _, i := range t.issuers {
		if c.CheckSignatureFrom(i) == nil {
			return true
		}
	}
	return false
}

// errClosed means that the link has no books yet.
var errClosed = errors.New("the link is not open yet")
