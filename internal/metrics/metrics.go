// Package metrics tells Prometheus how one server does.
//
// What it tells names gateways, currencies and duties, as the configuration has
// them, and nothing of members. It costs the database the same however often it
// is asked, and answers also when the database does not.
package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"maillon/internal/courier"
	"maillon/internal/server"
	"maillon/internal/sms"
	"maillon/internal/store"
)

// Bounds of answering.
const (
	maxAnswers = 2 // at once
	answerTime = 10 * time.Second
)

// Handler returns what answers Prometheus about a server. It is for a listener
// of its own.
func Handler(s *server.Server) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), newCollector(s))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: maxAnswers, Timeout: answerTime})
}

// A collector asks a server how it does, each time that it is asked.
type collector struct {
	server *server.Server
	facts  *glance[facts]
	weight *glance[weight]
}

func newCollector(s *server.Server) *collector {
	return &collector{server: s, facts: newGlance(factsFor, s.DB, readFacts), weight: newGlance(weightFor, s.DB, weigh)}
}

// A family is what is told under one name.
type family struct {
	*prometheus.Desc
	kind prometheus.ValueType
}

func gauge(name, help string, labels ...string) family {
	return family{prometheus.NewDesc("maillon_"+name, help, labels, nil), prometheus.GaugeValue}
}

func counter(name, help string, labels ...string) family {
	return family{prometheus.NewDesc("maillon_"+name, help, labels, nil), prometheus.CounterValue}
}

func (f family) tell(ch chan<- prometheus.Metric, v float64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(f.Desc, f.kind, v, labels...)
}

// tellTally tells a tally of which so many make one of what is told.
func (f family) tellTally(ch chan<- prometheus.Metric, t store.Tally, per float64) {
	buckets := map[float64]uint64{}
	for n, most := range t.UpTo {
		buckets[float64(most)/per] = t.N[n]
	}
	ch <- prometheus.MustNewConstHistogram(f.Desc, t.Count, float64(t.Sum)/per, buckets)
}

const micros = 1e6 // in a second

var (
	queueLength   = gauge("store_queue_length", "Updates that wait for their turn.")
	queueCapacity = gauge("store_queue_capacity", "Updates that may wait; beyond, they are refused.")
	commits       = counter("store_commits_total", "Batches of Updates on disk.")
	commitsFailed = counter("store_commits_failed_total", "Batches that could not be committed.")
	refused       = counter("store_updates_refused_total", "Updates refused because too many waited.")
	slow          = counter("store_slow_statements_total", "Statements that took longer than slow_query.")
	batchUpdates  = gauge("store_batch_updates", "Updates that shared one commit.")
	commitSeconds = gauge("store_commit_seconds", "From the first Update of a batch until all of it was on disk.")

	databaseUp  = gauge("database_up", "1 if the database could be read.")
	journalRows = gauge("journal_rows", "Rows of the journal.")
	paused      = gauge("payments_paused", "1 while all payments are stopped.")
	backup      = gauge("backup_timestamp_seconds", "When maillon backup last made a copy; 0: never.")
	verified    = gauge("verified_timestamp_seconds", "When maillon verify last proved the books without a fault; 0: never.")
	sum         = gauge("ledger_sum", "What all balances of a currency sum to, in its smallest unit: 0, or the books are wrong.", "currency")
	unbalanced  = gauge("ledger_unbalanced_transactions", "Of the newest 1000 transactions, those that created or destroyed money: 0, or the books are wrong.")
	weighed     = gauge("ledger_checked_timestamp_seconds", "When maillon_ledger_sum and maillon_ledger_unbalanced_transactions were found out.")

	waiting = gauge("outbox_waiting", "Messages that wait to leave.", "gateway", "priority")
	oldest  = gauge("outbox_oldest_seconds", "Age of the oldest message that waits to leave; 0: none does.", "gateway", "priority")
	handing = gauge("outbox_handing", "Messages that are being handed over, by all servers.")
	sent    = counter("outbox_messages_total", "What became of messages at this server.", "gateway", "fate")
	came    = counter("inbox_messages_total", "Messages that came in at this server: received is on disk, deferred is left with the network.", "gateway", "fate")

	gatewayUp   = gauge("gateway_up", "1 if the gateway is up, at this server or at the one that has it.", "gateway")
	gatewayHeld = gauge("gateway_held", "1 if this server has the gateway.", "gateway")
	flying      = gauge("gateway_flying", "Messages of this server at the gateway.", "gateway")
	dutyHeld    = gauge("duty_held", "1 if this server has what only one may do.", "duty")
)

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, f := range []family{
		queueLength, queueCapacity, commits, commitsFailed, refused, slow, batchUpdates, commitSeconds,
		databaseUp, journalRows, paused, backup, verified, sum, unbalanced, weighed,
		waiting, oldest, handing, sent, came, gatewayUp, gatewayHeld, flying, dutyHeld,
	} {
		ch <- f.Desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	c.collectStore(ch)
	for name, held := range c.server.Duties() {
		dutyHeld.tell(ch, truth(held), name)
	}
	c.collectLines(ch)
	f, _, err := c.facts.get()
	databaseUp.tell(ch, truth(err == nil))
	if err == nil {
		c.collectFacts(ch, f)
	}
	// What was found out last is told for as long as nothing else is: its time
	// tells how old it is.
	w, at, _ := c.weight.get()
	weighed.tell(ch, seconds(at))
	if at.IsZero() {
		return
	}
	unbalanced.tell(ch, float64(w.unbalanced))
	for currency, total := range w.sums {
		sum.tell(ch, float64(total), currency)
	}
}

