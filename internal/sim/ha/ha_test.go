//go:build linux

package ha_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"maillon/internal/ledger"
	"maillon/internal/money"
	"maillon/internal/server"
	"maillon/internal/store"
)

const (
	failoversVariable = "MAILLON_FAILOVERS"
	servers           = 2
	verifyEvery       = 5                      // rounds between two whole verifications
	before            = time.Second            // between health and the next fault
	hurried           = 500 * time.Millisecond // before the fault, and after
	settleLimit       = 2 * time.Minute        // for all that is open at the end
	finishLimit       = 5 * time.Minute
	proofTries        = 10
)

// insider begins the name of who stays beside a leader that is cut off.
const insider = "inside"

// secret is no secret here.
var secret = store.Secret{1}

// rounds returns how many of each fault are asked for. By itself, go test ./...
// asks for none: make failover does.
func rounds(t *testing.T) int {
	t.Helper()
	text := os.Getenv(failoversVariable)
	if text == "" {
		t.Skipf("%s says how many fail-overs of each kind are run", failoversVariable)
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s = %q", failoversVariable, text)
	}
	return n
}

// A run is a cluster under load.
type run struct {
	cluster    *cluster
	bank       *bank
	servers    []*server.Server
	village    *village
	partitions int
	insiders   int
	apart      int // acknowledged beside a leader since it was cut off
	stop       func()
}

