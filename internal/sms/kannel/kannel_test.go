package kannel_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/text/encoding/unicode"

	"maillon/internal/sms"
	"maillon/internal/sms/kannel"
	"maillon/internal/sms/smstest"
)

const inPassword = "in-s3cret"

// smsbox is Kannel as far as HTTP goes: it takes what goes out, and posts what
// comes in.
type smsbox struct {
	t       *testing.T
	gateway *kannel.Gateway

	mu     sync.Mutex // held to read or change what follows
	posts  []*http.Request
	sent   []smstest.Message
	faults []smstest.Fault
}

func newSMSBox(t *testing.T) *smsbox {
	box := &smsbox{t: t}
	server := httptest.NewServer(http.HandlerFunc(box.sendsms))
	t.Cleanup(server.Close)
	g, err := kannel.New(kannel.Config{
		Name:       "k",
		Number:     "36000",
		SendSMSURL: server.URL + "/cgi-bin/sendsms",
		Username:   "maillon",
		Password:   sms.NewSecret("out-s3cret"),
		InPassword: sms.NewSecret(inPassword),
		SMSC:       "line",
		PublicURL:  "http://127.0.0.1:8080",
	})
	if err != nil {
		t.Fatal(err)
	}
	box.gateway = g
	return box
}

func (b *smsbox) sendsms(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && r.URL.Path == "/" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	text, err := io.ReadAll(r.Body)
	if err != nil || r.URL.Path != "/cgi-bin/sendsms" || r.Header.Get("X-Kannel-Password") != "out-s3cret" {
		b.t.Errorf("sendsms %s: %v", r.URL.Path, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.faults) > 0 {
		fault := b.faults[0]
		b.faults = b.faults[1:]
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
	b.posts = append(b.posts, r)
	b.sent = append(b.sent, smstest.Message{To: r.Header.Get("X-Kannel-To"), Text: string(text)})
	w.WriteHeader(http.StatusAccepted)
	fmt.Fprint(w, "0: Accepted for delivery")
}

// call lets Kannel call us and returns the answer.
func (b *smsbox) call(method, leaf string, header http.Header, body []byte) *http.Response {
	r := httptest.NewRequest(method, "/gateway/k/"+leaf, bytes.NewReader(body))
	r.SetBasicAuth("kannel", inPassword)
	for name, values := range header {
		r.Header[name] = values
	}
	w := httptest.NewRecorder()
	b.gateway.Handler().ServeHTTP(w, r)
	return w.Result()
}

// deliver posts m as Kannel does: in UTF-16BE if it came in UCS-2.
func (b *smsbox) deliver(m smstest.Message) bool {
	header := http.Header{}
	header.Set("X-Kannel-From", m.From)
	header.Set("X-Kannel-To", "36000")
	header.Set("X-Kannel-Time", m.SentAt.UTC().Format("2006-01-02 15:04:05"))
	header.Set("Content-Type", `text/plain; charset="UTF-8"`)
	body := []byte(m.Text)
	if sms.AlphabetOf(m.Text) == sms.UCS2 {
		header.Set("Content-Type", `text/plain; charset="UTF-16BE"`)
		body, _ = unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM).NewEncoder().Bytes(body)
	}
	resp := b.call(http.MethodPost, "in?id="+m.ID, header, body)
	if answer, _ := io.ReadAll(resp.Body); len(answer) > 0 {
		b.t.Errorf("the answer has a body, which Kannel would send: %q", answer)
	}
	return resp.StatusCode == http.StatusOK
}

func (b *smsbox) messages() []smstest.Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]smstest.Message(nil), b.sent...)
}

func (b *smsbox) meet(f smstest.Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = append(b.faults, f)
}

func TestSuite(t *testing.T) {
	smstest.Suite(t, func(t *testing.T) smstest.Bench {
		box := newSMSBox(t)
		return smstest.Bench{
			Gateway: box.gateway,
			Deliver: box.deliver,
			Sent:    box.messages,
			Meet:    box.meet,
			Report: func(id, _ string) {
				for _, st := range []string{"8", "1"} {
					if resp := box.call(http.MethodGet, "report?st="+st+"&id="+id, nil, nil); resp.StatusCode != http.StatusOK {
						t.Errorf("report %s: %s", st, resp.Status)
					}
				}
			},
		}
	})
}

