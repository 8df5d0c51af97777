package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"maillon/internal/courier"
	"maillon/internal/server"
	"maillon/internal/sms/smstest"
	"maillon/internal/sms/twilio"
	"maillon/internal/store"
	"maillon/internal/story"
)

// What tells this program that it is a server: its folder, where Twilio is, and
// at which SMS it is killed.
const (
	folderVariable = "MAILLON_SERVER_FOLDER"
	apiVariable    = "MAILLON_SERVER_API"
	deathVariable  = "MAILLON_SERVER_DEATH"
)

func TestMain(m *testing.M) {
	if folder := os.Getenv(folderVariable); folder != "" {
		fmt.Fprintln(os.Stderr, serve(folder, os.Getenv(apiVariable), os.Getenv(deathVariable)))
		os.Exit(1)
	}
	if where := os.Getenv(databaseVariable); where != "" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		if err := serveBeside(ctx, where, os.Getenv(sendsmsVariable)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		stop()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// serve tells where it listens, and works until it is killed: when the SMS of
// that number is committed and its answer has not left. At the rate that Twilio
// allows, neither has what was sent because of it, if something was sent just
// before.
func serve(folder, api, death string) error {
	last, err := strconv.ParseInt(death, 10, 64)
	if err != nil {
		return err
	}
	g, err := twilio.New(twilioConfig(api))
	if err != nil {
		return err
	}
	s, err := openServer(folder, courier.Line{
		Name: "tw", Gateway: g, Number: story.ServerNumber().E164(), Rate: courier.Rate{Segments: 1, Per: time.Second},
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var taken atomic.Int64
	web := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if path.Base(r.URL.Path) == "in" {
			rw = &mute{ResponseWriter: rw, dies: func() bool { return taken.Add(1) == last }}
		}
		g.Handler().ServeHTTP(rw, r)
	})}
	go func() { _ = web.Serve(listener) }()
	fmt.Println(listener.Addr())
	return errors.Join(s.Run(context.Background()), errors.New("ended, and was not killed"))
}

// A mute writer dies of the first word of a good answer.
type mute struct {
	http.ResponseWriter
	dies func() bool
}

// Write implements io.Writer.
func (m *mute) Write(b []byte) (int, error) {
	if m.dies() {
		if self, err := os.FindProcess(os.Getpid()); err == nil {
			_ = self.Kill()
		}
		select {}
	}
	return m.ResponseWriter.Write(b)
}

// A server that was killed between its commit and its answer is told again what
// it knows: the order is one order, the payment one payment, each told once.
func TestKilledBeforeItsAnswerPaysOnce(t *testing.T) {
	folder, p := t.TempDir(), &provider{t: t, silent: true}
	api := listen(t, p)
	enrolOnDisk(t, folder)

	order := p.take(story.Phones()["yann"], "vir=50 num="+story.Phones()["malo"].National())
	mortal(t, folder, api, 1, p)
	p.hasDelivered(1)
	p.dies("/gateway/tw/in", order)

	mortal(t, folder, api, 2, p)
	p.webhook("/gateway/tw/in", order)
	p.hasDelivered(2)
	answer := p.take(story.Phones()["yann"], p.codeShown())
	p.dies("/gateway/tw/in", answer)

	w := newWire(t)
	g, err := twilio.New(twilioConfig(api))
	if err != nil {
		t.Fatal(err)
	}
	w.toServer("tw", g.Handler())
	s := open(t, folder, courier.Line{Name: "tw", Gateway: g, Number: story.ServerNumber().E164()})
	run(t, s)
	p.moves(w.url)
	p.webhook("/gateway/tw/in", answer)
	onceEach(t, s, p)
	p.calling.Wait()
	booksHold(t, s)
}

func enrolOnDisk(t *testing.T, folder string) {
	t.Helper()
	s, err := openServer(folder)
	if err != nil {
		t.Fatal(err)
	}
	enrol(t, s, "yann", 120)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// mortal starts a server of its own that is killed at the nth SMS.
func mortal(t *testing.T, folder, api string, n int, p *provider) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), folderVariable+"="+folder, apiVariable+"="+api, fmt.Sprintf("%s=%d", deathVariable, n))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the server did not start: %v", err)
	}
	p.moves("http://" + strings.TrimSpace(address))
}

// dies calls a webhook, which is to have no answer.
func (p *provider) dies(target string, params map[string][]string) {
	p.t.Helper()
	smstest.Eventually(p.t, "the server is killed", func() bool {
		r, err := p.request(target, params)
		if err != nil {
			p.t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err == nil {
			_ = resp.Body.Close()
		}
		if err == nil && resp.StatusCode == http.StatusOK {
			p.t.Fatal("the server answered")
		}
		return err != nil
	})
}

// hasDelivered waits until the server knows of n messages that they arrived.
func (p *provider) hasDelivered(n int64) {
	p.t.Helper()
	smstest.Eventually(p.t, "messages are reported delivered", func() bool { return p.reported.Load() >= n })
}

// codeShown returns the code that a telephone shows.
func (p *provider) codeShown() string {
	p.t.Helper()
	for _, m := range p.got() {
		if shown := code.FindString(m.Text); shown != "" {
			return shown
		}
	}
	p.t.Fatal("no code is shown")
	return ""
}

// onceEach fails the test unless all that the story tells stands once in the
// outbox, and came to a telephone once, or not at all if nobody knows whether
// it had left when the server was killed. A code may come twice: it is the same.
func onceEach(t *testing.T, s *server.Server, p *provider) {
	t.Helper()
	var rows []store.Out
	smstest.Eventually(t, "the fate of all that is in the outbox is known", func() bool {
		rows = outbox(t, s)
		return !slices.ContainsFunc(rows, func(o store.Out) bool { return o.State == store.Queued || o.State == store.Handing })
	})
	if len(rows) != 4 { // that she was credited, the question, and what both were told
		t.Errorf("%d messages stand in the outbox, want 4", len(rows))
	}
	came := map[string]int{}
	for _, m := range p.got() {
		came[m.To+" "+m.Text]++
	}
	for _, o := range rows {
		least, most := 1, 1
		if o.State == store.Unknown {
			least = 0
		}
		if code.MatchString(o.Text) {
			most = 2
		}
		if n := came[o.To.E164()+" "+o.Text]; n < least || n > most {
			t.Errorf("message %d, which is %s, came %d times", o.ID, o.State, n)
		}
	}
}
