package twilio_test

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"maillon/internal/sms"
	"maillon/internal/sms/smstest"
	"maillon/internal/sms/twilio"
)

const (
	account = "AC00000000000000000000000000000001"
	token   = "tok3n"
	line    = "+33937000000"
	public  = "https://maillon.example.org"
)

// provider is Twilio as far as we use it: its REST interface, and its webhooks.
type provider struct {
	t       *testing.T
	server  *httptest.Server
	gateway *twilio.Gateway

	mu       sync.Mutex // held to read or change what follows
	messages []entry    // the newest last
	forms    []url.Values
	faults   []fault
	pageSize int
	lists    int
}

type entry struct {
	SID         string `json:"sid"`
	From        string `json:"from"`
	To          string `json:"to"`
	Body        string `json:"body"`
	Direction   string `json:"direction"`
	NumMedia    string `json:"num_media"`
	DateCreated string `json:"date_created"`
}

// A fault is a status and code that Twilio answers; 0 is no answer at all, after
// it took the message.
type fault struct{ status, code int }

func newProvider(t *testing.T, change ...func(*twilio.Config)) *provider {
	p := &provider{t: t, pageSize: 1000}
	p.server = httptest.NewServer(p)
	t.Cleanup(p.server.Close)
	c := twilio.Config{Name: "tw", AccountSID: account, AuthToken: sms.NewSecret(token), From: line, PublicURL: public, BaseURL: p.server.URL}
	for _, f := range change {
		f(&c)
	}
	g, err := twilio.New(c)
	if err != nil {
		t.Fatal(err)
	}
	p.gateway = g
	return p
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	if r.URL.Path != "/2010-04-01/Accounts/"+account+"/Messages.json" || user != account || password != token {
		p.t.Errorf("%s %s by %s", r.Method, r.URL.Path, user)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.Method == http.MethodGet {
		p.list(w, r)
		return
	}
	if err := r.ParseForm(); err != nil {
		p.t.Error(err)
	}
	var f fault
	if len(p.faults) > 0 {
		f, p.faults = p.faults[0], p.faults[1:]
		if f.status != 0 {
			w.WriteHeader(f.status)
			fmt.Fprintf(w, `{"code": %d, "message": "The number %s …", "status": %d}`, f.code, r.PostForm.Get("To"), f.status)
			return
		}
		defer panic(http.ErrAbortHandler)
	}
	p.forms = append(p.forms, r.PostForm)
	m := p.add(r.PostForm.Get("From"), r.PostForm.Get("To"), r.PostForm.Get("Body"), "outbound-api", time.Now())
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(m)
}

func (p *provider) list(w http.ResponseWriter, r *http.Request) {
	p.lists++
	query := r.URL.Query()
	if len(p.faults) > 0 {
		w.WriteHeader(p.faults[0].status)
		p.faults = p.faults[1:]
		return
	}
	day, _ := time.Parse(time.DateOnly, query.Get("DateSent>"))
	var selected []entry
	for _, m := range slices.Backward(p.messages) {
		created, _ := time.Parse(time.RFC1123Z, m.DateCreated)
		if m.To == cmp.Or(query.Get("To"), m.To) && !created.Before(day) {
			selected = append(selected, m)
		}
	}
	from, _ := strconv.Atoi(query.Get("Page"))
	from = min(from*p.pageSize, len(selected))
	to := min(from+p.pageSize, len(selected))
	next := ""
	if to < len(selected) {
		query.Set("Page", strconv.Itoa(to/p.pageSize))
		next = r.URL.Path + "?" + query.Encode()
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"messages": selected[from:to], "next_page_uri": next})
}

// add must be called with mu held.
func (p *provider) add(from, to, body, direction string, at time.Time) entry {
	m := entry{
		SID: fmt.Sprintf("SM%032d", len(p.messages)+1), From: from, To: to, Body: body, Direction: direction,
		NumMedia: "0", DateCreated: at.UTC().Format(time.RFC1123Z),
	}
	p.messages = append(p.messages, m)
	return m
}

