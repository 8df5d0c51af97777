package story_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"maillon/internal/story"
)

func TestAConversationThatIsWordForWordHolds(t *testing.T) {
	holds(t, head+paid, faults{})
}

func TestATestPlaysAFileWithChanceFixed(t *testing.T) {
	file := filepath.Join("testdata", "bank.sms")
	var first, again []string
	into := func(texts *[]string) faults {
		return faults{send: func(m story.Sent) []story.Sent { *texts = append(*texts, m.Text); return []story.Sent{m} }}
	}
	t.Run("first", func(t *testing.T) { story.Test(t, file, into(&first).open) })
	t.Run("again", func(t *testing.T) { story.Test(t, file, into(&again).open) })
	if len(first) == 0 || !slices.Equal(first, again) {
		t.Errorf("played twice it drew\n%q\n%q", first, again)
	}
}

func TestOneAlteredDigitIsRefusedAtItsLine(t *testing.T) {
	for _, c := range []struct {
		was, is   string
		line      int
		want, got string
	}{
		{
			"vous a payé 20", "vous a payé 21", 10,
			"<lena yann vous a payé 21 m. Réf F1G2", "<lena yann vous a payé 20 m. Réf F1G2",
		},
		{
			"<yann Payer 20", "<yann Payer 25", 6,
			"<yann Payer 25 m à lena ? Répondre 556 030. Réf F1G2", "<yann Payer 20 m à lena ? Répondre 556 030. Réf F1G2",
		},
		{"~ yann lena 20", "~ yann lena 2", 8, "~ yann lena 2 F1G2", "~ yann lena 20 F1G2"},
		{"lena=20", "lena=21", 11, "= lena=21", "= lena=20"},
		{
			"ANNULE F1G2", "ANNULE F1G3", 9,
			"<yann Payé: 20 m. Réf F1G2. Erreur ? ANNULE F1G3", "<yann Payé: 20 m. Réf F1G2. Erreur ? ANNULE F1G2",
		},
	} {
		text := strings.Replace(head+paid, c.was, c.is, 1)
		if text == head+paid {
			t.Fatalf("%q is not in the story", c.was)
		}
		differs(t, text, faults{}, c.line, c.want, c.got)
	}
}

func TestADifferenceIsShownInThreeLines(t *testing.T) {
	err := play(t, head+">yann solde\n<yann Solde: 10 m.\n", faults{})
	want := "t.sms:6:\n  - <yann Solde: 10 m.\n  + <yann Solde: 100 m."
	if err == nil || err.Error() != want {
		t.Errorf("shown as %v, want %s", err, want)
	}
}

func TestSilenceIsAPromiseToo(t *testing.T) {
	differs(t, head+">yann merci\n<yann De rien.\n", faults{}, 6, "<yann De rien.", "")
	differs(t, head+">yann solde\n>yann merci\n", faults{}, 5, "", "<yann Solde: 100 m.")
	twice := faults{send: func(m story.Sent) []story.Sent { return []story.Sent{m, m} }}
	differs(t, head+">yann solde\n<yann Solde: 100 m.\n", twice, 5, "", "<yann Solde: 100 m.")
	err := play(t, head+">yann merci\n<yann De rien.\n", faults{})
	if err == nil || !strings.HasSuffix(err.Error(), "\n  - <yann De rien.\n  + (nothing)") {
		t.Errorf("a missing SMS is shown as %v", err)
	}
}

func TestAllTransfersAreExpected(t *testing.T) {
	text := strings.Replace(head+paid, "~ yann lena 20 F1G2\n", "", 1)
	differs(t, text, faults{}, 7, "", `~ yann lena 20 F1G2 note="bonne foi"`)
	never := faults{move: func(story.Moved) []story.Moved { return nil }}
	differs(t, head+paid, never, 8, "~ yann lena 20 F1G2", "")
	double := faults{move: func(m story.Moved) []story.Moved { return []story.Moved{m, m} }}
	differs(t, head+paid, double, 7, "", `~ yann lena 20 F1G2 note="bonne foi"`)
}

