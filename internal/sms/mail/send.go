package mail

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"net/smtp"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"maillon/internal/sms"
)

// Times of sending. A probe is a connection that says hello.
const (
	sendTimeout = time.Minute
	probeEvery  = 5 * time.Minute
)

// Send hands m to the smarthost, for the address of whom it is for, beneath the
// last letter that came from there. It has no name but the one we gave it.
func (g *Gateway) Send(ctx context.Context, m sms.Outgoing) (providerID string, err error) {
	if err := g.send(ctx, m); err != nil {
		return "", fmt.Errorf("send by mail: %w", err)
	}
	return "", nil
}

func (g *Gateway) send(ctx context.Context, m sms.Outgoing) error {
	to, err := g.book.Correspondent(ctx, m.To, m.Address)
	if errors.Is(err, sms.ErrNoAddress) {
		return fmt.Errorf("%w: %w", sms.ErrRefused, err)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", sms.ErrBusy, err)
	}
	letter, err := g.compose(m, to, time.Now())
	if err != nil {
		return fmt.Errorf("%w: %w", sms.ErrRefused, err)
	}
	c, stop, err := g.call(ctx)
	if err != nil {
		g.pulse.Miss(err.Error())
		return fmt.Errorf("%w: %w", sms.ErrBusy, err)
	}
	defer stop()
	return g.hand(c, to.Address, letter)
}

// hand gives a letter to a smarthost that has said hello.
func (g *Gateway) hand(c *smtp.Client, to sms.Address, letter []byte) error {
	if err := c.Mail(g.config.Address.Text()); err != nil { // it wants nothing of ours: somebody must look
		return g.unwanted("MAIL", err, sms.ErrBusy)
	}
	if err := c.Rcpt(to.Text()); err != nil {
		return g.unwanted("RCPT", err, sms.ErrRefused)
	}
	w, err := c.Data()
	if err != nil {
		return g.unwanted("DATA", err, sms.ErrRefused)
	}
	if _, err := w.Write(letter); err != nil {
		g.pulse.Miss("the smarthost went away")
		return errors.New("the smarthost went away")
	}
	if err := w.Close(); err != nil {
		var said *textproto.Error
		if !errors.As(err, &said) {
			g.pulse.Miss("the smarthost does not answer")
			return errors.New("sent, and no answer came")
		}
		return g.unwanted("message", err, sms.ErrRefused)
	}
	g.pulse.Beat()
	_ = c.Quit()
	return nil
}

// unwanted returns what a refusal means, and never its text, which may hold an
// address.
func (g *Gateway) unwanted(what string, err, forGood error) error {
	var said *textproto.Error
	if !errors.As(err, &said) {
		g.pulse.Miss("the smarthost went away")
		return sms.ErrBusy
	}
	detail := what + " " + strconv.Itoa(said.Code)
	const permanent = 500
	if said.Code < permanent || errors.Is(forGood, sms.ErrBusy) {
		g.pulse.Miss(detail)
		return fmt.Errorf("%s: %w", detail, sms.ErrBusy)
	}
	g.pulse.Beat()
	return fmt.Errorf("%s: %w", detail, forGood)
}

// call connects to the smarthost, as encrypted as the configuration says. Its
// error tells no secret.
func (g *Gateway) call(ctx context.Context) (c *smtp.Client, stop func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", g.config.Smarthost)
	if err != nil {
		cancel()
		return nil, nil, errors.New("the smarthost cannot be reached")
	}
	unwatch := context.AfterFunc(ctx, func() { _ = conn.Close() })
	stop = func() {
		unwatch()
		cancel()
		_ = conn.Close()
	}
	if c, err = g.greet(conn); err != nil {
		stop()
		return nil, nil, err
	}
	return c, stop, nil
}

func (g *Gateway) greet(conn net.Conn) (*smtp.Client, error) {
	trust := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: g.config.Roots, ServerName: g.host()}
	if g.config.Security == TLS {
		conn = tls.Client(conn, trust)
	}
	c, err := smtp.NewClient(conn, g.host())
	if err != nil {
		return nil, errors.New("the smarthost does not greet")
	}
	if err := c.Hello(g.config.Address.Domain()); err != nil {
		return nil, errors.New("the smarthost does not say hello")
	}
	if g.config.Security == StartTLS {
		if err := c.StartTLS(trust); err != nil {
			return nil, errors.New("the smarthost does not encrypt, or its certificate is not believed")
		}
	}
	if auth := g.auth(); auth != nil {
		if err := c.Auth(auth); err != nil {
			return nil, errors.New("the smarthost refuses the password")
		}
	}
	return c, nil
}

// probe looks whether the smarthost is there.
func (g *Gateway) probe(ctx context.Context) {
	c, stop, err := g.call(ctx)
	if err != nil {
		slog.WarnContext(ctx, "smarthost out of reach", "gateway", g.config.Name, "error", err)
		g.pulse.Miss(err.Error())
		return
	}
	_ = c.Quit()
	stop()
	g.pulse.Beat()
}

// compose writes a letter.
func (g *Gateway) compose(m sms.Outgoing, to sms.Correspondent, now time.Time) ([]byte, error) {
	var b bytes.Buffer
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s: %s\r\n", name, value)
		}
	}
	from := netmail.Address{Name: g.config.Title, Address: g.config.Address.Text()}
	field("From", from.String())
	field("To", "<"+to.Address.Text()+">")
	field("Subject", mime.QEncoding.Encode("utf-8", g.subject(to.Last)))
	field("Date", now.Format(time.RFC1123Z))
	field("Message-ID", g.id(m, to.Address))
	auto := "auto-generated"
	if to.Last.ID != "" {
		auto = "auto-replied"
		field("In-Reply-To", to.Last.ID)
		field("References", strings.Join(append(to.Last.References, to.Last.ID), "\r\n "))
	}
	field("Auto-Submitted", auto)
	field("X-Auto-Response-Suppress", "All")
	field("MIME-Version", "1.0")
	field("Content-Type", "text/plain; charset=utf-8")
	field("Content-Transfer-Encoding", "quoted-printable")
	b.WriteString("\r\n")
	q := quotedprintable.NewWriter(&b)
	if _, err := q.Write([]byte(strings.ReplaceAll(m.Text, "\n", "\r\n") + "\r\n")); err != nil {
		return nil, err
	}
	if err := q.Close(); err != nil {
		return nil, err
	}
	return g.sign(b.Bytes())
}

// subject answers that of a letter; what begins a talk says whose it is.
func (g *Gateway) subject(last sms.Heading) string {
	switch {
	case last.ID == "" || last.Subject == "":
		return g.config.Title
	case answer(last.Subject):
		return last.Subject
	}
	return "Re: " + last.Subject
}

// id names a letter: the same one if it is sent once more, and nobody else's.
func (g *Gateway) id(m sms.Outgoing, to sms.Address) string {
	const length = 24
	return "<" + m.ID + "." + hash(m.ID, to.Text(), m.Text)[:length] + "@" + g.config.Address.Domain() + ">"
}

// ourFields are what we sign, if we do.
var ourFields = []string{
	"From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
}

func (g *Gateway) sign(letter []byte) ([]byte, error) {
	if g.config.Key == nil {
		return letter, nil
	}
	var signed bytes.Buffer
	err := dkim.Sign(&signed, bytes.NewReader(letter), &dkim.SignOptions{
		Domain: g.config.Address.Domain(), Selector: g.config.Selector, Signer: g.config.Key,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed, HeaderKeys: ourFields,
	})
	if err != nil {
		return nil, errors.New("the letter cannot be signed")
	}
	return signed.Bytes(), nil
}
