// Package teller is the conversation: a text comes in, and what it asks happens
// or is refused, and everybody concerned is told.
//
// One SMS is one transaction: the journal, the order, the postings and the
// answers are on disk together when Receive returns, or none of them is. An SMS
// that the gateway delivers again changes nothing.
package teller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"maillon/internal/courier"
	"maillon/internal/grammar"
	"maillon/internal/guard"
	"maillon/internal/member"
	"maillon/internal/notice"
	"maillon/internal/payment"
	"maillon/internal/setting"
	"maillon/internal/sms"
	"maillon/internal/stall"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// Options are what a teller may be told besides.
type Options struct {
	Own       []sms.Number      // the server's own lines: what comes from them is never answered
	Always    map[string]bool   // the gateways whose senders may be forged: every payment asks for its code
	Backup    map[string]string // of each line, the one that takes over when it is down
	Letters   []string          // the gateways that are e-mail
	ModemDown func() bool       // whether the worst line is down; nil: never
	Stalls    *stall.Service    // what is sold under a short id; nil: nothing is
	Merchants Listener          // hears what begins with a word of theirs; nil: there are none
}

// A Listener is asked about an SMS whose first word is none of ours. It reports
// false, having done nothing, if it is not for it either.
type Listener interface {
	Hear(ctx context.Context, tx *store.Tx, m sms.Incoming, from sms.Number, who *member.Member) (bool, error)
}

// A Teller answers for one association.
type Teller struct {
	db       *store.DB
	desk     *payment.Desk
	treasury *treasury.Treasury
	parser   *grammar.Parser
	voice    *notice.Voice
	set      *setting.Settings
	options  Options
}

// New returns a teller that understands what parser does.
func New(db *store.DB, desk *payment.Desk, t *treasury.Treasury, parser *grammar.Parser, options Options) *Teller {
	if options.ModemDown == nil {
		options.ModemDown = func() bool { return false }
	}
	return &Teller{db: db, desk: desk, treasury: t, parser: parser, voice: desk.Voice, set: desk.Set, options: options}
}

// errPanic means that the program itself is wrong: it panicked on one SMS.
var errPanic = errors.New("panic")

// Receive journals an SMS and does what it asks. It returns nil once all of
// that is on disk, or if this delivery is a repeat. An SMS on which the program
// fails is put aside, for it would only fail again.
func (t *Teller) Receive(ctx context.Context, m sms.Incoming) error {
	h, failed := t.hear(m)
	if failed != nil {
		slog.ErrorContext(ctx, "message put aside", "gateway", m.Gateway, "error", failed)
		return t.db.Update(ctx, func(tx *store.Tx) error { return t.putAside(ctx, tx, hearing{Incoming: m}) })
	}
	err := t.db.Update(ctx, func(tx *store.Tx) error {
		failed = errPanic // unless it returns
		failed = t.receive(ctx, tx, h)
		return failed
	})
	if err == nil || failed == nil || store.IsOutage(failed) || ctx.Err() != nil {
		return err // done; or the disk failed, and the network will deliver again
	}
	slog.ErrorContext(ctx, "message put aside", "gateway", m.Gateway, "error", failed)
	return t.db.Update(ctx, func(tx *store.Tx) error { return t.putAside(ctx, tx, h) })
}

// A hearing is one SMS as far as it is understood without the books.
type hearing struct {
	sms.Incoming
	number  sms.Number  // zero: nobody who can be answered, unless there is an address
	address sms.Address // of an e-mail that proves its sender
	command grammar.Command
	missed  *grammar.Misunderstanding // nil if it was understood
}

// hear reads an SMS, outside of any transaction: many may be read at once.
func (t *Teller) hear(m sms.Incoming) (h hearing, err error) {
	defer func() {
		if r := recover(); r != nil {
			// Its value may hold a text: only where it happened is logged.
			slog.Error("panic in reading a message", "stack", string(debug.Stack()))
			err = errPanic
		}
	}()
	h.Incoming = m
	if m.Proof == sms.Signed {
		if h.address, err = sms.ParseAddress(m.From); err != nil {
			return h, nil
		}
	} else if h.number, err = sms.ParseNumber(m.From, t.set.Region()); err != nil || slices.Contains(t.options.Own, h.number) {
		h.number = sms.Number{}
		return h, nil
	}
	if m.Media {
		h.missed = &grammar.Misunderstanding{Key: "incompris"}
		return h, nil
	}
	if h.command, err = t.parser.Parse(m.Text); err != nil && !errors.As(err, &h.missed) {
		return h, err
	}
	return h, nil
}

