package teller_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"maillon/internal/courier"
	"maillon/internal/money"
	"maillon/internal/phrase"
	"maillon/internal/server"
	"maillon/internal/setting"
	"maillon/internal/sms"
	"maillon/internal/sms/kannel"
	"maillon/internal/sms/twilio"
	"maillon/internal/sms/virtual"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// The numbers of these tests.
const (
	yann     = "+33639980001" // a member with 100 m
	lena     = "+33639980002" // another
	nobody   = "+33639980090" // has no account
	ownLine  = "+33644638000"
	ownLine2 = "0644638000" // the same, as people write it
)

// An office is a server in memory to which anything may be sent.
type office struct {
	*server.Server
	t    testing.TB
	seen int64 // of the outbox
	key  int
}

func newOffice(t testing.TB) *office {
	t.Helper()
	return newOfficeWith(t, nil)
}

func newOfficeWith(t testing.TB, settings map[string]string) *office {
	t.Helper()
	book, err := phrase.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	set := setting.Default()
	for key, value := range settings {
		if err := set.Set(key, value); err != nil {
			t.Fatal(err)
		}
	}
	lines := []courier.Line{{Name: "own", Gateway: virtual.New("own"), Number: ownLine}} // nobody runs it: what is sent stays in the outbox
	s, err := server.Open(context.Background(), server.Config{Path: store.Memory, Secret: store.Secret{1}, Settings: set, Book: book, Lines: lines})
	if err != nil {
		t.Fatal(err)
	}
	o := &office{Server: s, t: t}
	o.register(yann, "yann")
	o.register(lena, "lena")
	o.sent()
	return o
}

func (o *office) close() {
	if err := o.Close(); err != nil {
		o.t.Error(err)
	}
}

func (o *office) register(e164, nick string) {
	o.t.Helper()
	ctx := context.Background()
	err := o.DB.Update(ctx, func(tx *store.Tx) error {
		number, err := sms.FromE164(e164)
		if err != nil {
			return err
		}
		m, err := o.Treasury.Add(ctx, tx, treasury.Operator, treasury.NewMember{Number: number, Nick: nick})
		if err != nil {
			return err
		}
		_, err = o.Treasury.Grant(ctx, tx, treasury.Operator, nil, m, sms.Number{}, money.New(100, o.Settings.Currency()), "pour commencer")
		return err
	})
	if err != nil {
		o.t.Fatal(err)
	}
}

// receive brings in one SMS and returns what was sent because of it.
func (o *office) receive(m sms.Incoming) []store.Out {
	o.t.Helper()
	o.key++
	m.Gateway, m.Key = "own", fmt.Sprint(o.key)
	if err := o.Teller.Receive(context.Background(), m); err != nil {
		o.t.Fatalf("Receive: %v", err)
	}
	return o.sent()
}

// maxSent is how many answers one look expects at most.
const maxSent = 1000

// sent returns what was put into the outbox since the last look. Every one of
// them is one SMS in GSM-7.
func (o *office) sent() (outs []store.Out) {
	o.t.Helper()
	err := o.DB.View(context.Background(), func(tx *store.Tx) (err error) {
		outs, err = tx.Outbox(context.Background(), o.seen, maxSent)
		return err
	})
	if err != nil {
		o.t.Fatal(err)
	}
	for _, out := range outs {
		o.seen = out.ID
		if units, n := sms.Segments(out.Text); n != 1 || units > 160 || sms.AlphabetOf(out.Text) != sms.GSM7 {
			o.t.Errorf("sent %q: %d units in %d SMS", out.Text, units, n)
		}
		if out.To.E164() == ownLine {
			o.t.Errorf("sent to our own line: %q", out.Text)
		}
	}
	return outs
}

// untouched checks that nobody has more or less than in the beginning, and that
// nothing was put aside: the program failed on none of it.
func (o *office) untouched() {
	o.t.Helper()
	o.balances()
	err := o.DB.View(context.Background(), func(tx *store.Tx) error {
		alerts, err := tx.OpenAlerts(context.Background())
		if alerts != 0 {
			o.t.Errorf("%d alerts were raised", alerts)
		}
		return err
	})
	if err != nil {
		o.t.Fatal(err)
	}
}