func TestOnlyTheAttributesThatAreWrittenAreCompared(t *testing.T) {
	with := func(attributes string) string {
		return strings.Replace(head+paid, "~ yann lena 20 F1G2", "~ yann lena 20 F1G2 "+attributes, 1)
	}
	holds(t, with(`note="bonne foi"`), faults{})
	differs(t, with(`note="foi"`), faults{}, 8, `~ yann lena 20 F1G2 note="foi"`, `~ yann lena 20 F1G2 note="bonne foi"`)
	differs(t, with(`via=F3G4`), faults{}, 8, "~ yann lena 20 F1G2 via=F3G4", "~ yann lena 20 F1G2")
	reversed := faults{move: func(m story.Moved) []story.Moved {
		m.Attributes = map[string]string{"reverses": m.Ref}
		return []story.Moved{m}
	}}
	holds(t, with(`reverses=F1G2`), reversed)
	differs(t, with(`reverses=F3G4`), reversed, 8, "~ yann lena 20 F1G2 reverses=F3G4", "~ yann lena 20 F1G2 reverses=F1G2")
}

func TestOrderMattersToOnePhoneOnly(t *testing.T) {
	lines := strings.SplitAfter(paid, "\n")
	lines[4], lines[5] = lines[5], lines[4]
	holds(t, head+strings.Join(lines, ""), faults{})
	more := faults{send: func(m story.Sent) []story.Sent { return []story.Sent{{Phone: m.Phone, Text: "Bonjour."}, m} }}
	differs(t, head+">yann solde\n<yann Solde: 100 m.\n<yann Bonjour.\n", more, 6, "<yann Solde: 100 m.", "<yann Bonjour.")
}

