package store_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/order"
	"maillon/internal/sms"
	"maillon/internal/store"
)

// Members are found by how they stand, the newest first, page by page.
func TestMembersAreListedByStanding(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		db := p.open(t)
		var ids []member.ID
		for n := range 6 {
			ids = append(ids, enrol(t, db, fmt.Sprintf("+3363998000%d", n), fmt.Sprintf("nick%d", n)).ID)
		}
		update(t, db, func(tx *store.Tx) error {
			for n, change := range map[int]func(*member.Member){
				1: func(m *member.Member) { m.FrozenAt = tx.Now() },
				2: func(m *member.Member) { m.LostAt = tx.Now() },
				3: func(m *member.Member) { m.LockedTill = tx.Now().Add(time.Hour) },
				4: func(m *member.Member) { m.LockedTill, m.Role = tx.Now().Add(-time.Hour), member.Admin },
			} {
				m, err := tx.Member(t.Context(), ids[n])
				if err != nil {
					return err
				}
				change(m)
				if err := tx.SaveMember(t.Context(), m); err != nil {
					return err
				}
			}
			m, err := tx.Member(t.Context(), ids[5])
			if err != nil {
				return err
			}
			return tx.Erase(t.Context(), m, tx.Now())
		})
		for _, c := range []struct {
			standing store.MemberStanding
			before   int
			want     []int
		}{
			{store.AnyMembers, 0, []int{5, 4, 3}},
			{store.AnyMembers, 3, []int{2, 1, 0}},
			{store.ActiveMembers, 0, []int{4, 3, 2}},
			{store.BlockedMembers, 0, []int{2, 1}},
			{store.LockedMembers, 0, []int{3}},
			{store.StaffMembers, 0, []int{4}},
			{store.ErasedMembers, 0, []int{5}},
			{store.NewMembers, 0, nil},
		} {
			var before member.ID
			if c.before > 0 {
				before = ids[c.before]
			}
			var got []int
			view(t, db, func(tx *store.Tx) error {
				all, err := tx.MembersBy(t.Context(), c.standing, before, 3)
				for _, m := range all {
					got = append(got, slices.Index(ids, m.ID))
				}
				return err
			})
			if !slices.Equal(got, c.want) {
				t.Errorf("%q before %d: %v, want %v", c.standing, c.before, got, c.want)
			}
		}
	})
}

func TestPseudosNearOne(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		db := p.open(t)
		for n, nick := range []string{"lena", "lenna", "1ena", "yann", "lina"} {
			enrol(t, db, fmt.Sprintf("+3363998000%d", n), nick)
		}
		for typed, want := range map[string][]string{
			"lena": {"1ena", "lenna", "lina"}, "lemna": {"lenna"}, "yan": {"yann"}, "soazig": nil, "a-text-much-too-long-to-be-one": nil,
		} {
			var got []string
			view(t, db, func(tx *store.Tx) error {
				near, err := tx.NicksNear(t.Context(), typed, 5)
				for _, m := range near {
					got = append(got, m.Nick)
				}
				return err
			})
			if typed == "lemna" {
				got = slices.DeleteFunc(got, func(s string) bool { return s == "lena" })
			}
			if !slices.Equal(got, want) {
				t.Errorf("near %q: %q, want %q", typed, got, want)
			}
		}
	})
}