// balances checks that everybody still has what they had.
func (o *office) balances() {
	o.t.Helper()
	err := o.DB.View(context.Background(), func(tx *store.Tx) error {
		return tx.AllAccounts(context.Background(), func(a store.AccountRow) error {
			if a.Member != 0 && a.Balance.Minor() != 100 || a.Held.Minor() != 0 {
				o.t.Errorf("member %d has %s, %s of it held", a.Member, a.Balance, a.Held)
			}
			return nil
		})
	})
	if err != nil {
		o.t.Fatal(err)
	}
}

// octets returns n random octets, always the same.
func octets(n int) string {
	r := rand.NewChaCha8([32]byte{9})
	b := make([]byte, n)
	_, _ = r.Read(b)
	return string(b)
}

const notUnderstood = "Pas compris, rien n'a été fait."

// A member may send anything: a clear answer or none, one SMS, nothing paid.
func TestAnythingThatAMemberSends(t *testing.T) {
	for what, test := range map[string]struct {
		in   sms.Incoming
		want string // how the one answer begins; "" is silence
	}{
		"nothing":                    {sms.Incoming{Text: ""}, ""},
		"blanks and empty lines":     {sms.Incoming{Text: " \t\n\r\n\u00a0\u200b\n"}, ""},
		"one MB of random octets":    {sms.Incoming{Text: octets(1 << 20)}, notUnderstood},
		"one MB of one letter":       {sms.Incoming{Text: strings.Repeat("a", 1<<20)}, notUnderstood},
		"one MB of digits":           {sms.Incoming{Text: strings.Repeat("1", 1<<20)}, notUnderstood},
		"one MB of words":            {sms.Incoming{Text: strings.Repeat("vir ", 1<<18)}, "VIR montant destinataire"},
		"one MB of empty lines":      {sms.Incoming{Text: strings.Repeat("\n", 1<<20)}, ""},
		"one MB of what is invalid":  {sms.Incoming{Text: strings.Repeat("\xff", 1<<20)}, ""},
		"invalid UTF-8":              {sms.Incoming{Text: "\xc3\x28\xa0\xa1 bonjour \xf0\x28\x8c\xbc"}, notUnderstood},
		"replacement characters":     {sms.Incoming{Text: "\ufffd\ufffd\ufffd"}, ""},
		"an emoji":                   {sms.Incoming{Text: "👍"}, ""},
		"emoji of many parts":        {sms.Incoming{Text: "👩‍👩‍👧‍👦 🏴‍☠️ 🇫🇷"}, ""},
		"a word among emoji":         {sms.Incoming{Text: "👍 bonjour 🎉"}, notUnderstood},
		"an order with emoji":        {sms.Incoming{Text: "vir 5 @lena 🥖"}, "Payer 5 m à lena"},
		"text from right to left":    {sms.Incoming{Text: "مرحبا كيف حالك"}, notUnderstood},
		"text turned around":         {sms.Incoming{Text: "\u202evir 5 @lena\u202c"}, "Payer 5 m à lena"},
		"accents without end":        {sms.Incoming{Text: "z" + strings.Repeat("\u0301", 2000)}, notUnderstood},
		"ten parts of prose":         {sms.Incoming{Text: strings.Repeat("Bonjour a tous, ", 100)}, notUnderstood},
		"an order and nine parts":    {sms.Incoming{Text: "vir 5 @lena " + strings.Repeat("merci ", 266)}, "Payer 5 m à lena"},
		"a long amount":              {sms.Incoming{Text: "vir " + strings.Repeat("9", 400) + " @lena"}, "VIR montant destinataire"},
		"a long pseudo":              {sms.Incoming{Text: "vir 5 @" + strings.Repeat("lena", 300)}, "Pas de membre lenalenalena."},
		"NUL":                        {sms.Incoming{Text: "\x00\x00\x00"}, ""},
		"NUL between letters":        {sms.Incoming{Text: "so\x00lde"}, notUnderstood},
		"NUL between words":          {sms.Incoming{Text: "vir\x005\x00@lena"}, "Payer 5 m à lena"},
		"control characters":         {sms.Incoming{Text: "\x01\x02\x03solde\x1b\x7f"}, "Solde: 100 m."},
		"an MMS":                     {sms.Incoming{Text: "vir 5 @lena", Media: true}, notUnderstood},
		"an MMS without text":        {sms.Incoming{Media: true}, notUnderstood},
		"SQL":                        {sms.Incoming{Text: "'; DROP TABLE member; --"}, notUnderstood},
		"a template":                 {sms.Incoming{Text: "vir 5 @lena {bal} [[x]] %s %n"}, "Payer 5 m à lena"},
		"a premium number to pay":    {sms.Incoming{Text: "vir 5 0899123456"}, "0899123456"},
		"a short code to pay":        {sms.Incoming{Text: "vir 5 36000"}, "Numéro incomplet: 36000"},
		"our own line to pay":        {sms.Incoming{Text: "vir 5 " + ownLine2}, ownLine2},
		"a time stamp of 1970":       {sms.Incoming{Text: "vir 5 @lena", SentAt: time.Unix(0, 0)}, "SMS arrivé avec"},
		"a time stamp of the future": {sms.Incoming{Text: "vir 5 @lena", SentAt: time.Now().AddDate(50, 0, 0)}, "Payer 5 m à lena"},
		"a sender with blanks":       {sms.Incoming{From: "06 39 98 00 01", Text: "solde"}, "Solde: 100 m."},
	} {
		t.Run(what, func(t *testing.T) {
			o := newOffice(t)
			defer o.close()
			if test.in.From == "" {
				test.in.From = yann
			}
			began := time.Now()
			outs := o.receive(test.in)
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
			switch {
			case test.want == "" && len(outs) > 0, len(outs) > 1:
				t.Errorf("answered %d times, %q", len(outs), outs[0].Text)
			case test.want != "" && (len(outs) != 1 || !strings.HasPrefix(outs[0].Text, test.want)):
				t.Errorf("answered %v, want %q", outs, test.want)
			case len(outs) == 1 && outs[0].To.E164() != yann:
				t.Errorf("answered to %v", outs[0].To)
			}
			o.untouched()
			if outs := o.receive(sms.Incoming{From: yann, Text: "solde"}); len(outs) != 1 {
				t.Errorf("afterwards the balance is answered %d times", len(outs))
			}
		})
	}
}

