package stall_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"maillon/internal/grammar"
	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/order"
	"maillon/internal/otp"
	"maillon/internal/phrase"
	"maillon/internal/privacy"
	"maillon/internal/server"
	"maillon/internal/setting"
	"maillon/internal/sms"
	"maillon/internal/stall"
	"maillon/internal/store"
	"maillon/internal/store/pgtest"
)

const (
	soazig = "+33639980056" // sells honey
	yann   = "+33639980012" // buys it
)

// A market is a server with a stall and a buyer.
type market struct {
	*testing.T
	*server.Server
	id   stall.ID
	sent int
}

func open(t *testing.T, change func(*setting.Settings)) *market {
	t.Helper()
	return openAt(t, store.Memory, change)
}

func openAt(t *testing.T, path string, change func(*setting.Settings)) *market {
	t.Helper()
	book, err := phrase.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	set := setting.Default()
	if change != nil {
		change(&set)
	}
	s, err := server.Open(t.Context(), server.Config{Path: path, Secret: store.Secret{1}, Settings: set, Book: book})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	k := &market{T: t, Server: s}
	k.id = stall.Of(k.enrol(soazig, "soazig", 0))
	k.enrol(yann, "yann", 100)
	return k
}

func (k *market) do(do func(tx *store.Tx) error) {
	k.Helper()
	if err := k.DB.Update(k.Context(), do); err != nil {
		k.Fatal(err)
	}
}

// enrol makes somebody a member with an amount, for longer than new ones are
// held to smaller sums.
func (k *market) enrol(number, nick string, amount int64) (id member.ID) {
	k.Helper()
	n, err := sms.FromE164(number)
	if err != nil {
		k.Fatal(err)
	}
	k.do(func(tx *store.Tx) error {
		m := &member.Member{State: member.Active, Number: n, Language: "fr", OpenedAt: tx.Now().AddDate(-1, 0, 0), SeenAt: tx.Now().Add(-time.Hour)}
		if err := tx.CreateMember(k.Context(), m); err != nil {
			return err
		}
		if err := tx.TakeNick(k.Context(), m, nick, time.Time{}); err != nil {
			return err
		}
		id = m.ID
		c := k.Settings.Currency()
		to, err := tx.AccountOf(k.Context(), id, c)
		if err != nil || amount == 0 {
			return err
		}
		from, err := tx.SystemAccount(k.Context(), store.Emission, c)
		if err != nil {
			return err
		}
		p, err := ledger.Transfer(from.ID, to.ID, setting.Whole(amount, c))
		if err != nil {
			return err
		}
		return ledger.Post(k.Context(), tx, &ledger.Transaction{Key: "start:" + nick, Kind: ledger.Credit, At: tx.Now(), Postings: p})
	})
	return id
}

// say sends an SMS and returns the last one that came back.
func (k *market) say(from, text string) string {
	k.Helper()
	k.sent++
	m := sms.Incoming{Gateway: "modem", Key: fmt.Sprint(k.sent), From: from, To: "+33639980001", Text: text, SentAt: time.Now()}
	if err := k.Teller.Receive(k.Context(), m); err != nil {
		k.Fatal(err)
	}
	return k.last(from)
}

func (k *market) last(to string) (text string) {
	k.Helper()
	k.do(func(tx *store.Tx) error {
		out, err := tx.Outbox(k.Context(), 0, 1000)
		for _, o := range out {
			if o.To.E164() == to {
				text = o.Text
			}
		}
		return err
	})
	return text
}

var asked = regexp.MustCompile(`répondre ([0-9]+ [0-9]+)`)

// buy sends an order and its code, and returns what the buyer reads.
func (k *market) buy(text string) string {
	k.Helper()
	question := k.say(yann, text)
	code := asked.FindStringSubmatch(question)
	if code == nil {
		k.Fatalf("no code in %q", question)
	}
	return k.say(yann, code[1])
}

func (k *market) template(n stall.NewTemplate) (t *stall.Template) {
	k.Helper()
	k.do(func(tx *store.Tx) (err error) {
		t, err = k.Stalls.AddTemplate(k.Context(), tx, "operator", k.id, n)
		return err
	})
	return t
}