// putAside journals an SMS that could not be handled, for somebody to look at,
// and tells the administrators once a day.
func (t *Teller) putAside(ctx context.Context, tx *store.Tx, h hearing) error {
	from, err := t.sender(ctx, tx, h)
	if err != nil {
		return err
	}
	first, err := tx.Receive(ctx, h.Incoming, from)
	if err != nil || !first {
		return err
	}
	if err := tx.Quarantine(ctx, h.Incoming); err != nil {
		return err
	}
	const rule = "QUARANTINE"
	n, err := tx.Count(ctx, rule, t.set.Midnight(tx.Now()))
	if err != nil || n > 1 {
		return errors.Join(err, tx.Raise(ctx, rule, 0))
	}
	return t.voice.Alert(ctx, tx, rule, ruleFields(rule), nil)
}

// A talk is one SMS being answered.
type talk struct {
	*Teller
	tx   *store.Tx
	from *member.Member
	hearing
}

func (t *Teller) receive(ctx context.Context, tx *store.Tx, h hearing) error {
	from, err := t.sender(ctx, tx, h)
	if err != nil {
		return err
	}
	first, err := tx.Receive(ctx, h.Incoming, from)
	if err != nil || !first || h.number.IsZero() && !h.byMail() {
		return err
	}
	if h.Charge != nil { // it is paid for: no limit holds it up
		if heard, err := t.forMerchants(ctx, tx, h, from); heard || err != nil {
			return err
		}
	}
	if h.byMail() {
		if done, err := t.proves(ctx, tx, h, from); err != nil || done {
			return err
		}
	}
	if from == nil {
		return t.stranger(ctx, tx, h)
	}
	return t.heard(ctx, tx, h, from)
}

// forMerchants lets merchants hear an SMS that begins with none of our words, and
// reports whether it was for one of them. A client is a number: who writes by
// e-mail is one only as a member.
func (t *Teller) forMerchants(ctx context.Context, tx *store.Tx, h hearing, from *member.Member) (bool, error) {
	words, number := strings.Fields(h.Text), h.number
	if h.byMail() && from != nil {
		number = from.Number
	}
	if t.options.Merchants == nil || number.IsZero() || len(words) == 0 || t.parser.Knows(words[0]) {
		return false, nil
	}
	return t.options.Merchants.Hear(ctx, tx, h.Incoming, number, from)
}

// heard answers somebody whom we know.
func (t *Teller) heard(ctx context.Context, tx *store.Tx, h hearing, from *member.Member) error {
	k := &talk{Teller: t, tx: tx, from: from, hearing: h}
	before := *from
	from.Line = h.Gateway
	stop, err := k.flooded(ctx)
	if err != nil || stop {
		return errors.Join(err, tx.SeeMember(ctx, from))
	}
	if !from.LostAt.IsZero() {
		if err := tx.SeeMember(ctx, from); err != nil {
			return err
		}
		return k.answer(ctx, "gele", notice.Fields{"d": notice.Day(from.BlockedSince())})
	}
	if !k.byMail() && k.dormant() {
		r, err := k.desk.Rule(ctx, tx, "DOR1")
		if err != nil {
			return err
		}
		if r.Act == guard.Ask {
			return k.wake(ctx)
		}
		silent := payment.CountFact("days", int64(tx.Now().Sub(before.SeenAt)/dayLong))
		if err := k.desk.Fire(ctx, tx, r, payment.RuleText(r.ID), from, silent); err != nil {
			return err
		}
	}
	if !k.byMail() { // which tells nothing of who has the number now
		if err := k.habits(ctx, before); err != nil {
			return err
		}
		from.SeenAt = tx.Now()
	}
	if !from.Chosen && k.language() != "" {
		from.Language = k.language()
	}
	if from.Line != before.Line || from.Language != before.Language || from.SeenAt.Sub(before.SeenAt) >= seenStep {
		if err := tx.SeeMember(ctx, from); err != nil {
			return err
		}
	}
	if heard, err := t.forMerchants(ctx, tx, h, from); heard || err != nil {
		return err
	}
	return k.apologise(ctx, k.do(ctx))
}