// Some senders are never answered: nobody is there, or answering costs.
func TestSendersThatAreNotAnswered(t *testing.T) {
	o := newOffice(t)
	defer o.close()
	for what, from := range map[string]string{
		"letters": "INFO", "letters and digits": "Free2Mail", "a short code": "36000", "a long short code": "3669912", "nothing": "",
		"blanks": "  ", "our own line": ownLine, "our own line, as people write it": ownLine2, "a premium number": "0899123456",
		"a premium number abroad": "+979123456789", "a fixed line": "0298000001", "too many digits": "+336399800011234567890",
		"one MB": strings.Repeat("0", 1<<20), "random octets": octets(40), "an address": "yann@example.org", "NUL": "\x00", "a URI": "sip:yann@example.org",
	} {
		for _, text := range []string{"solde", "vir 5 @lena", "perdu @lena", "bonjour", ""} {
			if outs := o.receive(sms.Incoming{From: from, Text: text}); len(outs) > 0 {
				t.Errorf("%s: %q is answered %q", what, text, outs[0].Text)
			}
		}
	}
	o.untouched()
}

// robot answers every SMS with one of its own, after a moment, for some hours,
// and returns how many it got from us in each of them.
func (o *office) robot(from string, pause time.Duration, hours int, says func(heard string) string) []int {
	got := make([]int, hours)
	began, heard := time.Now(), ""
	for time.Since(began) < time.Duration(hours)*time.Hour {
		outs := o.receive(sms.Incoming{From: from, Text: says(heard), SentAt: time.Now()})
		got[int(time.Since(began)/time.Hour)] += len(outs)
		if len(outs) > 0 {
			heard = outs[0].Text
		}
		time.Sleep(pause)
	}
	return got
}

