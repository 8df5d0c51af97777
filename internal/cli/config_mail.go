package cli

import (
	"cmp"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"

	"maillon/internal/sms"
	"maillon/internal/sms/mail"
)

// A MailConfig is what a gateway of kind mail has besides.
type MailConfig struct {
	Address             sms.Address
	Title, Listen       string
	Smarthost, Security string
	Selector            string // of the key that signs

	CertificateFile, KeyFile, DKIMKeyFile string
}

func (s *section) mail(g *GatewayConfig) {
	m := &g.Mail
	address := s.text("address")
	m.Title, m.Listen, m.Smarthost, m.Security = s.text("title"), s.text("listen"), s.text("smarthost"), s.text("security")
	m.Selector, m.DKIMKeyFile, m.CertificateFile, m.KeyFile = s.text("dkim_selector"), s.file("dkim_key_file"), s.file("certificate_file"), s.file("key_file")
	g.Username, g.PasswordFile = s.text("username"), s.file("password_file")
	s.need(map[string]string{"address": address, "listen": m.Listen, "smarthost": m.Smarthost})
	if address != "" {
		var err error
		if m.Address, err = sms.ParseAddress(address); err != nil {
			s.fault(s.path+".address", "an e-mail address such as maillon@example.org is expected")
		}
	}
	for _, place := range [][2]string{{"listen", m.Listen}, {"smarthost", m.Smarthost}} {
		if _, _, err := net.SplitHostPort(place[1]); place[1] != "" && err != nil {
			s.fault(s.path+"."+place[0], "HOST:PORT is expected, such as smtp.example.org:587")
		}
	}
	if !slices.Contains([]string{"", mail.StartTLS, mail.TLS, mail.Clear}, m.Security) {
		s.fault(s.path+".security", "%q, %q or %q is expected", mail.StartTLS, mail.TLS, mail.Clear)
	}
	for _, both := range [][4]string{
		{"username", g.Username, "password_file", g.PasswordFile},
		{"dkim_selector", m.Selector, "dkim_key_file", m.DKIMKeyFile},
		{"certificate_file", m.CertificateFile, "key_file", m.KeyFile},
	} {
		if (both[1] == "") != (both[3] == "") {
			s.fault(s.path, "%s and %s belong together", both[0], both[2])
		}
	}
	if m.Security == mail.Clear && g.Username != "" {
		s.fault(s.path+".security", "a password is never sent in clear: without it, or with %q", mail.StartTLS)
	}
	if !g.Always {
		s.fault(s.path+".confirm", "whoever pays by e-mail is always asked for the code")
	}
	if g.Default {
		s.fault(s.path+".default", "who has never written is a telephone: another gateway must be the default")
	}
}

// checkMail looks at what e-mail gateways and others are to each other.
func (r *configReader) checkMail() {
	isMail := func(g GatewayConfig) bool { return g.Kind == mailKind }
	mails := slices.DeleteFunc(slices.Clone(r.config.Gateways), func(g GatewayConfig) bool { return !isMail(g) })
	if len(mails) > 0 && len(mails) == len(r.config.Gateways) {
		r.fault("gateway."+mails[0].Name, "e-mail is beside telephones: there must be a gateway of another kind too")
	}
	for _, g := range r.config.Gateways {
		if slices.ContainsFunc(mails, func(m GatewayConfig) bool { return m.Name == g.Backup }) {
			r.fault("gateway."+g.Name+".backup", "an e-mail gateway takes nothing over: not everybody has an address")
		}
	}
}

const mailKind = "mail"

// firstPhone makes the first gateway of telephones the default if none is: who
// has never written has no address.
func firstPhone(all []GatewayConfig) {
	if slices.ContainsFunc(all, func(g GatewayConfig) bool { return g.Default }) {
		return
	}
	if n := slices.IndexFunc(all, func(g GatewayConfig) bool { return g.Kind != mailKind }); n >= 0 {
		all[n].Default = true
	}
}

func newMail(c GatewayConfig, association string) (*mail.Gateway, error) {
	m := c.Mail
	config := mail.Config{
		Name: c.Name, Address: m.Address, Title: cmp.Or(m.Title, association), Listen: m.Listen,
		Smarthost: m.Smarthost, Security: m.Security, Username: c.Username, Selector: m.Selector,
	}
	var err error
	if c.PasswordFile != "" {
		if config.Password, err = c.Secret(c.PasswordFile); err != nil {
			return nil, err
		}
	}
	if m.DKIMKeyFile != "" {
		if config.Key, err = signingKey(m.DKIMKeyFile); err != nil {
			return nil, fmt.Errorf("%s: %w", m.DKIMKeyFile, err)
		}
	}
	if m.CertificateFile != "" {
		pair, err := tls.LoadX509KeyPair(m.CertificateFile, m.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.CertificateFile, err)
		}
		config.Cert = &pair
	}
	return mail.New(config)
}

// signingKey reads a private key, as openssl genpkey writes it.
func signingKey(path string) (crypto.Signer, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, errors.New("cannot be read")
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("no PEM file")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("no private key in PKCS #8, as openssl genpkey writes it")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("no key that signs")
	}
	return signer, nil
}