func TestWhatIsSentIsOneSMS(t *testing.T) {
	for name, tail := range map[string]string{"long": strings.Repeat("a", 160), "foreign": "forêt"} {
		bad := faults{send: func(m story.Sent) []story.Sent { m.Text += tail; return []story.Sent{m} }}
		err := play(t, head+">yann solde\n<yann Solde: 100 m."+tail+"\n", bad)
		if err == nil || !strings.HasPrefix(err.Error(), "t.sms:6: an SMS was sent with ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAReferenceHasItsShape(t *testing.T) {
	for ref, ok := range map[string]bool{
		"K7F2": true, "Z9Z9": true, "K7F2M": true,
		"K0F2": false, "I7F2": false, "K7O2": false, "k7f2": false, "K7F22": false, "77F2": false, "K7F2MM": false,
	} {
		f := faults{refs: []string{ref}}
		if ok {
			holds(t, head+paid, f)
			continue
		}
		if d, ok := errors.AsType[*story.Diff](play(t, head+paid, f)); !ok || d.Line != 6 || !strings.HasSuffix(d.Got, " "+ref) {
			t.Errorf("the reference %s makes the difference %v, want one at line 6 that shows it", ref, d)
		}
	}
}

func TestACodeHasItsShape(t *testing.T) {
	for _, code := range []string{"55603", "556030", "556 03", "5560 30", "556 03O"} {
		if err := play(t, head+paid, faults{codes: []string{code}}); err == nil {
			t.Errorf("the code %s passed", code)
		}
	}
}

// again asks twice, the second time for a new code and reference.
const again = head + `>yann vir 20 @lena
<yann Payer 20 m à lena ? Répondre 556 030. Réf F1G2
>yann vir 20 @lena
<yann Payer 20 m à lena ? Répondre 118 642. Réf F3G4
`

func TestTwoNamesNeverShareAValue(t *testing.T) {
	holds(t, again, faults{})
	const second = "<yann Payer 20 m à lena ? Répondre 118 642. Réf F3G4"
	differs(t, again, faults{codes: []string{"111 111", "111 111"}}, 8,
		second, "<yann Payer 20 m à lena ? Répondre 556 030. Réf F3G4")
	differs(t, again, faults{refs: []string{"A1A1", "A1A1"}}, 8,
		second, "<yann Payer 20 m à lena ? Répondre 118 642. Réf F1G2")
}

func TestANameKeepsItsValue(t *testing.T) {
	same := strings.ReplaceAll(strings.ReplaceAll(again, "118 642", "556 030"), "F3G4", "F1G2")
	const second = "<yann Payer 20 m à lena ? Répondre 556 030. Réf F1G2"
	holds(t, same, faults{codes: []string{"111 111", "111 111"}, refs: []string{"A1A1", "A1A1"}})
	differs(t, same, faults{codes: []string{"111 111", "111 112"}, refs: []string{"A1A1", "A1A1"}}, 8,
		second, "<yann Payer 20 m à lena ? Répondre 111 112. Réf F1G2")
}

func TestOneLineDoesNotBindANameTwice(t *testing.T) {
	two := faults{send: func(m story.Sent) []story.Sent {
		m.Text = "Réf A1A1. ANNULE B1B1"
		return []story.Sent{m}
	}}
	differs(t, head+">yann solde\n<yann Réf K7F2. ANNULE K7F2\n", two, 6,
		"<yann Réf K7F2. ANNULE K7F2", "<yann Réf K7F2. ANNULE B1B1")
}

// told returns the texts that the server was given.
func told(t *testing.T, text string, f faults) []string {
	t.Helper()
	var all []string
	f.deliver = func(_ string, _ time.Time, text string) { all = append(all, text) }
	holds(t, text, f)
	return all
}

func TestTheServerIsToldValuesNotNames(t *testing.T) {
	got := told(t, head+paid+`>yann merci 556 030, 556030 pour F1G2 et f1g2, pas F1G22 ni 5560301
>yann verif F1G2
<yann VRAI. Réf F1G2
`, faults{codes: []string{"123 456"}, refs: []string{"A1A1"}})
	want := []string{"vir 20 @lena", "123456", "merci 123 456, 123456 pour A1A1 et a1a1, pas F1G22 ni 5560301", "verif A1A1"}
	if !slices.Equal(got, want) {
		t.Errorf("the server was told %q, want %q", got, want)
	}
}

func TestAGuessStandsForItself(t *testing.T) {
	text := head + `>yann verif Z9Z9
<yann INCONNU. Réf Z9Z9
>yann 519045
>yann vir 1 @lena
<yann Payer 1 m à lena ? Répondre 519 046. Réf A1A1
>yann verif z9z9
<yann INCONNU. Réf Z9Z9
>yann 519 045
`
	got := told(t, text, faults{codes: []string{"111 111"}})
	want := []string{"verif Z9Z9", "519045", "vir 1 @lena", "verif z9z9", "519 045"}
	if !slices.Equal(got, want) {
		t.Errorf("the server was told %q, want %q", got, want)
	}
	differs(t, text, faults{codes: []string{"519 045"}, refs: []string{"B1B1"}}, 9,
		"<yann Payer 1 m à lena ? Répondre 519 046. Réf A1A1", "<yann Payer 1 m à lena ? Répondre 519 045. Réf A1A1")
	differs(t, text, faults{refs: []string{"Z9Z9"}}, 9,
		"<yann Payer 1 m à lena ? Répondre 519 046. Réf A1A1", "<yann Payer 1 m à lena ? Répondre 519 046. Réf Z9Z9")
}

func TestAGuessIsNotWhatTheServerDrewBefore(t *testing.T) {
	err := play(t, head+paid+">yann verif Z9Z9\n", faults{refs: []string{"Z9Z9"}})
	if err == nil || !strings.HasPrefix(err.Error(), "t.sms:12: Z9Z9 was to be nothing") {
		t.Errorf("a reference that was drawn passed for a guess: %v", err)
	}
}

func TestAPostingIsBoundAndSaysNothing(t *testing.T) {
	text := head + "@posted yann lena 30 T1U2\n= yann=70 lena=30\n>yann verif T1U2\n<yann VRAI. Réf T1U2\n"
	holds(t, text, faults{refs: []string{"B2B2"}})
	err := play(t, head+paid+"@posted yann lena 30 F1G2\n", faults{})
	if err == nil || err.Error() != "t.sms:12: F1G2 stands for something already" {
		t.Errorf("a name bound twice: %v", err)
	}
	if err := play(t, text, faults{refs: []string{"B0B2"}}); err == nil {
		t.Error("a posting's reference has no shape, and passed")
	}
}

func TestActsAreToldValuesToo(t *testing.T) {
	var got []story.Deed
	text := head + paid + "^intrus(annaig) reverse F1G2 motif=\"vol de F1G2\"\n^treso pause\n"
	holds(t, text, faults{refs: []string{"A1A1"}, deed: func(d story.Deed) { got = append(got, d) }})
	if len(got) != 2 || got[0].Who != "annaig" || !got[0].Intruder || got[0].Act.Name != "reverse" ||
		got[0].Act.Args[0] != "A1A1" || got[0].Act.Attributes["motif"] != "vol de A1A1" {
		t.Errorf("the server was told %+v", got)
	}
	if len(got) == 2 && (got[1].Who != "treso" || got[1].Intruder || got[1].Act.Name != "pause") {
		t.Errorf("the server was told %+v", got[1])
	}
}

func TestWhatHoldsAlwaysIsCheckedAfterEveryEvent(t *testing.T) {
	broken := errors.New("the sum is 1")
	for _, c := range []struct {
		f    faults
		want string
	}{
		{faults{check: broken}, "t.sms:2: the sum is 1"},
		{faults{replay: broken}, "t.sms: replay of the journal: the sum is 1"},
	} {
		if err := play(t, head+paid, c.f); !errors.Is(err, broken) || err.Error() != c.want {
			t.Errorf("played with %v, want %s", err, c.want)
		}
	}
}

func TestEventsHappenAtTheirMoment(t *testing.T) {
	type delivery struct{ at, sent time.Time }
	var got []delivery
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	var opened time.Time
	holds(t, head+`>yann merci
>yann {sent=14:00:05} merci
>yann {dup spoofed} merci
>yann {sent=14:00:05 dup stolen-phone} merci
@posted yann lena 10 T1U1
@clock 2026-03-28 14:05:30
>yann merci
@clock 2026-03-30 15:05:30
>yann merci
`, faults{
		opened:  func(story.Setup) { opened = time.Now() },
		deliver: func(_ string, sent time.Time, _ string) { got = append(got, delivery{time.Now(), sent}) },
	})
	start := time.Date(2026, 3, 28, 14, 0, 0, 0, paris)
	if !opened.Equal(start) {
		t.Errorf("opened at %v, want %v", opened, start)
	}
	after := func(d time.Duration) time.Time { return start.Add(d) }
	want := []delivery{
		{after(20 * time.Second), after(20 * time.Second)},
		{after(40 * time.Second), after(5 * time.Second)},
		{after(60 * time.Second), after(5 * time.Second)},
		{after(80 * time.Second), after(5 * time.Second)},
		{after(350 * time.Second), after(350 * time.Second)},
		// The night before 29 March has an hour less.
		{after(48*time.Hour + 350*time.Second), after(48*time.Hour + 350*time.Second)},
	}
	same := func(a, b delivery) bool { return a.at.Equal(b.at) && a.sent.Equal(b.sent) }
	if !slices.EqualFunc(got, want, same) {
		t.Errorf("delivered\n%v\nwant\n%v", got, want)
	}
}

func TestWhatFallsDueComesAfterTheClock(t *testing.T) {
	ask := head + ">yann vir 20 @lena\n<yann Payer 20 m à lena ? Répondre 556 030. Réf F1G2\n"
	holds(t, ask+"@clock 2026-03-28 14:10\n@clock 2026-03-28 14:10:20\n<yann Trop tard. Réf F1G2\n", faults{})
	differs(t, ask+"@clock 2026-03-28 14:10:20\n", faults{}, 7, "", "<yann Trop tard. Réf F1G2")
	var at time.Time
	holds(t, ask+"@clock 2026-03-29 14:00\n<yann Trop tard. Réf F1G2\n", faults{send: func(m story.Sent) []story.Sent {
		at = time.Now()
		return []story.Sent{m}
	}})
	if got := at.UTC().Format(time.DateTime); got != "2026-03-28 13:10:20" {
		t.Errorf("it fell due at %s UTC, want its own moment, 13:10:20", got)
	}
}
