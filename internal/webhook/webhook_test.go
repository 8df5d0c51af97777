package webhook_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"maillon/internal/duty"
	"maillon/internal/store"
	"maillon/internal/webhook"
)

const souk, bazar = 7, 8 // merchants

// A house is books with what carries their events.
type house struct {
	t    *testing.T
	db   *store.DB
	opts webhook.Options
}

func open(t *testing.T, o webhook.Options) *house {
	t.Helper()
	secret, err := store.NewSecret()
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), store.Memory, secret)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return &house{t, db, o}
}

func (h *house) update(do func(ctx context.Context, tx *store.Tx) error) {
	h.t.Helper()
	ctx := context.WithoutCancel(h.t.Context())
	if err := h.db.Update(ctx, func(tx *store.Tx) error { return do(ctx, tx) }); err != nil {
		h.t.Fatal(err)
	}
}

// run carries events until the test ends, or stop is called.
func (h *house) run() (stop func()) {
	ctx, cancel := context.WithCancel(h.t.Context())
	done := make(chan struct{})
	sender := webhook.NewSender(h.db, duty.New(h.db, false).Duty("webhooks", nil), h.opts)
	go func() {
		defer close(done)
		sender.Run(ctx)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	h.t.Cleanup(stop)
	return stop
}

func (h *house) endpoint(merchant int64, url string, types ...string) (webhook.Endpoint, webhook.Secret) {
	h.t.Helper()
	if len(types) == 0 {
		types = []string{webhook.Any}
	}
	p := webhook.Endpoint{Merchant: merchant, URL: url, Types: types}
	var secret webhook.Secret
	h.update(func(ctx context.Context, tx *store.Tx) (err error) {
		secret, err = h.opts.Add(ctx, tx, "operator", &p)
		return err
	})
	return p, secret
}

func (h *house) emit(merchant int64, typ, id string) {
	h.t.Helper()
	h.update(func(ctx context.Context, tx *store.Tx) error {
		return webhook.Emit(ctx, tx, merchant, typ, map[string]string{"id": id})
	})
}

// look returns an endpoint as it is, how it does, and what was carried to it.
func (h *house) look(p webhook.Endpoint) (now webhook.Endpoint, l webhook.Line, all []webhook.Delivery) {
	h.t.Helper()
	h.update(func(ctx context.Context, tx *store.Tx) (err error) {
		if now, err = webhook.EndpointByID(ctx, tx, p.Merchant, p.ID); err != nil {
			return err
		}
		if l, err = webhook.LineOf(ctx, tx, p.ID); err != nil {
			return err
		}
		all, err = webhook.Deliveries(ctx, tx, p.ID, 0, 100)
		return err
	})
	return now, l, all
}

// A shop is a receiver without a network, at every address there is. What it
// answers, it is told.
type shop struct {
	answer func(r *http.Request) int // a status; 0: never

	mu    sync.Mutex
	heard []call
}

type call struct {
	at     time.Time
	host   string
	header http.Header
	body   []byte
}

// RoundTrip implements http.RoundTripper.
func (s *shop) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.heard = append(s.heard, call{time.Now(), r.URL.Host, r.Header, body})
	s.mu.Unlock()
	status := http.StatusOK
	if s.answer != nil {
		status = s.answer(r)
	}
	if status == 0 {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader("thanks")), Header: http.Header{}, Request: r}, nil
}

func (s *shop) all(host string) (all []call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.heard {
		if host == "" || c.host == host {
			all = append(all, c)
		}
	}
	return all
}

// ids returns of what the calls to a host tell, in order.
func (s *shop) ids(t *testing.T, host string) string {
	t.Helper()
	var all []string
	for _, c := range s.all(host) {
		var e struct {
			Data struct{ Object struct{ ID string } }
		}
		if err := json.Unmarshal(c.body, &e); err != nil {
			t.Fatal(err)
		}
		all = append(all, e.Data.Object.ID)
	}
	return strings.Join(all, " ")
}

// bubble plays with a shop in no time.
func bubble(t *testing.T, answer func(r *http.Request) int, play func(t *testing.T, h *house, s *shop)) {
	synctest.Test(t, func(t *testing.T) {
		s := &shop{answer: answer}
		play(t, open(t, webhook.Options{Client: &http.Client{
			Transport: s, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}}), s)
	})
}

const shopURL = "https://souk.example.org/maillon"

