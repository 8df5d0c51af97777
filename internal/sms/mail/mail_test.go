package mail_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"maillon/internal/sms"
	"maillon/internal/sms/mail"
	"maillon/internal/sms/mail/mailtest"
	"maillon/internal/sms/smstest"
)

const lena = "lena@association.example"

// book is an address book with one member in it.
type book struct {
	mu   sync.Mutex
	last map[sms.Address]sms.Heading
}

func (b *book) Correspondent(_ context.Context, to sms.Number, at sms.Address) (sms.Correspondent, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if at.IsZero() {
		if to.E164() != smstest.Member {
			return sms.Correspondent{}, sms.ErrNoAddress
		}
		at = address(lena)
	}
	return sms.Correspondent{Address: at, Last: b.last[at]}, nil
}

func (b *book) Note(_ context.Context, from sms.Address, h sms.Heading) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.last == nil {
		b.last = map[sms.Address]sms.Heading{}
	}
	b.last[from] = h
	return nil
}

func address(text string) sms.Address {
	a, err := sms.ParseAddress(text)
	if err != nil {
		panic(err)
	}
	return a
}

// A bench is a gateway, a zone that signs, and a smarthost.
type bench struct {
	*testing.T
	zone    *mailtest.Zone
	host    *mailtest.Smarthost
	config  mail.Config
	gateway *mail.Gateway
	inbox   *smstest.Inbox
	at      net.Addr
}

func newBench(t *testing.T, change ...func(*bench)) *bench {
	b := &bench{T: t, zone: new(mailtest.Zone), host: mailtest.NewSmarthost(t), inbox: new(smstest.Inbox)}
	b.config = mail.Config{
		Name: "mail", Address: address(mailtest.Ours), Title: "Penn Rustin'", Listen: "127.0.0.1:0",
		Smarthost: b.host.Addr, Username: b.host.User, Password: sms.NewSecret(b.host.Pass), Roots: b.host.Roots,
		LookupTXT: b.zone.LookupTXT,
	}
	for _, c := range change {
		c(b)
	}
	var err error
	if b.gateway, err = mail.New(b.config); err != nil {
		t.Fatal(err)
	}
	b.gateway.Consult(new(book))
	return b
}

func (b *bench) start() *bench {
	smstest.Start(b, b.gateway, b.inbox)
	b.at = b.gateway.Addr()
	return b
}

// bring delivers a letter and returns what is answered.
func (b *bench) bring(raw []byte) error { return mailtest.Deliver(b.at, lena, mailtest.Ours, raw) }

// taken fails the test unless a letter is taken, with one effect more.
func (b *bench) taken(what string, raw []byte) {
	b.Helper()
	before := len(b.inbox.Messages())
	if err := b.bring(raw); err != nil {
		b.Errorf("%s: %v", what, err)
	}
	if n := len(b.inbox.Messages()); n != before+1 {
		b.Errorf("%s: %d letters had an effect, want one", what, n-before)
	}
}

// refused fails the test unless a letter is refused with a code, without effect.
func (b *bench) refused(what string, raw []byte, code int, enhanced smtp.EnhancedCode) {
	b.Helper()
	before := len(b.inbox.Messages())
	var said *smtp.SMTPError
	if err := b.bring(raw); !errors.As(err, &said) || said.Code != code || said.EnhancedCode != enhanced || len(said.Message) < 20 {
		b.Errorf("%s: %v, want %d %v and why", what, err, code, enhanced)
	}
	if n := len(b.inbox.Messages()); n != before {
		b.Errorf("%s: it had an effect", what)
	}
}

// dropped fails the test unless a letter is taken and has no effect.
func (b *bench) dropped(what string, raw []byte) {
	b.Helper()
	before := len(b.inbox.Messages())
	if err := b.bring(raw); err != nil {
		b.Errorf("%s: %v", what, err)
	}
	if n := len(b.inbox.Messages()); n != before {
		b.Errorf("%s: it had an effect", what)
	}
}

var unsigned = smtp.EnhancedCode{5, 7, 20}

