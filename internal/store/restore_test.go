package store_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/order"
	"maillon/internal/sms"
	"maillon/internal/store"
)

func backup(t testing.TB, db *store.DB, dir string) store.Manifest {
	t.Helper()
	m, err := db.Backup(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func restore(t testing.TB, r store.Restoration) (*store.DB, store.Restored) {
	t.Helper()
	r.To, r.Secret = filepath.Join(t.TempDir(), "new.db"), secret
	report, err := store.Restore(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return openFile(t, r.To), report
}

func accounts(t testing.TB, db *store.DB) []store.AccountRow {
	t.Helper()
	var all []store.AccountRow
	view(t, db, func(tx *store.Tx) error {
		return tx.AllAccounts(t.Context(), func(r store.AccountRow) error {
			all = append(all, r)
			return nil
		})
	})
	return all
}

func last(t testing.TB, db *store.DB) store.Head {
	t.Helper()
	_, h, err := db.Replay(t.Context(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestABackupIsRestored(t *testing.T) {
	dir := t.TempDir()
	db := open(t)
	v := settle(t, db)
	m := backup(t, db, dir)
	end := last(t, db)
	if m.Seq != end.Seq || m.Hash != hex.EncodeToString(end.Hash) {
		t.Errorf("manifest says %d %s, the journal %d %x", m.Seq, m.Hash, end.Seq, end.Hash)
	}
	for _, from := range []string{dir, m.Path} {
		restored, report := restore(t, store.Restoration{From: from})
		if report.Head.Seq != end.Seq || !bytes.Equal(report.Head.Hash, end.Hash) || len(report.Differences) > 0 || report.Dead != 1 || report.Erased != 0 {
			t.Errorf("report is %+v", report)
		}
		if got, want := accounts(t, restored), accounts(t, db); !slices.Equal(got, want) {
			t.Errorf("accounts are %v, want %v", got, want)
		}
		whole(t, restored, v)
	}
}

// whole checks that a restored village is as it was, but for open orders.
func whole(t testing.TB, db *store.DB, v *village) {
	t.Helper()
	view(t, db, func(tx *store.Tx) error {
		yann, err := tx.MemberByNumber(t.Context(), v.yann.Number)
		if err != nil || yann.ID != v.yann.ID || yann.Nick != "yann" {
			t.Errorf("yann's number finds %+v, %v", yann, err)
		}
		if m, err := tx.MemberByNick(t.Context(), "lena"); err != nil || m.ID != v.lena.ID {
			t.Errorf("lena's pseudo finds %+v, %v", m, err)
		}
		if nick, _, err := tx.Neighbour(t.Context(), "lenna"); err != nil || nick != "lena" {
			t.Errorf("Neighbour(lenna) = %q, %v", nick, err)
		}
		o, err := tx.OrderByRef(t.Context(), v.gift.Ref)
		if err != nil || o.Amount != v.gift.Amount || o.Secret.Memo != "vélo" || o.State != order.Done {
			t.Errorf("order is %+v, %v", o, err)
		}
		if open, err := tx.AllOpen(t.Context(), time.Time{}, 0, 10); err != nil || len(open) > 0 {
			t.Errorf("open orders are %v, %v; want none", open, err)
		}
		if c, err := tx.Card(t.Context(), v.lena); err != nil || c.Cells["B3"] != "4821" {
			t.Errorf("card is %v, %v", c, err)
		}
		if on, err := tx.Blocked(t.Context(), v.lena.ID, v.tom.ID); err != nil || !on {
			t.Errorf("Blocked = %v, %v", on, err)
		}
		if h, err := tx.Hold(t.Context(), v.hold.ID); err != nil || h != v.hold {
			t.Errorf("hold is %+v, %v; want %+v", h, err, v.hold)
		}
		if b, err := tx.Backlog(t.Context()); err != nil || b.N != 0 {
			t.Errorf("backlog is %+v, %v; want nothing to send again", b, err)
		}
		return nil
	})
	update(t, db, func(tx *store.Tx) error {
		first, err := tx.Receive(t.Context(), sms.Incoming{Gateway: "virtual", Key: "sms0", From: yannNumber, Text: "solde"}, v.yann)
		if first {
			t.Error("a repeated delivery was taken for a new SMS")
		}
		return err
	})
}

func TestADatabaseIsRestoredToEveryMoment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "books.db")
	db := openFile(t, path)
	settle(t, db)
	for at := last(t, db).At; ; {
		books, want, err := db.Replay(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		if want.Seq == 0 {
			return
		}
		restored, report := restore(t, store.Restoration{From: path, At: at})
		if report.Head.Seq != want.Seq || !bytes.Equal(report.Head.Hash, want.Hash) || len(report.Differences) > 0 {
			t.Errorf("at %v: report is %+v, want %+v", at, report, want)
		}
		for _, a := range accounts(t, restored) {
			if b, err := books.Account(t.Context(), a.ID); err != nil || b != a.Account {
				t.Errorf("account %d is %+v, want %+v, %v", a.ID, a.Account, b, err)
			}
		}
		at = want.At.Add(-time.Microsecond)
	}
}

func TestAClosedDatabaseIsRestored(t *testing.T) {
	path := filepath.Join(t.TempDir(), "books.db")
	db := openFile(t, path)
	v := settle(t, db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	restored, _ := restore(t, store.Restoration{From: path})
	whole(t, restored, v)
}

func TestAnEditedBalanceIsListedAndNotRestored(t *testing.T) {
	path := filepath.Join(t.TempDir(), "books.db")
	db := openFile(t, path)
	v := settle(t, db)
	edit(t, path, `UPDATE account SET balance = 1000 WHERE member = 1 AND currency = 'MAILLON'`)
	_, report := restore(t, store.Restoration{From: path})
	if d := report.Differences; len(d) != 1 || d[0].Account != v.yannAccount || d[0].Source.Minor() != 1000 || d[0].Journal.Minor() != 155 {
		t.Errorf("differences are %+v", d)
	}
}

func TestARestoreRefusesWhatItCannotProve(t *testing.T) {
	path := filepath.Join(t.TempDir(), "books.db")
	db := openFile(t, path)
	settle(t, db)
	to := filepath.Join(t.TempDir(), "new.db")
	if _, err := store.Restore(t.Context(), store.Restoration{From: path, To: path, Secret: secret}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("onto itself: %v, want %v", err, fs.ErrExist)
	}
	if _, err := store.Restore(t.Context(), store.Restoration{From: path, To: to, Secret: store.Secret{9}}); err == nil {
		t.Error("with a wrong secret: no error")
	}
	edit(t, path, `UPDATE journal SET body = replace(body, '-3]', '-4]')`)
	if _, err := store.Restore(t.Context(), store.Restoration{From: path, To: to, Secret: secret}); !errors.Is(err, store.ErrReplay) {
		t.Errorf("of an edited journal: %v, want %v", err, store.ErrReplay)
	}
	left, err := filepath.Glob(to + "*")
	if err != nil || len(left) > 0 {
		t.Errorf("%v was left behind, %v", left, err)
	}
}

func TestABackupHoldsNoKeysAndNoSecret(t *testing.T) {
	path, dir := filepath.Join(t.TempDir(), "books.db"), t.TempDir()
	db := openFile(t, path)
	settle(t, db)
	wrapped := keys(t, path)
	m := backup(t, db, dir)
	books := read(t, filepath.Join(m.Path, "books.db"))
	kept := read(t, filepath.Join(dir, "keys.db"))
	for id, key := range wrapped {
		if bytes.Contains(books, key) {
			t.Errorf("key %d is in the books of the backup", id)
		}
		if stranger := id == 4; bytes.Contains(kept, key) == stranger {
			t.Errorf("key %d in the file of keys: %v", id, !stranger)
		}
	}
	for _, file := range [][]byte{books, kept, read(t, filepath.Join(m.Path, "manifest.json"))} {
		if bytes.Contains(file, secret[:]) || bytes.Contains(file, []byte(secret.Encode())) || bytes.Contains(file, []byte(yannNumber)) {
			t.Error("the secret or a number is in the backup")
		}
	}
	var manifest store.Manifest
	if err := json.Unmarshal(read(t, filepath.Join(m.Path, "manifest.json")), &manifest); err != nil || manifest.Seq != m.Seq || !manifest.Time.Equal(m.Time) {
		t.Errorf("manifest is %+v, %v; want %+v", manifest, err, m)
	}
}

func TestOldBackupsAreRemoved(t *testing.T) {
	dir := t.TempDir()
	old, young := filepath.Join(dir, "20200101T000000.000Z"), filepath.Join(dir, time.Now().Add(-time.Hour).UTC().Format("20060102T150405.000Z"))
	for _, d := range []string{old, young, filepath.Join(dir, "mine")} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	backup(t, open(t), dir)
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 4 { // mine, young, the new one, the keys
		t.Errorf("entries are %v, %v", entries, err)
	}
	if _, err := os.Stat(old); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old backup is still there: %v", err)
	}
}

func TestWhoWasErasedStaysErasedAfterARestore(t *testing.T) {
	path, dir := filepath.Join(t.TempDir(), "books.db"), t.TempDir()
	db := openFile(t, path)
	v := settle(t, db)
	before := last(t, db)
	old := backup(t, db, dir)
	update(t, db, func(tx *store.Tx) error { return tx.Erase(t.Context(), v.tom, tx.Now().Add(time.Hour)) })
	backup(t, db, dir)
	for what, r := range map[string]store.Restoration{
		"the database before the erasure": {From: path, At: before.At},
		"an old backup, today's keys":     {From: old.Path},
		"a new backup before the erasure": {From: dir, At: before.At},
	} {
		restored, report := restore(t, r)
		if report.Erased != 1 || report.Head.Seq != before.Seq {
			t.Errorf("%s: report is %+v", what, report)
		}
		view(t, restored, func(tx *store.Tx) error {
			m, err := tx.Member(t.Context(), v.tom.ID)
			if err != nil || m.State != member.Closed || m.Number.E164() != "" || m.Nick != "" {
				t.Errorf("%s: tom is %+v, %v", what, m, err)
			}
			if _, err := tx.MemberByNumber(t.Context(), number(t, tomNumber)); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("%s: tom's number finds %v", what, err)
			}
			return nil
		})
		if faults := verify(t, restored); len(faults) > 0 {
			t.Errorf("%s: %q", what, faults)
		}
		enrolled := enrol(t, restored, tomNumber, "tommy")
		for id := range keys(t, path) {
			if id == enrolled.Key {
				t.Errorf("%s: key %d is given a second time", what, id)
			}
		}
	}
}

func TestARestoredDatabaseGoesOn(t *testing.T) {
	db := open(t)
	v := settle(t, db)
	dir := t.TempDir()
	backup(t, db, dir)
	restored, _ := restore(t, store.Restoration{From: dir})
	update(t, restored, func(tx *store.Tx) error { return post(t.Context(), tx, "later", v.emission, v.lenaAccount, 5) })
	err := restored.Update(t.Context(), func(tx *store.Tx) error { return post(t.Context(), tx, "order:1", v.emission, v.lenaAccount, 5) })
	if !errors.Is(err, ledger.ErrDuplicate) {
		t.Errorf("a key used before the restore: %v, want %v", err, ledger.ErrDuplicate)
	}
	if faults := verify(t, restored); len(faults) > 0 {
		t.Errorf("faults are %q", faults)
	}
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
