package cli_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"maillon/internal/cli"
	"maillon/internal/store/pgtest"
)

// hidden is a password that must show nowhere.
const hidden = "k3pt-s3cret"

// shared makes a folder whose configuration names a database server.
func shared(t *testing.T, url string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	user, rest, _ := strings.Cut(strings.TrimPrefix(url, "postgres://"), "@")
	for name, text := range map[string]string{
		"secret": strings.Repeat("5e", 32), "password": hidden + "\n", "out": "out-s3cret", "in": "in-s3cret",
		"maillon.toml": `
[database]
url = "postgres://` + user + `@` + rest + `"
password_file = "password"
secret_file = "secret"
[gateway.kannel]
kind = "kannel"
number = "36000"
sendsms_url = "http://127.0.0.1:1/cgi-bin/sendsms"
username = "maillon"
password_file = "out"
in_password_file = "in"
[administrator.annaig]
number = "0639980014"
role = "admin"
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// alone lets the books of a configuration stay in a data folder.
func alone(t *testing.T, dir string) (config string) {
	t.Helper()
	config = filepath.Join(dir, "maillon.toml")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "[gateway.")
	if err := os.WriteFile(config, []byte("[gateway."+rest), 0o600); err != nil {
		t.Fatal(err)
	}
	return config
}

// run runs a command in this process, and returns its status and what it said.
func run(t *testing.T, args ...string) (status int, said string) {
	t.Helper()
	var out bytes.Buffer
	status = cli.Run(t.Context(), args, &cli.Streams{In: strings.NewReader(""), Out: &out, Err: &out})
	if strings.Contains(out.String(), hidden) {
		t.Errorf("%v shows the password of the database:\n%s", args, &out)
	}
	return status, out.String()
}

// Two servers and all commands work on one database, of which each has only the
// configuration and the secrets.
func TestServersAndCommandsShareADatabase(t *testing.T) {
	url := pgtest.New(t)
	here, there := shared(t, url), shared(t, url)
	config := filepath.Join(here, "maillon.toml")
	if status, said := run(t, "config", "check", config); status != 0 || !strings.Contains(said, "good") {
		t.Fatalf("config check: %d, %s", status, said)
	}
	first, second := serve(t, here, "--config", config), serve(t, there, "--config", filepath.Join(there, "maillon.toml"))
	if !strings.Contains(first.said, "Everything is kept in the database.") {
		t.Errorf("serve says %q", first.said)
	}
	for _, p := range []*process{first, second} {
		p.says("/livez", http.StatusOK, "ok")
		p.says("/readyz", http.StatusOK, "ok")
	}
	backups := filepath.Join(here, "backups")
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"member", "add", "--number", "0639980012", "--nick", "yann"}, "yann"},
		{[]string{"credit", "yann", "50", "atelier"}, ""},
		{[]string{"member", "list"}, "annaig"},
		{[]string{"statement", "yann"}, "50"},
		{[]string{"queue"}, "REFERENCE"},
		{[]string{"export", "csv"}, "50"},
		{[]string{"backup", backups}, "hash"},
		{[]string{"verify"}, "proven"},
	} {
		status, said := run(t, append(c.args, "--config", config)...)
		if status != 0 || !strings.Contains(said, c.says) {
			t.Errorf("maillon %s: %d, %s", strings.Join(c.args, " "), status, said)
		}
	}
	if status, said := run(t, "restore", "--config", config, "--from", backups, "--to", filepath.Join(here, "restored")); status != 0 {
		t.Errorf("restore: %d, %s", status, said)
	}
	for _, p := range []*process{first, second} {
		if status := p.end(syscall.SIGTERM); status != 0 {
			t.Errorf("a server ended with %d: %s", status, &p.stderr)
		}
		if strings.Contains(p.stderr.String(), hidden) {
			t.Errorf("a server shows the password of the database: %s", &p.stderr)
		}
	}
	if _, err := os.Stat(filepath.Join(here, "maillon-data")); err == nil {
		t.Error("a data folder was made beside a database server")
	}
}

// A group may read secrets, as where Kubernetes mounts them; others may not.
func TestSecretsAreForAGroupAtMost(t *testing.T) {
	dir := shared(t, "postgres://maillon@127.0.0.1:1/maillon")
	config := filepath.Join(dir, "maillon.toml")
	for _, file := range []string{"secret", "password", "out", "in"} {
		for mode, good := range map[os.FileMode]bool{0o440: true, 0o444: false, 0o600: true} {
			if err := os.Chmod(filepath.Join(dir, file), mode); err != nil {
				t.Fatal(err)
			}
			status, said := run(t, "config", "check", config)
			if (status == 0) != good || good == strings.Contains(said, file+" can be read by others") {
				t.Errorf("%s with %o: %d, %s", file, mode, status, said)
			}
			if err := os.Chmod(filepath.Join(dir, file), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A password in the address is refused, and is not repeated; so is what cannot
// work beside a database server.
func TestADatabaseServerIsNamedWithoutItsPassword(t *testing.T) {
	for _, test := range []struct{ name, config, says string }{
		{"password", "[database]\nurl = \"postgres://maillon:" + hidden + "@db/maillon\"\nsecret_file = \"s\"", "password_file"},
		{"parameter", "[database]\nurl = \"postgres://maillon@db/maillon?password=" + hidden + "\"", "password_file"},
		{"no address", "[database]\nurl = \"mysql://" + hidden + "@db/maillon\"", "postgres://USER@HOST:PORT/NAME"},
		{"no url", "[database]\nsecret_file = \"s\"", "url is missing"},
		{"whose", "[database]\nurl = \"postgres://db/maillon\"\npassword_file = \"p\"", "whose"},
		{"unknown", "[database]\nurl = \"postgres://m@db/maillon\"\npool = 5", "unknown key"},
		{"virtual", "[database]\nurl = \"postgres://m@db/maillon\"\n[gateway.phones]\nkind = \"virtual\"", "virtual telephones live in one server"},
	} {
		path := filepath.Join(t.TempDir(), "maillon.toml")
		if err := os.WriteFile(path, []byte(test.config), 0o600); err != nil {
			t.Fatal(err)
		}
		status, said := run(t, "config", "check", path)
		if status != cli.ExitNo || !strings.Contains(said, test.says) {
			t.Errorf("%s: %d, %s", test.name, status, said)
		}
	}
}

// What opens the database is looked for before anything is opened.
func TestASecretOfADatabaseServerIsNeverDrawn(t *testing.T) {
	dir := shared(t, "postgres://maillon@127.0.0.1:1/maillon")
	config := filepath.Join(dir, "maillon.toml")
	if status, said := run(t, "verify", "--config", config); status == 0 || !strings.Contains(said, "open the database") {
		t.Errorf("a database that is away: %d, %s", status, said)
	}
	if err := os.Remove(filepath.Join(dir, "secret")); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"serve", "--listen", "127.0.0.1:0"}, {"member", "list"}, {"verify"}} {
		status, said := run(t, append(args, "--config", config, "--data", filepath.Join(dir, "data"))...)
		if status == 0 || !strings.Contains(said, "all servers beside one database have one secret") {
			t.Errorf("%v: %d, %s", args, status, said)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "data")); err == nil {
		t.Error("a data folder was made")
	}
}
