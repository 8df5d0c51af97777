package server_test

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"maillon/internal/courier"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/order"
	"maillon/internal/server"
	"maillon/internal/sms"
	"maillon/internal/sms/mail"
	"maillon/internal/sms/mail/mailtest"
	"maillon/internal/sms/smstest"
	"maillon/internal/sms/virtual"
	"maillon/internal/store"
	"maillon/internal/story"
	"maillon/internal/treasury"
)

const yannsMail = "yann@village.example"

// A post is a server with telephones and an e-mail address, and the people
// before both.
type post struct {
	*testing.T
	server  *server.Server
	phones  *virtual.Gateway
	gateway *mail.Gateway
	zone    *mailtest.Zone
	host    *mailtest.Smarthost
	sms     map[string]int // read on each telephone
	letters int            // read
	logs    *lines
}

func newPost(t *testing.T) *post {
	t.Helper()
	p := &post{T: t, phones: virtual.New("phones"), zone: new(mailtest.Zone), host: mailtest.NewSmarthost(t), sms: map[string]int{}, logs: captureLogs(t)}
	ours, err := sms.ParseAddress(mailtest.Ours)
	if err != nil {
		t.Fatal(err)
	}
	p.gateway, err = mail.New(mail.Config{
		Name: "mail", Address: ours, Title: "Penn Rustin'", Listen: "127.0.0.1:0", LookupTXT: p.zone.LookupTXT,
		Smarthost: p.host.Addr, Username: p.host.User, Password: sms.NewSecret(p.host.Pass), Roots: p.host.Roots,
		Key: p.zone.Domain(t, "maillon.example"), Selector: mailtest.Selector,
	})
	if err != nil {
		t.Fatal(err)
	}
	p.server = open(t, t.TempDir(), courier.Line{Name: "mail", Gateway: p.gateway},
		courier.Line{Name: "phones", Gateway: p.phones, Number: story.ServerNumber().E164(), Default: true})
	enrol(t, p.server, "yann", 100)
	enrol(t, p.server, "atelier", 20)
	run(t, p.server)
	smstest.Eventually(t, "both lines are up", func() bool { return p.phones.Health().Up && p.gateway.Health().Up })
	p.readSMS("yann")
	p.readSMS("atelier")
	return p
}

// quiet waits until nothing is on its way.
func (p *post) quiet() {
	p.Helper()
	smstest.Eventually(p, "all that stands in the outbox has left", func() bool {
		for _, o := range outbox(p.T, p.server) {
			if o.State == store.Queued || o.State == store.Handing {
				return false
			}
		}
		return true
	})
}

// readSMS returns what came to a telephone since it was last read.
func (p *post) readSMS(name string) (news []string) {
	p.Helper()
	p.quiet()
	all := p.phones.Thread(story.Phones()[name])
	for _, b := range all[p.sms[name]:] {
		if !b.Mine {
			news = append(news, b.Text)
		}
	}
	p.sms[name] = len(all)
	return news
}

// readMail returns the letters that left since they were last read.
func (p *post) readMail() (news []mailtest.Received) {
	p.Helper()
	p.quiet()
	all := p.host.Letters()
	news = all[p.letters:]
	p.letters = len(all)
	return news
}

func (p *post) text(name, text string) {
	p.Helper()
	if err := p.phones.Text(p.Context(), story.Phones()[name], text, time.Now()); err != nil {
		p.Fatal(err)
	}
}

func (p *post) write(l mailtest.Letter) {
	p.Helper()
	if err := mailtest.Deliver(p.gateway.Addr(), yannsMail, mailtest.Ours, p.zone.Write(p, l)); err != nil {
		p.Fatalf("%s: %v", l.Text, err)
	}
}

// only returns the one letter that left, which must hold a text and go to an
// address.
func (p *post) only(to, text string) mailtest.Received {
	p.Helper()
	news := p.readMail()
	if len(news) != 1 || news[0].To != to || !strings.Contains(news[0].Text, text) {
		p.Fatalf("by mail came %d letters: %v; want %q to %s", len(news), texts(news), text, to)
	}
	return news[0]
}

// onlySMS returns the one SMS that came to a telephone, which must hold a text.
func (p *post) onlySMS(name, text string) string {
	p.Helper()
	news := p.readSMS(name)
	if len(news) != 1 || !strings.Contains(news[0], text) {
		p.Fatalf("by SMS came %q; want %q", news, text)
	}
	return news[0]
}

