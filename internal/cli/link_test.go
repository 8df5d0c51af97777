package cli_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"maillon/internal/cli"
	"maillon/internal/link"
	"maillon/internal/pki"
	"maillon/internal/sms"
	"maillon/internal/sms/premium"
)

// freePort returns an address on which nobody listens.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// A gateway comes in with the certificate that a command made, is answered, and
// comes in no more once another command has revoked it, beside the server.
func TestAGatewayComesInByTheLinkOfAServer(t *testing.T) {
	dir, where, signed := t.TempDir(), freePort(t), freePort(t)
	config := fmt.Sprintf(`
[link]
listen = %q
signed = %q
names = ["127.0.0.1"]
[gateway.gw1]
kind = "link"
number = "36000"
replies = "body"
default = true
[gateway.box]
kind = "link"
key_file = "box.key"
replies = "body"
[gateway.nat]
kind = "link"
[administrator.annaig]
number = "0639980101"
role = "admin"
`, where, signed)
	if err := os.WriteFile(filepath.Join(dir, "maillon.toml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "box.key"), []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, dir, 2, "maillon ca init makes an authority", "serve", "--listen", "127.0.0.1:0", "--config", "maillon.toml")
	command(t, dir, "ca", "init", "--host", "localhost")
	p := serve(t, dir, "--config", "maillon.toml")
	command(t, dir, "ca", "issue", "gw1", "--config", "maillon.toml")
	command(t, dir, "ca", "issue", "nat", "--config", "maillon.toml")
	client, other := gatewayOf(t, dir, "gw1"), gatewayOf(t, dir, "nat")
	call := "https://" + where + "/gw/v1/kannel?" + url.Values{"from": {"+33639980101"}, "to": {"36000"}, "text": {"solde"}, "id": {"1"}}.Encode()
	answer := func() (int, string, error) {
		resp, err := client.Get(call)
		if err != nil {
			return 0, "", err
		}
		defer func() { _ = resp.Body.Close() }()
		text, err := io.ReadAll(resp.Body)
		return resp.StatusCode, string(text), err
	}
	status, text, err := answer()
	if err != nil || status != http.StatusOK || text == "" {
		t.Errorf("it is answered %d %q, %v", status, text, err)
	}
	if _, again, err := answer(); err != nil || again != text {
		t.Errorf("once more it is answered %q, %v, want %q", again, err, text)
	}
	body := `{"id":"1","from":"+33639980101","text":"solde"}`
	r, err := http.NewRequest(http.MethodPost, "https://"+signed+"/gw/v1/messages", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	premium.Sign(r.Header, sms.NewSecret("s3cret"), []byte(body), time.Now())
	r.Header.Set(link.GatewayHeader, "box")
	if resp, err := client.Do(r); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("one that signs: %v, %v", resp, err)
	} else {
		_ = resp.Body.Close()
	}
	go func() { // who waits for something to send does not keep the server from ending
		if resp, err := other.Get("https://" + where + "/gw/v1/outbox?wait=25"); err == nil {
			_ = resp.Body.Close()
		}
	}()
	command(t, dir, "ca", "revoke", "gw1", "--config", "maillon.toml")
	if status, _, err := answer(); err != nil || status != http.StatusForbidden {
		t.Errorf("once revoked it is answered %d, %v, want 403", status, err)
	}
	start := time.Now()
	if status := p.end(syscall.SIGTERM); status != 0 || time.Since(start) > 4*time.Second {
		t.Errorf("stopped after %v with status %d: %s", time.Since(start), status, &p.stderr)
	}
}

// command runs a command that succeeds, in a folder.
func command(t *testing.T, dir string, args ...string) {
	t.Helper()
	if out, err := maillon(t, dir, args...).CombinedOutput(); err != nil {
		t.Fatalf("maillon %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// gatewayOf is a gateway with the files that the commands made.
func gatewayOf(t *testing.T, dir, name string) *http.Client {
	t.Helper()
	c, err := tls.LoadX509KeyPair(filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".pem"))
	if err != nil {
		t.Fatal(err)
	}
	root, err := pki.Folder{Path: filepath.Join(dir, "maillon-data", "ca")}.Root()
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(root)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{c}}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

func TestGatewaysOfTheLinkAreConfigured(t *testing.T) {
	dir := t.TempDir()
	c := write(t, filepath.Join(dir, "maillon.toml"), `
[link]
listen = "0.0.0.0:8443"
signed = "0.0.0.0:8444"
names = ["money.example.org", "10.0.0.7"]
ca = "authority"
url = "https://money.example.org:8443"
[gateway.premium]
kind = "link"
assurance = "network"
replies = "body"
charge = { currency = "MAD", gross = 1000, net = 417 }
[gateway.nat]
kind = "link"
[gateway.box]
kind = "link"
key_file = "box.key"
[gateway.android]
kind = "phone"
key_file = "android.key"
api_url = "http://192.168.1.20:8080/messages"
username = "sms"
password_file = "android.password"
[gateway.f]
kind = "fortumo"
secret_file = "f.secret"
[gateway.t]
kind = "txtnation"
company = "penn"
key_file = "t.key"
from = ["192.0.2.7", "198.51.100.0/24"]
confirm = "always"
`)
	if c.Link.CA != filepath.Join(dir, "authority") || len(c.Link.Names) != 2 || c.Link.Signed != "0.0.0.0:8444" {
		t.Errorf("the link is %+v", c.Link)
	}
	all := map[string]cli.GatewayConfig{}
	for _, g := range c.Gateways {
		all[g.Name] = g
	}
	if g := all["premium"]; !g.Linked.Network || !g.Linked.Body || g.Linked.Pull || g.Always || g.Linked.Charge == nil || g.Linked.Charge.Gross != 1000 {
		t.Errorf("premium is %+v", g)
	}
	for _, name := range []string{"nat", "box", "android"} { // whose senders may be forged
		if g := all[name]; g.Linked.Network || !g.Always {
			t.Errorf("%s is %+v", name, g)
		}
	}
	if g := all["nat"]; !g.Linked.Pull {
		t.Errorf("nat is %+v", g)
	}
	if g := all["f"]; !g.Linked.Network || g.Always {
		t.Errorf("f is %+v", g)
	}
	if g := all["t"]; !g.Always || len(g.Linked.From) != 2 {
		t.Errorf("t is %+v", g)
	}
}

func TestWhatIsWrongWithTheLinkIsSaid(t *testing.T) {
	for text, want := range map[string]string{
		"[link]\n":                    "listen or signed is missing",
		"[link]\nlisten = \"8443\"\n": "HOST:PORT is expected",
		"[link]\nlisten = \"0.0.0.0:1\"\nport = 1\n":                                                                                       "unknown key",
		"[gateway.a]\nkind = \"link\"\n":                                                                                                   "listen is missing in [link]",
		"[link]\nlisten = \":1\"\n[gateway.a]\nkind = \"link\"\nkey_file = \"k\"\n":                                                        "signed is missing in [link]",
		"[link]\nlisten = \":1\"\n[gateway.a]\nkind = \"link\"\nreplies = \"x\"\n":                                                         `"body" or "pull"`,
		"[link]\nlisten = \":1\"\n[gateway.a]\nkind = \"link\"\ncharge = { currency = \"MAD\", gross = 10 }\n":                             "only an operator that proves",
		"[link]\nlisten = \":1\"\n[gateway.a]\nkind = \"link\"\nassurance = \"network\"\ncharge = { currency = \"MAD\", gross = \"x\" }\n": "a whole number",
		"[gateway.a]\nkind = \"phone\"\nassurance = \"network\"\n":                                                                         "only none is true",
		"[gateway.a]\nkind = \"txtnation\"\nfrom = [\"example.org\"]\n":                                                                    "addresses such as",
		"[gateway.a]\nkind = \"fortumo\"\n":                                                                                                "secret_file is missing",
	} {
		path := filepath.Join(t.TempDir(), "c.toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := cli.LoadConfig(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n%v, want %q", text, err, want)
		}
	}
}