// Transactions are found by day, kind, amount and account, the newest first,
// and whoever looks further misses none.
func TestTransactionsAreFound(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		db := p.open(t)
		v := settle(t, db)
		for n := range 9 {
			update(t, db, func(tx *store.Tx) error {
				return post(t.Context(), tx, fmt.Sprintf("more:%d", n), v.emission, v.lenaAccount, int64(1000+n%3))
			})
		}
		var every []ledger.Transaction
		view(t, db, func(tx *store.Tx) (err error) {
			every, err = tx.Transactions(t.Context(), 0, 1000)
			return err
		})
		find := func(w store.TransactionsWhere, limit int) (ids []ledger.TransactionID) {
			for more := true; more; more = w.Before > 0 {
				view(t, db, func(tx *store.Tx) error {
					some, next, err := tx.FindTransactions(t.Context(), w, limit)
					for _, x := range some {
						ids = append(ids, x.ID)
					}
					w.Before = next
					return err
				})
			}
			return ids
		}
		middle := every[len(every)/2]
		for name, c := range map[string]struct {
			where store.TransactionsWhere
			want  func(ledger.Transaction) bool
		}{
			"all":    {store.TransactionsWhere{}, func(ledger.Transaction) bool { return true }},
			"kind":   {store.TransactionsWhere{Kind: ledger.Payment}, func(x ledger.Transaction) bool { return x.Kind == ledger.Payment }},
			"amount": {store.TransactionsWhere{Amount: 1001}, func(x ledger.Transaction) bool { return x.Postings[1].Amount.Minor() == 1001 }},
			"since":  {store.TransactionsWhere{Since: middle.At}, func(x ledger.Transaction) bool { return !x.At.Before(middle.At) }},
			"until":  {store.TransactionsWhere{Until: middle.At}, func(x ledger.Transaction) bool { return x.At.Before(middle.At) }},
			"account": {store.TransactionsWhere{Account: v.lenaAccount}, func(x ledger.Transaction) bool {
				return slices.ContainsFunc(x.Postings, func(p ledger.Posting) bool { return p.Account == v.lenaAccount })
			}},
			"account and amount": {store.TransactionsWhere{Account: v.lenaAccount, Amount: 1002}, func(x ledger.Transaction) bool {
				return x.Postings[1].Amount.Minor() == 1002
			}},
			"never": {store.TransactionsWhere{Since: time.Now().Add(time.Hour)}, func(ledger.Transaction) bool { return false }},
		} {
			var want []ledger.TransactionID
			for _, x := range slices.Backward(every) {
				if c.want(x) {
					want = append(want, x.ID)
				}
			}
			for _, limit := range []int{1, 2, 100} {
				if got := find(c.where, limit); !slices.Equal(got, want) {
					t.Errorf("%s, %d at once: %v, want %v", name, limit, got, want)
				}
			}
		}
	})
}

// A rehearsal sees what would happen, and leaves nothing of it.
func TestARehearsalLeavesNothing(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		db := p.open(t)
		v := settle(t, db)
		state := func() (s string) {
			view(t, db, func(tx *store.Tx) error {
				m, err := tx.Member(t.Context(), v.lena.ID)
				if err != nil {
					return err
				}
				out, err := tx.LastOut(t.Context())
				if err != nil {
					return err
				}
				a, err := tx.Account(t.Context(), v.lenaAccount)
				if err != nil {
					return err
				}
				at, err := tx.LastEntry(t.Context())
				s = fmt.Sprint(m.Nick, m.FrozenAt, out, a.Balance, at.UnixMicro())
				return err
			})
			return s
		}
		before := state()
		told, unsubscribe := db.Subscribe(store.Outgoing)
		defer unsubscribe()
		err := db.Rehearse(t.Context(), func(tx *store.Tx) error {
			last, err := tx.LastOut(t.Context())
			if err != nil {
				return err
			}
			tx.Act("operator", "freeze", "member:1", "")
			m, err := tx.Member(t.Context(), v.lena.ID)
			if err != nil {
				return err
			}
			m.FrozenAt = tx.Now()
			if err := tx.TakeNick(t.Context(), m, "other", time.Time{}); err != nil {
				return err
			}
			if err := post(t.Context(), tx, "rehearsed", v.emission, v.lenaAccount, 7); err != nil {
				return err
			}
			if err := tx.InsertOrder(t.Context(), &order.Order{Kind: order.Credit, Amount: money.New(7, maillon)}, m); err != nil {
				return err
			}
			if err := tx.Enqueue(t.Context(), store.Out{To: m.Number, Text: "hello", Expires: tx.Now().Add(time.Hour)}, m); err != nil {
				return err
			}
			if err := tx.Enqueue(t.Context(), store.Out{To: m.Number, Text: "stranger", Priority: sms.Notice, Expires: tx.Now().Add(time.Hour)}, nil); err != nil {
				return err
			}
			outs, err := tx.Outbox(t.Context(), last, 10)
			if err == nil && (len(outs) != 2 || outs[0].Text != "hello" || outs[1].Text != "stranger") {
				t.Errorf("it would send %v", outs)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if after := state(); after != before {
			t.Errorf("it was %s, and is %s", before, after)
		}
		select {
		case <-told:
			t.Error("somebody was told to send")
		default:
		}
		broken := errors.New("no")
		if err := db.Rehearse(t.Context(), func(*store.Tx) error { return broken }); !errors.Is(err, broken) {
			t.Errorf("a rehearsal that fails returns %v", err)
		}
		update(t, db, func(tx *store.Tx) error { return post(t.Context(), tx, "rehearsed", v.emission, v.lenaAccount, 7) })
		if faults := verify(t, db); len(faults) > 0 {
			t.Errorf("faults are %q", faults)
		}
	})
}

// What has had its time is counted until it is forgotten, and what should have
// been forgotten is told.
func TestWhatIsKeptIsCounted(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		db := p.open(t)
		v := settle(t, db)
		update(t, db, func(tx *store.Tx) error {
			return tx.Enqueue(t.Context(), store.Out{To: v.lena.Number, Text: "hello", Expires: tx.Now().Add(time.Hour)}, v.lena)
		})
		look := func() (r store.Retention) {
			view(t, db, func(tx *store.Tx) (err error) {
				r, err = tx.Retention(t.Context())
				return err
			})
			return r
		}
		fresh := look()
		if fresh.Texts.N == 0 || fresh.Texts != fresh.Deliveries || fresh.Members.N != 3 || fresh.Entries.N == 0 || fresh.Journal.Oldest.IsZero() || fresh.Overdue != 0 {
			t.Errorf("kept: %+v", fresh)
		}
		old := time.Now().Add(-store.KeepTexts - 36*time.Hour).UnixMicro()
		p.edit(t, fmt.Sprintf(`UPDATE outbox SET at = %d`, old), fmt.Sprintf(`UPDATE inbox SET at = %d`, old))
		if late := look(); late.Texts.N != 0 || late.Deliveries.N != fresh.Deliveries.N || late.Overdue != fresh.Texts.N {
			t.Errorf("a day and a half late: %+v", late)
		}
		update(t, db, func(tx *store.Tx) error { return tx.Forget(t.Context()) })
		if now := look(); now.Overdue != 0 {
			t.Errorf("once forgotten: %+v", now)
		}
	})
}

