package server_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"maillon/internal/courier"
	"maillon/internal/phrase"
	"maillon/internal/server"
	"maillon/internal/setting"
	"maillon/internal/sms"
	"maillon/internal/sms/kannel"
	"maillon/internal/sms/smstest"
	"maillon/internal/store"
	"maillon/internal/store/pgtest"
	"maillon/internal/story"
)

// takeover is the longest that a duty may be nobody's: its lease, a look, and
// what a slow machine adds.
const takeover = 5*time.Second + time.Second + 4*time.Second

// A counting network takes every SMS by Kannel's sendsms and counts it.
type counting struct {
	mu    sync.Mutex
	came  map[string]int // by number and text
	delay time.Duration  // before its answer
}

// ServeHTTP is sendsms.
func (n *counting) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet { // a sign of life
		rw.WriteHeader(http.StatusNotFound)
		return
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return // it was not sent whole
	}
	n.mu.Lock()
	n.came[r.Header.Get("X-Kannel-To")+" "+string(text)]++
	n.mu.Unlock()
	time.Sleep(n.delay)
	rw.WriteHeader(http.StatusAccepted)
}

func (n *counting) times(o store.Out) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.came[o.To.E164()+" "+o.Text]
}

// A crew is several servers beside one database, and Kannel before them.
type crew struct {
	t       *testing.T
	config  server.Config
	network *counting
	sendsms string
}

func newCrew(t *testing.T, where string) *crew {
	t.Helper()
	book, err := phrase.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	n := &counting{came: map[string]int{}}
	return &crew{
		t: t, network: n, sendsms: listen(t, n),
		config: server.Config{Path: where, Secret: store.Secret{1}, Settings: setting.Default(), Book: book, Several: true},
	}
}

// A mate is one of several servers at work.
type mate struct {
	*server.Server
	t    *testing.T
	url  string // of its webhooks
	stop func()
}

