// Package notice writes to people: it finds the words in their language, puts
// the member's own word before them, and leaves the SMS in the outbox with its
// priority and its time to live, inside the transaction of what it tells.
package notice

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"maillon/internal/guard"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/phrase"
	"maillon/internal/setting"
	"maillon/internal/sms"
	"maillon/internal/store"
)

// How long a message is worth sending.
const (
	receiptLife = 12 * time.Hour
	noticeLife  = 24 * time.Hour
)

const maxAlertPhones = 20

// widestBalance is what texts must have room for, in whole units.
const widestBalance = 999_999

// Fields are what a text says: by placeholder, a string, an int, an amount, or
// one of the types below, which each reader sees in his own language.
type Fields map[string]any

// What fields may hold beside strings, ints and amounts.
type (
	Day    time.Time // the date
	Clock  time.Time // hour and minute
	Month  time.Month
	Code   string   // a one-time code, shown in two halves
	Phrase struct { // another text of the language
		Key    string
		Fields Fields
	}
)

// A Refusal is why something was not done, as its reader will see it.
type Refusal struct {
	Key    string
	Fields Fields
}

func (r *Refusal) Error() string { return "refused: " + r.Key }

// Refuse returns a Refusal as an error.
func Refuse(key string, f Fields) error { return &Refusal{key, f} }

// A Voice speaks for one association.
type Voice struct {
	book  *phrase.Book
	set   *setting.Settings
	house map[string]phrase.Fields // by language: what every text may name

	// Letters are the lines that are e-mail: receipts of money go to the
	// telephone too.
	Letters map[string]bool
}

// New returns a voice that speaks the languages of book.
func New(book *phrase.Book, set *setting.Settings) *Voice {
	v := &Voice{book: book, set: set, house: map[string]phrase.Fields{}, Letters: map[string]bool{}}
	for _, l := range book.Languages() {
		v.house[l] = v.houseFields(l)
	}
	return v
}

func (v *Voice) houseFields(language string) phrase.Fields {
	s := v.set
	tags := make([]string, 0, 8)
	for _, l := range v.book.Languages() {
		tags = append(tags, strings.ToUpper(l))
	}
	whole := func(n int64) string { return v.book.Amount(language, setting.Whole(n, s.Currency())) }
	days := func(d time.Duration) string { return strconv.Itoa(int(d / (24 * time.Hour))) }
	hours := func(d time.Duration) string { return strconv.Itoa(int(d / time.Hour)) }
	minutes := func(d time.Duration) string { return strconv.Itoa(int(d / time.Minute)) }
	help := s.Help
	if help == "" { // nobody to ring: people come
		help = setting.In(s.Desk, language)
	}
	f := phrase.Fields{
		"asso": s.Association, "desk": setting.In(s.Desk, language), "hours": setting.In(s.Hours, language), "help": help,
		"langs": strings.Join(tags, ", "),
		"ttl":   minutes(s.CodeTTL), "conf": minutes(s.Conflict), "lock": hours(s.Lock), "wait": hours(s.NumberWait), "look": hours(s.LookupsLock),
		"gdays": days(s.Unaccepted), "rdays": days(s.RequestTTL), "rlock": "30", "ndays": days(s.NickReserved),
		"tries": strconv.Itoa(s.Tries), "len": strconv.Itoa(s.CodeLen),
		"max": whole(s.Max), "day": whole(s.Day), "fmax": whole(s.FirstMax), "above": whole(s.ConfirmAbove),
	}
	maps.Copy(f, unitFields(s.Units[0], ""))
	return f
}

func unitFields(u setting.Unit, suffix string) phrase.Fields {
	return phrase.Fields{"u" + suffix: u.Symbol, "unit" + suffix: u.Name, "units" + suffix: u.Plural}
}

// Lint returns what the languages could not say with these settings: a text
// that is missing, or too long for one SMS at its widest.
func (v *Voice) Lint() []phrase.Problem { return v.lint(v.set.CodeLen) }

