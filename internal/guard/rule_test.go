package guard_test

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"maillon/internal/guard"
)

// rule is a rule as the table has it.
func rule(id string) guard.Ruling { return guard.Circumstances{}.Ruling(id) }

// refusal names the first limit that forbids a payment.
func refusal(l guard.Limits, p guard.Payment) string {
	switch {
	case l.TooMuch(p):
		return "the most"
	case l.DayFull(p):
		return "VEL2"
	case l.FirstFull(p):
		return "NEW2"
	}
	return ""
}

func TestLimitsRefuse(t *testing.T) {
	l := guard.Limits{Max: 200, Day: 300, FirstMax: 50, FirstWarn: 20}
	for _, c := range []struct {
		what string
		p    guard.Payment
		want string
	}{
		{"the most", guard.Payment{Amount: 200}, ""},
		{"more than the most", guard.Payment{Amount: 201}, "the most"},
		{"the rest of the day", guard.Payment{Amount: 100, Today: 200}, ""},
		{"more than the rest of the day", guard.Payment{Amount: 101, Today: 200}, "VEL2"},
		{"anything after more than a day's worth", guard.Payment{Amount: 1, Today: 400}, "VEL2"},
		{"a first payment to a recent account", guard.Payment{Amount: 50, PayeeRecent: true}, ""},
		{"too large a first payment", guard.Payment{Amount: 51, PayeeRecent: true}, "NEW2"},
		{"a second payment on the first day", guard.Payment{Amount: 21, PayeeRecent: true, PaidBefore: true, PaidFirstDay: 30}, "NEW2"},
		{"within it", guard.Payment{Amount: 20, PayeeRecent: true, PaidBefore: true, PaidFirstDay: 30}, ""},
		{"a payment on a later day", guard.Payment{Amount: 150, PayeeRecent: true, PaidBefore: true}, ""},
		{"an amount beyond all", guard.Payment{Amount: math.MaxInt64}, "the most"},
	} {
		if got := refusal(l, c.p); got != c.want {
			t.Errorf("%s: refused by %q, want %q", c.what, got, c.want)
		}
	}
}

func TestRulesSeeWhatTheyShould(t *testing.T) {
	l := guard.Limits{Max: 200, Day: 300, FirstMax: 50, FirstWarn: 20}
	for _, c := range []struct {
		rule      string
		got, want bool
	}{
		{"NEW1 from 20", l.First(guard.Payment{Amount: 20, PayeeRecent: true}), true},
		{"NEW1 below", l.First(guard.Payment{Amount: 19, PayeeRecent: true}), false},
		{"NEW1 to somebody paid before", l.First(guard.Payment{Amount: 20, PayeeRecent: true, PaidBefore: true}), false},
		{"NEW1 to an old account", l.First(guard.Payment{Amount: 20}), false},
		{"DRA1 80 % of 100", rule("DRA1").Nearly(guard.Payment{Amount: 80, Balance: 100}, 1), true},
		{"DRA1 79 % of 100", rule("DRA1").Nearly(guard.Payment{Amount: 79, Balance: 100}, 1), false},
		{"DRA1 all of 50", rule("DRA1").Nearly(guard.Payment{Amount: 50, Balance: 50}, 1), false},
		{"DRA1 rounds up", rule("DRA1").Nearly(guard.Payment{Amount: 40, Balance: 51}, 1), false},
		{"DRA1 with decimals", rule("DRA1").Nearly(guard.Payment{Amount: 8000, Balance: 9000}, 100), true},
		{"NGT1 at 23:00", rule("NGT1").Night(guard.Payment{Amount: 51, Hour: 23}, 1), true},
		{"NGT1 at 05:59", rule("NGT1").Night(guard.Payment{Amount: 51, Hour: 5}, 1), true},
		{"NGT1 at 06:00", rule("NGT1").Night(guard.Payment{Amount: 51, Hour: 6}, 1), false},
		{"NGT1 of 50", rule("NGT1").Night(guard.Payment{Amount: 50, Hour: 23}, 1), false},
		{"VEL1 the 6th", rule("VEL1").Velocity(guard.Payment{OutLately: 5}), true},
		{"VEL1 the 5th", rule("VEL1").Velocity(guard.Payment{OutLately: 4}), false},
		{"STR1 the third near", rule("STR1").Structuring(l, guard.Payment{Amount: 190, NearLimit24h: 2}), true},
		{"STR1 the second near", rule("STR1").Structuring(l, guard.Payment{Amount: 190, NearLimit24h: 1}), false},
		{"STR1 not near", rule("STR1").Structuring(l, guard.Payment{Amount: 179, NearLimit24h: 5}), false},
		{"STR1 near the first limit", rule("STR1").Structuring(l, guard.Payment{Amount: 45, NearLimit24h: 2}), true},
		{"MUL1", rule("MUL1").Mule(guard.Payment{Amount: 30, PayersIn1h: 5, InLast1h: 100, OutLast1h: 50}), true},
		{"MUL1 with 4 payers", rule("MUL1").Mule(guard.Payment{Amount: 30, PayersIn1h: 4, InLast1h: 100, OutLast1h: 50}), false},
		{"MUL1 with less out", rule("MUL1").Mule(guard.Payment{Amount: 29, PayersIn1h: 5, InLast1h: 100, OutLast1h: 50}), false},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", c.rule, c.got, c.want)
		}
	}
}