// cameIn is an SMS that Twilio got and could not bring.
func (p *provider) cameIn(body string, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.add(smstest.Member, line, body, "inbound", at)
}

func (p *provider) meet(f ...fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, f...)
}

// sign is Twilio's documented algorithm.
func sign(token, signed string, params url.Values) string {
	mac := hmac.New(sha1.New, []byte(token))
	io.WriteString(mac, signed)
	for _, name := range slices.Sorted(maps.Keys(params)) {
		io.WriteString(mac, name+params.Get(name))
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// post calls a webhook; target is its last element and query.
func (p *provider) post(target, contentType, signature string, body []byte) *http.Response {
	r := httptest.NewRequest(http.MethodPost, "/gateway/tw/"+target, bytes.NewReader(body))
	r.Host = "10.0.0.1:8080"
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("X-Twilio-Signature", signature)
	w := httptest.NewRecorder()
	p.gateway.Handler().ServeHTTP(w, r)
	return w.Result()
}

const formType = "application/x-www-form-urlencoded; charset=UTF-8"

func (p *provider) webhook(target string, params url.Values) *http.Response {
	return p.post(target, formType, sign(token, public+"/gateway/tw/"+target, params), []byte(params.Encode()))
}

func webhookParams(m smstest.Message) url.Values {
	return url.Values{
		"MessageSid": {m.ID}, "AccountSid": {account}, "From": {m.From}, "To": {line}, "Body": {m.Text},
		"NumSegments": {"1"}, "NumMedia": {"0"},
	}
}

func TestSuite(t *testing.T) {
	smstest.Suite(t, func(t *testing.T) smstest.Bench {
		p := newProvider(t)
		return smstest.Bench{
			Gateway: p.gateway,
			Deliver: func(m smstest.Message) bool { return p.webhook("in", webhookParams(m)).StatusCode == http.StatusOK },
			Sent: func() (sent []smstest.Message) {
				p.mu.Lock()
				defer p.mu.Unlock()
				for _, form := range p.forms {
					sent = append(sent, smstest.Message{To: form.Get("To"), Text: form.Get("Body")})
				}
				return sent
			},
			Meet: func(f smstest.Fault) {
				p.meet(map[smstest.Fault]fault{smstest.Busy: {429, 20429}, smstest.Refused: {400, 21211}, smstest.Silent: {}}[f])
			},
			Report: func(id, sid string) {
				for _, status := range []string{"sent", "delivered"} {
					p.webhook("status?id="+id, url.Values{"MessageSid": {sid}, "MessageStatus": {status}})
				}
			},
		}
	})
}

// start runs the gateway of p until the test ends.
func (p *provider) start() *smstest.Inbox {
	in := new(smstest.Inbox)
	smstest.Start(p.t, p.gateway, in)
	return in
}

// The vector of the specification, which twilio-go accepts too.
func TestTheVectorIsAccepted(t *testing.T) {
	p := newProvider(t)
	in := p.start()
	form := url.Values{
		"MessageSid": {"SM00000000000000000000000000000001"}, "AccountSid": {account}, "From": {smstest.Member}, "To": {line},
		"Body": {"vir 20 @lena, merci à toi"}, "NumSegments": {"1"}, "NumMedia": {"0"},
	}
	const signature = "4lpZEE9gO5sim+yb99c+Q0J9Dlw="
	resp := p.post("in?k=1", formType, signature, []byte(form.Encode()))
	answer, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK || string(answer) != "<Response/>" || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/xml") {
		t.Errorf("%s %s %q", resp.Status, resp.Header.Get("Content-Type"), answer)
	}
	want := sms.Incoming{Gateway: "tw", Key: "SM00000000000000000000000000000001", From: smstest.Member, To: line, Text: "vir 20 @lena, merci à toi"}
	if got := in.Messages(); len(got) != 1 || got[0] != want {
		t.Errorf("came in: %+v, want %+v", got, want)
	}
}

func TestOnlyTwilioIsLetIn(t *testing.T) {
	p := newProvider(t)
	in := p.start()
	form := webhookParams(smstest.Message{ID: "SM1", From: smstest.Member, Text: "vir 20 @lena"})
	body, right := []byte(form.Encode()), sign(token, public+"/gateway/tw/in", form)
	flipped := bytes.Replace(body, []byte("20"), []byte("90"), 1)
	for what, resp := range map[string]*http.Response{
		"no signature":       p.post("in", formType, "", body),
		"another token":      p.post("in", formType, sign("t0ken", public+"/gateway/tw/in", form), body),
		"another amount":     p.post("in", formType, right, flipped),
		"another query":      p.post("in?k=1", formType, right, body),
		"another webhook":    p.post("status", formType, right, body),
		"the internal URL":   p.post("in", formType, sign(token, "http://10.0.0.1:8080/gateway/tw/in", form), body),
		"a name twice":       p.post("in", formType, right, append(bytes.Clone(body), "&Body=vir+90"...)),
		"not a form":         p.post("in", formType, right, []byte("%zz")),
		"hash of other JSON": p.post("in?bodySHA256=00", "application/json", sign(token, public+"/gateway/tw/in?bodySHA256=00", nil), []byte("{}")),
	} {
		if answer, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusForbidden || len(answer) > 0 {
			t.Errorf("%s: %s %q, want 403", what, resp.Status, answer)
		}
	}
	if resp := p.post("in", formType, right, make([]byte, 64<<10+1)); resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a long body: %s", resp.Status)
	}
	if resp := p.post("other", formType, right, body); resp.StatusCode != http.StatusNotFound {
		t.Errorf("another path: %s", resp.Status)
	}
	if resp := p.webhook("in", url.Values{"Body": {"no SID"}}); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("no MessageSid: %s", resp.Status)
	}
	if got := in.Messages(); len(got) != 0 {
		t.Errorf("came in: %v", got)
	}
	for range 2 {
		if resp := p.post("in", formType, right, body); resp.StatusCode != http.StatusOK {
			t.Errorf("the right one, replayed: %s", resp.Status)
		}
	}
	if len(in.Messages()) != 1 || in.Repeated() != 1 {
		t.Errorf("%d came in, %d repeated, want 1, 1", len(in.Messages()), in.Repeated())
	}
}

