package link_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"maillon/internal/courier"
	"maillon/internal/duty"
	"maillon/internal/link"
	"maillon/internal/pki"
	"maillon/internal/sms"
	"maillon/internal/sms/premium"
	"maillon/internal/store"
)

const (
	member = "+33639980012"
	line   = "36000"
)

// A bench is a link with its books, its courier and both of its listeners.
type bench struct {
	t      testing.TB
	folder pki.Folder
	db     *store.DB
	link   *link.Link
	talk   *talk
	url    string // where certificates are asked for
	signed string // where signatures are

	several  bool // there are other servers
	gateways map[string]*link.Gateway
}

func newBench(t testing.TB, configs ...link.Config) *bench {
	t.Helper()
	return newBenchOn(t, store.Memory, configs...)
}

func newBenchOn(t testing.TB, books string, configs ...link.Config) *bench {
	t.Helper()
	b := &bench{t: t, folder: pki.Folder{Path: filepath.Join(t.TempDir(), "ca")}}
	if _, err := b.folder.Init("localhost", "", time.Now()); err != nil {
		t.Fatal(err)
	}
	b.db = openBooks(t, books)
	b.talk = &talk{db: b.db, known: map[string]bool{}, answers: func(m sms.Incoming) []string { return []string{"re: " + m.Text} }}
	b.open(configs...)
	return b
}

func openBooks(t testing.TB, books string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), books, store.Secret{1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// open opens a server on the books.
func (b *bench) open(configs ...link.Config) {
	t := b.t
	t.Helper()
	var err error
	var gateways []*link.Gateway
	b.gateways = map[string]*link.Gateway{}
	var lines []courier.Line
	for _, c := range configs {
		c.Region = "FR"
		g := link.NewGateway(c)
		gateways = append(gateways, g)
		b.gateways[c.Name] = g
		lines = append(lines, courier.Line{Name: c.Name, Gateway: g, Number: line})
	}
	if b.link, err = link.New(b.folder.Path, []string{"127.0.0.1"}, gateways); err != nil {
		t.Fatal(err)
	}
	b.link.Use(b.db)
	b.carry(lines)
	b.url = b.serve(b.link.TLS(), b.link.Handler())
	b.signed = b.serve(b.link.SignedTLS(), b.link.Signed())
	for _, g := range gateways {
		for end := time.Now().Add(10 * time.Second); !b.several && g.Health().Since.IsZero() && time.Now().Before(end); time.Sleep(time.Millisecond) {
		}
	}
}

// carry runs a courier until the test ends.
func (b *bench) carry(lines []courier.Line) {
	ctx, stop := context.WithCancel(context.Background())
	options := courier.Options{Biller: b.talk}
	if b.several {
		options.Roster = duty.New(b.db, true)
		var keeping sync.WaitGroup
		keeping.Go(func() { options.Roster.Run(ctx) })
		keeping.Go(func() { b.db.Watch(ctx) })
		b.t.Cleanup(keeping.Wait)
	}
	c := courier.New(b.db, lines, b.talk, options)
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	b.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			b.t.Errorf("the courier: %v", err)
		}
	})
}

func (b *bench) serve(config *tls.Config, h http.Handler) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.t.Fatal(err)
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	go func() { _ = s.Serve(tls.NewListener(l, config)) }()
	b.t.Cleanup(func() { _ = s.Close() })
	return "https://" + l.Addr().String()
}

// identity makes a certificate of a gateway, in no books yet.
func (b *bench) identity(name string) pki.Identity {
	b.t.Helper()
	a, err := b.folder.Issuer()
	if err != nil {
		b.t.Fatal(err)
	}
	i, err := a.Gateway(name, time.Now())
	if err != nil {
		b.t.Fatal(err)
	}
	return i
}

// issue makes one that is let in.
func (b *bench) issue(name string) pki.Identity {
	b.t.Helper()
	i := b.identity(name)
	b.allow(i)
	return i
}

