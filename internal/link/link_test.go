package link_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"maillon/internal/link"
	"maillon/internal/pki"
	"maillon/internal/sms"
	"maillon/internal/sms/premium"
	"maillon/internal/store"
	"maillon/internal/store/pgtest"
)

// hello is a call that does nothing.
const hello = "/gw/v1/certificate/authority"

func TestOnlyAnAllowedCertificateComesIn(t *testing.T) {
	b := newBench(t, link.Config{Name: "gw1", Body: true})
	good := b.issue("gw1")
	if a := b.must(b.client(good), http.MethodGet, hello, ""); a.tls.Version != tls.VersionTLS13 || !strings.Contains(a.body, "BEGIN CERTIFICATE") {
		t.Errorf("TLS %x, and it got %s", a.tls.Version, a.body)
	}
	other := pki.Folder{Path: filepath.Join(t.TempDir(), "other")}
	if _, err := other.Init("localhost", "", time.Now()); err != nil {
		t.Fatal(err)
	}
	authority, err := other.Issuer()
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := authority.Gateway("gw1", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	revoked := b.issue("gw1")
	b.revoke(revoked)
	for name, c := range map[string]*http.Client{
		"none":                                   b.client(),
		"one of a foreign authority, alike":      b.client(foreign),
		"one that was revoked":                   b.client(revoked),
		"one of ours that stands in no books":    b.client(b.identity("gw1")),
		"one of ours for a server, not a client": b.client(b.server()),
	} {
		if a, err := call(c, http.MethodGet, b.url+hello, ""); err == nil {
			t.Errorf("%s: %d %s, want a handshake that fails", name, a.status, a.body)
		}
	}
	// In the books, but no gateway of the configuration.
	if a, err := call(b.client(b.issue("gw2")), http.MethodGet, b.url+hello, ""); err != nil || a.status != http.StatusForbidden {
		t.Errorf("an unknown gateway: %d, %v, want 403", a.status, err)
	}
}

func (b *bench) server() pki.Identity {
	a, err := b.folder.Issuer()
	if err != nil {
		b.t.Fatal(err)
	}
	i, err := a.Server([]string{"localhost"}, time.Now())
	if err != nil {
		b.t.Fatal(err)
	}
	return i
}

func TestARevokedCertificateIsTurnedAwayOnAnOpenConnection(t *testing.T) {
	b := newBench(t, link.Config{Name: "gw1", Body: true})
	i := b.issue("gw1")
	c := b.client(i)
	b.must(c, http.MethodGet, hello, "")
	b.revoke(i)
	a, err := call(c, http.MethodPost, b.url+"/gw/v1/messages", `{"id":"1","from":"`+member+`","text":"solde"}`)
	if err != nil || a.status != http.StatusForbidden || !strings.Contains(a.body, "certificate_not_allowed") {
		t.Errorf("on the same connection: %d %s, %v, want 403", a.status, a.body, err)
	}
	if got := b.talk.messages(); len(got) != 0 {
		t.Errorf("%d SMS came in", len(got))
	}
	if a, err := call(c, http.MethodGet, b.url+hello, ""); err == nil {
		t.Errorf("on a new one: %d, want a handshake that fails", a.status)
	}
}

// A, then A and B, then B, on one listener that is never restarted.
func TestTheIssuerIsReplacedWithoutARestart(t *testing.T) {
	b := newBench(t, link.Config{Name: "gw1", Body: true})
	old := b.issue("gw1")
	kept := b.client(old)
	b.must(kept, http.MethodGet, hello, "")
	if _, err := b.folder.Rotate("", "", time.Now()); err != nil {
		t.Fatal(err)
	}
	b.must(b.client(old), http.MethodGet, hello, "")
	fresh := b.issue("gw1")
	b.must(b.client(fresh), http.MethodGet, hello, "")
	if _, err := b.folder.Finish(); err != nil {
		t.Fatal(err)
	}
	if a, err := call(b.client(old), http.MethodGet, b.url+hello, ""); err == nil {
		t.Errorf("the old certificate: %d, want a handshake that fails", a.status)
	}
	if a, err := call(kept, http.MethodGet, b.url+hello, ""); err != nil || a.status != http.StatusForbidden {
		t.Errorf("the old certificate on a connection that was open: %d, %v, want 403", a.status, err)
	}
	b.must(b.client(fresh), http.MethodGet, hello, "")
}

// An authority that is damaged turns nobody away who was let in before, and
// counts again once it is mended.
func TestADamagedAuthorityChangesNothing(t *testing.T) {
	b := newBench(t, link.Config{Name: "gw1", Body: true})
	c := b.client(b.issue("gw1"))
	c.Transport.(*http.Transport).DisableKeepAlives = true
	b.must(c, http.MethodGet, hello, "")
	path := filepath.Join(b.folder.Path, "trusted.pem")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("half a fi"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.must(c, http.MethodGet, hello, "")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	b.must(c, http.MethodGet, hello, "")
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	b.must(c, http.MethodGet, hello, "")
	if _, err := link.New(filepath.Join(t.TempDir(), "none"), nil, nil); err == nil {
		t.Error("a link was opened without an authority")
	}
}

func TestAGatewayThatIsAnsweredInItsCallsHasNothingToAskFor(t *testing.T) {
	b := newBench(t, link.Config{Name: "gw1", Body: true})
	c := b.client(b.issue("gw1"))
	for method, path := range map[string]string{http.MethodGet: "/gw/v1/outbox", http.MethodPost: "/gw/v1/outbox/m1/status"} {
		if a, err := call(c, method, b.url+path, `{"status":"sent"}`); err != nil || a.status != http.StatusForbidden || !strings.Contains(a.body, "not_pull") {
			t.Errorf("%s: %d %s, %v, want 403", path, a.status, a.body, err)
		}
	}
}

// What says "admin" gets "gw1": who it is comes from the connection.
func TestAGatewayRenewsItsOwnCertificateAndNoOther(t *testing.T) {
	b := newBench(t, link.Config{Name: "gw1", Body: true}, link.Config{Name: "admin", Body: true})
	c := b.client(b.issue("gw1"))
	key, request := csr(t, "admin")
	a := b.must(c, http.MethodPost, "/gw/v1/certificate/renew", string(request))
	renewed, err := pki.ParseIdentity([]byte(a.body))
	if err != nil {
		t.Fatal(err)
	}
	if _, name, err := pki.GatewayOf(renewed.Certificate); name != "gw1" || err != nil {
		t.Errorf("it got a certificate of %q, %v", name, err)
	}
	renewed.Key = key
	b.must(b.client(renewed), http.MethodGet, hello, "")
	for name, body := range map[string]string{"nothing": "", "noise": "noise", "a certificate": a.body} {
		if a, err := call(c, http.MethodPost, b.url+"/gw/v1/certificate/renew", body); err != nil || a.status != http.StatusBadRequest {
			t.Errorf("%s: %d, %v, want 400", name, a.status, err)
		}
	}
	for n := 0; ; n++ {
		a, err := call(c, http.MethodPost, b.url+"/gw/v1/certificate/renew", string(request))
		if err != nil || n > link.MaxLive {
			t.Fatalf("%d renewals: %v", n, err)
		}
		if a.status == http.StatusTooManyRequests {
			break
		}
	}
}

func csr(t *testing.T, name string) (crypto.Signer, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: name}, URIs: []*url.URL{{Scheme: "spiffe", Host: "localhost", Path: "/gateway/" + name}},
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

func TestNoSessionIsResumed(t *testing.T) {
	b := newBench(t, link.Config{Name: "gw1", Body: true})
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		c := b.client(b.issue("gw1"))
		transport := c.Transport.(*http.Transport)
		transport.TLSClientConfig.MaxVersion = version
		transport.DisableKeepAlives = true
		for range 3 {
			if a := b.must(c, http.MethodGet, hello, ""); a.tls.DidResume {
				t.Errorf("TLS %x: a session was resumed", version)
			}
		}
	}
	old := b.client(b.issue("gw1"))
	old.Transport.(*http.Transport).TLSClientConfig.MaxVersion = tls.VersionTLS11
	if _, err := call(old, http.MethodGet, b.url+hello, ""); err == nil {
		t.Error("TLS 1.1 was accepted")
	}
}

func kannelCall(id, text string) string {
	return "/gw/v1/kannel?" + url.Values{"from": {member}, "to": {line}, "text": {text}, "id": {id}, "smsc": {"line"}}.Encode()
}

func TestKannelGetsTheAnswerInTheBodyAndTheSameOnceMore(t *testing.T) {
	b := newBench(t, link.Config{Name: "gw1", Body: true, Network: true})
	c := b.client(b.issue("gw1"))
	a := b.must(c, http.MethodGet, kannelCall("1", "solde"), "")
	if a.body != "re: solde" {
		t.Errorf("the answer is %q", a.body)
	}
	for range 3 {
		if again := b.must(c, http.MethodGet, kannelCall("1", "solde"), ""); again.body != a.body {
			t.Errorf("called again it gets %q", again.body)
		}
	}
	if two := b.must(c, http.MethodGet, kannelCall("2", "solde"), ""); two.body != "re: solde" {
		t.Errorf("a second SMS is answered %q", two.body)
	}
	got := b.talk.messages()
	if len(got) != 2 || got[0].Proof != sms.Network || got[0].From != member || got[0].To != line || got[0].Gateway != "gw1" {
		t.Errorf("%+v came in", got)
	}
	b.eventually("both answers are accepted", func() bool { return slices.Equal(b.states(), []string{store.Accepted, store.Accepted}) })
}

// One server has the line, and another is called: the answer leaves in the body
// all the same.
func TestTheAnswerFindsACallAtAnotherServer(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { atAnother(t, store.Memory) })
	t.Run("postgres", func(t *testing.T) { atAnother(t, pgtest.New(t)) })
}

