package figures

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"html/template"

	"maillon/internal/auth"
	"maillon/internal/console/frame"
	"maillon/internal/report"
	"maillon/internal/store"
)

// What keeps the way to the wall for who is not signed in: the hash of a key,
// "" if there is none.
const wallState = "wall"

// wallDays is how far the wall looks back.
const wallDays = 90

// A wall is what a screen in the workshop shows. It names nobody.
type wall struct {
	Alone   bool // it was opened by its link, on a screen that nobody touches
	Now     report.Now
	Today   report.Figures // as of the last day that is counted
	Month   report.Figures // the last thirty
	Picture template.HTML
}

// showWall shows the wall to who may see figures, and to whoever has its link.
func (r room) showWall(v *frame.Visit) error {
	w := wall{Alone: !v.May(auth.SeeFigures)}
	err := v.View(func(ctx context.Context, tx *store.Tx) error {
		if err := admit(ctx, tx, v); err != nil {
			return err
		}
		last := report.DayOf(tx.Now(), r.server.Settings.Zone) - 1
		x, err := r.reader().Days(ctx, tx, report.Last(wallDays, last))
		if err != nil {
			return err
		}
		month, err := r.reader().Days(ctx, tx, report.Last(30, last))
		if err != nil {
			return err
		}
		w.Month, w.Today = month.Figures, x.Figures
		w.Picture = artist{v, &sheet{Report: x}}.circulation().SVG
		w.Now, err = r.reader().Now(ctx, tx)
		return err
	})
	if err != nil {
		return err
	}
	return v.Show("wall", w)
}

// admit lets in who may see figures, or has the link.
func admit(ctx context.Context, tx *store.Tx, v *frame.Visit) error {
	if v.May(auth.SeeFigures) {
		return nil
	}
	hash, err := tx.State(ctx, wallState)
	if err != nil {
		return err
	}
	if hash != "" && subtle.ConstantTimeCompare([]byte(hash), []byte(hashed(v.Request.URL.Query().Get("key")))) == 1 {
		return nil
	}
	if v.Who != nil {
		return frame.ErrMayNot
	}
	return auth.ErrUnknown
}

func hashed(key string) string {
	sum := sha256.Sum256([]byte("wall " + key))
	return hex.EncodeToString(sum[:])
}

// A link is what the page about the link knows.
type link struct {
	Open bool
	Path string // once, when it was just made
}

func (r room) showLink(v *frame.Visit) error {
	l := link{}
	err := v.View(func(ctx context.Context, tx *store.Tx) error {
		hash, err := tx.State(ctx, wallState)
		l.Open = hash != ""
		return err
	})
	if err != nil {
		return err
	}
	return v.Show("link", l)
}

// openWall makes a link; one that was made before ends.
func (r room) openWall(v *frame.Visit) error {
	key := rand.Text()
	err := v.Update(func(ctx context.Context, tx *store.Tx) error {
		tx.Act(v.By(), "wall.open", "", "")
		return tx.SetState(ctx, wallState, hashed(key))
	})
	if err != nil {
		return err
	}
	return v.Show("link", link{Open: true, Path: frame.Root + "/wall?key=" + key})
}

// closeWall ends the link.
func (r room) closeWall(v *frame.Visit) error {
	err := v.Update(func(ctx context.Context, tx *store.Tx) error {
		tx.Act(v.By(), "wall.close", "", "")
		return tx.SetState(ctx, wallState, "")
	})
	if err != nil {
		return err
	}
	return v.Done("/wall/link", "wall.closed")
}
