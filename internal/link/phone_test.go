package link_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"maillon/internal/link"
	"maillon/internal/sms"
	"maillon/internal/sms/premium"
	"maillon/internal/sms/smstest"
	"maillon/internal/store"
)

// A provider takes what is sent by its API, and has its own faults.
type provider struct {
	t    *testing.T
	read func(*http.Request, []byte) smstest.Message
	says string

	mu     sync.Mutex // held to read or change what follows
	sent   []smstest.Message
	faults []smstest.Fault
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		p.t.Errorf("the body: %v", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.faults) > 0 {
		fault := p.faults[0]
		p.faults = p.faults[1:]
		switch fault {
		case smstest.Busy:
			w.WriteHeader(http.StatusServiceUnavailable)
		case smstest.Refused:
			w.WriteHeader(http.StatusBadRequest)
		case smstest.Silent:
			panic(http.ErrAbortHandler)
		}
		return
	}
	p.sent = append(p.sent, p.read(r, body))
	fmt.Fprint(w, p.says)
}

func (p *provider) messages() []smstest.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]smstest.Message(nil), p.sent...)
}

// open serves a provider, and returns where.
func (p *provider) open() string {
	s := httptest.NewServer(p)
	p.t.Cleanup(s.Close)
	return s.URL
}

// suiteGateway is a gateway with books, not yet running.
func suiteGateway(t *testing.T, c link.Config) *link.Gateway {
	t.Helper()
	db, err := store.Open(t.Context(), store.Memory, store.Secret{1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	g := link.NewGateway(c)
	g.Use(db)
	return g
}

func TestATelephoneKeepsThePromisesOfEveryGateway(t *testing.T) {
	smstest.Suite(t, func(t *testing.T) smstest.Bench {
		p := &provider{t: t, read: func(r *http.Request, body []byte) smstest.Message {
			var m struct {
				TextMessage  struct{ Text string }
				PhoneNumbers []string
				TTL          int
			}
			user, password, _ := r.BasicAuth()
			if err := json.Unmarshal(body, &m); err != nil || len(m.PhoneNumbers) != 1 || m.TTL < 1 || user != "sms" || password != "hush" {
				t.Errorf("the telephone got %s of %s, %v", body, user, err)
				return smstest.Message{}
			}
			return smstest.Message{To: m.PhoneNumbers[0], Text: m.TextMessage.Text}
		}}
		api := premium.PhoneAPI{URL: p.open(), Username: "sms", Password: sms.NewSecret("hush")}
		g := suiteGateway(t, link.Config{Name: "phone", Region: "FR", Adapter: premium.Phone{Key: key}, Key: key, Push: api.NewSender()})
		post := func(event any) bool {
			body, err := json.Marshal(event)
			if err != nil {
				t.Error(err)
			}
			r := httptest.NewRequest(http.MethodPost, "/gateway/phone/in", strings.NewReader(string(body)))
			premium.Sign(r.Header, key, body, time.Now())
			w := httptest.NewRecorder()
			g.Handler().ServeHTTP(w, r)
			return w.Code == http.StatusOK
		}
		return smstest.Bench{
			Gateway: g,
			Deliver: func(m smstest.Message) bool {
				return post(map[string]any{"id": m.ID, "event": "sms:received", "payload": map[string]any{
					"messageId": "x", "sender": m.From, "message": m.Text, "receivedAt": m.SentAt.Format(time.RFC3339Nano),
				}})
			},
			Sent: p.messages,
			Meet: func(f smstest.Fault) { p.mu.Lock(); defer p.mu.Unlock(); p.faults = append(p.faults, f) },
			Report: func(id, _ string) {
				if !post(map[string]any{"id": "r" + id, "event": "sms:delivered", "payload": map[string]any{"messageId": id}}) {
					t.Error("a report was not taken")
				}
			},
		}
	})
}

func TestTxtNationKeepsThePromisesOfEveryGateway(t *testing.T) {
	smstest.Suite(t, func(t *testing.T) smstest.Bench {
		p := &provider{t: t, says: "SUCCESS", read: func(r *http.Request, body []byte) smstest.Message {
			r.Body = io.NopCloser(strings.NewReader(string(body)))
			if r.FormValue("value") != "0" || r.FormValue("ekey") != "hush" || r.FormValue("cc") != "penn" || r.FormValue("id") == "" {
				t.Errorf("txtNation got %s", body)
			}
			return smstest.Message{To: "+" + r.FormValue("number"), Text: r.FormValue("message")}
		}}
		api := premium.TxtNationAPI{URL: p.open(), Company: "penn", Key: sms.NewSecret("hush"), Title: "Penn"}
		g := suiteGateway(t, link.Config{Name: "t", Region: "FR", Adapter: txtNation, Network: true, Push: api.NewSender()})
		post := func(form ...string) bool {
			r := httptest.NewRequest(http.MethodPost, "/gateway/t/in", strings.NewReader(values(form...).Encode()))
			w := httptest.NewRecorder()
			g.Handler().ServeHTTP(w, r)
			return w.Code == http.StatusOK && w.Body.String() == "OK"
		}
		return smstest.Bench{
			Gateway: g,
			Deliver: func(m smstest.Message) bool {
				return post("action", "mpush_ir_message", "id", m.ID, "number", strings.TrimPrefix(m.From, "+"), "message", m.Text, "billing", "MO")
			},
			Sent: p.messages,
			Meet: func(f smstest.Fault) { p.mu.Lock(); defer p.mu.Unlock(); p.faults = append(p.faults, f) },
			Report: func(id, _ string) {
				if !post("action", "mp_report", "id", id, "report", "DELIVERED") {
					t.Error("a report was not taken")
				}
			},
		}
	})
}

// A provider that says no in words refuses too.
func TestTxtNationThatTakesNothingRefuses(t *testing.T) {
	p := &provider{t: t, says: "NO CREDITS", read: func(*http.Request, []byte) smstest.Message { return smstest.Message{} }}
	s := premium.TxtNationAPI{URL: p.open(), Company: "penn", Key: sms.NewSecret("hush")}.NewSender()
	to, err := sms.FromE164(member)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Send(t.Context(), sms.Outgoing{ID: "m1", To: to, Text: "a", Validity: time.Minute}); err == nil {
		t.Error("what was not taken is said to be")
	}
}