// Two robots that answer each other cost little: some answers, then silence for
// an hour, however often the other writes.
func TestTwoRobotsDoNotTalkForEver(t *testing.T) {
	for what, says := range map[string]func(string) string{
		"away from home":    func(string) string { return "Je suis en vacances, je lirai votre message a mon retour." },
		"echoes":            func(heard string) string { return heard },
		"asks its balance":  func(string) string { return "solde" },
		"orders":            func(string) string { return "vir 5 @lena" },
		"orders ever more":  countingOrders(),
		"reports its phone": func(string) string { return "perdu @lena" },
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t)
				defer o.close()
				for hour, n := range o.robot(yann, 4*time.Second, 2, says) {
					if n > 20 {
						t.Errorf("%d answers in hour %d to a fast robot", n, hour)
					}
				}
				o.untouched()
			})
		})
	}
}

// One that is slower than the flood limit is not answered for ever either.
func TestASlowRobotIsNotAnsweredForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t)
		defer o.close()
		sum := 0
		for _, n := range o.robot(yann, time.Minute, 24, countingOrders()) { // parts of two local days
			sum += n
		}
		if sum > 2*301 {
			t.Errorf("%d answers in 24 hours", sum)
		}
		o.untouched()
	})
}

func countingOrders() func(string) string {
	n := 0
	return func(string) string { n++; return fmt.Sprintf("vir %d @lena", n%40+1) }
}

// A flood from a thousand numbers that have no account costs 20 SMS a day,
// whatever it says, and members do not notice it.
func TestAFloodOfStrangers(t *testing.T) {
	for what, text := range map[string]string{"greets": "bonjour", "says nothing": ""} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t)
				defer o.close()
				time.Sleep(12 * time.Hour) // to noon: the day of the association is not that of the clock
				for day := range 2 {
					n := 0
					for i := range 1000 {
						for range 2 {
							n += len(o.receive(sms.Incoming{From: fmt.Sprintf("+336%08d", 10_000_000+i), Text: text}))
						}
					}
					if n > 20 {
						t.Errorf("day %d: %d answers to strangers", day, n)
					}
					if outs := o.receive(sms.Incoming{From: yann, Text: "solde"}); len(outs) != 1 {
						t.Errorf("day %d: a member is answered %d times", day, len(outs))
					}
					time.Sleep(24 * time.Hour)
				}
				o.untouched()
			})
		})
	}
}

// One who has lost a phone borrows another; hundreds of numbers that say so are
// a robot.
func TestAFloodOfLostPhones(t *testing.T) {
	o := newOffice(t)
	defer o.close()
	n := 0
	for i := range 500 {
		n += len(o.receive(sms.Incoming{From: fmt.Sprintf("+336%08d", 10_000_000+i), Text: "perdu @lena"}))
	}
	if n == 0 || n > 100 {
		t.Errorf("%d answers about lost phones", n)
	}
	o.untouched()
}

// gateway runs a gateway whose SMS the office receives, until the test ends.
func (o *office) gateway(g sms.Gateway) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = g.Run(ctx, inbox{o})
	}()
	o.t.Cleanup(func() { cancel(); <-done })
	for range 1000 {
		if g.Health().Since.IsZero() {
			time.Sleep(time.Millisecond)
		}
	}
}

type inbox struct{ *office }

func (i inbox) Receive(ctx context.Context, m sms.Incoming) error { return i.Teller.Receive(ctx, m) }
func (i inbox) Report(context.Context, sms.Report) error          { return nil }