// seenStep is how exactly it is known when a number wrote last.
const seenStep = time.Minute

func (h hearing) language() string {
	if h.missed != nil {
		return h.missed.Language
	}
	return h.command.Language
}

// apologise answers a refusal. What is no refusal is the program's own trouble.
func (k *talk) apologise(ctx context.Context, err error) error {
	var refusal *notice.Refusal
	if !errors.As(err, &refusal) {
		return err
	}
	if refusal.Key == "code.rien" {
		return k.answerBalance(ctx, refusal.Key, refusal.Fields)
	}
	return k.answer(ctx, refusal.Key, refusal.Fields)
}

func (k *talk) answer(ctx context.Context, key string, f notice.Fields) error {
	return k.voice.Answer(ctx, k.tx, k.from, key, f)
}

// answerBalance answers with a text that names the balance.
func (k *talk) answerBalance(ctx context.Context, key string, f notice.Fields) error {
	balance, err := k.desk.Balance(ctx, k.tx, k.from, k.set.Currency())
	if err != nil {
		return err
	}
	all := notice.Fields{"bal": balance}
	for name, value := range f {
		all[name] = value
	}
	return k.answer(ctx, key, all)
}

// floodsADay bounds what one member is answered in a day, in times the flood
// limit: a robot that is slower than that limit is not answered for ever.
const floodsADay = 30

// flooded counts this SMS against the flood limit, and reports whether that
// was the answer, or silence is.
func (k *talk) flooded(ctx context.Context) (bool, error) {
	m, now := k.from, k.tx.Now()
	if m.FloodTill.After(now) {
		return true, nil
	}
	till, err := k.floodTill(ctx)
	if err != nil || till.IsZero() {
		return false, err
	}
	m.FloodTill = till
	return true, k.answer(ctx, "trop", notice.Fields{"n": int(till.Sub(now) / time.Minute)})
}

// floodTill returns until when there shall be silence: an hour after too many
// SMS in a minute, until midnight after too many in a day; zero if there were
// not too many.
func (k *talk) floodTill(ctx context.Context) (time.Time, error) {
	now, flood := k.tx.Now(), k.set.Flood
	lately, today := now.Add(-flood.In), k.set.Midnight(now)
	since := today
	if lately.Before(since) {
		since = lately
	}
	n, err := k.tx.HeardSince(ctx, k.from.ID, since)
	if err != nil || n <= flood.N { // as almost always: nothing else need be counted
		return time.Time{}, err
	}
	if n > floodsADay*flood.N {
		return k.set.Midnight(today.Add(36 * time.Hour)), nil
	}
	n, err = k.tx.HeardSince(ctx, k.from.ID, lately)
	if err != nil || n <= flood.N {
		return time.Time{}, err
	}
	return now.Add(flood.Pause), nil
}

// dormant reports whether the number may have been given to somebody else since
// its last SMS.
func (k *talk) dormant() bool {
	return k.from.State != member.New && k.tx.Now().Sub(k.from.SeenAt) >= k.set.Dormant
}

// wake asks a dormant number for a card cell, and shows nothing before.
func (k *talk) wake(ctx context.Context) error {
	verb := k.command.Verb
	if k.missed == nil && (verb == grammar.Silence || verb == grammar.Lost || verb == grammar.Card && k.command.Cell != "") {
		if err := k.tx.SeeMember(ctx, k.from); err != nil {
			return err
		}
		return k.apologise(ctx, k.do(ctx))
	}
	cell, err := k.desk.Cell(ctx, k.tx, k.from)
	if err != nil {
		return err
	}
	if err := k.tx.SeeMember(ctx, k.from); err != nil {
		return err
	}
	return k.answer(ctx, "dormant", notice.Fields{"cell": cell})
}