// The story of a member is read backwards, and an act is found by what it is about.
func TestTheStoryOfAMember(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		db := p.open(t)
		v := settle(t, db)
		subject := fmt.Sprintf("member:%d", v.lena.ID)
		for _, what := range []string{"freeze", "member.look", "unfreeze", "member.look"} {
			update(t, db, func(tx *store.Tx) error {
				tx.Act("member:1", what, subject, "")
				return nil
			})
		}
		view(t, db, func(tx *store.Tx) error {
			last, err := tx.LastAct(t.Context(), subject, "member.look")
			if err != nil {
				return err
			}
			acts, err := tx.Acts(t.Context(), store.ActsWhere{Subject: subject, But: "member.look"}, 10)
			if err != nil || len(acts) != 2 || acts[0].What != "unfreeze" || acts[0].ID != last {
				t.Errorf("acts are %v, the last %d, %v", acts, last, err)
			}
			a, err := tx.Account(t.Context(), v.lenaAccount)
			if err != nil {
				return err
			}
			moves, err := tx.MovementsBefore(t.Context(), a, time.Now().Add(time.Hour), 100)
			if err != nil || len(moves) == 0 || moves[0].Balance != a.Balance {
				t.Errorf("movements end at %v of %v, %v", moves, a.Balance, err)
			}
			first, err := tx.MovementsBefore(t.Context(), a, moves[0].At, 100)
			if err != nil || len(first) != len(moves)-1 {
				t.Errorf("before the newest there are %d of %d, %v", len(first), len(moves), err)
			}
			orders, err := tx.OrdersOf(t.Context(), v.yann.ID, time.Now().Add(time.Hour), 100)
			if err != nil || len(orders) == 0 {
				t.Errorf("yann's orders: %v, %v", orders, err)
			}
			_, err = tx.WaitingOrders(t.Context(), 0, 10, order.Pay, order.Credit)
			if err != nil {
				return err
			}
			_, err = tx.Disputes(t.Context(), 0, 10)
			return err
		})
	})
}