// The ranges hold exactly the amounts that are near a limit, each once.
func TestRangesNearLimits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sum := rapid.Int64Range(0, 400)
		l := guard.Limits{Max: sum.Draw(t, "max"), Day: sum.Draw(t, "day"), FirstMax: sum.Draw(t, "first")}
		ranges := rule("STR1").NearRanges(l)
		for amount := range int64(401) {
			in := 0
			for _, r := range ranges {
				if r[0] <= amount && amount <= r[1] {
					in++
				}
			}
			want := 0
			if rule("STR1").NearLimit(l, amount) && amount > 0 {
				want = 1
			}
			if amount > 0 && in != want {
				t.Fatalf("%d lies in %d of %v of %+v; want %d", amount, in, ranges, l, want)
			}
		}
	})
}

// The table of the specification, and what each rule does in it from when on.
func TestTheTable(t *testing.T) {
	begun := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	firstDay := []string{"VEL2", "NEW1", "NEW2", "BUR1", "DRA1", "COD1", "DOR1", "ADM1", "ADM2", "ADM3", "LOO1", "REQ1", "SUB1", "INT1"}
	if n := len(guard.Rules()); n != 25 {
		t.Errorf("%d rules, want 25", n)
	}
	for _, r := range guard.Rules() {
		if err := r.Default().Check(r.ID); r.FirstDay != slices.Contains(firstDay, r.ID) || err != nil && !settled(r) {
			t.Errorf("%s: first day %v, default %v", r.ID, r.FirstDay, err)
		}
		for mode, days := range map[guard.Mode][2]bool{ // does it act on day 13, on day 14?
			guard.Always: {true, true}, guard.InWeeks: {r.FirstDay, true}, guard.Never: {r.FirstDay, r.FirstDay},
		} {
			for n, acts := range days {
				c := guard.Circumstances{Mode: mode, Begun: begun, Now: begun.AddDate(0, 0, 13+n)}
				want := guard.Log
				if acts {
					want = r.Act
				}
				if got := c.Ruling(r.ID).Act; got != want {
					t.Errorf("%s in mode %d, %d days after the beginning: %v, want %v", r.ID, mode, 13+n, got, want)
				}
			}
		}
	}
}

// settled reports whether all thresholds of a rule are settings.
func settled(r guard.Rule) bool {
	return !slices.ContainsFunc(r.At, func(t guard.Threshold) bool { return t.Setting == "" })
}

// Where no code is ever asked for, rules that would ask only log.
func TestWithoutCodesRulesLog(t *testing.T) {
	c := guard.Circumstances{Unasked: true}
	for id, want := range map[string]guard.Act{
		"NEW1": guard.Log, "DRA1": guard.Log, "NGT1": guard.Log, "VEL1": guard.Hold, "STR1": guard.Warn, "DOR1": guard.Ask, "COD2": guard.Ask,
	} {
		if got := c.Ruling(id).Act; got != want {
			t.Errorf("%s: %v, want %v", id, got, want)
		}
	}
}

