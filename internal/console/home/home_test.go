package home_test

import (
	"context"
	"testing"

	"maillon/internal/console/frame"
	"maillon/internal/console/frame/frametest"
	"maillon/internal/console/home"
	"maillon/internal/copies"
	"maillon/internal/server"
	"maillon/internal/sms"
	"maillon/internal/store"
)

func open(t *testing.T) *frametest.Console {
	t.Helper()
	return frametest.Open(t, func(s *server.Server) []frame.Room { return []frame.Room{home.New(s)} })
}

// What waits for a decision is shown with who waits, to those who see names.
func TestWhatWaits(t *testing.T) {
	c := open(t)
	if a := c.Get("fay", "/"); !a.Says("Nothing waits") {
		t.Errorf("nothing waits: %s", a.Text)
	}
	lena := c.Member("lena")
	c.Update(func(ctx context.Context, tx *store.Tx) error {
		to, err := sms.FromE164("+33639980177")
		if err != nil {
			return err
		}
		return c.Treasury.Renumber(ctx, tx, "member:2", lena, to, "new telephone")
	})
	if a := c.Get("fay", "/"); !a.Says("Changes of number") || !a.Says("lena") {
		t.Errorf("lena waits: %s", a.Text)
	}
	if a := c.Get("ann", "/"); a.Says("Changes of number") || a.Says("lena") || !a.Says("In circulation") {
		t.Errorf("the reader sees %s", a.Text)
	}
}

// The page says whether copies are made, proven, and which fail.
func TestCopies(t *testing.T) {
	c := open(t)
	set := func(name string) {
		c.Update(func(ctx context.Context, tx *store.Tx) error { return tx.SetMoment(ctx, name, tx.Now()) })
	}
	for _, step := range []struct{ note, want string }{
		{"", "No copy was ever made"},
		{store.BackedUpAt, "Not proven lately"},
		{copies.ProvenAt, "Made and proven"},
		{copies.FailedAt + ":usb", "usb: no copy could be made"},
	} {
		if step.note != "" {
			set(step.note)
		}
		if a := c.Get("ann", "/"); !a.Says(step.want) {
			t.Errorf("after %q the page does not say %q: %s", step.note, step.want, a.Text)
		}
	}
}

// What is not done yet is asked of those who see settings.
func TestThingsToDo(t *testing.T) {
	c := open(t)
	a := c.Get("abe", "/")
	for _, want := range []string{"must be able to sign in", "Set up copies", "alert.phones", "checklist"} {
		if !a.Says(want) {
			t.Errorf("the page does not ask for %q: %s", want, a.Text)
		}
	}
	if a := c.Get("fay", "/"); a.Says("Set up copies") {
		t.Error("the front desk is asked to set up copies")
	}
}
