package cli_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"maillon/internal/cli"
	"maillon/internal/sms/mail/mailtest"
)

// signingFile writes a private key as openssl genpkey does.
func signingFile(t *testing.T, path string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A server that is configured for it takes letters, and none that proves nothing.
func TestAServerTakesLetters(t *testing.T) {
	dir, where := t.TempDir(), freePort(t)
	signingFile(t, filepath.Join(dir, "dkim.pem"))
	config := fmt.Sprintf(`
[gateway.mail]
kind = "mail"
address = %q
listen = %q
smarthost = "127.0.0.1:9"
security = "none"
dkim_selector = "s1"
dkim_key_file = "dkim.pem"
[gateway.phones]
kind = "virtual"
number = "0639980100"
`, mailtest.Ours, where)
	if err := os.WriteFile(filepath.Join(dir, "maillon.toml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	command(t, dir, "config", "check", "maillon.toml")
	p := serve(t, dir, "--config", "maillon.toml")
	at, err := net.ResolveTCPAddr("tcp", where)
	if err != nil {
		t.Fatal(err)
	}
	letter := mailtest.Letter{From: "lena@association.example", Text: "solde"}.Bytes()
	var said *smtp.SMTPError
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if errors.As(mailtest.Deliver(at, "lena@association.example", mailtest.Ours, letter), &said) {
			break
		}
	}
	if said == nil || said.Code != 550 || said.EnhancedCode != (smtp.EnhancedCode{5, 7, 20}) {
		t.Errorf("an unsigned letter: %v, want 550 5.7.20", said)
	}
	if status := p.end(syscall.SIGTERM); status != 0 {
		t.Errorf("stopped with status %d: %s", status, &p.stderr)
	}
}

func TestWhatIsWrongWithMailIsSaid(t *testing.T) {
	const good = "[gateway.m]\nkind = \"mail\"\naddress = \"maillon@example.org\"\nlisten = \":25\"\nsmarthost = \"smtp.example.org:587\"\n"
	const phones = "[gateway.p]\nkind = \"virtual\"\n"
	for text, want := range map[string]string{
		"[gateway.m]\nkind = \"mail\"\n" + phones:                                        "address is missing",
		strings.Replace(good, "maillon@example.org", "maillon", 1) + phones:              "an e-mail address such as",
		strings.Replace(good, ":587", "", 1) + phones:                                    "HOST:PORT is expected",
		good + "security = \"ssl\"\n" + phones:                                           `"starttls", "tls" or "none"`,
		good + "username = \"maillon\"\n" + phones:                                       "username and password_file belong together",
		good + "dkim_selector = \"s1\"\n" + phones:                                       "dkim_selector and dkim_key_file belong together",
		good + "username = \"m\"\npassword_file = \"p\"\nsecurity = \"none\"\n" + phones: "never sent in clear",
		good + "confirm = \"server\"\n" + phones:                                         "always asked for the code",
		good + "default = true\n" + phones:                                               "another gateway must be the default",
		good:                                                                             "beside telephones",
		good + phones + "backup = \"m\"\n":                                               "takes nothing over",
	} {
		path := filepath.Join(t.TempDir(), "c.toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := cli.LoadConfig(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n%v, want %q", text, err, want)
		}
	}
	path := filepath.Join(t.TempDir(), "c.toml")
	if err := os.WriteFile(path, []byte(good+"backup = \"p\"\n"+phones), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err := cli.LoadConfig(path); err != nil || c.Gateways[0].Mail.Address.Text() != "maillon@example.org" || !c.Gateways[0].Always {
		t.Errorf("a good one: %v", err)
	}
}
