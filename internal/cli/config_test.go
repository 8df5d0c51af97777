package cli_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"maillon/internal/cli"
	"maillon/internal/courier"
	"maillon/internal/setting"
)

func TestWithoutAFileTheDefaultsHold(t *testing.T) {
	c, err := cli.LoadConfig("")
	if err != nil || c.Given || c.Settings.Association != setting.Default().Association || len(c.Gateways) != 0 {
		t.Errorf("LoadConfig of nothing = %+v, %v", c, err)
	}
	if c, err = (cli.Folder{Dir: t.TempDir()}).LoadConfig(""); err != nil || c.Given {
		t.Errorf("LoadConfig in an empty folder: given is %v, %v", c.Given, err)
	}
}

func TestAFileIsReadWhole(t *testing.T) {
	dir := t.TempDir()
	c := write(t, filepath.Join(dir, "maillon.toml"), `
languages = "words"
[settings]
confirm = "above:20"
first.max = 40
"first.warn" = 10
desk = {fr = "au local", en = "at the desk"}
countries = ["FR", "BE"]
[[unit]]
name = "heure"
symbol = "h"
decimals = 2
[[unit]]
name = "maillon"
plural = "maillons"
symbol = "m"
[gateway.sim]
kind = "kannel"
number = "0639980100"
default = true
backup = "tw"
rate = "30/30min"
daily = 500
window = 5
sendsms_url = "http://127.0.0.1:13013/cgi-bin/sendsms"
username = "maillon"
password_file = "secrets/out"
in_password_file = "/etc/maillon/in"
[gateway.tw]
kind = "twilio"
rate = "1/s"
account_sid = "AC1"
auth_token_file = "secrets/tw"
from = "+33639980101"
public_url = "https://maillon.example.org"
catchup = "5m"
[administrator.annaig]
number = "0639980014"
role = "admin"
ceiling = "12,50"
`)
	if s := c.Settings; s.Confirm != setting.Above || s.ConfirmAbove != 20 || s.FirstMax != 40 || s.FirstWarn != 10 ||
		setting.In(s.Desk, "en") != "at the desk" || len(s.Countries) != 2 {
		t.Errorf("the settings are %+v", s)
	}
	if u := c.Settings.Units; len(u) != 2 || u[0] != (setting.Unit{Name: "heure", Plural: "heures", Symbol: "h", Decimals: 2}) || u[1].Name != "maillon" {
		t.Errorf("the units are %+v", u)
	}
	if len(c.Gateways) != 2 {
		t.Fatalf("the gateways are %+v", c.Gateways)
	}
	sim, tw := c.Gateways[0], c.Gateways[1]
	if sim.Rate != (courier.Rate{Segments: 30, Per: 30 * time.Minute}) || !sim.Default || sim.Backup != "tw" || sim.Daily != 500 || sim.Window != 5 ||
		sim.PasswordFile != filepath.Join(dir, "secrets", "out") || sim.InPasswordFile != "/etc/maillon/in" {
		t.Errorf("the gateway sim is %+v", sim)
	}
	if tw.Rate != (courier.Rate{Segments: 1, Per: time.Second}) || tw.Catchup != 5*time.Minute || tw.From != "+33639980101" {
		t.Errorf("the gateway tw is %+v", tw)
	}
	if c.Languages != filepath.Join(dir, "words") || !c.Given {
		t.Errorf("languages are in %s, given is %v", c.Languages, c.Given)
	}
	if a := c.Administrators; len(a) != 1 || a[0].Ceiling.Plain() != "12.50" || a[0].Number.E164() != "+33639980014" {
		t.Errorf("the administrators are %+v", a)
	}
}

func TestASecretIsReadWithoutItsNewlineAndNeverShown(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "token")
	if err := os.WriteFile(path, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := cli.GatewayConfig{Name: "tw"}
	s, err := g.Secret(path)
	if err != nil || s.Reveal() != "hunter2" {
		t.Errorf("the secret is read as %v", err)
	}
	if _, err := g.Secret(dir); err == nil {
		t.Error("a folder was read as a secret")
	}
	if err := os.WriteFile(path, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Secret(path); err == nil {
		t.Error("nothing was read as a secret")
	}
}

func TestOnlyOneServerWorksOnAFolder(t *testing.T) {
	f := cli.Folder{Dir: t.TempDir()}
	release, err := f.Lock()
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Lock()
	if e, ok := errors.AsType[*cli.ExitError](err); !ok || e.Code != cli.ExitTrouble || !strings.Contains(err.Error(), "another server") {
		t.Errorf("a second lock = %v", err)
	}
	release()
	if release, err = f.Lock(); err != nil {
		t.Errorf("a lock that was released is not free: %v", err)
	} else {
		release()
	}
}

// Whoever starts first draws the secret; the other gets that one.
func TestTwoStartsDrawOneSecret(t *testing.T) {
	f := cli.Folder{Dir: filepath.Join(t.TempDir(), "data")}
	type drawn struct {
		text string
		err  error
	}
	const starts = 8
	all := make(chan drawn, starts)
	for range starts {
		go func() {
			s, err := f.Secret(true)
			all <- drawn{s.Encode(), err}
		}()
	}
	first := <-all
	for range starts - 1 {
		if d := <-all; d.err != nil || d.text != first.text {
			t.Fatalf("two secrets were drawn (%v, %v)", first.err, d.err)
		}
	}
	info, err := os.Stat(filepath.Join(f.Dir, "secret"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the secret's mode is %v, %v", info.Mode(), err)
	}
	if info, err = os.Stat(f.Dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder's mode is %v, %v", info.Mode(), err)
	}
}

// What a French spreadsheet saves as "CSV" is Windows-1252.
func TestAFileOfAnOldSpreadsheetIsRead(t *testing.T) {
	v := &village{t: t, folder: filepath.Join(t.TempDir(), "data")}
	v.run("member", "add", "--number", yann.E164(), "--nick", "yann")
	path := filepath.Join(t.TempDir(), "mars.csv")
	if err := os.WriteFile(path, []byte("yann;1\xa0000;f\xeate;mars\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	v.run("credit", "--csv", path)
	if got := v.run("statement", "yann"); !strings.Contains(got, "+1000") || !strings.Contains(got, "fête") {
		t.Errorf("the statement is\n%s", got)
	}
}

// No text may bring the reader of configurations down, and what it refuses has
// a line.
func FuzzConfig(f *testing.F) {
	f.Add("[settings]\nmax = 3\n")
	f.Add("[[unit]]\nname = \"x\"\n[gateway.a]\nkind = \"twilio\"\n")
	f.Add("unit = 3\n[administrator]\nx = 1\n")
	f.Add("settings = [1]\ngateway = 2\n")
	f.Add("0=\"\\\x00") // the TOML library has no line for it
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "c.toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := cli.LoadConfig(path)
		if err == nil {
			_ = c.Settings.Currency()
			return
		}
		if e, ok := errors.AsType[*cli.ConfigError](err); ok {
			for _, fault := range e.Faults {
				if line, _, _ := strings.Cut(fault, ":"); line == "" || strings.Trim(line, "0123456789") != "" || line == "0" {
					t.Errorf("a fault without line: %q", fault)
				}
			}
		}
	})
}
