package story_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"maillon/internal/sms"
	"maillon/internal/story"
)

var shipped = filepath.Join("..", "..", "testdata", "stories", "*.sms")

func TestEveryShippedStoryIsOne(t *testing.T) {
	files, err := filepath.Glob(shipped)
	if err != nil || len(files) < 10 {
		t.Fatalf("found %d stories: %v", len(files), err)
	}
	for _, file := range files {
		s, err := story.Load(file)
		if err != nil {
			t.Error(err)
			continue
		}
		if number := fmt.Sprintf("%02d-", s.Number); !strings.HasPrefix(filepath.Base(file), number) {
			t.Errorf("%s has the number %d", file, s.Number)
		}
	}
}

func TestAStoryIsReadWhole(t *testing.T) {
	s := parse(t, `# 7 HOSTILE Un essai

! dit au lecteur
@set confirm=above:20 hours="mar 14-16h"
@set unit.decimals=2
@clock 2026-03-28 14:00:05
@past 2026-03-27 yann lena 12.50
@past 2026-03-28 emission yann 1
@given yann=100.5 lena=0
@given emission=-100.50
@new lena
@card yann B3=7304 C1=0001
@seen yann 2026-01-31
@posted yann lena 1.25 K7F2
= yann=99.25
^intrus(annaig) credit lena 20 motif="atelier vélo"
~ emission lena 20 A1B2 via=K7F2 reverses=K7F2 note="bonne foi"
<lena Bonjour
`)
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 3, 28, 14, 0, 5, 0, paris)
	set := s.Setup
	if s.Number != 7 || s.Title != "HOSTILE Un essai" || !set.At.Equal(start) || s.Currency.Decimals != 2 {
		t.Errorf("read %d %q at %v with %d decimals", s.Number, s.Title, set.At, s.Currency.Decimals)
	}
	if want := map[string]string{"confirm": "above:20", "hours": "mar 14-16h", "unit.decimals": "2"}; !maps.Equal(set.Settings, want) {
		t.Errorf("settings %v, want %v", set.Settings, want)
	}
	if want := []story.Balance{{"yann", 10050}, {"lena", 0}, {"emission", -10050}}; !slices.Equal(set.Given, want) {
		t.Errorf("given %v, want %v", set.Given, want)
	}
	if len(set.Past) != 2 || set.Past[0].Amount != 1250 || set.Past[0].At.Format(time.DateTime) != "2026-03-27 12:00:00" || !set.Past[1].At.Before(start) {
		t.Errorf("past %v", set.Past)
	}
	if !slices.Equal(set.New, []string{"lena"}) || set.Seen["yann"].Format(time.DateOnly) != "2026-01-31" || set.Cards["yann"]["C1"] != "0001" {
		t.Errorf("new %v, seen %v, cards %v", set.New, set.Seen, set.Cards)
	}
	if len(s.Events) != 3 || s.Events[0].Do != nil || s.Events[1].Line != 14 || !s.Events[1].At.Equal(start) || !s.Events[2].At.Equal(start.Add(story.Step)) {
		t.Fatalf("events %+v", s.Events)
	}
	if got, want := s.Events[1].Do, (story.Posting{From: "yann", To: "lena", Amount: 125, Ref: "K7F2"}); got != want {
		t.Errorf("read %+v, want %+v", got, want)
	}
	if moved, ok := s.Events[2].Expect[0].Want.(story.Moved); !ok || moved.Amount != 2000 || moved.Attributes["note"] != "bonne foi" || moved.Attributes["via"] != "K7F2" {
		t.Errorf("expected %+v", s.Events[2].Expect[0])
	}
}

func TestPhonesAreOfTheRangeForFiction(t *testing.T) {
	seen := map[sms.Number]bool{story.ServerNumber(): true}
	for name, number := range story.Phones() {
		if !strings.HasPrefix(number.National(), "063998") || seen[number] {
			t.Errorf("%s has a number that is not his", name)
		}
		seen[number] = true
	}
	if len(seen) != 17 {
		t.Errorf("%d numbers, want 16 phones and the server", len(seen))
	}
	for _, name := range story.Administrators() {
		if _, ok := story.Phones()[name]; !ok {
			t.Errorf("%s has no phone", name)
		}
	}
}

