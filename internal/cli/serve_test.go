package cli_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a server may take to start, to answer or to end.
const patience = 20 * time.Second

// maillon returns the program as a command: TestMain runs what it is called by.
func maillon(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "maillon")
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	return cmd
}

// A process is maillon serve as somebody started it.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	url    string // without its last slash
	said   string // on standard output
	stderr bytes.Buffer
	ended  sync.Once
	client http.Client
}

// serve starts maillon serve in a folder, and returns once it says where it is.
func serve(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: maillon(t, dir, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)}
	p.client = http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	p.cmd.Stderr = &p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.ended.Do(func() { _ = p.cmd.Process.Kill(); _ = p.cmd.Wait() }) })
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		p.said += lines.Text() + "\n"
		if strings.Contains(lines.Text(), "Ctrl-C") {
			break
		}
	}
	found := regexp.MustCompile(`(http://[^/\s]+)/`).FindStringSubmatch(p.said)
	if found == nil {
		_ = p.cmd.Wait()
		t.Fatalf("serve says no address: %s%s", p.said, &p.stderr)
	}
	p.url = found[1]
	return p
}

// end sends a signal and returns the status that the server ends with.
func (p *process) end(signal os.Signal) (status int) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatal(err)
	}
	return p.waits()
}

// waits returns the status with which a server ends that was told to.
func (p *process) waits() (status int) {
	p.t.Helper()
	p.ended.Do(func() {
		late := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
		defer late.Stop()
		_ = p.cmd.Wait()
		status = p.cmd.ProcessState.ExitCode()
	})
	return status
}

func (p *process) ask(method, path string, form url.Values, header ...string) (status int, body string) {
	p.t.Helper()
	r, err := http.NewRequest(method, p.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for n := 0; n+1 < len(header); n += 2 {
		if header[n] == "Host" {
			r.Host = header[n+1]
		}
		r.Header.Set(header[n], header[n+1])
	}
	answer, err := p.client.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return answer.StatusCode, html.UnescapeString(string(text))
}

// page returns the page of phones.
func (p *process) page() string {
	p.t.Helper()
	status, text := p.ask(http.MethodGet, "/?lang=fr", nil)
	if status != http.StatusOK {
		p.t.Fatalf("the page of phones: %d %s", status, text)
	}
	return text
}

var handsets = regexp.MustCompile(`(?s)<article class="handset" id="(\w+)".*?</article>`)

// handset returns the part of the page that is one phone, and the phone's name
// in forms.
func (p *process) handset(who string) (text, id string) {
	p.t.Helper()
	for _, found := range handsets.FindAllStringSubmatch(p.page(), -1) {
		if strings.Contains(found[0], ">"+who+"</h2>") {
			return found[0], found[1]
		}
	}
	p.t.Fatalf("%s has no phone on the page", who)
	return "", ""
}

// text writes an SMS on a phone of the page.
func (p *process) text(who, what string) {
	p.t.Helper()
	_, id := p.handset(who)
	if status, answer := p.ask(http.MethodPost, "/text?lang=fr", url.Values{"phone": {id}, "text": {what}}); status != http.StatusSeeOther {
		p.t.Fatalf("%q on the phone of %s: %d %s", what, who, status, answer)
	}
}

// reads waits until a phone shows an SMS, and returns what the pattern's
// parentheses found.
func (p *process) reads(who, pattern string) string {
	p.t.Helper()
	shown := ""
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		shown, _ = p.handset(who)
		if found := regexp.MustCompile(`class="theirs"><p>[^<]*` + pattern).FindStringSubmatch(shown); found != nil {
			return found[len(found)-1]
		}
	}
	p.t.Fatalf("the phone of %s does not show %q:\n%s", who, pattern, shown)
	return ""
}

const stranger = "06\u00a039\u00a098\u00a000\u00a090"

