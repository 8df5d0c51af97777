// Package setting is what an association decides: its unit, its name, its
// limits and its delays. Every setting has a default that works, and every one
// can be given as text, in the configuration file or in a story.
package setting

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"maillon/internal/money"
)

// ErrUnknown means that a key is no setting.
var ErrUnknown = errors.New("no such setting")

// Bounds of what may be set.
const (
	maxCodeLen  = 8
	maxUnits    = 8
	maxSum      = 1_000_000_000_000
	maxCount    = 1_000_000
	maxDuration = 10 * 365 * 24 * time.Hour
)

// A Mode says when a payment asks for its code.
type Mode int

// The modes of confirmation.
const (
	Always Mode = iota // after its code
	Above              // at once up to a sum each day, then after its code
	Off                // at once
)

// A Unit is a unit of account as people write and read it.
type Unit struct {
	Name     string // singular: "maillon"
	Plural   string
	Symbol   string // "m"
	Decimals uint8
}

// Currency returns the currency of u: its code is the name in upper case.
func (u Unit) Currency() money.Currency {
	return money.Currency{Code: strings.ToUpper(u.Name), Decimals: u.Decimals}
}

// A Rate is a number of things in a time, and how long it is closed to who
// passes it.
type Rate struct {
	N     int
	In    time.Duration
	Pause time.Duration
}

// A Guard says what an anomaly rule does besides its alert.
type Guard int

// What anomaly rules may do in their first weeks.
const (
	Act   Guard = iota // as the table of rules says, from the first day
	Log                // write it down, and let it pass
	Later              // Log in the first two weeks of the books, then Act
)

// Settings are all decisions of one server. Sums are in whole units of the
// first unit.
type Settings struct {
	Confirm      Mode
	ConfirmAbove int64

	Max, Day, FirstMax, FirstWarn int64

	CodeLen int
	CodeTTL time.Duration
	Tries   int
	Lock    time.Duration

	Conflict, Repeat, Late time.Duration

	Unaccepted, UnacceptedReminder time.Duration
	RequestTTL                     time.Duration
	OpenRequests                   int
	Dispute                        time.Duration
	NewAccounts                    int // each payer, each day
	Lookups                        int // each member, each day
	LookupsLock                    time.Duration
	Stranger, StrangerAll          int // answers each day, to one number and in all
	Flood                          Rate
	Dormant                        time.Duration
	NumberWait                     time.Duration
	NickSuffix                     string
	NickReserved                   time.Duration
	Countries                      []string

	Units       []Unit
	Association string
	Desk        map[string]string // by language
	Hours       map[string]string // by language
	Help        string            // telephone number, as shown
	Zone        *time.Location
	Language    string
	AlertPhones []string
	Rules       Guard
}

// Default returns the settings that the program ships with: the maillon of a
// bicycle workshop. The zone is UTC if the machine does not know Europe/Paris.
func Default() Settings {
	zone, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		zone = time.UTC
	}
	const day = 24 * time.Hour
	return Settings{
		Max: 200, Day: 300, FirstMax: 50, FirstWarn: 20,
		CodeLen: 6, CodeTTL: 10 * time.Minute, Tries: 3, Lock: day,
		Conflict: 10 * time.Minute, Repeat: 10 * time.Minute, Late: 30 * time.Minute,
		Unaccepted: 30 * day, UnacceptedReminder: 23 * day,
		RequestTTL: 2 * day, OpenRequests: 3, Dispute: 2 * day,
		NewAccounts: 3, Lookups: 5, LookupsLock: 2 * day,
		Stranger: 1, StrangerAll: 20,
		Flood:   Rate{10, time.Minute, time.Hour},
		Dormant: 45 * day, NumberWait: 2 * day,
		NickSuffix: "29", NickReserved: 90 * day, Countries: []string{"FR"},
		Units:       []Unit{{"maillon", "maillons", "m", 0}},
		Association: "Penn Rustin'",
		Desk:        map[string]string{"fr": "au local", "en": "at the workshop"},
		Hours:       map[string]string{"fr": "sam 10-12h", "en": "Sat 10-12"},
		Zone:        zone, Language: "fr", Rules: Later,
	}
}

// Unit returns the unit with this symbol, or the first one for "".
func (s *Settings) Unit(symbol string) (Unit, bool) {
	for _, u := range s.Units {
		if symbol == "" || u.Symbol == symbol {
			return u, true
		}
	}
	return Unit{}, false
}