func (c *collector) collectStore(ch chan<- prometheus.Metric) {
	s := c.server.DB.Stats()
	queueLength.tell(ch, float64(s.Waiting))
	queueCapacity.tell(ch, float64(s.Room))
	commits.tell(ch, float64(s.Commits))
	commitsFailed.tell(ch, float64(s.Failed))
	refused.tell(ch, float64(s.Busy))
	slow.tell(ch, float64(s.Slow))
	batchUpdates.tellTally(ch, s.Batches, 1)
	commitSeconds.tellTally(ch, s.CommitTimes, micros)
}

func (c *collector) lines() []courier.Gauge {
	if c.server.Courier == nil {
		return nil
	}
	return c.server.Courier.Gauges()
}

func (c *collector) collectLines(ch chan<- prometheus.Metric) {
	for _, l := range c.lines() {
		gatewayUp.tell(ch, truth(l.Gateway.Up), l.Name)
		gatewayHeld.tell(ch, truth(l.Held), l.Name)
		flying.tell(ch, float64(l.Flying), l.Name)
		came.tell(ch, float64(l.Counts.Received), l.Name, "received")
		came.tell(ch, float64(l.Counts.Deferred), l.Name, "deferred")
		for fate, n := range map[string]int{
			"requeued": l.Counts.Requeued, "accepted": l.Counts.Accepted, "delivered": l.Counts.Delivered,
			"failed": l.Counts.Failed, "unknown": l.Counts.Unknown, "expired": l.Counts.Expired,
		} {
			sent.tell(ch, float64(n), l.Name, fate)
		}
	}
}

func (c *collector) collectFacts(ch chan<- prometheus.Metric, f facts) {
	journalRows.tell(ch, float64(f.height))
	paused.tell(ch, truth(!f.paused.IsZero()))
	backup.tell(ch, seconds(f.backup))
	verified.tell(ch, seconds(f.verified))
	handing.tell(ch, float64(f.handing))
	for place, q := range c.queues(f.queues) {
		waiting.tell(ch, float64(q.N), place.gateway, priorityName(place.priority))
		age := 0.0
		if !q.Oldest.IsZero() {
			age = max(time.Since(q.Oldest).Seconds(), 0)
		}
		oldest.tell(ch, age, place.gateway, priorityName(place.priority))
	}
}

type place struct {
	gateway  string
	priority sms.Priority
}

// queues returns what waits for each line with each priority, nothing too.
// Messages may name lines that are no more.
func (c *collector) queues(all []store.Queue) map[place]store.Queue {
	queues := map[place]store.Queue{}
	for _, l := range c.lines() {
		for _, p := range []sms.Priority{sms.Code, sms.Receipt, sms.Notice} {
			queues[place{l.Name, p}] = store.Queue{}
		}
	}
	for _, q := range all {
		at := place{"none", q.Priority}
		if c.server.Courier != nil {
			at.gateway = c.server.Courier.Owner(q.Gateway)
		}
		known := queues[at]
		known.N += q.N
		if known.Oldest.IsZero() || q.Oldest.Before(known.Oldest) {
			known.Oldest = q.Oldest
		}
		queues[at] = known
	}
	return queues
}

func priorityName(p sms.Priority) string {
	switch p {
	case sms.Code:
		return "code"
	case sms.Receipt:
		return "receipt"
	}
	return "notice"
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMicro()) / micros
}