// start runs the gateway of box until the test ends.
func (b *smsbox) start() *smstest.Inbox {
	in := new(smstest.Inbox)
	smstest.Start(b.t, b.gateway, in)
	return in
}

func TestWhatSendSays(t *testing.T) {
	box := newSMSBox(t)
	box.start()
	to, err := sms.FromE164(smstest.Member)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		text     string
		validity time.Duration
		coding   string
		minutes  string
	}{
		{"Payé 12,50 €", 10 * time.Minute, "0", "10"},
		{"Reçu", 119 * time.Second, "2", "1"},
		{"code", 5 * time.Second, "0", "1"},
	} {
		_, err := box.gateway.Send(t.Context(), sms.Outgoing{ID: "K7F2x", To: to, Text: test.text, Validity: test.validity})
		if err != nil {
			t.Fatal(err)
		}
		r := box.posts[len(box.posts)-1]
		if r.URL.RawQuery != "" || r.Method != http.MethodPost {
			t.Errorf("%s %s, want a POST without a query", r.Method, r.URL)
		}
		for name, want := range map[string]string{
			"X-Kannel-Username": "maillon",
			"X-Kannel-From":     "36000",
			"X-Kannel-To":       "+33639980012",
			"X-Kannel-Smsc":     "line",
			"X-Kannel-Coding":   test.coding,
			"X-Kannel-Validity": test.minutes,
			"X-Kannel-Dlr-Mask": "31",
			"X-Kannel-Dlr-Url":  "http://kannel:in-s3cret@127.0.0.1:8080/gateway/k/report?id=K7F2x&st=%d",
			"Content-Type":      "text/plain; charset=UTF-8",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%q: %s = %q, want %q", test.text, name, got, want)
			}
		}
	}
}

func TestOnlyKannelIsLetIn(t *testing.T) {
	box := newSMSBox(t)
	in := box.start()
	auth := func(user, password string) http.Header {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.SetBasicAuth(user, password)
		return http.Header{"Authorization": r.Header["Authorization"]}
	}
	for _, test := range []struct {
		method, leaf string
		header       http.Header
		body         []byte
		want         int
	}{
		{"POST", "in?id=1", auth("kannel", "wrong"), nil, http.StatusUnauthorized},
		{"POST", "in?id=1", auth("other", inPassword), nil, http.StatusUnauthorized},
		{"POST", "in?id=1", auth("", ""), nil, http.StatusUnauthorized},
		{"POST", "in?id=1", http.Header{"Authorization": {}}, nil, http.StatusUnauthorized},
		{"POST", "in?id=1", auth("kannel", "wrong"), make([]byte, 1<<20), http.StatusUnauthorized},
		{"GET", "report?id=1&st=1", auth("kannel", "wrong"), nil, http.StatusUnauthorized},
		{"GET", "in?id=1", nil, nil, http.StatusMethodNotAllowed},
		{"POST", "report?id=1&st=1", nil, nil, http.StatusMethodNotAllowed},
		{"POST", "other", nil, nil, http.StatusNotFound},
		{"POST", "in", nil, nil, http.StatusBadRequest},
		{"POST", "in?id=" + strings.Repeat("x", 200), nil, nil, http.StatusBadRequest},
		{"GET", "report?st=1", nil, nil, http.StatusBadRequest},
		{"POST", "in?id=1", nil, make([]byte, 64<<10+1), http.StatusRequestEntityTooLarge},
	} {
		if resp := box.call(test.method, test.leaf, test.header, test.body); resp.StatusCode != test.want {
			t.Errorf("%s %s %v: %s, want %d", test.method, test.leaf, test.header, resp.Status, test.want)
		}
	}
	if got := in.Messages(); len(got) != 0 {
		t.Errorf("came in: %v", got)
	}
	if got := in.Reports(); len(got) != 0 {
		t.Errorf("reported: %v", got)
	}
}

