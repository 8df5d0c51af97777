package server_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"maillon/internal/courier"
	"maillon/internal/ledger"
	"maillon/internal/money"
	"maillon/internal/phrase"
	"maillon/internal/server"
	"maillon/internal/setting"
	"maillon/internal/sms"
	"maillon/internal/sms/smstest"
	"maillon/internal/store"
	"maillon/internal/story"
	"maillon/internal/treasury"
)

// firstPayment is the story that every gateway must carry.
const firstPayment = "../../testdata/stories/01-new-number.sms"

// maxRows bounds what a play may leave in the books.
const maxRows = 1000

// A network is one kind of gateway, and the telephones before it.
type network struct {
	line   courier.Line
	write  func(from sms.Number, text string) // on a telephone
	got    func() []smstest.Message           // what reached the telephones, in its order
	times  int                                // how often the network delivers each SMS
	refuse func()                             // lets the network refuse what the server sends next
	wire   *wire                              // nil: nothing goes over HTTP
	hidden []string                           // passwords
}

// A play is a story on its way through a network and a whole server, in real
// time.
type play struct {
	network
	t      *testing.T
	server *server.Server
	drawn  map[string]string    // what the server drew, by its name in the file
	heard  int                  // of what reached the telephones
	posted ledger.TransactionID // the last that was read
	texts  []string             // all that was written, on both sides
}

// playStory lets the people of a story write to the server by the telephones of
// a network, and compares what comes to each telephone and into the books, word
// for word. Codes and references are read on the telephones.
func playStory(t *testing.T, n network) {
	logs := captureLogs(t)
	s, err := story.Load(firstPayment)
	if err != nil {
		t.Fatal(err)
	}
	p := &play{network: n, t: t, server: open(t, t.TempDir(), n.line), drawn: map[string]string{}}
	enrol(t, p.server, "yann", 100)
	enrol(t, p.server, "atelier", 20)
	run(t, p.server)
	p.settle()
	p.payBefore("atelier", "yann", 20)
	for _, e := range s.Events {
		p.happen(e)
	}
	p.allDelivered()
	p.oneRefused()
	booksHold(t, p.server)
	p.keptQuiet(logs.String())
}

