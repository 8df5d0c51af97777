package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/member"
)

// A request is one Update that waits for its turn.
type request struct {
	ctx  context.Context
	do   func(*Tx) error
	hint Hint
	read bool
	err  error
	tx   *Tx
	done chan struct{}
}

// A head is the last row of the journal.
type head struct {
	seq  int64
	at   int64
	hash []byte
}

// Update runs do in a transaction, and returns nil once all that do did is on
// disk. If do returns an error, nothing of it was done, and that error is
// returned. It returns ErrBusy or ErrClosed without having begun.
//
// do may run together with others in one commit, but never at the same time as
// another; it must not wait for anything but its Tx. It may run a second time
// if nothing of the first is left, and then must not build upon it.
//
// An error for which IsOutage is true may come after all was done: the answer
// to the commit was lost. Whoever asks again with the same keys does no harm.
func (db *DB) Update(ctx context.Context, do func(*Tx) error) error {
	return db.ask(&request{ctx: ctx, do: do, done: make(chan struct{})})
}

// UpdateHinted is Update for which it is known what do is going to look at.
func (db *DB) UpdateHinted(ctx context.Context, h Hint, do func(*Tx) error) error {
	return db.ask(&request{ctx: ctx, do: do, hint: h, done: make(chan struct{})})
}

// View runs do on a state of the database that does not change meanwhile. It
// must not write.
func (db *DB) View(ctx context.Context, do func(*Tx) error) error {
	if db.reading == nil {
		return db.ask(&request{ctx: ctx, do: do, read: true, done: make(chan struct{})})
	}
	select {
	case c := <-db.reading:
		c, err := db.view(context.WithoutCancel(ctx), c, do)
		db.reading <- c
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-db.closing:
		return ErrClosed
	}
}

// view runs do on a connection, which is opened first if there is none, and
// returns it, or none if it is of no use any more.
func (db *DB) view(ctx context.Context, c conn, do func(*Tx) error) (conn, error) {
	if c == nil {
		var err error
		if c, err = db.engine.connect(ctx, false); err != nil {
			return nil, err
		}
	}
	err := db.look(ctx, c, do)
	if c.broken() {
		_ = c.close()
		return nil, err
	}
	return c, err
}

func (db *DB) look(ctx context.Context, c conn, do func(*Tx) error) error {
	if err := db.engine.view(ctx, c); err != nil {
		return err
	}
	err := do(&Tx{db: db, c: c, now: time.Now()})
	if _, e := c.exec(ctx, "ROLLBACK"); err == nil {
		err = e
	}
	return err
}

func (db *DB) ask(r *request) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	select {
	case <-db.closing:
		return ErrClosed
	default:
	}
	select {
	case db.queue <- r:
	default:
		db.counter.observeBusy()
		return ErrBusy
	}
	select {
	case <-r.done:
		return r.err
	case <-db.done:
	}
	select { // the writer may have finished it just before it stopped
	case <-r.done:
		return r.err
	default:
		return ErrClosed
	}
}

// write is the one goroutine that writes: it commits what is there, and
// gathers while the disk works.
func (db *DB) write() {
	defer close(db.done)
	for {
		select {
		case r := <-db.queue:
			db.commit(r)
		case <-db.closing:
			for { // what was accepted before the closing is still done
				select {
				case r := <-db.queue:
					db.commit(r)
				default:
					return
				}
			}
		}
	}
}

// commit runs first and all that wait behind it in one transaction of the
// database, and lets them go once it is on disk.
func (db *DB) commit(first *request) {
	ctx, began := context.Background(), time.Now()
	batch, err := db.attempt(ctx, []*request{first})
	for n := 0; again(err) && n < maxAgain; n++ {
		batch, err = db.attempt(ctx, batch)
	}
	db.counter.observeCommit(len(batch), time.Since(began), err)
	if err != nil {
		slog.Error("commit failed", "updates", len(batch), "error", err)
	}
	touched, erased := map[Topic]bool{}, false
	for _, r := range batch {
		if err != nil && (r.err == nil || r.tx != nil) { // a refusal may be about what was lost
			r.err = fmt.Errorf("commit: %w", err)
		}
		if r.err == nil && r.tx != nil {
			for t := range r.tx.touched {
				touched[t] = true
			}
			erased = erased || r.tx.erased
		}
	}
	if erased {
		db.engine.forget(ctx, db.writer)
	}
	for _, r := range batch {
		close(r.done)
	}
	db.publish(touched)
}