// Whoever registered hears what happens to their merchant, in its order, signed
// with their secret, and nobody else's.
func TestAMerchantIsTold(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house, s *shop) {
		h.run()
		p, secret := h.endpoint(souk, shopURL)
		h.endpoint(souk, "https://few.example.org/", "claim.honoured", "claim.released")
		h.endpoint(bazar, "https://bazar.example.org/")
		h.emit(souk, "claim.opened", "clm_1")
		h.emit(souk, "claim.honoured", "clm_1")
		h.emit(souk, "claim.opened", "clm_2")
		synctest.Wait()
		if got := s.ids(t, "souk.example.org"); got != "clm_1 clm_1 clm_2" {
			t.Errorf("the shop heard of %q", got)
		}
		if got := s.ids(t, "few.example.org"); got != "clm_1" {
			t.Errorf("who wants little heard of %q", got)
		}
		if got := s.ids(t, "bazar.example.org"); got != "" {
			t.Errorf("another merchant heard of %q", got)
		}
		first := s.all("souk.example.org")[0]
		id, at, signature := first.header.Get("webhook-id"), first.header.Get("webhook-timestamp"), first.header.Get("webhook-signature")
		if err := secret.Verify(id, at, signature, first.body, time.Now()); err != nil {
			t.Errorf("the first call is not signed: %v", err)
		}
		var shown webhook.Shown
		if err := json.Unmarshal(first.body, &shown); err != nil || shown.ID != id || shown.Type != "claim.opened" || !shown.Livemode {
			t.Errorf("the first call says %s, %v", first.body, err)
		}
		// Who polls reads the same.
		h.update(func(ctx context.Context, tx *store.Tx) error {
			all, err := webhook.Events(ctx, tx, souk, 0, "", 10)
			if err != nil || len(all) != 3 {
				t.Fatalf("%d events, %v", len(all), err)
			}
			polled, err := json.Marshal(all[0].Show(false))
			if string(polled) != string(first.body) {
				t.Errorf("polled %s, called with %s", polled, first.body)
			}
			return err
		})
		if _, l, all := h.look(p); l.Waiting != 0 || len(all) != 3 || all[0].State != webhook.Delivered || all[0].Attempts[0].Status != 200 {
			t.Errorf("afterwards: %+v, %+v", l, all)
		}
	})
}

// What came to nothing tells nobody.
func TestWhatWasUndoneIsNotTold(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house, s *shop) {
		h.run()
		h.endpoint(souk, shopURL)
		undone := errors.New("undone")
		err := h.db.Update(t.Context(), func(tx *store.Tx) error {
			return errors.Join(webhook.Emit(t.Context(), tx, souk, "claim.opened", map[string]string{"id": "clm_1"}), undone)
		})
		synctest.Wait()
		if got := s.ids(t, ""); !errors.Is(err, undone) || got != "" {
			t.Errorf("the shop heard of %q, %v", got, err)
		}
	})
}

// What is not taken is tried again as Standard Webhooks says, with the same ID,
// signed anew, for three days; then the endpoint is left alone, and what has
// happened can still be read.
func TestWhatIsNotTakenIsTriedAgain(t *testing.T) {
	bubble(t, func(*http.Request) int { return http.StatusInternalServerError }, func(t *testing.T, h *house, s *shop) {
		h.run()
		p, secret := h.endpoint(souk, shopURL)
		began := time.Now()
		h.emit(souk, "claim.opened", "clm_1")
		time.Sleep(5 * 24 * time.Hour)
		calls := s.all("")
		want := []time.Duration{
			0, 5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
		}
		if len(calls) != len(want) {
			t.Fatalf("called %d times, want %d", len(calls), len(want))
		}
		last := began
		for n, c := range calls {
			if waited := c.at.Sub(last); waited < want[n] || waited > want[n]+want[n]/10 {
				t.Errorf("call %d came after %v, want %v and at most a tenth more", n+1, waited, want[n])
			}
			last = c.at
			if c.header.Get("webhook-id") != calls[0].header.Get("webhook-id") {
				t.Errorf("call %d has another ID", n+1)
			}
			err := secret.Verify(c.header.Get("webhook-id"), c.header.Get("webhook-timestamp"), c.header.Get("webhook-signature"), c.body, c.at)
			if err != nil {
				t.Errorf("call %d: %v", n+1, err)
			}
		}
		now, l, all := h.look(p)
		if now.Enabled || now.Why != webhook.WhyFailed || l.Waiting != 0 || all[0].State != webhook.Failed || len(all[0].Attempts) != len(want) {
			t.Errorf("afterwards: %+v, %+v, %+v", now, l, all)
		}
		// It is enabled again, and what failed is sent once more.
		s.answer = nil
		h.update(func(ctx context.Context, tx *store.Tx) error {
			now.Enabled = true
			if err := h.opts.Change(ctx, tx, "operator", &now); err != nil {
				return err
			}
			to, err := webhook.Resend(ctx, tx, "operator", souk, all[0].Event, 0)
			if len(to) != 1 {
				t.Errorf("sent once more to %v", to)
			}
			return err
		})
		synctest.Wait()
		if _, _, all := h.look(p); all[0].State != webhook.Delivered || len(s.all("")) != len(want)+1 {
			t.Errorf("sent once more: %+v", all)
		}
	})
}

