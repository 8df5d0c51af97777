package server_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"maillon/internal/courier"
	"maillon/internal/sms"
	"maillon/internal/sms/smstest"
	"maillon/internal/sms/twilio"
	"maillon/internal/story"
)

// What Twilio and we know each other by.
const (
	account   = "AC00000000000000000000000000000001"
	authToken = "tok3n"
	public    = "https://maillon.example.org"
	messages  = "/2010-04-01/Accounts/" + account + "/Messages.json"
)

func TestTwilioCarriesAPayment(t *testing.T) {
	w := newWire(t)
	p := &provider{t: t, reach: w.url}
	playStory(t, byTwilio(t, w, p, 2))
	p.calling.Wait()
}

// No SMS comes by webhook: the list has them all.
func TestTwilioCarriesAPaymentThroughAnOutageOfWebhooks(t *testing.T) {
	w := newWire(t)
	p := &provider{t: t, reach: w.url, deaf: true}
	playStory(t, byTwilio(t, w, p, 1))
	p.calling.Wait()
}

// byTwilio is a provider at the other end of a wire.
func byTwilio(t *testing.T, w *wire, p *provider, times int) network {
	g, err := twilio.New(twilioConfig(listen(t, w.toNetwork(p))))
	if err != nil {
		t.Fatal(err)
	}
	w.toServer("tw", g.Handler())
	return network{
		line:  courier.Line{Name: "tw", Gateway: g, Number: story.ServerNumber().E164()},
		write: p.write, got: p.got, times: times, refuse: w.refuse, wire: w, hidden: []string{authToken},
	}
}

// twilioConfig looks at the list so often that an outage is soon over.
func twilioConfig(api string) twilio.Config {
	return twilio.Config{
		Name: "tw", AccountSID: account, AuthToken: sms.NewSecret(authToken), From: story.ServerNumber().E164(),
		PublicURL: public, BaseURL: api, Catchup: 5 * shortly,
	}
}

// provider is Twilio as its documentation describes what it says by HTTP.
type provider struct {
	t       *testing.T
	deaf    bool // no SMS reaches the server by webhook
	silent  bool // the list has nothing that comes in
	calling sync.WaitGroup

	reported atomic.Int64 // messages of the server of which it knows that they are delivered

	mu    sync.Mutex // held for what follows
	reach string     // where the server listens in truth
	list  []resource // the newest last
}

// A resource is a message as the list shows it.
type resource struct {
	SID         string `json:"sid"`
	From        string `json:"from"`
	To          string `json:"to"`
	Body        string `json:"body"`
	Direction   string `json:"direction"`
	NumMedia    string `json:"num_media"`
	DateCreated string `json:"date_created"`
}

func (p *provider) add(m resource) resource {
	p.mu.Lock()
	defer p.mu.Unlock()
	m.SID, m.NumMedia, m.DateCreated = fmt.Sprintf("SM%032d", len(p.list)+1), "0", time.Now().UTC().Format(time.RFC1123Z)
	p.list = append(p.list, m)
	return m
}

func (p *provider) all() []resource {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.list)
}

// moves tells where the server is now.
func (p *provider) moves(reach string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reach = reach
}

func (p *provider) address() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reach
}

// ServeHTTP is the REST interface.
func (p *provider) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	if r.URL.Path != messages || user != account || password != authToken {
		rw.WriteHeader(http.StatusUnauthorized)
		return
	}
	if r.Method == http.MethodGet {
		to := r.URL.Query().Get("To")
		found := slices.DeleteFunc(p.all(), func(m resource) bool { return m.To != to || p.silent && m.Direction == "inbound" })
		slices.Reverse(found)
		_ = json.NewEncoder(rw).Encode(map[string]any{"messages": found})
		return
	}
	if err := r.ParseForm(); err != nil {
		rw.WriteHeader(http.StatusBadRequest)
		return
	}
	m := p.add(resource{From: r.PostForm.Get("From"), To: r.PostForm.Get("To"), Body: r.PostForm.Get("Body"), Direction: "outbound-api"})
	target := strings.TrimPrefix(r.PostForm.Get("StatusCallback"), public)
	p.webhook(target, url.Values{"MessageSid": {m.SID}, "MessageStatus": {"sent"}}) // sooner than the answer
	p.calling.Go(func() {
		p.webhook(target, url.Values{"MessageSid": {m.SID}, "MessageStatus": {"delivered"}})
		p.reported.Add(1)
	})
	rw.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(rw).Encode(m)
}

func (p *provider) got() (got []smstest.Message) {
	for _, m := range p.all() {
		if m.Direction != "inbound" {
			got = append(got, smstest.Message{To: m.To, Text: m.Body})
		}
	}
	return got
}

// write brings an SMS to the server, until it is taken.
func (p *provider) write(from sms.Number, text string) {
	m := p.take(from, text)
	if !p.deaf {
		p.webhook("/gateway/tw/in", m)
	}
}

// take gets an SMS from a telephone, and returns what is told of it.
func (p *provider) take(from sms.Number, text string) url.Values {
	m := p.add(resource{From: from.E164(), To: story.ServerNumber().E164(), Body: text, Direction: "inbound"})
	return url.Values{
		"MessageSid": {m.SID}, "AccountSid": {account}, "From": {m.From}, "To": {m.To}, "Body": {m.Body},
		"NumSegments": {"1"}, "NumMedia": {"0"},
	}
}

func (p *provider) webhook(target string, params url.Values) {
	if answer := insist(p.t, func() (*http.Request, error) { return p.request(target, params) }); answer != "<Response/>" {
		p.t.Errorf("%s was answered %q", target, answer)
	}
}

// request signs a webhook by Twilio's documented algorithm.
func (p *provider) request(target string, params url.Values) (*http.Request, error) {
	r, err := http.NewRequest(http.MethodPost, p.address()+target, strings.NewReader(params.Encode()))
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha1.New, []byte(authToken))
	_, _ = io.WriteString(mac, public+target)
	for _, name := range slices.Sorted(maps.Keys(params)) {
		_, _ = io.WriteString(mac, name+params.Get(name))
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
	r.Header.Set("X-Twilio-Signature", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return r, nil
}
