package bank_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"maillon/internal/store/pgtest"
)

// slowCommit makes a COMMIT take long enough to be met in its middle.
const slowCommit = 5 * time.Millisecond

// A cluster is a server, the way to it, and what harms both.
type cluster struct {
	t      *testing.T
	server *pgtest.Server
	wire   *wire
	url    string // past the wire
	cuts   int64  // on wires that are no more
	ended  int64  // sessions
	met    int64  // of them in the middle of a COMMIT
	fallen int    // times that the server crashed
}

// Two servers beside one database are one bank, whatever happens to them, to
// the way between and to the database.
func TestADatabaseServerIsOneBank(t *testing.T) {
	c := &cluster{t: t, server: pgtest.Start(t)}
	count := &tally{nothing: map[string]int{}}
	var stores []*door
	for n := range histories(t) {
		if n%historiesPerBooks == 0 {
			var way string
			if c.wire != nil {
				c.cuts += c.wire.cuts.Load()
			}
			c.url = c.server.New(t)
			c.wire, way = newWire(t, c.url)
			stores = []*door{openDoor(t, way), openDoor(t, way)}
		}
		s := newScene(n, stores)
		s.fault = c.fault(n, stores)
		s.finish(t, count)
	}
	t.Log(count)
	t.Logf("%d connections cut, %d sessions ended, %d of them in a COMMIT; %d crashes", c.cuts+c.wire.cuts.Load(), c.ended, c.met, c.fallen)
	if count.calls == 0 || count.refused == 0 || count.open == 0 {
		t.Error("there was nothing to check")
	}
}

// fault returns what happens in a history.
func (c *cluster) fault(n int, stores []*door) func(context.Context, *rand.Rand) error {
	switch n % 7 {
	case 0:
		return c.cut(commitLost, halfCommit, commitDone)
	case 1:
		return c.cut(requestLost, answerLost)
	case 2:
		return c.end("", 0)
	case 3:
		return c.end(" AND state = 'active' AND query = 'COMMIT'", slowCommit)
	case 4:
		return c.crash
	case 5:
		return nowAndThen(c.stand)
	}
	return restarts(stores)
}

// cut cuts connections where it is told.
func (c *cluster) cut(where ...cut) func(context.Context, *rand.Rand) error {
	harm := nowAndThen(func(_ context.Context, r *rand.Rand) error {
		c.wire.arm(where[r.IntN(len(where))])
		return nil
	})
	return func(ctx context.Context, r *rand.Rand) error {
		err := harm(ctx, r)
		<-ctx.Done()
		c.wire.arm(none)
		return err
	}
}

// mostLooks is how often a session is looked for before the next pause.
const mostLooks = 200

// end ends sessions of ours that are in some state, as an operator or the
// fail-over of a cluster would.
func (c *cluster) end(which string, delay time.Duration) func(context.Context, *rand.Rand) error {
	return func(ctx context.Context, r *rand.Rand) (err error) {
		conn, err := pgx.Connect(ctx, c.url)
		if err != nil {
			return err
		}
		quiet := context.WithoutCancel(ctx)
		defer func() { err = errors.Join(err, conn.Close(quiet)) }()
		if err := slow(quiet, conn, delay); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, slow(quiet, conn, 0)) }()
		return nowAndThen(func(ctx context.Context, _ *rand.Rand) error { return c.endOne(ctx, conn, which) })(ctx, r)
	}
}

func (c *cluster) endOne(ctx context.Context, conn *pgx.Conn, which string) error {
	for range mostLooks {
		tag, err := conn.Exec(context.WithoutCancel(ctx), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()
			AND application_name = 'maillon'`+which+` ORDER BY random() LIMIT 1`)
		if err != nil {
			return fmt.Errorf("end a session: %w", err)
		}
		if n := tag.RowsAffected(); n > 0 {
			c.ended += n
			if which != "" {
				c.met += n
			}
			return nil
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // its time is over
		}
	}
	return nil
}

// slow makes each COMMIT of the whole server wait before it writes.
func slow(ctx context.Context, conn *pgx.Conn, delay time.Duration) error {
	for _, text := range []string{
		fmt.Sprintf("ALTER SYSTEM SET commit_delay = %d", delay.Microseconds()), "ALTER SYSTEM SET commit_siblings = 0", "SELECT pg_reload_conf()",
	} {
		if _, err := conn.Exec(ctx, text); err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
	}
	return nil
}

// crash lets the server lose its power once, and come back.
func (c *cluster) crash(ctx context.Context, r *rand.Rand) error {
	if !pause(ctx, r) {
		return nil
	}
	c.fallen++
	c.server.Crash(c.t)
	c.server.Start(c.t)
	return nil
}

// standing is how long a server stands still.
const standing = 50 * time.Millisecond

// stand lets the server stand still for a moment now and then.
func (c *cluster) stand(context.Context, *rand.Rand) error {
	c.server.Pause(c.t)
	time.Sleep(standing)
	c.server.Resume(c.t)
	return nil
}
