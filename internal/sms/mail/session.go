package mail

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"time"

	receiving "github.com/emersion/go-smtp"

	"maillon/internal/sms"
)

// What SMTP answers.
var (
	errNotHere  = &receiving.SMTPError{Code: 550, EnhancedCode: receiving.EnhancedCode{5, 1, 1}, Message: "Nobody reads mail at that address"}
	errUnsigned = refuse("No valid DKIM signature of the sender's own domain was found. Write from a provider that signs its mail, without a list or a forwarder between")
	errAltered  = refuse("The DKIM signature does not fit the message: it was altered on its way")
	errPartial  = refuse("The DKIM signature leaves out From, Subject, Date or Message-ID")
	errSender   = refuse("The message needs exactly one From with one address, and one Date and Message-ID")
	errOld      = refuse("The signed Date is too old, or in the future. Write the message again")
	errShape    = &receiving.SMTPError{Code: 550, EnhancedCode: receiving.EnhancedCode{5, 6, 0}, Message: "The message cannot be read: its header is malformed"}
	errDNS      = &receiving.SMTPError{Code: 451, EnhancedCode: receiving.EnhancedCode{4, 7, 5}, Message: "The DNS of the sender's domain does not answer. Try again later"}
	errCrowd    = &receiving.SMTPError{Code: 451, EnhancedCode: receiving.EnhancedCode{4, 7, 1}, Message: "Too many messages from that domain. Try again later"}
	errLater    = &receiving.SMTPError{Code: 451, EnhancedCode: receiving.EnhancedCode{4, 3, 0}, Message: "Not now. Try again later"}
)

// refuse returns a refusal for want of a signature (RFC 7372).
func refuse(why string) *receiving.SMTPError {
	return &receiving.SMTPError{Code: 550, EnhancedCode: receiving.EnhancedCode{5, 7, 20}, Message: why}
}

// A session is one connection of another server.
type session struct {
	gateway *Gateway
	bounce  bool // it has no sender: whatever it is, it wants no answer
}

// Mail begins a letter. Its envelope proves nothing.
func (s *session) Mail(from string, _ *receiving.MailOptions) error {
	s.bounce = from == ""
	return nil
}

// Rcpt takes what is for us: our address, be there a tag behind a "+".
func (s *session) Rcpt(to string, _ *receiving.RcptOptions) error {
	local, domain, _ := strings.Cut(to, "@")
	local, _, _ = strings.Cut(local, "+")
	if a, err := sms.ParseAddress(local + "@" + domain); err != nil || a != s.gateway.config.Address {
		return errNotHere
	}
	return nil
}

// Data takes a letter, and returns nil once it is on disk, or is nothing to
// answer.
func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), commandTime)
	defer cancel()
	return s.gateway.receive(ctx, raw, s.bounce)
}

// Reset forgets the letter that was begun.
func (s *session) Reset() { s.bounce = false }

// Logout ends the session.
func (*session) Logout() error { return nil }

func (g *Gateway) receive(ctx context.Context, raw []byte, bounce bool) error {
	l, err := read(raw)
	if err != nil {
		return err
	}
	if bounce {
		l.robot = "no return path"
	}
	if l.from == g.config.Address {
		l.robot = "our own"
	}
	if l.robot != "" {
		slog.InfoContext(ctx, "automatic mail dropped", "gateway", g.config.Name, "why", l.robot)
		return nil
	}
	if err := g.judge(ctx, raw, l, time.Now()); err != nil {
		return err
	}
	if !g.crowd.admit(l.from.Domain(), time.Now()) {
		return errCrowd
	}
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	if err := g.book.Note(ctx, l.from, l.heading); err != nil { // before the answer can leave
		return later(ctx, g.config.Name, err)
	}
	err = g.door.Receive(ctx, sms.Incoming{
		Gateway: g.config.Name, Key: l.key, From: l.from.Text(), To: g.config.Address.Text(), Text: l.text, SentAt: l.date, Proof: sms.Signed,
	})
	if err != nil {
		return later(ctx, g.config.Name, err)
	}
	return nil
}

// later keeps what is wrong with us to ourselves.
func later(ctx context.Context, name string, err error) error {
	if !errors.Is(err, sms.ErrLater) {
		slog.ErrorContext(ctx, "letter not taken", "gateway", name, "error", err)
	}
	return errLater
}