// Somebody starts the program in an empty folder and pays a stranger, code and
// all; on the next day all of it is still there, and no second village.
func TestSomebodyTriesMaillon(t *testing.T) {
	dir := t.TempDir()
	p := serve(t, dir)
	if !strings.Contains(p.said, "solde") || !strings.Contains(p.said, "vir=50 num=0639980090") {
		t.Errorf("serve does not say what to try:\n%s", p.said)
	}
	p.text("yann", "solde")
	p.reads("yann", `Solde: 111 m`)
	p.text("yann", "vir=50 num=0639980090")
	p.text("yann", p.reads("yann", `n'a pas de compte.*répondre (\d{3} \d{3})`))
	p.reads("yann", `Payé: 50 m à 0639980090`)
	p.reads(stranger, `yann vous donne 50 m`)
	p.text(stranger, "pseudo malo")
	p.reads("malo", `Bienvenue malo`)
	if status, body := p.ask(http.MethodGet, "/healthz", nil); status != http.StatusOK || body != "ok\n" {
		t.Errorf("healthz: %d %q", status, body)
	}
	if status := p.end(syscall.SIGTERM); status != 0 {
		t.Fatalf("stopped with status %d: %s", status, &p.stderr)
	}

	p = serve(t, dir)
	if text, _ := p.handset("yann"); !strings.Contains(text, "61\u00a0m") || !strings.Contains(text, "Payé: 50 m") {
		t.Errorf("yann's phone is after a restart\n%s", text)
	}
	p.text("malo", "vir 20 @lena")
	p.text("malo", p.reads("malo", `Payer 20 m à lena.*répondre (\d{3} \d{3})`))
	p.reads("lena", `malo \(06\*\*90\) vous a payé 20 m`)
	if status := p.end(os.Interrupt); status != 0 {
		t.Fatalf("stopped with status %d: %s", status, &p.stderr)
	}
	out, err := maillon(t, dir, "member", "list").CombinedOutput()
	if err != nil || bytes.Count(out, []byte("yann")) != 1 || bytes.Count(out, []byte("\n")) != 10 {
		t.Errorf("the members are (%v)\n%s", err, out)
	}
	if out, err := maillon(t, dir, "verify").CombinedOutput(); err != nil {
		t.Errorf("verify: %v\n%s", err, out)
	}
}

// The villagers have a past to look at, and each speaks in his own way.
func TestTheVillageHasAPast(t *testing.T) {
	p := serve(t, t.TempDir())
	p.text("lena", "histo")
	p.reads("lena", `\+15 soazig`)
	p.text("gwen", "solde")
	p.reads("gwen", `Balance: 55 m`)
	p.text("soazig", "solde")
	p.reads("soazig", `tulipe: Solde: 72 m`)
	p.text("annaig", "état")
	p.reads("annaig", `585 m`)
	p.text("annaig", "crédite 20 @erwan atelier")
	p.text("annaig", p.reads("annaig", `(\d{3} \d{3})`))
	p.reads("erwan", `20 m`)
}

// refused runs a command that must end with a status and say why.
func refused(t *testing.T, dir string, status int, why string, args ...string) {
	t.Helper()
	cmd := maillon(t, dir, args...)
	late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	out, err := cmd.CombinedOutput()
	e, ok := errors.AsType[*exec.ExitError](err)
	if !ok || e.ExitCode() != status || !strings.Contains(string(out), why) {
		t.Errorf("maillon %s: %v, want status %d and %q:\n%s", strings.Join(args, " "), err, status, why, out)
	}
}

func TestServeListensToThisMachineUnlessTold(t *testing.T) {
	dir := t.TempDir()
	for _, where := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0"} {
		refused(t, dir, 2, "--public", "serve", "--listen", where)
	}
	refused(t, dir, 2, "HOST:PORT", "serve", "--listen", "8080")
	refused(t, dir, 2, "is no port", "serve", "--listen", "127.0.0.1:none")
	if _, err := os.Stat(filepath.Join(dir, "maillon-data")); err == nil {
		t.Error("what was refused has made a data folder")
	}
	serve(t, dir, "--listen", "localhost:0").page()
}

// The phones are nobody's business but of who sits at this machine.
// What programs can ask is read by anybody, here and where others can reach.
func TestTheReferenceIsServed(t *testing.T) {
	for _, args := range [][]string{nil, {"--public"}} {
		p := serve(t, t.TempDir(), args...)
		if status, body := p.ask(http.MethodGet, "/docs/api", nil); status != http.StatusOK || !strings.Contains(body, `curl "$MAILLON/v1/claims"`) {
			t.Errorf("%v: the reference is answered %d", args, status)
		}
		if status, body := p.ask(http.MethodGet, "/docs/api/openapi.yaml", nil); status != http.StatusOK || !strings.HasPrefix(body, "openapi: ") {
			t.Errorf("%v: the contract is answered %d", args, status)
		}
	}
}

func TestThePhonesAreNeverPublic(t *testing.T) {
	dir := t.TempDir()
	p := serve(t, dir, "--listen", "0.0.0.0:0", "--public")
	p.url = strings.Replace(strings.Replace(p.url, "[::]", "127.0.0.1", 1), "0.0.0.0", "127.0.0.1", 1)
	for _, path := range []string{"/", "/live", "/text", "/phones.js"} {
		if status, _ := p.ask(http.MethodGet, path, nil); status != http.StatusNotFound {
			t.Errorf("%s on a public address: %d", path, status)
		}
	}
	if status, _ := p.ask(http.MethodGet, "/healthz", nil); status != http.StatusOK {
		t.Errorf("healthz on a public address: %d", status)
	}
	p.end(syscall.SIGTERM)

	p = serve(t, dir)
	for header, value := range map[string]string{"X-Forwarded-For": "203.0.113.7", "Via": "1.1 proxy", "Host": "maillon.example.org"} {
		if status, text := p.ask(http.MethodGet, "/", nil, header, value); status < 400 || strings.Contains(text, "yann") {
			t.Errorf("the page with %s: %s: %d", header, value, status)
		}
	}
}