func atAnother(t *testing.T, books string) {
	b := newBenchOn(t, books)
	b.several = true
	c := link.Config{Name: "gw1", Body: true}
	b.open(c)
	b.eventually("the first server has the line", func() bool {
		b.send("gw1", "une nouvelle")
		return slices.Contains(b.states(), store.Failed)
	})
	first := b.url
	if books != store.Memory { // which is one process's
		b.db = openBooks(t, books)
	}
	b.open(c)
	client := b.client(b.issue("gw1"))
	for n, url := range []string{first, b.url, b.url} {
		a, err := call(client, http.MethodGet, url+kannelCall(fmt.Sprint("s", min(n, 1)), "solde"), "")
		if err != nil || a.body != "re: solde" {
			t.Errorf("call %d is answered %q, %v", n, a.body, err)
		}
	}
	if n := len(b.talk.messages()); n != 2 {
		t.Errorf("%d SMS came in", n)
	}
}

// Who hangs up and calls again gets what it would have got.
func TestACallThatBreaksOffIsAnsweredWhenItComesAgain(t *testing.T) {
	b := newBench(t, link.Config{Name: "gw1", Body: true})
	slow := make(chan struct{})
	b.talk.answers = func(sms.Incoming) []string { return nil }
	c := b.client(b.issue("gw1"))
	hasty := *c
	hasty.Timeout = 200 * time.Millisecond
	// While it hangs up it may still read that it is to call again.
	if a, err := call(&hasty, http.MethodGet, b.url+kannelCall("1", "solde"), ""); err == nil && a.status != http.StatusServiceUnavailable {
		t.Errorf("it was answered %d %q before it hung up", a.status, a.body)
	}
	go func() {
		defer close(slow)
		time.Sleep(100 * time.Millisecond)
		b.send("gw1", "un peu tard")
	}()
	if a := b.must(c, http.MethodGet, kannelCall("1", "solde"), ""); a.body != "un peu tard" {
		t.Errorf("it is answered %q", a.body)
	}
	<-slow
}

