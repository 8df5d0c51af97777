// Package server puts the rooms together for one association: its books, its
// conversation, its gateways and its clock. Whoever runs maillon, be it the
// command line, a story or a test, opens one of these.
//
// Several servers may be open on one database. Each of them answers what comes
// in; what only one may do is a duty, see package duty.
package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"sync"
	"time"

	"maillon/internal/auth"
	"maillon/internal/courier"
	"maillon/internal/duty"
	"maillon/internal/grammar"
	"maillon/internal/member"
	"maillon/internal/merchant"
	"maillon/internal/notice"
	"maillon/internal/payment"
	"maillon/internal/phrase"
	"maillon/internal/report"
	"maillon/internal/sentry"
	"maillon/internal/setting"
	"maillon/internal/sms"
	"maillon/internal/stall"
	"maillon/internal/stall/counter"
	"maillon/internal/store"
	"maillon/internal/teller"
	"maillon/internal/treasury"
	"maillon/internal/webhook"
)

// stoppedAt names the time of the last orderly stop; "" while the server runs,
// and after it was killed.
const stoppedAt = "stopped_at"

const (
	stateTimeout = 10 * time.Second
	downAfter    = 2 * time.Minute
)

// A Config says what server is opened.
type Config struct {
	Path     string // of the database, its URL, or store.Memory
	Secret   store.Secret
	Settings setting.Settings
	Fixed    []string // keys of them that the configuration file sets: nobody else does
	Book     *phrase.Book
	Lines    []courier.Line  // none: nothing comes or goes but by Teller
	Always   map[string]bool // the gateways whose senders may be forged: always ask for the code
	Several  bool            // other servers may be at work on the database; on one that is store.DB.Shared they may anyway
	Alone    bool            // none is, whatever the database
	Webhooks webhook.Options // how merchants' endpoints are called
}

// A Server is one association at work. All its parts may be used while it is
// open; Run makes time pass and messages move.
type Server struct {
	DB        *store.DB
	Settings  *setting.Settings
	Book      *phrase.Book
	Desk      *payment.Desk
	Treasury  *treasury.Treasury
	Gate      *auth.Gate
	Teller    *teller.Teller
	Courier   *courier.Courier // nil without lines
	Past      *sentry.Past     // what rules would have caught
	Counter   *report.Counter
	Merchants *merchant.Service
	Stalls    *stall.Service
	Posters   *counter.Counter // of stalls
	Webhooks  webhook.Options  // how their endpoints are called

	chosen chosen // by people, on the page of settings

	roster *duty.Roster
	timers *duty.Duty
	watch  *duty.Duty
	count  *duty.Duty
	sender *webhook.Sender
}