func TestSuite(t *testing.T) {
	smstest.Suite(t, func(t *testing.T) smstest.Bench {
		b := newBench(t)
		return smstest.Bench{
			Gateway: b.gateway,
			From:    lena,
			Deliver: func(m smstest.Message) bool {
				raw := b.zone.Write(t, mailtest.Letter{From: lena, ID: m.ID, Text: m.Text})
				return mailtest.Deliver(b.gateway.Addr(), lena, mailtest.Ours, raw) == nil
			},
			Sent: func() (all []smstest.Message) {
				for _, l := range b.host.Letters() {
					to := l.To
					if to == lena {
						to = smstest.Member
					}
					all = append(all, smstest.Message{To: to, Text: l.Text})
				}
				return all
			},
			Meet: b.host.Meet,
		}
	})
}

func TestALetterSignedByItsDomainIsTaken(t *testing.T) {
	b := newBench(t).start()
	b.taken("Ed25519", b.zone.Write(t, mailtest.Letter{From: "Léna <" + lena + ">", Text: "solde"}))
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	b.zone.SetKey(t, "old.example", key)
	b.taken("RSA", b.zone.Write(t, mailtest.Letter{From: "Yann@Old.Example", Text: "solde"}))
	m := b.inbox.Messages()
	if m[0].From != lena || m[1].From != "yann@old.example" || m[0].Text != "solde" || m[0].To != mailtest.Ours || m[0].Proof != sms.Signed || m[0].SentAt.IsZero() {
		t.Errorf("came in: %+v", m)
	}
	b.taken("signed by the organisation", b.zone.Sign(t, "association.example", mailtest.Letter{From: "lena@list.association.example"}.Bytes()))
	b.taken("one good signature among others",
		b.zone.Sign(t, "forwarder.example", b.zone.Write(t, mailtest.Letter{From: lena, Text: "solde"})))
}

func TestALetterThatProvesNothingIsRefused(t *testing.T) {
	b := newBench(t).start()
	l := mailtest.Letter{From: lena, Subject: "solde", Text: "vir 5 @yann"}
	b.refused("unsigned", l.Bytes(), 550, unsigned)
	b.refused("signed by another domain", b.zone.Sign(t, "thief.example", l.Bytes()), 550, unsigned)
	b.refused("signed by a domain above all", b.zone.Sign(t, "example", l.Bytes()), 550, unsigned)
	good := string(b.zone.Write(t, l))
	header, _, _ := strings.Cut(good, "\r\n\r\n")
	b.refused("another body", []byte(header+"\r\n\r\ndmlyIDUwMCBAdm9sZXVy\r\n"), 550, unsigned)
	b.refused("another subject", []byte(strings.Replace(good, "Subject: solde", "Subject: histo", 1)), 550, unsigned)
	b.refused("a second From", []byte("From: yann@association.example\r\n"+good), 550, unsigned)
	b.refused("a second Subject", []byte("Subject: vir 500 @voleur\r\n"+good), 550, unsigned)
	b.refused("two senders", b.zone.Sign(t, "association.example", []byte(strings.Replace(string(l.Bytes()), "From: "+lena, "From: "+lena+", y@association.example", 1))), 550, unsigned)
	b.refused("a result that somebody else wrote", []byte("Authentication-Results: mx.example; dkim=pass header.d=association.example\r\n"+string(l.Bytes())), 550, unsigned)
	for _, field := range []string{"Subject", "Date", "Message-ID"} {
		signed := slices.DeleteFunc(slices.Clone(mailtest.Fields), func(f string) bool { return f == field })
		b.refused(field+" not signed", b.zone.Sign(t, "association.example", l.Bytes(), signed...), 550, unsigned)
	}
	b.refused("half of the body signed", []byte(strings.Replace(good, "; bh=", "; l=4; bh=", 1)), 550, unsigned)
	l.Date = time.Now().Add(-4 * 24 * time.Hour)
	b.refused("an old letter", b.zone.Write(t, l), 550, unsigned)
	l.Date = time.Now().Add(2 * time.Hour)
	b.refused("a letter of tomorrow", b.zone.Write(t, l), 550, unsigned)
	b.refused("a header that two could read in two ways", []byte("From : x@association.example\r\n"+good), 550, smtp.EnhancedCode{5, 6, 0})
	b.Log(b.bring(l.Bytes()))
}