func TestACertificateThatEndsSoonIsTold(t *testing.T) {
	b := newBench(t, link.Config{Name: "gw1", Body: true})
	a, err := b.folder.Issuer()
	if err != nil {
		t.Fatal(err)
	}
	old, err := a.Gateway("gw1", time.Now().Add(-25*24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	b.allow(old)
	b.must(b.client(old), http.MethodGet, hello, "")
	if got := b.gateways["gw1"].Health(); !got.Up || !strings.Contains(got.Detail, "certificate ends on") {
		t.Errorf("its health is %+v", got)
	}
	b.must(b.client(b.issue("gw1")), http.MethodGet, hello, "")
	if got := b.gateways["gw1"].Health(); got.Detail != "" {
		t.Errorf("with a new one its health is %+v", got)
	}
	ended, err := a.Gateway("gw1", time.Now().Add(-pki.LeafLife))
	if err != nil {
		t.Fatal(err)
	}
	b.allow(ended)
	if a, err := call(b.client(ended), http.MethodGet, b.url+hello, ""); err == nil {
		t.Errorf("one that has ended: %d, want a handshake that fails", a.status)
	}
}

// A hundred calls for one SMS are one SMS, and each gets the answer.
func TestManyCallsForOneSMSGetOneAnswer(t *testing.T) {
	b := newBench(t, link.Config{Name: "gw1", Body: true})
	c := b.client(b.issue("gw1"))
	var all sync.WaitGroup
	var mu sync.Mutex
	answers := map[string]int{}
	for range 100 {
		all.Go(func() {
			a, err := call(c, http.MethodGet, b.url+kannelCall("1", "solde"), "")
			mu.Lock()
			defer mu.Unlock()
			answers[fmt.Sprint(a.status, " ", a.body, err)]++
		})
	}
	all.Wait()
	if len(answers) != 1 || answers["200 re: solde<nil>"] != 100 {
		t.Errorf("the answers are %v", answers)
	}
	if n := len(b.talk.messages()); n != 1 {
		t.Errorf("%d SMS came in", n)
	}
	if got := b.states(); !slices.Equal(got, []string{store.Accepted}) {
		t.Errorf("the outbox has %v", got)
	}
}

func TestTwoAnswersToOneSMSLeaveTogether(t *testing.T) {
	b := newBench(t, link.Config{Name: "gw1", Body: true})
	b.talk.answers = func(sms.Incoming) []string { return []string{"un", "deux"} }
	c := b.client(b.issue("gw1"))
	a := b.must(c, http.MethodGet, kannelCall("1", "solde"), "")
	if a.body != "un\ndeux" && a.body != "deux\nun" {
		t.Errorf("the answer is %q", a.body)
	}
}

// What is not committed is called again; nothing is lost and nothing doubled.
func TestWhatCannotBeTakenNowIsCalledAgain(t *testing.T) {
	b := newBench(t, link.Config{Name: "gw1", Body: true})
	c := b.client(b.issue("gw1"))
	b.talk.fails = 2
	for range 2 {
		if a, err := call(c, http.MethodGet, b.url+kannelCall("1", "solde"), ""); err != nil || a.status != http.StatusServiceUnavailable {
			t.Errorf("%d, %v, want 503", a.status, err)
		}
	}
	if a := b.must(c, http.MethodGet, kannelCall("1", "solde"), ""); a.body != "re: solde" {
		t.Errorf("the answer is %q", a.body)
	}
}

// Where only answers leave, what answers nothing fails, and is not kept for the
// next who calls.
func TestWhatAnswersNothingDoesNotLeaveInABody(t *testing.T) {
	b := newBench(t, link.Config{Name: "gw1", Body: true})
	b.send("gw1", "une nouvelle")
	b.eventually("it has failed", func() bool { return slices.Equal(b.states(), []string{store.Failed}) })
	if a := b.must(b.client(b.issue("gw1")), http.MethodGet, kannelCall("1", "solde"), ""); a.body != "re: solde" {
		t.Errorf("the answer is %q", a.body)
	}
}

func TestAnSMSComesWithItsChargeAndItsBillsFollow(t *testing.T) {
	b := newBench(t, link.Config{Name: "gw1", Network: true, Body: true}, link.Config{Name: "sim", Body: true})
	c := b.client(b.issue("gw1"))
	message := `{"id":"1","from":"` + member + `","to":"36000","text":"SOUK","charge":{"currency":"MAD","gross":1000,"net":417,"model":"MT","status":"pending"}}`
	if a := b.must(c, http.MethodPost, "/gw/v1/messages", message); !strings.Contains(a.body, `"reply":"re: SOUK"`) {
		t.Errorf("the answer is %s", a.body)
	}
	want := sms.Charge{Currency: "MAD", Gross: 1000, Net: 417, Model: "MT", State: sms.ChargePending}
	if got := b.talk.messages(); len(got) != 1 || got[0].Charge == nil || *got[0].Charge != want {
		t.Errorf("%+v came in", got)
	}
	b.must(c, http.MethodPost, "/gw/v1/charges/1", `{"status":"confirmed","net":400}`)
	if got := b.talk.bills; len(got) != 1 || got[0] != (sms.Bill{Gateway: "gw1", Key: "1", State: sms.ChargeConfirmed, Net: 400}) {
		t.Errorf("the bills are %+v", got)
	}
	// A SIM in a machine bills nobody.
	for path, body := range map[string]string{"/gw/v1/messages": message, "/gw/v1/charges/1": `{"status":"confirmed"}`} {
		if a, err := call(b.client(b.issue("sim")), http.MethodPost, b.url+path, body); err != nil || a.status != http.StatusForbidden {
			t.Errorf("%s by a SIM: %d, %v, want 403", path, a.status, err)
		}
	}
	for _, body := range []string{"", "{", `{"id":"2"}`, `{"id":"2","from":"x","text":"` + strings.Repeat("a", 9000) + `"}`} {
		if a, err := call(c, http.MethodPost, b.url+"/gw/v1/messages", body); err != nil || a.status != http.StatusBadRequest {
			t.Errorf("%.20s: %d, %v, want 400", body, a.status, err)
		}
	}
	if a, err := call(c, http.MethodPost, b.url+"/gw/v1/messages", strings.Repeat(" ", premium.MaxBody+1)); err == nil && a.status != http.StatusRequestEntityTooLarge {
		t.Errorf("too much: %d, want 413", a.status)
	}
	if n := len(b.talk.messages()); n != 1 {
		t.Errorf("%d SMS came in", n)
	}
}

type list struct{ Data []link.Out }

func (b *bench) outbox(c *http.Client, query string) []link.Out {
	b.t.Helper()
	var l list
	if err := json.Unmarshal([]byte(b.must(c, http.MethodGet, "/gw/v1/outbox"+query, "").body), &l); err != nil {
		b.t.Fatal(err)
	}
	return l.Data
}

func TestAGatewayBehindNATAsksForWhatItShallSend(t *testing.T) {
	b := newBench(t, link.Config{Name: "gw1", Pull: true}, link.Config{Name: "gw2", Pull: true})
	b.send("gw1", "une nouvelle")
	time.Sleep(20 * time.Millisecond)
	if got := b.states(); !slices.Equal(got, []string{store.Queued}) {
		t.Errorf("before it asks, the outbox has %v", got) // so that its backup could help
	}
	c, other := b.client(b.issue("gw1")), b.client(b.issue("gw2"))
	b.outbox(c, "") // from now on it is known to ask
	var there []link.Out
	b.eventually("the message lies there", func() bool {
		there = b.outbox(c, "?wait=5")
		return len(there) == 1
	})
	if there[0].To != member || there[0].Text != "une nouvelle" || there[0].Urgent {
		t.Errorf("there is %+v", there[0])
	}
	if got := b.outbox(c, ""); len(got) != 1 {
		t.Errorf("asked again, there is %v", got) // an answer that was lost costs nothing
	}
	if got := b.outbox(other, ""); len(got) != 0 {
		t.Errorf("another gateway gets %v", got)
	}
	status := "/gw/v1/outbox/" + there[0].ID + "/status"
	if a, err := call(other, http.MethodPost, b.url+status, `{"status":"sending"}`); err != nil || a.status != http.StatusConflict {
		t.Errorf("another gateway sends it: %d, %v, want 409", a.status, err)
	}
	b.must(c, http.MethodPost, status, `{"status":"sending"}`)
	if a, err := call(c, http.MethodPost, b.url+status, `{"status":"sending"}`); err != nil || a.status != http.StatusConflict {
		t.Errorf("sending it twice: %d, %v, want 409", a.status, err)
	}
	if got := b.outbox(c, ""); len(got) != 0 {
		t.Errorf("what is being sent is shown: %v", got)
	}
	b.must(c, http.MethodPost, status, `{"status":"sent"}`)
	b.must(c, http.MethodPost, status, `{"status":"delivered"}`)
	if got := b.states(); !slices.Equal(got, []string{store.Delivered}) {
		t.Errorf("the outbox has %v", got)
	}
	if a, err := call(c, http.MethodPost, b.url+status, `{"status":"perhaps"}`); err != nil || a.status != http.StatusBadRequest {
		t.Errorf("an unknown status: %d, %v, want 400", a.status, err)
	}
}

func TestWhoeverAsksIsToldAtOnce(t *testing.T) {
	b := newBench(t, link.Config{Name: "gw1", Pull: true})
	c := b.client(b.issue("gw1"))
	b.outbox(c, "")
	got := make(chan []link.Out, 1)
	go func() { got <- b.outbox(c, "?wait=20") }()
	time.Sleep(20 * time.Millisecond)
	b.send("gw1", "une nouvelle")
	select {
	case all := <-got:
		if len(all) != 1 {
			t.Errorf("it got %v", all)
		}
	case <-time.After(10 * time.Second):
		t.Error("it was not told")
	}
}

var key = sms.NewSecret("s3cret")

func sign(body string, at time.Time, more ...string) []string {
	h := http.Header{}
	premium.Sign(h, key, []byte(body), at)
	return append([]string{premium.SignatureHeader, h.Get(premium.SignatureHeader), premium.TimeHeader, h.Get(premium.TimeHeader)}, more...)
}

func TestAGatewayWithoutCertificateSigns(t *testing.T) {
	b := newBench(t, link.Config{Name: "phone", Adapter: premium.Phone{Key: key}, Key: key}, link.Config{Name: "box", Key: key, Body: true},
		link.Config{Name: "gw1", Body: true})
	c := b.client()
	event := `{"id":"e1","event":"sms:received","payload":{"messageId":"a","sender":"` + member + `","message":"solde"}}`
	for range 2 { // the second is a repetition: the telephone signs it anew
		if a, err := call(c, http.MethodPost, b.signed+"/gateway/phone/in", event, sign(event, time.Now())...); err != nil || a.status != http.StatusOK {
			t.Errorf("signed: %d %s, %v", a.status, a.body, err)
		}
	}
	if got := b.talk.messages(); len(got) != 1 || got[0].Proof != sms.Forgeable || got[0].Gateway != "phone" {
		t.Errorf("%+v came in", got)
	}
	message := `{"id":"m1","from":"` + member + `","text":"solde"}`
	if a, err := call(c, http.MethodPost, b.signed+"/gw/v1/messages", message, sign(message, time.Now(), link.GatewayHeader, "box")...); err != nil ||
		a.status != http.StatusOK || !strings.Contains(a.body, "re: solde") {
		t.Errorf("by our protocol: %d %s, %v", a.status, a.body, err)
	}
	for name, headers := range map[string][]string{
		"none": {link.GatewayHeader, "box"}, "of something else": sign("x", time.Now(), link.GatewayHeader, "box"),
		"too late": sign(message, time.Now().Add(-6*time.Minute), link.GatewayHeader, "box"), "of nobody": sign(message, time.Now()),
		"of one that has a certificate": sign(message, time.Now(), link.GatewayHeader, "gw1"),
	} {
		if a, err := call(c, http.MethodPost, b.signed+"/gw/v1/messages", message, headers...); err != nil || a.status != http.StatusUnauthorized {
			t.Errorf("a signature %s: %d, %v, want 401", name, a.status, err)
		}
	}
	if a, err := call(c, http.MethodPost, b.signed+"/gateway/phone/in", event, sign(event, time.Now().Add(-6*time.Minute))...); err != nil || a.status != http.StatusUnauthorized {
		t.Errorf("replayed later: %d, %v, want 401", a.status, err)
	}
	_, request := csr(t, "box")
	if a, err := call(c, http.MethodPost, b.signed+"/gw/v1/certificate/renew", string(request), sign(string(request), time.Now(), link.GatewayHeader, "box")...); err != nil ||
		a.status != http.StatusForbidden {
		t.Errorf("a certificate for a signature: %d, %v, want 403", a.status, err)
	}
	// Who signs does not come in where certificates are asked for, even with one.
	if a, err := call(b.client(b.issue("box")), http.MethodPost, b.url+"/gw/v1/messages", message); err != nil || a.status != http.StatusForbidden {
		t.Errorf("with a certificate: %d, %v, want 403", a.status, err)
	}
}

// The log holds nothing of those who write.
func TestTheLogTellsNothingOfPeople(t *testing.T) {
	var out bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
	defer slog.SetDefault(before)
	b := newBench(t, link.Config{Name: "gw1", Body: true})
	b.talk.fails = 1
	c := b.client(b.issue("gw1"))
	for range 2 {
		_, _ = call(c, http.MethodGet, b.url+kannelCall("1", "le secret"), "")
	}
	b.send("gw1", "une nouvelle")
	b.eventually("it has failed", func() bool { return slices.Contains(b.states(), store.Failed) })
	for _, leak := range []string{"39980012", "secret", "nouvelle"} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("%q is in the log:\n%s", leak, out.String())
		}
	}
}