// Open opens the database and everything above it. It refuses languages that
// could not speak with these settings.
func Open(ctx context.Context, c Config) (*Server, error) {
	set := c.Settings
	parser, voice, err := speak(c.Book, &set)
	if err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, c.Path, c.Secret)
	if err != nil {
		return nil, err
	}
	choice, err := readChosen(ctx, db, c)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if with := choice.settings(); len(choice.values) > 0 {
		if p, _, err := speak(c.Book, &with); err != nil { // the languages are others than when it was chosen
			slog.ErrorContext(ctx, "the settings that were chosen on the page are left out", "error", err)
		} else {
			set, parser = with, p
			voice = notice.New(c.Book, &set) // of the settings of the server, not of a copy
		}
	}
	s := &Server{DB: db, Settings: &set, Book: c.Book, chosen: choice, roster: duty.New(db, !c.Alone && (c.Several || db.Shared()))}
	s.timers, s.watch = s.roster.Duty("timers", nil), s.roster.Duty("rules", nil)
	s.count, s.Counter = s.roster.Duty("figures", nil), &report.Counter{DB: db, Zone: set.Zone}
	s.Desk = &payment.Desk{Voice: voice, Set: &set, CodeKey: db.CodeKey(), LongCode: voice.LongestCode()}
	s.Stalls = &stall.Service{DB: db, Set: &set, Desk: s.Desk}
	s.Desk.Proof = s.Stalls.Proof
	s.Posters = counter.New(s.Stalls, &set, c.Book, numberOf(c.Lines, set.Region()))
	s.Past = sentry.NewPast(db, &set)
	s.Treasury = &treasury.Treasury{Desk: s.Desk, Kinds: map[string]treasury.Kind{}}
	s.Treasury.Kinds[treasury.EraseMember] = s.Treasury.Erase
	s.Treasury.Kinds[treasury.ManyKind] = s.Treasury.ApproveMany
	s.Treasury.Kinds[treasury.PutBack] = s.Treasury.PutBack
	s.Treasury.Kinds[treasury.ChangeRole] = s.Treasury.Appoint
	s.Treasury.Kinds[treasury.AnnounceKind] = s.Treasury.SendAnnouncement
	s.Gate = auth.NewGate(db, s.findStaff)
	s.Merchants = &merchant.Service{DB: db, Voice: voice, Set: &set, Reserved: parser.Knows, Alert: s.alert, Emit: s.emit}
	s.Desk.Forget = s.Merchants.Forget
	s.Webhooks = c.Webhooks
	s.sender = webhook.NewSender(db, s.roster.Duty("webhooks", nil), c.Webhooks)
	options := teller.Options{Always: map[string]bool{}, Merchants: s.Merchants, Stalls: s.Stalls, Backup: map[string]string{}, ModemDown: s.modemDown}
	maps.Copy(options.Always, c.Always)
	for _, l := range c.Lines {
		if p, is := l.Gateway.(sms.Postal); is { // which proves an account somewhere, and not who is before it
			p.Consult(letters{db})
			voice.Letters[l.Name], options.Always[l.Name] = true, true
			options.Letters = append(options.Letters, l.Name)
		}
		if l.Backup != "" {
			options.Backup[l.Name] = l.Backup
		}
		if n, err := sms.ParseNumber(l.Number, set.Region()); err == nil {
			options.Own = append(options.Own, n)
			s.Merchants.Line = cmp.Or(s.Merchants.Line, n.National())
		}
	}
	s.Teller = teller.New(db, s.Desk, s.Treasury, parser, options)
	if len(c.Lines) > 0 {
		s.Courier = courier.New(db, c.Lines, s.Teller, courier.Options{Zone: set.Zone, Alert: s.trouble, Roster: s.roster, Biller: s.Merchants})
	}
	return s, nil
}

// speak makes what reads and writes SMS with some settings. It refuses languages
// that could not.
func speak(book *phrase.Book, set *setting.Settings) (*grammar.Parser, *notice.Voice, error) {
	parser, err := Parser(book, set)
	if err != nil {
		return nil, nil, err
	}
	voice := notice.New(book, set)
	return parser, voice, Lint(voice)
}

// alert tells administrators of something that no program can put right.
func (s *Server) alert(ctx context.Context, tx *store.Tx, rule string) error {
	what := notice.Phrase{Key: "alerte.regle", Fields: notice.Fields{"rule": rule}}
	return s.Desk.Voice.Alert(ctx, tx, rule, what, nil)
}

// letters is what the books know of e-mail addresses.
type letters struct{ db *store.DB }

// Correspondent implements sms.AddressBook.
func (l letters) Correspondent(ctx context.Context, to sms.Number, at sms.Address) (c sms.Correspondent, err error) {
	err = l.db.View(ctx, func(tx *store.Tx) (err error) {
		c, err = tx.Correspondent(ctx, to, at)
		return err
	})
	return c, err
}

// Note implements sms.AddressBook.
func (l letters) Note(ctx context.Context, from sms.Address, h sms.Heading) error {
	return l.db.Update(ctx, func(tx *store.Tx) error { return tx.NoteHeading(ctx, from, h) })
}

// findStaff is how people who sign in are found.
func (s *Server) findStaff(ctx context.Context, tx *store.Tx, who string) (*member.Member, error) {
	m, err := s.Treasury.Find(ctx, tx, who)
	if errors.Is(err, treasury.ErrUnknown) {
		err = store.ErrNotFound
	}
	return m, err
}

// numberOf returns that of the default line, for what is shown to people.
func numberOf(lines []courier.Line, region string) (number sms.Number) {
	for _, l := range lines {
		if n, err := sms.ParseNumber(l.Number, region); err == nil && (number.IsZero() || l.Default) {
			number = n
		}
	}
	return number
}