// begin starts a cluster, servers on it and their customers.
func begin(t *testing.T, lossy bool) *run {
	t.Helper()
	r := &run{cluster: start(t, lossy), bank: newBank()}
	log, err := os.OpenFile(filepath.Join(r.cluster.folder, "maillon.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	old := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(log, nil)))
	t.Cleanup(func() {
		slog.SetDefault(old)
		_ = log.Close()
		if t.Failed() {
			t.Logf("maillon said:\n%s", tail(log.Name()))
		}
	})
	for k := range servers {
		r.serve(t, k)
	}
	if err := r.bank.open(t.Context(), r.servers[0].DB); err != nil {
		t.Fatal(err)
	}
	if r.village, err = settle(t.Context(), r.bank, r.servers); err != nil {
		t.Fatal(err)
	}
	r.load(t)
	return r
}

// serve lets a server work until the test ends; whatever becomes of the
// database, it must not end before.
func (r *run) serve(t *testing.T, k int) {
	t.Helper()
	s, err := openServer(t.Context(), r.cluster.url(k))
	if err != nil {
		t.Fatal(err)
	}
	r.servers = append(r.servers, s)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	over := make(chan struct{})
	go func() {
		defer close(over)
		if err := s.Run(ctx); ctx.Err() == nil {
			r.bank.fault("server %d has ended: %v", k+1, err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-over
		_ = s.Close()
	})
}

// url is how a server calls the cluster: whichever node may be written to,
// beginning with one of its own choice.
func (c *cluster) url(first int) string {
	var hosts []string
	for k := range c.nodes {
		hosts = append(hosts, c.nodes[(first+k)%nodes].outside)
	}
	return "postgres://" + superuser + "@" + strings.Join(hosts, ",") + "/" + database + "?sslmode=disable&target_session_attrs=read-write"
}

func (r *run) load(t *testing.T) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var all sync.WaitGroup
	for k, s := range r.servers {
		for w := range writers {
			all.Go(func() { r.bank.customer(ctx, fmt.Sprintf("server%d:%d", k+1, w), func() *store.DB { return s.DB }) })
		}
	}
	for m := range villagers {
		all.Go(func() { r.village.member(ctx, m) })
	}
	r.stop = sync.OnceFunc(func() {
		cancel()
		all.Wait()
	})
	t.Cleanup(r.stop)
}

// beside opens a server that stays on the side of a node, whatever is cut, and
// lets a customer pay there until it is told to leave.
func (r *run) beside(ctx context.Context, k int) (leave func(), err error) {
	url := "postgres://" + superuser + "@" + r.cluster.nodes[k].inside + "/" + database + "?sslmode=disable&target_session_attrs=read-write"
	db, err := store.Open(ctx, url, secret)
	if err != nil {
		return nil, fmt.Errorf("opening a server beside the leader: %w", err)
	}
	r.insiders++
	inner, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	name := fmt.Sprintf("%s%d", insider, r.insiders)
	var left atomic.Bool
	done.Go(func() {
		r.bank.customer(inner, name, func() *store.DB {
			if left.Load() {
				return r.servers[0].DB
			}
			return db
		})
	})
	// Before it is cut off, it pays like all others.
	for end := time.Now().Add(hurried); r.bank.told(name) == 0 && time.Now().Before(end); {
		time.Sleep(thinking)
	}
	return func() {
		left.Store(true)
		cancel()
		done.Wait()
		_ = db.Close()
	}, nil
}

// ofNode reads the books of a node, past maillon and the network.
func (c *cluster) ofNode(k int) books {
	return func(ctx context.Context, do func(string, []ledger.Posting)) (sum int64, err error) {
		conn, err := c.postgresOf(ctx, k, database)
		if err != nil {
			return 0, err
		}
		defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
		tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
		if err != nil {
			return 0, err
		}
		rows, err := tx.Query(ctx, `SELECT key, array_agg(account ORDER BY n), array_agg(amount ORDER BY n)
			FROM txn JOIN posting ON txn.id = posting.txn GROUP BY txn.id, key`)
		if err != nil {
			return 0, err
		}
		for rows.Next() {
			var key string
			var accounts, amounts []int64
			if err := rows.Scan(&key, &accounts, &amounts); err != nil {
				return 0, err
			}
			var all []ledger.Posting
			for n, a := range accounts {
				all = append(all, ledger.Posting{Account: ledger.AccountID(a), Amount: money.New(amounts[n], maillon)})
			}
			do(key, all)
		}
		if err := rows.Err(); err != nil {
			return 0, err
		}
		return sum, tx.QueryRow(ctx, `SELECT sum(balance)::bigint FROM account`).Scan(&sum)
	}
}

// proof compares the leader's books with what the customers know. If verify,
// maillon proves the rest by the journal. Should the leader change meanwhile,
// the next is asked.
func (r *run) proof(ctx context.Context, verify bool) (f finding, err error) {
	for range proofTries {
		if f, err = r.look(ctx, verify); err == nil {
			return f, nil
		}
		time.Sleep(time.Second)
	}
	return f, err
}

func (r *run) look(ctx context.Context, verify bool) (finding, error) {
	k, err := r.cluster.leader(ctx)
	if err != nil {
		return finding{}, err
	}
	f, err := r.bank.proof(ctx, r.cluster.ofNode(k))
	if err != nil || !verify {
		return f, err
	}
	db, err := store.Open(ctx, r.cluster.url(0), secret)
	if err != nil {
		return f, err
	}
	defer func() { _ = db.Close() }()
	faults, err := db.Verify(ctx, func(int64, int64) {})
	for _, fault := range faults {
		f.add(&f.wrong, "verify: %s", fault)
	}
	return f, err
}

// Members pay; machines die, change places, lose each other or lose what elects
// their leader. What was acknowledged is there once, whatever happened.
func TestNothingIsLostWhenTheLeaderIs(t *testing.T) {
	n := rounds(t)
	r := begin(t, false)
	pauses := map[string][]time.Duration{}
	round := 0
	for range n {
		for _, f := range faults {
			round++
			pauses[f.name] = append(pauses[f.name], r.round(t, f, round, round%verifyEvery == 0))
			if t.Failed() {
				return
			}
		}
	}
	r.finish(t)
	for _, f := range faults {
		slices.Sort(pauses[f.name])
		p := pauses[f.name]
		t.Logf("%-10s %d rounds, nothing done for: median %.1f s, worst %.1f s", f.name, len(p), p[len(p)/2].Seconds(), p[len(p)-1].Seconds())
	}
}

// round strikes once, waits for health, and proves.
func (r *run) round(t *testing.T, f fault, round int, verify bool) time.Duration {
	t.Helper()
	r.bank.hurry.Store(true) // so that much is on its way
	time.Sleep(hurried)
	time.AfterFunc(hurried, func() { r.bank.hurry.Store(false) })
	began := time.Now()
	r.bank.begin()
	if err := f.strike(r, t.Context()); err != nil {
		t.Errorf("round %d, %s: %v", round, f.name, err)
		return 0
	}
	struck := time.Since(began)
	if err := r.cluster.healthy(t.Context()); err != nil {
		t.Errorf("round %d, %s: %v", round, f.name, err)
		return 0
	}
	healthy := time.Since(began)
	pause := r.bank.pause()
	found, err := r.proof(t.Context(), verify)
	if err != nil {
		t.Errorf("round %d, %s: %v", round, f.name, err)
	}
	for _, fault := range found.faults {
		t.Errorf("round %d, %s: %s", round, f.name, fault)
	}
	t.Logf("round %d, %-10s nothing done for %4.1f s; whole after %4.1f s, healthy after %4.1f s, proven after %4.1f s: %d acknowledged, %d lost, %d doubled",
		round, f.name, pause.Seconds(), struck.Seconds(), healthy.Seconds(), time.Since(began).Seconds(), found.acked, found.lost, found.doubled)
	return pause
}

// alike waits until all nodes have the same end of the journal.
func (c *cluster) alike(ctx context.Context) error {
	for {
		ends := map[string]bool{}
		for k := range c.nodes {
			var end string
			err := c.query(ctx, k, database, `SELECT seq || ' ' || encode(hash, 'hex') FROM journal ORDER BY seq DESC LIMIT 1`, &end)
			if err != nil {
				return fmt.Errorf("reading the journal of node %d: %w", k+1, err)
			}
			ends[end] = true
		}
		if len(ends) == 1 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the journals differ: %v", ends)
		case <-time.After(pollEvery):
		}
	}
}

// finish stops the customers, lets all that nobody knows of be done, and proves
// that then the books hold what the customers know, and nothing else; on every
// node the same.
func (r *run) finish(t *testing.T) {
	t.Helper()
	r.stop()
	ctx, cancel := context.WithTimeout(t.Context(), finishLimit)
	defer cancel()
	found, err := r.proof(ctx, true)
	if err == nil {
		err = r.village.told(ctx, &found)
	}
	for _, fault := range found.faults {
		t.Error(fault)
	}
	if err == nil {
		err = r.cluster.alike(ctx)
	}
	for k := range r.cluster.nodes {
		f, e := r.bank.proof(ctx, r.cluster.ofNode(k))
		err = errors.Join(err, e)
		for _, fault := range f.faults {
			t.Errorf("node %d: %s", k+1, fault)
		}
		if f.open > 0 {
			t.Errorf("node %d: %d transfers are in the books that nobody was told of", k+1, f.open)
		}
	}
	if err != nil {
		t.Error(err)
	}
	if found.acked == 0 {
		t.Error("there was no load: nothing is proven")
	}
	t.Logf("%d payments by SMS, %d SMS about them", r.bank.told(bySMS), r.village.written)
	t.Logf("%d acknowledged beside a leader cut off", r.apart)
	t.Logf("at the end %d acknowledged, %d of them by asking again; %d lost, %d doubled", found.acked, r.bank.again, found.lost, found.doubled)
}

// A test that cannot fail proves nothing: if commits do not wait for a second
// machine, a leader that is cut off goes on acknowledging for seconds what
// nobody will know of, and it is noticed.
func TestAClusterThatDoesNotWaitIsNoticed(t *testing.T) {
	rounds(t)
	r := begin(t, true)
	time.Sleep(hurried)
	if err := r.partition(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.cluster.healthy(t.Context()); err != nil {
		t.Fatal(err)
	}
	found, err := r.proof(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	if found.lost == 0 || r.apart == 0 {
		t.Errorf("%d acknowledged beside a leader cut off, %d lost", r.apart, found.lost)
	}
	t.Logf("%d acknowledged, %d of them beside a leader cut off, %d lost: %q", found.acked, r.apart, found.lost, found.faults)
}

// Each thing that may be wrong is noticed, one by one.
func TestWhatIsWrongIsNoticed(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(b *bank, pay func(key string, amount int64))
		want  func(f finding) int
	}{
		"acknowledged and not there": {
			func(b *bank, _ func(string, int64)) { b.ack(prefix+"forged", false) },
			func(f finding) int { return f.lost },
		},
		"there and not asked for": {
			func(_ *bank, pay func(string, int64)) { pay(prefix+"invented", 5) },
			func(f finding) int { return f.unasked },
		},
		"there with another amount": {
			func(b *bank, pay func(string, int64)) {
				b.asked[prefix+"altered"] = transfer{from: 0, to: 1, amount: 4}
				pay(prefix+"altered", 5)
			},
			func(f finding) int { return f.wrong },
		},
		"refused without a reason": {
			func(b *bank, _ func(string, int64)) { b.fault("refused") },
			func(f finding) int { return f.wrong },
		},
		"there and not known": {
			func(b *bank, pay func(string, int64)) {
				b.asked[prefix+"open"] = transfer{from: 0, to: 1, amount: 5}
				pay(prefix+"open", 5)
			},
			func(f finding) int { return f.open },
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			db, err := store.Open(ctx, store.Memory, secret)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			b := newBank()
			if err := b.open(ctx, db); err != nil {
				t.Fatal(err)
			}
			b.pay(ctx, prefix+"sound", transfer{from: 0, to: 1, amount: 3}, func() *store.DB { return db })
			if f, err := b.proof(ctx, ofStore(db)); err != nil || len(f.faults) > 0 || f.open > 0 || f.acked != 1 {
				t.Fatalf("books that are sound: %+v, %v", f, err)
			}
			c.spoil(b, func(key string, amount int64) {
				err := db.Update(ctx, func(tx *store.Tx) error { return post(ctx, tx, key, b.accounts[0], b.accounts[1], amount) })
				if err != nil {
					t.Fatal(err)
				}
			})
			if f, err := b.proof(ctx, ofStore(db)); err != nil || c.want(f) != 1 {
				t.Errorf("not noticed: %+v, %v", f, err)
			}
		})
	}
}
