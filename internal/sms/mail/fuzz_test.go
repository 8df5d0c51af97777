package mail_test

import (
	"testing"
	"unicode/utf8"

	"maillon/internal/sms/mail"
	"maillon/internal/sms/mail/mailtest"
)

// Whatever comes by SMTP is read or refused, and what is read is text.
func FuzzReadLetter(f *testing.F) {
	for _, l := range []mailtest.Letter{
		{From: "lena@association.example", Subject: "solde"},
		{From: "Léna <lena@association.example>", Text: "oui\r\n\r\nLe samedi, on a écrit :\r\n> 4829\r\n", Extra: []string{"References: <a@b> <c@d>"}},
		{From: "lena@association.example", Extra: []string{`Content-Type: multipart/mixed; boundary="b0"`}, Raw: nested(12)},
		{From: "lena@association.example", Extra: []string{"Content-Type: text/plain; charset=utf-7"}, Raw: "+AGE-\r\n"},
	} {
		f.Add(l.Bytes())
	}
	f.Add([]byte("From : a\r\n\r\n"))
	f.Add([]byte("\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		text, key, _, err := mail.Read(raw)
		again, same, _, _ := mail.Read(raw)
		if text != again || key != same {
			t.Error("read twice, it is two letters")
		}
		const most = 4 << 10
		if err == nil && (!utf8.ValidString(text) || len(text) > most || key == "") {
			t.Errorf("read: %q, known by %q", text, key)
		}
	})
}