// A domain may want to speak for itself alone.
func TestAStrictDomainSpeaksForItselfAlone(t *testing.T) {
	b := newBench(t).start()
	sub := mailtest.Letter{From: "lena@mail.association.example", Text: "solde"}
	b.zone.Put("_dmarc.association.example", "v=DMARC1; p=reject; adkim=r")
	b.taken("relaxed", b.zone.Sign(t, "association.example", sub.Bytes()))
	b.zone.Put("_dmarc.association.example", "v=DMARC1; p=reject; adkim=s")
	b.refused("strict", b.zone.Sign(t, "association.example", sub.Bytes()), 550, unsigned)
	b.taken("strict and the same", b.zone.Write(t, sub))
	b.zone.Put("_dmarc.mail.association.example", "v=DMARC1; p=none")
	b.taken("its own record first", b.zone.Sign(t, "association.example", sub.Bytes()))
	b.zone.Put("_dmarc.mail.association.example", "v=DMARC1; p=none; adkim=what")
	b.refused("a record that cannot be read", b.zone.Sign(t, "association.example", sub.Bytes()), 550, unsigned)
	b.zone.Break("_dmarc.mail.association.example", true)
	b.refused("a record that cannot be had", b.zone.Sign(t, "association.example", sub.Bytes()), 451, smtp.EnhancedCode{4, 7, 5})
}

func TestADNSInTroubleIsAskedAgain(t *testing.T) {
	b := newBench(t).start()
	l := b.zone.Write(t, mailtest.Letter{From: lena, Text: "solde"})
	b.zone.Break(mailtest.KeyName("association.example"), true)
	b.refused("no key for now", l, 451, smtp.EnhancedCode{4, 7, 5})
	b.zone.Break(mailtest.KeyName("association.example"), false)
	b.taken("the same letter", l)
}

// What a thief or a server repeats has one effect, whatever he changes in what
// is not signed.
func TestARepeatedLetterHasOneEffect(t *testing.T) {
	b := newBench(t).start()
	good := string(b.zone.Write(t, mailtest.Letter{From: lena, Text: "vir 5 @yann"}))
	b.taken("the letter", []byte(good))
	b.dropped("again", []byte(good))
	b.dropped("by another way", []byte("Received: from thief.example\r\nX-Any: thing\r\n"+good))
	header, body, _ := strings.Cut(good, "\r\n\r\n")
	b.dropped("with blanks that the signature does not see", []byte(header+"\r\n\r\n"+strings.TrimSuffix(body, "\r\n")+"  \r\n\r\n\r\n"))
	b.taken("a second one with the same text", b.zone.Write(t, mailtest.Letter{From: lena, Text: "vir 5 @yann"}))
}

func TestRobotsAreNotAnswered(t *testing.T) {
	b := newBench(t).start()
	for _, field := range []string{
		"Auto-Submitted: auto-replied", "Auto-Submitted: auto-generated (vacation)", "Precedence: bulk", "Precedence: list", "List-Id: <voisins.example>",
		"List-Unsubscribe: <mailto:x@voisins.example>", "X-Autoreply: yes", "X-Failed-Recipients: x@y.example",
	} {
		b.dropped(field, b.zone.Write(t, mailtest.Letter{From: lena, Text: "solde", Extra: []string{field}}))
	}
	b.taken("Auto-Submitted: no", b.zone.Write(t, mailtest.Letter{From: lena, Text: "solde", Extra: []string{"Auto-Submitted: no"}}))
	if err := mailtest.Deliver(b.at, "", mailtest.Ours, b.zone.Write(t, mailtest.Letter{From: lena, Text: "solde"})); err != nil || len(b.inbox.Messages()) != 1 {
		t.Errorf("a bounce: %v", err)
	}
	b.dropped("our own", b.zone.Write(t, mailtest.Letter{From: mailtest.Ours, Text: "solde"}))
}

func TestOnlyOurAddressIsRead(t *testing.T) {
	b := newBench(t).start()
	l := b.zone.Write(t, mailtest.Letter{From: lena, Text: "solde"})
	for to, want := range map[string]bool{"Maillon@maillon.example": true, "maillon+x@maillon.example": true, "postmaster@maillon.example": false, lena: false} {
		if err := mailtest.Deliver(b.at, lena, to, l); (err == nil) != want {
			t.Errorf("to %s: %v", to, err)
		}
	}
}