// LongestCode returns how many digits, at most 8, a code may have for every
// text to fit one SMS still.
func (v *Voice) LongestCode() int {
	const longest = 8
	for n := longest; n > v.set.CodeLen; n-- {
		if len(v.lint(n)) == 0 {
			return n
		}
	}
	return v.set.CodeLen
}

// Samples returns at most so many texts of a language that name a field of the
// house, as they would leave with these settings.
func (v *Voice) Samples(language, field string, most int) []phrase.Sample {
	return v.book.Samples(language, field, v.limits(v.set.CodeLen), most)
}

func (v *Voice) lint(codeLen int) []phrase.Problem { return v.book.Lint(v.limits(codeLen)) }

// limits say how wide everything gets with these settings.
func (v *Voice) limits(codeLen int) phrase.Limits {
	limits := phrase.DefaultLimits()
	limits.House = v.house
	limits.Widest["code"] = guard.ShowCode(strings.Repeat("9", codeLen))
	limits.Widest["amt"] = v.book.Amount(v.set.Language, nines(v.set.Max, v.set.Currency()))
	limits.Widest["amt2"], limits.Widest["amt3"] = limits.Widest["amt"], limits.Widest["amt"]
	limits.Widest["bal"] = v.book.Amount(v.set.Language, nines(widestBalance, v.set.Currency()))
	limits.Widest["bal2"] = limits.Widest["bal"]
	return limits
}

// nines returns the widest amount with as many digits as n whole units.
func nines(n int64, c money.Currency) money.Amount {
	wide := int64(9)
	for ; n >= 10; n /= 10 {
		wide = wide*10 + 9
	}
	for range c.Decimals {
		wide = wide*10 + 9
	}
	return money.New(wide, c)
}

// Speaks reports whether there are texts in a language.
func (v *Voice) Speaks(language string) bool {
	_, ok := v.house[language]
	return ok
}

// Unit returns the fields that name another unit than the first one.
func Unit(u setting.Unit) Fields { return Fields{"u": u.Symbol, "unit": u.Name, "units": u.Plural} }

// Text returns a text as a member would read it, without the member's word.
func (v *Voice) Text(language, key string, f Fields) (string, error) {
	return v.render(language, "", key, f)
}

func (v *Voice) render(language, word, key string, f Fields) (string, error) {
	house, ok := v.house[language]
	if !ok {
		language = v.set.Language
		house = v.house[language]
	}
	all := maps.Clone(house)
	for name, value := range f {
		text, err := v.show(language, value)
		if err != nil {
			return "", fmt.Errorf("%s: %s: %w", key, name, err)
		}
		all[name] = text
		if a, ok := value.(money.Amount); ok && f["u"] == nil {
			maps.Copy(all, unitFields(v.set.UnitOf(a.Currency()), ""))
		}
	}
	return v.book.Render(language, key, all, word)
}

func (v *Voice) show(language string, value any) (string, error) {
	switch x := value.(type) {
	case string:
		return x, nil
	case int:
		return strconv.Itoa(x), nil
	case int64:
		return strconv.FormatInt(x, 10), nil
	case money.Amount:
		return v.book.Amount(language, x), nil
	case Day:
		return v.book.Date(language, time.Time(x).In(v.set.Zone)), nil
	case Clock:
		return v.book.Clock(language, time.Time(x).In(v.set.Zone)), nil
	case Month:
		return v.book.Month(language, time.Month(x)), nil
	case Code:
		return guard.ShowCode(string(x)), nil
	case Phrase:
		return v.render(language, "", x.Key, x.Fields)
	}
	return "", fmt.Errorf("%T is nothing to read", value)
}

// Answer replies to what a member wrote. It goes out also to the muted.
func (v *Voice) Answer(ctx context.Context, tx *store.Tx, to *member.Member, key string, f Fields) error {
	return v.send(ctx, tx, to, to.Word, key, f, sms.Notice, tx.Now().Add(noticeLife))
}