// open opens a server on a folder with one line, whose senders may be forged.
// The secret is no secret here.
func open(t *testing.T, folder string, lines ...courier.Line) *server.Server {
	t.Helper()
	s, err := openServer(folder, lines...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func openServer(folder string, lines ...courier.Line) (*server.Server, error) {
	book, err := phrase.Shipped()
	if err != nil {
		return nil, err
	}
	always := map[string]bool{}
	for _, l := range lines {
		always[l.Name] = true
	}
	return server.Open(context.Background(), server.Config{
		Path: filepath.Join(folder, "books.db"), Secret: store.Secret{1}, Settings: setting.Default(), Book: book,
		Lines: lines, Always: always,
	})
}

// run lets s work until the test ends.
func run(t *testing.T, s *server.Server) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}

// enrol registers a member of long standing with money.
func enrol(t *testing.T, s *server.Server, name string, funds int64) {
	t.Helper()
	ctx := t.Context()
	err := s.DB.Update(ctx, func(tx *store.Tx) error {
		m, err := s.Treasury.Add(ctx, tx, treasury.Operator, treasury.NewMember{Number: story.Phones()[name], Nick: name})
		if err != nil {
			return err
		}
		m.OpenedAt = tx.Now().AddDate(-1, 0, 0)
		if err := tx.SaveMember(ctx, m); err != nil {
			return err
		}
		_, err = s.Treasury.Grant(ctx, tx, treasury.Operator, nil, m, sms.Number{}, money.New(funds, s.Settings.Currency()), "dotation")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// payBefore is the payment that the story says was made before it began.
func (p *play) payBefore(from, to string, amount int64) {
	p.t.Helper()
	asked := p.say(from, fmt.Sprintf("vir %d @%s", amount, to))
	if len(asked) != 1 || code.FindString(asked[0].Text) == "" {
		p.t.Fatalf("%s was asked for no code: %q", from, asked)
	}
	if told := p.say(from, code.FindString(asked[0].Text)); len(told) != 2 {
		p.t.Fatalf("%s and %s were told: %q", from, to, told)
	}
	p.transfers()
}

// say writes an SMS on a telephone and returns what came to all telephones once
// the server had all of it in its journal and nothing in its outbox.
func (p *play) say(name, text string) []smstest.Message {
	p.t.Helper()
	p.texts = append(p.texts, text)
	before := p.received()
	p.write(story.Phones()[name], text)
	smstest.Eventually(p.t, "the SMS is in, as often as the network brings it", func() bool { return p.received() >= before+p.times })
	return p.settle()
}

// settle waits until all that stands in the outbox is on the telephones.
func (p *play) settle() []smstest.Message {
	p.t.Helper()
	smstest.Eventually(p.t, "what was answered is on the telephones", func() bool { return len(p.got()) >= len(outbox(p.t, p.server)) })
	all := p.got()
	if n := len(outbox(p.t, p.server)); len(all) != n {
		p.t.Errorf("%d SMS came to telephones, %d stand in the outbox", len(all), n)
	}
	news := all[p.heard:]
	p.heard = len(all)
	for _, m := range news {
		p.texts = append(p.texts, m.Text)
	}
	return slices.Clone(news)
}

// received returns how many deliveries of SMS the server has committed.
func (p *play) received() int {
	p.t.Helper()
	lines, err := p.server.Courier.Health(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	return lines[0].Counts.Received
}

func outbox(t *testing.T, s *server.Server) (all []store.Out) {
	t.Helper()
	view(t, s, func(ctx context.Context, tx *store.Tx) (err error) {
		all, err = tx.Outbox(ctx, 0, maxRows)
		return err
	})
	return all
}

func view(t *testing.T, s *server.Server, look func(context.Context, *store.Tx) error) {
	t.Helper()
	ctx := t.Context()
	if err := s.DB.View(ctx, func(tx *store.Tx) error { return look(ctx, tx) }); err != nil {
		t.Fatal(err)
	}
}

// happen plays an event of the story. Of @clock nothing is played: here time
// passes by itself.
func (p *play) happen(e story.Event) {
	m, ok := e.Do.(story.SMS)
	if !ok {
		return
	}
	news := p.say(m.Phone, p.typed(m.Text))
	moved := p.transfers()
	for _, x := range e.Expect {
		switch want := x.Want.(type) {
		case story.Sent:
			i := slices.IndexFunc(news, func(m smstest.Message) bool { return m.To == story.Phones()[want.Phone].E164() })
			if i < 0 {
				p.t.Fatalf("line %d: nothing came to %s", x.Line, want.Phone)
			}
			p.compare(x.Line, want.Text, news[i].Text)
			news = slices.Delete(news, i, i+1)
		case story.Moved:
			if len(moved) == 0 {
				p.t.Fatalf("line %d: nothing was paid", x.Line)
			}
			p.compare(x.Line, fmt.Sprintf("%s %s %d %s", want.From, want.To, want.Amount, want.Ref), moved[0])
			moved = moved[1:]
		case story.Balances:
			for _, b := range want {
				p.compare(x.Line, fmt.Sprintf("%s=%d", b.Account, b.Amount), fmt.Sprintf("%s=%d", b.Account, balance(p.t, p.server, b.Account)))
			}
		}
	}
	if len(news)+len(moved) > 0 {
		p.t.Errorf("line %d: besides what the story says: %q, %q", e.Line, news, moved)
	}
}

// What the server draws, or takes from its calendar, stands in a story for
// anything of the same shape.
var (
	drawn = regexp.MustCompile(`\b(?:\d{3} \d{3}|[A-Z]\d[A-Z]\d|\d\d/\d\d)\b`)
	code  = regexp.MustCompile(`\b\d{3} \d{3}\b`)
)

// compare compares texts. What was drawn is bound to its name in the story when
// it is first seen; days are only days.
func (p *play) compare(line int, want, got string) {
	p.t.Helper()
	pattern := drawn.ReplaceAllStringFunc(regexp.QuoteMeta(want), func(name string) string { return "(" + shape(name) + ")" })
	values := regexp.MustCompile(`\A` + pattern + `\z`).FindStringSubmatch(got)
	if values == nil {
		p.t.Fatalf("line %d:\n  - %s\n  + %s", line, want, got)
	}
	for i, name := range drawn.FindAllString(want, -1) {
		value := values[i+1]
		if old, bound := p.drawn[name]; bound && old != value && !strings.Contains(name, "/") {
			p.t.Fatalf("line %d: %s is %s, and was %s before", line, name, value, old)
		}
		p.drawn[name] = value
	}
}

// shape returns the pattern of what is drawn like name.
func shape(name string) string {
	return regexp.MustCompile(`\d`).ReplaceAllString(regexp.MustCompile(`[A-Z]`).ReplaceAllString(name, `[A-Z]`), `\d`)
}

// typed returns a text as it is typed: with what the telephones showed in the
// place of its name, a code without its space.
func (p *play) typed(text string) string {
	for name, value := range p.drawn {
		text = strings.ReplaceAll(text, strings.ReplaceAll(name, " ", ""), strings.ReplaceAll(value, " ", ""))
	}
	return text
}

// transfers returns what was posted since it was last asked, as stories say it.
func (p *play) transfers() (all []string) {
	p.t.Helper()
	view(p.t, p.server, func(ctx context.Context, tx *store.Tx) error {
		posted, err := tx.Transactions(ctx, p.posted, maxRows)
		for _, t := range posted {
			p.posted = t.ID
			all = append(all, fmt.Sprintf("%s %s %s %s", nameOf(ctx, tx, t.Postings[0].Account), nameOf(ctx, tx, t.Postings[1].Account),
				t.Postings[1].Amount.Plain(), t.Ref))
		}
		return err
	})
	return all
}

// nameOf names an account by the telephone of its owner; "" if it is nobody's.
func nameOf(ctx context.Context, tx *store.Tx, id ledger.AccountID) string {
	owner, name, err := tx.Owner(ctx, id)
	if err != nil || owner == 0 {
		return name
	}
	m, err := tx.Member(ctx, owner)
	if err != nil {
		return ""
	}
	for name, number := range story.Phones() {
		if number == m.Number {
			return name
		}
	}
	return ""
}

func balance(t *testing.T, s *server.Server, name string) (sum int64) {
	t.Helper()
	view(t, s, func(ctx context.Context, tx *store.Tx) error {
		return tx.AllAccounts(ctx, func(a store.AccountRow) error {
			if nameOf(ctx, tx, a.ID) == name {
				sum += a.Balance.Minor()
			}
			return nil
		})
	})
	return sum
}

// allDelivered waits for the delivery reports of all that was sent.
func (p *play) allDelivered() {
	p.t.Helper()
	smstest.Eventually(p.t, "all is reported delivered", func() bool {
		return !slices.ContainsFunc(outbox(p.t, p.server), func(o store.Out) bool { return o.State != store.Delivered })
	})
}

// oneRefused lets the network refuse an answer, of which the log shall tell.
func (p *play) oneRefused() {
	p.t.Helper()
	p.refuse()
	p.texts = append(p.texts, "histo")
	p.write(story.Phones()["yann"], "histo")
	smstest.Eventually(p.t, "the refusal is noted", func() bool {
		all := outbox(p.t, p.server)
		return len(all) == p.heard+1 && all[p.heard].State == store.Failed
	})
	p.texts = append(p.texts, outbox(p.t, p.server)[p.heard].Text)
}

// booksHold fails the test unless the story ended as it should, on disk.
func booksHold(t *testing.T, s *server.Server) {
	t.Helper()
	for name, want := range map[string]int64{"yann": 70, "malo": 50} {
		if got := balance(t, s, name); got != want {
			t.Errorf("%s has %d, want %d", name, got, want)
		}
	}
	faults, err := s.DB.Verify(t.Context(), nil)
	if err != nil || len(faults) > 0 {
		t.Errorf("Verify = %v, %v", faults, err)
	}
}

// keptQuiet fails the test if a number, a text, a code or a password stands in
// the log or in a URL.
func (p *play) keptQuiet(log string) {
	p.t.Helper()
	if !strings.Contains(log, "message refused") {
		p.t.Errorf("the log does not tell of the refusal:\n%s", log)
	}
	secrets := append(slices.Clone(p.hidden), p.texts...)
	for _, name := range []string{"yann", "atelier", "malo"} {
		secrets = append(secrets, strings.TrimPrefix(story.Phones()[name].E164(), "+33"))
	}
	for _, drawn := range code.FindAllString(strings.Join(p.texts, "\n"), -1) {
		secrets = append(secrets, drawn, strings.ReplaceAll(drawn, " ", ""))
	}
	shown := append(strings.Split(log, "\n"), p.wire.seen()...)
	for _, s := range secrets {
		for _, line := range shown {
			if plain, err := url.QueryUnescape(line); strings.Contains(line, s) || err == nil && strings.Contains(plain, s) {
				p.t.Errorf("%q shows in %s", s, line)
			}
		}
	}
}

// captureLogs returns all that is logged until the test ends.
func captureLogs(t *testing.T) *lines {
	logs, before := new(lines), slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug})))
	t.Cleanup(func() { slog.SetDefault(before) })
	return logs
}

// lines are what was written by many at once.
type lines struct {
	mu   sync.Mutex // held for text
	text strings.Builder
}

// Write implements io.Writer.
func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// String returns all of it.
func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