func TestTooMuchIsRefused(t *testing.T) {
	b := newBench(t).start()
	var said *smtp.SMTPError
	if err := b.bring(b.zone.Write(t, mailtest.Letter{From: lena, Text: strings.Repeat("solde ", 1<<18)})); !errors.As(err, &said) || said.Code != 552 {
		t.Errorf("too large a letter: %v", err)
	}
	b.refused("too long a header", []byte("X: "+strings.Repeat("y", 1000)+strings.Repeat("\r\n "+strings.Repeat("y", 1000), 80)+"\r\n"+string(b.zone.Write(t, mailtest.Letter{From: lena}))), 550, smtp.EnhancedCode{5, 6, 0})
	b.refused("too many fields", []byte(strings.Repeat("X: y\r\n", 2500)+string(b.zone.Write(t, mailtest.Letter{From: lena}))), 550, smtp.EnhancedCode{5, 6, 0})
}

// Whoever signs without end is held up, and nobody else.
func TestADomainThatWritesWithoutEndIsHeldUp(t *testing.T) {
	var c mail.Crowd
	now := time.Now()
	for n := range mail.MaxLetters {
		if !c.Admit(fmt.Sprintf("s%d.thief.example", n), now) {
			t.Fatalf("letter %d is held up", n)
		}
	}
	if c.Admit("thief.example", now) || c.Admit("new.thief.example", now) {
		t.Error("one more comes in")
	}
	if !c.Admit("association.example", now) || !c.Admit("thief.example", now.Add(time.Hour)) {
		t.Error("others are held up, or for longer than an hour")
	}
}

func TestWhatIsReadOfALetter(t *testing.T) {
	b := newBench(t).start()
	multipart := func(parts ...string) string {
		return "--b\r\n" + strings.Join(parts, "\r\n--b\r\n") + "\r\n--b--\r\n"
	}
	mixed := []string{`Content-Type: multipart/mixed; boundary="b"`}
	plain := func(text string) string { return "Content-Type: text/plain; charset=utf-8\r\n\r\n" + text }
	const html = "Content-Type: text/html\r\n\r\n<b>vir 500 @voleur</b>"
	for _, c := range []struct {
		name string
		l    mailtest.Letter
		want string
	}{
		{"the subject", mailtest.Letter{Subject: "Solde"}, "Solde"},
		{"the text before the subject", mailtest.Letter{Subject: "bonjour", Text: "solde\r\n"}, "solde"},
		{"a subject with a key", mailtest.Letter{Subject: "vir: 5 @yann"}, "vir: 5 @yann"},
		{"no subject of a thread", mailtest.Letter{Subject: "vir 5 @yann", Extra: []string{"In-Reply-To: <a@mua.example>"}}, ""},
		{"no subject of an answer", mailtest.Letter{Subject: "Re: vir 5 @yann", Text: "\r\n> vir 5 @yann"}, ""},
		{"an answer above what it quotes", mailtest.Letter{Text: "4829 1305\r\n\r\nLe sam. 28 nov. 2026 à 11:02, Penn Rustin' <maillon@maillon.example>\r\na écrit :\r\n\r\n> Payer 5 m à yann ?\r\n> Pour OUI répondre 1111\r\n"}, "4829 1305"},
		{"an answer below", mailtest.Letter{Text: "On Sat, Penn Rustin' wrote:\r\n> Payer 5 m ?\r\n\r\nnon\r\n"}, "non"},
		{"Outlook", mailtest.Letter{Text: "oui\r\n\r\n________________________________\r\nDe : Penn Rustin'\r\nEnvoyé : samedi\r\n"}, "oui"},
		{"the original message", mailtest.Letter{Text: "oui\r\n-----Message d'origine-----\r\nnon"}, "oui"},
		{"a signature", mailtest.Letter{Text: "solde\r\n-- \r\nLéna\r\n06 39 98 00 12"}, "solde"},
		{"a telephone's", mailtest.Letter{Subject: "histo", Text: "\r\nEnvoyé de mon iPhone\r\n"}, "histo"},
		{"accents in a subject", mailtest.Letter{Subject: "vir 5 @yann café à emporter"}, "vir 5 @yann café à emporter"},
		{"the plain part", mailtest.Letter{Extra: mixed, Raw: multipart(html, plain("solde"), plain("histo"))}, "solde"},
		{"no attachment", mailtest.Letter{Subject: "solde", Extra: mixed, Raw: multipart("Content-Disposition: attachment\r\n" + plain("vir 500 @voleur"))}, "solde"},
		{"no HTML", mailtest.Letter{Subject: "solde", Extra: []string{"Content-Type: text/html"}, Raw: "<b>vir 500 @voleur</b>\r\n"}, "solde"},
		{"Latin-1", mailtest.Letter{Extra: []string{"Content-Type: text/plain; charset=iso-8859-1", "Content-Transfer-Encoding: quoted-printable"}, Raw: "pseudo Zo=E9\r\n"}, "pseudo Zoé"},
		{"a charset nobody has", mailtest.Letter{Extra: []string{"Content-Type: text/plain; charset=klingon"}, Raw: "solde\r\n"}, "solde"},
		{"parts within parts without end", mailtest.Letter{Subject: "solde", Extra: []string{`Content-Type: multipart/mixed; boundary="b0"`}, Raw: nested(30)}, "solde"},
	} {
		c.l.From = lena
		before := len(b.inbox.Messages())
		if err := b.bring(b.zone.Write(t, c.l)); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := b.inbox.Messages()[before]; got.Text != c.want {
			t.Errorf("%s: %q, want %q", c.name, got.Text, c.want)
		}
	}
}

