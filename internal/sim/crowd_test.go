package sim_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"maillon/internal/sim"
	"maillon/internal/sms"
	"maillon/internal/story"
)

// How much the crowd writes.
const (
	crowds  = 6
	texts   = 200
	look    = 10                 // texts between two looks at the books
	longest = 3 * 24 * time.Hour // between two texts
)

// What people write, with places to fill.
var written = []string{
	"solde", "combien", "balance", "histo", "histo 2", "caisse", "caisse 27/03", "aide", "aide vir", "aide demande", "?", "merci", "👍", "",
	"vir N @P", "vir N @P memo", "vir N T", "pay N @P", "vir=N num=T", "N @P", "vir N @nobody", "vir N @len", "vir 1,5 @P", "vir 1.000 @P", "vir 5O @P", "vir 0 T",
	"demande N @P", "ask N @P why", "oui", "C", "C", "C", "oui C", "non", "non R", "annule", "annule R", "rends R", "verif R", "verif Z9Z9", "123456",
	"pseudo W", "W", "mot tulipe", "mot x", "langue en", "langue fr", "langue br", "bloque @P", "debloque @P", "stop", "reprendre", "fermer",
	"vol", "perdu", "perdu @P", "perdu @P 1234", "carte 1234", "carte 7304", "perdu @lena 7304", "perdu @yann 7304", "credite N @P motif", "credite N T motif", "credite N @P", "gele @P", "degele @P", "pause", "etat",
	"vir N @P http://x.example 482913", "bon 20", "nonsense of three words", "\u202e\x00", strings.Repeat("vir 5 @yann ", 100),
}

var (
	anyCode = regexp.MustCompile(`\b[0-9]{3} [0-9]{3}\b`)
	anyRef  = regexp.MustCompile(`\b[A-Z][1-9][A-Z][1-9]\b`)
)

// A crowd writes to a server what comes to its mind.
type crowd struct {
	chance *rand.Rand
	server story.Server
	phones []string
	codes  map[string]string // the last one that each phone read
	refs   []string
	log    *faults
}

func (c *crowd) pick(of []string) string { return of[c.chance.IntN(len(of))] }

// text is what a phone writes next.
func (c *crowd) text(phone string) string {
	text := c.pick(written)
	ref := "K7F2"
	if len(c.refs) > 0 {
		ref = c.refs[len(c.refs)-1-c.chance.IntN(min(8, len(c.refs)))]
	}
	for _, place := range [][2]string{
		{"@P", "@" + c.pick(c.phones)},
		{"T", story.Phones()[c.pick(c.phones)].National()},
		{"N", fmt.Sprint(1 + c.chance.IntN(60))},
		{"C", c.codes[phone]},
		{"R", ref},
		{"W", c.pick([]string{"zoe", "gaston", "1ena", "ab", "solde", "yann"})},
	} {
		text = strings.Replace(text, place[0], place[1], 1)
	}
	return text
}

// act is what an administrator does next on the page.
func (c *crowd) act() story.Deed {
	ref := "K7F2"
	if len(c.refs) > 0 {
		ref = c.pick(c.refs)
	}
	who, why := c.pick(c.phones), map[string]string{"motif": "parce que"}
	number := story.Phones()[c.pick(c.phones)].E164()
	acts := []story.Act{
		{Name: "credit", Args: []string{who, "20"}, Attributes: why},
		{Name: "reverse", Args: []string{ref}, Attributes: why},
		{Name: "dispute", Args: []string{ref, "return"}},
		{Name: "dispute", Args: []string{ref, "keep"}},
		{Name: "release", Args: []string{ref}},
		{Name: "reject", Args: []string{ref}},
		{Name: "freeze", Args: []string{who}},
		{Name: "unfreeze", Args: []string{who}},
		{Name: "unfreeze", Args: []string{who}},
		{Name: "renumber", Args: []string{who, number}},
		{Name: "pause"},
		{Name: "resume"},
		{Name: "resume"},
		{Name: "resume"},
	}
	return story.Deed{Who: c.pick(story.Administrators()), Act: acts[c.chance.IntN(len(acts))]}
}