// An answer says what is done: 410 ends it, and being sent elsewhere is no yes.
func TestWhatAnAnswerMeans(t *testing.T) {
	for status, want := range map[int]struct {
		taken, enabled bool
		why            string
	}{
		http.StatusOK:                 {true, true, ""},
		http.StatusAccepted:           {true, true, ""},
		http.StatusNoContent:          {true, true, ""},
		http.StatusMovedPermanently:   {false, true, "redirect"},
		http.StatusTemporaryRedirect:  {false, true, "redirect"},
		http.StatusNotModified:        {false, true, "redirect"},
		http.StatusBadRequest:         {false, true, "status"},
		http.StatusGone:               {false, false, "status"},
		http.StatusServiceUnavailable: {false, true, "status"},
		0:                             {false, true, "timeout"},
	} {
		bubble(t, func(*http.Request) int { return status }, func(t *testing.T, h *house, _ *shop) {
			h.run()
			p, _ := h.endpoint(souk, shopURL)
			h.emit(souk, "claim.opened", "clm_1")
			time.Sleep(webhook.Timeout + time.Second)
			now, _, all := h.look(p)
			a := all[0].Attempts[0]
			if (all[0].State == webhook.Delivered) != want.taken || now.Enabled != want.enabled || a.Why != want.why || a.Status != status {
				t.Errorf("%d: %+v, %+v", status, now, all[0])
			}
			if !want.enabled && now.Why != webhook.WhyGone {
				t.Errorf("%d: disabled for %q", status, now.Why)
			}
		})
	}
}

// A receiver that never answers costs its own merchant its time, and nobody else
// anything: a hundred of them beside one that does.
func TestWhoNeverAnswersKeepsNobodyWaiting(t *testing.T) {
	answer := func(r *http.Request) int {
		if strings.HasPrefix(r.URL.Host, "dead") {
			return 0
		}
		return http.StatusOK
	}
	bubble(t, answer, func(t *testing.T, h *house, s *shop) {
		h.run()
		const dead = 30 // fewer than calls that can be made at once
		for n := range dead {
			h.endpoint(int64(100+n), "https://dead"+strings.Repeat("x", n)+".example.org/")
		}
		p, _ := h.endpoint(souk, shopURL)
		for n := range dead {
			h.emit(int64(100+n), "claim.opened", "clm_9")
			h.emit(int64(100+n), "claim.honoured", "clm_9")
		}
		synctest.Wait()
		began := time.Now()
		const events = 20
		for range events {
			h.emit(souk, "claim.opened", "clm_1")
		}
		synctest.Wait()
		if got := len(s.all("souk.example.org")); got != events || time.Since(began) > 0 {
			t.Errorf("after %v the one that answers has heard %d of %d", time.Since(began), got, events)
		}
		time.Sleep(time.Hour)
		if _, l, _ := h.look(p); l.Waiting != 0 {
			t.Errorf("%d still wait", l.Waiting)
		}
		// Each of the dead was asked now and then, not all the time.
		for n := range dead {
			host := "dead" + strings.Repeat("x", n) + ".example.org"
			if got := len(s.all(host)); got < 4 || got > 10 {
				t.Errorf("%s was called %d times in an hour", host, got)
			}
		}
	})
}

