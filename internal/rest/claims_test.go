package rest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// twoSlots lets a client pay for two orders, and returns her code.
func twoSlots(t *testing.T, d *desk) (code string) {
	t.Helper()
	d.act("merchant souk")
	w := d.ask(http.MethodPost, "/v1/policies", headers(d, "souk-test", "policy"),
		`{"keyword": "SOUK", "kind": "deposit", "currency": "MAD", "price": 1000, "deposit": 1000, "max_orders": 2}`)
	if w.Code != http.StatusCreated {
		t.Fatalf("no policy: %s", w.Body)
	}
	w = d.ask(http.MethodPost, "/v1/test/inbound_messages", headers(d, "souk-test", ""),
		`{"from": "+212600000001", "text": "souk", "id": "m1", "charge": {"currency": "MAD", "gross": 1000}}`)
	if code = codeForm.FindString(w.Body.String()); code == "" {
		t.Fatalf("no code: %s", w.Body)
	}
	return code
}

// claimAll asks for many claims at once, and returns the answers.
func claimAll(d *desk, code string, n int, ref, key func(int) string) []*httptest.ResponseRecorder {
	all := make([]*httptest.ResponseRecorder, n)
	var wait sync.WaitGroup
	for at := range all {
		wait.Go(func() {
			body := fmt.Sprintf(`{"code": %q, "order_ref": %q, "order_total": 5000, "currency": "MAD"}`, code, ref(at))
			r := httptest.NewRequest(http.MethodPost, "/v1/claims", strings.NewReader(body))
			r.Header = headers(d, "souk-test", key(at))
			all[at] = httptest.NewRecorder()
			d.api.ServeHTTP(all[at], r)
		})
	}
	wait.Wait()
	return all
}

func numbered(word string) func(int) string {
	return func(n int) string { return fmt.Sprint(word, n) }
}

func always(word string) func(int) string { return func(int) string { return word } }

// Many carts come for the last slots: as many orders as there are slots.
func TestManyCartsShareTheLastSlots(t *testing.T) {
	onKeepers(t, func(t *testing.T, d *desk) {
		const carts = 30
		codes := map[string]int{}
		for _, w := range claimAll(d, twoSlots(t, d), carts, numbered("order-"), numbered("key-")) {
			var p struct{ Code string }
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
				t.Fatal(err)
			}
			codes[fmt.Sprintf("%d %s", w.Code, p.Code)]++
		}
		if codes["201 "] != 2 || codes["409 authorization_exhausted"] != carts-2 {
			t.Errorf("the answers are %v", codes)
		}
	})
}

// The same order is asked for again and again, under one key and under many: it is
// one claim.
func TestOneOrderIsOneClaim(t *testing.T) {
	onKeepers(t, func(t *testing.T, d *desk) {
		code := twoSlots(t, d)
		claims := map[string]bool{}
		fresh := 0
		for _, w := range append(claimAll(d, code, 20, always("1042"), numbered("key-")), claimAll(d, code, 20, always("1042"), always("key"))...) {
			switch w.Code {
			case http.StatusCreated:
				if w.Header().Get("Idempotent-Replayed") == "" {
					fresh++
				}
			case http.StatusOK:
			case http.StatusConflict:
				if !strings.Contains(w.Body.String(), `"idempotency_key_running"`) {
					t.Errorf("answered %s", w.Body)
				}
				continue
			default:
				t.Errorf("answered %d %s", w.Code, w.Body)
			}
			var claim struct{ ID string }
			if err := json.Unmarshal(w.Body.Bytes(), &claim); err != nil {
				t.Fatal(err)
			}
			claims[claim.ID] = true
		}
		if fresh != 1 || len(claims) != 1 {
			t.Errorf("%d answers say that a claim was made, of %v", fresh, claims)
		}
	})
}

// Codes are not guessed by asking for claims, in whichever mode.
func TestCodesAreNotGuessedByAskingForClaims(t *testing.T) {
	for _, mode := range []string{"gate", "request"} {
		t.Run(mode, func(t *testing.T) {
			onKeepers(t, func(t *testing.T, d *desk) {
				code := twoSlots(t, d)
				claim := func(code, ref string) int {
					body := fmt.Sprintf(`{"code": %q, "order_ref": %q, "order_total": 5000, "currency": "MAD", "mode": %q}`, code, ref, mode)
					return d.ask(http.MethodPost, "/v1/claims", headers(d, "souk-test", code+ref), body).Code
				}
				for n := range 5 {
					if got := claim(fmt.Sprintf("BBBB-BBB%d", n+2), "1042"); got != http.StatusConflict {
						t.Errorf("try %d: %d", n+1, got)
					}
				}
				if got := claim(code, "1042"); got != http.StatusTooManyRequests {
					t.Errorf("after five: %d", got)
				}
			})
		})
	}
}
