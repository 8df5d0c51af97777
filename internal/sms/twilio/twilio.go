// Package twilio sends and receives SMS through Twilio: webhooks with a
// signature bring what comes in, its REST interface takes what goes out.
//
// Twilio repeats a webhook for 15 seconds at most. What it could not bring by
// then is found in its list of messages, at start and every now and then.
package twilio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"time"

	"maillon/internal/sms"
)

// Times. Catch-up is tried again sooner when it failed.
const (
	requestTimeout = 20 * time.Second
	defaultCatchup = 10 * time.Minute
	catchupRetry   = 30 * time.Second
)

// maxAnswer bounds what is read of an answer, in octets: a page of messages.
const maxAnswer = 8 << 20

// The validity that Twilio takes, in seconds.
const minValidity, maxValidity = 1, 36000

// optedOut is Twilio's error code for a recipient who wrote STOP.
const optedOut = 21610

const defaultBaseURL = "https://api.twilio.com"

// Config is one [gateway.NAME] of kind twilio. Logged, it hides its token.
type Config struct {
	Name                string
	AccountSID          string
	AuthToken           sms.Secret
	From                string        // the line, in E.164; "" with a messaging service
	MessagingServiceSID string        // instead of From
	PublicURL           string        // under which Twilio reaches us: "https://maillon.example.org"
	BaseURL             string        // of Twilio, for tests
	Catchup             time.Duration // between two looks at the list; 0 is 10 minutes
}

// LogValue tells which gateway it is, and no secret.
func (c Config) LogValue() slog.Value {
	return slog.GroupValue(slog.String("name", c.Name), slog.String("kind", "twilio"), slog.String("account_sid", c.AccountSID))
}

// A Gateway is one account at Twilio. Its Handler must be served while it runs.
type Gateway struct {
	config   Config
	public   *url.URL // of the webhooks, up to their last element
	messages *url.URL // the list of messages, to read and to add to
	client   *http.Client
	door     sms.Door
	pulse    sms.Pulse
	known    known
}

// New returns the gateway that c describes, or what is wrong with c.
func New(c Config) (*Gateway, error) {
	if c.Name == "" || c.AccountSID == "" || c.AuthToken.IsZero() {
		return nil, errors.New("twilio needs a name, an account_sid and an auth token")
	}
	if (c.From == "") == (c.MessagingServiceSID == "") {
		return nil, errors.New("twilio needs either from or messaging_service_sid")
	}
	public, err := baseURL(c.PublicURL)
	if err != nil {
		return nil, fmt.Errorf("public_url: %w", err)
	}
	if c.BaseURL == "" {
		c.BaseURL = defaultBaseURL
	}
	api, err := baseURL(c.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("base_url: %w", err)
	}
	if c.Catchup <= 0 {
		c.Catchup = defaultCatchup
	}
	return &Gateway{
		config:   c,
		public:   public.JoinPath("gateway", c.Name),
		messages: api.JoinPath("2010-04-01", "Accounts", c.AccountSID, "Messages.json"),
		client: &http.Client{
			Timeout:       requestTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

func baseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("not an HTTP URL")
	}
	return u, nil
}

// Run lets the handler take messages until ctx ends, and catches up with the
// list at once and every Catchup.
func (g *Gateway) Run(ctx context.Context, in sms.Inbox) error {
	g.door.Open(in)
	defer g.pulse.Stop()
	defer g.door.Shut()
	since := time.Now().Add(-outage)
	for {
		started, wait := time.Now(), g.config.Catchup
		err := g.catchUp(ctx, since)
		if err != nil && ctx.Err() == nil {
			slog.WarnContext(ctx, "catch-up incomplete", "gateway", g.config.Name, "error", err)
		}
		if err == nil || errors.Is(err, errMore) {
			since = started.Add(-overlap)
		} else {
			wait = min(wait, catchupRetry)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
	}
}

// Attend lets Twilio's calls through to in until ctx ends, be the gateway run or not.
func (g *Gateway) Attend(ctx context.Context, in sms.Inbox) { g.door.Attend(ctx, in) }

// Health returns whether Twilio answers.
func (g *Gateway) Health() sms.Health { return g.pulse.Health() }

// Send hands m to Twilio and returns its SID. A recipient who wrote STOP to
// Twilio is ErrOptedOut. After an unknown outcome, ask Find.
func (g *Gateway) Send(ctx context.Context, m sms.Outgoing) (providerID string, err error) {
	form := url.Values{"To": {m.To.E164()}, "Body": {m.Text}, "ValidityPeriod": {validity(m.Validity)}}
	form.Set("StatusCallback", g.public.JoinPath("status").String()+"?id="+url.QueryEscape(m.ID))
	if g.config.From != "" {
		form.Set("From", g.config.From)
	} else {
		form.Set("MessagingServiceSid", g.config.MessagingServiceSID)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, g.messages.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return "", fmt.Errorf("send by twilio: %w: make the request", sms.ErrRefused)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, body, err := g.do(req)
	if err != nil {
		return "", fmt.Errorf("send by twilio: %w", err)
	}
	if err := classify(status, body); err != nil {
		return "", fmt.Errorf("send by twilio: %w", err)
	}
	var created message
	// Twilio has it, whether or not its name can be read.
	_ = json.Unmarshal(body, &created)
	return created.SID, nil
}

func validity(d time.Duration) string {
	return strconv.Itoa(min(max(minValidity, int(d/time.Second)), maxValidity))
}

// classify tells what an answer to Send means. Only the code is taken from its
// body: the message beside it repeats the number.
func classify(status int, body []byte) error {
	if status >= 200 && status < 300 {
		return nil
	}
	var problem struct {
		Code int `json:"code"`
	}
	_ = json.Unmarshal(body, &problem)
	what := fmt.Errorf("status %d, code %d", status, problem.Code)
	switch {
	case problem.Code == optedOut:
		return fmt.Errorf("%w: %w: %w", what, sms.ErrRefused, sms.ErrOptedOut)
	case status == http.StatusBadRequest:
		return fmt.Errorf("%w: %w", what, sms.ErrRefused)
	case status >= 400 && status < 500:
		// 429, and accounts out of order, which somebody may repair in time.
		return fmt.Errorf("%w: %w", what, sms.ErrBusy)
	}
	return what
}

// do returns the status and body of the answer. Its errors are ErrBusy if the
// request surely did not reach Twilio, and never tell its URL, which may hold a
// number.
func (g *Gateway) do(req *http.Request) (status int, body []byte, err error) {
	reached := false
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { reached = true }}
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), trace))
	req.SetBasicAuth(g.config.AccountSID, g.config.AuthToken.Reveal())
	resp, err := g.client.Do(req)
	if err != nil && !reached {
		g.pulse.Miss("twilio cannot be reached")
		return 0, nil, fmt.Errorf("not reached: %w", sms.ErrBusy)
	}
	if err != nil {
		g.pulse.Miss("twilio does not answer")
		return 0, nil, errors.New("no answer")
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		g.pulse.Miss("twilio does not answer")
		return 0, nil, errors.New("answer cut short")
	}
	g.note(resp.StatusCode)
	return resp.StatusCode, body, nil
}

// note takes a refusal of one message for a sign of health.
func (g *Gateway) note(status int) {
	if status >= 200 && status < 300 || status == http.StatusBadRequest {
		g.pulse.Beat()
		return
	}
	g.pulse.Miss("status " + strconv.Itoa(status))
}