func TestAJSONBodyIsCoveredByItsHash(t *testing.T) {
	p := newProvider(t)
	in := p.start()
	post := func(body string, hashOf string) int {
		sum := sha256.Sum256([]byte(hashOf))
		target := "in?bodySHA256=" + hex.EncodeToString(sum[:])
		return p.post(target, "application/json", sign(token, public+"/gateway/tw/"+target, nil), []byte(body)).StatusCode
	}
	const body = `{"MessageSid": "SM9", "From": "+33639980012", "Body": "vir 20 @lena", "NumMedia": 1, "Other": {"a": []}}`
	if status := post(body, body); status != http.StatusOK {
		t.Errorf("status %d", status)
	}
	if status := post(strings.Replace(body, "20", "90", 1), body); status != http.StatusForbidden {
		t.Errorf("another body: status %d", status)
	}
	if status := post("[1]", "[1]"); status != http.StatusBadRequest {
		t.Errorf("not an object: status %d", status)
	}
	want := sms.Incoming{Gateway: "tw", Key: "SM9", From: smstest.Member, Text: "vir 20 @lena", Media: true}
	if got := in.Messages(); len(got) != 1 || got[0] != want {
		t.Errorf("came in: %+v, want %+v", got, want)
	}
}

func outgoing(t *testing.T, text string) sms.Outgoing {
	t.Helper()
	to, err := sms.FromE164(smstest.Member)
	if err != nil {
		t.Fatal(err)
	}
	return sms.Outgoing{ID: "K7F2x", To: to, Text: text, Validity: 10 * time.Minute}
}