// A secret is changed without a moment in which the receiver knows neither.
func TestASecretIsChanged(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house, s *shop) {
		h.run()
		p, before := h.endpoint(souk, shopURL)
		var after webhook.Secret
		h.update(func(ctx context.Context, tx *store.Tx) (err error) {
			after, err = webhook.Rotate(ctx, tx, "operator", &p, time.Hour)
			return err
		})
		good := func(secret webhook.Secret) bool {
			t.Helper()
			h.emit(souk, "claim.opened", "clm_1")
			synctest.Wait()
			all := s.all("")
			c := all[len(all)-1]
			return secret.Verify(c.header.Get("webhook-id"), c.header.Get("webhook-timestamp"), c.header.Get("webhook-signature"), c.body, time.Now()) == nil
		}
		if !good(before) || !good(after) {
			t.Error("one of both secrets is not good while they overlap")
		}
		time.Sleep(time.Hour)
		if good(before) || !good(after) {
			t.Error("afterwards it is not the new one alone that is good")
		}
		h.update(func(ctx context.Context, tx *store.Tx) (err error) {
			before = after
			after, err = webhook.Rotate(ctx, tx, "operator", &p, 0)
			return err
		})
		if good(before) || !good(after) {
			t.Error("a secret that was stolen is good after it was changed at once")
		}
		h.update(func(ctx context.Context, tx *store.Tx) error {
			_, err := webhook.Rotate(ctx, tx, "operator", &p, webhook.MaxOverlap+1)
			if !errors.Is(err, webhook.ErrOverlap) {
				t.Errorf("an overlap that is too long: %v", err)
			}
			return nil
		})
	})
}

// Books that were restored without the key of a secret call nobody with a bad
// signature: the endpoint says what it needs, and goes on once it has it.
func TestASecretThatIsLostIsAskedFor(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house, s *shop) {
		h.run()
		p, _ := h.endpoint(souk, shopURL)
		h.update(func(ctx context.Context, tx *store.Tx) error {
			all, err := tx.Records(ctx, store.RecordsWhere{Kind: "endpoint"}, 1)
			if err != nil {
				return err
			}
			var kept struct{ Sealed []byte }
			if err := json.Unmarshal(all[0].Body, &kept); err != nil {
				return err
			}
			return tx.EraseSealed(ctx, kept.Sealed)
		})
		h.emit(souk, "claim.opened", "clm_1")
		synctest.Wait()
		now, l, _ := h.look(p)
		if now.Enabled || now.Why != webhook.WhySecret || l.Waiting != 1 || len(s.all("")) != 0 {
			t.Errorf("without its secret: %+v, %+v, %d calls", now, l, len(s.all("")))
		}
		var secret webhook.Secret
		h.update(func(ctx context.Context, tx *store.Tx) (err error) {
			if secret, err = webhook.Rotate(ctx, tx, "operator", &now, time.Hour); err != nil {
				return err
			}
			now.Enabled = true
			return h.opts.Change(ctx, tx, "operator", &now)
		})
		synctest.Wait()
		if got := s.ids(t, ""); got != "clm_1" {
			t.Fatalf("with another one it heard of %q", got)
		}
		c := s.all("")[0]
		if err := secret.Verify(c.header.Get("webhook-id"), c.header.Get("webhook-timestamp"), c.header.Get("webhook-signature"), c.body, time.Now()); err != nil {
			t.Errorf("the call is not signed with it: %v", err)
		}
	})
}

// What waited when the server stopped is carried by the next one; what was cut
// off is carried again.
func TestTheNextServerGoesOn(t *testing.T) {
	bubble(t, func(*http.Request) int { return 0 }, func(t *testing.T, h *house, s *shop) {
		stop := h.run()
		p, _ := h.endpoint(souk, shopURL)
		h.emit(souk, "claim.opened", "clm_1")
		synctest.Wait()
		stop()
		h.emit(souk, "claim.honoured", "clm_1")
		s.mu.Lock()
		s.answer = nil
		s.mu.Unlock()
		h.run()
		synctest.Wait()
		if got := s.ids(t, ""); got != "clm_1 clm_1 clm_1" {
			t.Errorf("the shop heard of %q", got)
		}
		if _, l, all := h.look(p); l.Waiting != 0 || all[0].State != webhook.Delivered || all[1].State != webhook.Delivered {
			t.Errorf("afterwards: %+v, %+v", l, all)
		}
	})
}

