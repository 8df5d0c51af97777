package setting_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"maillon/internal/money"
	"maillon/internal/setting"
)

// values has for each key a text that is read and how it is seen, and texts
// that are refused.
var values = map[string]struct {
	good string
	seen func(*setting.Settings) any
	want any
	bad  []string
}{
	"confirm":             {"above:20", func(s *setting.Settings) any { return []any{s.Confirm, s.ConfirmAbove} }, []any{setting.Above, int64(20)}, []string{"", "never", "above:", "above:-1", "Always"}},
	"max":                 {"150", func(s *setting.Settings) any { return s.Max }, int64(150), sums},
	"day":                 {"150", func(s *setting.Settings) any { return s.Day }, int64(150), sums},
	"first.max":           {"150", func(s *setting.Settings) any { return s.FirstMax }, int64(150), sums},
	"first.warn":          {"150", func(s *setting.Settings) any { return s.FirstWarn }, int64(150), sums},
	"code.len":            {"8", func(s *setting.Settings) any { return s.CodeLen }, 8, []string{"", "3", "9", "six"}},
	"code.ttl":            {"5m", func(s *setting.Settings) any { return s.CodeTTL }, 5 * time.Minute, durations},
	"tries":               {"5", func(s *setting.Settings) any { return s.Tries }, 5, []string{"", "0", "11", "x"}},
	"lock":                {"2h", func(s *setting.Settings) any { return s.Lock }, 2 * time.Hour, durations},
	"conflict":            {"2h", func(s *setting.Settings) any { return s.Conflict }, 2 * time.Hour, durations},
	"repeat":              {"2h", func(s *setting.Settings) any { return s.Repeat }, 2 * time.Hour, durations},
	"late":                {"90s", func(s *setting.Settings) any { return s.Late }, 90 * time.Second, durations},
	"unaccepted":          {"20d", func(s *setting.Settings) any { return s.Unaccepted }, 20 * 24 * time.Hour, durations},
	"unaccepted.reminder": {"13d", func(s *setting.Settings) any { return s.UnacceptedReminder }, 13 * 24 * time.Hour, durations},
	"request.ttl":         {"1d", func(s *setting.Settings) any { return s.RequestTTL }, 24 * time.Hour, durations},
	"open.requests":       {"7", func(s *setting.Settings) any { return s.OpenRequests }, 7, []string{"", "0", "101", "x"}},
	"dispute":             {"1d", func(s *setting.Settings) any { return s.Dispute }, 24 * time.Hour, durations},
	"new.accounts":        {"4/day", func(s *setting.Settings) any { return s.NewAccounts }, 4, rates},
	"lookups":             {"6/day,24h", func(s *setting.Settings) any { return []any{s.Lookups, s.LookupsLock} }, []any{6, 24 * time.Hour}, append(rates, "5/day,", "5/day,x", "x,24h")},
	"stranger":            {"2/day/number,30/day", func(s *setting.Settings) any { return []any{s.Stranger, s.StrangerAll} }, []any{2, 30}, append(rates, "1/day,x", "x,5/day")},
	"flood": {
		"20/min,2h", func(s *setting.Settings) any { return s.Flood },
		setting.Rate{N: 20, In: time.Minute, Pause: 2 * time.Hour},
		[]string{"", "0/min", "-1", "x/min", "10/min,", "10/min,x", "x,2h"},
	},
	"dormant":       {"60d", func(s *setting.Settings) any { return s.Dormant }, 60 * 24 * time.Hour, durations},
	"number.wait":   {"3d", func(s *setting.Settings) any { return s.NumberWait }, 3 * 24 * time.Hour, durations},
	"nick.suffix":   {"56", func(s *setting.Settings) any { return s.NickSuffix }, "56", []string{"", "12345"}},
	"nick.reserved": {"30d", func(s *setting.Settings) any { return s.NickReserved }, 30 * 24 * time.Hour, durations},
	"countries":     {"FR, BE", func(s *setting.Settings) any { return s.Countries }, []string{"FR", "BE"}, nil},
	"unit":          {"heure", func(s *setting.Settings) any { return s.Units[0].Name }, "heure", []string{"", "1234567890123"}},
	"unit.plural":   {"heures", func(s *setting.Settings) any { return s.Units[0].Plural }, "heures", []string{"", "123456789012345"}},
	"unit.symbol":   {"h", func(s *setting.Settings) any { return s.Units[0].Symbol }, "h", []string{"", "12345"}},
	"unit.decimals": {"2", func(s *setting.Settings) any { return s.Units[0].Decimals }, uint8(2), []string{"", "-1", "7", "x"}},
	"association":   {"Bro Vélo", func(s *setting.Settings) any { return s.Association }, "Bro Vélo", []string{"", "123456789012345678901"}},
	"desk":          {"fr:au bar|en:at the bar", func(s *setting.Settings) any { return s.Desk }, map[string]string{"fr": "au bar", "en": "at the bar"}, []string{"", "fr:", "123456789012345678901"}},
	"hours":         {"lun 10:00-12:00", func(s *setting.Settings) any { return s.Hours }, map[string]string{"": "lun 10:00-12:00"}, []string{"", "123456789012345678901"}},
	"help":          {"02 98 00 00 00", func(s *setting.Settings) any { return s.Help }, "02 98 00 00 00", []string{"", "12345678901234567"}},
	"timezone":      {"Indian/Comoro", func(s *setting.Settings) any { return s.Zone.String() }, "Indian/Comoro", []string{"Mars/Phobos", "../etc/passwd"}},
	"language":      {"en", func(s *setting.Settings) any { return s.Language }, "en", []string{"", "123456789"}},
	"alert.phones":  {"+33639980001,+33639980002", func(s *setting.Settings) any { return s.AlertPhones }, []string{"+33639980001", "+33639980002"}, nil},
	"rules":         {"log", func(s *setting.Settings) any { return s.Rules }, setting.Log, []string{"", "off", "Act"}},
}

