package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"maillon/internal/auth"
	"maillon/internal/rest"
	"maillon/internal/server"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// Bounds of a load of the API.
const (
	apiBulk    = 100       // transfers in one request
	apiAnswer  = 256 << 10 // octets of an answer that are read
	apiTimeout = 30 * time.Second
	apiHeader  = 5 * time.Second // for a request to begin
)

// An APILoad is programs that ask for transfers over HTTP, each on a connection
// of its own that stays open, as fast as they are answered. The loops are the
// same whatever answers: the API of a server, or the raw log.
type APILoad struct {
	url      string
	token    auth.Token
	accounts []string
	currency string
	client   *http.Client
	web      *http.Server
	close    func() error
	asked    atomic.Int64
	run      string // so that no key is that of an earlier load on the same books
}

// NewAPILoad registers members with money in a server, and serves its API on a
// free port of this machine.
func NewAPILoad(ctx context.Context, s *server.Server, members int) (*APILoad, error) {
	crowd, err := NewLoad(ctx, s, members)
	if err != nil {
		return nil, err
	}
	l := &APILoad{currency: s.Settings.Currency().Code, close: func() error { return nil }}
	err = s.DB.Update(ctx, func(tx *store.Tx) error {
		for _, m := range crowd.ids {
			a, err := tx.AccountOf(ctx, m, s.Settings.Currency())
			if err != nil {
				return err
			}
			l.accounts = append(l.accounts, fmt.Sprintf("acc_%d", a.ID))
		}
		var k auth.Key
		k, l.token, err = auth.Issue(ctx, tx, treasury.Operator, "load", []auth.Scope{auth.Transfer})
		l.run = k.ID
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("prepare the load: %w", err)
	}
	return l, l.serve(ctx, rest.New(rest.Parts{DB: s.DB, Desk: s.Desk, Merchants: s.Merchants}))
}

// NewRawAPILoad serves RawHTTP over a new log at a path, for as many accounts.
func NewRawAPILoad(ctx context.Context, path string, members int) (*APILoad, error) {
	log, err := NewRawLog(path)
	if err != nil {
		return nil, err
	}
	l := &APILoad{token: "maillon_raw", currency: "RAW", close: log.Close, run: "raw"}
	for n := range members {
		l.accounts = append(l.accounts, fmt.Sprintf("acc_%d", n+1))
	}
	return l, l.serve(ctx, NewRawHTTP(log, l.accounts, loadFunds))
}

// serve listens, and gives the clients their connections.
func (l *APILoad) serve(ctx context.Context, h http.Handler) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return errors.Join(err, l.close())
	}
	l.url = "http://" + listener.Addr().String()
	l.web = &http.Server{Handler: h, ReadHeaderTimeout: apiHeader}
	go func() { _ = l.web.Serve(listener) }() // until Close
	l.client = &http.Client{Timeout: apiTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: loadAtOnce, DisableCompression: true}}
	return nil
}

// Close ends the connections and the listener, and closes a raw log. A server
// is left open.
func (l *APILoad) Close() error {
	l.client.CloseIdleConnections()
	return errors.Join(l.web.Close(), l.close())
}

// Transfers measures single transfers. hot makes all of them pay one account.
func (l *APILoad) Transfers(ctx context.Context, clients int, d time.Duration, hot bool) (Measure, error) {
	return measure(ctx, clients, d, func(r *rand.Rand, _ int) error {
		body, err := json.Marshal(l.draw(r, hot))
		if err != nil {
			return err
		}
		return l.post(ctx, "/v1/transfers", l.key(), body, http.StatusCreated, nil)
	})
}

// Bulk measures requests of 100 transfers. What it counts is transfers; the
// latencies are those of requests.
func (l *APILoad) Bulk(ctx context.Context, clients int, d time.Duration, hot bool) (Measure, error) {
	m, err := measure(ctx, clients, d, func(r *rand.Rand, _ int) error {
		var asked rest.BulkRequest
		for range apiBulk {
			asked.Transfers = append(asked.Transfers, rest.BulkItem{IdempotencyKey: l.key(), TransferRequest: l.draw(r, hot)})
		}
		body, err := json.Marshal(asked)
		if err != nil {
			return err
		}
		return l.post(ctx, "/v1/transfers/bulk", "", body, http.StatusOK, allCreated)
	})
	m.Done, m.PerSecond = m.Done*apiBulk, m.PerSecond*apiBulk
	return m, err
}

// allCreated refuses an answer in which a transfer was not done.
func allCreated(body []byte) error {
	if n := bytes.Count(body, []byte(`{"status":201,`)); n != apiBulk {
		return fmt.Errorf("%d of %d transfers were done", n, apiBulk)
	}
	return nil
}

func (l *APILoad) key() string { return fmt.Sprintf("%s-%d", l.run, l.asked.Add(1)) }

func (l *APILoad) draw(r *rand.Rand, hot bool) rest.TransferRequest {
	from := 1 + r.IntN(len(l.accounts)-1)
	to := 0
	if !hot {
		to = (from + 1 + r.IntN(len(l.accounts)-1)) % len(l.accounts)
	}
	return rest.TransferRequest{From: l.accounts[from], To: l.accounts[to], Amount: 1, Currency: l.currency}
}

func (l *APILoad) post(ctx context.Context, path, key string, body []byte, want int, check func([]byte) error) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+string(l.token))
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	answer, err := l.client.Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, apiAnswer))
	switch {
	case err != nil:
		return fmt.Errorf("read the answer: %w", err)
	case answer.StatusCode != want:
		return fmt.Errorf("the answer is %d: %s", answer.StatusCode, text)
	case check != nil:
		return check(text)
	}
	return nil
}