// Two servers on one folder would send each SMS twice. One that was killed
// leaves nothing that keeps the next one out.
func TestOneServerWorksOnAFolder(t *testing.T) {
	dir := t.TempDir()
	p := serve(t, dir)
	refused(t, dir, 3, "another server is at work on maillon-data", "serve", "--listen", "127.0.0.1:0")
	refused(t, dir, 3, "another server is at work on maillon-data", "serve", "--listen", strings.TrimPrefix(p.url, "http://"))
	if out, err := maillon(t, dir, "credit", "lena", "5", "menthe").CombinedOutput(); err != nil {
		t.Errorf("a command beside the server: %v\n%s", err, out)
	}
	p.reads("lena", `5 m`)
	p.end(syscall.SIGKILL)
	serve(t, dir).reads("lena", `5 m`)
}

func TestServeSaysHowToChooseAnotherPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	refused(t, t.TempDir(), 3, "choose another port with --listen", "serve", "--listen", l.Addr().String())
}

// Whoever looks at the page does not keep the server from ending.
func TestServeEndsBesideAnOpenPage(t *testing.T) {
	p := serve(t, t.TempDir())
	answer, err := p.client.Get(p.url + "/live")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	start := time.Now()
	if status := p.end(syscall.SIGTERM); status != 0 || time.Since(start) > 3*time.Second {
		t.Errorf("ended after %v with status %d", time.Since(start), status)
	}
}

// A configuration brings its gateways and administrators, and no village.
func TestServeWithAConfiguration(t *testing.T) {
	dir := t.TempDir()
	sendsms := "http://127.0.0.1:9/cgi-bin/sendsms" // nobody is there
	for name, text := range map[string]string{
		"password": "hush", "in": "sesame",
		"maillon.toml": fmt.Sprintf(`
[settings]
association = "Ti an Holl"
[gateway.box]
kind = "kannel"
number = "0639980100"
sendsms_url = %q
username = "maillon"
password_file = "password"
in_password_file = "in"
default = true
[gateway.phones]
kind = "virtual"
number = "0639980000"
[administrator.annaig]
number = "0639980101"
role = "admin"
`, sendsms),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := serve(t, dir, "--config", "maillon.toml")
	if page := p.page(); !strings.Contains(page, "Ti an Holl") || strings.Contains(page, "yann") {
		t.Error("the page is not of this association")
	}
	p.text("annaig", "état")
	p.reads("annaig", `0 m`)
	for path, want := range map[string]int{
		"/gateway/box/in?id=1": http.StatusUnauthorized, "/gateway/box/elsewhere": http.StatusNotFound, "/gateway/box": http.StatusNotFound,
		"/gateway/phones/in": http.StatusNotFound, "/gateway/nobody/in": http.StatusNotFound, "/gateway/": http.StatusNotFound,
	} {
		if status, _ := p.ask(http.MethodPost, path, url.Values{}); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
	if status, body := p.ask(http.MethodGet, "/healthz", nil); status != http.StatusServiceUnavailable || !strings.Contains(body, "box") {
		t.Errorf("healthz without Kannel: %d %q", status, body)
	}
	if status := p.end(syscall.SIGTERM); status != 0 {
		t.Errorf("stopped with status %d: %s", status, &p.stderr)
	}
	for _, secret := range []string{"hush", "sesame"} {
		if strings.Contains(p.stderr.String()+p.said, secret) {
			t.Error("a secret was told")
		}
	}
}

var firstLink = regexp.MustCompile(`http://localhost:\d+(/console/invited\?t=[A-Za-z0-9_-]{43})`)

// While nobody can sign in, the server says how to be the first, in a village and
// with administrators of a configuration alike; the link leaves no trace where
// it leads.
func TestServeLetsTheFirstAdministratorIn(t *testing.T) {
	configured := t.TempDir()
	text := "[settings]\nassociation = \"Penn Rustin'\"\n\n[administrator.annaig]\nnumber = \"0639980013\"\nrole = \"admin\"\n"
	if err := os.WriteFile(filepath.Join(configured, "maillon.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for dir, args := range map[string][]string{t.TempDir(): nil, configured: {"--config", "maillon.toml"}} {
		p := serve(t, dir, args...)
		found := firstLink.FindStringSubmatch(p.said)
		if found == nil {
			t.Fatalf("serve says\n%s", p.said)
		}
		resp, err := p.client.Get(p.url + found[1])
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if to := resp.Header.Get("Location"); resp.StatusCode != http.StatusSeeOther || to != "/console/welcome" || len(resp.Cookies()) != 1 {
			t.Errorf("the link leads to %d %s", resp.StatusCode, to)
		}
		if resp, err = p.client.Get(p.url + "/console/"); err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if to := resp.Header.Get("Location"); to != "/console/signin" {
			t.Errorf("whoever is not signed in is led to %s", to)
		}
	}
}