// UnitOf returns the unit of a currency; the first one if it is none of ours.
func (s *Settings) UnitOf(c money.Currency) Unit {
	for _, u := range s.Units {
		if u.Currency() == c {
			return u
		}
	}
	return s.Units[0]
}

// Symbol returns what people write after a sum: the symbol of a unit of ours, the
// code of any other currency.
func (s *Settings) Symbol(c money.Currency) string {
	if u := s.UnitOf(c); u.Currency() == c {
		return u.Symbol
	}
	return c.Code
}

// Currency returns the currency of the first unit.
func (s *Settings) Currency() money.Currency { return s.Units[0].Currency() }

// Whole returns n whole units of c.
func Whole(n int64, c money.Currency) money.Amount {
	for range c.Decimals {
		n *= 10
	}
	return money.New(n, c)
}

// Midnight returns when the local day of t began.
func (s *Settings) Midnight(t time.Time) time.Time {
	y, m, d := t.In(s.Zone).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, s.Zone)
}

// Set reads one setting from text, by the key that the documentation names:
// Set("confirm", "above:20"). It returns ErrUnknown, or says what is wrong
// with the value; then nothing has changed.
func (s *Settings) Set(key, value string) error {
	set, ok := s.setters()[key]
	if !ok {
		return fmt.Errorf("%q: %w", key, ErrUnknown)
	}
	before := *s
	if err := set(value); err != nil {
		*s = before // one of two parts may have been read
		return fmt.Errorf("%s=%q: %w", key, value, err)
	}
	return nil
}

// Keys returns every key that Set knows.
func Keys() []string {
	var s Settings
	keys := make([]string, 0, 48)
	for k := range s.setters() {
		keys = append(keys, k)
	}
	return keys
}

type setter func(string) error

func (s *Settings) setters() map[string]setter {
	if len(s.Units) == 0 {
		s.Units = make([]Unit, 1)
	}
	unit := &s.Units[0]
	return map[string]setter{
		"confirm": s.setConfirm,
		"max":     sum(&s.Max), "day": sum(&s.Day), "first.max": sum(&s.FirstMax), "first.warn": sum(&s.FirstWarn),
		"code.len": count(&s.CodeLen, 4, maxCodeLen), "code.ttl": duration(&s.CodeTTL), "tries": count(&s.Tries, 1, 10),
		"lock": duration(&s.Lock), "conflict": duration(&s.Conflict), "repeat": duration(&s.Repeat), "late": duration(&s.Late),
		"unaccepted": duration(&s.Unaccepted), "unaccepted.reminder": duration(&s.UnacceptedReminder),
		"request.ttl": duration(&s.RequestTTL), "open.requests": count(&s.OpenRequests, 1, 100), "dispute": duration(&s.Dispute),
		"new.accounts": perDay(&s.NewAccounts), "lookups": s.setLookups, "stranger": s.setStranger, "flood": s.setFlood,
		"dormant": duration(&s.Dormant), "number.wait": duration(&s.NumberWait),
		"nick.suffix": word(&s.NickSuffix, 4), "nick.reserved": duration(&s.NickReserved), "countries": list(&s.Countries),
		"unit": word(&unit.Name, 12), "unit.plural": word(&unit.Plural, 14), "unit.symbol": word(&unit.Symbol, 4), "unit.decimals": decimals(&unit.Decimals),
		"association": word(&s.Association, 20), "desk": perLanguage(&s.Desk, 20), "hours": perLanguage(&s.Hours, 20), "help": word(&s.Help, 16),
		"timezone": s.setZone, "language": word(&s.Language, 8), "alert.phones": list(&s.AlertPhones), "rules": s.setRules,
	}
}

func sum(to *int64) setter {
	return func(v string) error {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n < 0 || n > maxSum {
			return fmt.Errorf("a whole number from 0 to %d is expected", int64(maxSum))
		}
		*to = n
		return nil
	}
}

func count(to *int, least, most int) setter {
	return func(v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < least || n > most {
			return fmt.Errorf("a whole number from %d to %d is expected", least, most)
		}
		*to = n
		return nil
	}
}

func perDay(to *int) setter {
	return func(v string) error { return count(to, 0, maxCount)(strings.TrimSuffix(v, "/day")) }
}

func decimals(to *uint8) setter {
	return func(v string) error {
		var n int
		if err := count(&n, 0, money.MaxDecimals)(v); err != nil {
			return err
		}
		*to = uint8(n) //nolint:gosec // at most MaxDecimals
		return nil
	}
}

