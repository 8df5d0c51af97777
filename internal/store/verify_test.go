package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"maillon/internal/store"
)

func verify(t testing.TB, db *store.DB) []string {
	t.Helper()
	faults, err := db.Verify(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range faults {
		all = append(all, f.String())
	}
	return all
}

func TestAnUntouchedDatabaseHasNoFaults(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		db := p.open(t)
		settle(t, db)
		var done, total int64
		faults, err := db.Verify(t.Context(), func(d, of int64) { done, total = d, of })
		if err != nil || len(faults) > 0 {
			t.Errorf("Verify = %v, %v; want no faults", faults, err)
		}
		if done != total || total == 0 {
			t.Errorf("progress ended at %d of %d", done, total)
		}
	})
}

func TestEveryEditByHandIsNamed(t *testing.T) {
	for _, c := range []struct {
		what, sql string
		want      []string // each begins a fault
		only      bool     // and there is no other
	}{
		{"a balance", `UPDATE account SET balance = 120 WHERE id = {yann}`, []string{"account {yann}: balance is 120, its postings sum to 155"}, false},
		{
			"two balances", `UPDATE account SET balance = balance + CASE id WHEN {yann} THEN 5 ELSE -5 END WHERE id IN ({yann}, {lena})`,
			[]string{"account {yann}: balance is 160, its postings sum to 155", "account {lena}: balance is 240, its postings sum to 245"},
			true,
		},
		{"what is held", `UPDATE account SET held = 0 WHERE id = {lena}`, []string{"account {lena}: held is 0, its holds sum to 25"}, true},
		{"a floor", `UPDATE account SET floor = -100 WHERE id = {yann}`, []string{"account {yann}: floor is -100, the journal says 0"}, true},
		{"an owner", `UPDATE account SET member = 99 WHERE id = {yann}`, []string{"account {yann}: member is 99, the journal says 1"}, true},
		{"an account", `DELETE FROM account WHERE id = {pertes}`, []string{"account {pertes}: missing"}, true},
		{"an account more", `INSERT INTO account (id, member, currency, decimals) VALUES (8, 77, 'MAILLON', 0)`, []string{"account 8: not in the journal"}, true},
		{"an amount", `UPDATE posting SET amount = 60 WHERE txn = {txn} AND n = 1`, []string{"posting txn={txn} n=1 ({ref}): amount is 60, the journal says 3"}, true},
		{"a running balance", `UPDATE posting SET balance = 1 WHERE txn = {txn} AND n = 0`, []string{"posting txn={txn} n=0 ({ref}): balance is 1, the journal says 140"}, true},
		{"a posting", `DELETE FROM posting WHERE txn = {txn} AND n = 0`, []string{"posting txn={txn} n=0 ({ref}): missing"}, true},
		{"a posting more", `INSERT INTO posting (txn, n, account, amount, balance) VALUES ({txn}, 2, 1, 5, 5)`, []string{"posting txn={txn} n=2: not in the journal"}, true},
		{"a transaction", `DELETE FROM txn WHERE id = {txn}`, []string{"txn {txn} ({ref}): missing"}, true},
		{"a transaction's key", `UPDATE txn SET key = 'other' WHERE id = {txn}`, []string{"txn {txn} ({ref}): key is other, the journal says order:"}, true},
		{"a transaction's time", `UPDATE txn SET at = 5 WHERE id = {txn}`, []string{"txn {txn} ({ref}): at is 5, the journal says "}, true},
		{"a transaction more", `INSERT INTO txn (id, ref, key, kind, at) VALUES (9, 'Z9Z9', 'x', 'payment', 1)`, []string{"txn 9 (Z9Z9): not in the journal"}, true},
		{"a hold", `UPDATE hold SET remaining = 0 WHERE id = {hold}`, []string{"hold {hold}: remaining is 0, the journal says 20"}, true},
		{"a hold less", `DELETE FROM hold WHERE id = {hold}`, []string{"hold {hold}: missing"}, true},
		{"a hold more", `INSERT INTO hold (id, account, placed, remaining) VALUES (4, {yann}, 5, 5)`, []string{"hold 4: not in the journal"}, true},
		{"an order's amount", `UPDATE orders SET amount = 60 WHERE id = {order}`, []string{"orders {order} ({ref}): amount is 60, the journal says 3"}, true},
		{"an order", `DELETE FROM orders WHERE id = {order}`, []string{"orders {order} ({ref}): missing"}, true},
		{"a member's role", `UPDATE member SET role = 'admin' WHERE id = 1`, []string{"member 1: role is admin, the journal says "}, true},
		{
			"a member's secret", `UPDATE member SET secret = (SELECT secret FROM member WHERE id = 2) WHERE id = 1`,
			[]string{"member 1: secret is not what the journal says", "member 1: secret cannot be opened with its key"},
			true,
		},
		{"a member's number", `UPDATE member SET number_hash = x'00' WHERE id = 1`, []string{"member 1: number_hash is not that of its number"}, true},
		{"a member", `DELETE FROM member WHERE id = 3`, []string{"member 3: missing"}, true},
		{"a member more", `INSERT INTO member (id, key, state, language) VALUES (4, 1, 'closed', 'fr')`, []string{"member 4: not in the journal"}, true},
		{"a pseudo", `UPDATE nick SET member = 2 WHERE member = 1`, []string{"nick "}, true},
		{"a card", `UPDATE card SET tries = 0, sealed = x'00'`, []string{"card 2: sealed is not what the journal says"}, true},
		{"a card less", `DELETE FROM card`, []string{"card 2: missing"}, true},
		{"a block", `DELETE FROM block`, []string{"block 2,3: missing"}, true},
		{"a block more", `INSERT INTO block (member, other) VALUES (1, 2)`, []string{"block 1,2: not in the journal"}, true},
		{"a refusal", `DELETE FROM refused`, []string{"refused "}, true},
		{"a state", `UPDATE state SET value = 'yes' WHERE name = 'dry'`, []string{"state dry: value is not what the journal says"}, true},
		{"a received SMS", `UPDATE inbox SET sealed = x'00' WHERE id = 1`, []string{"inbox 1: text is not what the journal says"}, true},
		{"an SMS less", `DELETE FROM inbox WHERE id = 1`, []string{"inbox 1: missing"}, true},
		{"a key", `DELETE FROM key WHERE id = 1`, []string{"key 1: missing, and member 1 has not left"}, true},
		{"a journal row's hash", `UPDATE journal SET hash = x'00' WHERE seq = 5`, []string{"journal row 5: hash does not follow from row 4"}, true},
		{"a journal row's time", `UPDATE journal SET at = at + 1 WHERE seq = 5`, []string{"journal row 5: hash does not follow from row 4"}, false},
		{
			"a journal row's body", `UPDATE journal SET body = replace(body, '-3]', '-4]') WHERE body LIKE '%-3]%'`,
			[]string{"journal row 9: hash does not follow from row 8", "journal row 9: postings do not sum to zero"},
			false,
		},
		{"an unreadable body", `UPDATE journal SET body = 'x' WHERE seq = 5`, []string{"journal row 5: body cannot be read"}, false},
		{"a journal row", `DELETE FROM journal WHERE seq = 5`, []string{"journal row 6: row 5 is missing before it"}, false},
		{"the last journal rows", `DELETE FROM journal WHERE seq > 8`, []string{"txn {txn} ({ref}): not in the journal"}, false},
		{
			"a journal row more", `INSERT INTO journal (seq, at, body, hash) SELECT seq + 1, at, '[]', hash FROM journal ORDER BY seq DESC LIMIT 1`,
			[]string{"journal row "},
			true,
		},
	} {
		t.Run(strings.ReplaceAll(c.what, " ", "_"), func(t *testing.T) {
			both(t, func(t *testing.T, p place) {
				db := p.open(t)
				v := settle(t, db)
				fill := strings.NewReplacer("{yann}", fmt.Sprint(v.yannAccount), "{lena}", fmt.Sprint(v.lenaAccount), "{pertes}", fmt.Sprint(v.pertes),
					"{txn}", fmt.Sprint(v.gift.Transaction), "{ref}", v.gift.Ref, "{order}", fmt.Sprint(v.gift.ID), "{hold}", fmt.Sprint(v.hold.ID)).Replace
				p.edit(t, fill(c.sql))
				got := verify(t, db)
				for _, want := range c.want {
					if !begins(got, fill(want)) {
						t.Errorf("no fault begins with %q; there are %q", fill(want), got)
					}
				}
				if c.only && len(got) != len(c.want) {
					t.Errorf("faults are %q; want %d", got, len(c.want))
				}
			})
		})
	}
}