// Run makes time pass and messages move until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	if err := s.started(ctx); err != nil {
		if ctx.Err() != nil { // told to stop before it began: there is nothing to end
			return nil
		}
		return err
	}
	keeping, stopKeeping := context.WithCancel(context.WithoutCancel(ctx))
	defer stopKeeping()
	var keepers sync.WaitGroup
	if !s.roster.Alone() {
		keepers.Go(func() { s.roster.Run(keeping) })
		keepers.Go(func() { s.DB.Watch(keeping) })
	}
	timers := make(chan error, 1)
	go func() { timers <- s.runTimers(ctx) }()
	var watching sync.WaitGroup
	watching.Go(func() { s.watch.While(ctx, sentry.New(s.DB, s.Desk).Run) })
	watching.Go(func() { s.count.While(ctx, s.Counter.Run) })
	watching.Go(func() { s.sender.Run(ctx) })
	var err error
	if s.Courier != nil {
		err = s.Courier.Run(ctx)
	}
	err = errors.Join(err, <-timers)
	watching.Wait()
	stopKeeping()
	keepers.Wait()
	return errors.Join(err, s.stopped(context.WithoutCancel(ctx)))
}

// runTimers does what time asks while no other server does.
func (s *Server) runTimers(ctx context.Context) (err error) {
	s.timers.While(ctx, func(ctx context.Context) {
		var all sync.WaitGroup
		all.Go(func() { s.Merchants.Run(ctx) })
		err = errors.Join(err, s.Teller.Run(ctx))
		all.Wait()
	})
	return err
}

// started tells those whose order died while nobody was here. As long as another
// server is at work, the service is not away.
func (s *Server) started(ctx context.Context) error {
	return s.DB.Update(ctx, func(tx *store.Tx) error {
		others, err := s.roster.Enter(ctx, tx)
		if err != nil || others {
			return err
		}
		since, err := tx.LastEntry(ctx)
		if err != nil {
			return err
		}
		text, err := tx.State(ctx, stoppedAt)
		if err != nil {
			return err
		}
		if micros, err := strconv.ParseInt(text, 10, 64); err == nil {
			since = time.UnixMicro(micros)
			if err := tx.SetState(ctx, stoppedAt, ""); err != nil {
				return err
			}
		}
		return s.Treasury.Back(ctx, tx, since)
	})
}

func (s *Server) stopped(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stateTimeout)
	defer cancel()
	return s.DB.Update(ctx, func(tx *store.Tx) error {
		others, err := s.roster.Leave(ctx, tx)
		if err != nil || others {
			return err
		}
		return tx.SetState(ctx, stoppedAt, strconv.FormatInt(tx.Now().UnixMicro(), 10))
	})
}

// Duties returns which of the duties that only one server has are ours, by name.
func (s *Server) Duties() map[string]bool { return s.roster.Held() }

// Duty is something more that only one of several servers may do.
func (s *Server) Duty(name string) *duty.Duty { return s.roster.Duty(name, nil) }

// Close closes the database. Run must have returned.
func (s *Server) Close() error {
	s.Past.Close()
	return s.DB.Close()
}

// modemDown reports whether a line is down. It does not ask the database: the
// teller calls it from within a transaction.
func (s *Server) modemDown() bool {
	return s.Courier != nil && s.Courier.Down(downAfter)
}

// Lint returns, as one error of a line each, what the languages could not say
// with the settings of a voice.
func Lint(voice *notice.Voice) error {
	var all []error
	for _, p := range voice.Lint() {
		all = append(all, errors.New(p.String()))
	}
	return errors.Join(all...)
}

// Parser returns the grammar of the languages of a book and the units of some
// settings.
func Parser(book *phrase.Book, set *setting.Settings) (*grammar.Parser, error) {
	v := grammar.Vocabulary{Region: set.Region()}
	for _, u := range set.Units {
		v.Units = append(v.Units, grammar.Unit{Symbol: u.Symbol, Names: []string{u.Name, u.Plural}})
	}
	for _, tag := range book.Languages() {
		words := book.Words(tag)
		l := grammar.Language{Tag: tag, Verbs: map[grammar.Verb][]string{}, Keys: words.Keys, Small: words.Small, Self: words.Self}
		for verb, spellings := range words.Verbs {
			l.Verbs[grammar.Verb(verb)] = spellings
		}
		v.Languages = append(v.Languages, l)
	}
	p, err := grammar.New(v)
	if err != nil {
		return nil, fmt.Errorf("languages: %w", err)
	}
	return p, nil
}