func TestWhatComesInIsDecoded(t *testing.T) {
	box := newSMSBox(t)
	in := box.start()
	for i, test := range []struct{ contentType, body, want string }{
		{`text/plain; charset="UTF-8"`, "Payé", "Payé"},
		{`text/plain; charset=utf-8`, "Pay\xe9", "Pay\uFFFD"},
		{`text/plain; charset="UTF-16BE"`, "\x00R\x00e\x00\xe7\x00u\xd8\x3d\xdc\x4d", "Reçu👍"},
		{`text/plain; charset="UTF-16BE"`, "\x00R\xd8\x3d\x00u\x00", "R\uFFFDu\uFFFD"},
		{`text/plain; charset="ISO-8859-1"`, "Re\xe7u", "Reçu"},
		{`text/plain; charset="KOI-7"`, "Payé", "Payé"},
		{`text/plain`, "Payé", "Payé"},
		{`;;;`, "Payé", "Payé"},
		{``, "", ""},
	} {
		header := http.Header{"Content-Type": {test.contentType}, "X-Kannel-From": {"33639980012"}, "X-Kannel-Time": {"2026-03-28 13:00:05"}}
		box.call(http.MethodPost, fmt.Sprintf("in?id=%d", i), header, []byte(test.body))
		got := in.Messages()
		if len(got) != i+1 || got[i].Text != test.want {
			t.Fatalf("%s %q: %+v, want %q", test.contentType, test.body, got, test.want)
		}
	}
	want := sms.Incoming{Gateway: "k", Key: "0", From: "33639980012", Text: "Payé", SentAt: time.Date(2026, 3, 28, 13, 0, 5, 0, time.UTC)}
	if got := in.Messages()[0]; got != want {
		t.Errorf("came in: %+v, want %+v", got, want)
	}
}

func TestDataIsDropped(t *testing.T) {
	box := newSMSBox(t)
	in := box.start()
	for _, header := range []http.Header{
		{"X-Kannel-Coding": {"1"}},
		{"X-Kannel-Udh": {"06050413881388"}},
		{"X-Kannel-Udh": {"0b0003010201050413881388"}},
		{"X-Kannel-Udh": {"04040213"}},
	} {
		if resp := box.call(http.MethodPost, "in?id=1", header, []byte("data")); resp.StatusCode != http.StatusOK {
			t.Errorf("%v: %s", header, resp.Status)
		}
	}
	if got := in.Messages(); len(got) != 0 {
		t.Errorf("came in: %v", got)
	}
	for _, udh := range []string{"", "00", "ff", "zz", "050003010201", "02ffff"} {
		box.call(http.MethodPost, "in?id="+udh+"t", http.Header{"X-Kannel-Udh": {udh}}, []byte("text"))
	}
	if got := in.Messages(); len(got) != 6 {
		t.Errorf("%d texts came in, want 6", len(got))
	}
}

func TestReportsHaveTheirStates(t *testing.T) {
	box := newSMSBox(t)
	in := box.start()
	for _, st := range []string{"1", "2", "4", "8", "16", "32", "%d"} {
		if resp := box.call(http.MethodGet, "report?id=a1&st="+url.QueryEscape(st), nil, nil); resp.StatusCode != http.StatusOK {
			t.Errorf("st %s: %s", st, resp.Status)
		}
	}
	want := []sms.ReportState{sms.Delivered, sms.Failed, sms.Accepted, sms.Accepted, sms.Failed}
	var got []sms.ReportState
	for _, r := range in.Reports() {
		got = append(got, r.State)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("reports %v, want %v", got, want)
	}
}

func TestAKannelThatIsDownIsBusy(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	g, err := kannel.New(kannel.Config{
		Name: "k", SendSMSURL: server.URL, Username: "u",
		Password: sms.NewSecret("p"), InPassword: sms.NewSecret("i"),
	})
	if err != nil {
		t.Fatal(err)
	}
	to, _ := sms.FromE164(smstest.Member)
	if _, err := g.Send(t.Context(), sms.Outgoing{ID: "a", To: to, Text: "x"}); !isBusy(err) {
		t.Errorf("Send = %v, want ErrBusy", err)
	}
	if g.Health().Up {
		t.Error("up without a Kannel")
	}
}

