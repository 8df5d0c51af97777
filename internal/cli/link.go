package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"

	"maillon/internal/courier"
	"maillon/internal/link"
	"maillon/internal/pki"
	"maillon/internal/sms/kannel"
	"maillon/internal/sms/premium"
)

// maxGuests bounds the connections of gateways at once.
const maxGuests = 256

// newLinked makes a gateway of the link.
func newLinked(c GatewayConfig, region string, l LinkConfig) (*link.Gateway, error) {
	config := link.Config{
		Name: c.Name, Region: region, Network: c.Linked.Network, Charge: c.Linked.Charge, Body: c.Linked.Body, Pull: c.Linked.Pull,
	}
	var err error
	if c.Linked.KeyFile != "" {
		if config.Key, err = c.Secret(c.Linked.KeyFile); err != nil {
			return nil, err
		}
	}
	switch c.Kind {
	case "phone":
		password, err := c.Secret(c.PasswordFile)
		if err != nil {
			return nil, err
		}
		config.Adapter = premium.Phone{Key: config.Key}
		config.Push = premium.PhoneAPI{URL: c.Linked.APIURL, Username: c.Username, Password: password}.NewSender()
	case "fortumo":
		secret, err := c.Secret(c.Linked.SecretFile)
		if err != nil {
			return nil, err
		}
		config.Adapter = premium.Fortumo{Secret: secret}
	case "txtnation":
		config.Adapter = premium.TxtNation{From: c.Linked.From, Charge: c.Linked.Charge}
		config.Push = premium.TxtNationAPI{URL: c.Linked.APIURL, Company: c.Linked.Company, Key: config.Key, Title: c.Linked.Title}.NewSender()
		config.Charge = nil // its adapter knows how it is billed
	case "link":
		if c.SendSMSURL != "" {
			if config.Push, err = newSecureKannel(c, l); err != nil {
				return nil, err
			}
		}
	}
	return link.NewGateway(config), nil
}

// newSecureKannel makes what sends by a Kannel that comes in by the link.
func newSecureKannel(c GatewayConfig, l LinkConfig) (*kannel.Gateway, error) {
	password, err := c.Secret(c.PasswordFile)
	if err != nil {
		return nil, err
	}
	k := kannel.Config{
		Name: c.Name, Number: c.Number, SendSMSURL: c.SendSMSURL, Username: c.Username, Password: password, SMSC: c.SMSC,
		TLS: &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if l.URL != "" {
		k.ReportURL = l.URL + "/gw/v1/kannel/report"
	}
	if c.Linked.RootFile != "" {
		text, err := pki.ReadFile(c.Linked.RootFile)
		if err != nil {
			return nil, err
		}
		roots, err := pki.ParseCertificates(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Linked.RootFile, err)
		}
		k.TLS.RootCAs = x509.NewCertPool()
		for _, r := range roots {
			k.TLS.RootCAs.AddCert(r)
		}
	}
	if path := c.Linked.CertificateFile; path != "" {
		if _, err := os.Stat(path); err != nil {
			return nil, err
		}
		// Read for each handshake: it is renewed while the server is at work.
		k.TLS.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			c, err := tls.LoadX509KeyPair(path, path)
			return &c, err
		}
	}
	return kannel.New(k)
}

// openLink makes the door of all gateways of the link.
func (g *gateways) openLink(c Config) error {
	open := c.Link.Listen != "" || c.Link.Signed != ""
	if len(g.linked) == 0 && !open {
		return nil
	}
	folder := c.Link.CA
	if !open {
		folder = "" // all of them come in by the ordinary listener
	}
	var err error
	if g.link, err = link.New(folder, c.Link.Names, g.linked); err != nil {
		return exitf(ExitUsage, "[link]: %w: maillon ca init makes an authority, and ca in [link] names its folder", err)
	}
	return nil
}

// addLinked adds a gateway of the link to the lines.
func (g *gateways) addLinked(c GatewayConfig, region string, l LinkConfig, line courier.Line) (courier.Line, error) {
	one, err := newLinked(c, region, l)
	if err != nil {
		return line, err
	}
	g.linked = append(g.linked, one)
	if c.Kind != "link" {
		g.handlers[c.Name] = one.Handler()
	}
	line.Gateway = one
	return line, nil
}

