package treasury_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"maillon/internal/guard"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/order"
	"maillon/internal/phrase"
	"maillon/internal/server"
	"maillon/internal/setting"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// A shop is a server with a payer and a payee.
type shop struct {
	*server.Server
	t     *testing.T
	payer *member.Member
	payee *member.Member
	texts int
}

func open(t *testing.T, change func(*setting.Settings)) *shop {
	t.Helper()
	book, err := phrase.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	set := setting.Default()
	set.Rules, set.AlertPhones = setting.Act, []string{"0639980200"}
	change(&set)
	s, err := server.Open(t.Context(), server.Config{Path: store.Memory, Secret: store.Secret{1}, Settings: set, Book: book, Alone: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	h := &shop{Server: s, t: t}
	h.update(func(ctx context.Context, tx *store.Tx) error {
		for to, m := range map[string]**member.Member{"+33639980101": &h.payer, "+33639980102": &h.payee} {
			n, err := sms.FromE164(to)
			if err != nil {
				return err
			}
			*m, err = s.Treasury.Add(ctx, tx, treasury.Operator, treasury.NewMember{Number: n, Nick: "shop" + to[len(to)-1:], Language: "en"})
			if err != nil {
				return err
			}
			(*m).OpenedAt = tx.Now().AddDate(-1, 0, 0)
			if err := tx.SaveMember(ctx, *m); err != nil {
				return err
			}
		}
		_, err := s.Treasury.Grant(ctx, tx, treasury.Operator, nil, h.payer, sms.Number{}, money.New(100, set.Currency()), "work")
		return err
	})
	return h
}

func (h *shop) update(do func(ctx context.Context, tx *store.Tx) error) {
	h.t.Helper()
	if err := h.DB.Update(h.t.Context(), func(tx *store.Tx) error { return do(h.t.Context(), tx) }); err != nil {
		h.t.Fatal(err)
	}
}

// decrees changes a rule from how it is now.
func (h *shop) decrees(id string, act guard.Act, at ...int64) {
	h.t.Helper()
	h.update(func(ctx context.Context, tx *store.Tx) error {
		regime, err := tx.Regime(ctx)
		if err != nil {
			return err
		}
		rule, _ := guard.RuleOf(id)
		return h.Treasury.SetRule(ctx, tx, "member:9", id, regime.Decrees.Of(rule), guard.Decree{Act: act, At: at}, "a test")
	})
}

// pays orders a payment, and returns what is answered.
func (h *shop) pays(sum int) (answer string) {
	h.t.Helper()
	return h.says(fmt.Sprintf("pay %d @shop2", sum))
}

// says sends a text of the payer, and returns what is answered.
func (h *shop) says(text string) (answer string) {
	h.t.Helper()
	h.texts++
	err := h.Teller.Receive(h.t.Context(), sms.Incoming{
		Gateway: "virtual", Key: fmt.Sprint(h.texts), From: h.payer.Number.E164(), To: "+33639980000",
		Text: text, SentAt: time.Now(),
	})
	if err != nil {
		h.t.Fatal(err)
	}
	h.update(func(ctx context.Context, tx *store.Tx) error {
		all, err := tx.Outbox(ctx, 0, 1000)
		for _, o := range all {
			if o.To == h.payer.Number {
				answer = o.Text
			}
		}
		return err
	})
	return answer
}

// state is what came of the payer's last order, what the payer has, how often a
// rule fired, and how many SMS went to the alert phone.
func (h *shop) state(rule string) string {
	h.t.Helper()
	var text string
	h.update(func(ctx context.Context, tx *store.Tx) error {
		balance, err := h.Desk.Balance(ctx, tx, h.payer, h.Settings.Currency())
		if err != nil {
			return err
		}
		fired, err := tx.Alerts(ctx, store.AlertsWhere{Rule: rule}, 100)
		if err != nil {
			return err
		}
		sent := 0
		all, err := tx.Outbox(ctx, 0, 1000)
		for _, o := range all {
			if o.To.E164() == "+33639980200" {
				sent++
			}
		}
		if err != nil {
			return err
		}
		held, err := tx.HeldOrders(ctx, 10)
		if err != nil {
			return err
		}
		paused, err := tx.Paused(ctx)
		text = fmt.Sprintf("balance %s, fired %d, told %d, held %d, paused %v", balance.Plain(), len(fired), sent, len(held), !paused.IsZero())
		return err
	})
	return text
}

// Each act does what it says with the payment on which a rule fires, and the one
// before, on which it just does not, goes on.
func TestWhatEachActDoes(t *testing.T) {
	for act, want := range map[guard.Act]struct{ answer, state string }{
		guard.Off:    {"Paid: 2 ", "balance 97, fired 0, told 0, held 0, paused false"},
		guard.Log:    {"Paid: 2 ", "balance 97, fired 1, told 0, held 0, paused false"},
		guard.Warn:   {"Paid: 2 ", "balance 97, fired 1, told 1, held 0, paused false"},
		guard.Hold:   {"checks first", "balance 99, fired 1, told 1, held 1, paused false"},
		guard.Refuse: {"did not approve", "balance 99, fired 1, told 1, held 0, paused false"},
		guard.Pause:  {"checks first", "balance 99, fired 1, told 1, held 1, paused true"},
	} {
		t.Run(act.String(), func(t *testing.T) {
			h := open(t, func(s *setting.Settings) { s.Confirm = setting.Off })
			h.decrees("VEL1", act, 1, 10)
			if got := h.pays(1); !strings.HasPrefix(got, "Paid: 1 ") {
				t.Fatalf("the first payment is answered %q", got)
			}
			got := h.pays(2)
			if !strings.Contains(got, want.answer) {
				t.Errorf("answered %q, want %q", got, want.answer)
			}
			if state := h.state("VEL1"); state != want.state {
				t.Errorf("%s, want %s", state, want.state)
			}
		})
	}
}

// The act code asks where the mode would pay at once; where no code is ever asked
// for, it only logs.
func TestTheActCode(t *testing.T) {
	for mode, want := range map[setting.Mode]struct{ answer, state string }{
		setting.Above: {"reply ", "balance 99, fired 0, told 0, held 0, paused false"},
		setting.Off:   {"Paid: 2 ", "balance 97, fired 1, told 0, held 0, paused false"},
	} {
		h := open(t, func(s *setting.Settings) { s.Confirm, s.ConfirmAbove = mode, 50 })
		h.decrees("VEL1", guard.Ask, 1, 10)
		if got := h.pays(1); !strings.HasPrefix(got, "Paid: 1 ") {
			t.Fatalf("the first payment is answered %q", got)
		}
		if got := h.pays(2); !strings.Contains(got, want.answer) {
			t.Errorf("answered %q, want %q", got, want.answer)
		}
		if state := h.state("VEL1"); state != want.state {
			t.Errorf("%s, want %s", state, want.state)
		}
	}
}

// In the first two weeks of the books a rule that is not of the first day only
// logs, however it is decreed; a limit refuses.
func TestTheFirstTwoWeeks(t *testing.T) {
	h := open(t, func(s *setting.Settings) { s.Confirm, s.Rules, s.Day = setting.Off, setting.Later, 20 })
	h.decrees("VEL1", guard.Refuse, 1, 10)
	h.pays(1)
	h.pays(2)
	if got, want := h.state("VEL1"), "balance 97, fired 1, told 0, held 0, paused false"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := h.pays(18); strings.HasPrefix(got, "Paid") {
		t.Errorf("more than the sum of a day is answered %q", got)
	}
	h.decrees("VEL2", guard.Log, 0)
	if got := h.pays(18); !strings.HasPrefix(got, "Paid") {
		t.Errorf("with a limit that logs: %q", got)
	}
	if got, want := h.state("VEL2"), "balance 79, fired 1, told 0, held 0, paused false"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A rule is changed with a reason, from what it is, to what it can be; what was
// before stands in the audit.
func TestSetRule(t *testing.T) {
	h := open(t, func(*setting.Settings) {})
	is, other := guard.Decree{Act: guard.Hold, At: []int64{5, 10}}, guard.Decree{Act: guard.Warn, At: []int64{6, 10}}
	for _, c := range []struct {
		what     string
		id       string
		was, now guard.Decree
		reason   string
		want     error
	}{
		{"without a reason", "VEL1", is, other, "", treasury.ErrReason},
		{"no rule", "NONE", is, other, "x", guard.ErrRule},
		{"no act of the rule", "INT1", guard.Decree{Act: guard.Pause}, guard.Decree{Act: guard.Off}, "x", guard.ErrRule},
		{"seen otherwise", "VEL1", other, is, "x", treasury.ErrDecided},
		{"well", "VEL1", is, other, "x", nil},
		{"twice", "VEL1", is, other, "x", treasury.ErrDecided},
		{"back", "VEL1", other, is, "x", nil},
	} {
		err := h.DB.Update(t.Context(), func(tx *store.Tx) error {
			return h.Treasury.SetRule(t.Context(), tx, "member:9", c.id, c.was, c.now, c.reason)
		})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
	}
	h.update(func(ctx context.Context, tx *store.Tx) error {
		acts, err := tx.Acts(ctx, store.ActsWhere{What: treasury.ChangeRule}, 10)
		if len(acts) != 2 || acts[1].Was != "hold 5 10" || acts[1].Became != "warn 6 10" || acts[1].Subject != "rule:VEL1" {
			t.Errorf("the audit has %+v", acts)
		}
		regime, regimeErr := tx.Regime(ctx)
		if len(regime.Decrees) != 0 {
			t.Errorf("as shipped, and still decreed: %v", regime.Decrees)
		}
		return errors.Join(err, regimeErr)
	})
}

// A review leaves its reason in the audit.
func TestAReviewHasItsReason(t *testing.T) {
	h := open(t, func(s *setting.Settings) { s.Confirm = setting.Off })
	h.decrees("VEL1", guard.Hold, 1, 10)
	h.pays(1)
	h.pays(2)
	h.update(func(ctx context.Context, tx *store.Tx) error {
		held, err := tx.HeldOrders(ctx, 1)
		if err != nil || held[0].State != order.Held {
			return err
		}
		if err := h.Treasury.Review(ctx, tx, "member:9", nil, held[0].Ref, true, "she rang"); err != nil {
			return err
		}
		return nil
	})
	h.update(func(ctx context.Context, tx *store.Tx) error {
		acts, err := tx.Acts(ctx, store.ActsWhere{What: "release"}, 10)
		if len(acts) != 1 || acts[0].Reason != "she rang" {
			t.Errorf("the audit has %+v", acts)
		}
		return err
	})
}

// ADM3: the other administrators are told of a new role, unless the rule only
// logs.
func TestANewRoleIsTold(t *testing.T) {
	for act, told := range map[guard.Act]int{guard.Warn: 1, guard.Log: 0} {
		h := open(t, func(*setting.Settings) {})
		h.decrees("ADM3", act)
		h.update(func(ctx context.Context, tx *store.Tx) error {
			sum := money.New(0, h.Settings.Currency())
			if err := h.Treasury.SetRole(ctx, tx, treasury.Operator, h.payee, member.Admin, sum); err != nil {
				return err
			}
			return h.Treasury.SetRole(ctx, tx, "member:2", h.payer, member.Cashier, sum)
		})
		n := 0
		h.update(func(ctx context.Context, tx *store.Tx) error {
			all, err := tx.Outbox(ctx, 0, 100)
			for _, o := range all {
				if o.To == h.payee.Number && strings.Contains(o.Text, "new role") {
					n++
				}
			}
			return err
		})
		if n != told {
			t.Errorf("with %v the other administrator gets %d SMS, want %d", act, n, told)
		}
		if state := h.state("ADM3"); !strings.Contains(state, "fired 2") {
			t.Errorf("with %v: %s, want it to have fired twice", act, state)
		}
	}
}

// BUR2: the tenth account within an hour is opened and told, the eleventh is not
// opened; where the rule only logs, it is.
func TestManyNewAccounts(t *testing.T) {
	for act, want := range map[guard.Act]struct{ opens, told int }{guard.Refuse: {10, 1}, guard.Log: {11, 0}} {
		h := open(t, func(s *setting.Settings) { s.Confirm, s.NewAccounts, s.Flood.N = setting.Off, 20, 100 })
		h.decrees("VEL1", guard.Off, 5, 10)
		h.decrees("BUR2", act, 10)
		opens := 0
		for n := range 11 {
			if strings.HasPrefix(h.says(fmt.Sprintf("pay 1 06399810%02d", n)), "Paid") {
				opens++
			}
			fired := 0
			if n >= 9 {
				fired = 1
			}
			if state := h.state("BUR2"); !strings.Contains(state, fmt.Sprintf("fired %d, told %d,", fired, min(fired, want.told))) {
				t.Errorf("%v, after %d accounts: %s", act, n+1, state)
			}
		}
		if opens != want.opens {
			t.Errorf("%v lets %d accounts be opened, want %d", act, opens, want.opens)
		}
	}
}
