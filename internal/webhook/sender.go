package webhook

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"maillon/internal/duty"
	"maillon/internal/store"
)

// Bounds of calls.
const (
	Timeout     = 15 * time.Second // of one call, with its answer
	maxWorkers  = 32               // calls at once; one for each endpoint
	maxAnswer   = 4 << 10          // octets of an answer that are read, so that the connection can be used again
	maxHeader   = 16 << 10         // octets of its header
	saveTimeout = 10 * time.Second // to write what came of a call
	lookTimeout = 2 * time.Second  // for the name of a new endpoint
	lookAgain   = 5 * time.Second  // after the books could not be read
	longest     = time.Hour        // without looking
	maxSweep    = 500              // events that are forgotten at once
	statusGone  = http.StatusGone
	jitterShare = 10 // a tenth of a wait at most is added to it
)

// Why a call failed, for people and programs.
const (
	whyTimeout  = "timeout"
	whyAddress  = "address_not_public"
	whyName     = "name_unknown"
	whyTLS      = "tls"
	whyConnect  = "connection"
	whyRedirect = "redirect"
	whyStatus   = "status"
)

// Options say how endpoints are called.
type Options struct {
	Insecure bool         // wherever they are, and over HTTP too: on a machine where things are tried
	Local    bool         // those of test mode, on this machine too
	Client   *http.Client // nil: one that keeps within reach

	// Lookup finds the addresses of a name, when an endpoint is registered; nil:
	// nobody looks before the first call.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
}

// reach returns where an endpoint may be.
func (o Options) reach(test bool) Reach {
	switch {
	case o.Insecure:
		return Anywhere
	case o.Local && test:
		return Loopback
	}
	return Internet
}

// A Sender carries what waits to the endpoints. Only one of several servers does.
type Sender struct {
	db         *store.DB
	duty       *duty.Duty
	live, test *http.Client
}

// NewSender returns a sender on the books, which holds a duty of the server.
func NewSender(db *store.DB, d *duty.Duty, o Options) *Sender {
	s := &Sender{db: db, duty: d, live: o.Client, test: o.Client}
	if o.Client == nil {
		s.live, s.test = NewClient(o.reach(false)), NewClient(o.reach(true))
	}
	return s
}

