package mailtest

import (
	"errors"
	"io"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"maillon/internal/sms/smstest"
)

// handing is one connection of the gateway to the smarthost.
type handing struct {
	host   *Smarthost
	conn   *smtp.Conn
	proved bool
	path   string
	to     string
}

var errProve = &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "encrypt and authenticate first"}

// AuthMechanisms are those that the gateway knows.
func (*handing) AuthMechanisms() []string { return []string{sasl.Plain} }

// Auth asks for the one user and password.
func (h *handing) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, pass string) error {
		if _, encrypted := h.conn.TLSConnectionState(); !encrypted || user != h.host.User || pass != h.host.Pass {
			return errors.New("no")
		}
		h.proved = true
		return nil
	}), nil
}

// Mail begins a letter.
func (h *handing) Mail(from string, _ *smtp.MailOptions) error {
	if !h.proved {
		return errProve
	}
	h.path = from
	return nil
}

// Rcpt takes anybody, unless a fault waits.
func (h *handing) Rcpt(to string, _ *smtp.RcptOptions) error {
	if f, any := h.host.fault(); any {
		switch f {
		case smstest.Busy:
			h.host.met()
			return &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 2, 2}, Message: "the mailbox of " + to + " is full"}
		case smstest.Refused:
			h.host.met()
			return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "there is no " + to}
		case smstest.Silent: // when the letter is there
		}
	}
	h.to = to
	return nil
}

// Data keeps a letter.
func (h *handing) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if _, any := h.host.fault(); any {
		h.host.met()
		return h.conn.Close()
	}
	l, err := Parse(raw)
	if err != nil {
		return err
	}
	l.ReturnPath, l.To = h.path, h.to
	h.host.mu.Lock()
	defer h.host.mu.Unlock()
	h.host.letters = append(h.host.letters, l)
	return nil
}

// Reset forgets the letter that was begun.
func (h *handing) Reset() { h.path, h.to = "", "" }

// Logout ends the session.
func (*handing) Logout() error { return nil }
