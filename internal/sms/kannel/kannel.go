// Package kannel sends and receives SMS through an existing Kannel 1.4.5: its
// smsbox posts to us what comes in, and we post to its sendsms what goes out,
// so that no number, text or password of ours stands in a URL.
//
// Kannel acknowledges to the operator when smsbox has taken an SMS, and smsbox
// repeats it to us until we have committed it. If smsbox dies meanwhile, the
// SMS is lost: the one gap that this gateway cannot close.
package kannel

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"maillon/internal/sms"
)

// Times. A probe is cheap for Kannel and tells that it lives.
const (
	sendTimeout = 15 * time.Second
	probeEvery  = 30 * time.Second
)

// maxAnswer bounds what is read of an answer of sendsms, in octets.
const maxAnswer = 4 << 10

// inUser is the user in the URLs by which Kannel calls us.
const inUser = "kannel"

// Config is one [gateway.NAME] of kind kannel. Logged, it hides its passwords.
type Config struct {
	Name       string
	Number     string     // the line: the sender of what goes out
	SendSMSURL string     // of smsbox: "http://127.0.0.1:13013/cgi-bin/sendsms"
	Username   string     // of the sendsms-user
	Password   sms.Secret // of the sendsms-user
	InPassword sms.Secret // by which Kannel proves itself: letters, digits, ".", "_", "~" and "-"
	SMSC       string     // by which Kannel shall send; "" for its choice
	PublicURL  string     // under which Kannel reaches us: "http://127.0.0.1:8080"; "" for no delivery reports

	// For a Kannel that comes in by another door than Handler, with a certificate.
	TLS       *tls.Config // how sendsms is called; nil: as the system does
	ReportURL string      // which is called with id and st instead of one below PublicURL
}

// LogValue tells which gateway it is, and no secret.
func (c Config) LogValue() slog.Value {
	return slog.GroupValue(slog.String("name", c.Name), slog.String("kind", "kannel"), slog.String("smsc", c.SMSC))
}

// A Gateway is one Kannel. Its Handler must be served while it runs.
type Gateway struct {
	config    Config
	sendURL   string
	probeURL  string
	reportURL string // with the password, up to the query; "" for no reports
	proof     proof
	client    *http.Client
	door      sms.Door
	pulse     sms.Pulse
}

// urlSafe are the passwords that mean the same inside a URL of Kannel's
// configuration and outside.
var urlSafe = regexp.MustCompile(`^[A-Za-z0-9._~-]+$`)

// New returns the gateway that c describes, or what is wrong with c.
func New(c Config) (*Gateway, error) {
	send, err := baseURL(c.SendSMSURL)
	if err != nil {
		return nil, fmt.Errorf("sendsms_url: %w", err)
	}
	if c.Name == "" || c.Username == "" || c.Password.IsZero() {
		return nil, errors.New("kannel needs a name, a username and a password")
	}
	if c.ReportURL != "" || c.TLS != nil {
		c.InPassword = sms.NewSecret(rand.Text()) // nobody comes in by Handler
	}
	if !urlSafe.MatchString(c.InPassword.Reveal()) {
		return nil, errors.New(`in_password: at least one letter, digit, ".", "_", "~" or "-", and nothing else`)
	}
	g := &Gateway{
		config:   c,
		sendURL:  send.String(),
		probeURL: send.ResolveReference(&url.URL{Path: "/"}).String(),
		proof:    newProof(inUser, c.InPassword),
		client:   newClient(c.TLS),
	}
	if c.ReportURL != "" {
		report, err := baseURL(c.ReportURL)
		if err != nil {
			return nil, fmt.Errorf("report_url: %w", err)
		}
		g.reportURL = report.String()
		return g, nil
	}
	if c.PublicURL == "" {
		return g, nil
	}
	public, err := baseURL(c.PublicURL)
	if err != nil {
		return nil, fmt.Errorf("public_url: %w", err)
	}
	public.User = url.UserPassword(inUser, c.InPassword.Reveal())
	g.reportURL = public.JoinPath("gateway", c.Name, "report").String()
	return g, nil
}

// baseURL reads an HTTP URL; its error does not repeat it, for it may hold a
// password.
func baseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("not an HTTP URL")
	}
	return u, nil
}