func TestAWrongStoryDoesNotStart(t *testing.T) {
	const title, clock = "# 1 T\n", "# 1 T\n@clock 2026-03-28 14:00\n"
	const given = clock + "@given yann=10 emission=-10\n"
	const yann = given + ">yann solde\n"
	for _, c := range []struct {
		text string
		line int
		says string
	}{
		{"", 1, "first line"},
		{"\n# 1 T\n", 1, "first line"},
		{"! x\n# 1 T\n", 1, "first line"},
		{"#1 T\n", 1, "first line"},
		{"# 1\n", 1, "first line"},
		{"# x T\n", 1, "first line"},
		{"# 0 T\n", 1, "first line"},
		{"\ufeff# 1 T\n", 1, "first line"},
		{title, 1, "no @clock"},
		{title + title, 2, "one title"},
		{clock + "!\tx\n", 3, "tab"},
		{clock + "! x \n", 3, "space at the end"},
		{clock + "! x\r\n", 3, "LF alone"},
		{clock + "! \xff\n", 3, "UTF-8"},
		{clock + "! \x00\n", 3, "control character"},
		{clock + "! x", 3, "not ended"},
		{clock + "?yann\n", 3, "begins with one of"},
		{clock + "yann\n", 3, "begins with one of"},
		{clock + " >yann solde\n", 3, "begins with one of"},

		{title + "@stop x\n", 2, "@stop: unknown word"},
		{title + "@\n", 2, "unknown word"},
		{title + "@set\n", 2, "one space"},
		{title + "@set maximum=3\n", 2, "no such setting"},
		{title + "@set max=many\n", 2, "whole number"},
		{title + "@set max=3 max=4\n", 2, "twice"},
		{title + "@set max=3\n@set max=4\n", 3, "twice"},
		{title + "@set max\n", 2, "not key=value"},
		{title + "@set =3\n", 2, "not key=value"},
		{title + "@set max=\n", 2, "missing"},
		{title + "@set hours=\"a b\n", 2, "not closed"},
		{title + "@set hours=a\"b c\"\n", 2, "out of place"},
		{title + "@set max=3  day=4\n", 2, "one space"},
		{clock + "@set max=3\n", 3, "out of order"},
		{title + "@given yann=0\n", 2, "out of order"},
		{title + "@new yann\n", 2, "out of order"},
		{title + "@past 2026-03-01 yann lena 1\n", 2, "out of order"},
		{title + "@card yann A1=0000\n", 2, "out of order"},
		{title + "@seen yann 2026-03-01\n", 2, "out of order"},
		{title + ">yann solde\n", 2, "first @clock"},
		{title + "^annaig pause\n", 2, "first @clock"},
		{title + "@posted yann lena 1 K7F2\n", 2, "first @clock"},
		{yann + "@given lena=0\n", 5, "out of order"},
		{yann + "@new yann\n", 5, "out of order"},
		{clock + "@clock 2026-03-28 14:01\n@given yann=0\n", 4, "out of order"},

		{title + "@clock 2026-03-28\n", 2, "not YYYY-MM-DD HH:MM"},
		{title + "@clock 2026-3-28 14:00\n", 2, "not YYYY-MM-DD HH:MM"},
		{title + "@clock 2026-03-28 4:00\n", 2, "not YYYY-MM-DD HH:MM"},
		{title + "@clock 2026-03-28 14:00:00.5\n", 2, "not YYYY-MM-DD HH:MM"},
		{title + "@clock 2026-02-29 14:00\n", 2, "not YYYY-MM-DD HH:MM"},
		{title + "@clock 1999-03-28 14:00\n", 2, "a year from"},
		{title + "@clock 2026-03-29 02:30\n", 2, "clocks skip"},
		{clock + "@clock 2026-03-28 13:59:59\n", 3, "goes back"},
		{yann + "@clock 2026-03-28 14:00:19\n", 5, "goes back"},

		{clock + "@given yann=10\n", 3, "sum is 10"},
		{clock + "@given yann=10\n@given emission=-9\n! x\n>yann solde\n", 4, "sum is 1,"},
		{clock + "@given yann=999999999999999 lena=1 emission=-1\n", 3, "sum is"},
		{clock + "@given paul=10 emission=-10\n", 3, `unknown account "paul"`},
		{clock + "@given yann=-10 emission=10\n", 3, "below zero"},
		{clock + "@given yann=0 yann=0\n", 3, "twice"},
		{clock + "@given yann=0\n@given yann=0\n", 4, "twice"},
		{clock + "@given yann=1.5 emission=-1.5\n", 3, "decimals"},
		{clock + "@given yann=+1 emission=-1\n", 3, "plain decimal"},
		{clock + "@given yann\n", 3, "not key=value"},
		{clock + "@given\n", 3, "one space"},
		{given + "@new lena\n", 4, "lena is not in @given"},
		{clock + "@new lena\n@given yann=0\n>yann solde\n", 3, "lena is not in @given"},
		{given + "@new pot\n", 4, "unknown phone"},
		{given + "@new yann yann\n", 4, "twice"},
		{given + "@past 2026-03-01 yann lena 1\n", 4, "lena is not in @given"},
		{given + "@past 2026-03-29 yann emission 1\n", 4, "not before the story"},
		{given + "@past 2026-03-01 yann yann 1\n", 4, "to itself"},
		{given + "@past 2026-03-01 yann emission 0\n", 4, "more than zero"},
		{given + "@past 2026-03-01 yann emission\n", 4, "is expected"},
		{given + "@past 2026-3-1 yann emission 1\n", 4, "not YYYY-MM-DD"},
		{given + "@card yann\n", 4, "has cells"},
		{given + "@card yann B3=730\n", 4, "not a cell"},
		{given + "@card yann b3=7304\n", 4, "not a cell"},
		{given + "@card yann B3=7304 B3=7304\n", 4, "twice"},
		{given + "@card yann B3=7304\n@card yann B4=7304\n", 5, "already"},
		{given + "@stall yann 7K2=5\n", 4, "not a short id"},
		{given + "@stall yann 7KQ2=0\n", 4, "not more than zero"},
		{given + "@stall yann 7KQ2\n", 4, "not key=value"},
		{given + "@stall yann 7KQ2=5\n@stall yann 3FH4=open\n", 5, "already"},
		{given + "@stall gwen\n", 4, "gwen is not in @given"},
		{given + "@card gwen B3=7304\n", 4, "gwen is not in @given"},
		{given + "@seen paul 2026-03-01\n", 4, "unknown phone"},
		{given + "@seen yann\n", 4, "is expected"},
		{given + "@seen yann 2026-03-29\n", 4, "not before the story"},
		{given + "@seen yann 2026-03-01\n@seen yann 2026-03-02\n", 5, "twice"},

		{given + "@posted yann lena 1\n", 4, "is expected"},
		{given + "@posted yann lena 1 K7F\n", 4, "not a reference"},
		{given + "@posted yann lena 0 K7F2\n", 4, "more than zero"},
		{given + "@posted yann paul 1 K7F2\n", 4, "unknown account"},

		{given + ">paul solde\n", 4, `unknown phone "paul"`},
		{given + ">emission solde\n", 4, "unknown phone"},
		{given + ">yann\n", 4, "text is missing"},
		{given + ">\n", 4, "unknown phone"},
		{given + ">yann {late} solde\n", 4, "unknown attribute"},
		{given + ">yann {} solde\n", 4, "unknown attribute"},
		{given + ">yann {spoofed=yes} solde\n", 4, "unknown attribute"},
		{given + ">yann {spoofed  dup} solde\n", 4, "unknown attribute"},
		{given + ">yann {sent} solde\n", 4, "unknown attribute"},
		{given + ">yann {spoofed spoofed} solde\n", 4, "twice"},
		{given + ">yann {spoofed}solde\n", 4, "followed by a space"},
		{given + ">yann {spoofed}\n", 4, "followed by a space"},
		{given + ">yann {sent=} solde\n", 4, "not HH:MM:SS"},
		{given + ">yann {sent=14:00} solde\n", 4, "not HH:MM:SS"},
		{given + ">yann {sent=14:00:21} solde\n", 4, "sent after the event"},
		{given + ">yann {dup} solde\n", 4, "no earlier SMS"},
		{yann + ">lena {dup} solde\n", 5, "no earlier SMS"},
		{yann + ">yann {dup} Solde\n", 5, "no earlier SMS"},
		{yann + ">yann {sent=14:00:00 dup} solde\n", 5, "no earlier SMS"},

		{given + "<yann x\n", 4, "nothing has happened"},
		{given + "~ yann lena 1 K7F2\n", 4, "nothing has happened"},
		{given + "= yann=10\n", 4, "nothing has happened"},
		{yann + "<paul x\n", 5, "unknown phone"},
		{yann + "<yann\n", 5, "text is missing"},
		{yann + "~yann lena 1 K7F2\n", 5, "a space is expected"},
		{yann + "~ yann lena 1\n", 5, "is expected"},
		{yann + "~ yann lena 1 k7f2\n", 5, "not a reference"},
		{yann + "~ yann lena 1 K7F2 what=K7F2\n", 5, "unknown attribute"},
		{yann + "~ yann lena 1 K7F2 via=Hier\n", 5, "not a reference"},
		{yann + "~ yann lena -1 K7F2\n", 5, "more than zero"},
		{yann + "=yann=10\n", 5, "a space is expected"},
		{yann + "= paul=10\n", 5, "unknown account"},
		{yann + "= yann=\n", 5, "missing"},

		{given + "^paul pause\n", 4, "unknown phone"},
		{given + "^yann pause\n", 4, "no administrator"},
		{given + "^intrus(annaig pause\n", 4, "not closed"},
		{given + "^annaig\n", 4, "one space"},
		{given + "^annaig dance\n", 4, `unknown act "dance"`},
		{given + "^annaig restore\n", 4, "unknown act"},
		{given + "^annaig restore undo\n", 4, `unknown act "restore undo"`},
		{given + "^annaig pause now\n", 4, "not key=value"},
		{given + "^annaig credit yann 5\n", 4, "motif= is missing"},
		{given + "^annaig credit yann 5 motif=\"\"\n", 4, "motif= is missing"},
		{given + "^annaig credit yann five motif=x\n", 4, "plain decimal"},
		{given + "^annaig credit paul 5 motif=x\n", 4, "unknown account"},
		{given + "^annaig credit yann\n", 4, "2 words"},
		{given + "^annaig reverse K7 motif=x\n", 4, "not a reference"},
		{given + "^annaig reverse K7F2\n", 4, "motif= is missing"},
		{given + "^annaig dispute K7F2 give\n", 4, "not one of return, keep"},
		{given + "^annaig release yann\n", 4, "not a reference"},
		{given + "^annaig freeze\n", 4, "1 words"},
		{given + "^annaig freeze pot\n", 4, "unknown phone"},
		{given + "^annaig renumber yann 0639980035\n", 4, "proof= is missing"},
		{given + "^annaig renumber yann 0639980035 proof=hope\n", 4, "not one of"},
		{given + "^annaig renumber yann 0612345678 proof=desk\n", 4, "no phone of stories"},
		{given + "^annaig renumber yann 12 proof=desk\n", 4, "not a telephone number"},
		{given + "^annaig revoke-sessions yann\n", 4, "no administrator"},
		{given + "^annaig restore preview scope=all\n", 4, "t0= is missing"},
		{given + "^annaig restore preview t0=\"2026-03-28 13:00\"\n", 4, "scope= is missing"},
		{given + "^annaig restore preview t0=\"2026-03-28 14:01\" scope=all\n", 4, "after the act"},
		{given + "^annaig restore preview t0=yesterday scope=all\n", 4, "not YYYY-MM-DD"},
		{given + "^annaig restore preview t0=\"2026-03-28 13:00\" scope=accounts\n", 4, "needs accounts="},
		{given + "^annaig restore preview t0=\"2026-03-28 13:00\" scope=all keep=yann,,lena\n", 4, "unknown account"},
		{given + "^annaig restore preview t0=\"2026-03-28 13:00\" scope=all who=me\n", 4, "unknown attribute"},
		{given + "^annaig demurrage run March\n", 4, "not a period"},
	} {
		_, err := story.Parse("t.sms", []byte(c.text))
		wrong, ok := errors.AsType[*story.SyntaxError](err)
		if !ok {
			t.Errorf("%q was read, want an error that says %q", c.text, c.says)
			continue
		}
		if wrong.File != "t.sms" || wrong.Line != c.line || !strings.Contains(wrong.Problem, c.says) {
			t.Errorf("%q is refused with %q, want line %d and %q", c.text, wrong, c.line, c.says)
		}
	}
}