// Events and what became of them are kept for a month, then gone.
func TestEventsAreKeptAMonth(t *testing.T) {
	bubble(t, nil, func(t *testing.T, h *house, _ *shop) {
		h.run()
		p, _ := h.endpoint(souk, shopURL)
		h.emit(souk, "claim.opened", "clm_1")
		time.Sleep(webhook.KeepEvents)
		h.emit(souk, "claim.opened", "clm_2")
		count := func() (events, deliveries int) {
			h.update(func(ctx context.Context, tx *store.Tx) error {
				all, err := webhook.Events(ctx, tx, souk, 0, "", 10)
				events = len(all)
				return err
			})
			_, _, all := h.look(p)
			return events, len(all)
		}
		if events, _ := count(); events != 2 {
			t.Errorf("after a month %d events are there", events)
		}
		time.Sleep(25 * time.Hour)
		if events, deliveries := count(); events != 1 || deliveries != 1 {
			t.Errorf("a day later %d events and %d deliveries are there", events, deliveries)
		}
		faults, err := h.db.Verify(t.Context(), nil)
		if err != nil || len(faults) > 0 {
			t.Errorf("the books: %v, %v", faults, err)
		}
	})
}

// What an endpoint that was off has missed for a month is forgotten, and takes no room
// in its queue from then on.
func TestWhatIsForgottenWaitsForNobody(t *testing.T) {
	status := http.StatusGone
	bubble(t, func(*http.Request) int { return status }, func(t *testing.T, h *house, s *shop) {
		h.run()
		p, _ := h.endpoint(souk, shopURL)
		h.update(func(ctx context.Context, tx *store.Tx) error {
			for range 3 {
				if err := webhook.Emit(ctx, tx, souk, "claim.opened", map[string]string{"id": "clm_1"}); err != nil {
					return err
				}
			}
			return nil
		})
		synctest.Wait()
		if now, l, _ := h.look(p); now.Enabled || l.Waiting != 3 {
			t.Fatalf("after 410 it is %v, and %d wait", now.Enabled, l.Waiting)
		}
		time.Sleep(webhook.KeepEvents + 48*time.Hour)
		status = http.StatusNoContent
		h.update(func(ctx context.Context, tx *store.Tx) error {
			now, err := webhook.EndpointByID(ctx, tx, souk, p.ID)
			if err != nil {
				return err
			}
			now.Enabled = true
			return h.opts.Change(ctx, tx, "operator", &now)
		})
		synctest.Wait()
		h.emit(souk, "claim.opened", "clm_2")
		synctest.Wait()
		if _, l, _ := h.look(p); l.Waiting != 0 {
			t.Errorf("%d wait, and nothing is there", l.Waiting)
		}
		if got := s.ids(t, ""); got != "clm_1 clm_2" {
			t.Errorf("the shop heard of %q", got)
		}
	})
}

// A merchant that is not told any more loses nothing else.
func TestAnEndpointThatIsRemovedHearsNothing(t *testing.T) {
	bubble(t, func(*http.Request) int { return http.StatusBadGateway }, func(t *testing.T, h *house, s *shop) {
		h.run()
		p, _ := h.endpoint(souk, shopURL)
		h.emit(souk, "claim.opened", "clm_1")
		synctest.Wait()
		h.update(func(ctx context.Context, tx *store.Tx) error { return webhook.End(ctx, tx, "operator", p) })
		h.emit(souk, "claim.opened", "clm_2")
		time.Sleep(7 * 24 * time.Hour)
		if got := s.ids(t, ""); got != "clm_1" {
			t.Errorf("the shop heard of %q", got)
		}
	})
}