func TestWhatSendSays(t *testing.T) {
	p := newProvider(t)
	id, err := p.gateway.Send(t.Context(), outgoing(t, "Payé 12,50 € à Zoé"))
	if err != nil || id != "SM00000000000000000000000000000001" {
		t.Fatalf("Send = %q, %v", id, err)
	}
	want := url.Values{
		"From": {line}, "To": {smstest.Member}, "Body": {"Payé 12,50 € à Zoé"}, "ValidityPeriod": {"600"},
		"StatusCallback": {public + "/gateway/tw/status?id=K7F2x"},
	}
	if got := p.forms[0]; got.Encode() != want.Encode() {
		t.Errorf("sent %v, want %v", got, want)
	}
	service := newProvider(t, func(c *twilio.Config) { c.From, c.MessagingServiceSID = "", "MG1" })
	for d, seconds := range map[time.Duration]string{24 * time.Hour: "36000", time.Millisecond: "1"} {
		m := outgoing(t, "x")
		m.Validity = d
		if _, err := service.gateway.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		got := service.forms[len(service.forms)-1]
		if got.Get("MessagingServiceSid") != "MG1" || got.Has("From") || got.Get("ValidityPeriod") != seconds {
			t.Errorf("sent %v, want the messaging service and %s s", got, seconds)
		}
	}
}

func TestTheFateOfWhatTwilioDoesNotTake(t *testing.T) {
	p := newProvider(t)
	for _, test := range []struct {
		fault                   fault
		busy, refused, optedOut bool
	}{
		{fault{429, 20429}, true, false, false},
		{fault{400, 21211}, false, true, false},
		{fault{400, 21610}, false, true, true},
		{fault{401, 20003}, true, false, false},
		{fault{500, 0}, false, false, false},
		{fault{503, 0}, false, false, false},
		{fault{302, 0}, false, false, false},
	} {
		p.meet(test.fault)
		_, err := p.gateway.Send(t.Context(), outgoing(t, "x"))
		if err == nil || errors.Is(err, sms.ErrBusy) != test.busy || errors.Is(err, sms.ErrRefused) != test.refused || errors.Is(err, sms.ErrOptedOut) != test.optedOut {
			t.Errorf("%v: Send = %v", test.fault, err)
		}
		if err != nil && strings.Contains(err.Error(), smstest.Member[1:]) {
			t.Errorf("the error tells a number: %v", err)
		}
	}
	p.server.Close()
	if _, err := p.gateway.Send(t.Context(), outgoing(t, "x")); !errors.Is(err, sms.ErrBusy) {
		t.Errorf("Send to nobody = %v, want ErrBusy", err)
	}
	if _, _, err := p.gateway.Find(t.Context(), outgoing(t, "x"), time.Now()); err == nil || strings.Contains(err.Error(), "639980012") {
		t.Errorf("Find at nobody = %v", err)
	}
}

func TestAnUnknownOutcomeIsFound(t *testing.T) {
	p := newProvider(t)
	p.pageSize = 2
	since := time.Now()
	p.mu.Lock()
	p.add(line, smstest.Member, "code 482 913", "outbound-api", since.Add(-time.Hour))
	p.mu.Unlock()
	if _, found, err := p.gateway.Find(t.Context(), outgoing(t, "code 482 913"), since); found || err != nil {
		t.Errorf("Find before Send = %v, %v", found, err)
	}
	p.meet(fault{}) // taken, and not answered
	if _, err := p.gateway.Send(t.Context(), outgoing(t, "code 482 913")); err == nil || errors.Is(err, sms.ErrBusy) || errors.Is(err, sms.ErrRefused) {
		t.Fatalf("Send = %v, want an unknown outcome", err)
	}
	for range 3 {
		if _, err := p.gateway.Send(t.Context(), outgoing(t, "Payé")); err != nil {
			t.Fatal(err)
		}
	}
	id, found, err := p.gateway.Find(t.Context(), outgoing(t, "code 482 913"), since)
	if id != "SM00000000000000000000000000000002" || !found || err != nil {
		t.Errorf("Find = %q, %v, %v", id, found, err)
	}
	if _, found, err := p.gateway.Find(t.Context(), outgoing(t, "code 000 000"), since); found || err != nil {
		t.Errorf("Find of another text = %v, %v", found, err)
	}
}

