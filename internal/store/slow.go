package store

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of what is told of slow statements.
const (
	maxSlowLines  = 10 // a minute; more are only counted
	maxSlowLetter = 300
)

// UsuallySlow is from when on a server says that a statement is slow.
const UsuallySlow = 200 * time.Millisecond

// A stopwatch tells which statements take long. It tells their texts, which
// are constants of this package, and never what they were given.
type stopwatch struct {
	bound   atomic.Int64 // nanoseconds; 0: nothing is slow
	counter *counter

	mu     sync.Mutex // held to read or change what follows
	minute time.Time  // the one that told belongs to
	told   int
}

func newStopwatch(c *counter) *stopwatch { return &stopwatch{counter: c} }

// SetSlow says from when on a statement is slow and told in the log; with 0, as
// at first, none is: whoever runs one command can do nothing about it.
func (db *DB) SetSlow(d time.Duration) { db.watch.bound.Store(int64(d)) }

// stop notes that a statement that began at a time is over.
func (w *stopwatch) stop(ctx context.Context, text string, began time.Time) {
	w.observeStatement(ctx, text, time.Since(began))
}

func (w *stopwatch) observeStatement(ctx context.Context, text string, d time.Duration) {
	bound := w.bound.Load()
	if bound <= 0 || int64(d) < bound {
		return
	}
	w.counter.observeSlow()
	if !w.may(time.Now()) {
		return
	}
	slog.WarnContext(ctx, "statement slow", "statement", oneLine(text), "milliseconds", d.Milliseconds())
}

// may reports whether one more line may be told in this minute.
func (w *stopwatch) may(now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now.Sub(w.minute) >= time.Minute {
		w.minute, w.told = now, 0
	}
	w.told++
	return w.told <= maxSlowLines
}

// oneLine shortens a statement; one of many rows is very long.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxSlowLetter {
		text = text[:maxSlowLetter] + "…"
	}
	return text
}

// A timedEngine opens connections whose statements are timed.
type timedEngine struct {
	engine
	watch *stopwatch
}

func (e timedEngine) connect(ctx context.Context, write bool) (conn, error) {
	c, err := e.engine.connect(ctx, write)
	if err != nil {
		return nil, err
	}
	return timedConn{c, e.watch}, nil
}

// A timedConn times what waits for an answer. On PostgreSQL that is a statement
// and all that was sent later, such as the wait for the turn to write: it is
// told of the one that waited. Rows that are read one after the other take as
// long as their reader, and are not timed.
type timedConn struct {
	conn
	watch *stopwatch
}

func (c timedConn) exec(ctx context.Context, text string, args ...any) (int64, error) {
	defer c.watch.stop(ctx, text, time.Now())
	return c.conn.exec(ctx, text, args...)
}

func (c timedConn) later(ctx context.Context, text string, args ...any) error {
	defer c.watch.stop(ctx, text, time.Now())
	return c.conn.later(ctx, text, args...)
}

func (c timedConn) settle(ctx context.Context) error {
	defer c.watch.stop(ctx, "answers that nobody waited for", time.Now())
	return c.conn.settle(ctx)
}

func (c timedConn) row(ctx context.Context, text string, args ...any) row {
	defer c.watch.stop(ctx, text, time.Now())
	return c.conn.row(ctx, text, args...)
}

func (c timedConn) each(ctx context.Context, do func(scan) error, text string, args ...any) error {
	defer c.watch.stop(ctx, text, time.Now())
	return c.conn.each(ctx, do, text, args...)
}