func nested(depth int) string {
	var b strings.Builder
	for i := range depth {
		fmt.Fprintf(&b, "--b%d\r\nContent-Type: multipart/mixed; boundary=\"b%d\"\r\n\r\n", i, i+1)
	}
	fmt.Fprintf(&b, "--b%d\r\n\r\nvir 500 @voleur\r\n", depth)
	return b.String()
}

func outgoing(t *testing.T, id, text string) sms.Outgoing {
	to, err := sms.FromE164(smstest.Member)
	if err != nil {
		t.Fatal(err)
	}
	return sms.Outgoing{ID: id, To: to, Text: text, Priority: sms.Code, Validity: time.Hour}
}

func TestAnAnswerStandsBeneathWhatItAnswers(t *testing.T) {
	b := newBench(t).start()
	if _, err := b.gateway.Send(t.Context(), outgoing(t, "m1", "Bonjour")); err != nil {
		t.Fatal(err)
	}
	b.taken("a question", b.zone.Write(t, mailtest.Letter{From: lena, ID: "q1", Subject: "Mon solde, où ?", Text: "solde", Extra: []string{"References: <a@mua.example>\r\n <b@mua.example>"}}))
	if _, err := b.gateway.Send(t.Context(), outgoing(t, "m2", "Solde: 12,50 €. Reçu à Zoé")); err != nil {
		t.Fatal(err)
	}
	all := b.host.Letters()
	first, second := all[0].Header, all[1].Header
	if first.Get("In-Reply-To") != "" || first.Get("Subject") != "Penn Rustin'" || first.Get("Auto-Submitted") != "auto-generated" {
		t.Errorf("what begins a talk: %v", first)
	}
	if second.Get("In-Reply-To") != "<q1@mua.example>" || second.Get("References") != "<a@mua.example> <b@mua.example> <q1@mua.example>" ||
		second.Get("Auto-Submitted") != "auto-replied" || !strings.Contains(second.Get("Subject"), "Re:_Mon_solde,_o=C3=B9") {
		t.Errorf("an answer: %v", second)
	}
	if second.Get("From") != `"Penn Rustin'" <`+mailtest.Ours+`>` || second.Get("To") != "<"+lena+">" || all[1].ReturnPath != mailtest.Ours || all[1].To != lena {
		t.Errorf("from %s to %s", second.Get("From"), second.Get("To"))
	}
	if _, err := b.gateway.Send(t.Context(), outgoing(t, "m2", "Solde: 12,50 €. Reçu à Zoé")); err != nil {
		t.Fatal(err)
	}
	if again := b.host.Letters()[2].Header; again.Get("Message-ID") != second.Get("Message-ID") || first.Get("Message-ID") == second.Get("Message-ID") {
		t.Error("a letter sent once more has another name")
	}
	m := outgoing(t, "m3", "Cette adresse n'est à personne ici.")
	m.To, m.Address = sms.Number{}, address("stranger@else.example")
	if _, err := b.gateway.Send(t.Context(), m); err != nil || b.host.Letters()[3].To != "stranger@else.example" {
		t.Errorf("to an address: %v", err)
	}
}