// attempt runs a batch and all that wait behind it, and commits. Of a batch
// that failed nothing is left but its requests.
func (db *DB) attempt(ctx context.Context, batch []*request) ([]*request, error) {
	batch, err := db.runBatch(ctx, batch)
	if err == nil {
		err = db.behind.writeAll(ctx, db.writer)
	}
	if err == nil {
		_, err = db.writer.exec(ctx, "COMMIT")
	}
	db.behind.clear()
	if err == nil {
		return batch, nil
	}
	db.unknow()
	if db.writer != nil {
		_ = db.writer.settle(ctx)
		_, _ = db.writer.exec(ctx, "ROLLBACK")
		if db.writer.broken() {
			_ = db.writer.close()
			db.writer = nil
		}
	}
	return batch, err
}

func (db *DB) runBatch(ctx context.Context, batch []*request) ([]*request, error) {
	h, err := db.begin(ctx)
	if err != nil {
		return batch, err
	}
	for n := 0; n < len(batch); {
		for r := db.next(len(batch)); r != nil; r = db.next(len(batch)) {
			batch = append(batch, r)
		}
		if err := db.expect(ctx, batch[n:]); err != nil {
			return batch, err
		}
		for ; n < len(batch); n++ {
			if err := db.run(ctx, batch[n], &h); err != nil {
				return batch, err
			}
		}
	}
	db.last = h
	return batch, nil
}

// begin waits for the turn to write, and returns where the journal ends. It
// returns ErrMoved if the database was migrated to another.
func (db *DB) begin(ctx context.Context) (h head, err error) {
	if db.writer == nil {
		if db.writer, err = db.engine.connect(ctx, true); err != nil {
			db.writer = nil
			return h, err
		}
	}
	if err := db.engine.begin(ctx, db.writer); err != nil {
		return h, err
	}
	var moved bool
	err = db.writer.row(ctx, `SELECT seq, at, hash, (SELECT count(*) FROM state WHERE name = '`+MovedAt+`' AND value <> '')
		FROM journal ORDER BY seq DESC LIMIT 1`).Scan(&h.seq, &h.at, &h.hash, &moved)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return h, err
	}
	if moved {
		return h, ErrMoved
	}
	if h.seq != db.last.seq || !bytes.Equal(h.hash, db.last.hash) || len(db.accounts) >= maxAccounts {
		db.unknow() // another process wrote
	}
	if db.accounts == nil {
		db.accounts, db.owned = map[ledger.AccountID]ledger.Account{}, map[member.ID][]ledger.AccountID{}
	}
	return h, nil
}

// unknow forgets what the writer remembers of the database.
func (db *DB) unknow() {
	db.accounts, db.owned, db.behind.ids, db.behind.known, db.regime = nil, nil, nil, Standings{}, nil
}

// next returns the next request that waits, nil if none does or a batch of n
// has no room.
func (db *DB) next(n int) *request {
	if n >= maxBatch {
		return nil
	}
	select {
	case r := <-db.queue:
		return r
	default:
		return nil
	}
}

