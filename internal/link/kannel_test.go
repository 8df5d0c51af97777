package link_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"maillon/internal/link"
	"maillon/internal/pki"
	"maillon/internal/sms"
	"maillon/internal/sms/kannel"
	"maillon/internal/sms/kannel/kanneltest"
	"maillon/internal/sms/smstest"
	"maillon/internal/store"
)

// getURL is what the page says Kannel shall ask.
const getURL = "/gw/v1/kannel?from=%p&to=%P&text=%b&id=%I&smsc=%i&time=%T&coding=%c"

// A latePush is there once Kannel is.
type latePush struct {
	to *atomic.Pointer[kannel.Gateway]
}

func (l latePush) Run(ctx context.Context, in sms.Inbox) error {
	for ctx.Err() == nil {
		if g := l.to.Load(); g != nil {
			return g.Run(ctx, in)
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

func (l latePush) Send(ctx context.Context, m sms.Outgoing) (string, error) {
	if l.to.Load() == nil {
		return "", sms.ErrBusy
	}
	return l.to.Load().Send(ctx, m)
}

func (l latePush) Health() sms.Health {
	if l.to.Load() == nil {
		return sms.Health{Since: time.Unix(1, 0)}
	}
	return l.to.Load().Health()
}

// realKannel runs a Kannel before a link, with a certificate or with none.
func realKannel(t *testing.T, b *bench, i *pki.Identity) *kanneltest.Boxes {
	t.Helper()
	setup := kanneltest.Setup{PublicURL: b.url, GetURL: b.url + getURL, Root: b.folder.RootPath()}
	if i != nil {
		text, err := i.EncodePEM()
		if err != nil {
			t.Fatal(err)
		}
		setup.Certificate = filepath.Join(t.TempDir(), "kannel.pem")
		if err := pki.WriteNew(setup.Certificate, text); err != nil {
			t.Fatal(err)
		}
	}
	return kanneltest.StartSetup(t, setup)
}

func TestRealKannelAsksWithItsCertificate(t *testing.T) {
	kanneltest.Need(t)
	b := newBench(t, link.Config{Name: "gw1", Body: true, Network: true})
	i := b.issue("gw1")
	network := realKannel(t, b, &i).RunFakeSMSC()
	texts := []string{"vir 20 @lena", "Reçu — « trugarez » 👍", "a&b=c%20d+e é€"}
	for n, text := range texts {
		network.Inject(smstest.Member, text)
		smstest.Eventually(t, "it is answered: "+text, func() bool {
			sent := network.Sent()
			return len(sent) == n+1 && sent[n].Text == "re: "+text && "+"+sent[n].To == smstest.Member
		})
	}
	got := b.talk.messages()
	if len(got) != len(texts) || got[0].Proof != sms.Network || got[0].To != kanneltest.Line || time.Since(got[0].SentAt).Abs() > time.Minute {
		t.Errorf("%+v came in", got)
	}
	if states := b.states(); slices.ContainsFunc(states, func(s string) bool { return s != store.Accepted }) {
		t.Errorf("the outbox has %v", states)
	}
}

// What Kannel could not bring comes again until we have committed it, and Kannel
// writes nothing of its own to the member.
func TestRealKannelAsksAgainUntilWeHaveCommitted(t *testing.T) {
	kanneltest.Need(t)
	b := newBench(t, link.Config{Name: "gw1", Body: true})
	b.talk.fails = 2
	i := b.issue("gw1")
	network := realKannel(t, b, &i).Connect()
	network.Inject(smstest.Member, "solde")
	smstest.Eventually(t, "it is answered", func() bool { return len(network.Sent()) == 1 })
	if sent := network.Sent(); sent[0].Text != "re: solde" || len(b.talk.messages()) != 1 {
		t.Errorf("the member got %v", sent)
	}
}

func TestRealKannelDoesNotComeInWithoutAGoodCertificate(t *testing.T) {
	kanneltest.Need(t)
	b := newBench(t, link.Config{Name: "gw1", Body: true})
	revoked := b.issue("gw1")
	b.revoke(revoked)
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
	var networks []*kanneltest.Network
	for _, i := range []*pki.Identity{nil, &foreign, &revoked} {
		n := realKannel(t, b, i).Connect()
		n.Inject(smstest.Member, "solde")
		networks = append(networks, n)
	}
	good := b.issue("gw1")
	network := realKannel(t, b, &good).Connect()
	network.Inject(smstest.Member, "solde")
	smstest.Eventually(t, "the good one is answered", func() bool { return len(network.Sent()) == 1 })
	time.Sleep(2 * time.Second) // for the others to have tried again
	if n := len(b.talk.messages()); n != 1 {
		t.Errorf("%d SMS came in, want that of the good one", n)
	}
	for _, n := range networks {
		if sent := n.Sent(); len(sent) != 0 {
			t.Errorf("Kannel wrote to the member: %v", sent)
		}
	}
}

// Kannel does not call a server that its root has not certified.
func TestRealKannelDoesNotCallAnotherServer(t *testing.T) {
	kanneltest.Need(t)
	b := newBench(t, link.Config{Name: "gw1", Body: true})
	i := b.issue("gw1")
	text, err := i.EncodePEM()
	if err != nil {
		t.Fatal(err)
	}
	certificate := filepath.Join(t.TempDir(), "kannel.pem")
	if err := pki.WriteNew(certificate, text); err != nil {
		t.Fatal(err)
	}
	other := pki.Folder{Path: filepath.Join(t.TempDir(), "other")}
	if _, err := other.Init("localhost", "", time.Now()); err != nil {
		t.Fatal(err)
	}
	authority, err := other.Issuer()
	if err != nil {
		t.Fatal(err)
	}
	server, err := authority.Server([]string{"localhost", "127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var called atomic.Int64
	url := b.serve(&tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{server.Certificate.Raw, server.Chain[0].Raw}, PrivateKey: server.Key}}},
		http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called.Add(1) }))
	boxes := kanneltest.StartSetup(t, kanneltest.Setup{PublicURL: url, GetURL: url + getURL, Root: b.folder.RootPath(), Certificate: certificate})
	boxes.Connect().Inject(smstest.Member, "solde")
	time.Sleep(3 * time.Second)
	if called.Load() != 0 {
		t.Error("it told an SMS to a server of another authority")
	}
}