func begins(all []string, prefix string) bool {
	for _, s := range all {
		if strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return false
}

func TestVerifyRunsBesideAServerAtWork(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		db := p.open(t)
		v := settle(t, db)
		stop := make(chan struct{})
		done := make(chan error, 1)
		go func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					done <- nil
					return
				default:
				}
				err := db.Update(t.Context(), func(tx *store.Tx) error {
					return post(t.Context(), tx, fmt.Sprint("work", n), v.emission, v.lenaAccount, 1)
				})
				if err != nil {
					done <- err
					return
				}
			}
		}()
		for range 20 {
			if faults := verify(t, db); len(faults) > 0 {
				t.Errorf("faults beside a server at work: %q", faults)
			}
		}
		close(stop)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestAReplayGivesTheSameBalances(t *testing.T) {
	both(t, func(t *testing.T, p place) {
		db := p.open(t)
		v := settle(t, db)
		books, last, err := db.Replay(t.Context(), time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		view(t, db, func(tx *store.Tx) error {
			return tx.AllAccounts(t.Context(), func(r store.AccountRow) error {
				got, err := books.Account(t.Context(), r.ID)
				if got != r.Account {
					t.Errorf("account %d replayed is %+v, want %+v", r.ID, got, r.Account)
				}
				return err
			})
		})
		before := last
		update(t, db, func(tx *store.Tx) error { return post(t.Context(), tx, "later", v.emission, v.lenaAccount, 1) })
		if _, last, err = db.Replay(t.Context(), before.At); err != nil || last.Seq != before.Seq || string(last.Hash) != string(before.Hash) {
			t.Errorf("Replay until %v = %+v, %v; want %+v", before.At, last, err, before)
		}
	})
}