var (
	sums      = []string{"", "-1", "1.5", "x", "1000000000001", "99999999999999999999"}
	durations = []string{"", "0s", "-1h", "10", "x", "0d", "-2d", "1.5d", "4000d", "99999999999999999999d"}
	rates     = []string{"", "-1", "x/day", "1000001", "5/hour"}
)

func TestEveryKeyIsReadAndRefused(t *testing.T) {
	keys := setting.Keys()
	for _, key := range keys {
		v, ok := values[key]
		if !ok {
			t.Errorf("%s has no test", key)
			continue
		}
		s := setting.Default()
		if err := s.Set(key, v.good); err != nil {
			t.Errorf("Set(%q, %q): %v", key, v.good, err)
		}
		if got := v.seen(&s); !reflect.DeepEqual(got, v.want) {
			t.Errorf("after Set(%q, %q) it is %v, want %v", key, v.good, got, v.want)
		}
		for _, bad := range v.bad {
			s, before := setting.Default(), setting.Default()
			if err := s.Set(key, bad); err == nil {
				t.Errorf("Set(%q, %q) is not refused", key, bad)
			}
			if got, want := v.seen(&s), v.seen(&before); !reflect.DeepEqual(got, want) {
				t.Errorf("a refused Set(%q, %q) changed %v to %v", key, bad, want, got)
			}
		}
	}
	for key := range values {
		if !slices.Contains(keys, key) {
			t.Errorf("%s is tested and is no setting", key)
		}
	}
	s := setting.Default()
	if err := s.Set("colour", "red"); !errors.Is(err, setting.ErrUnknown) {
		t.Errorf("an unknown key: %v, want %v", err, setting.ErrUnknown)
	}
}

// What one server sets, another that began with the same defaults does not see.
func TestServersDoNotShareSettings(t *testing.T) {
	a, b := setting.Default(), setting.Default()
	for key, v := range values {
		if err := a.Set(key, v.good); err != nil {
			t.Error(err)
		}
	}
	if !reflect.DeepEqual(b, setting.Default()) {
		t.Error("the settings of one server changed those of another")
	}
}

func TestUnits(t *testing.T) {
	s := setting.Default()
	s.Units = append(s.Units, setting.Unit{Name: "heure", Plural: "heures", Symbol: "h", Decimals: 2})
	for symbol, want := range map[string]string{"": "maillon", "m": "maillon", "h": "heure"} {
		if u, ok := s.Unit(symbol); !ok || u.Name != want {
			t.Errorf("Unit(%q) = %v, %v", symbol, u, ok)
		}
	}
	if _, ok := s.Unit("x"); ok {
		t.Error("an unknown symbol has a unit")
	}
	if u := s.UnitOf(money.Currency{Code: "HEURE", Decimals: 2}); u.Name != "heure" {
		t.Errorf("UnitOf = %v", u)
	}
	if got := setting.Whole(12, s.Units[1].Currency()); got.Plain() != "12.00" {
		t.Errorf("Whole(12) = %v", got)
	}
}

// A local day begins at local midnight, also when the clocks change.
func TestMidnight(t *testing.T) {
	s := setting.Default()
	if err := s.Set("timezone", "Europe/Paris"); err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]string{
		"2026-03-28T22:59:59Z": "2026-03-27T23:00:00Z", "2026-03-28T23:00:00Z": "2026-03-28T23:00:00Z",
		"2026-03-29T12:00:00Z": "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z": "2026-03-29T22:00:00Z",
	} {
		now, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Midnight(now).UTC().Format(time.RFC3339); got != want {
			t.Errorf("Midnight(%s) = %s, want %s", at, got, want)
		}
	}
}

func TestTextsOfALanguage(t *testing.T) {
	for _, c := range []struct {
		texts          map[string]string
		language, want string
	}{
		{map[string]string{"fr": "a", "en": "b"}, "en", "b"},
		{map[string]string{"fr": "a", "en": "b"}, "br", "a"},
		{map[string]string{"": "x", "en": "b"}, "fr", "x"},
		{nil, "fr", ""},
	} {
		if got := setting.In(c.texts, c.language); got != c.want {
			t.Errorf("In(%v, %q) = %q, want %q", c.texts, c.language, got, c.want)
		}
	}
}

// What a setting is shown as is read as the same.
func TestWhatIsShownIsReadAgain(t *testing.T) {
	for _, key := range setting.Keys() {
		for _, s := range []setting.Settings{setting.Default(), changed(t, key)} {
			text := s.Text(key)
			if text == "" && (key == "help" || key == "alert.phones") {
				continue // not set
			}
			again := setting.Default()
			if err := again.Set(key, text); err != nil {
				t.Errorf("%s is shown as %q: %v", key, text, err)
			}
			if got, want := values[key].seen(&again), values[key].seen(&s); !reflect.DeepEqual(got, want) {
				t.Errorf("%s, shown as %q, is read as %v, want %v", key, text, got, want)
			}
		}
	}
	for _, key := range setting.Editable() {
		if !slices.Contains(setting.Keys(), key) {
			t.Errorf("%s can be edited and is no setting", key)
		}
	}
}

func changed(t *testing.T, key string) setting.Settings {
	t.Helper()
	s := setting.Default()
	if err := s.Set(key, values[key].good); err != nil {
		t.Fatal(err)
	}
	return s
}