func newClient(config *tls.Config) *http.Client {
	transport := http.DefaultTransport
	if config != nil {
		transport = &http.Transport{TLSClientConfig: config, Proxy: http.ProxyFromEnvironment, TLSHandshakeTimeout: sendTimeout, IdleConnTimeout: probeEvery}
	}
	return &http.Client{
		Transport:     transport,
		Timeout:       sendTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Run lets the handler take messages until ctx ends, and asks Kannel now and
// then whether it lives.
func (g *Gateway) Run(ctx context.Context, in sms.Inbox) error {
	g.door.Open(in)
	defer g.pulse.Stop()
	defer g.door.Shut()
	probe := time.NewTicker(probeEvery)
	defer probe.Stop()
	for {
		g.probe(ctx)
		select {
		case <-probe.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// probe takes any answer for a sign of life: asked without credentials for
// nothing, Kannel has none but 404.
func (g *Gateway) probe(ctx context.Context) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.probeURL, nil)
	if err != nil {
		g.pulse.Miss("sendsms_url")
		return
	}
	resp, err := g.client.Do(req)
	if err != nil {
		g.pulse.Miss("sendsms does not answer")
		return
	}
	discard(resp)
	g.pulse.Beat()
}

// Attend lets Kannel's calls through to in until ctx ends, be the gateway run or not.
func (g *Gateway) Attend(ctx context.Context, in sms.Inbox) { g.door.Attend(ctx, in) }

// Health returns whether Kannel answers.
func (g *Gateway) Health() sms.Health { return g.pulse.Health() }

// Send hands m to sendsms. Kannel gives no name to it: reports bring ours.
func (g *Gateway) Send(ctx context.Context, m sms.Outgoing) (providerID string, err error) {
	if err := g.send(ctx, m); err != nil {
		return "", fmt.Errorf("send by kannel: %w", err)
	}
	return "", nil
}

func (g *Gateway) send(ctx context.Context, m sms.Outgoing) error {
	reached := false
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { reached = true }})
	req, err := g.request(ctx, m)
	if err != nil {
		return fmt.Errorf("%w: %w", sms.ErrRefused, err)
	}
	resp, err := g.client.Do(req)
	if err != nil && !reached {
		g.pulse.Miss("sendsms cannot be reached")
		return sms.ErrBusy
	}
	if err != nil {
		g.pulse.Miss("sendsms does not answer")
		return errors.New("sent, and no answer came")
	}
	discard(resp)
	return g.classify(resp.StatusCode)
}

func (g *Gateway) classify(status int) error {
	switch {
	case status >= 200 && status < 300:
		g.pulse.Beat()
		return nil
	case status == http.StatusServiceUnavailable:
		g.pulse.Miss("status 503")
		return fmt.Errorf("status 503: %w", sms.ErrBusy)
	case status >= 400 && status < 500:
		g.pulse.Beat()
		return fmt.Errorf("status %d: %w", status, sms.ErrRefused)
	}
	g.pulse.Miss("status " + strconv.Itoa(status))
	return fmt.Errorf("status %d", status)
}

func (g *Gateway) request(ctx context.Context, m sms.Outgoing) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.sendURL, strings.NewReader(m.Text))
	if err != nil {
		return nil, errors.New("make the request")
	}
	for name, value := range map[string]string{
		"Content-Type":      "text/plain; charset=UTF-8",
		"X-Kannel-Username": g.config.Username,
		"X-Kannel-Password": g.config.Password.Reveal(),
		"X-Kannel-From":     g.config.Number,
		"X-Kannel-To":       m.To.E164(),
		"X-Kannel-Coding":   coding(m.Text),
		"X-Kannel-Validity": validity(m.Validity),
		"X-Kannel-SMSC":     g.config.SMSC,
	} {
		if value != "" {
			req.Header.Set(name, value)
		}
	}
	if g.reportURL != "" {
		req.Header.Set("X-Kannel-DLR-Mask", reportMask)
		req.Header.Set("X-Kannel-DLR-Url", g.reportURL+"?id="+url.QueryEscape(m.ID)+"&st=%d")
	}
	return req, nil
}

func coding(text string) string {
	if sms.AlphabetOf(text) == sms.UCS2 {
		return "2"
	}
	return "0"
}

// validity gives Kannel's minutes, cut rather than rounded up, for a stale code
// shall not arrive; but not 0, which is none.
func validity(d time.Duration) string {
	return strconv.Itoa(max(1, int(d/time.Minute)))
}

// discard reads what is left of an answer, so that its connection serves again.
func discard(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
	_ = resp.Body.Close()
}