func TestWhatIsNoEndpointIsNotMade(t *testing.T) {
	h := open(t, webhook.Options{})
	for name, c := range map[string]struct {
		webhook.Endpoint
		want error
	}{
		"no such event":    {webhook.Endpoint{URL: shopURL, Types: []string{"claim.eaten"}}, webhook.ErrTypes},
		"no event":         {webhook.Endpoint{URL: shopURL}, webhook.ErrTypes},
		"a long word":      {webhook.Endpoint{URL: shopURL, Types: []string{webhook.Any}, Description: strings.Repeat("x", 201)}, webhook.ErrDescription},
		"two lines":        {webhook.Endpoint{URL: shopURL, Types: []string{webhook.Any}, Description: "a\nb"}, webhook.ErrDescription},
		"a long address":   {webhook.Endpoint{URL: shopURL + strings.Repeat("x", 500), Types: []string{webhook.Any}}, webhook.ErrURL},
		"not https":        {webhook.Endpoint{URL: "http://souk.example.org/", Types: []string{webhook.Any}}, webhook.ErrURL},
		"a private number": {webhook.Endpoint{URL: "https://192.168.1.1/", Types: []string{webhook.Any}}, webhook.ErrAddress},
	} {
		c.Endpoint.Merchant = souk
		err := h.db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := h.opts.Add(t.Context(), tx, "operator", &c.Endpoint)
			return err
		})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	for n := range webhook.MaxEndpoints + 1 {
		err := h.db.Update(t.Context(), func(tx *store.Tx) error {
			_, err := h.opts.Add(t.Context(), tx, "operator", &webhook.Endpoint{Merchant: souk, URL: shopURL, Types: []string{webhook.Any}})
			return err
		})
		if full := n == webhook.MaxEndpoints; errors.Is(err, webhook.ErrTooMany) != full {
			t.Errorf("endpoint %d: %v", n+1, err)
		}
	}
}

// Nobody is called who is not on the public internet, however it is spelt.
func TestWhoIsNotPublic(t *testing.T) {
	for _, text := range []string{
		"127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.0.1", "169.254.169.254", "100.64.0.1", "100.127.255.255",
		"192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1", "fc00::1", "fd12:3456::1", "fe80::1",
		"fe80::1%eth0", "2606:4700::1%eth0", "fec0::1", "ff02::1", "2001:db8::1", "2001::1", "2002:7f00:1::", "2002:0a00:0001::", "3fff::1", "5f00::1",
	} {
		if a := netip.MustParseAddr(text); webhook.Public(a) {
			t.Errorf("%s is taken for public", text)
		}
	}
	for _, text := range []string{"9.9.9.9", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "193.0.0.1", "2606:4700::1", "2a01:e0a::1", "2001:4860:4860::8888"} {
		if a := netip.MustParseAddr(text); !webhook.Public(a) {
			t.Errorf("%s is not taken for public", text)
		}
	}
	for _, text := range []string{
		"https://localhost/", "https://LOCALHOST./", "https://printer/", "https://shop.local/", "https://db.internal/", "https://a.localhost/", "https://127.1/",
		"https://0x7f.0.0.1/", "https://2130706433/", "https://0177.0.0.1/", "https://10.0.0.1:8443/", "https://[::1]/", "https://[fe80::1%25eth0]/",
		"https://[::ffff:192.168.0.1]/", "https://1.2.3.0x1/", "http://souk.example.org/", "ftp://souk.example.org/", "https://user:word@souk.example.org/",
		"https://souk.example.org/#x", "https:souk.example.org", "https:///x", "//souk.example.org/", "souk.example.org", "", "https://souk.example.org:x/", "file:///etc/passwd",
	} {
		if got, err := webhook.CheckURL(text, webhook.Internet); err == nil {
			t.Errorf("%s is taken as %s", text, got)
		}
	}
	for _, text := range []string{shopURL, "https://souk.example.org", "https://9.9.9.9:8443/x?y=z", "https://xn--sok-5na.example/"} {
		if got, err := webhook.CheckURL(text, webhook.Internet); err != nil || got != text {
			t.Errorf("%s is taken as %s, %v", text, got, err)
		}
	}
	for text, reach := range map[string]webhook.Reach{
		"http://127.0.0.1:8080/": webhook.Loopback, "http://localhost:9000/x": webhook.Loopback, "https://[::1]/": webhook.Loopback,
		"http://192.168.0.7/": webhook.Anywhere, "https://printer/": webhook.Anywhere, "http://souk.example.org/": webhook.Anywhere,
		shopURL: webhook.Internet, "ftp://localhost/": webhook.Anywhere + 1, "http://a:b@localhost/": webhook.Anywhere + 1,
	} {
		for _, r := range []webhook.Reach{webhook.Internet, webhook.Loopback, webhook.Anywhere} {
			if _, err := webhook.CheckURL(text, r); (err == nil) != (r >= reach) {
				t.Errorf("%s, at reach %d: %v", text, r, err)
			}
		}
	}
}