// A decree that a rule cannot follow is refused, and one that a later version of
// the program wrote counts as the table.
func TestDecrees(t *testing.T) {
	for _, c := range []struct {
		id string
		d  guard.Decree
		ok bool
	}{
		{"VEL1", guard.Decree{Act: guard.Log, At: []int64{20, 10}}, true},
		{"VEL1", guard.Decree{Act: guard.Log, At: []int64{20}}, false},
		{"VEL1", guard.Decree{Act: guard.Log, At: []int64{0, 10}}, false},
		{"VEL1", guard.Decree{Act: guard.Log, At: []int64{5, 1441}}, false},
		{"INT1", guard.Decree{Act: guard.Off}, false},
		{"COD1", guard.Decree{Act: guard.Log, At: []int64{3}}, false},
		{"XXX1", guard.Decree{Act: guard.Log}, false},
	} {
		err := c.d.Check(c.id)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, guard.ErrRule) {
			t.Errorf("%s as %v: %v", c.id, c.d, err)
		}
		text, err := guard.Decrees{c.id: c.d}.Text()
		if err != nil {
			t.Fatal(err)
		}
		read, err := guard.ParseDecrees(text)
		if err != nil {
			t.Fatal(err)
		}
		r, known := guard.RuleOf(c.id)
		if !known {
			continue
		}
		want := r.Default()
		if c.ok {
			want = c.d
		}
		if got := read.Of(r); got.String() != want.String() {
			t.Errorf("%s kept as %s: %v, want %v", c.id, text, got, want)
		}
	}
}

func TestRulesOfTheHouse(t *testing.T) {
	days := func(n ...int) []int { return n }
	quiet := make([]int, guard.HistoryNeeded())
	for i := range quiet {
		quiet[i] = 30
	}
	apart := func(n int, d time.Duration) (all []time.Duration) {
		for range n {
			all = append(all, d)
		}
		return append(all, 0)
	}
	astray := func(all []time.Duration) bool { _, is := rule("CLK1").Astray(all); return is }
	morning := guard.Habit{Silent: 31 * 24 * time.Hour, Language: "fr", Wrote: "fr", Hour: 9}
	morning.Hours[9], morning.Hours[10] = 4, 2
	evening, english, soon, few := morning, morning, morning, morning
	evening.Hour, english.Wrote = 22, "en"
	soon.Hour, soon.Silent = 22, 29*24*time.Hour
	few.Hour, few.Hours = 22, [24]int{9: 4}
	for _, c := range []struct {
		rule      string
		got, want bool
	}{
		{"SMS1 more than twice the usual", rule("SMS1").Flood(guard.Post{LastHour: 61, Days: quiet}), true},
		{"SMS1 just twice", rule("SMS1").Flood(guard.Post{LastHour: 60, Days: quiet}), false},
		{"SMS1 just 50", rule("SMS1").Flood(guard.Post{LastHour: 50, Days: make([]int, 14)}), false},
		{"SMS1 51 where there is usually nothing", rule("SMS1").Flood(guard.Post{LastHour: 51, Days: make([]int, 14)}), true},
		{"SMS1 13 days of history", rule("SMS1").Flood(guard.Post{LastHour: 500, Days: quiet[:13]}), false},
		{"SMS1 no history", rule("SMS1").Flood(guard.Post{LastHour: 500, Days: days()}), false},
		{"DUP1 6 of 100", rule("DUP1").Repeats(100, 6), true},
		{"DUP1 5 of 100", rule("DUP1").Repeats(100, 5), false},
		{"DUP1 2 of 20", rule("DUP1").Repeats(20, 2), true},
		{"DUP1 all of 19", rule("DUP1").Repeats(19, 19), false},
		{"CLK1 six of ten by 6 minutes", astray(append(apart(6, 6*time.Minute), 0, 0, 0)), true},
		{"CLK1 behind", astray(append(apart(6, -6*time.Minute), 0, 0, 0)), true},
		{"CLK1 four of ten", astray(append(apart(4, time.Hour), 0, 0, 0, 0, 0)), false},
		{"CLK1 by 5 minutes", astray(apart(9, 5*time.Minute)), false},
		{"CLK1 nine SMS", astray(apart(8, time.Hour)), false},
		{"SIM1 as ever", rule("SIM1").Changed(morning), false},
		{"SIM1 in the evening", rule("SIM1").Changed(evening), true},
		{"SIM1 in English", rule("SIM1").Changed(english), true},
		{"SIM1 after 29 days", rule("SIM1").Changed(soon), false},
		{"SIM1 without habits", rule("SIM1").Changed(few), false},
		{"ADM2 at 22:00", rule("ADM2").NightCredit(22), true},
		{"ADM2 at 06:59", rule("ADM2").NightCredit(6), true},
		{"ADM2 at 07:00", rule("ADM2").NightCredit(7), false},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", c.rule, c.got, c.want)
		}
	}
}

