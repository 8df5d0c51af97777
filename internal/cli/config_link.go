package cli

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"maillon/internal/sms"
	"maillon/internal/sms/premium"
)

// maxNames bounds lists of names and addresses in a configuration.
const maxNames = 50

// A LinkConfig is [link]: where gateways come in.
type LinkConfig struct {
	Listen string   // for those with a certificate; "" nowhere
	Signed string   // for those that sign; "" nowhere
	CA     string   // folder of the authority
	Names  []string // of the server, besides the host of the authority
	URL    string   // under which gateways call it, for delivery reports
}

// A LinkedConfig is what a gateway of kind link, phone, fortumo or txtnation has
// besides.
type LinkedConfig struct {
	Network    bool        // its operator proves the senders
	Charge     *sms.Charge // what an SMS costs
	Body, Pull bool        // how messages leave

	KeyFile, SecretFile       string // it signs
	CertificateFile, RootFile string // of us, and for the other side, at sendsms
	APIURL, Company, Title    string // of its provider
	From                      []netip.Prefix
}

// linked are the kinds of gateways of package link.
var linked = []string{"link", "phone", "fortumo", "txtnation"}

// links reads [link].
func (r *configReader) links(tree map[string]any) {
	table, ok := r.table(tree, "link", "link")
	if !ok {
		return
	}
	s := &section{r, "link", "link", table}
	r.config.Link = LinkConfig{
		Listen: s.address("listen"), Signed: s.address("signed"), CA: s.file("ca"), Names: s.list("names"), URL: s.url("url"),
	}
	if r.config.Link.Listen == "" && r.config.Link.Signed == "" {
		s.fault("link", "listen or signed is missing: HOST:PORT")
	}
	for key := range s.left {
		r.fault("link."+key, "unknown key; there are listen, signed, ca, names and url")
	}
}

func (s *section) address(key string) string {
	text := s.text(key)
	if _, _, err := net.SplitHostPort(text); text != "" && err != nil {
		s.fault(s.path+"."+key, "HOST:PORT is expected, such as 0.0.0.0:8443")
	}
	return text
}

func (s *section) list(key string) []string {
	value, ok := s.left[key]
	if !ok {
		return nil
	}
	delete(s.left, key)
	text, ok := settingText(value)
	all := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
	if !ok || len(all) > maxNames {
		s.fault(s.path+"."+key, "a list of at most %d texts is expected", maxNames)
	}
	return all
}

// linked reads what a gateway of the link has.
func (s *section) linked(g *GatewayConfig) {
	l := &g.Linked
	l.Charge = s.charge(l.Network)
	switch g.Kind {
	case "link":
		s.link(g)
	case "phone":
		l.KeyFile, l.APIURL, g.Username, g.PasswordFile = s.file("key_file"), s.url("api_url"), s.text("username"), s.file("password_file")
		s.need(map[string]string{"key_file": l.KeyFile, "api_url": l.APIURL, "username": g.Username, "password_file": g.PasswordFile})
	case "fortumo":
		l.SecretFile, l.Body = s.file("secret_file"), true
		s.need(map[string]string{"secret_file": l.SecretFile})
	case "txtnation":
		l.Company, l.KeyFile, l.Title, l.APIURL = s.text("company"), s.file("key_file"), s.text("title"), s.url("api_url")
		from := s.list("from")
		s.need(map[string]string{"company": l.Company, "key_file": l.KeyFile, "from": strings.Join(from, ",")})
		for _, text := range from {
			p, err := prefix(text)
			if err != nil {
				s.fault(s.path+".from", "addresses such as 192.0.2.7 or 192.0.2.0/24 are expected")
				break
			}
			l.From = append(l.From, p)
		}
	}
}

func prefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return a.Prefix(a.BitLen())
	}
	return netip.ParsePrefix(text)
}

func (s *section) link(g *GatewayConfig) {
	l := &g.Linked
	l.KeyFile = s.file("key_file")
	g.SendSMSURL, g.Username, g.PasswordFile, g.SMSC = s.url("sendsms_url"), s.text("username"), s.file("password_file"), s.text("smsc")
	l.CertificateFile, l.RootFile = s.file("certificate_file"), s.file("root_file")
	if g.SendSMSURL != "" {
		s.need(map[string]string{"username": g.Username, "password_file": g.PasswordFile})
	}
	if (l.CertificateFile != "" || l.RootFile != "") && !strings.HasPrefix(g.SendSMSURL, "https:") {
		s.fault(s.path, "certificate_file and root_file are for a sendsms_url with https")
	}
	switch replies := s.text("replies"); replies {
	case "body":
		l.Body = true
	case "pull":
		l.Pull = true
	case "":
		l.Pull = g.SendSMSURL == ""
	default:
		s.fault(s.path+".replies", `"body" or "pull" is expected`)
	}
	if l.Pull && g.SendSMSURL != "" {
		s.fault(s.path+".replies", "what is sent to sendsms_url does not also wait to be asked for: remove one of both")
	}
	where, name := s.config.Link.Listen, "listen"
	if l.KeyFile != "" {
		where, name = s.config.Link.Signed, "signed"
	}
	if where == "" {
		s.fault(s.path, "%s is missing in [link]: this gateway could not come in", name)
	}
}

// assurance reads whether the operator behind a gateway proves the senders.
func (s *section) assurance(kind string) bool {
	value := s.text("assurance")
	switch {
	case value == "":
		return kind == "fortumo" || kind == "txtnation"
	case value == "network" && kind == "phone":
		s.fault(s.path+".assurance", "whoever writes to a telephone can pretend to be anybody: only none is true")
	case value != "network" && value != "none":
		s.fault(s.path+".assurance", `"network" or "none" is expected`)
	}
	return value == "network"
}

// charge reads what an SMS to the line costs its sender.
func (s *section) charge(network bool) *sms.Charge {
	value, ok := s.left["charge"]
	if !ok {
		return nil
	}
	delete(s.left, "charge")
	table, ok := value.(map[string]any)
	if !ok {
		s.fault(s.path+".charge", `{ currency = "MAD", gross = 1000, net = 417 } is expected, in the smallest units`)
		return nil
	}
	inner := &section{s.configReader, s.name, s.path + ".charge", table}
	c := &sms.Charge{Currency: inner.text("currency"), Model: inner.text("model"), State: sms.ChargeConfirmed}
	c.Gross, c.Net = int64(inner.count("gross")), int64(inner.count("net"))
	if c.Model == "" {
		c.Model = "MO"
	}
	switch {
	case len(inner.left) > 0 || premium.CheckCharge(*c) != nil || !slices.Contains([]string{"MO", "DCB"}, c.Model):
		s.fault(s.path+".charge", `{ currency = "MAD", gross = 1000, net = 417 } is expected, in the smallest units`)
	case !network:
		s.fault(s.path+".charge", `only an operator that proves the senders bills them: assurance = "network"`)
	}
	return c
}