func TestTheListFillsTheGap(t *testing.T) {
	p := newProvider(t, func(c *twilio.Config) { c.Catchup = 20 * time.Millisecond })
	p.pageSize = 3
	now := time.Now()
	p.cameIn("too old", now.AddDate(0, 0, -30))
	for i := range 10 {
		p.cameIn(fmt.Sprint(i), now.Add(time.Duration(i-10)*time.Minute))
	}
	p.mu.Lock()
	p.add(line, smstest.Member, "ours", "outbound-api", now)
	p.mu.Unlock()
	in := new(smstest.Inbox)
	in.Refuse(1)
	smstest.Start(t, p.gateway, in)
	smstest.Eventually(t, "all are in", func() bool { return len(in.Messages()) == 10 })
	for i, m := range in.Messages() {
		if m.Text != fmt.Sprint(i) || m.From != smstest.Member || m.To != line || m.SentAt.IsZero() {
			t.Errorf("message %d: %+v", i, m)
		}
	}
	p.cameIn("10", now)
	p.meet(fault{status: 500}, fault{status: 500}) // Twilio itself is down for a while
	smstest.Eventually(t, "the next is in", func() bool { return len(in.Messages()) == 11 })
	form := webhookParams(smstest.Message{ID: "SM" + strings.Repeat("9", 32), From: smstest.Member, Text: "by webhook"})
	p.webhook("in", form)
	p.mu.Lock()
	p.add(smstest.Member, line, "by webhook", "inbound", now)
	p.messages[len(p.messages)-1].SID, p.lists = form.Get("MessageSid"), 0
	p.mu.Unlock()
	smstest.Eventually(t, "the list was read again", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.lists > 10
	})
	if len(in.Messages()) != 12 || in.Repeated() != 0 {
		t.Errorf("%d came in, %d repeated, want 12, 0", len(in.Messages()), in.Repeated())
	}
	if !p.gateway.Health().Up {
		t.Errorf("health: %+v", p.gateway.Health())
	}
}

