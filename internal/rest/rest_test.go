package rest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"maillon/internal/phrase"
	"maillon/internal/rest"
	"maillon/internal/store"
	"maillon/internal/store/pgtest"
)

// onKeepers runs a test on every kind of database.
func onKeepers(t *testing.T, test func(t *testing.T, d *desk)) {
	book, err := phrase.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	c := readContract(t)
	for name, where := range map[string]func(t *testing.T) string{
		"sqlite":   func(t *testing.T) string { return filepath.Join(t.TempDir(), "books.db") },
		"postgres": func(t *testing.T) string { return pgtest.New(t) },
	} {
		t.Run(name, func(t *testing.T) { test(t, openDesk(t, where(t), book, c)) })
	}
}

// json returns the headers of a transfer with a key.
func headers(d *desk, who, key string) http.Header {
	h := http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + string(d.tokens[who])}}
	if key != "" {
		h.Set("Idempotency-Key", key)
	}
	return h
}

func transfer(from, to string, amount int) string {
	return fmt.Sprintf(`{"from": %q, "to": %q, "amount": %d, "currency": "MAILLON"}`, from, to, amount)
}

// balances returns what accounts have, as the API says it.
func balances(d *desk) map[string]int64 {
	d.t.Helper()
	answer := d.ask(http.MethodGet, "/v1/accounts?limit=100", headers(d, "books", ""), "")
	var page struct {
		Data []struct {
			ID        string
			Available int64
			Balance   int64
		}
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &page); err != nil {
		d.t.Fatalf("%v: %s", err, answer.Body)
	}
	all := map[string]int64{}
	for _, a := range page.Data {
		all[a.ID] = a.Balance
	}
	return all
}

// A program that hears nothing asks again, many times at once: one transfer.
func TestWhoeverAsksAgainIsAnsweredTheSame(t *testing.T) {
	onKeepers(t, func(t *testing.T, d *desk) {
		const askers = 20
		answers := make([]*httptest.ResponseRecorder, askers)
		var all sync.WaitGroup
		for n := range answers {
			all.Go(func() {
				r := httptest.NewRequest(http.MethodPost, "/v1/transfers", strings.NewReader(transfer("acc_2", "acc_3", 10)))
				r.Header = headers(d, "till", "order-1")
				answers[n] = httptest.NewRecorder()
				d.api.ServeHTTP(answers[n], r)
			})
		}
		all.Wait()
		first := 0
		for _, a := range answers {
			if a.Code != http.StatusCreated || a.Body.String() != answers[0].Body.String() {
				t.Errorf("answered %d %s, another %s", a.Code, a.Body, answers[0].Body)
			}
			if a.Header().Get("Idempotent-Replayed") == "" {
				first++
			}
		}
		if first != 1 {
			t.Errorf("%d of %d answers say that it was done now", first, askers)
		}
		if got := balances(d); got["acc_2"] != funds-10 || got["acc_3"] != funds+10 {
			t.Errorf("the balances are %v", got)
		}
	})
}

// Many programs spend the same money: it is spent once, and nobody is below zero.
func TestTheSameMoneyIsSpentOnce(t *testing.T) {
	onKeepers(t, func(t *testing.T, d *desk) {
		const askers = 30 // each asks for a tenth of it
		var mu sync.Mutex
		codes := map[int]int{}
		var all sync.WaitGroup
		for n := range askers {
			all.Go(func() {
				r := httptest.NewRequest(http.MethodPost, "/v1/transfers", strings.NewReader(transfer("acc_2", "acc_3", funds/10)))
				r.Header = headers(d, "till", fmt.Sprint("order-", n))
				answer := httptest.NewRecorder()
				d.api.ServeHTTP(answer, r)
				mu.Lock()
				defer mu.Unlock()
				codes[answer.Code]++
			})
		}
		all.Wait()
		if codes[http.StatusCreated] != 10 || codes[http.StatusUnprocessableEntity] != askers-10 {
			t.Errorf("the answers are %v", codes)
		}
		if got := balances(d); got["acc_2"] != 0 || got["acc_3"] != 2*funds {
			t.Errorf("the balances are %v", got)
		}
	})
}

