package setting

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Text returns the value of a setting as Set reads it, "" for a key that is none
// and for what is not set.
func (s *Settings) Text(key string) string {
	switch key {
	case "confirm":
		return [...]string{"always", "above:" + strconv.FormatInt(s.ConfirmAbove, 10), "off"}[s.Confirm]
	case "rules":
		return [...]string{"act", "log", "later"}[s.Rules]
	case "lookups":
		return fmt.Sprintf("%d/day,%s", s.Lookups, days(s.LookupsLock))
	case "stranger":
		return fmt.Sprintf("%d/day/number,%d/day", s.Stranger, s.StrangerAll)
	case "flood":
		return fmt.Sprintf("%d/min,%s", s.Flood.N, days(s.Flood.Pause))
	case "new.accounts":
		return strconv.Itoa(s.NewAccounts) + "/day"
	case "timezone":
		return s.Zone.String()
	}
	switch v := s.value(key).(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case int:
		return strconv.Itoa(v)
	case time.Duration:
		return days(v)
	case []string:
		return strings.Join(v, ",")
	case map[string]string:
		return perLanguageText(v)
	}
	return ""
}

// value returns a setting that is written as what it is.
func (s *Settings) value(key string) any {
	return map[string]any{
		"max": s.Max, "day": s.Day, "first.max": s.FirstMax, "first.warn": s.FirstWarn,
		"code.len": s.CodeLen, "code.ttl": s.CodeTTL, "tries": s.Tries, "lock": s.Lock,
		"conflict": s.Conflict, "repeat": s.Repeat, "late": s.Late,
		"unaccepted": s.Unaccepted, "unaccepted.reminder": s.UnacceptedReminder,
		"request.ttl": s.RequestTTL, "open.requests": s.OpenRequests, "dispute": s.Dispute,
		"dormant": s.Dormant, "number.wait": s.NumberWait, "nick.suffix": s.NickSuffix, "nick.reserved": s.NickReserved,
		"countries": s.Countries, "alert.phones": s.AlertPhones,
		"unit": s.Units[0].Name, "unit.plural": s.Units[0].Plural, "unit.symbol": s.Units[0].Symbol, "unit.decimals": int(s.Units[0].Decimals),
		"association": s.Association, "desk": s.Desk, "hours": s.Hours, "help": s.Help, "language": s.Language,
	}[key]
}

// days writes a duration as ParseDuration reads it: whole days, else without
// the parts that are zero.
func days(d time.Duration) string {
	if d > 0 && d%(24*time.Hour) == 0 {
		return strconv.FormatInt(int64(d/(24*time.Hour)), 10) + "d"
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func perLanguageText(texts map[string]string) string {
	if text, ok := texts[""]; ok && len(texts) == 1 {
		return text
	}
	var parts []string
	for _, language := range slices.Sorted(maps.Keys(texts)) {
		parts = append(parts, language+":"+texts[language])
	}
	return strings.Join(parts, "|")
}

// Editable returns the settings that may be changed on a page while a server is
// at work, in the order of the documentation. The others stand in the
// configuration file alone: the unit, in which the books were begun; the
// countries; the numbers of people.
func Editable() []string {
	return []string{
		"confirm", "max", "day", "first.max", "first.warn", "code.len", "code.ttl", "tries", "lock",
		"conflict", "repeat", "late", "unaccepted", "unaccepted.reminder", "request.ttl", "open.requests", "dispute",
		"new.accounts", "lookups", "stranger", "flood", "dormant", "number.wait", "nick.suffix", "nick.reserved",
		"association", "desk", "hours", "help", "timezone", "language", "rules",
	}
}
