package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/order"
)

// Bounds of one step of a restore.
const (
	restoreRows   = 500        // of the journal in one commit
	restoreOctets = 1 << 20    // of their bodies
	restoreOrders = 500        // that die in one commit
	partialSuffix = ".partial" // of a database that is not whole yet
)

// ErrProof means that a restored database is not what its journal says.
var ErrProof = errors.New("restored database is not proven")

// A Restoration says what is restored from where to where.
type Restoration struct {
	From     string // a backup, a folder of backups, or a database
	Keys     string // the file of keys; empty: beside From, or in the database itself
	To       string // the new database; it must not exist
	Secret   Secret
	At       time.Time // the moment; zero: the end of the journal
	Progress func(done, total int64)
}

// Restored says what a restore has made, and what it found on the way.
type Restored struct {
	Head         Head // the last row of the journal that was restored: its hash is proven
	Transactions int64
	Accounts     int64
	Differences  []Difference // accounts that the source had otherwise at that moment
	Erased       int          // members who left later, and stay erased
	Dead         int          // orders that were open, and died
	Faults       []Fault      // of the new database; there are none, or Restore fails
}

// A Difference is an account whose balance in the source was not what the
// journal says.
type Difference struct {
	Account ledger.AccountID
	Source  money.Amount // zero of no currency if the source has no such account
	Journal money.Amount
}

// Restore makes a new database whose state is that of the journal of another
// at a moment, and proves it: the journal replayed gives the source's hash, and
// Verify finds no fault.
//
// Only the journal is believed, and for what it does not hold, SMS in and out
// and how people sign in, their rows. Members who were erased later stay erased. No SMS is sent again,
// and open orders die. Nothing stands at To unless all went well.
func Restore(ctx context.Context, r Restoration) (Restored, error) {
	report, err := r.restore(ctx)
	if err != nil {
		return report, fmt.Errorf("restore: %w", err)
	}
	return report, nil
}

func (r Restoration) restore(ctx context.Context) (report Restored, err error) {
	if _, err := os.Lstat(r.To); !errors.Is(err, fs.ErrNotExist) {
		return report, errors.Join(err, fmt.Errorf("%s: %w", filepath.Base(r.To), fs.ErrExist))
	}
	books, keys, err := r.source()
	if err != nil {
		return report, err
	}
	ring, err := newKeyring(r.Secret)
	if err != nil {
		return report, err
	}
	partial := r.To + partialSuffix
	if err := removeDatabase(partial); err != nil {
		return report, err
	}
	to, err := Open(ctx, partial, r.Secret)
	if err != nil {
		return report, err
	}
	source := &DB{engine: &sqliteEngine{path: books}, keys: ring}
	err = source.apart(ctx, func(from *Tx) error {
		w := restorer{Restoration: r, from: from, to: to, report: &report, until: untilMicros(r.At), erased: seen{}}
		return w.run(ctx, &DB{engine: &sqliteEngine{path: keys}, keys: ring})
	})
	if err = errors.Join(err, to.Close()); err != nil {
		return report, errors.Join(err, removeDatabase(partial))
	}
	if _, err := os.Lstat(partial + "-wal"); !errors.Is(err, fs.ErrNotExist) {
		return report, errors.Join(err, errors.New("the new database is not in one file"))
	}
	if err := os.Rename(partial, r.To); err != nil {
		return report, err
	}
	return report, syncAll(r.To, filepath.Dir(r.To))
}

// source finds the database and the keys: of a folder of backups, the newest.
func (r Restoration) source() (books, keys string, err error) {
	info, err := os.Stat(r.From)
	if err != nil {
		return "", "", err
	}
	if !info.IsDir() {
		return r.From, orElse(r.Keys, r.From), nil
	}
	if _, err := os.Stat(filepath.Join(r.From, backupBooks)); err == nil {
		return filepath.Join(r.From, backupBooks), orElse(r.Keys, filepath.Join(filepath.Dir(filepath.Clean(r.From)), backupKeys)), nil
	}
	entries, err := os.ReadDir(r.From)
	if err != nil {
		return "", "", err
	}
	for _, e := range slices.Backward(entries) {
		if _, err := time.Parse(backupName, e.Name()); err == nil {
			return filepath.Join(r.From, e.Name(), backupBooks), orElse(r.Keys, filepath.Join(r.From, backupKeys)), nil
		}
	}
	return "", "", fmt.Errorf("%s: no backup is there", filepath.Base(r.From))
}

func orElse(given, usual string) string {
	if given != "" {
		return given
	}
	return usual
}

