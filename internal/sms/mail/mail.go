// Package mail sends and receives what others do by SMS as e-mail: it takes
// letters by SMTP, and hands answers to a smarthost.
//
// What comes in is believed only if the domain of its one sender has signed it
// (DKIM, RFC 6376; aligned as DMARC says, RFC 7489). Where it was sent from (SPF)
// and what other servers found (Authentication-Results) count for nothing: the
// first breaks when mail is forwarded, the second anybody can write. A signature
// proves an account at a provider, not a person, and gives nobody money: whoever
// pays by e-mail is always asked for the code.
//
// A letter that comes twice, be it repeated by a server or by a thief, has one
// effect: it is known by its Message-ID and its body, for longer than its signed
// date is accepted. Robots are not answered.
package mail

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/smtp"
	"strings"
	"sync"
	"time"

	receiving "github.com/emersion/go-smtp"

	"maillon/internal/sms"
)

// Bounds of what others may ask of us.
const (
	maxMessage     = 512 << 10 // octets of a letter
	maxRecipients  = 10
	maxLine        = 2000 // octets, RFC 5321 has 1000
	maxConnections = 32
	lifetime       = 5 * time.Minute // of a connection
	commandTime    = time.Minute
	commitTimeout  = 10 * time.Second
	lookupTime     = 5 * time.Second
	listenRetry    = time.Second // while another has the port, as the server that we follow
	listenTries    = 10
)

// How to speak with a smarthost.
const (
	StartTLS = "starttls" // in clear, then at once encrypted; refused if it cannot
	TLS      = "tls"      // encrypted from the first octet
	Clear    = "none"     // never encrypted: for a smarthost on this machine
)

// Config is one [gateway.NAME] of kind mail. Logged, it hides its secrets.
type Config struct {
	Name    string
	Address sms.Address // to which members write, and from which they are answered
	Title   string      // beside the address: whose it is
	Listen  string      // where letters come in: "0.0.0.0:25"
	Cert    *tls.Certificate

	Smarthost string // through which answers leave: "smtp.example.org:587"
	Security  string // StartTLS if ""
	Username  string // "": the smarthost knows this machine
	Password  sms.Secret
	Roots     *x509.CertPool // whom to believe of the smarthost; nil: whom this machine believes

	Selector string        // of our signature's key in the DNS
	Key      crypto.Signer // Ed25519 or RSA; nil: the smarthost signs

	// LookupTXT asks the DNS; nil: that of this machine.
	LookupTXT func(ctx context.Context, name string) ([]string, error)
}

// LogValue tells which gateway it is, and no secret.
func (c Config) LogValue() slog.Value {
	return slog.GroupValue(slog.String("name", c.Name), slog.String("kind", "mail"))
}

// A Gateway is one address of ours. It takes letters while it is run or attended.
type Gateway struct {
	config Config
	door   sms.Door
	pulse  sms.Pulse
	book   sms.AddressBook
	crowd  crowd

	mu     sync.Mutex // held to read or change what follows
	serves int        // how many run or attend it
	server *receiving.Server
	at     net.Addr
	served chan struct{} // closed when server has ended
}

// New returns the gateway that c describes, or what is wrong with c.
func New(c Config) (*Gateway, error) {
	if c.Name == "" || c.Address.IsZero() || c.Listen == "" {
		return nil, errors.New("mail needs a name, an address and where to listen")
	}
	if _, _, err := net.SplitHostPort(c.Smarthost); err != nil {
		return nil, errors.New("smarthost: HOST:PORT is expected, such as smtp.example.org:587")
	}
	if c.Security == "" {
		c.Security = StartTLS
	}
	if c.Security != StartTLS && c.Security != TLS && c.Security != Clear {
		return nil, fmt.Errorf("security: %q, %q or %q is expected", StartTLS, TLS, Clear)
	}
	if c.Security == Clear && c.Username != "" {
		return nil, errors.New("security: a password is never sent in clear")
	}
	if (c.Key == nil) != (c.Selector == "") {
		return nil, errors.New("a signature needs both the key and its selector")
	}
	if c.LookupTXT == nil {
		c.LookupTXT = net.DefaultResolver.LookupTXT
	}
	return &Gateway{config: c}, nil
}

// Consult gives the gateway the book in which it finds members. It must be
// called before the gateway is used.
func (g *Gateway) Consult(book sms.AddressBook) { g.book = book }

// Addr returns where letters are taken, or nil while they are not.
func (g *Gateway) Addr() net.Addr {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.at
}