// run runs one request. It returns an error only if the whole batch is lost.
func (db *DB) run(ctx context.Context, r *request, h *head) error {
	if r.tx, r.err = nil, r.ctx.Err(); r.err != nil {
		return nil //nolint:nilerr // the request's error, not the batch's
	}
	began := db.behind.place()
	r.tx = &Tx{
		db: db, c: db.writer, now: time.UnixMicro(max(time.Now().UnixMicro(), h.at)), writes: !r.read, behind: &db.behind,
		known: db.accounts, knownOwned: db.owned,
	}
	r.err = guarded(r.do, r.tx)
	after := *h
	if r.err == nil && len(r.tx.events) > 0 {
		after, r.err = r.tx.appendJournal(ctx, *h)
	}
	if r.err == nil && r.tx.marked {
		_, r.err = db.writer.exec(ctx, release)
	}
	if r.err == nil {
		*h = after
		db.remember(r.tx)
		return nil
	}
	if !r.tx.marked {
		db.behind.back(began, db.behind.written)
		return nil
	}
	db.behind.back(began, r.tx.written)
	_ = db.writer.settle(ctx) // of what is undone
	if _, err := db.writer.exec(ctx, undo); err != nil {
		return err
	}
	_, err := db.writer.exec(ctx, release)
	return err
}

// remember keeps the accounts that a request has read or left, so that the next
// need not read them. They hold until another process writes to the journal.
func (db *DB) remember(tx *Tx) {
	maps.Copy(db.accounts, tx.accounts)
	maps.Copy(db.owned, tx.owned)
}

// guarded turns a panic of do into an error, so that a mistake in one caller
// fails that caller alone.
func guarded(do func(*Tx) error, tx *Tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			slog.Error("update panicked", "stack", string(debug.Stack()))
			err = errors.New("internal error in update")
		}
	}()
	return do(tx)
}

// appendJournal writes one row for all that happened in tx.
func (tx *Tx) appendJournal(ctx context.Context, h head) (head, error) {
	if err := tx.writeActs(ctx); err != nil {
		return h, err
	}
	body, err := encodeEvents(tx.events)
	if err != nil {
		return h, err
	}
	next := head{seq: h.seq + 1, at: tx.now.UnixMicro()}
	next.hash = chain(h.hash, next.seq, next.at, body)
	tx.behind.add(journalSheet, next.seq, next.at, string(body), next.hash)
	return next, nil
}

// chain returns the hash of a journal row: SHA-256 (FIPS 180-4) of the hash
// before it, its number, its time in microseconds and its body.
func chain(before []byte, seq, at int64, body []byte) []byte {
	h := sha256.New()
	var n [16]byte
	binary.BigEndian.PutUint64(n[:8], uint64(seq)) //nolint:gosec // counts up from 1
	binary.BigEndian.PutUint64(n[8:], uint64(at))  //nolint:gosec // after 1970
	_, _ = h.Write(before)
	_, _ = h.Write(n[:])
	_, _ = h.Write(body)
	return h.Sum(nil)
}

// A Topic is something that others may wait for.
type Topic int

// The topics.
const (
	Outgoing Topic = iota + 1 // the outbox has new messages
	Due                       // something falls due earlier than before
	Books                     // money moved
	Setup                     // a named value of the whole server changed
)

// Subscribe returns a channel that receives, at least once, after each commit
// that touched the topic, and a function that ends the subscription.
func (db *DB) Subscribe(t Topic) (<-chan struct{}, func()) {
	ch := make(chan struct{}, 1)
	db.topicMu.Lock()
	defer db.topicMu.Unlock()
	db.topics[t] = append(db.topics[t], ch)
	return ch, func() { db.unsubscribe(t, ch) }
}

func (db *DB) unsubscribe(t Topic, ch chan struct{}) {
	db.topicMu.Lock()
	defer db.topicMu.Unlock()
	kept := db.topics[t][:0]
	for _, c := range db.topics[t] {
		if c != ch {
			kept = append(kept, c)
		}
	}
	db.topics[t] = kept
}

// Wake tells every subscriber of every topic that another process may have
// changed something.
func (db *DB) Wake() { db.publish(map[Topic]bool{Outgoing: true, Due: true, Books: true, Setup: true}) }

func (db *DB) publish(touched map[Topic]bool) {
	if len(touched) == 0 {
		return
	}
	db.topicMu.Lock()
	defer db.topicMu.Unlock()
	for t := range touched {
		for _, ch := range db.topics[t] {
			select {
			case ch <- struct{}{}:
			default: // it was told already and has not looked yet
			}
		}
	}
}
