package mail_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"maillon/internal/sms/mail/mailtest"
)

// python is that of Debian, which has Debian's dkimpy.
const python = "/usr/bin/python3"

// need skips the test unless MAILLON_REAL is set, and fails it if MAILLON_REAL is
// set and what it needs is not there.
func need(t *testing.T) {
	t.Helper()
	if os.Getenv("MAILLON_REAL") == "" {
		t.Skip("dkimpy and swaks judge our mail only with MAILLON_REAL=1, as make test does")
	}
	if err := exec.Command(python, "-c", "import dkim, nacl").Run(); err != nil {
		t.Fatalf("install python3-dkim: %v", err)
	}
	if _, err := exec.LookPath("swaks"); err != nil {
		t.Fatalf("install swaks: %v", err)
	}
}

// run runs a program that succeeds, with in as its input.
func run(t *testing.T, in []byte, name string, args ...string) []byte {
	t.Helper()
	c := exec.Command(name, args...)
	var errs bytes.Buffer
	c.Stdin, c.Stderr = bytes.NewReader(in), &errs
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", name, err, out, &errs)
	}
	return out
}

// Another implementation believes what we sign, and no changed letter.
func TestDkimpyBelievesOurSignature(t *testing.T) {
	need(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, young, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const verify = `
import dkim, sys
name, record = sys.argv[1].encode() + b".", sys.argv[2].encode()
def dns(asked, timeout=5):
    return record if asked == name else None
print(dkim.verify(sys.stdin.buffer.read(), dnsfunc=dns))`
	for name, set := range map[string]func(*bench){
		"RSA":     func(b *bench) { b.zone.SetKey(t, "maillon.example", key); b.config.Key = key },
		"Ed25519": func(b *bench) { b.zone.SetKey(t, "maillon.example", young); b.config.Key = young },
	} {
		b := newBench(t, set, func(b *bench) { b.config.Selector = mailtest.Selector }).start()
		b.taken("a question", b.zone.Write(t, mailtest.Letter{From: lena, Subject: "Où ça ?", Text: "solde", Extra: []string{"References: <a@mua.example>"}}))
		if _, err := b.gateway.Send(t.Context(), outgoing(t, "m1", "Payé: 5 m à Zoé.\nRéf K7F2.\n\n")); err != nil {
			t.Fatal(err)
		}
		raw := b.host.Letters()[0].Raw
		record := mailtest.Record(t, b.config.Key)
		if got := strings.TrimSpace(string(run(t, raw, python, "-c", verify, mailtest.KeyName("maillon.example"), record))); got != "True" {
			t.Errorf("%s: dkimpy says %s of\n%s", name, got, raw)
		}
		changed := bytes.Replace(raw, []byte("5 m"), []byte("9 m"), 1)
		if got := strings.TrimSpace(string(run(t, changed, python, "-c", verify, mailtest.KeyName("maillon.example"), record))); got != "False" {
			t.Errorf("%s: dkimpy says %s of a changed letter", name, got)
		}
	}
}

// We believe what another implementation signs and another program brings.
func TestADkimpySignatureBroughtBySwaksIsBelieved(t *testing.T) {
	need(t)
	b := newBench(t).start()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, young, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b.zone.SetKey(t, "old.example", key)
	b.zone.SetKey(t, "young.example", young)
	files := map[string]string{
		"rsa-sha256":     string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})),
		"ed25519-sha256": base64.StdEncoding.EncodeToString(young.Seed()),
	}
	const sign = `
import dkim, sys
selector, domain, algorithm = [a.encode() for a in sys.argv[1:4]]
raw = sys.stdin.buffer.read()
sys.stdout.buffer.write(dkim.sign(raw, selector, domain, open(sys.argv[4], "rb").read(), signature_algorithm=algorithm,
    include_headers=[b"from", b"to", b"subject", b"date", b"message-id"]) + raw)`
	for algorithm, domain := range map[string]string{"rsa-sha256": "old.example", "ed25519-sha256": "young.example"} {
		dir := t.TempDir()
		file, letter := filepath.Join(dir, "key"), filepath.Join(dir, "letter")
		if err := os.WriteFile(file, []byte(files[algorithm]), 0o600); err != nil {
			t.Fatal(err)
		}
		raw := mailtest.Letter{From: "yann@" + domain, Subject: "payer", Text: "vir 5 @lena café"}.Bytes()
		signed := run(t, raw, python, "-c", sign, mailtest.Selector, domain, algorithm, file)
		bring := func(letterBytes []byte) (string, error) {
			if err := os.WriteFile(letter, letterBytes, 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command("swaks", "--server", b.at.String(), "--from", "yann@"+domain, "--to", mailtest.Ours,
				"--helo", domain, "--data", "@"+letter, "--suppress-data").CombinedOutput()
			return string(out), err
		}
		before := len(b.inbox.Messages())
		if out, err := bring(signed); err != nil {
			t.Errorf("%s: %v\n%s", algorithm, err, out)
		}
		got := b.inbox.Messages()[before:]
		if len(got) != 1 || got[0].Text != "vir 5 @lena café" || got[0].From != "yann@"+domain {
			t.Errorf("%s: came in: %+v", algorithm, got)
		}
		if out, err := bring(raw); err == nil || !strings.Contains(out, "550 5.7.20") {
			t.Errorf("%s: unsigned, swaks is told\n%s", algorithm, out)
		}
	}
}
