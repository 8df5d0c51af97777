// Package kanneltest runs a real Kannel for tests: bearerbox and smsbox of
// Debian's packages, on free ports of the loopback, with a line of Kannel's
// "fake" kind whose far end is the test.
package kanneltest

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"text/template"
	"time"

	"maillon/internal/sms"
	"maillon/internal/sms/kannel"
	"maillon/internal/sms/smstest"
)

// FakeSMSC is Kannel's own far end of a line.
const FakeSMSC = "/usr/lib/kannel/test/fakesmsc"

// Line is the number of the line, and what members write to.
const Line = "36000"

// stopTimeout is how long a box may take to end before it is killed: bearerbox
// does not end by itself while reports wait for an smsbox that has gone.
const stopTimeout = 2 * time.Second

// maxStatus bounds the status page, in octets.
const maxStatus = 64 << 10

const (
	outPassword   = "out-s3cret"
	inPassword    = "in-s3cret"
	adminPassword = "admin-s3cret"
)

// Need skips the test unless MAILLON_REAL is set, and fails it if MAILLON_REAL
// is set and Kannel is not there.
func Need(t testing.TB) {
	t.Helper()
	if os.Getenv("MAILLON_REAL") == "" {
		t.Skip("a real Kannel is tried only with MAILLON_REAL=1, as make test does")
	}
	for _, program := range []string{"bearerbox", "smsbox", FakeSMSC} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("install kannel and kannel-extras: %v", err)
		}
	}
}

// Boxes are a running bearerbox and smsbox.
type Boxes struct {
	t      testing.TB
	dir    string
	setup  Setup
	smsbox *exec.Cmd
	ports
}

// A Setup says how Kannel and we reach each other.
type Setup struct {
	PublicURL string // of us; Kannel posts below it, unless there is GetURL
	GetURL    string // is asked for the reply to each SMS, as Kannel writes it: with %p and the like

	Certificate       string // file of the certificate and key with which it calls; "" for none
	Root              string // file of the root by which it checks whom it calls
	ServerCertificate string // file of those with which sendsms speaks TLS; "": it does not
}

type ports struct{ Admin, SMSBox, SMSC, SendSMS int }

// Start runs both boxes until the test ends. Kannel will post to the handler of
// the gateway that Config describes, under publicURL ("http://127.0.0.1:8080").
func Start(t testing.TB, publicURL string) *Boxes {
	t.Helper()
	return StartSetup(t, Setup{PublicURL: publicURL})
}

// StartSetup is Start with more to say.
func StartSetup(t testing.TB, setup Setup) *Boxes {
	t.Helper()
	Need(t)
	b := &Boxes{t: t, dir: t.TempDir(), setup: setup, ports: freePorts(t)}
	b.writeConfig()
	b.run("bearerbox")
	b.until("bearerbox answers", func(string) bool { return true })
	b.StartSMSBox()
	return b
}

// Config is the configuration of a gateway, named k, on these boxes.
func (b *Boxes) Config() kannel.Config {
	scheme := "http"
	if b.setup.ServerCertificate != "" {
		scheme = "https"
	}
	return kannel.Config{
		Name:       "k",
		Number:     Line,
		SendSMSURL: fmt.Sprintf("%s://127.0.0.1:%d/cgi-bin/sendsms", scheme, b.SendSMS),
		Username:   "maillon",
		Password:   sms.NewSecret(outPassword),
		InPassword: sms.NewSecret(inPassword),
		PublicURL:  b.setup.PublicURL,
	}
}