func duration(to *time.Duration) setter {
	return func(v string) error {
		d, err := ParseDuration(v)
		if err != nil {
			return err
		}
		*to = d
		return nil
	}
}

// ParseDuration reads a duration of Go or a whole number of days: "90s", "2d".
func ParseDuration(v string) (time.Duration, error) {
	d, err := time.ParseDuration(v)
	if days, ok := strings.CutSuffix(v, "d"); ok {
		n, e := strconv.Atoi(days)
		d, err = time.Duration(min(n, maxCount))*24*time.Hour, e
	}
	if err != nil || d <= 0 || d > maxDuration {
		return 0, errors.New("a duration such as 90s, 10m, 24h or 2d is expected")
	}
	return d, nil
}

func word(to *string, most int) setter {
	return func(v string) error {
		if n := len([]rune(v)); n == 0 || n > most {
			return fmt.Errorf("a text of 1 to %d characters is expected", most)
		}
		*to = v
		return nil
	}
}

func list(to *[]string) setter {
	return func(v string) error {
		all := strings.FieldsFunc(v, func(r rune) bool { return r == ',' || r == ' ' })
		if len(all) > maxCount {
			return fmt.Errorf("at most %d are expected", maxCount)
		}
		*to = all
		return nil
	}
}

// perLanguage reads "au local", for every language, or "fr:au local|en:at the desk".
func perLanguage(to *map[string]string, most int) setter {
	return func(v string) error {
		texts := map[string]string{}
		for part := range strings.SplitSeq(v, "|") {
			language, text, ok := strings.Cut(part, ":")
			if !ok || len(language) > 3 {
				language, text = "", part
			}
			if n := len([]rune(text)); n == 0 || n > most {
				return fmt.Errorf("a text of 1 to %d characters is expected", most)
			}
			texts[language] = text
		}
		*to = texts
		return nil
	}
}

// In returns the text for a language: its own, the one for every language, or
// the first one's.
func In(texts map[string]string, language string) string {
	for _, l := range []string{language, "", "fr", "en"} {
		if t, ok := texts[l]; ok {
			return t
		}
	}
	return ""
}

func (s *Settings) setConfirm(v string) error {
	limit, above := strings.CutPrefix(v, "above:")
	switch {
	case v == "always":
		s.Confirm = Always
	case v == "off":
		s.Confirm = Off
	case above:
		if err := sum(&s.ConfirmAbove)(limit); err != nil {
			return err
		}
		s.Confirm = Above
	default:
		return errors.New("always, above:N or off is expected")
	}
	return nil
}

// setLookups reads "5/day" or "5/day,48h".
func (s *Settings) setLookups(v string) error {
	n, lock, ok := strings.Cut(v, ",")
	if ok {
		if err := duration(&s.LookupsLock)(strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(lock), "then "))); err != nil {
			return err
		}
	}
	return perDay(&s.Lookups)(n)
}

// setStranger reads "1/day/number,20/day".
func (s *Settings) setStranger(v string) error {
	one, all, ok := strings.Cut(v, ",")
	if ok {
		if err := perDay(&s.StrangerAll)(strings.TrimSpace(all)); err != nil {
			return err
		}
	}
	return perDay(&s.Stranger)(strings.TrimSuffix(one, "/number"))
}

// setFlood reads "10/min" or "10/min,1h".
func (s *Settings) setFlood(v string) error {
	n, pause, ok := strings.Cut(v, ",")
	if ok {
		if err := duration(&s.Flood.Pause)(strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(pause), "then "))); err != nil {
			return err
		}
	}
	s.Flood.In = time.Minute
	return count(&s.Flood.N, 1, maxCount)(strings.TrimSuffix(n, "/min"))
}

func (s *Settings) setZone(v string) error {
	zone, err := time.LoadLocation(v)
	if err != nil {
		return errors.New("a zone such as Europe/Paris is expected")
	}
	s.Zone = zone
	return nil
}

func (s *Settings) setRules(v string) error {
	switch v {
	case "later":
		s.Rules = Later
	case "act":
		s.Rules = Act
	case "log":
		s.Rules = Log
	default:
		return errors.New("later, act or log is expected")
	}
	return nil
}

// Region returns the country in which a number without prefix is read.
func (s *Settings) Region() string {
	if len(s.Countries) == 0 {
		return "FR"
	}
	return s.Countries[0]
}