// device enrols one, and returns what it learnt.
func (k *market) device(n stall.NewDevice) (d *stall.Device, e *stall.Enrolment) {
	k.Helper()
	var token string
	k.do(func(tx *store.Tx) (err error) {
		d, token, err = k.Stalls.AddDevice(k.Context(), tx, "operator", k.id, n)
		return err
	})
	e, err := k.Stalls.Enrol(k.Context(), token)
	if err != nil {
		k.Fatal(err)
	}
	return d, e
}

var proof = regexp.MustCompile(`[0-9]{2} [0-9]{6}$`)

func units(n int64) money.Amount { return setting.Whole(n, maillon) }

var maillon = func() money.Currency { s := setting.Default(); return s.Currency() }()

// Somebody with any telephone buys a pot of honey, and the stall, which has no
// network, knows it from her SMS.
func TestABuyerPaysAndTheStallKnowsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := open(t, nil)
		honey := k.template(stall.NewTemplate{Description: "Pot de miel", Amount: units(5).Minor()})
		_, e := k.device(stall.NewDevice{Description: "Téléphone du stand"})
		if !grammar.IsItem(honey.Short) || e.Stall != "soazig" || e.Algorithm != "numbered" || len(e.Templates) != 1 || e.Templates[0].ID != honey.Short {
			t.Fatalf("%+v, enrolled as %q of %q with %+v", honey, e.Algorithm, e.Stall, e.Templates)
		}
		receipt := k.buy("vir " + strings.ToLower(honey.Short))
		code := proof.FindString(receipt)
		if code == "" || !strings.Contains(receipt, "5 m à soazig") || len([]rune(receipt)) > 160 {
			t.Fatalf("the buyer reads %q", receipt)
		}
		if seller := k.last(soazig); !strings.Contains(seller, `Motif: "Pot de miel"`) {
			t.Errorf("the seller reads %q", seller)
		}
		key := otp.Key(e.Key)
		var used otp.Memory
		time.Sleep(90 * time.Second) // the seller's clock is behind, or the SMS was slow
		mark, ok := otp.Numbered.Verify(key, code, time.Now(), units(5))
		if !ok || !used.Use(mark) {
			t.Error("the code is refused")
		}
		if used.Use(mark) {
			t.Error("a bystander's replay is let through")
		}
		if _, ok := otp.Numbered.Verify(key, code, time.Now(), units(6)); ok {
			t.Error("another price is let through")
		}
		time.Sleep(time.Hour)
		again := k.say(yann, asked.FindStringSubmatch(k.question(yann))[1])
		if !strings.Contains(again, "Débité une seule fois") || proof.FindString(again) != code {
			t.Errorf("asked again an hour later, the buyer reads %q", again)
		}
		if _, ok := otp.Numbered.Verify(key, code, time.Now(), units(5)); ok {
			t.Error("the code is good an hour later")
		}
	})
}

// question returns the last SMS that asks for a code.
func (k *market) question(to string) (text string) {
	k.do(func(tx *store.Tx) error {
		out, err := tx.Outbox(k.Context(), 0, 1000)
		for _, o := range out {
			if o.To.E164() == to && asked.MatchString(o.Text) {
				text = o.Text
			}
		}
		return err
	})
	return text
}

func TestWhoPaysTheStallByItsNameHasACodeToo(t *testing.T) {
	k := open(t, nil)
	if got := k.buy("vir 4 @soazig"); proof.MatchString(got) {
		t.Errorf("without a device the buyer reads %q", got)
	}
	_, e := k.device(stall.NewDevice{Description: "Stand"})
	got := k.buy("vir 3 @soazig")
	if _, ok := otp.Numbered.Verify(e.Key, proof.FindString(got), time.Now(), units(3)); !ok {
		t.Errorf("the buyer reads %q: refused", got)
	}
}