// StartSMSBox runs smsbox, and waits until bearerbox has it. Start has done so;
// it is for use after StopSMSBox.
func (b *Boxes) StartSMSBox() {
	b.t.Helper()
	b.smsbox = b.run("smsbox")
	b.until("smsbox is connected", func(status string) bool { return strings.Contains(status, "smsbox:") })
	smstest.Eventually(b.t, "sendsms answers", func() bool {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", b.SendSMS))
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
}

// StopSMSBox ends smsbox. What comes in then waits in bearerbox.
func (b *Boxes) StopSMSBox() {
	b.t.Helper()
	stop(b.t, b.smsbox)
}

// until waits for a status page of bearerbox that holds what is wanted.
func (b *Boxes) until(what string, holds func(status string) bool) {
	b.t.Helper()
	smstest.Eventually(b.t, what, func() bool {
		status, err := b.status()
		return err == nil && holds(status)
	})
}

func (b *Boxes) status() (string, error) {
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/status.txt?password=%s", b.Admin, adminPassword))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(io.LimitReader(resp.Body, maxStatus))
	return string(page), err
}

// run starts a box, to be ended with the test; its log shows if the test fails.
func (b *Boxes) run(box string) *exec.Cmd {
	b.t.Helper()
	log, err := os.OpenFile(filepath.Join(b.dir, box+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		b.t.Fatal(err)
	}
	cmd := exec.Command(box, "-v", "1", b.path())
	cmd.Stdout, cmd.Stderr = log, log
	start(b.t, cmd)
	b.t.Cleanup(func() {
		stop(b.t, cmd)
		_ = log.Close()
		if b.t.Failed() {
			text, _ := os.ReadFile(log.Name())
			b.t.Logf("%s said:\n%s", box, text)
		}
	})
	return cmd
}

func start(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatalf("install kannel and kannel-extras: %v", err)
	}
}

// stop ends a process by its id, politely at first; once is enough.
func stop(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	if cmd.ProcessState != nil {
		return
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	kill := time.AfterFunc(stopTimeout, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	_ = cmd.Wait()
}

func freePorts(t testing.TB) ports {
	t.Helper()
	var p ports
	for _, port := range []*int{&p.Admin, &p.SMSBox, &p.SMSC, &p.SendSMS} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		*port = listener.Addr().(*net.TCPAddr).Port
	}
	return p
}

func (b *Boxes) path() string { return filepath.Join(b.dir, "kannel.conf") }

func (b *Boxes) writeConfig() {
	b.t.Helper()
	in, err := url.Parse(b.setup.PublicURL)
	if err != nil {
		b.t.Fatal(err)
	}
	in.User = url.UserPassword("kannel", inPassword)
	var text bytes.Buffer
	err = config.Execute(&text, map[string]any{
		"Ports": b.ports, "Store": filepath.Join(b.dir, "store"), "Line": Line, "In": in.JoinPath("gateway/k/in").String() + "?id=%I",
		"AdminPassword": adminPassword, "OutPassword": outPassword, "Setup": b.setup,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(b.path(), text.Bytes(), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// config is what we ask of whoever runs a Kannel, with a fake line below it and
// a short delay between repeats.
var config = template.Must(template.New("kannel.conf").Parse(`group = core
admin-port = {{.Ports.Admin}}
admin-interface = 127.0.0.1
admin-password = {{.AdminPassword}}
status-password = {{.AdminPassword}}
smsbox-port = {{.Ports.SMSBox}}
smsbox-interface = 127.0.0.1
store-type = file
store-location = {{.Store}}
dlr-storage = internal
{{with .Setup.Certificate}}ssl-client-certkey-file = {{.}}
{{end}}{{with .Setup.ServerCertificate}}ssl-server-cert-file = {{.}}
ssl-server-key-file = {{.}}
{{end}}{{with .Setup.Root}}ssl-trusted-ca-file = {{.}}
{{end}}
group = smsc
smsc = fake
smsc-id = {{.Line}}
host = 127.0.0.1
port = {{.Ports.SMSC}}
connect-allow-ip = 127.0.0.1

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {{.Ports.SendSMS}}
sendsms-interface = 127.0.0.1
{{if .Setup.ServerCertificate}}sendsms-port-ssl = true
{{end}}max-pending-requests = 2000
http-request-retry = 8640
http-queue-delay = 1
reply-couldnotfetch = ""

group = sendsms-user
username = maillon
password = {{.OutPassword}}
user-deny-ip = "*.*.*.*"
user-allow-ip = 127.0.0.1

group = sms-service
keyword = default
concatenation = true
omit-empty = true
{{if .Setup.GetURL}}catch-all = true
max-messages = 3
accept-x-kannel-headers = true
get-url = "{{.Setup.GetURL}}"
{{else}}max-messages = 0
send-sender = true
post-url = "{{.In}}"
{{end}}`))