// What comes through the doors of the gateways is no better: whatever the body,
// an HTTP status, no money moved, and the next SMS is answered.
func TestAnythingThatComesByWebhook(t *testing.T) {
	bodies := map[string]string{
		"one MB of random octets": octets(1 << 20), "invalid UTF-8": "\xff\xfe\x00vir 5 @lena", "emoji": "👍🏽",
		"ten parts": strings.Repeat("Bonjour a tous, ", 100), "NUL": "\x00", "nothing": "",
	}
	senders := []string{yann, "INFO", "36000", ownLine, nobody, "0899123456", "\x00", strings.Repeat("9", 1000)}
	for name, post := range map[string]func(o *office) func(id, from, body string) int{"kannel": byKannel, "twilio": byTwilio} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t)
			t.Cleanup(o.close)
			call := post(o)
			id := 0
			for what, body := range bodies {
				for _, from := range senders {
					id++
					status := call(fmt.Sprintf("SM%d", id), from, body)
					want := http.StatusOK
					if len(body) > 64<<10 {
						want = http.StatusRequestEntityTooLarge
					}
					if status != want {
						t.Errorf("%s from %.20q: HTTP %d, want %d", what, from, status, want)
					}
				}
			}
			o.sent()
			o.untouched()
			if status := call("SMlast", lena, "solde"); status != http.StatusOK || len(o.sent()) != 1 {
				t.Errorf("afterwards: HTTP %d", status)
			}
		})
	}
}

func byKannel(o *office) func(id, from, body string) int {
	g, err := kannel.New(kannel.Config{Name: "k", SendSMSURL: "http://127.0.0.1:1", Username: "u", Password: sms.NewSecret("p"), InPassword: sms.NewSecret("in")})
	if err != nil {
		o.t.Fatal(err)
	}
	o.gateway(g)
	handler := g.Handler()
	return func(id, from, body string) int {
		r := httptest.NewRequest(http.MethodPost, "/gateway/k/in?id="+id, strings.NewReader(body))
		r.SetBasicAuth("kannel", "in")
		r.Header["X-Kannel-From"] = []string{from}
		r.Header.Set("Content-Type", "text/plain; charset=UTF-8")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w.Code
	}
}

func byTwilio(o *office) func(id, from, body string) int {
	const public, token = "https://maillon.example.org", "token"
	g, err := twilio.New(twilio.Config{Name: "tw", AccountSID: "AC1", AuthToken: sms.NewSecret(token), From: ownLine, PublicURL: public, BaseURL: "http://127.0.0.1:1"})
	if err != nil {
		o.t.Fatal(err)
	}
	o.gateway(g)
	handler := g.Handler()
	return func(id, from, body string) int {
		form := url.Values{"MessageSid": {id}, "From": {from}, "Body": {body}, "NumMedia": {"0"}}
		mac := hmac.New(sha1.New, []byte(token))
		_, _ = io.WriteString(mac, public+"/gateway/tw/in")
		for _, name := range slices.Sorted(maps.Keys(form)) {
			_, _ = io.WriteString(mac, name+form.Get(name))
		}
		r := httptest.NewRequest(http.MethodPost, "/gateway/tw/in", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("X-Twilio-Signature", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w.Code
	}
}

// textsOfOffice is how many texts one office gets when fuzzing.
const textsOfOffice = 500

// FuzzReceive sends any text from any sender, from a member and from a stranger:
// it is never an error, no money moves without its code, and what is sent fits
// one SMS.
func FuzzReceive(f *testing.F) {
	for _, text := range []string{
		"solde", "vir=50 num=0639980090", "vir 5 @lena pain", "50 @lena", "oui 482913", "482 913", "non", "annule K7F2", "rends K7F2", "histo 2", "pseudo Zoe",
		"demande 5 @lena", "perdu @lena 7304", "carte 7304", "fermer", "langue en", "mot tulipe", "vol", "credite 5 @lena x", "gele lena", "caisse 28/03", "\xff\x00👍",
	} {
		f.Add(yann, text, false)
		f.Add("INFO", text, true)
	}
	// An office for each text would spend all the time on opening it; what was
	// sent before is only another way to begin.
	var o *office
	used := 0
	f.Fuzz(func(t *testing.T, from, text string, media bool) {
		if o == nil || used%textsOfOffice == 0 {
			if o != nil {
				o.close()
			}
			o = newOfficeWith(t, map[string]string{"flood": "1000000/min", "stranger": "1000/day/number,1000000/day"})
		}
		used++
		o.t = t
		for _, from := range []string{from, yann, nobody} {
			if outs := o.receive(sms.Incoming{From: from, Text: text, Media: media}); len(outs) > 2 {
				t.Errorf("answered %d times", len(outs))
			}
		}
		o.balances()
	})
}