func TestWhatIsRefusedSaysWhatToSend(t *testing.T) {
	k := open(t, nil)
	honey := k.template(stall.NewTemplate{Description: "Pot de miel", Amount: units(5).Minor()})
	greens := k.template(stall.NewTemplate{Description: "Légumes, au poids"})
	gone := k.template(stall.NewTemplate{Description: "Pain", Amount: units(2).Minor()})
	k.do(func(tx *store.Tx) error {
		_, err := k.Stalls.EndTemplate(k.Context(), tx, "operator", k.id, gone.ID)
		return err
	})
	for text, want := range map[string]string{
		"vir " + honey.Short + " 6":    "vaut 5 m, ni plus ni moins",
		"vir " + greens.Short:          "Renvoyez avec le montant, par exemple: VIR " + greens.Short + " 5",
		"vir " + gone.Short:            "n'est plus vendu",
		"vir 5 " + gone.Short:          "n'est plus vendu",
		"vir " + greens.Short + " 2.5": "montant entier seulement",
	} {
		if got := k.say(yann, text); !strings.Contains(got, want) {
			t.Errorf("%q is answered %q, want %q", text, got, want)
		}
	}
	if got := k.buy("vir " + greens.Short + " 7"); !strings.Contains(got, "7 m à soazig") {
		t.Errorf("greens by weight: %q", got)
	}
	if got := k.buy("vir 5 " + honey.Short); !strings.Contains(got, "5 m à soazig") {
		t.Errorf("honey with its right price: %q", got)
	}
}

func TestEachDeviceOfAStallHasItsCode(t *testing.T) {
	k := open(t, nil)
	first, a := k.device(stall.NewDevice{Description: "Marché"})
	_, b := k.device(stall.NewDevice{Description: "Camion", Algorithm: otp.Priced})
	_, c := k.device(stall.NewDevice{Description: "Jeton", Algorithm: otp.Plain})
	if a.Stall != "soazig" || b.Stall != "soazig B" || c.Stall != "soazig C" {
		t.Errorf("they are called %q, %q, %q", a.Stall, b.Stall, c.Stall)
	}
	got := k.buy("vir 3 @soazig")
	m := regexp.MustCompile(`A ([0-9]{2} [0-9]{6}) B ([0-9]{4} [0-9]{4}) C ([0-9]{4} [0-9]{4})$`).FindStringSubmatch(got)
	if m == nil || len([]rune(got)) > 160 {
		t.Fatalf("the buyer reads %q", got)
	}
	for n, e := range []*stall.Enrolment{a, b, c} {
		if _, ok := otp.Algorithm(e.Algorithm).Verify(e.Key, m[n+1], time.Now(), units(3)); !ok {
			t.Errorf("%s refuses %s", e.Algorithm, m[n+1])
		}
	}
	err := k.DB.Update(t.Context(), func(tx *store.Tx) error {
		_, _, err := k.Stalls.AddDevice(t.Context(), tx, "operator", k.id, stall.NewDevice{Description: "De trop"})
		return err
	})
	if !errors.Is(err, stall.ErrFull) {
		t.Errorf("a fourth device: %v", err)
	}
	k.revoke(first)
	if got := k.buy("vir 2 @soazig"); strings.Contains(got, "A ") || !strings.Contains(got, "B ") {
		t.Errorf("after A was revoked the buyer reads %q", got)
	}
}

func (k *market) revoke(d *stall.Device) {
	k.Helper()
	k.do(func(tx *store.Tx) error {
		_, err := k.Stalls.Revoke(k.Context(), tx, "operator", k.id, d.ID)
		return err
	})
}

func TestALinkIsGoodOnceAndForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := open(t, nil)
		var d *stall.Device
		var tokens []string
		add := func(make func(tx *store.Tx) (*stall.Device, string, error)) {
			k.do(func(tx *store.Tx) (err error) {
				var token string
				d, token, err = make(tx)
				tokens = append(tokens, token)
				return err
			})
		}
		add(func(tx *store.Tx) (*stall.Device, string, error) {
			return k.Stalls.AddDevice(t.Context(), tx, "operator", k.id, stall.NewDevice{Description: "Stand"})
		})
		add(func(tx *store.Tx) (*stall.Device, string, error) {
			return k.Stalls.NewLink(t.Context(), tx, "operator", k.id, d.ID)
		})
		enrol := func(token string) error {
			_, err := k.Stalls.Enrol(t.Context(), token)
			return err
		}
		if err := enrol(tokens[0]); !errors.Is(err, stall.ErrLink) {
			t.Errorf("the link before the last: %v", err)
		}
		if err := enrol(tokens[1]); err != nil {
			t.Errorf("the link: %v", err)
		}
		if err := enrol(tokens[1]); !errors.Is(err, stall.ErrLink) {
			t.Errorf("the link again: %v", err)
		}
		add(func(tx *store.Tx) (*stall.Device, string, error) {
			return k.Stalls.AddDevice(t.Context(), tx, "operator", k.id, stall.NewDevice{Description: "Camion"})
		})
		time.Sleep(stall.LinkLife + time.Second)
		for _, token := range []string{tokens[2], "", "nonsense"} {
			if err := enrol(token); !errors.Is(err, stall.ErrLink) {
				t.Errorf("a link that is too old, or none: %v", err)
			}
		}
	})
}

