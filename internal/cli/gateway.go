package cli

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"maillon/internal/courier"
	"maillon/internal/link"
	"maillon/internal/sim"
	"maillon/internal/sms/kannel"
	"maillon/internal/sms/twilio"
	"maillon/internal/sms/virtual"
)

// Segments that leave by a gateway of each kind, unless it says otherwise.
func usualRate(kind string) courier.Rate {
	return map[string]courier.Rate{
		"kannel": {Segments: 50, Per: time.Second},
		"twilio": {Segments: 1, Per: time.Second},
		"phone":  {Segments: 30, Per: 30 * time.Minute}, // Android's own bound
	}[kind]
}

// gateways are the lines of a configuration, ready to run.
type gateways struct {
	lines    []courier.Line
	handlers map[string]http.Handler // by name, under /gateway/NAME/
	always   map[string]bool         // whose senders may be forged
	linked   []*link.Gateway
	link     *link.Link       // lets them in; nil without any
	virtual  *virtual.Gateway // the phones of the page; nil without any
}

// open makes the gateways of a configuration; without any there are only
// virtual phones.
func (c Config) open() (*gateways, error) {
	configs := slices.Clone(c.Gateways)
	if len(configs) == 0 && c.Database.URL != "" {
		return nil, exitf(ExitUsage, "there is no [gateway.NAME] in the configuration: beside a database server there are no virtual telephones instead")
	}
	if len(configs) == 0 {
		configs = []GatewayConfig{{Name: sim.VillageLine, Kind: "virtual", Number: sim.VillageNumber().National(), Default: true}}
	}
	firstPhone(configs)
	g := &gateways{handlers: map[string]http.Handler{}, always: map[string]bool{}}
	for _, one := range configs {
		if err := g.add(one, c); err != nil {
			return nil, exitf(ExitUsage, "gateway.%s: %w", one.Name, err)
		}
	}
	return g, g.openLink(c)
}

func (g *gateways) add(c GatewayConfig, all Config) error {
	line := courier.Line{
		Name: c.Name, Number: c.Number, Default: c.Default, Backup: c.Backup, Rate: c.Rate, Daily: c.Daily, Window: c.Window,
	}
	if line.Rate == (courier.Rate{}) {
		line.Rate = usualRate(c.Kind)
	}
	switch c.Kind {
	case "kannel":
		k, err := newKannel(c)
		if err != nil {
			return err
		}
		line.Gateway, g.handlers[c.Name] = k, k.Handler()
	case "twilio":
		t, err := newTwilio(c)
		if err != nil {
			return err
		}
		line.Gateway, g.handlers[c.Name] = t, t.Handler()
		if line.Number == "" { // its own messages must be known as such
			line.Number = c.From
		}
	case "link", "phone", "fortumo", "txtnation":
		var err error
		if line, err = g.addLinked(c, all.Settings.Region(), all.Link, line); err != nil {
			return err
		}
	case mailKind:
		m, err := newMail(c, all.Settings.Association)
		if err != nil {
			return err
		}
		line.Gateway = m
	case "virtual":
		v := virtual.New(c.Name)
		line.Gateway = v
		if g.virtual == nil {
			g.virtual = v
		}
	default:
		return fmt.Errorf("no gateway of kind %q", c.Kind)
	}
	g.always[c.Name] = c.Always
	g.lines = append(g.lines, line)
	return nil
}

func newKannel(c GatewayConfig) (*kannel.Gateway, error) {
	password, err := c.Secret(c.PasswordFile)
	if err != nil {
		return nil, err
	}
	in, err := c.Secret(c.InPasswordFile)
	if err != nil {
		return nil, err
	}
	return kannel.New(kannel.Config{
		Name: c.Name, Number: c.Number, SendSMSURL: c.SendSMSURL, Username: c.Username,
		Password: password, InPassword: in, SMSC: c.SMSC, PublicURL: c.PublicURL,
	})
}

func newTwilio(c GatewayConfig) (*twilio.Gateway, error) {
	token, err := c.Secret(c.AuthTokenFile)
	if err != nil {
		return nil, err
	}
	return twilio.New(twilio.Config{
		Name: c.Name, AccountSID: c.AccountSID, AuthToken: token, From: c.From,
		MessagingServiceSID: c.MessagingServiceSID, PublicURL: c.PublicURL, BaseURL: c.BaseURL, Catchup: c.Catchup,
	})
}