func TestAnErrorNamesItsLine(t *testing.T) {
	_, err := story.Parse("dir/t.sms", []byte("# 1 T\n@clock 2026-03-28 14:00\n@given yann=10 emission=-9\n"))
	if want := "dir/t.sms:3: @given: the sum is 1, not zero"; err == nil || err.Error() != want {
		t.Errorf("refused with %v, want %s", err, want)
	}
}

func TestAHugeStoryIsRefused(t *testing.T) {
	text := []byte("# 1 T\n@clock 2026-03-28 14:00\n" + strings.Repeat("! x\n", 1<<18))
	if _, err := story.Parse("t.sms", text); err == nil {
		t.Error("a story of more than a MiB was read")
	}
}

func TestEveryActIsRead(t *testing.T) {
	for line, want := range map[string]story.Act{
		`credit yann 20 motif="atelier vélo"`:   {Name: "credit", Args: []string{"yann", "20"}, Attributes: map[string]string{"motif": "atelier vélo"}},
		`reverse K7F2 motif=vol`:                {Name: "reverse", Args: []string{"K7F2"}, Attributes: map[string]string{"motif": "vol"}},
		`dispute K7F2 return`:                   {Name: "dispute", Args: []string{"K7F2", "return"}},
		`dispute K7F2 keep`:                     {Name: "dispute", Args: []string{"K7F2", "keep"}},
		`release K7F2`:                          {Name: "release", Args: []string{"K7F2"}},
		`reject K7F2`:                           {Name: "reject", Args: []string{"K7F2"}},
		`freeze yann`:                           {Name: "freeze", Args: []string{"yann"}},
		`unfreeze yann`:                         {Name: "unfreeze", Args: []string{"yann"}},
		`renumber lena 0639980035 proof=carte`:  {Name: "renumber", Args: []string{"lena", "+33639980035"}, Attributes: map[string]string{"proof": "carte"}},
		`renumber lena lena2 proof=parrains`:    {Name: "renumber", Args: []string{"lena", "+33639980035"}, Attributes: map[string]string{"proof": "parrains"}},
		`renumber lena +33639980035 proof=desk`: {Name: "renumber", Args: []string{"lena", "+33639980035"}, Attributes: map[string]string{"proof": "desk"}},
		`pause`:                                 {Name: "pause"},
		`resume`:                                {Name: "resume"},
		`revoke-sessions annaig`:                {Name: "revoke-sessions", Args: []string{"annaig"}},
		`renew-credentials annaig`:              {Name: "renew-credentials", Args: []string{"annaig"}},
		`restore approve`:                       {Name: "restore approve"},
		`demurrage run 2026-03`:                 {Name: "demurrage run", Args: []string{"2026-03"}},
		`restore preview t0="2026-03-28 02:00" scope=tainted`: {
			Name: "restore preview", Attributes: map[string]string{"t0": "2026-03-28 02:00", "scope": "tainted"},
		},
		`restore preview t0="2026-03-28 02:00" scope=accounts accounts=yann,lena keep=pot,gwen`: {
			Name:       "restore preview",
			Attributes: map[string]string{"t0": "2026-03-28 02:00", "scope": "accounts", "accounts": "yann,lena", "keep": "pot,gwen"},
		},
	} {
		s := parse(t, "# 1 T\n@clock 2026-03-28 14:00\n^treso "+line+"\n")
		deed, ok := s.Events[1].Do.(story.Deed)
		if !ok || deed.Who != "treso" || deed.Intruder || deed.Act.Name != want.Name ||
			!slices.Equal(deed.Act.Args, want.Args) || !maps.Equal(deed.Act.Attributes, want.Attributes) {
			t.Errorf("%s is read as %+v", line, s.Events[1].Do)
		}
	}
}

