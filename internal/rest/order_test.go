package rest_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"

	"maillon/internal/member"
	"maillon/internal/phrase"
	"maillon/internal/store"
)

// Whoever is frozen pays nothing from that moment on, and so does everybody
// when payments are paused, also between many who are served by one commit.
// Where it came to nothing, all pay.
func TestAFreezeHoldsFromItsMoment(t *testing.T) {
	nothing := errors.New("nothing of it is done")
	freeze := func(ctx context.Context, tx *store.Tx, m *member.Member) error {
		m.FrozenAt, m.FrozenBy = tx.Now(), member.Desk
		return tx.SaveMember(ctx, m)
	}
	const paid, refused = http.StatusCreated, http.StatusUnprocessableEntity
	for _, c := range []struct {
		name string
		stop func(ctx context.Context, tx *store.Tx, m *member.Member) error
		want []int
	}{
		{"a freeze", freeze, []int{paid, refused, refused}},
		{"a freeze that comes to nothing", func(ctx context.Context, tx *store.Tx, m *member.Member) error {
			return errors.Join(freeze(ctx, tx, m), nothing)
		}, []int{paid, paid, paid}},
		{"a pause", func(ctx context.Context, tx *store.Tx, _ *member.Member) error {
			return tx.SetPaused(ctx, tx.Now())
		}, []int{paid, http.StatusServiceUnavailable, http.StatusServiceUnavailable}},
	} {
		t.Run(c.name, func(t *testing.T) {
			book, err := phrase.Shipped()
			if err != nil {
				t.Fatal(err)
			}
			contract := readContract(t)
			synctest.Test(t, func(t *testing.T) {
				d := openDesk(t, store.Memory, book, contract)
				balances(d)
				d.ask(http.MethodGet, "/v1/accounts/acc_2", headers(d, "till", ""), "") // the key is known from here on
				// Whoever asks now waits for one who is slow, and is served with all others.
				slow := make(chan struct{})
				go func() {
					if err := d.server.DB.Update(t.Context(), func(*store.Tx) error { <-slow; return nil }); err != nil {
						t.Error(err)
					}
				}()
				synctest.Wait()
				got := make([]int, len(c.want))
				for n := range got {
					go func() {
						got[n] = d.ask(http.MethodPost, "/v1/transfers", headers(d, "till", string(rune('a'+n))), transfer("acc_2", "acc_3", 1)).Code
					}()
					synctest.Wait()
					if n > 0 {
						continue
					}
					go func() {
						err := d.server.DB.Update(t.Context(), func(tx *store.Tx) error {
							m, err := tx.Member(t.Context(), d.members["yann"])
							return errors.Join(err, c.stop(t.Context(), tx, m))
						})
						if err != nil && !errors.Is(err, nothing) {
							t.Error(err)
						}
					}()
					synctest.Wait()
				}
				close(slow)
				synctest.Wait()
				if !slices.Equal(got, c.want) {
					t.Errorf("the answers are %v, want %v", got, c.want)
				}
			})
		})
	}
}

// A command beside the server, or another server, freezes: it holds at once here.
func TestAFreezeFromElsewhereHolds(t *testing.T) {
	onKeepers(t, func(t *testing.T, d *desk) {
		here, elsewhere := d.server, d.beside()
		pay := func(key string, want int) {
			t.Helper()
			if got := d.ask(http.MethodPost, "/v1/transfers", headers(d, "till", key), transfer("acc_2", "acc_3", 1)); got.Code != want {
				t.Errorf("%s is answered %d %s", key, got.Code, got.Body)
			}
		}
		act := func(what string) {
			d.server = elsewhere
			d.act(what)
			d.server = here
		}
		pay("first", http.StatusCreated)
		act("freeze yann")
		pay("frozen", http.StatusUnprocessableEntity)
		act("unfreeze yann")
		pay("unfrozen", http.StatusCreated)
		act("pause")
		pay("paused", http.StatusServiceUnavailable)
		act("resume")
		pay("resumed", http.StatusCreated)
	})
}
