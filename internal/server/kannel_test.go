package server_test

import (
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/text/encoding/unicode"

	"maillon/internal/courier"
	"maillon/internal/sms"
	"maillon/internal/sms/kannel"
	"maillon/internal/sms/kannel/kanneltest"
	"maillon/internal/sms/smstest"
)

// kannelName is that of the gateway in the URLs of kanneltest.
const kannelName = "k"

func TestKannelCarriesAPayment(t *testing.T) {
	w := newWire(t)
	box := &smsbox{t: t, inURL: strings.Replace(w.url, "//", "//kannel:in-s3cret@", 1) + "/gateway/k/in?id="}
	playStory(t, byKannel(t, w, kannel.Config{
		Name: kannelName, Number: kanneltest.Line, Username: "maillon", Password: sms.NewSecret("out-s3cret"), InPassword: sms.NewSecret("in-s3cret"),
		SendSMSURL: listen(t, w.toNetwork(box)) + "/cgi-bin/sendsms", PublicURL: w.url,
	}, box.write, box.got))
	box.reporting.Wait()
}

// The same through Debian's bearerbox and smsbox, with Kannel's own fake SMSC
// for telephones.
func TestRealKannelCarriesAPayment(t *testing.T) {
	kanneltest.Need(t)
	w := newWire(t)
	boxes := kanneltest.Start(t, w.url)
	phones := boxes.RunFakeSMSC()
	config := boxes.Config()
	smsbox, err := url.Parse(config.SendSMSURL)
	if err != nil {
		t.Fatal(err)
	}
	path := smsbox.Path
	smsbox.Path = ""
	config.SendSMSURL = listen(t, w.toNetwork(httputil.NewSingleHostReverseProxy(smsbox))) + path
	playStory(t, byKannel(t, w, config, func(from sms.Number, text string) { phones.Inject(from.E164(), text) }, phones.Sent))
}

// byKannel is a Kannel at the other end of a wire.
func byKannel(t *testing.T, w *wire, c kannel.Config, write func(sms.Number, string), got func() []smstest.Message) network {
	g, err := kannel.New(c)
	if err != nil {
		t.Fatal(err)
	}
	w.toServer(c.Name, g.Handler())
	return network{
		line:  courier.Line{Name: c.Name, Gateway: g, Number: c.Number},
		write: write, got: got, times: 2, refuse: w.refuse, wire: w,
		hidden: []string{c.Password.Reveal(), c.InPassword.Reveal()},
	}
}

// smsbox is Kannel as its manual describes what it says by HTTP.
type smsbox struct {
	t         *testing.T
	inURL     string
	reporting sync.WaitGroup

	mu      sync.Mutex // held for what follows
	written int
	sent    []smstest.Message
}

// ServeHTTP is sendsms, which tells by and by what became of an SMS.
func (b *smsbox) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(r.Body)
	switch {
	case r.Method == http.MethodGet:
		rw.WriteHeader(http.StatusNotFound)
		return
	case err != nil, r.Header.Get("X-Kannel-Username") != "maillon", r.Header.Get("X-Kannel-Password") != "out-s3cret":
		rw.WriteHeader(http.StatusForbidden)
		return
	}
	if r.Header.Get("X-Kannel-Coding") != "0" {
		b.t.Errorf("left with coding %s, which costs more than GSM-7: %q", r.Header.Get("X-Kannel-Coding"), text)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent = append(b.sent, smstest.Message{To: r.Header.Get("X-Kannel-To"), Text: string(text)})
	report := r.Header.Get("X-Kannel-DLR-Url")
	b.reporting.Go(func() {
		for _, state := range []string{"8", "1"} {
			b.insist(http.MethodGet, strings.ReplaceAll(report, "%d", state), nil, "")
		}
	})
	rw.WriteHeader(http.StatusAccepted)
}

func (b *smsbox) got() []smstest.Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]smstest.Message(nil), b.sent...)
}

// write posts an SMS, in UTF-16BE if GSM has no letters for it.
func (b *smsbox) write(from sms.Number, text string) {
	b.mu.Lock()
	b.written++
	id := "id" + strconv.Itoa(b.written)
	b.mu.Unlock()
	header := http.Header{
		"Content-Type": {"text/plain; charset=UTF-8"}, "X-Kannel-From": {from.E164()[1:]}, "X-Kannel-To": {kanneltest.Line},
		"X-Kannel-Time": {time.Now().UTC().Format("2006-01-02 15:04:05")}, "X-Kannel-Coding": {"0"},
	}
	if sms.AlphabetOf(text) == sms.UCS2 {
		header.Set("Content-Type", "text/plain; charset=UTF-16BE")
		header.Set("X-Kannel-Coding", "2")
		text, _ = unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM).NewEncoder().String(text)
	}
	if answer := b.insist(http.MethodPost, b.inURL+id, header, text); answer != "" {
		b.t.Errorf("the answer has a text, which Kannel would send: %q", answer)
	}
}

// insist calls the server until it answers 200, as smsbox does, and returns the
// body of that answer.
func (b *smsbox) insist(method, target string, header http.Header, body string) string {
	return insist(b.t, func() (*http.Request, error) {
		r, err := http.NewRequest(method, target, strings.NewReader(body))
		if err == nil && header != nil {
			r.Header = header
		}
		return r, err
	})
}