func (c *crew) open() *mate {
	c.t.Helper()
	g, err := kannel.New(kannel.Config{
		Name: "k", Number: story.ServerNumber().E164(), SendSMSURL: c.sendsms, Username: "maillon",
		Password: sms.NewSecret("out"), InPassword: sms.NewSecret("in"),
	})
	if err != nil {
		c.t.Fatal(err)
	}
	config := c.config
	config.Lines = []courier.Line{{Name: "k", Gateway: g, Number: story.ServerNumber().E164()}}
	s, err := server.Open(context.Background(), config)
	if err != nil {
		c.t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/gateway/k/", g.Handler())
	m := &mate{Server: s, t: c.t, url: listen(c.t, mux)}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	m.stop = sync.OnceFunc(func() {
		stop()
		if err := errors.Join(<-done, s.Close()); err != nil {
			c.t.Errorf("Run = %v", err)
		}
	})
	c.t.Cleanup(m.stop)
	return m
}

// hears brings an SMS to one server, as Kannel does: until it is taken.
func (m *mate) hears(from, text string) {
	m.t.Helper()
	id := strconv.FormatInt(time.Now().UnixNano(), 36)
	smstest.Eventually(m.t, "the SMS is taken", func() bool {
		r, err := http.NewRequest(http.MethodPost, m.url+"/gateway/k/in?id="+url.QueryEscape(id), strings.NewReader(text))
		if err != nil {
			m.t.Fatal(err)
		}
		r.SetBasicAuth("kannel", "in")
		r.Header = http.Header{
			"Authorization": r.Header["Authorization"], "Content-Type": {"text/plain; charset=UTF-8"}, "X-Kannel-Coding": {"0"},
			"X-Kannel-From": {story.Phones()[from].E164()[1:]}, "X-Kannel-To": {story.ServerNumber().E164()[1:]},
			"X-Kannel-Time": {time.Now().UTC().Format("2006-01-02 15:04:05")},
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			m.t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// waitFor returns the message to somebody whose text holds some words, once it
// is there and accepted.
func (c *crew) waitFor(m *mate, to, words string) (found store.Out) {
	c.t.Helper()
	smstest.Eventually(c.t, words+" is sent", func() bool {
		for _, o := range outbox(c.t, m.Server) {
			if o.To == story.Phones()[to] && strings.Contains(o.Text, words) && o.State == store.Accepted {
				found = o
				return true
			}
		}
		return false
	})
	return found
}

// count returns how many messages hold some words, and fails if any came more
// often than once.
func (c *crew) count(m *mate, words string) (n int) {
	c.t.Helper()
	for _, o := range outbox(c.t, m.Server) {
		if c.network.times(o) > 1 {
			c.t.Errorf("message %d came %d times", o.ID, c.network.times(o))
		}
		if strings.Contains(o.Text, words) {
			n++
		}
	}
	return n
}

// beside runs test with a database of each kind.
func beside(t *testing.T, test func(t *testing.T, where string)) {
	t.Run("sqlite", func(t *testing.T) { test(t, filepath.Join(t.TempDir(), "books.db")) })
	t.Run("postgres", func(t *testing.T) { test(t, pgtest.New(t)) })
}

// What is asked of one server is answered to another; what time asks is done by
// one, whoever stops; and as long as one is there, the service is not away.
func TestSeveralServersAreOneService(t *testing.T) {
	beside(t, func(t *testing.T, where string) {
		c := newCrew(t, where)
		c.config.Settings.RequestTTL = 3 * time.Second
		c.config.Settings.CodeTTL = 5 * time.Second
		first := c.open()
		enrol(t, first.Server, "yann", 100)
		enrol(t, first.Server, "atelier", 20)
		second := c.open()

		first.hears("yann", "vir 5 @atelier")
		asked := c.waitFor(second, "yann", "Pour OUI")
		second.hears("yann", code.FindString(asked.Text))
		c.waitFor(first, "atelier", "5")
		smstest.Eventually(t, "the payment is in the books", func() bool { return balance(t, second.Server, "atelier") == 25 })

		second.hears("atelier", "demande 3 @yann")
		c.waitFor(second, "yann", "DEMANDE")
		first.stop()
		c.waitFor(second, "atelier", "sans réponse")
		third := c.open()
		second.stop()
		if n := c.count(third, "sans réponse"); n != 1 {
			t.Errorf("told %d times that a request has expired, want once", n)
		}
		if n := c.count(third, "Service rétabli"); n != 0 {
			t.Errorf("%d were told that the service was away, and it was not", n)
		}
		third.hears("yann", "vir 5 @atelier")
		c.waitFor(third, "yann", "Pour OUI")
		third.stop()
		time.Sleep(c.config.Settings.CodeTTL + time.Second)
		fourth, fifth := c.open(), c.open()
		c.waitFor(fourth, "yann", "Service rétabli")
		if n := c.count(fifth, "Service rétabli"); n != 1 {
			t.Errorf("%d were told that the service is back, want 1", n)
		}
		if faults, err := fifth.DB.Verify(t.Context(), nil); err != nil || len(faults) > 0 {
			t.Errorf("Verify = %v, %v", faults, err)
		}
	})
}

// Who stops a server before it has begun gets no error.
func TestAServerMayBeStoppedBeforeItBegins(t *testing.T) {
	beside(t, func(t *testing.T, where string) {
		c := newCrew(t, where)
		s, err := server.Open(t.Context(), c.config)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if err := errors.Join(s.Run(ctx), s.Close()); err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}

// What tells this program that it is one of several servers.
const (
	databaseVariable = "MAILLON_SERVER_DATABASE"
	sendsmsVariable  = "MAILLON_SERVER_SENDSMS"
)

// serveBeside is one of several servers until it is told to stop, or killed.
func serveBeside(ctx context.Context, where, sendsms string) error {
	g, err := kannel.New(kannel.Config{
		Name: "k", Number: story.ServerNumber().E164(), SendSMSURL: sendsms, Username: "maillon",
		Password: sms.NewSecret("out"), InPassword: sms.NewSecret("in"),
	})
	if err != nil {
		return err
	}
	book, err := phrase.Shipped()
	if err != nil {
		return err
	}
	s, err := server.Open(ctx, server.Config{
		Path: where, Secret: store.Secret{1}, Settings: setting.Default(), Book: book,
		Lines: []courier.Line{{Name: "k", Gateway: g, Number: story.ServerNumber().E164()}},
	})
	if err != nil {
		return err
	}
	fmt.Println("at work")
	return errors.Join(s.Run(ctx), s.Close())
}

// A fleet is several servers, each a process of its own, on one PostgreSQL.
type fleet struct {
	t              *testing.T
	where, sendsms string
}

func (f *fleet) start() *exec.Cmd {
	f.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), databaseVariable+"="+f.where, sendsmsVariable+"="+f.sendsms)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		f.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		f.t.Fatalf("a server did not start: %v", err)
	}
	return cmd
}

// ends a server by a signal.
func (f *fleet) end(cmd *exec.Cmd, by os.Signal) {
	f.t.Helper()
	if err := cmd.Process.Signal(by); err != nil {
		f.t.Fatal(err)
	}
	if err := cmd.Wait(); by == syscall.SIGTERM && err != nil {
		f.t.Errorf("a server that was told to stop ended with %v", err)
	}
}

// roundsVariable says how many rounds of faults the servers suffer.
const roundsVariable = "MAILLON_SERVER_ROUNDS"

// Servers are killed, stopped and paused while they send: every message leaves
// once, or is known to be in doubt; and what is queued leaves within the lease
// of whoever hung.
func TestServersThatDieHangAndStopSendNothingTwice(t *testing.T) {
	f := &fleet{t: t, where: pgtest.New(t)}
	rounds := 3
	if n, err := strconv.Atoi(os.Getenv(roundsVariable)); err == nil {
		rounds = n
	}
	n := &counting{came: map[string]int{}, delay: 20 * time.Millisecond}
	f.sendsms = listen(t, n)
	db, err := store.Open(t.Context(), f.where, store.Secret{1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	to := story.Phones()["yann"]

	ctx, stop := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	writing.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			err := db.Update(ctx, func(tx *store.Tx) error {
				return tx.Enqueue(ctx, store.Out{To: to, Text: strconv.Itoa(i), Priority: sms.Receipt, Expires: tx.Now().Add(time.Hour)}, nil)
			})
			if err != nil && ctx.Err() == nil && !store.IsOutage(err) {
				t.Errorf("enqueue: %v", err)
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	servers := []*exec.Cmd{f.start(), f.start()}
	took := map[string][]time.Duration{} // until the next message left, by what befell the server
	at := 0                              // who was first has the gateway, and then each time the other
	for round := range rounds {
		time.Sleep(time.Duration(rand.IntN(1000)) * time.Millisecond)
		switch hit := servers[at]; round % 3 {
		case 0:
			f.end(hit, syscall.SIGKILL)
			took["killed"] = append(took["killed"], f.flows(db, n))
			servers[at] = f.start()
		case 1:
			if err := hit.Process.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			took["paused"] = append(took["paused"], f.flows(db, n))
			if err := hit.Process.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
		case 2:
			f.end(hit, syscall.SIGTERM)
			took["stopped"] = append(took["stopped"], f.flows(db, n))
			servers[at] = f.start()
		}
		at = 1 - at
	}
	stop()
	writing.Wait()
	f.settled(db)
	for _, s := range servers {
		f.end(s, syscall.SIGTERM)
	}
	for what, all := range took {
		slices.Sort(all)
		t.Logf("%s %d times: the next message left within %v, at worst %v", what, len(all), all[len(all)/2], all[len(all)-1])
	}
	f.onceEach(db, n)
}

// hung is how long PostgreSQL waits for a server that hangs in the middle of a
// batch, and the others with it.
const hung = 10 * time.Second

// flows waits until a code leaves that is queued now, and returns how long that
// took.
func (f *fleet) flows(db *store.DB, n *counting) time.Duration {
	f.t.Helper()
	began := time.Now()
	o := store.Out{
		To: story.Phones()["yann"], Text: "after " + strconv.FormatInt(began.UnixNano(), 10), Priority: sms.Code,
		Expires: began.Add(time.Hour),
	}
	err := db.Update(f.t.Context(), func(tx *store.Tx) error { return tx.Enqueue(f.t.Context(), o, nil) })
	if err != nil {
		f.t.Fatal(err)
	}
	for n.times(o) == 0 {
		if time.Since(began) > takeover+hung {
			f.t.Fatalf("nothing left for %v after a fault", time.Since(began))
		}
		time.Sleep(10 * time.Millisecond)
	}
	return time.Since(began)
}

// settled waits until nothing is queued any more, for as long as something leaves.
func (f *fleet) settled(db *store.DB) {
	f.t.Helper()
	least, deadline := math.MaxInt, time.Now().Add(takeover+hung)
	for time.Now().Before(deadline) {
		var left store.Backlog
		err := db.View(f.t.Context(), func(tx *store.Tx) (err error) {
			left, err = tx.Backlog(f.t.Context())
			return err
		})
		if err != nil {
			f.t.Fatal(err)
		}
		if left.N == 0 {
			return
		}
		if left.N < least {
			least, deadline = left.N, time.Now().Add(takeover+hung)
		}
		time.Sleep(100 * time.Millisecond)
	}
	f.t.Error("not all that was queued has left")
}

// onceEach fails the test if a message came twice, or came and is not known to,
// or is said to have left and never came.
func (f *fleet) onceEach(db *store.DB, n *counting) {
	f.t.Helper()
	states := map[string]int{}
	for after := int64(0); ; {
		var all []store.Out
		err := db.View(f.t.Context(), func(tx *store.Tx) (err error) {
			all, err = tx.Outbox(f.t.Context(), after, maxRows)
			return err
		})
		if err != nil {
			f.t.Fatal(err)
		}
		if len(all) == 0 {
			break
		}
		after = all[len(all)-1].ID
		for _, o := range all {
			states[o.State]++
			came := n.times(o)
			doubt := o.State == store.Handing || o.State == store.Unknown
			if came > 1 || came == 0 && !doubt || o.State != store.Accepted && !doubt {
				f.t.Errorf("message %d is %s and came %d times", o.ID, o.State, came)
			}
		}
	}
	f.t.Logf("messages: %v", states)
	if states[store.Accepted] == 0 {
		f.t.Error("nothing was sent")
	}
}
