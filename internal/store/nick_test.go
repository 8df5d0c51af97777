package store_test

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"maillon/internal/member"
	"maillon/internal/store"
)

// distance is the restricted Damerau-Levenshtein distance by its definition:
// letters added, dropped, changed, or swapped with their neighbour.
func distance(a, b string) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		for j := range d[i] {
			switch {
			case i == 0:
				d[i][j] = j
			case j == 0:
				d[i][j] = i
			default:
				cost := 1
				if a[i-1] == b[j-1] {
					cost = 0
				}
				d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+cost)
				if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
					d[i][j] = min(d[i][j], d[i-2][j-2]+1)
				}
			}
		}
	}
	return d[len(a)][len(b)]
}

// A misspelt pseudo finds the one at distance 1, unless there are several.
func TestNeighboursOfAPseudo(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		word := rapid.StringMatching(`[abc]{3,5}`)
		nicks := rapid.SliceOfNDistinct(word, 1, 5, func(s string) string { return s }).Draw(rt, "nicks")
		db, err := store.Open(rt.Context(), store.Memory, secret)
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		owner := map[string]member.ID{}
		for n, nick := range nicks {
			owner[nick] = enrol(t, db, "+3363998000"+string(rune('1'+n)), nick).ID
		}
		for range 10 {
			typed := word.Draw(rt, "typed")
			var near []string
			for _, nick := range nicks {
				if distance(typed, nick) == 1 {
					near = append(near, nick)
				}
			}
			want := ""
			if len(near) == 1 {
				want = near[0]
			}
			if err := db.View(rt.Context(), func(tx *store.Tx) error {
				got, id, err := tx.Neighbour(rt.Context(), typed)
				if got != want || id != owner[want] {
					rt.Errorf("Neighbour(%q) among %q = %q, %d; want %q, %d", typed, nicks, got, id, want, owner[want])
				}
				return err
			}); err != nil {
				rt.Error(err)
			}
		}
	})
}

func TestAPseudoIsNotTakenByALookalike(t *testing.T) {
	db := open(t)
	lulu := enrol(t, db, lenaNumber, "lulu10")
	tom := enrol(t, db, tomNumber, "tom")
	taken := func(nick string, by member.ID) (is bool) {
		view(t, db, func(tx *store.Tx) (err error) {
			is, err = tx.NickTaken(t.Context(), nick, by)
			return err
		})
		return is
	}
	for _, c := range []struct {
		nick string
		by   member.ID
		want bool
	}{
		{"lulu10", tom.ID, true},
		{"1u1u10", tom.ID, true},
		{"lulul0", tom.ID, true},
		{"lulu1o", tom.ID, true},
		{"lulu10", lulu.ID, false},
		{"lulu11", tom.ID, false},
		{"lolo", tom.ID, false},
	} {
		if got := taken(c.nick, c.by); got != c.want {
			t.Errorf("NickTaken(%q, member %d) = %v, want %v", c.nick, c.by, got, c.want)
		}
	}
	update(t, db, func(tx *store.Tx) error { return tx.TakeNick(t.Context(), lulu, "lucie", tx.Now().Add(time.Hour)) })
	if !taken("lulu10", tom.ID) {
		t.Error("a pseudo just given up is free for somebody else")
	}
	view(t, db, func(tx *store.Tx) error {
		if _, err := tx.MemberByNick(t.Context(), "lulu10"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a pseudo given up still finds its member: %v", err)
		}
		return nil
	})
	if faults := verify(t, db); len(faults) > 0 {
		t.Errorf("faults are %q", faults)
	}
}