// What answers nothing goes to smsbox over TLS, and its report comes by the link.
func TestRealKannelTakesOverTLSWhatAnswersNothing(t *testing.T) {
	kanneltest.Need(t)
	push := new(atomic.Pointer[kannel.Gateway])
	b := newBench(t, link.Config{Name: "gw1", Body: true, Push: latePush{push}})
	a, err := b.folder.Issuer()
	if err != nil {
		t.Fatal(err)
	}
	// One certificate for both directions would need both usages: Kannel has one
	// file for each.
	i := b.issue("gw1")
	server, err := a.Server([]string{"127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	setup := kanneltest.Setup{
		PublicURL: b.url, GetURL: b.url + getURL, Root: b.folder.RootPath(),
		Certificate: filepath.Join(dir, "kannel.pem"), ServerCertificate: filepath.Join(dir, "server.pem"),
	}
	for path, identity := range map[string]pki.Identity{setup.Certificate: i, setup.ServerCertificate: server} {
		text, err := identity.EncodePEM()
		if err != nil {
			t.Fatal(err)
		}
		if err := pki.WriteNew(path, text); err != nil {
			t.Fatal(err)
		}
	}
	boxes := kanneltest.StartSetup(t, setup)
	network := boxes.RunFakeSMSC()
	root, err := b.folder.Root()
	if err != nil {
		t.Fatal(err)
	}
	c := boxes.Config()
	c.TLS = &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	c.TLS.RootCAs.AddCert(root)
	c.ReportURL = b.url + "/gw/v1/kannel/report"
	k, err := kannel.New(c)
	if err != nil {
		t.Fatal(err)
	}
	push.Store(k)
	b.send("gw1", "une nouvelle")
	smstest.Eventually(t, "the telephone shows it", func() bool {
		sent := network.Sent()
		return len(sent) == 1 && sent[0].Text == "une nouvelle"
	})
	smstest.Eventually(t, "it is reported delivered", func() bool { return slices.Equal(b.states(), []string{store.Delivered}) })
	// And whoever is not certified is sent nothing.
	c.TLS.RootCAs = x509.NewCertPool()
	stranger, err := kannel.New(c)
	if err != nil {
		t.Fatal(err)
	}
	to, err := sms.FromE164(member)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.Send(t.Context(), sms.Outgoing{ID: "m9", To: to, Text: "secret", Validity: time.Minute}); err == nil {
		t.Error("it was sent to a smsbox that nobody certified")
	}
	if got := network.Sent(); len(got) != 1 {
		t.Errorf("the telephone shows %v", got)
	}
}
