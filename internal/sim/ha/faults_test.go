//go:build linux

package ha_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

const (
	takeOver   = 60 * time.Second // until another leads
	afterwards = time.Second      // that the cluster works with a node less
	etcdAway   = (ttl + 2) * time.Second
	askEvery   = 500 * time.Millisecond
	askTimes   = 20
)

// A fault is one way to lose the leader, or what elects it. It returns once the
// machines are whole again; health comes later.
type fault struct {
	name   string
	strike func(r *run, ctx context.Context) error
}

var faults = []fault{
	{"switchover", (*run).switchover},
	{"kill", (*run).kill},
	{"partition", (*run).partition},
	{"etcd", (*run).etcd},
}

// kill kills PostgreSQL and Patroni of the leader with SIGKILL. The machine
// comes back when another has taken over.
func (r *run) kill(ctx context.Context) error {
	k, err := r.cluster.leader(ctx)
	if err != nil {
		return err
	}
	r.cluster.crash(k)
	if err := r.cluster.follows(ctx, k); err != nil {
		return err
	}
	time.Sleep(afterwards)
	return r.cluster.startPatroni(r.cluster.nodes[k])
}

// switchover asks Patroni to give the lead to the synchronous standby, as for
// an upgrade.
func (r *run) switchover(ctx context.Context) error {
	c := r.cluster
	var err error
	for range askTimes {
		var k int
		if k, err = c.handOver(ctx); err == nil {
			return c.follows(ctx, k)
		}
		time.Sleep(askEvery)
	}
	return err
}

// handOver asks the leader to give up the lead, and returns which node it was.
func (c *cluster) handOver(ctx context.Context) (int, error) {
	k, err := c.leader(ctx)
	if err != nil {
		return k, err
	}
	to, err := c.standby(ctx)
	if err != nil {
		return k, err
	}
	body := fmt.Sprintf(`{"leader": %q, "candidate": %q}`, c.nodes[k].name, c.nodes[to].name)
	status, text, err := c.ask(ctx, http.MethodPost, "/switchover", k, body)
	if err == nil && status != http.StatusOK {
		err = errors.New("status " + http.StatusText(status))
	}
	if err != nil {
		return k, fmt.Errorf("switchover: %w: %s", err, text)
	}
	return k, nil
}

// partition cuts the leader off from the other nodes, from etcd and from the
// servers, but for one that is on its side. The network heals when another has
// taken over; connections that hung go on in one round and break in the next.
func (r *run) partition(ctx context.Context) error {
	c := r.cluster
	k, err := c.leader(ctx)
	if err != nil {
		return err
	}
	leave, err := r.beside(ctx, k)
	if err != nil {
		return err
	}
	c.net.isolate(k)
	told := r.bank.told(insider)
	defer func() {
		leave()
		r.apart += r.bank.told(insider) - told
	}()
	r.partitions++
	defer c.net.heal(r.partitions%2 == 0)
	if err := c.follows(ctx, k); err != nil {
		return err
	}
	time.Sleep(afterwards)
	return nil
}

// etcd kills all of etcd, for longer than any lease, and starts it again.
func (r *run) etcd(context.Context) error {
	c := r.cluster
	for _, n := range c.nodes {
		n.stop(n.etcd)
	}
	time.Sleep(etcdAway)
	var errs []error
	for _, n := range c.nodes {
		errs = append(errs, c.startEtcd(n))
	}
	return errors.Join(errs...)
}

// follows waits until another node than k leads.
func (c *cluster) follows(ctx context.Context, k int) error {
	ctx, cancel := context.WithTimeout(ctx, takeOver)
	defer cancel()
	for {
		for other := range c.nodes {
			if other == k {
				continue
			}
			if status, _, err := c.ask(ctx, http.MethodGet, "/leader", other, ""); err == nil && status == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("nobody took over from node %d within %s", k+1, takeOver)
		case <-time.After(pollEvery):
		}
	}
}
