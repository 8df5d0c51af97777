package premium

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"time"

	"maillon/internal/sms"
)

// Times and bounds of sending.
const (
	sendTimeout = 20 * time.Second
	maxAnswer   = 4 << 10 // octets that are read of an answer
)

// TxtNationURL is where txtNation takes messages.
const TxtNationURL = "https://client.txtnation.com/gateway.php"

// A Sender hands SMS to the API of a provider, whose calls come in elsewhere.
type Sender struct {
	client  *http.Client
	request func(context.Context, sms.Outgoing) (*http.Request, error)
	taken   func(body string) bool // whether an answer that is no error means so; nil: it does
	pulse   sms.Pulse
}

// PhoneAPI is where "SMS Gateway for Android" takes messages, on the telephone
// or at its makers'.
type PhoneAPI struct {
	URL      string // http://192.168.1.20:8080/messages
	Username string
	Password sms.Secret
}

// NewSender returns what sends by it.
func (a PhoneAPI) NewSender() *Sender {
	return newSender(func(ctx context.Context, m sms.Outgoing) (*http.Request, error) {
		type text struct {
			Text string `json:"text"`
		}
		body, err := json.Marshal(struct {
			ID      string   `json:"id"`
			Text    text     `json:"textMessage"`
			To      []string `json:"phoneNumbers"`
			Seconds int      `json:"ttl"`
			Reports bool     `json:"withDeliveryReport"`
		}{m.ID, text{m.Text}, []string{m.To.E164()}, max(1, int(m.Validity/time.Second)), true})
		if err != nil {
			return nil, err
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.URL, bytes.NewReader(body))
		if err != nil {
			return nil, errors.New("make the request")
		}
		r.Header.Set("Content-Type", "application/json")
		r.SetBasicAuth(a.Username, a.Password.Reveal())
		return r, nil
	}, nil)
}

// TxtNationAPI is the account by which txtNation sends. What is sent costs its
// receiver nothing.
type TxtNationAPI struct {
	URL     string // "": TxtNationURL
	Company string
	Key     sms.Secret
	Title   string // the sender that is shown, at most 11 characters
}

// NewSender returns what sends by it.
func (a TxtNationAPI) NewSender() *Sender {
	if a.URL == "" {
		a.URL = TxtNationURL
	}
	return newSender(func(ctx context.Context, m sms.Outgoing) (*http.Request, error) {
		form := url.Values{
			"reply": {"0"}, "id": {m.ID}, "number": {strings.TrimPrefix(m.To.E164(), "+")}, "network": {"INTERNATIONAL"}, "message": {m.Text},
			"value": {"0"}, "currency": {"EUR"}, "cc": {a.Company}, "ekey": {a.Key.Reveal()}, "title": {a.Title},
		}
		if sms.AlphabetOf(m.Text) == sms.UCS2 {
			form.Set("encoding", "utf-8")
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.URL, strings.NewReader(form.Encode()))
		if err != nil {
			return nil, errors.New("make the request")
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		return r, nil
	}, func(body string) bool { return strings.HasPrefix(strings.TrimSpace(body), "SUCCESS") })
}

func newSender(request func(context.Context, sms.Outgoing) (*http.Request, error), taken func(string) bool) *Sender {
	return &Sender{
		request: request, taken: taken,
		client: &http.Client{Timeout: sendTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
}

// Run is up until something cannot be sent: there is nothing to ask between.
func (s *Sender) Run(ctx context.Context, _ sms.Inbox) error {
	s.pulse.Beat()
	defer s.pulse.Stop()
	<-ctx.Done()
	return nil
}

// Health returns whether the last messages could be sent.
func (s *Sender) Health() sms.Health { return s.pulse.Health() }

// Send hands one SMS over.
func (s *Sender) Send(ctx context.Context, m sms.Outgoing) (providerID string, err error) {
	reached := false
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { reached = true }})
	r, err := s.request(ctx, m)
	if err != nil {
		return "", fmt.Errorf("send: %w: %w", sms.ErrRefused, err)
	}
	resp, err := s.client.Do(r)
	if err != nil && !reached {
		s.pulse.Miss("its API cannot be reached")
		return "", fmt.Errorf("send: %w", sms.ErrBusy)
	}
	if err != nil {
		s.pulse.Miss("its API does not answer")
		return "", errors.New("sent, and no answer came")
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		s.pulse.Miss("its API does not answer")
		return "", errors.New("sent, and no whole answer came")
	}
	if err := s.judge(resp.StatusCode, string(body)); err != nil {
		return "", fmt.Errorf("send: status %d: %w", resp.StatusCode, err)
	}
	return m.ID, nil
}

func (s *Sender) judge(status int, body string) error {
	switch {
	case status == http.StatusConflict: // it has this one already
		s.pulse.Beat()
		return nil
	case status >= 200 && status < 300 && (s.taken == nil || s.taken(body)):
		s.pulse.Beat()
		return nil
	case status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable:
		s.pulse.Miss("status " + strconv.Itoa(status))
		return sms.ErrBusy
	case status < 500:
		s.pulse.Beat()
		return sms.ErrRefused
	}
	s.pulse.Miss("status " + strconv.Itoa(status))
	return errors.New("it may have left")
}