// What a device let through is told when there is network, as often as it takes,
// and noted once; a revoked device learns it.
func TestADeviceReports(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { aDeviceReports(t, open(t, nil)) })
	t.Run("postgres", func(t *testing.T) { aDeviceReports(t, openAt(t, pgtest.New(t), nil)) })
}

func aDeviceReports(t *testing.T, k *market) {
	t.Helper()
	d, e := k.device(stall.NewDevice{Description: "Stand"})
	code := proof.FindString(k.buy("vir 3 @soazig"))
	mark, ok := otp.Numbered.Verify(e.Key, code, time.Now(), units(3))
	if !ok {
		t.Fatal("the code is refused")
	}
	sold := stall.Passed{At: time.Now().UnixMilli(), Amount: units(3).Minor(), Step: mark.Step, Number: mark.Number()}
	forged := sold
	forged.Number, forged.Amount = "00", units(9).Minor()
	if forged.Number == sold.Number {
		forged.Number = "01"
	}
	absurd := []stall.Passed{{Step: -1}, {Number: strings.Repeat("4", 300)}, {Amount: -5, Step: 7}, {Template: strings.Repeat("x", 1<<16)}}
	for range 3 {
		a, err := k.Stalls.Sync(t.Context(), e.Bearer, append(absurd, sold, forged))
		if err != nil || a.Revoked || a.Time == 0 {
			t.Fatalf("%+v, %v", a, err)
		}
	}
	day := k.day()
	if day.Unknown != 1 || len(day.Sales) != 1 || !slices.Equal(day.Sales[0].Let, []int64{d.ID}) {
		t.Errorf("%d unknown codes, sales %+v", day.Unknown, day.Sales)
	}
	if _, err := k.Stalls.Sync(t.Context(), "nonsense", nil); !errors.Is(err, stall.ErrDevice) {
		t.Errorf("a device that is none: %v", err)
	}
	k.revoke(d)
	if a, err := k.Stalls.Sync(t.Context(), e.Bearer, []stall.Passed{sold}); err != nil || !a.Revoked || len(a.Templates) != 0 {
		t.Errorf("a revoked device learns %+v, %v", a, err)
	}
}

// Two sellers with two devices cannot both be shown one payment without its
// being seen.
func TestACodeThatTwoDevicesLetThroughIsSeen(t *testing.T) {
	k := open(t, nil)
	_, a := k.device(stall.NewDevice{Description: "Marché"})
	_, b := k.device(stall.NewDevice{Description: "Camion"})
	m := regexp.MustCompile(`A ([0-9]{2}) [0-9]{6} B`).FindStringSubmatch(k.buy("vir 3 @soazig"))
	sold := stall.Passed{At: time.Now().UnixMilli(), Amount: units(3).Minor(), Step: otp.StepOf(time.Now()), Number: m[1]}
	for _, e := range []*stall.Enrolment{a, b} {
		if _, err := k.Stalls.Sync(t.Context(), e.Bearer, []stall.Passed{sold}); err != nil {
			t.Fatal(err)
		}
	}
	if day := k.day(); day.Unknown != 1 {
		t.Errorf("%d codes are noted as unknown, want that of the second", day.Unknown)
	}
}

func (k *market) day() (day *stall.Day) {
	k.Helper()
	k.do(func(tx *store.Tx) (err error) {
		day, err = k.Stalls.Day(k.Context(), tx, k.id, tx.Now(), maillon)
		return err
	})
	return day
}

func TestTheDayOfAStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(10 * time.Hour) // the middle of a day
		k := open(t, func(s *setting.Settings) { s.Conflict = time.Second })
		honey := k.template(stall.NewTemplate{Description: "Pot de miel", Amount: units(5).Minor()})
		k.device(stall.NewDevice{Description: "Stand"})
		k.buy("vir " + honey.Short)
		time.Sleep(time.Hour)
		receipt := k.buy("vir " + honey.Short)
		time.Sleep(time.Hour)
		k.buy("vir 3 @soazig")
		ref := regexp.MustCompile(`Réf ([A-Z0-9]+)`).FindStringSubmatch(receipt)[1]
		k.do(func(tx *store.Tx) error {
			return k.Stalls.GiveBack(t.Context(), tx, "operator", k.id, strings.ToLower(ref))
		})
		back := k.say(soazig, asked.FindStringSubmatch(k.question(soazig))[1])
		if !strings.Contains(back, "Rendu: 5 m à yann") {
			t.Errorf("the seller reads %q", back)
		}
		day := k.day()
		if day.Sum != units(13).Minor() || day.Back != units(5).Minor() || day.BackCount != 1 || len(day.Lines) != 2 {
			t.Fatalf("%+v", day)
		}
		if l := day.Lines[0]; l.Template == nil || l.Template.Short != honey.Short || l.Count != 2 || l.Sum != units(10).Minor() {
			t.Errorf("honey: %+v", l)
		}
		if got, err := day.CSV(k.Settings.Zone); err != nil || strings.Count(got, "\n") != 4 || !strings.Contains(got, ref) || !strings.Contains(got, honey.Short) {
			t.Errorf("as CSV: %s", got)
		}
		err := k.DB.Update(t.Context(), func(tx *store.Tx) error { return k.Stalls.GiveBack(t.Context(), tx, "operator", k.id, "Z9Z9") })
		if !errors.Is(err, stall.ErrNotSold) {
			t.Errorf("a reference of nothing: %v", err)
		}
		time.Sleep(24 * time.Hour)
		if day := k.day(); len(day.Sales) != 0 {
			t.Errorf("the day after has %d sales", len(day.Sales))
		}
	})
}

// No two payments whose codes may be right at one time begin with one number.
func TestNumbersOfOneMomentDiffer(t *testing.T) {
	k := open(t, func(s *setting.Settings) {
		if err := s.Set("confirm", "off"); err != nil {
			t.Fatal(err)
		}
	})
	k.device(stall.NewDevice{Description: "Stand"})
	seen := map[string]bool{}
	for n := range 8 {
		number := fmt.Sprintf("+336399801%02d", n)
		k.enrol(number, fmt.Sprintf("client%c", 'a'+n), 50)
		code := proof.FindString(k.say(number, "vir 1 @soazig"))
		if code == "" || seen[code[:2]] {
			t.Fatalf("payment %d has the code %q, and before it %v", n, code, seen)
		}
		seen[code[:2]] = true
	}
}

// As many numbers as there are, and then none until the first are too old: a code
// that another payment has would be let through twice, or refused to who paid.
func TestNumbersAreNeverSharedInACrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := open(t, nil)
		k.device(stall.NewDevice{Description: "Stand"})
		sell := func(n int) (code string) {
			k.do(func(tx *store.Tx) (err error) {
				o := &order.Order{Kind: order.Pay, State: order.Done, Payee: int64(k.id), Amount: units(1), Ref: fmt.Sprint("R", n), Paid: tx.Now()}
				code, err = k.Stalls.Proof(t.Context(), tx, o)
				return err
			})
			return code
		}
		seen := map[string]bool{}
		for n := range otp.Numbers {
			code := sell(n)
			if code == "" || seen[code[:2]] {
				t.Fatalf("payment %d has the code %q", n, code)
			}
			seen[code[:2]] = true
		}
		for n := range 30 {
			if code := sell(1000 + n); code != "" {
				t.Fatalf("the payment after the last number has the code %q", code)
			}
		}
		if code := sell(7); code == "" {
			t.Error("a payment that had a code has none any more")
		}
		time.Sleep(time.Duration(2*otp.Numbered.Window()+2) * otp.Step)
		if code := sell(2000); code == "" {
			t.Error("no number is free again")
		}
	})
}