// greetGateways tells where gateways come in.
func (*running) greetGateways(io *Streams, c LinkConfig) {
	if c.Listen != "" {
		fmt.Fprintf(io.Out, "Gateways with a certificate come in at %s.\n", c.Listen)
	}
	if c.Signed != "" {
		fmt.Fprintf(io.Out, "Gateways that sign come in at %s.\n", c.Signed)
	}
}

// checkLink looks at the files of certificates that the configuration names.
func (c Config) checkLink() (errs []error) {
	if c.Link.CA != "" {
		if _, err := (pki.Folder{Path: c.Link.CA}).Issuer(); err != nil {
			errs = append(errs, fmt.Errorf("link.ca: %w: maillon ca init makes an authority", err))
		}
	}
	for _, g := range c.Gateways {
		if path := g.Linked.CertificateFile; path != "" {
			if _, err := tls.LoadX509KeyPair(path, path); err != nil {
				errs = append(errs, fmt.Errorf("gateway.%s: certificate_file: %w", g.Name, err))
			}
		}
		if path := g.Linked.RootFile; path != "" {
			if text, err := pki.ReadFile(path); err != nil {
				errs = append(errs, fmt.Errorf("gateway.%s: root_file: %w", g.Name, err))
			} else if _, err := pki.ParseCertificates(text); err != nil {
				errs = append(errs, fmt.Errorf("gateway.%s: root_file: %s: %w", g.Name, path, err))
			}
		}
	}
	return errs
}

// A linkListener is where gateways come in, kept while the server is opened
// again.
type linkListener struct{ certified, signed net.Listener }

func listenLink(ctx context.Context, c LinkConfig) (l linkListener, err error) {
	for _, one := range []struct {
		where string
		to    *net.Listener
	}{{c.Listen, &l.certified}, {c.Signed, &l.signed}} {
		if one.where == "" {
			continue
		}
		if *one.to, err = new(net.ListenConfig).Listen(ctx, "tcp", one.where); err != nil {
			*one.to = nil
			l.Close()
			return l, exitf(ExitTrouble, "[link]: listen on %s: %w", one.where, err)
		}
	}
	return l, nil
}

// Close closes both.
func (l linkListener) Close() {
	for _, one := range []net.Listener{l.certified, l.signed} {
		if one != nil {
			_ = one.Close()
		}
	}
}

// serveLink lets gateways in until stop is called.
func serveLink(all linkListener, l *link.Link) (stop func() error, err error) {
	var servers []*http.Server
	var serving sync.WaitGroup
	calls, endCalls := context.WithCancel(context.Background())
	stop = func() (err error) {
		endCalls() // those that wait for something to send need not any more
		for _, s := range servers {
			closing, cancel := context.WithTimeout(context.Background(), closeTime)
			if s.Shutdown(closing) != nil {
				err = errors.Join(err, s.Close())
			}
			cancel()
		}
		serving.Wait()
		return err
	}
	if l == nil {
		return stop, nil
	}
	for _, one := range []struct {
		net.Listener
		config  func() *tls.Config
		handler http.Handler
	}{{all.certified, l.TLS, l.Handler()}, {all.signed, l.SignedTLS, l.Signed()}} {
		if one.Listener == nil {
			continue
		}
		listener, err := another(one.Listener)
		if err != nil {
			return stop, err
		}
		s := &http.Server{
			Handler: one.handler, ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: link.MaxWait + writeTime, IdleTimeout: idleTime,
			MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(slog.Default().Handler(), slog.LevelDebug),
			BaseContext: func(net.Listener) context.Context { return calls },
		}
		servers = append(servers, s)
		serving.Go(func() {
			if err := s.Serve(tls.NewListener(bound(listener, maxGuests), one.config())); !errors.Is(err, http.ErrServerClosed) {
				slog.Error("the link stopped", "error", err)
			}
		})
	}
	return stop, nil
}