func texts(letters []mailtest.Received) (all []string) {
	for _, l := range letters {
		all = append(all, l.To+": "+l.Text)
	}
	return all
}

// bind binds an address to yann, who is asked by SMS and answers by mail.
func (p *post) bind(address string) {
	p.Helper()
	p.text("yann", "mail "+address)
	asked := p.onlySMS("yann", "Un mail part")
	p.only(strings.ToLower(address), "yann veut écrire à")
	p.write(mailtest.Letter{From: address, Subject: "Re: Penn Rustin'", Text: longCode.FindString(asked) + "\r\n\r\nLe samedi, Penn Rustin' a écrit :\r\n> yann veut\r\n"})
	p.onlySMS("yann", "Pas vous ? Répondre VOL")
	p.only(strings.ToLower(address), "Adresse du compte yann")
}

var longCode = regexp.MustCompile(`\d{4} \d{4}`)

func (p *post) boundTo(address string) (name string) {
	p.Helper()
	view(p.T, p.server, func(ctx context.Context, tx *store.Tx) error {
		a, err := sms.ParseAddress(address)
		if err != nil {
			return err
		}
		if m, err := tx.MemberByAddress(ctx, a); err == nil {
			name = m.Nick
		}
		return nil
	})
	return name
}

func TestAWholeConversationByMail(t *testing.T) {
	p := newPost(t)
	p.write(mailtest.Letter{From: yannsMail, Subject: "solde"})
	p.only(yannsMail, "MAIL suivi de cette adresse")
	p.write(mailtest.Letter{From: yannsMail, Subject: "solde ?"})
	if again := p.readMail(); len(again) > 0 {
		t.Errorf("a stranger is answered twice a day: %v", texts(again))
	}

	p.bind("Yann@Village.example")
	if got := p.boundTo(yannsMail); got != "yann" {
		t.Fatalf("the address is bound to %q", got)
	}

	p.write(mailtest.Letter{From: "Yann Bihan <" + yannsMail + ">", ID: "q7", Subject: "solde"})
	answer := p.only(yannsMail, "Solde: 100 m")
	if answer.Header.Get("In-Reply-To") != "<q7@mua.example>" || answer.Header.Get("Subject") != "Re: solde" || answer.Header.Get("Auto-Submitted") != "auto-replied" {
		t.Errorf("the answer stands beneath nothing: %v", answer.Header)
	}
	if err := mailtest.Deliver(p.gateway.Addr(), mailtest.Ours, mailtest.Ours, answer.Raw); err != nil {
		t.Errorf("our own letter: %v", err)
	}
	if loop := p.readMail(); len(loop) > 0 {
		t.Errorf("the server talks to itself: %v", texts(loop))
	}

	pay := mailtest.Letter{From: yannsMail, ID: "pay", Text: "vir 5 @atelier réparation\r\n-- \r\nYann"}
	signed := p.zone.Write(t, pay)
	for range 3 { // repeated by servers, or by a thief
		if err := mailtest.Deliver(p.gateway.Addr(), yannsMail, mailtest.Ours, signed); err != nil {
			t.Fatal(err)
		}
	}
	question := p.only(yannsMail, "répondre")
	if got := balance(t, p.server, "yann"); got != 100 {
		t.Errorf("without a code, yann has %d", got)
	}
	if asked := p.readSMS("yann"); len(asked) > 0 {
		t.Errorf("the code went to the telephone too: %q", asked)
	}
	p.write(mailtest.Letter{From: yannsMail, Subject: "Re: " + question.Header.Get("Subject"), Text: code.FindString(question.Text) + "\r\n\r\n> " + question.Text})
	p.only(yannsMail, "Payé: 5 m à atelier")
	p.onlySMS("yann", "Payé: 5 m à atelier")
	p.onlySMS("atelier", "yann")
	if got := balance(t, p.server, "yann"); got != 95 {
		t.Errorf("yann has %d, want 95", got)
	}

	p.write(mailtest.Letter{From: yannsMail, Text: "mail stop"})
	p.onlySMS("yann", "n'a plus d'adresse mail")
	if got := p.boundTo(yannsMail); got != "" {
		t.Errorf("unbound, the address is %q's", got)
	}
	p.text("yann", "solde")
	p.onlySMS("yann", "Solde: 95 m")
	p.neverTold(yannsMail, "village.example", "q7@mua", question.Text[:20])
}