// read checks what was sent and remembers what it says.
func (c *crowd) read(ctx context.Context) error {
	sent, moved, err := c.server.News(ctx)
	if err != nil {
		return err
	}
	for _, m := range sent {
		if _, n := sms.Segments(m.Text); n != 1 || sms.AlphabetOf(m.Text) != sms.GSM7 || m.Phone == "" {
			return fmt.Errorf("to %q: not one SMS in GSM-7: %q", m.Phone, m.Text)
		}
		if code := anyCode.FindString(m.Text); code != "" {
			c.codes[m.Phone] = code
		}
		c.refs = append(c.refs, anyRef.FindAllString(m.Text, -1)...)
	}
	for _, m := range moved {
		if m.From == "" || m.To == "" || m.Amount <= 0 {
			return fmt.Errorf("a transfer of %d from %q to %q", m.Amount, m.From, m.To)
		}
	}
	if n := c.log.n.Load(); n > 0 {
		return fmt.Errorf("%d errors were logged", n)
	}
	return nil
}

// live lets the crowd write for a while.
func (c *crowd) live(ctx context.Context) error {
	for n := range texts {
		time.Sleep(20 * time.Second)
		if c.chance.IntN(8) == 0 {
			time.Sleep(time.Duration(c.chance.Int64N(int64(longest))))
		}
		var what string
		var err error
		if c.chance.IntN(10) == 0 {
			d := c.act()
			what, err = fmt.Sprint(d), c.server.Do(ctx, d)
		} else {
			phone := c.pick(c.phones)
			what = c.text(phone)
			err = c.server.Deliver(ctx, phone, time.Now(), what)
		}
		if err == nil {
			synctest.Wait()
			err = c.read(ctx)
		}
		if err == nil && n%look == 0 {
			err = c.server.Check(ctx)
		}
		if err != nil {
			return fmt.Errorf("step %d, %q: %w", n, what, err)
		}
	}
	return errors.Join(c.server.Check(ctx), c.server.Replay(ctx))
}

// faults counts what a server logs as an error.
type faults struct {
	slog.Handler
	n atomic.Int64
}

func (f *faults) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		f.n.Add(1)
	}
	return f.Handler.Handle(ctx, r)
}

// Whatever people and administrators do, in any order: the books hold, every
// answer is one SMS, and nothing is put aside.
func TestACrowdBreaksNothing(t *testing.T) {
	before := slog.Default()
	defer slog.SetDefault(before)
	for seed := range uint64(crowds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			cryptotest.SetGlobalRandom(t, seed)
			c := &crowd{chance: rand.New(rand.NewPCG(seed, 1)), codes: map[string]string{}} //nolint:gosec // not for secrets
			c.log = &faults{Handler: slog.NewTextHandler(t.Output(), nil)}
			slog.SetDefault(slog.New(c.log))
			set := map[string]string{"confirm": []string{"always", "off", "above:30"}[seed%3]}
			synctest.Test(t, func(t *testing.T) { c.begin(t, set) })
		})
	}
}

func (c *crowd) begin(t *testing.T, set map[string]string) {
	setup := story.Setup{
		Settings: set, At: time.Date(2026, 3, 27, 12, 0, 0, 0, time.UTC), New: []string{"gwen"},
		Cards: map[string]map[string]string{"lena": {"B3": "7304"}, "yann": {"A1": "7304", "A2": "7304"}},
	}
	time.Sleep(time.Until(setup.At))
	for _, name := range []string{"yann", "lena", "gwen", "soazig", "atelier"} {
		setup.Given = append(setup.Given, story.Balance{Account: name, Amount: 200})
		c.phones = append(c.phones, name)
	}
	setup.Given = append(setup.Given, story.Balance{Account: story.Emission, Amount: -1000})
	c.phones = append(c.phones, "malo", "inconnu1", "annaig", "treso", "lena2")
	var err error
	if c.server, err = sim.OpenStory(t.Context(), setup); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.server.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := c.live(t.Context()); err != nil {
		t.Error(err)
	}
}