// What we sign, others can believe; and our own letters are no loop.
func TestOurLettersAreSigned(t *testing.T) {
	b := newBench(t, func(b *bench) {
		b.config.Key, b.config.Selector = b.zone.Domain(t, "maillon.example"), mailtest.Selector
	}).start()
	if _, err := b.gateway.Send(t.Context(), outgoing(t, "m1", "Payé 5 m")); err != nil {
		t.Fatal(err)
	}
	raw := b.host.Letters()[0].Raw
	other := newBench(t, func(o *bench) {
		o.zone = b.zone
		o.config.LookupTXT = b.zone.LookupTXT
		o.config.Address = address("other@else.example")
	}).start()
	if err := mailtest.Deliver(other.at, lena, "other@else.example", raw); err != nil {
		t.Errorf("another one of us does not believe it: %v", err)
	}
	if n := len(other.inbox.Messages()); n != 0 {
		t.Error("one of us answered another's answer")
	}
	b.dropped("our own letter", raw)
}

func TestNoAddressIsNoPlaceToSend(t *testing.T) {
	b := newBench(t).start()
	to, err := sms.FromE164("+33639980099")
	if err != nil {
		t.Fatal(err)
	}
	m := outgoing(t, "m1", "Payé")
	m.To = to
	if _, err := b.gateway.Send(t.Context(), m); !errors.Is(err, sms.ErrRefused) {
		t.Errorf("to a member without an address: %v", err)
	}
}

// The password never leaves in clear, and not to whom we do not know.
func TestTheSmarthostMustBeTheRightOne(t *testing.T) {
	b := newBench(t, func(b *bench) { b.config.Roots = x509.NewCertPool() }).start()
	if _, err := b.gateway.Send(t.Context(), outgoing(t, "m1", "Payé")); !errors.Is(err, sms.ErrBusy) || strings.Contains(err.Error(), b.host.Pass) {
		t.Errorf("to a stranger's smarthost: %v", err)
	}
	if b.gateway.Health().Up {
		t.Error("up, without a smarthost that is believed")
	}
	c := newBench(t, func(b *bench) { b.config.Password = sms.NewSecret("wrong") }).start()
	if _, err := c.gateway.Send(t.Context(), outgoing(t, "m1", "Payé")); !errors.Is(err, sms.ErrBusy) {
		t.Errorf("with the wrong password: %v", err)
	}
	for _, wrong := range []func(*mail.Config){
		func(c *mail.Config) { c.Security = mail.Clear },
		func(c *mail.Config) { c.Security = "ssl" },
		func(c *mail.Config) { c.Smarthost = "smtp.example.org" },
		func(c *mail.Config) { c.Selector = "s1" },
		func(c *mail.Config) { c.Address = sms.Address{} },
	} {
		config := c.config
		wrong(&config)
		if _, err := mail.New(config); err == nil {
			t.Error("a wrong configuration was taken")
		}
	}
	if s := fmt.Sprintf("%v %+v %#v", c.config.Password, c.config.Password, c.config.Password); strings.Contains(s, "wrong") {
		t.Errorf("the password shows: %s", s)
	}
}

// Letters come in encrypted if there is a certificate.
func TestLettersComeInEncrypted(t *testing.T) {
	b := newBench(t, func(b *bench) { b.config.Cert = &tls.Certificate{} }).start()
	c, err := smtp.Dial(b.at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.Hello("client.example"); err != nil {
		t.Fatal(err)
	}
	if ok, _ := c.Extension("STARTTLS"); !ok {
		t.Error("no STARTTLS")
	}
}

// Of several servers one runs the gateway, and all take letters.
func TestLettersAreTakenWhereItIsOnlyAttended(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	var attending sync.WaitGroup
	attending.Go(func() { b.gateway.Attend(ctx, b.inbox) })
	smstest.Eventually(t, "it listens", func() bool { return b.gateway.Addr() != nil })
	b.at = b.gateway.Addr()
	smstest.Eventually(t, "a letter is taken", func() bool {
		return b.bring(b.zone.Write(t, mailtest.Letter{From: lena, Text: "solde"})) == nil
	})
	cancel()
	attending.Wait()
	if b.gateway.Addr() != nil {
		t.Error("it listens on")
	}
}