func removeDatabase(path string) error {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// A restorer carries a journal from one database to another.
type restorer struct {
	Restoration
	from   *Tx
	to     *DB
	report *Restored
	until  int64
	erased seen // keys, in the whole journal of the source
	done   int64
	total  int64
}

func (w *restorer) run(ctx context.Context, keys *DB) error {
	if err := w.from.row(ctx, `SELECT count(*) FROM journal WHERE at <= $1`, w.until).Scan(&w.total); err != nil {
		return err
	}
	if err := w.findErased(ctx); err != nil {
		return err
	}
	if err := keys.apart(ctx, func(from *Tx) error { return w.copyKeys(ctx, from) }); err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	for _, step := range []func(context.Context) error{
		w.copyJournal, w.copyLetters, w.index, w.prove, w.compare, w.bury, w.eraseAgain, w.copyStaff, w.verify,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// findErased looks at the whole journal, also after the moment: what was
// erased then stays erased.
func (w *restorer) findErased(ctx context.Context) error {
	return w.from.each(ctx, func(scan func(...any) error) error {
		var seq int64
		var body string
		if err := scan(&seq, &body); err != nil {
			return err
		}
		events, err := decodeEvents(body)
		if err != nil {
			return fmt.Errorf("journal row %d: %w", seq, err)
		}
		for _, e := range events {
			if e.Erase != nil {
				w.erased.add(e.Erase.Key)
			}
		}
		return nil
	}, `SELECT seq, body FROM journal WHERE body LIKE '%"erase":%' ORDER BY seq`)
}

// copyKeys takes the members' keys, but for the erased, and sees to it that no
// number of a key is given a second time.
func (w *restorer) copyKeys(ctx context.Context, from *Tx) error {
	last, err := w.from.db.engine.lastKey(ctx, w.from.c)
	if err != nil {
		return err
	}
	return w.to.Update(ctx, func(tx *Tx) error {
		if err := tx.db.engine.setLastKey(ctx, tx.c, last); err != nil {
			return err
		}
		return from.each(ctx, func(scan func(...any) error) error {
			var id int64
			var wrapped []byte
			var dies int64
			if err := scan(&id, &wrapped, &dies); err != nil || w.erased.has(id) {
				return err
			}
			if _, err := tx.db.keys.unwrap(id, wrapped); err != nil {
				return err
			}
			_, err := tx.exec(ctx, `INSERT INTO key (id, sealed, dies_at) VALUES ($1, $2, $3)`, id, wrapped, dies)
			return err
		}, `SELECT id, sealed, dies_at FROM key WHERE dies_at = 0 OR dies_at > $1 ORDER BY id`, lastStranger(from.now))
	})
}

// copyJournal applies the rows of the journal in order, some in each commit.
func (w *restorer) copyJournal(ctx context.Context) error {
	var rows []journalRow
	octets := 0
	flush := func() error {
		err := w.to.Update(ctx, func(tx *Tx) error { return tx.applyRows(ctx, rows) })
		w.done += int64(len(rows))
		rows, octets = rows[:0], 0
		if w.Progress != nil {
			w.Progress(w.done, w.total)
		}
		return err
	}
	err := w.from.journal(ctx, w.until, func(r journalRow) error {
		if err := checkLink(w.report.Head, r); err != nil {
			return err
		}
		w.report.Head = r.head()
		rows, octets = append(rows, r), octets+len(r.body)
		if len(rows) < restoreRows && octets < restoreOctets {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

// applyRows makes tx write what its journal will say that it wrote, and those
// rows of the journal instead of one of its own.
func (tx *Tx) applyRows(ctx context.Context, rows []journalRow) error {
	for _, r := range rows {
		if _, err := tx.exec(ctx, `INSERT INTO journal (seq, at, body, hash) VALUES ($1, $2, $3, $4)`, r.seq, r.at, r.body, r.hash); err != nil {
			return err
		}
		events, err := decodeEvents(r.body)
		if err != nil {
			return fmt.Errorf("journal row %d: %w", r.seq, err)
		}
		for _, e := range events {
			if err := tx.apply(ctx, e, r.at); err != nil {
				return fmt.Errorf("journal row %d: %w", r.seq, err)
			}
		}
	}
	tx.events = nil
	return nil
}

// apply does what e says: money by the rules of the ledger, rows by their images.
func (tx *Tx) apply(ctx context.Context, e event, at int64) error {
	if err := replay(ctx, tx, e, at); err != nil {
		return err
	}
	if e.SMS != nil {
		_, err := tx.exec(ctx, `UPDATE member SET seen_at = $2 WHERE id = $1 AND seen_at < $2`, e.SMS.Member, at)
		return err
	}
	i, ok := e.image(at)
	if !ok {
		return nil
	}
	if err := tx.putImage(ctx, i); err != nil {
		return err
	}
	id, left := i.left()
	if !left {
		return nil
	}
	return tx.clearMember(ctx, id)
}

// copyLetters copies the SMS up to the moment: those received, so that a
// repeated delivery is known for one, and those sent, of which none is sent
// again.
func (w *restorer) copyLetters(ctx context.Context) error {
	err := w.copyRows(ctx, `SELECT id, gateway, dedup, at, sent_at, member, key, sealed, state, repeats, 0, 0, 0, 0, 0, 0, 0, 0 FROM inbox
			WHERE at <= $1 ORDER BY id`,
		`INSERT INTO inbox (id, gateway, dedup, at, sent_at, member, key, sealed, state, repeats) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`, 10)
	if err != nil {
		return err
	}
	return w.copyRows(ctx, `SELECT id, at, member, key, sealed, gateway, priority, expires_at, next_at,
			CASE state WHEN 'queued' THEN 'expired' WHEN 'handing' THEN 'unknown' ELSE state END,
			tries, segments, doubts, handed_at, lease_till, provider_id, detail, CASE ended_at WHEN 0 THEN at ELSE ended_at END FROM outbox
			WHERE at <= $1 ORDER BY id`,
		`INSERT INTO outbox (id, at, member, key, sealed, gateway, priority, expires_at, next_at, state, tries, segments, doubts, handed_at,
			lease_till, provider_id, detail, ended_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)`, 18)
}

// widest is the most columns that copyRows copies.
const widest = 18

func (w *restorer) copyRows(ctx context.Context, from, to string, columns int) error {
	return w.to.Update(ctx, func(tx *Tx) error {
		return w.from.each(ctx, func(scan func(...any) error) error {
			values, at := make([]any, widest), make([]any, widest)
			for n := range values {
				at[n] = &values[n]
			}
			if err := scan(at...); err != nil {
				return err
			}
			_, err := tx.exec(ctx, to, values[:columns]...)
			return err
		}, from, w.until)
	})
}

// index makes again what is derived from what is sealed: how members are found
// by number and by a misspelt pseudo.
func (w *restorer) index(ctx context.Context) error {
	return w.members(ctx, func(tx *Tx, m *member.Member) error {
		if m.State == member.Closed || m.Number.E164() == "" {
			return nil
		}
		if _, err := tx.exec(ctx, `UPDATE member SET number_hash = $2 WHERE id = $1`, int64(m.ID), keyedHash(tx.db.keys.number, m.Number.E164())); err != nil {
			return err
		}
		if m.Nick == "" {
			return nil
		}
		return tx.indexNick(ctx, m.ID, m.Nick)
	})
}

// members calls do for every member, some in each commit.
func (w *restorer) members(ctx context.Context, do func(*Tx, *member.Member) error) error {
	for after, more := member.ID(0), true; more; {
		err := w.to.Update(ctx, func(tx *Tx) error {
			all, err := tx.Members(ctx, Everyone, after, restoreRows)
			if err != nil {
				return err
			}
			more = len(all) == restoreRows
			for _, m := range all {
				if err := do(tx, m); err != nil {
					return fmt.Errorf("member %d: %w", m.ID, err)
				}
				after = m.ID
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// prove replays the new journal and compares its hash with the source's.
func (w *restorer) prove(ctx context.Context) error {
	_, last, err := w.to.Replay(ctx, time.Time{})
	if err != nil {
		return err
	}
	if last.Seq != w.report.Head.Seq || !bytes.Equal(last.Hash, w.report.Head.Hash) {
		return fmt.Errorf("journal row %d: its hash is not that of the source: %w", last.Seq, ErrProof)
	}
	return nil
}

// compare lists the accounts that the source had otherwise at the moment.
func (w *restorer) compare(ctx context.Context) error {
	var newest int64
	if err := w.from.row(ctx, `SELECT coalesce(max(seq), 0) FROM journal`).Scan(&newest); err != nil {
		return err
	}
	return w.to.View(ctx, func(tx *Tx) error {
		if err := tx.row(ctx, `SELECT (SELECT count(*) FROM txn), (SELECT count(*) FROM account)`).
			Scan(&w.report.Transactions, &w.report.Accounts); err != nil {
			return err
		}
		return tx.AllAccounts(ctx, func(a AccountRow) error {
			source, err := w.balance(ctx, a.ID, w.report.Head.Seq == newest)
			if err == nil && source != a.Balance {
				w.report.Differences = append(w.report.Differences, Difference{a.ID, source, a.Balance})
			}
			return err
		})
	})
}

// balance returns what the source says that an account had at the moment.
func (w *restorer) balance(ctx context.Context, id ledger.AccountID, now bool) (money.Amount, error) {
	a, err := w.from.Account(ctx, id)
	if errors.Is(err, ledger.ErrNoAccount) {
		return money.Amount{}, nil
	}
	if err != nil || now {
		return a.Balance, err
	}
	return w.from.BalanceAt(ctx, id, w.report.Head.At)
}

// bury ends the orders that were open: nobody knows their codes any more.
func (w *restorer) bury(ctx context.Context) error {
	for more := true; more; {
		err := w.to.Update(ctx, func(tx *Tx) error {
			open, err := tx.AllOpen(ctx, time.Time{}, 0, restoreOrders)
			if err != nil {
				return err
			}
			more = len(open) == restoreOrders
			w.report.Dead += len(open)
			for _, o := range open {
				o.State, o.Ended, o.Due = order.Expired, tx.now, time.Time{}
				if err := tx.SaveOrder(ctx, o); err != nil {
					return fmt.Errorf("order %d: %w", o.ID, err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// eraseAgain erases the members whose key is no more, and writes down that the
// database was restored.
func (w *restorer) eraseAgain(ctx context.Context) error {
	err := w.members(ctx, func(tx *Tx, m *member.Member) error {
		if m.State == member.Closed {
			return nil
		}
		if _, err := tx.key(ctx, m.Key); !errors.Is(err, ErrErased) {
			return err
		}
		w.report.Erased++
		if err := tx.freeNicks(ctx, m.ID); err != nil {
			return err
		}
		return tx.Erase(ctx, m, tx.now)
	})
	if err != nil {
		return err
	}
	return w.to.Update(ctx, func(tx *Tx) error {
		tx.Act("operator", "restore", fmt.Sprintf("journal:%d", w.report.Head.Seq), "")
		return nil
	})
}

// copyStaff takes how people sign in as the source has it now, whatever the
// moment: a password that was changed since, or somebody who was revoked, must
// not come back. Sessions and invitations end with the old books.
func (w *restorer) copyStaff(ctx context.Context) error {
	var n int
	if err := w.from.row(ctx, `SELECT count(*) FROM sqlite_master WHERE name = 'credential'`).Scan(&n); err != nil || n == 0 {
		return err // a backup from before
	}
	err := w.copyStaffRows(ctx, `SELECT member, password, key, totp, totp_step, recovery, renew_at, changed_at FROM credential ORDER BY member`,
		`INSERT INTO credential (member, password, key, totp, totp_step, recovery, renew_at, changed_at)
			SELECT id, CAST($2 AS TEXT), key, $4, $5, $6, $7, $8 FROM member WHERE id = $1 AND key = $3 AND state <> 'closed'`, 8)
	if err != nil {
		return err
	}
	return w.copyStaffRows(ctx, `SELECT member, id, public, browser, created_at, used_at FROM passkey ORDER BY id`,
		`INSERT INTO passkey (member, id, public, browser, created_at, used_at)
			SELECT id, $2, $3, CAST($4 AS TEXT), $5, $6 FROM member WHERE id = $1 AND state <> 'closed'`, 6)
}

func (w *restorer) copyStaffRows(ctx context.Context, from, to string, columns int) error {
	return w.to.Update(ctx, func(tx *Tx) error {
		return w.from.each(ctx, func(scan func(...any) error) error {
			values, at := make([]any, columns), make([]any, columns)
			for n := range values {
				at[n] = &values[n]
			}
			if err := scan(at...); err != nil {
				return err
			}
			_, err := tx.exec(ctx, to, values...)
			return err
		}, from)
	})
}

// freeNicks gives up the pseudos of a member that nobody can read any more.
func (tx *Tx) freeNicks(ctx context.Context, id member.ID) error {
	var taken []nickEvent
	err := tx.each(ctx, func(scan func(...any) error) error {
		e := nickEvent{Member: int64(id), Free: micros(tx.now)}
		err := scan(&e.Hash, &e.Lookalike)
		taken = append(taken, e)
		return err
	}, `SELECT hash, lookalike FROM nick WHERE member = $1 AND free_at = 0`, int64(id))
	for _, e := range taken {
		if err == nil {
			err = tx.saveNick(ctx, e)
		}
	}
	return err
}

func (w *restorer) verify(ctx context.Context) (err error) {
	if w.report.Faults, err = w.to.Verify(ctx, nil); err != nil {
		return err
	}
	if n := len(w.report.Faults); n > 0 {
		return fmt.Errorf("%d faults, first %s: %w", n, w.report.Faults[0], ErrProof)
	}
	return nil
}