// A name is looked up when it is registered: one that means a neighbour is
// refused at once, one that means nothing yet is not.
func TestANameIsLookedUpWhenItIsRegistered(t *testing.T) {
	o := webhook.Options{Local: true, Lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
		all := map[string][]netip.Addr{
			"souk.example.org": {netip.MustParseAddr("9.9.9.9"), netip.MustParseAddr("2606:4700::1")},
			"sly.example.org":  {netip.MustParseAddr("9.9.9.9"), netip.MustParseAddr("169.254.169.254")},
			"here.example.org": {netip.MustParseAddr("127.0.0.1")},
		}[host]
		if all == nil {
			return nil, errors.New("no such host")
		}
		return all, nil
	}}
	for _, c := range []struct {
		url  string
		test bool
		want error
	}{
		{"https://souk.example.org/", false, nil},
		{"https://later.example.org/", false, nil},
		{"https://sly.example.org/", false, webhook.ErrAddress},
		{"https://sly.example.org/", true, webhook.ErrAddress},
		{"https://here.example.org/", false, webhook.ErrAddress},
		{"https://here.example.org/", true, nil},
	} {
		if err := o.Look(t.Context(), c.url, c.test); !errors.Is(err, c.want) {
			t.Errorf("%s, test mode %v: %v, want %v", c.url, c.test, err, c.want)
		}
	}
}

// A name that was public when it was registered, and means this machine when it
// is called, is not called: what is checked is what is connected to.
func TestANameThatMeansThisMachineIsNotCalled(t *testing.T) {
	var mu sync.Mutex
	heard := 0
	receiver := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		heard++
	}))
	defer receiver.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(receiver.URL, "https://"), ":")
	h := open(t, webhook.Options{})
	loose := webhook.Options{Insecure: true} // as if the name had been a public one
	for _, url := range []string{receiver.URL, "https://localhost:" + port + "/"} {
		p := webhook.Endpoint{Merchant: souk, URL: url, Types: []string{webhook.Any}}
		h.update(func(ctx context.Context, tx *store.Tx) error {
			_, err := loose.Add(ctx, tx, "operator", &p)
			return err
		})
		h.emit(souk, "claim.opened", "clm_1")
		stop := h.run()
		a := h.attempt(p)
		stop()
		if a.Why != "address_not_public" || a.Status != 0 {
			t.Errorf("%s was called: %+v", url, a)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if heard != 0 {
		t.Errorf("the receiver on this machine was called %d times", heard)
	}
}

// attempt waits for the first call of an endpoint.
func (h *house) attempt(p webhook.Endpoint) webhook.Attempt {
	h.t.Helper()
	for range 1000 {
		_, _, all := h.look(p)
		if len(all) > 0 && len(all[0].Attempts) > 0 {
			return all[0].Attempts[0]
		}
		time.Sleep(5 * time.Millisecond)
	}
	h.t.Fatal("nobody was called")
	return webhook.Attempt{}
}

// Over a real connection: a good receiver is called and its long answer is not
// read to the end; one whose certificate nobody vouches for, one that sends us
// elsewhere and one that is away are not taken for good.
func TestOverARealConnection(t *testing.T) {
	var elsewhere sync.Once
	called := false
	receiver := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/long":
			for {
				if _, err := w.Write(make([]byte, 32<<10)); err != nil {
					return
				}
			}
		case "/moved":
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		case "/elsewhere":
			elsewhere.Do(func() { called = true })
		}
	}))
	defer receiver.Close()
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	roots := x509.NewCertPool()
	roots.AddCert(receiver.Certificate())
	trusting := webhook.NewClient(webhook.Anywhere)
	trusting.Transport.(*http.Transport).TLSClientConfig.RootCAs = roots
	for _, c := range []struct {
		url    string
		client *http.Client
		status int
		why    string
	}{
		{receiver.URL + "/good", trusting, 200, ""},
		{receiver.URL + "/long", trusting, 200, ""},
		{receiver.URL + "/moved", trusting, 307, "redirect"},
		{receiver.URL + "/good", nil, 0, "tls"},
		{strings.Replace(receiver.URL, "https", "http", 1) + "/good", trusting, 400, "status"},
		{away.URL, trusting, 0, "connection"},
	} {
		h := open(t, webhook.Options{Insecure: true, Client: c.client})
		p, _ := h.endpoint(souk, c.url)
		h.emit(souk, "claim.opened", "clm_1")
		stop := h.run()
		a := h.attempt(p)
		stop()
		if a.Status != c.status || a.Why != c.why {
			t.Errorf("%s: %+v, want %d %q", c.url, a, c.status, c.why)
		}
	}
	if called {
		t.Error("the sender went where it was sent")
	}
}