func (b *bench) allow(i pki.Identity) {
	b.t.Helper()
	err := b.db.Update(b.t.Context(), func(tx *store.Tx) error {
		_, err := link.Allow(b.t.Context(), tx, "operator", i.Certificate)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) revoke(i pki.Identity) {
	b.t.Helper()
	err := b.db.Update(b.t.Context(), func(tx *store.Tx) error {
		return link.Revoke(b.t.Context(), tx, "operator", pki.Fingerprint(i.Certificate))
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// client is a gateway with some certificates, that checks the server.
func (b *bench) client(all ...pki.Identity) *http.Client {
	b.t.Helper()
	root, err := b.folder.Root()
	if err != nil {
		b.t.Fatal(err)
	}
	config := &tls.Config{RootCAs: x509.NewCertPool(), ClientSessionCache: tls.NewLRUClientSessionCache(8)}
	config.RootCAs.AddCert(root)
	for _, i := range all {
		c := tls.Certificate{PrivateKey: i.Key, Certificate: [][]byte{i.Certificate.Raw}}
		for _, above := range i.Chain {
			c.Certificate = append(c.Certificate, above.Raw)
		}
		// Whatever the server asks for, so that it is the server that refuses.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c, nil }
	}
	transport := &http.Transport{TLSClientConfig: config}
	b.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

// An answer is what a call came to.
type answer struct {
	status int
	body   string
	tls    *tls.ConnectionState
}

// call returns what a call came to, or how it failed.
func call(c *http.Client, method, url, body string, headers ...string) (answer, error) {
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for n := 0; n+1 < len(headers); n += 2 {
		r.Header.Set(headers[n], headers[n+1])
	}
	resp, err := c.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, string(text), resp.TLS}, err
}

// must makes a call that succeeds.
func (b *bench) must(c *http.Client, method, path, body string) answer {
	b.t.Helper()
	a, err := call(c, method, b.url+path, body)
	if err != nil || a.status != http.StatusOK {
		b.t.Fatalf("%s %s: %d %s, %v", method, path, a.status, a.body, err)
	}
	return a
}

// A talk answers each SMS once, by the outbox, and keeps what it got.
type talk struct {
	db      *store.DB
	answers func(sms.Incoming) []string

	mu    sync.Mutex // held to read or change what follows
	known map[string]bool
	got   []sms.Incoming
	bills []sms.Bill
	fails int
}

func (k *talk) Receive(ctx context.Context, m sms.Incoming) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fails > 0 {
		k.fails--
		return errors.New("the books are away")
	}
	if k.known[m.Gateway+m.Key] {
		return nil
	}
	to, err := sms.ParseNumber(m.From, "FR")
	if err == nil {
		err = k.db.Update(ctx, func(tx *store.Tx) error {
			for _, text := range k.answers(m) {
				if err := tx.Enqueue(ctx, store.Out{To: to, Text: text, Gateway: m.Gateway, Priority: sms.Receipt, Expires: tx.Now().Add(time.Hour)}, nil); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err != nil {
		return err
	}
	k.known[m.Gateway+m.Key] = true
	k.got = append(k.got, m)
	return nil
}

func (k *talk) Bill(_ context.Context, b sms.Bill) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.bills = append(k.bills, b)
	return nil
}

func (k *talk) messages() []sms.Incoming {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]sms.Incoming(nil), k.got...)
}

// send puts a message into the outbox that answers nothing.
func (b *bench) send(gateway, text string) {
	b.t.Helper()
	to, err := sms.FromE164(member)
	if err != nil {
		b.t.Fatal(err)
	}
	err = b.db.Update(b.t.Context(), func(tx *store.Tx) error {
		return tx.Enqueue(b.t.Context(), store.Out{To: to, Text: text, Gateway: gateway, Priority: sms.Notice, Expires: tx.Now().Add(time.Hour)}, nil)
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// states returns what became of all messages, in their order.
func (b *bench) states() (all []string) {
	b.t.Helper()
	err := b.db.View(b.t.Context(), func(tx *store.Tx) error {
		outs, err := tx.Outbox(b.t.Context(), 0, 100)
		all = nil
		for _, o := range outs {
			all = append(all, o.State)
		}
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return all
}

func (b *bench) eventually(what string, holds func() bool) {
	b.t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if holds() {
			return
		}
	}
	b.t.Fatalf("waited in vain: %s", what)
}

// txtNation calls from where httptest does.
var txtNation = premium.TxtNation{From: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}

func values(pairs ...string) url.Values {
	v := url.Values{}
	for n := 0; n+1 < len(pairs); n += 2 {
		v.Set(pairs[n], pairs[n+1])
	}
	return v
}