// moves is a list of payments from account to account, a minute apart.
func moves(pairs ...[2]int64) []guard.Move {
	begun := time.Date(2026, 3, 28, 10, 0, 0, 0, time.UTC)
	all := make([]guard.Move, len(pairs))
	for n, p := range pairs {
		all[n] = guard.Move{ID: int64(n + 1), From: p[0], To: p[1], Amount: 101, At: begun.Add(time.Duration(n) * time.Minute)}
	}
	return all
}

// loop asks CIR1 about the last of some moves, and returns the IDs of the loop.
func loop(t *testing.T, all []guard.Move) []int64 {
	t.Helper()
	found, err := rule("CIR1").Loop(all[len(all)-1], 1, func(account int64) (in []guard.Move, err error) {
		for _, m := range all {
			if m.To == account {
				in = append(in, m)
			}
		}
		return in, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var ids []int64
	for _, m := range found {
		ids = append(ids, m.ID)
	}
	return ids
}

func TestLoops(t *testing.T) {
	late := moves([2]int64{1, 2}, [2]int64{2, 1})
	late[1].At = late[0].At.Add(24*time.Hour + time.Second)
	small := moves([2]int64{1, 2}, [2]int64{2, 1})
	small[0].Amount = 100
	for _, c := range []struct {
		what string
		all  []guard.Move
		want []int64
	}{
		{"there and back", moves([2]int64{1, 2}, [2]int64{2, 1}), []int64{1, 2}},
		{"four steps", moves([2]int64{1, 2}, [2]int64{7, 8}, [2]int64{2, 3}, [2]int64{3, 4}, [2]int64{4, 1}), []int64{1, 3, 4, 5}},
		{"five steps", moves([2]int64{1, 2}, [2]int64{2, 3}, [2]int64{3, 4}, [2]int64{4, 5}, [2]int64{5, 1}), nil},
		{"in the wrong order", moves([2]int64{2, 3}, [2]int64{1, 2}, [2]int64{3, 1}), nil},
		{"after a day", late, nil},
		{"of 100", small, nil},
		{"no loop", moves([2]int64{1, 2}, [2]int64{2, 3}), nil},
	} {
		if got := loop(t, c.all); !slices.Equal(got, c.want) {
			t.Errorf("%s: the loop is %v, want %v", c.what, got, c.want)
		}
	}
}

// What is called a loop is one: payments one after another, each from where the
// one before went, back to where it began.
func TestLoopsAreLoops(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		account := rapid.Int64Range(1, 5)
		var pairs [][2]int64
		for range rapid.IntRange(1, 12).Draw(rt, "payments") {
			pairs = append(pairs, [2]int64{account.Draw(rt, "from"), account.Draw(rt, "to")})
		}
		all := moves(pairs...)
		ids := loop(t, all)
		if len(ids) == 0 {
			return
		}
		if len(ids) < 2 || len(ids) > 4 || !slices.IsSorted(ids) || ids[len(ids)-1] != all[len(all)-1].ID {
			rt.Fatalf("loop %v of %v", ids, pairs)
		}
		for n, id := range ids {
			if next := all[ids[(n+1)%len(ids)]-1]; all[id-1].To != next.From {
				rt.Fatalf("loop %v of %v does not close at %d", ids, pairs, id)
			}
		}
	})
}