// NewClient returns what calls endpoints within reach. It follows nobody
// elsewhere, knows no proxy, and looks at each address just before it connects.
func NewClient(reach Reach) *http.Client {
	d := &net.Dialer{Timeout: Timeout, Control: func(_, address string, _ syscall.RawConn) error {
		if to, err := netip.ParseAddrPort(address); err != nil || !reach.lets(to.Addr()) {
			return ErrAddress
		}
		return nil
	}}
	return &http.Client{
		Transport: &http.Transport{
			DialContext: d.DialContext, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, TLSHandshakeTimeout: Timeout,
			MaxResponseHeaderBytes: maxHeader, MaxIdleConnsPerHost: 1, MaxIdleConns: maxWorkers, IdleConnTimeout: time.Minute, DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// A call is one event for one endpoint, ready to leave.
type call struct {
	endpoint Endpoint
	event    Event
	secrets  []Secret
}

// Run carries events whenever no other server does, until ctx ends.
func (s *Sender) Run(ctx context.Context) { s.duty.While(ctx, s.run) }

// run looks at what is due, and lets at most maxWorkers calls run, of different
// endpoints.
func (s *Sender) run(ctx context.Context) {
	due, stop := s.db.Subscribe(store.Due)
	defer stop()
	var all sync.WaitGroup
	defer all.Wait()
	free, busy := make(chan int64, maxWorkers), map[int64]bool{}
	for ctx.Err() == nil {
		wait := longest
		if len(busy) < maxWorkers {
			ready, next, err := s.look(ctx, busy)
			wait = next
			if err != nil {
				if errors.Is(err, store.ErrClosed) || ctx.Err() != nil {
					return
				}
				slog.ErrorContext(ctx, "webhooks that wait cannot be read", "error", err)
				wait = lookAgain
			}
			for _, endpoint := range ready {
				busy[endpoint] = true
				all.Go(func() {
					s.serve(ctx, endpoint)
					free <- endpoint
				})
			}
		}
		select {
		case <-due:
		case endpoint := <-free:
			delete(busy, endpoint)
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// look returns the endpoints that are to be called now, the longest due first,
// and how long there is nothing else to do. It forgets what has had its time.
func (s *Sender) look(ctx context.Context, busy map[int64]bool) (ready []int64, wait time.Duration, err error) {
	over := false
	err = s.db.View(ctx, func(tx *store.Tx) error {
		ready, wait, over = nil, longest, false
		lines, err := tx.Records(ctx, store.RecordsWhere{Kind: kindLine, DueBy: tx.Now().Add(longest)}, 2*maxWorkers)
		if err != nil {
			return err
		}
		for _, l := range lines {
			switch in := l.Due.Sub(tx.Now()); {
			case busy[l.Owner]:
			case in > 0:
				wait = min(wait, in)
			case len(busy)+len(ready) < maxWorkers:
				ready = append(ready, l.Owner)
			}
		}
		forget, err := tx.NextRecordDue(ctx, kindEvent)
		over = err == nil && !forget.IsZero() && !forget.After(tx.Now())
		return err
	})
	if err == nil && over {
		err = s.db.Update(ctx, func(tx *store.Tx) error { return sweep(ctx, tx) })
		wait = 0
	}
	return ready, wait, err
}

// sweep forgets events that are over, and what became of them.
func sweep(ctx context.Context, tx *store.Tx) error {
	rows, err := tx.Records(ctx, store.RecordsWhere{Kind: kindEvent, DueBy: tx.Now()}, maxSweep)
	for _, r := range rows {
		if err == nil {
			err = tx.EndRecord(ctx, kindEvent, r.ID)
		}
	}
	if err != nil {
		return err
	}
	_, err = tx.DropRecords(ctx, kindDelivery, tx.Now().Add(-KeepEvents), maxSweep*MaxEndpoints)
	return err
}

// serve makes one call to an endpoint, if something is due, and writes what came
// of it.
func (s *Sender) serve(ctx context.Context, endpoint int64) {
	c, ok, err := s.next(ctx, endpoint)
	var a Attempt
	if err == nil && ok {
		a = s.send(ctx, c)
		if ctx.Err() != nil && a.Why != "" {
			return // cut off by us: whoever does this next calls again
		}
	}
	if err == nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
		defer cancel()
		err = s.db.Update(ctx, func(tx *store.Tx) error {
			if err := s.duty.Check(ctx, tx); err != nil {
				return err
			}
			if !ok {
				return replan(ctx, tx, endpoint)
			}
			return settle(ctx, tx, c, a)
		})
	}
	if err != nil && !errors.Is(err, store.ErrClosed) && !errors.Is(err, duty.ErrLost) && ctx.Err() == nil {
		slog.ErrorContext(ctx, "webhook stands still", "endpoint", endpoint, "error", err)
		pause(ctx, lookAgain)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// next returns what is due first for an endpoint, false if nothing is.
func (s *Sender) next(ctx context.Context, endpoint int64) (c call, ok bool, err error) {
	err = s.db.View(ctx, func(tx *store.Tx) error {
		c, ok = call{}, false
		row, err := tx.Record(ctx, kindEndpoint, endpoint)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		if c.endpoint, err = endpointOf(row); err != nil || !c.endpoint.Enabled {
			return err
		}
		first, found, err := head(ctx, tx, endpoint)
		if err != nil || !found || first.Due.After(tx.Now()) {
			return err
		}
		d, err := readDelivery(first)
		if err != nil {
			return err
		}
		if c.event, err = EventByID(ctx, tx, c.endpoint.Merchant, d.Event); err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		c.secrets, err = c.endpoint.secrets(ctx, tx)
		if errors.Is(err, store.ErrErased) {
			return nil
		}
		ok = err == nil && c.event.ID != 0
		return err
	})
	return c, ok, err
}

// replan brings a line to what waits for its endpoint: nothing could be called
// for after all.
func replan(ctx context.Context, tx *store.Tx, endpoint int64) error {
	l, line, err := readLine(ctx, tx, endpoint)
	if err != nil || line.ID == 0 {
		return err
	}
	row, err := tx.Record(ctx, kindEndpoint, endpoint)
	if errors.Is(err, store.ErrNotFound) {
		return tx.EndRecord(ctx, kindLine, line.ID)
	}
	if err != nil {
		return err
	}
	p, err := endpointOf(row)
	if err != nil {
		return err
	}
	if _, err := p.secrets(ctx, tx); errors.Is(err, store.ErrErased) {
		if err := p.disable(ctx, tx, WhySecret); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	first, ok, err := head(ctx, tx, endpoint)
	if err != nil {
		return err
	}
	if ok {
		d, err := readDelivery(first)
		if err != nil {
			return err
		}
		if _, err := tx.Record(ctx, kindEvent, d.Event); errors.Is(err, store.ErrNotFound) { // its time was over
			l.end(&first, Failed)
			if err := saveDelivery(ctx, tx, &first, d); err != nil {
				return err
			}
		} else if err != nil {
			return err
		}
	}
	return l.plan(ctx, tx, &line, p.Enabled)
}

// send calls an endpoint once.
func (s *Sender) send(ctx context.Context, c call) (a Attempt) {
	a.At = time.Now()
	defer func() { a.Took = time.Since(a.At) }()
	body, err := json.Marshal(c.event.Show(c.endpoint.Test))
	if err != nil {
		a.Why = whyConnect
		return a
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	r, err := request(ctx, c, a.At, body)
	if err != nil {
		a.Why = whyConnect
		return a
	}
	client := s.live
	if c.endpoint.Test {
		client = s.test
	}
	answer, err := client.Do(r)
	if err != nil {
		a.Why = explain(err)
		return a
	}
	defer answer.Body.Close()
	_, _ = io.CopyN(io.Discard, answer.Body, maxAnswer)
	a.Status = answer.StatusCode
	switch {
	case a.Status >= 300 && a.Status < 400:
		a.Why = whyRedirect
	case a.Status < 200 || a.Status >= 400:
		a.Why = whyStatus
	}
	return a
}

// request returns a call, signed.
func request(ctx context.Context, c call, at time.Time, body []byte) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	id := eventID(c.event.ID)
	signatures := make([]string, len(c.secrets))
	for n, secret := range c.secrets {
		if signatures[n], err = secret.Sign(id, at, body); err != nil {
			return nil, err
		}
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "maillon")
	r.Header.Set(HeaderID, id)
	r.Header.Set(HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	r.Header.Set(HeaderSignature, strings.Join(signatures, " "))
	return r, nil
}

// explain says why there was no answer, without the address.
func explain(err error) string {
	if errors.Is(err, ErrAddress) {
		return whyAddress
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		return whyTimeout
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return whyName
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return whyTLS
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return whyTLS
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return whyTLS
	}
	return whyConnect
}

// jitter makes a wait a little longer, so that not all who failed together are
// tried together.
func jitter(d time.Duration) time.Duration {
	more, err := rand.Int(rand.Reader, big.NewInt(int64(d/jitterShare)+1))
	if err != nil { // it never fails
		return d
	}
	return d + time.Duration(more.Int64())
}