func TestAConfigurationThatCannotWorkIsRefused(t *testing.T) {
	good := kannel.Config{
		Name: "k", SendSMSURL: "http://127.0.0.1:13013/cgi-bin/sendsms", Username: "u",
		Password: sms.NewSecret("p"), InPassword: sms.NewSecret("i"), PublicURL: "http://127.0.0.1:8080",
	}
	if _, err := kannel.New(good); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*kannel.Config){
		"no name":              func(c *kannel.Config) { c.Name = "" },
		"no sendsms_url":       func(c *kannel.Config) { c.SendSMSURL = "" },
		"no scheme":            func(c *kannel.Config) { c.SendSMSURL = "127.0.0.1:13013" },
		"no password":          func(c *kannel.Config) { c.Password = sms.Secret{} },
		"no in_password":       func(c *kannel.Config) { c.InPassword = sms.Secret{} },
		"in_password in a URL": func(c *kannel.Config) { c.InPassword = sms.NewSecret("a@b:c") },
		"public_url":           func(c *kannel.Config) { c.PublicURL = "maillon.example.org" },
	} {
		c := good
		change(&c)
		if _, err := kannel.New(c); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	var out bytes.Buffer
	good.InPassword = sms.NewSecret("s3cret")
	slog.New(slog.NewTextHandler(&out, nil)).Info("gateway", "config", good)
	fmt.Fprintf(&out, "%+v", good)
	if strings.Contains(out.String(), "s3cret") {
		t.Errorf("the password shows: %s", &out)
	}
}

func FuzzIn(f *testing.F) {
	f.Add("1", "33639980012", "text/plain; charset=UTF-8", "0", "", "2026-03-28 13:00:05", []byte("vir 20 @lena"))
	f.Add("2", "LaPoste", "text/plain; charset=\"UTF-16BE\"", "2", "050003010201", "", []byte("\x00R\xd8"))
	f.Add("3", "", ";", "1", "06050413881388", "never", []byte{})
	f.Fuzz(func(t *testing.T, id, from, contentType, coding, udh, at string, body []byte) {
		g, err := kannel.New(kannel.Config{
			Name: "k", SendSMSURL: "http://127.0.0.1:1", Username: "u",
			Password: sms.NewSecret("p"), InPassword: sms.NewSecret(inPassword),
		})
		if err != nil {
			t.Fatal(err)
		}
		box := &smsbox{t: t, gateway: g}
		in := box.start()
		box.call(http.MethodPost, "in?id="+url.QueryEscape(id), http.Header{
			"X-Kannel-From": {from}, "Content-Type": {contentType}, "X-Kannel-Coding": {coding},
			"X-Kannel-Udh": {udh}, "X-Kannel-Time": {at},
		}, body)
		smstest.CheckIncoming(t, in)
	})
}

// Whatever stands in the query of a report, what is passed on is a state of ours
// and a name that may be one.
func FuzzReport(f *testing.F) {
	f.Add("id=m1&st=1")
	f.Add("id=m1&st=31&st=2&id=")
	f.Add("st=%zz;id=\xff&id=m1&st=16")
	f.Fuzz(func(t *testing.T, query string) {
		g, err := kannel.New(kannel.Config{
			Name: "k", SendSMSURL: "http://127.0.0.1:1", Username: "u",
			Password: sms.NewSecret("p"), InPassword: sms.NewSecret(inPassword),
		})
		if err != nil {
			t.Fatal(err)
		}
		box := &smsbox{t: t, gateway: g}
		in := box.start()
		r := httptest.NewRequest(http.MethodGet, "/gateway/k/report", nil)
		r.URL.RawQuery = query
		r.SetBasicAuth("kannel", inPassword)
		w := httptest.NewRecorder()
		g.Handler().ServeHTTP(w, r)
		if w.Body.Len() > 0 || w.Code != http.StatusOK && w.Code != http.StatusBadRequest {
			t.Errorf("report?%q is answered %d %q", query, w.Code, w.Body)
		}
		for _, r := range in.Reports() {
			if r.Gateway != "k" || r.ID == "" || len(r.ID) > 128 || r.State < sms.Accepted || r.State > sms.Failed {
				t.Errorf("report?%q was passed on as %+v", query, r)
			}
		}
	})
}

func isBusy(err error) bool { return errors.Is(err, sms.ErrBusy) }