// AnswerPlain is Answer without the member's own word.
func (v *Voice) AnswerPlain(ctx context.Context, tx *store.Tx, to *member.Member, key string, f Fields) error {
	return v.send(ctx, tx, to, "", key, f, sms.Notice, tx.Now().Add(noticeLife))
}

// Ask sends a question with its code, worth nothing after until.
func (v *Voice) Ask(ctx context.Context, tx *store.Tx, to *member.Member, key string, f Fields, until time.Time) error {
	return v.send(ctx, tx, to, to.Word, key, f, sms.Code, until)
}

// Receipt tells what was paid, credited or given back.
func (v *Voice) Receipt(ctx context.Context, tx *store.Tx, to *member.Member, key string, f Fields) error {
	return v.send(ctx, tx, to, to.Word, key, f, sms.Receipt, tx.Now().Add(receiptLife))
}

// Inform is Receipt for what the member did not do: the muted do not get it.
func (v *Voice) Inform(ctx context.Context, tx *store.Tx, to *member.Member, key string, f Fields) error {
	if to.Muted {
		return nil
	}
	return v.Receipt(ctx, tx, to, key, f)
}

// Notify tells anything else that the member did not ask for: the muted do not
// get it.
func (v *Voice) Notify(ctx context.Context, tx *store.Tx, to *member.Member, key string, f Fields) error {
	if to.Muted {
		return nil
	}
	return v.Answer(ctx, tx, to, key, f)
}

// Later is Notify for what is told to many at once: it leaves at a time of its
// own, behind all that somebody waits for, and is worth sending for a day.
func (v *Voice) Later(ctx context.Context, tx *store.Tx, to *member.Member, key string, f Fields, at time.Time) error {
	if to.Muted || to.State == member.Closed || to.Number.IsZero() {
		return nil
	}
	text, err := v.render(to.Language, to.Word, key, f)
	if err != nil {
		return err
	}
	return v.leave(ctx, tx, to, text, at)
}

func (v *Voice) leave(ctx context.Context, tx *store.Tx, to *member.Member, text string, at time.Time) error {
	return tx.Enqueue(ctx, store.Out{
		To: to.Number, Text: text, Gateway: to.Line, Priority: sms.Notice, Next: at, Expires: at.Add(noticeLife),
	}, to)
}

// wordRoom is what a member's own word takes of an SMS, at most.
const wordRoom = 8

// A Fit says how a text of the association goes into SMS.
type Fit struct {
	Units    int  // septets, or 16 bits where it is not GSM-7
	Segments int  // for whoever has the longest word
	GSM7     bool // it costs no more than it must
}

// Fits measures a text before which the longest word stands.
func Fits(text string) Fit {
	units, segments := sms.Segments(strings.Repeat("m", wordRoom) + text)
	return Fit{units - wordRoom, segments, sms.AlphabetOf(text) == sms.GSM7}
}

// Announce tells a member what the association writes to all, in its own
// words, as Later does.
func (v *Voice) Announce(ctx context.Context, tx *store.Tx, to *member.Member, text string, at time.Time) error {
	if to.Muted || to.State != member.Active || to.Number.IsZero() {
		return nil
	}
	if to.Word != "" {
		text = to.Word + ": " + text
	}
	return v.leave(ctx, tx, to, text, at)
}

// Comma reports whether a language writes decimals after a comma.
func (v *Voice) Comma(language string) bool {
	return strings.Contains(v.book.Amount(language, money.New(1, money.Currency{Decimals: 1})), ",")
}

// Languages returns the languages that members may have.
func (v *Voice) Languages() []string { return v.book.Languages() }