func TestTheHourThatComesTwice(t *testing.T) {
	s := parse(t, `# 1 T
@clock 2026-10-25 02:30
>yann {sent=02:30:10} solde
@clock 2026-10-25 02:30:10
>yann {sent=02:30:10} solde
@clock 2026-10-25 02:40
`)
	var got []string
	for _, e := range s.Events {
		at := e.At
		if m, ok := e.Do.(story.SMS); ok {
			at = m.SentAt
		}
		got = append(got, at.UTC().Format(time.TimeOnly))
	}
	if want := []string{"00:30:00", "00:30:10", "01:30:10", "01:30:10", "01:40:00"}; !slices.Equal(got, want) {
		t.Errorf("the times are %v UTC, want %v", got, want)
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob(shipped)
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(head + paid + "^treso restore preview t0=\"2026-03-28 02:00\" scope=all\n^annaig renumber lena lena2 proof=desk\n"))
	f.Add([]byte("# 1 T\n@set hours=\"a b\"\n@clock 2026-10-25 02:30\n@card lena B3=7304\n@seen lena 2026-01-01\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := story.Parse("f.sms", text)
		if err != nil {
			if _, ok := errors.AsType[*story.SyntaxError](err); !ok {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		var sum int64
		for _, g := range s.Setup.Given {
			sum += g.Amount
		}
		if sum != 0 {
			t.Errorf("what is given sums to %d", sum)
		}
		now := s.Setup.At
		for _, e := range s.Events {
			if e.At.Before(now) {
				t.Errorf("line %d: time runs backwards", e.Line)
			}
			now = e.At
			if m, ok := e.Do.(story.SMS); ok && m.SentAt.After(e.At) {
				t.Errorf("line %d: sent after its event", e.Line)
			}
		}
	})
}
