// Package mailtest is the world of e-mail in front of the gateway: domains with
// their keys in a DNS of its own, accounts that sign what they write, and a
// smarthost that keeps what is handed to it.
package mailtest

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"mime"
	"net"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-message"
	"github.com/emersion/go-msgauth/dkim"
	"github.com/emersion/go-smtp"

	"maillon/internal/sms/smstest"
)

// Ours is the address that the gateway of a test has.
const Ours = "maillon@maillon.example"

// Selector is that of every key in the zone.
const Selector = "s1"

// A Zone is a DNS that has only what a test put there.
type Zone struct {
	mu      sync.Mutex // held to read or change what follows
	records map[string]string
	keys    map[string]crypto.Signer
	broken  map[string]bool
}

// LookupTXT answers as net.Resolver does.
func (z *Zone) LookupTXT(_ context.Context, name string) ([]string, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.broken[name] {
		return nil, &net.DNSError{Err: "server misbehaving", Name: name, IsTemporary: true}
	}
	if text, ok := z.records[name]; ok {
		return []string{text}, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

// Put puts a record there.
func (z *Zone) Put(name, text string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.records == nil {
		z.records, z.keys, z.broken = map[string]string{}, map[string]crypto.Signer{}, map[string]bool{}
	}
	z.records[name] = text
}

// Break makes a name one that cannot be asked for now.
func (z *Zone) Break(name string, broken bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.broken[name] = broken
}

// KeyName is where the key of a domain stands.
func KeyName(domain string) string { return Selector + "._domainkey." + domain }

// Domain gives a domain a key, Ed25519 unless it has one, and returns it.
func (z *Zone) Domain(t testing.TB, domain string) crypto.Signer {
	t.Helper()
	z.mu.Lock()
	key := z.keys[domain]
	z.mu.Unlock()
	if key != nil {
		return key
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	z.SetKey(t, domain, private)
	return private
}

// SetKey gives a domain a key.
func (z *Zone) SetKey(t testing.TB, domain string, key crypto.Signer) {
	t.Helper()
	z.Put(KeyName(domain), Record(t, key))
	z.mu.Lock()
	defer z.mu.Unlock()
	z.keys[domain] = key
}

// Record returns how the DNS writes the public half of a key.
func Record(t testing.TB, key crypto.Signer) string {
	t.Helper()
	switch public := key.Public().(type) {
	case ed25519.PublicKey:
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public)
	case *rsa.PublicKey:
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			t.Fatal(err)
		}
		return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)
	}
	t.Fatalf("no DKIM key: %T", key)
	return ""
}

// A Letter is an e-mail that is going to be written.
type Letter struct {
	From    string // of the header: "Lena <lena@example.org>"
	ID      string // its Message-ID, without brackets and domain; drawn if it is ""
	Subject string
	Text    string
	Date    time.Time // now if it is zero
	Extra   []string  // more fields: "Auto-Submitted: auto-replied"
	Raw     string    // body with its own Content-Type among Extra, instead of Text
}

// Bytes writes the letter, unsigned.
func (l Letter) Bytes() []byte {
	if l.Date.IsZero() {
		l.Date = time.Now()
	}
	if l.ID == "" {
		l.ID = rand.Text()
	}
	var b strings.Builder
	for _, line := range []string{
		"From: " + l.From, "To: <" + Ours + ">", "Subject: " + mime.QEncoding.Encode("utf-8", l.Subject), "Date: " + l.Date.Format(time.RFC1123Z),
		"Message-ID: <" + l.ID + "@mua.example>", "MIME-Version: 1.0",
	} {
		b.WriteString(line + "\r\n")
	}
	for _, line := range l.Extra {
		b.WriteString(line + "\r\n")
	}
	if l.Raw != "" {
		b.WriteString("\r\n" + l.Raw)
		return []byte(b.String())
	}
	b.WriteString("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	text := base64.StdEncoding.EncodeToString([]byte(l.Text))
	const width = 76
	for len(text) > width {
		b.WriteString(text[:width] + "\r\n")
		text = text[width:]
	}
	b.WriteString(text + "\r\n")
	return []byte(b.String())
}

// Fields are what providers sign.
var Fields = []string{"From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "MIME-Version"}

// Sign signs raw for a domain: the fields, or the usual ones.
func (z *Zone) Sign(t testing.TB, domain string, raw []byte, fields ...string) []byte {
	t.Helper()
	if len(fields) == 0 {
		fields = Fields
	}
	var signed bytes.Buffer
	err := dkim.Sign(&signed, bytes.NewReader(raw), &dkim.SignOptions{
		Domain: domain, Selector: Selector, Signer: z.Domain(t, domain), HeaderKeys: fields,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
	})
	if err != nil {
		t.Fatal(err)
	}
	return signed.Bytes()
}

// Write writes a letter and signs it for the domain of its sender.
func (z *Zone) Write(t testing.TB, l Letter) []byte {
	t.Helper()
	from, err := netmail.ParseAddress(l.From)
	if err != nil {
		t.Fatal(err)
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	return z.Sign(t, domain, l.Bytes())
}

// Deliver brings a letter to a server as another server does, and returns what
// that answers.
func Deliver(at net.Addr, returnPath, to string, raw []byte) error {
	if at == nil {
		return net.ErrClosed
	}
	c, err := smtp.Dial(at.String())
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	if err := c.SendMail(returnPath, []string{to}, bytes.NewReader(raw)); err != nil {
		return err
	}
	return c.Quit()
}

// A Received letter is one that the smarthost was given.
type Received struct {
	ReturnPath, To string
	Header         netmail.Header
	Text           string
	Raw            []byte
}

// A Smarthost keeps what is handed to it.
type Smarthost struct {
	Addr  string
	Roots *x509.CertPool // whom to believe
	User  string
	Pass  string

	mu      sync.Mutex // held to read or change what follows
	letters []Received
	faults  []smstest.Fault
}

// NewSmarthost starts a smarthost on the loopback, which encrypts and asks for a
// password, until the test ends.
func NewSmarthost(t testing.TB) *Smarthost {
	t.Helper()
	h := &Smarthost{User: "maillon", Pass: "out-s3cret"}
	cert, roots := certificate(t)
	h.Roots = roots
	s := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &handing{host: h, conn: c}, nil }))
	s.Domain = "smarthost.example"
	s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.Addr = l.Addr().String()
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return h
}

// Letters returns what was handed over, in its order.
func (h *Smarthost) Letters() []Received {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]Received(nil), h.letters...)
}

// Meet tells what becomes of the next letter.
func (h *Smarthost) Meet(f smstest.Fault) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faults = append(h.faults, f)
}

func (h *Smarthost) fault() (f smstest.Fault, any bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.faults) == 0 {
		return 0, false
	}
	return h.faults[0], true
}

func (h *Smarthost) met() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.faults = h.faults[1:]
}

func certificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

// Parse reads a letter that left.
func Parse(raw []byte) (Received, error) {
	m, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return Received{}, fmt.Errorf("a letter that cannot be read: %w", err)
	}
	e, err := message.Read(bytes.NewReader(raw))
	if err != nil {
		return Received{}, fmt.Errorf("a letter that cannot be read: %w", err)
	}
	text, err := io.ReadAll(e.Body)
	return Received{Header: m.Header, Text: strings.TrimSuffix(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n"), Raw: raw}, err
}