func TestThePasswordDoesNotFollowTheListElsewhere(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("called elsewhere: %v", r.Header)
	}))
	defer elsewhere.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"messages": [], "next_page_uri": "%s/2010-04-01"}`, elsewhere.URL)
	}))
	defer server.Close()
	p := newProvider(t, func(c *twilio.Config) { c.BaseURL = server.URL })
	if _, _, err := p.gateway.Find(t.Context(), outgoing(t, "x"), time.Now()); err == nil {
		t.Error("Find followed a page elsewhere")
	}
}

func TestReportsHaveTheirStates(t *testing.T) {
	p := newProvider(t)
	in := p.start()
	for status, want := range map[string]sms.ReportState{
		"queued": sms.Accepted, "sent": sms.Accepted, "delivered": sms.Delivered, "undelivered": sms.Failed, "failed": sms.Failed, "new": 0,
	} {
		before := len(in.Reports())
		if resp := p.webhook("status?id=K7F2", url.Values{"MessageSid": {"SM1"}, "MessageStatus": {status}, "ErrorCode": {"30003"}}); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", status, resp.Status)
		}
		got := in.Reports()[before:]
		report := sms.Report{Gateway: "tw", ID: "K7F2", ProviderID: "SM1", State: want, Detail: "error 30003"}
		if want == 0 && len(got) != 0 || want != 0 && (len(got) != 1 || got[0] != report) {
			t.Errorf("%s: %+v, want %+v", status, got, report)
		}
	}
}

func TestAConfigurationThatCannotWorkIsRefused(t *testing.T) {
	good := twilio.Config{Name: "tw", AccountSID: account, AuthToken: sms.NewSecret("s3cret"), From: line, PublicURL: public}
	if _, err := twilio.New(good); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*twilio.Config){
		"no name":       func(c *twilio.Config) { c.Name = "" },
		"no account":    func(c *twilio.Config) { c.AccountSID = "" },
		"no token":      func(c *twilio.Config) { c.AuthToken = sms.Secret{} },
		"no sender":     func(c *twilio.Config) { c.From = "" },
		"two senders":   func(c *twilio.Config) { c.MessagingServiceSID = "MG1" },
		"no public_url": func(c *twilio.Config) { c.PublicURL = "" },
		"base_url":      func(c *twilio.Config) { c.BaseURL = "api.twilio.com" },
	} {
		c := good
		change(&c)
		if _, err := twilio.New(c); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	var out bytes.Buffer
	slog.New(slog.NewTextHandler(&out, nil)).Info("gateway", "config", good)
	fmt.Fprintf(&out, "%+v", good)
	if strings.Contains(out.String(), "s3cret") {
		t.Errorf("the token shows: %s", &out)
	}
}

// fuzzGateway runs a gateway that cannot reach Twilio.
func fuzzGateway(t *testing.T) (*provider, *smstest.Inbox) {
	g, err := twilio.New(twilio.Config{
		Name: "tw", AccountSID: account, AuthToken: sms.NewSecret(token), From: line,
		PublicURL: public, BaseURL: "http://127.0.0.1:1",
	})
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{t: t, gateway: g}
	return p, p.start()
}

func FuzzForm(f *testing.F) {
	f.Add("in?k=1", []byte("MessageSid=SM1&From=%2B33639980012&Body=vir+20+%40lena&NumMedia=0"), "4lpZEE9gO5sim+yb99c+Q0J9Dlw=")
	f.Add("status?id=K7F2", []byte("MessageSid=SM1&MessageStatus=delivered&ErrorCode=30003"), "")
	f.Add("in", []byte("Body=%ff;&Body=2&=&&"), "")
	f.Fuzz(func(t *testing.T, target string, body []byte, signature string) {
		at, err := url.Parse("/gateway/tw/" + target)
		if err != nil || !strings.HasPrefix(at.Path, "/gateway/tw/") {
			t.Skip()
		}
		target = strings.TrimPrefix(at.RequestURI(), "/gateway/tw/")
		if _, err := http.NewRequest(http.MethodPost, at.RequestURI(), nil); err != nil || strings.ContainsAny(target, " \r\n") {
			t.Skip()
		}
		p, in := fuzzGateway(t)
		if resp := p.post(target, formType, signature, body); resp.StatusCode == http.StatusOK {
			t.Errorf("accepted without a signature: %q %q %q", target, body, signature)
		}
		params, err := url.ParseQuery(string(body))
		if err != nil {
			return
		}
		p.post(target, formType, sign(token, public+"/gateway/tw/"+target, params), body)
		smstest.CheckIncoming(t, in)
	})
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"MessageSid": "SM9", "From": "+33639980012", "Body": "vir 20 @lena", "NumMedia": 1}`))
	f.Add([]byte(`{"MessageSid": 1e999, "Body": "\ud800", "From": null, "x": [[[[`))
	f.Add([]byte("{\"MessageSid\": \"\xff\"}"))
	f.Fuzz(func(t *testing.T, body []byte) {
		p, in := fuzzGateway(t)
		sum := sha256.Sum256(body)
		target := "in?bodySHA256=" + hex.EncodeToString(sum[:])
		p.post(target, "application/json", sign(token, public+"/gateway/tw/"+target, nil), body)
		smstest.CheckIncoming(t, in)
	})
}