func TestWhatWouldNotDoIsRefused(t *testing.T) {
	k := open(t, nil)
	for _, c := range []struct {
		n    stall.NewTemplate
		want error
	}{
		{stall.NewTemplate{}, stall.ErrDescription},
		{stall.NewTemplate{Description: strings.Repeat("m", 41)}, stall.ErrDescription},
		{stall.NewTemplate{Description: "ⵜⵉⴼⵉⵏⴰⵖ"}, stall.ErrDescription},
		{stall.NewTemplate{Description: "Miel", Amount: -1}, stall.ErrPrice},
		{stall.NewTemplate{Description: "Miel", Amount: 1 << 40}, stall.ErrPrice},
		{stall.NewTemplate{Description: "Miel", Unit: "euro"}, stall.ErrUnit},
	} {
		err := k.DB.Update(t.Context(), func(tx *store.Tx) error {
			_, err := k.Stalls.AddTemplate(t.Context(), tx, "operator", k.id, c.n)
			return err
		})
		if !errors.Is(err, c.want) {
			t.Errorf("%+v: %v, want %v", c.n, err, c.want)
		}
	}
	for _, c := range []struct {
		n    stall.NewDevice
		want error
	}{{stall.NewDevice{}, stall.ErrDescription}, {stall.NewDevice{Description: "Stand", Algorithm: "rot13"}, stall.ErrAlgorithm}} {
		err := k.DB.Update(t.Context(), func(tx *store.Tx) error {
			_, _, err := k.Stalls.AddDevice(t.Context(), tx, "operator", k.id, c.n)
			return err
		})
		if !errors.Is(err, c.want) {
			t.Errorf("%+v: %v, want %v", c.n, err, c.want)
		}
	}
}

// The stall for tests of a merchant has templates and codes, and nobody pays it.
func TestAStallForTestsIsNeverPaid(t *testing.T) {
	k := open(t, nil)
	k.id = stall.Twin(7)
	honey := k.template(stall.NewTemplate{Description: "Pot de miel", Amount: 5})
	d, _ := k.device(stall.NewDevice{Description: "Stand"})
	if got := k.say(yann, "vir "+honey.Short); !strings.Contains(got, "n'existe pas") {
		t.Errorf("who pays it reads %q", got)
	}
	k.do(func(tx *store.Tx) error {
		d, err := k.Stalls.Device(t.Context(), tx, k.id, d.ID)
		if err != nil {
			return err
		}
		codes, err := k.Stalls.Code(t.Context(), tx, d, time.Now(), 47, units(5))
		if err == nil && len(codes) != 9 {
			t.Errorf("codes %v", codes)
		}
		return err
	})
}

// A copy of the books tells no key, and not even the server's keeper has that of
// a device that was revoked.
func TestKeysAreNotInTheBooks(t *testing.T) {
	k := open(t, nil)
	d, e := k.device(stall.NewDevice{Description: "Stand"})
	k.do(func(tx *store.Tx) error {
		r, err := tx.Record(t.Context(), stall.KindDevice, d.ID)
		if err != nil {
			return err
		}
		if body := string(r.Body); strings.Contains(body, base64.StdEncoding.EncodeToString(e.Key)) || strings.Contains(body, e.Bearer) {
			t.Errorf("the record is %s", body)
		}
		return nil
	})
	k.revoke(d)
	err := k.DB.View(t.Context(), func(tx *store.Tx) error {
		_, err := tx.UnsealFor(t.Context(), d.Key)
		return err
	})
	if !errors.Is(err, store.ErrErased) {
		t.Errorf("the key of a revoked device: %v", err)
	}
}

// A seller who asks what is known of her reads of her stall, and of no key.
func TestASellerWhoAsksIsToldOfHerStall(t *testing.T) {
	k := open(t, nil)
	honey := k.template(stall.NewTemplate{Description: "Pot de miel", Amount: units(5).Minor()})
	_, e := k.device(stall.NewDevice{Description: "Stand"})
	k.do(func(tx *store.Tx) error {
		m, err := tx.Member(t.Context(), k.id.Member())
		if err != nil {
			return err
		}
		d, err := privacy.Registrar{Set: k.Settings, Teller: k.Teller}.Dossier(t.Context(), tx, m)
		if err != nil {
			return err
		}
		if len(d.Sells) != 1 || d.Sells[0].Short != honey.Short || d.Sells[0].Amount != "5" || len(d.Devices) != 1 || d.Devices[0].State != stall.Active {
			t.Errorf("she sells %+v, with %+v", d.Sells, d.Devices)
		}
		text, err := json.Marshal(d)
		if strings.Contains(string(text), base64.StdEncoding.EncodeToString(e.Key)) {
			t.Error("the file holds the key")
		}
		return err
	})
}