// late returns how many hours after it was sent the SMS arrived, 0 if that is
// soon enough, or not known.
func (k *talk) late() int {
	if k.SentAt.IsZero() {
		return 0
	}
	delay := k.tx.Now().Sub(k.SentAt)
	if delay <= k.set.Late {
		return 0
	}
	return max(1, int(math.Round(delay.Hours())))
}

// Trouble tells the administrators what goes wrong on the way of messages.
func (t *Teller) Trouble(ctx context.Context, a courier.Alert) {
	err := t.db.Update(ctx, func(tx *store.Tx) error {
		if a.Trouble == courier.OptedOut && a.Member != 0 {
			m, err := tx.Member(ctx, a.Member)
			if err != nil {
				return err
			}
			return t.voice.Alert(ctx, tx, "OPT1", ruleFields("OPT1"), m)
		}
		return t.voice.Alert(ctx, tx, "LINE", ruleFields("LINE"), nil,
			store.Fact{Name: "line", Value: a.Line}, store.Fact{Name: "trouble", Value: string(a.Trouble)})
	})
	if err != nil {
		slog.ErrorContext(ctx, "trouble not told", "line", a.Line, "error", err)
	}
}

func ruleFields(id string) notice.Phrase {
	return notice.Phrase{Key: "alerte.regle", Fields: notice.Fields{"rule": id}}
}

// Bounds of the timers.
const (
	forgetEvery = 24 * time.Hour
	dueRetry    = 10 * time.Minute // before an order on which the program failed is tried again
	stepRetry   = time.Second      // before a database out of reach is tried again
)

// Run does what time itself asks, at its own moment and in order, until ctx
// ends: expiries, reminders, returns, holds that end, what must be forgotten.
func (t *Teller) Run(ctx context.Context) error {
	due, unsubscribe := t.db.Subscribe(store.Due)
	defer unsubscribe()
	var forgotten time.Time
	for ctx.Err() == nil {
		next, err := t.tick(ctx, &forgotten)
		if errors.Is(err, store.ErrClosed) || ctx.Err() != nil {
			break
		}
		if err != nil {
			slog.ErrorContext(ctx, "timers out of reach", "error", err)
			next = time.Now().Add(stepRetry)
		}
		select {
		case <-due:
		case <-time.After(time.Until(next)):
		case <-ctx.Done():
		}
	}
	return nil
}

// tick does all that is due now, and returns when to look again.
func (t *Teller) tick(ctx context.Context, forgotten *time.Time) (next time.Time, err error) {
	for more := true; more && ctx.Err() == nil; {
		if more, err = t.fall(ctx); err != nil {
			return next, err
		}
	}
	err = t.db.Update(ctx, func(tx *store.Tx) (err error) {
		if next, err = tx.NextDue(ctx); err != nil {
			return err
		}
		if now := tx.Now(); now.Sub(*forgotten) >= forgetEvery || !next.IsZero() && !next.After(now) {
			if err := tx.Forget(ctx); err != nil {
				return err
			}
			*forgotten = now
			next, err = tx.NextDue(ctx)
		}
		return err
	})
	if end := forgotten.Add(forgetEvery); next.IsZero() || end.Before(next) {
		next = end
	}
	return next, err
}

// fall does what is due first, if anything is, and reports that.
func (t *Teller) fall(ctx context.Context) (found bool, err error) {
	var ref string
	err = t.db.Update(ctx, func(tx *store.Tx) error {
		due, err := tx.DueOrders(ctx, 1)
		if err != nil || len(due) == 0 {
			return err
		}
		found, ref = true, due[0].Ref
		return t.desk.Fall(ctx, tx, due[0])
	})
	if err == nil || ref == "" || ctx.Err() != nil {
		return found, err
	}
	slog.ErrorContext(ctx, "due order failed", "order", ref, "error", err)
	return true, t.db.Update(ctx, func(tx *store.Tx) error {
		o, err := tx.OrderByRef(ctx, ref)
		if err != nil {
			return fmt.Errorf("put off order %s: %w", ref, err)
		}
		o.Due = tx.Now().Add(dueRetry)
		return tx.SaveOrder(ctx, o)
	})
}
