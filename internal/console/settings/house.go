package settings

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"maillon/internal/auth"
	"maillon/internal/console/frame"
	"maillon/internal/courier"
	"maillon/internal/member"
	"maillon/internal/setting"
	"maillon/internal/store"
)

// A gateway is how one does, for people.
type gateway struct {
	courier.LineHealth
	State, Class string
	Waiting      int
	Oldest       time.Time
}

func (r room) gateways(v *frame.Visit) error {
	var page struct {
		All []gateway
		May bool
	}
	page.May = v.May(auth.Settings) && r.server.Courier != nil
	if r.server.Courier != nil {
		health, err := r.server.Courier.Health(v.Context())
		if err != nil {
			return err
		}
		for _, h := range health {
			page.All = append(page.All, show(h))
		}
	}
	return v.Show("gateways", page)
}

func show(h courier.LineHealth) gateway {
	g := gateway{LineHealth: h, State: "gateways.good", Class: "good"}
	switch h.Level {
	case courier.Warning:
		g.State, g.Class = "gateways.warning", "warn"
	case courier.Down:
		g.State, g.Class = "gateways.down", "bad"
	case courier.Good:
	}
	for _, q := range h.Queues {
		g.Waiting += q.N
		if g.Oldest.IsZero() || q.Oldest.Before(g.Oldest) {
			g.Oldest = q.Oldest
		}
	}
	return g
}

// testText is what a test sends: the help, which needs nothing filled in.
const testText = "aide"

// test sends one SMS to whoever asks, by the way that answers take.
func (r room) test(v *frame.Visit) error {
	err := v.Update(func(ctx context.Context, tx *store.Tx) error {
		m, err := tx.Member(ctx, v.Who.Member.ID)
		if err != nil {
			return err
		}
		if err := r.server.Desk.Voice.Inform(ctx, tx, m, testText, nil); err != nil {
			return err
		}
		tx.Act(v.By(), "gateway.test", v.By(), "")
		return nil
	})
	if err != nil {
		return err
	}
	return v.Done("/gateways", "gateways.sent")
}

// An item is something to make sure of.
type item struct {
	Name, What, Why string
	Done            bool
	Who             string
	At              time.Time
}

func (r room) checklist(v *frame.Visit) error {
	var page struct {
		All  []item
		Left int
		May  bool
	}
	page.May = v.May(auth.Settings)
	err := v.View(func(ctx context.Context, tx *store.Tx) error {
		list := setting.Checklist()
		ticked, err := tx.States(ctx, setting.Tick, len(list))
		if err != nil {
			return err
		}
		var ids []member.ID
		for _, name := range list {
			i := item{Name: name, What: v.Say("check." + name), Why: v.Say("check." + name + ".why")}
			i.Who, i.At, i.Done = readTick(ticked[name])
			if id, ok := frame.ActorID(i.Who); ok {
				ids = append(ids, id)
			}
			if !i.Done {
				page.Left++
			}
			page.All = append(page.All, i)
		}
		names, err := v.Names(ctx, tx, ids...)
		for n := range page.All {
			page.All[n].Who = names.By(page.All[n].Who)
		}
		return err
	})
	if err != nil {
		return err
	}
	return v.Show("checklist", page)
}

// A tick is kept as who and when: "member:7 1795855000".
func readTick(text string) (who string, at time.Time, ok bool) {
	who, seconds, ok := strings.Cut(text, " ")
	n, err := strconv.ParseInt(seconds, 10, 64)
	if !ok || err != nil {
		return "", time.Time{}, false
	}
	return who, time.Unix(n, 0), true
}

// tick ticks an item off, or takes that back.
func (r room) tick(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	name, value, became := v.Value("item"), "", "open"
	if !slices.Contains(setting.Checklist(), name) {
		return store.ErrNotFound
	}
	done := v.Value("done") == "yes"
	err := v.Update(func(ctx context.Context, tx *store.Tx) error {
		was, err := tx.State(ctx, setting.Tick+":"+name)
		if err != nil || (was != "") == done {
			return err // somebody was quicker
		}
		before := "done"
		if done {
			value, before, became = v.By()+" "+strconv.FormatInt(tx.Now().Unix(), 10), "open", "done"
		}
		tx.Audit(store.Act{By: v.By(), What: "tick", Subject: setting.Tick + ":" + name, Was: before, Became: became})
		return tx.SetState(ctx, setting.Tick+":"+name, value)
	})
	if err != nil {
		return err
	}
	return v.Done("/checklist", "checklist.saved")
}