func (v *Voice) send(ctx context.Context, tx *store.Tx, to *member.Member, word, key string, f Fields, p sms.Priority, until time.Time) error {
	if to.State == member.Closed || to.Number.IsZero() {
		return nil
	}
	text, err := v.render(to.Language, word, key, f)
	if err != nil {
		return err
	}
	o := store.Out{To: to.Number, Text: text, Gateway: to.Line, Priority: p, Expires: until}
	if err := tx.Enqueue(ctx, o, to); err != nil || p != sms.Receipt || !v.Letters[to.Line] {
		return err
	}
	o.Gateway = ""
	return tx.Enqueue(ctx, o, to)
}

// Write writes to an e-mail address about a member, by a line that is e-mail.
func (v *Voice) Write(ctx context.Context, tx *store.Tx, about *member.Member, to sms.Address, line, key string, f Fields) error {
	text, err := v.render(about.Language, "", key, f)
	if err != nil {
		return err
	}
	return tx.Enqueue(ctx, store.Out{Address: to, Text: text, Gateway: line, Priority: sms.Notice, Expires: tx.Now().Add(noticeLife)}, about)
}

// A Stranger is a number without account, or one that is just being erased.
type Stranger struct {
	Number   sms.Number
	Address  sms.Address // instead of Number, if it is not zero
	Language string
	Line     string
	Word     string
}

// Former returns a member as the stranger that erasing will make.
func Former(m *member.Member) Stranger {
	return Stranger{Number: m.Number, Language: m.Language, Line: m.Line, Word: m.Word}
}

// Stranger writes to a number without account; a day later nothing is left of it.
func (v *Voice) Stranger(ctx context.Context, tx *store.Tx, to Stranger, key string, f Fields) error {
	text, err := v.render(to.Language, to.Word, key, f)
	if err != nil {
		return err
	}
	return tx.Enqueue(ctx, store.Out{
		To: to.Number, Address: to.Address, Text: text, Gateway: to.Line, Priority: sms.Notice, Expires: tx.Now().Add(noticeLife),
	}, nil)
}

// Alert tells the administrators' phones what happened to a member, or to the
// whole service if about is nil, and notes it for their page.
func (v *Voice) Alert(ctx context.Context, tx *store.Tx, rule string, what Phrase, about *member.Member, facts ...store.Fact) error {
	return v.Alarm(ctx, tx, store.Alert{Rule: rule, Act: guard.Warn, Facts: facts}, what, about)
}

// Alarm is Alert with what was done already.
func (v *Voice) Alarm(ctx context.Context, tx *store.Tx, a store.Alert, what Phrase, about *member.Member) error {
	key, f := "admin.alerte.systeme", Fields{"what": what}
	if about != nil {
		key, a.About = "admin.alerte", about.ID
		f["who"] = Name(about, "")
	}
	if err := tx.RaiseAlert(ctx, a); err != nil {
		return err
	}
	for i, text := range v.set.AlertPhones {
		if i == maxAlertPhones {
			break
		}
		n, err := sms.ParseNumber(text, v.set.Region())
		if err != nil {
			return fmt.Errorf("alert.phones, entry %d: %w", i+1, err)
		}
		if err := v.alertOne(ctx, tx, n, key, f); err != nil {
			return err
		}
	}
	return nil
}

func (v *Voice) alertOne(ctx context.Context, tx *store.Tx, n sms.Number, key string, f Fields) error {
	m, err := tx.MemberByNumber(ctx, n)
	if errors.Is(err, store.ErrNotFound) {
		return v.Stranger(ctx, tx, Stranger{Number: n, Language: v.set.Language}, key, f)
	}
	if err != nil {
		return err
	}
	return v.Answer(ctx, tx, m, key, f)
}

// Name returns what others may call a member: the pseudo, else how the reader
// typed the number, else the masked number.
func Name(m *member.Member, typed string) string {
	switch {
	case m.Nick != "":
		return m.Nick
	case typed != "":
		return typed
	}
	return m.Number.Masked()
}
