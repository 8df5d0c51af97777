package currency

import (
	"context"
	"errors"
	"fmt"

	"maillon/internal/charter"
	"maillon/internal/console/frame"
	"maillon/internal/notice"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// A textLine is a message in one language.
type textLine struct {
	Language, Text string
	Readers        int
	Fit            notice.Fit
	House          bool // who reads a language without a text gets this one
}

// A messageForm is a message to all, and what it comes to.
type messageForm struct {
	Texts       []textLine
	Reason, Key string
	Wrong       string
	Sure        bool // it fits: this is the page that asks for confirmation
	Reach       treasury.Reach
	Cost        string // in euros; "" is not known
	Rules       *rules // that may be changed here
	Proposed    bool   // it waits for a second person: only shown
}

func (r room) message(v *frame.Visit) error {
	c, err := r.charter(v)
	if err != nil {
		return err
	}
	f := r.form(v, treasury.Announcement{})
	f.Rules = &rules{c.SecondSum(), c.SecondReaders(), c.PerHour(), c.Messages.Cost}
	return v.Show("message", f)
}

// rules are from where on a second person is asked, and how messages leave.
type rules struct {
	Sum                    int64
	Readers, PerHour, Cost int
}

func (r room) saveRules(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	var all [4]int64
	for n, name := range []string{"sum", "readers", "hour", "price"} {
		var err error
		if all[n], err = count(v, name); err != nil {
			return err
		}
		if all[n] > charter.MaxSum {
			return frame.Sorry("currency.fault.sum")
		}
	}
	readers := int(all[1])
	return r.decide(v, "/message", func(c *charter.Charter) error {
		c.Second = charter.Second{Sum: &all[0], Readers: &readers}
		c.Messages = charter.Messages{PerHour: int(all[2]), Cost: int(all[3])}
		return nil
	})
}

func (r room) form(v *frame.Visit, a treasury.Announcement) *messageForm {
	f := &messageForm{Reason: v.Value("reason")}
	for _, l := range r.server.Desk.Voice.Languages() {
		f.Texts = append(f.Texts, textLine{Language: l, Text: a.Texts[l], House: l == r.server.Settings.Language})
	}
	return f
}

// measure adds what a message comes to. The error is what is wrong with it.
func (r room) measure(ctx context.Context, tx *store.Tx, f *messageForm, a treasury.Announcement) (err error) {
	f.Reach, err = r.server.Treasury.Reach(ctx, tx, a)
	for n := range f.Texts {
		t := &f.Texts[n]
		t.Readers, t.Fit = f.Reach.Readers[t.Language], f.Reach.Fits[t.Language]
	}
	if f.Reach.Cost > 0 {
		f.Cost = fmt.Sprintf("%d,%02d €", f.Reach.Cost/1000, f.Reach.Cost%1000/10)
	}
	return err
}

// announce shows first what a message comes to, and then sends it.
func (r room) announce(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	a := treasury.Announcement{Texts: map[string]string{}}
	for _, l := range r.server.Desk.Voice.Languages() {
		if text := v.Value("text-" + l); text != "" {
			a.Texts[l] = text
		}
	}
	f := r.form(v, a)
	err := v.View(func(ctx context.Context, tx *store.Tx) error { return r.measure(ctx, tx, f, a) })
	switch {
	case errors.Is(err, treasury.ErrText):
		f.Wrong = v.Say("currency.text")
	case errors.Is(err, treasury.ErrAudience):
		f.Wrong = v.Say("currency.audience")
	case err != nil:
		return err
	case f.Reason == "" || len([]rune(f.Reason)) > treasury.MaxActReason:
		f.Wrong = v.Say("message.why.wrong")
	}
	if f.Wrong != "" {
		return v.Refuse("message", f)
	}
	if f.Key = v.Value("key"); f.Key == "" {
		f.Key, f.Sure = draw(), true
		return v.Show("message", f)
	}
	a.Name = "form:" + f.Key
	var n int
	var proposed bool
	err = v.Update(func(ctx context.Context, tx *store.Tx) (err error) {
		n, proposed, err = r.server.Treasury.Announce(ctx, tx, v.By(), a, f.Reason)
		return err
	})
	switch {
	case err != nil:
		return sorry(err)
	case proposed:
		return v.Done("/message", "message.proposed", n)
	}
	return v.Done("/message", "message.sent", n)
}

// announced shows a message that waits for a second person.
func (r room) announced(v *frame.Visit) error {
	id, err := v.PathID("id")
	if err != nil {
		return err
	}
	var f *messageForm
	err = v.View(func(ctx context.Context, tx *store.Tx) error {
		p, err := tx.Proposal(ctx, id)
		if err != nil {
			return err
		}
		if p.Kind != treasury.AnnounceKind {
			return store.ErrNotFound
		}
		a, err := treasury.ProposedAnnouncement(p)
		if err != nil {
			return err
		}
		f = r.form(v, a)
		f.Reason, f.Sure, f.Proposed = p.Reason, true, true
		if err := r.measure(ctx, tx, f, a); err != nil && !errors.Is(err, treasury.ErrText) && !errors.Is(err, treasury.ErrAudience) {
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	return v.Show("message", f)
}
