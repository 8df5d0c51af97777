package rest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"maillon/internal/phrase"
	"maillon/internal/store"
	"maillon/internal/webhook"
)

const newEndpoint = `{"url": "https://souk.example.org/maillon", "events": ["*"]}`

// post sends a request that is not held to the contract, for many at once.
func post(d *desk, path, body string, header http.Header) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header = header
	answer := httptest.NewRecorder()
	d.api.ServeHTTP(answer, r)
	return answer
}

// A shop that hears nothing asks again, many times at once: one endpoint is made,
// and whoever is answered is answered the same, to the last letter of the secret.
func TestAMerchantIsServedOnceForEachKey(t *testing.T) {
	onKeepers(t, func(t *testing.T, d *desk) {
		d.act("merchant souk")
		const askers = 20
		answers := make([]*httptest.ResponseRecorder, askers)
		var all sync.WaitGroup
		for n := range answers {
			all.Go(func() { answers[n] = post(d, "/v1/webhook_endpoints", newEndpoint, headers(d, "souk", "first")) })
		}
		all.Wait()
		again := d.ask(http.MethodPost, "/v1/webhook_endpoints", headers(d, "souk", "first"), newEndpoint)
		if again.Code != http.StatusCreated || again.Header().Get("Idempotent-Replayed") != "true" || !strings.Contains(again.Body.String(), "whsec_") {
			t.Fatalf("asked again: %d %s", again.Code, again.Body)
		}
		made := 0
		for _, a := range answers {
			switch {
			case a.Code == http.StatusCreated && a.Body.String() == again.Body.String():
				if a.Header().Get("Idempotent-Replayed") == "" {
					made++
				}
			case a.Code == http.StatusConflict && strings.Contains(a.Body.String(), `"idempotency_key_running"`):
			default:
				t.Errorf("answered %d %s", a.Code, a.Body)
			}
		}
		if made != 1 {
			t.Errorf("%d of %d answers say that it was done now", made, askers)
		}
		var there []webhook.Endpoint
		d.update(func(ctx context.Context, tx *store.Tx) (err error) {
			there, err = webhook.Endpoints(ctx, tx, d.merchants["souk"])
			return err
		})
		if len(there) != 1 {
			t.Errorf("%d endpoints were made", len(there))
		}
	})
}

// While the first request with a key is at work, the next is told so.
func TestARequestAtWorkIsNotDoneTwice(t *testing.T) {
	d := onMemory(t)
	d.act("merchant souk")
	post(d, "/v1/events/evt_1/resend", `{}`, headers(d, "souk", "warm")) // the key is known from here on
	slow, begun := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		err := d.server.DB.Update(context.Background(), func(*store.Tx) error {
			close(begun)
			<-slow
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-begun
	const askers = 2
	codes := make(chan int, askers)
	for range askers {
		all.Go(func() { codes <- post(d, "/v1/webhook_endpoints", newEndpoint, headers(d, "souk", "first")).Code })
	}
	if first := <-codes; first != http.StatusConflict { // the other one waits for its turn
		t.Errorf("while it is at work: %d", first)
	}
	close(slow)
	if last := <-codes; last != http.StatusCreated {
		t.Errorf("the one that was at work: %d", last)
	}
	all.Wait()
}

// What is kept of a request does not tell who asked for what, nor the secret that
// was answered; and it goes when its day is over.
func TestWhatIsKeptOfARequestTellsNothing(t *testing.T) {
	book, err := phrase.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	c := readContract(t)
	synctest.Test(t, func(t *testing.T) {
		d := openDesk(t, store.Memory, book, c)
		d.act("merchant souk")
		answer := d.ask(http.MethodPost, "/v1/webhook_endpoints", headers(d, "souk", "order-of-0639980012"), newEndpoint)
		var made struct{ Secret string }
		if err := json.Unmarshal(answer.Body.Bytes(), &made); err != nil || made.Secret == "" {
			t.Fatalf("%v: %s", err, answer.Body)
		}
		kept := func() (all []store.Record) {
			d.update(func(ctx context.Context, tx *store.Tx) (err error) {
				all, err = tx.Records(ctx, store.RecordsWhere{Kind: "idempotency"}, 100)
				return err
			})
			return all
		}
		for _, r := range kept() {
			for _, secret := range []string{"0639980012", "souk.example.org", made.Secret, "whsec_"} {
				if strings.Contains(r.Ref+string(r.Body), secret) {
					t.Errorf("what is kept tells %s", secret)
				}
			}
		}
		time.Sleep(25 * time.Hour)
		for n := range 3 {
			d.ask(http.MethodPost, "/v1/webhook_endpoints", headers(d, "souk", fmt.Sprint("later-", n)), newEndpoint)
		}
		if n := len(kept()); n != 3 {
			t.Errorf("%d requests are kept, want the 3 of today", n)
		}
	})
}

// One key asks so much and no more; another goes on meanwhile, and so does a good
// key from where bad ones come.
func TestTooMuchIsRefusedForAWhile(t *testing.T) {
	book, err := phrase.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	c := readContract(t)
	synctest.Test(t, func(t *testing.T) {
		d := openDesk(t, store.Memory, book, c)
		d.act("merchant souk")
		d.act("merchant bazar")
		get := func(who string) *httptest.ResponseRecorder {
			return d.ask(http.MethodGet, "/v1/events", headers(d, who, ""), "")
		}
		refused := func(who string, at int) {
			t.Helper()
			for n := range at {
				if got := get(who); got.Code == http.StatusTooManyRequests {
					t.Fatalf("%s is refused at request %d", who, n+1)
				}
			}
			got := get(who)
			wait, err := strconv.Atoi(got.Header().Get("Retry-After"))
			if got.Code != http.StatusTooManyRequests || err != nil || wait < 1 || !strings.Contains(got.Body.String(), `"rate_limited"`) {
				t.Fatalf("%s, one more: %d, Retry-After %q, %s", who, got.Code, got.Header().Get("Retry-After"), got.Body)
			}
		}
		refused("souk", 100)
		if got := get("bazar"); got.Code != http.StatusOK {
			t.Errorf("another key is answered %d", got.Code)
		}
		refused("nobody", 30)
		if got := get("bazar"); got.Code != http.StatusOK {
			t.Errorf("a good key from where bad ones come is answered %d", got.Code)
		}
		time.Sleep(2 * time.Second)
		if got := get("souk"); got.Code != http.StatusOK {
			t.Errorf("two seconds later: %d", got.Code)
		}
		if got := get("nobody"); got.Code != http.StatusUnauthorized {
			t.Errorf("two seconds later, without a key: %d", got.Code)
		}
	})
}