// neverTold fails the test if something personal stands in the log.
func (p *post) neverTold(secrets ...string) {
	p.Helper()
	for _, s := range append(secrets, story.Phones()["yann"].E164()[1:]) {
		if strings.Contains(p.logs.String(), s) {
			p.Errorf("%q shows in the log", s)
		}
	}
}

// The code goes to the telephone and must come back from the address: whoever
// has one of them alone binds nothing.
func TestAnAddressIsBoundOnlyByWhoHasBoth(t *testing.T) {
	p := newPost(t)
	thief := "thief@thief.example"
	p.text("yann", "mail "+thief) // a forged number
	secret := longCode.FindString(p.onlySMS("yann", "Pas vous ? VOL"))
	p.only(thief, "code du SMS")
	p.write(mailtest.Letter{From: thief, Text: "oui"})
	p.only(thief, "Encore 4 essai(s)")
	for n, want := range []string{"Encore 3", "Encore 2", "Encore 1"} {
		p.write(mailtest.Letter{From: thief, Text: "1234567" + string(rune('0'+n))})
		p.only(thief, want)
	}
	p.write(mailtest.Letter{From: thief, Text: "12345679"})
	p.write(mailtest.Letter{From: thief, Text: secret})
	if got := p.boundTo(thief); got != "" {
		t.Fatalf("bound to %q after too many tries", got)
	}
	p.readMail()

	p.text("yann", "mail "+thief)
	secret = longCode.FindString(p.onlySMS("yann", "Pas vous ? VOL"))
	p.readMail()
	p.write(mailtest.Letter{From: "other@thief.example", Text: secret})
	p.text("yann", secret)
	if got := p.boundTo(thief) + p.boundTo("other@thief.example"); got != "" {
		t.Errorf("bound to %q", got)
	}
	p.readSMS("yann")
	for range 2 {
		p.text("yann", "mail x@thief.example")
	}
	if said := p.readSMS("yann"); len(said) != 2 || !strings.Contains(strings.Join(said, "\n"), "Trop de demandes") {
		t.Errorf("asked too often: %q", said)
	}
}