// What one keeper answers, the other does: pauses, freezes, lists.
func TestBothKeepersRefuseTheSame(t *testing.T) {
	onKeepers(t, func(t *testing.T, d *desk) {
		post := func(key string) string {
			return d.ask(http.MethodPost, "/v1/transfers", headers(d, "till", key), transfer("acc_2", "acc_3", 1)).Body.String()
		}
		d.act("pause")
		if got := post("a"); !strings.Contains(got, `"payments_paused"`) {
			t.Errorf("while paused: %s", got)
		}
		d.act("resume")
		d.act("freeze yann")
		if got := post("b"); !strings.Contains(got, `"account_blocked"`) {
			t.Errorf("from a frozen account: %s", got)
		}
		d.act("unfreeze yann")
		if got := post("c"); !strings.Contains(got, `"txn_4"`) {
			t.Errorf("afterwards: %s", got)
		}
		got := d.ask(http.MethodGet, "/v1/transfers?account=acc_2&after=txn_1&limit=1", headers(d, "books", ""), "").Body.String()
		if !strings.HasPrefix(got, `{"data":[{"id":"txn_4",`) || strings.Contains(got, "next") {
			t.Errorf("the list is %s", got)
		}
		bulk := `{"transfers": [{"idempotency_key": "c", "from": "acc_2", "to": "acc_3", "amount": 1, "currency": "MAILLON"},
			{"idempotency_key": "d", "from": "acc_2", "to": "acc_3", "amount": 1000, "currency": "MAILLON"}]}`
		got = d.ask(http.MethodPost, "/v1/transfers/bulk", headers(d, "till", ""), bulk).Body.String()
		if !strings.Contains(got, `"replayed":true`) || !strings.Contains(got, `"insufficient_funds"`) {
			t.Errorf("many: %s", got)
		}
		d.act("revoke till")
		d.api = rest.New(rest.Parts{DB: d.server.DB, Desk: d.server.Desk, Merchants: d.server.Merchants})
		if got := post("e"); !strings.Contains(got, `"unauthorized"`) {
			t.Errorf("with a revoked key: %s", got)
		}
	})
}

func onMemory(t *testing.T) *desk {
	t.Helper()
	book, err := phrase.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	return openDesk(t, store.Memory, book, readContract(t))
}

// A body has a bound, and what is beyond is not read.
func TestBodiesAreBounded(t *testing.T) {
	d := onMemory(t)
	long := strings.Repeat(" ", 4<<10) + transfer("acc_2", "acc_3", 1)
	if got := d.ask(http.MethodPost, "/v1/transfers", headers(d, "till", "a"), long); got.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a long body is answered %d %s", got.Code, got.Body)
	}
	item := `{"idempotency_key": "a", "from": "acc_2", "to": "acc_3", "amount": 1, "currency": "MAILLON"},`
	many := `{"transfers": [` + strings.TrimSuffix(strings.Repeat(item, 101), ",") + `]}`
	if got := d.ask(http.MethodPost, "/v1/transfers/bulk", headers(d, "till", ""), many); got.Code != http.StatusBadRequest {
		t.Errorf("101 transfers are answered %d %s", got.Code, got.Body)
	}
	if got := d.ask(http.MethodPost, "/v1/transfers", headers(d, "till", strings.Repeat("k", 129)), transfer("acc_2", "acc_3", 1)); got.Code != http.StatusBadRequest {
		t.Errorf("a key of 129 letters is answered %d %s", got.Code, got.Body)
	}
}

// Whoever is cut off is never told that it was done.
func TestWhoIsCutOffIsNotAnsweredWell(t *testing.T) {
	d := onMemory(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 { // the second time, the key is known
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/transfers", strings.NewReader(transfer("acc_2", "acc_3", 1)))
		r.Header = headers(d, "till", "order-1")
		answer := httptest.NewRecorder()
		d.api.ServeHTTP(answer, r)
		if answer.Code != http.StatusServiceUnavailable || !strings.Contains(answer.Body.String(), `"unavailable"`) {
			t.Errorf("answered %d %s", answer.Code, answer.Body)
		}
		d.ask(http.MethodGet, "/v1/accounts/acc_2", headers(d, "till", ""), "")
	}
	if got := balances(d); got["acc_2"] != funds {
		t.Errorf("the balances are %v", got)
	}
	if err := d.server.Close(); err != nil {
		t.Fatal(err)
	}
	if answer := d.ask(http.MethodGet, "/v1/accounts/acc_2", headers(d, "books", ""), ""); answer.Code != http.StatusServiceUnavailable {
		t.Errorf("a closed server answers %d %s", answer.Code, answer.Body)
	}
}

// Nothing that a program wrote, and no key, is found in what is kept for ever.
func TestTheBooksDoNotRepeatWhatWasWritten(t *testing.T) {
	d := onMemory(t)
	log := quiet(t)
	const key = "order-of-0639980012"
	if got := d.ask(http.MethodPost, "/v1/transfers", headers(d, "till", key), transfer("acc_2", "acc_3", 1)); got.Code != http.StatusCreated {
		t.Fatalf("answered %d %s", got.Code, got.Body)
	}
	d.ask(http.MethodPost, "/v1/transfers", headers(d, "till", key+" "), `{"memo": "0639980012"}`)
	d.update(func(ctx context.Context, tx *store.Tx) error {
		all, err := tx.Transactions(ctx, 3, 1)
		if err != nil || len(all) != 1 {
			return fmt.Errorf("%d transactions: %w", len(all), err)
		}
		if name := all[0].Key; strings.Contains(name, "0639980012") || !strings.HasPrefix(name, "api:"+d.ids["till"]+":") {
			t.Errorf("the key in the books is %s", name)
		}
		return nil
	})
	for _, secret := range []string{string(d.tokens["till"]), "0639980012"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log repeats it: %s", log)
		}
	}
}
