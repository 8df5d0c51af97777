package charter_test

import (
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"maillon/internal/charter"
)

// What melts is the rate of what lies above the free base, to the nearest whole
// unit, to the even one of two that are as near.
func TestAShareIsRoundedHalfToEven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := charter.Demurrage{Rate: rapid.IntRange(0, charter.MaxRate).Draw(t, "rate")}
		balance := rapid.OneOf(rapid.Int64(), rapid.Int64Range(0, 10_000)).Draw(t, "balance")
		free := rapid.OneOf(rapid.Int64Range(0, 10_000), rapid.Int64Range(0, math.MaxInt64)).Draw(t, "free")
		got := d.Share(balance, free)
		want := new(big.Int)
		if balance > free {
			twice := new(big.Int).Mul(big.NewInt(2*int64(d.Rate)), new(big.Int).Sub(big.NewInt(balance), big.NewInt(free)))
			rest := new(big.Int)
			want.DivMod(twice, big.NewInt(20_000), rest)
			if c := rest.Cmp(big.NewInt(10_000)); c > 0 || c == 0 && want.Bit(0) == 1 {
				want.Add(want, big.NewInt(1))
			}
		}
		if want.Cmp(big.NewInt(got)) != 0 {
			t.Fatalf("of %d above %d at %d: %d melts, want %s", balance, free, d.Rate, got, want)
		}
	})
}

// Demurrage cannot run away: however often it is taken, what is left is never
// below the free base, and it ends.
func TestDemurrageDoesNotRunAway(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := charter.Demurrage{Rate: rapid.IntRange(1, charter.MaxRate).Draw(t, "rate")}
		balance := rapid.Int64Range(0, 1_000_000).Draw(t, "balance")
		free := rapid.Int64Range(0, 1000).Draw(t, "free")
		for range 1200 { // a century
			share := d.Share(balance, free)
			if share < 0 || share > 0 && balance-share < free {
				t.Fatalf("%d melts of %d, free %d", share, balance, free)
			}
			balance -= share
		}
	})
}

func TestShares(t *testing.T) {
	for _, c := range []struct {
		rate                int
		balance, free, want int64
	}{
		{200, 100, 0, 2},
		{200, 125, 0, 2},
		{200, 175, 0, 4},
		{200, 24, 0, 0},
		{200, 26, 0, 1},
		{200, 100, 100, 0},
		{200, -5, 0, 0},
		{0, 100, 0, 0},
		{charter.MaxRate, math.MaxInt64, 0, 922337203685477581},
	} {
		if got := (charter.Demurrage{Rate: c.rate}).Share(c.balance, c.free); got != c.want {
			t.Errorf("of %d above %d at %d: %d, want %d", c.balance, c.free, c.rate, got, c.want)
		}
	}
}

// A charter is read as it was written, and one that cannot be is refused with
// what is wrong.
func TestACharterIsCheckedAndRead(t *testing.T) {
	since := charter.Period{Year: 2026, Month: time.March}
	good := charter.Charter{
		Groups:    []charter.Group{{Name: "", Start: 10, Why: "bienvenue"}, {Name: "marchands", Exempt: true}},
		Reasons:   []charter.Reason{{Name: "Atelier", Words: []string{"atelier"}, Measure: "heures"}},
		Demurrage: charter.Demurrage{On: true, Rate: 150, Free: 20, Pot: "velo", Since: since},
		Pots:      []charter.Pot{{Name: "velo", Title: "vélo cargo", Goal: 400}},
		Mutual:    charter.Mutual{On: true, Soft: 20, Hard: 50},
	}
	text, err := good.Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := charter.Parse(text)
	if err != nil || back.Demurrage != good.Demurrage || back.Group("marchands") != good.Groups[1] || back.Group("nobody") != good.Groups[0] {
		t.Errorf("read back: %+v, %v", back, err)
	}
	if good.Demurrage.Percent() != "1.5" {
		t.Errorf("Percent = %s, want 1.5", good.Demurrage.Percent())
	}
	for name, spoil := range map[string]func(*charter.Charter){
		"a credit without a reason": func(c *charter.Charter) { c.Groups = []charter.Group{{Start: 5}} },
		"a group twice":             func(c *charter.Charter) { c.Groups = []charter.Group{{Name: "a"}, {Name: "a"}} },
		"a rate of 10.01 %":         func(c *charter.Charter) { c.Demurrage.Rate = charter.MaxRate + 1 },
		"a pot that is not there":   func(c *charter.Charter) { c.Demurrage.Pot = "four" },
		"a pot that has ended":      func(c *charter.Charter) { c.Pots = []charter.Pot{{Name: "velo", Title: "v", Ended: true}} },
		"no first month":            func(c *charter.Charter) { c.Demurrage.Since = charter.Period{} },
		"soft beyond hard":          func(c *charter.Charter) { c.Mutual.Soft = 60 },
		"a long name":               func(c *charter.Charter) { c.Groups = []charter.Group{{Name: strings.Repeat("x", 25)}} },
		"a pot named like a path":   func(c *charter.Charter) { c.Pots = append(c.Pots, charter.Pot{Name: "../x", Title: "x"}) },
	} {
		c, err := charter.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		spoil(&c)
		if _, err := c.Encode(); err == nil {
			t.Errorf("%s was not refused", name)
		}
	}
}

// Messages leave one after the other, so many an hour, and by day only.
func TestMessagesLeaveByDay(t *testing.T) {
	c := charter.Charter{Messages: charter.Messages{PerHour: 2}}
	s := c.Spread(time.Date(2026, 3, 28, 19, 0, 0, 0, time.UTC), time.UTC)
	for _, want := range []string{"28 19:00", "28 19:30", "29 08:00", "29 08:30"} {
		if got := s.Next().Format("02 15:04"); got != want {
			t.Errorf("leaves at %s, want %s", got, want)
		}
	}
}

// Reasons are counted by what they mean: those that the association named by
// one of their words, with the number that stands in them.
func TestReasonsAreCounted(t *testing.T) {
	c := charter.Charter{Reasons: []charter.Reason{{Name: "Atelier", Words: []string{"atelier"}, Measure: "heures"}}}
	n := c.Count(strings.ToLower)
	for _, r := range []string{"Atelier vélo 3 h", "atelier: 2,5 heures", "atelier du 28/03/2026", "Marché", "marché !", "2026 atelier"} {
		n.Add(r, 10)
	}
	got := n.Top(5)
	if len(got) != 2 || got[0].N != 4 || got[0].Sum != 40 || got[0].Tenths != 30+25 || got[1].Name != "marché" || got[1].N != 2 {
		t.Errorf("counted %+v", got)
	}
}