// Run takes letters until ctx ends.
func (g *Gateway) Run(ctx context.Context, in sms.Inbox) error {
	if err := g.listen(ctx); err != nil {
		return err
	}
	g.door.Open(in)
	g.probe(ctx)
	defer g.pulse.Stop()
	defer g.close()
	defer g.door.Shut()
	probe := time.NewTicker(probeEvery)
	defer probe.Stop()
	for {
		select {
		case <-probe.C:
			g.probe(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

// Attend takes letters for in until ctx ends, be the gateway run here or not.
func (g *Gateway) Attend(ctx context.Context, in sms.Inbox) {
	for ctx.Err() == nil {
		if err := g.listen(ctx); err != nil {
			slog.ErrorContext(ctx, "letters cannot come in", "gateway", g.config.Name, "error", err)
			continue // listen has waited
		}
		g.door.Attend(ctx, in)
		g.close()
	}
}

// Health returns whether the smarthost answers.
func (g *Gateway) Health() sms.Health { return g.pulse.Health() }

// listen begins to serve, unless it is so already. A port that is taken is tried
// again for a while.
func (g *Gateway) listen(ctx context.Context) (err error) {
	for range listenTries {
		if err = g.serve(ctx); err == nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(listenRetry):
		case <-ctx.Done():
		}
	}
	return fmt.Errorf("listen: %w", err)
}

func (g *Gateway) serve(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.serves > 0 {
		g.serves++
		return nil
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", g.config.Listen)
	if err != nil {
		return err
	}
	s := g.newServer()
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = s.Serve(newHall(l, maxConnections, lifetime)) // it ends when it is closed
	}()
	g.serves, g.server, g.at, g.served = 1, s, l.Addr(), served
	return nil
}

// close undoes one listen. The last turns away whoever is still there.
func (g *Gateway) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.serves--; g.serves > 0 {
		return
	}
	_ = g.server.Close()
	<-g.served
	g.server, g.at = nil, nil
}

func (g *Gateway) newServer() *receiving.Server {
	s := receiving.NewServer(receiving.BackendFunc(func(*receiving.Conn) (receiving.Session, error) { return &session{gateway: g}, nil }))
	s.Domain = g.config.Address.Domain()
	s.MaxMessageBytes, s.MaxRecipients, s.MaxLineLength = maxMessage, maxRecipients, maxLine
	s.ReadTimeout, s.WriteTimeout = commandTime, commandTime
	s.ErrorLog = silent{}
	if g.config.Cert != nil {
		s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*g.config.Cert}, MinVersion: tls.VersionTLS12}
	}
	return s
}

// silent is the log of the SMTP server, which would tell addresses.
type silent struct{}

func (silent) Printf(string, ...any) {}
func (silent) Println(...any)        {}

// A hall lets in a bounded number of connections at a time, each for a bounded
// time; the others wait before it.
type hall struct {
	net.Listener
	places   chan struct{}
	lifetime time.Duration
	shut     chan struct{}
	close    func() error
}

func newHall(l net.Listener, places int, lifetime time.Duration) *hall {
	h := &hall{Listener: l, places: make(chan struct{}, places), lifetime: lifetime, shut: make(chan struct{})}
	h.close = sync.OnceValue(func() error {
		close(h.shut)
		return l.Close()
	})
	return h
}

func (h *hall) Accept() (net.Conn, error) {
	select {
	case h.places <- struct{}{}:
	case <-h.shut:
		return nil, net.ErrClosed
	}
	c, err := h.Listener.Accept()
	if err != nil {
		<-h.places
		return nil, err
	}
	g := &guest{Conn: c}
	g.leave = sync.OnceValue(func() error {
		<-h.places
		return c.Close()
	})
	g.over = time.AfterFunc(h.lifetime, func() { _ = g.leave() })
	return g, nil
}

func (h *hall) Close() error { return h.close() }

type guest struct {
	net.Conn
	leave func() error
	over  *time.Timer
}

func (g *guest) Close() error {
	g.over.Stop()
	return g.leave()
}

// host returns the name of the smarthost, by which its certificate is checked.
func (g *Gateway) host() string {
	host, _, _ := net.SplitHostPort(g.config.Smarthost)
	return strings.Trim(host, "[]")
}

func (g *Gateway) auth() smtp.Auth {
	if g.config.Username == "" {
		return nil
	}
	return smtp.PlainAuth("", g.config.Username, g.config.Password.Reveal(), g.host())
}