// By mail nobody binds another address, and nobody acts as administrator.
func TestWhatIsAskedByTelephoneOnly(t *testing.T) {
	p := newPost(t)
	p.bind(yannsMail)
	err := p.server.DB.Update(t.Context(), func(tx *store.Tx) error {
		m, err := tx.MemberByNick(t.Context(), "yann")
		if err != nil {
			return err
		}
		m.Role, m.Ceiling = member.Admin, money.New(100, p.server.Settings.Currency()).Minor()
		return tx.SaveMember(t.Context(), m)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, asked := range []string{"mail thief@thief.example", "credite 20 @atelier cadeau", "pause"} {
		p.write(mailtest.Letter{From: yannsMail, Text: asked})
		p.only(yannsMail, "Cela se demande par SMS")
	}
	p.write(mailtest.Letter{From: yannsMail, Text: "vir 5"})
	p.only(yannsMail, "VIR montant destinataire")
}

// Whoever has the telephone reads mail on it: with the one goes the other.
func TestATelephoneThatIsForgedTakesTheAddressAlong(t *testing.T) {
	p := newPost(t)
	p.bind(yannsMail)
	p.text("yann", "vol")
	p.onlySMS("yann", "Protégé")
	if got := p.boundTo(yannsMail); got != "" {
		t.Errorf("after VOL, the address is %q's", got)
	}
}

func TestAChangeOfNumberIsToldToTheTelephoneAndTakesTheAddressAlong(t *testing.T) {
	p := newPost(t)
	p.bind(yannsMail)
	update := func(do func(ctx context.Context, tx *store.Tx, m *member.Member) error) {
		t.Helper()
		err := p.server.DB.Update(t.Context(), func(tx *store.Tx) error {
			m, err := tx.MemberByNick(t.Context(), "yann")
			if err != nil {
				return err
			}
			return do(t.Context(), tx, m)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	update(func(ctx context.Context, tx *store.Tx, m *member.Member) error {
		return p.server.Treasury.Renumber(ctx, tx, treasury.Operator, m, story.Phones()["malo"], "a new telephone")
	})
	p.onlySMS("yann", "Si ce n'est pas vous: répondre NON")
	if letters := p.readMail(); len(letters) > 0 {
		t.Errorf("the warning went by mail: %v", texts(letters))
	}
	update(func(ctx context.Context, tx *store.Tx, m *member.Member) error { // time passes
		all, err := tx.OpenOf(ctx, m.ID, order.Renumber, 1)
		if err != nil {
			return err
		}
		all[0].Due = tx.Now()
		return tx.SaveOrder(ctx, all[0])
	})
	smstest.Eventually(t, "the number has changed", func() bool { return len(p.readSMS("malo")) > 0 })
	if got := p.boundTo(yannsMail); got != "" {
		t.Errorf("after the change, the address is %q's", got)
	}
}

func TestALostTelephoneTakesTheAddressAlong(t *testing.T) {
	p := newPost(t)
	p.bind(yannsMail)
	var cells map[string]string
	err := p.server.DB.Update(t.Context(), func(tx *store.Tx) error {
		m, err := tx.MemberByNick(t.Context(), "yann")
		if err != nil {
			return err
		}
		cells, err = p.server.Treasury.IssueCard(t.Context(), tx, treasury.Operator, m)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	p.text("atelier", "perdu yann")
	asked := regexp.MustCompile(`la case (\w+)`).FindStringSubmatch(p.onlySMS("atelier", "Pour bloquer yann"))
	p.text("atelier", "perdu yann "+cells[asked[1]])
	p.onlySMS("atelier", "compte yann bloqué")
	if got := p.boundTo(yannsMail); got != "" {
		t.Errorf("after PERDU, the address is %q's", got)
	}
}

// An address goes to who proves it last; who had it before is told.
func TestAnAddressMoves(t *testing.T) {
	p := newPost(t)
	p.bind(yannsMail)
	p.text("atelier", "mail "+yannsMail)
	asked := longCode.FindString(p.onlySMS("atelier", "Un mail part"))
	p.only(yannsMail, "atelier veut écrire à")
	p.write(mailtest.Letter{From: yannsMail, Text: "solde"})
	p.only(yannsMail, "Solde: 100 m")
	p.write(mailtest.Letter{From: yannsMail, Text: asked})
	p.onlySMS("yann", "n'a plus d'adresse mail")
	p.only(yannsMail, "Adresse du compte atelier")
	if got := p.boundTo(yannsMail); got != "atelier" {
		t.Errorf("the address is %q's", got)
	}
}

func TestMistakesWithMailAreExplained(t *testing.T) {
	p := newPost(t)
	for asked, want := range map[string]string{
		"mail":             "Exemple: MAIL",
		"aide mail":        "Exemple: MAIL",
		"mail yann":        "non valable",
		"mail a@b@c":       "non valable",
		"mail stop":        "n'a pas d'adresse mail",
		"mail x@localhost": "non valable",
	} {
		p.text("yann", asked)
		p.onlySMS("yann", want)
	}
	s := open(t, t.TempDir(), courier.Line{Name: "phones", Gateway: virtual.New("phones")})
	enrol(t, s, "yann", 5)
	err := s.Teller.Receive(t.Context(), sms.Incoming{Gateway: "phones", Key: "1", From: story.Phones()["yann"].E164(), Text: "mail yann@village.example"})
	if all := outbox(t, s); err != nil || !strings.Contains(all[len(all)-1].Text, "Ici on écrit seulement par SMS") {
		t.Errorf("without a mail gateway: %v", err)
	}
}

// What waits for an address when the e-mail gateway is taken out of the
// configuration goes to no telephone.
func TestALetterIsNotSentBySMS(t *testing.T) {
	phones := virtual.New("phones")
	s := open(t, t.TempDir(), courier.Line{Name: "phones", Gateway: phones, Default: true})
	enrol(t, s, "yann", 5)
	err := s.DB.Update(t.Context(), func(tx *store.Tx) error {
		a, err := sms.ParseAddress(yannsMail)
		if err != nil {
			return err
		}
		return tx.Enqueue(t.Context(), store.Out{Address: a, Text: "Bonjour", Gateway: "mail", Priority: sms.Notice, Expires: tx.Now().Add(time.Hour)}, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	run(t, s)
	smstest.Eventually(t, "it has failed", func() bool {
		all := outbox(t, s)
		return all[len(all)-1].State == store.Failed
	})
}
