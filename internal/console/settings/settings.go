// Package settings is the pages of what an association decides: its settings
// with the SMS that they change, how its gateways do, and the list of what it
// makes sure of before people pay.
package settings

import (
	"context"
	"embed"
	"errors"
	"slices"
	"strings"

	"maillon/internal/auth"
	"maillon/internal/console/frame"
	"maillon/internal/notice"
	"maillon/internal/phrase"
	"maillon/internal/server"
	"maillon/internal/setting"
	"maillon/internal/store"
)

//go:embed *.html *.toml
var files embed.FS

// Bounds of what is typed and shown.
const (
	maxValue   = 200 // octets
	maxReason  = 500
	maxSamples = 4 // texts that a setting changes
	maxChanges = 20
)

// New returns the room.
func New(s *server.Server) frame.Room {
	r := room{s}
	return frame.Room{
		Name: "settings", Files: files,
		Pages: []frame.Page{
			{Route: "GET /settings", Right: auth.SeeSetting, Serve: r.list},
			{Route: "GET /settings/{key}", Right: auth.SeeSetting, Serve: r.show},
			{Route: "GET /settings/{key}/change", Right: auth.Settings, Serve: r.effect},
			{Route: "POST /settings/{key}", Right: auth.Settings, Serve: r.change, Fresh: true},
			{Route: "GET /gateways", Right: auth.SeeSetting, Serve: r.gateways},
			{Route: "POST /gateways", Right: auth.Settings, Serve: r.test},
			{Route: "GET /checklist", Right: auth.SeeSetting, Serve: r.checklist},
			{Route: "POST /checklist", Right: auth.Settings, Serve: r.tick},
		},
		Menu: []frame.Entry{
			{Path: "/settings", Word: "settings.title", Right: auth.SeeSetting, Group: "house", Order: 10},
			{Path: "/gateways", Word: "gateways.title", Right: auth.SeeSetting, Group: "house", Order: 20},
			{Path: "/checklist", Word: "checklist.title", Right: auth.SeeSetting, Group: "house", Order: 30},
		},
	}
}

type room struct{ server *server.Server }

// named are the marks of texts that stand for a setting.
var named = map[string]string{
	"confirm": "above", "max": "max", "day": "day", "first.max": "fmax", "code.len": "code", "code.ttl": "ttl", "tries": "tries", "lock": "lock",
	"conflict": "conf", "unaccepted": "gdays", "request.ttl": "rdays", "lookups": "look", "number.wait": "wait", "nick.reserved": "ndays",
	"association": "asso", "desk": "desk", "hours": "hours", "help": "help",
}

// A line is one setting for people.
type line struct {
	Key, Meaning   string
	Value, Default string
	Fixed          bool // by the configuration file
	Chosen         bool // on this page
}

func (r room) line(v *frame.Visit, key string, now *setting.Settings, chosen map[string]string) line {
	shipped := setting.Default()
	_, is := chosen[key]
	fixed := r.server.Fixed(key)
	return line{
		Key: key, Meaning: v.Say("setting." + key), Value: now.Text(key), Default: shipped.Text(key), Fixed: fixed, Chosen: is && !fixed,
	}
}

func (r room) list(v *frame.Visit) error {
	var page []line
	err := v.View(func(ctx context.Context, tx *store.Tx) error {
		now, chosen, err := r.server.Chosen(ctx, tx)
		for _, key := range setting.Editable() {
			page = append(page, r.line(v, key, &now, chosen))
		}
		return err
	})
	if err != nil {
		return err
	}
	return v.Show("settings", page)
}

// A sheet is one setting with the texts that it changes.
type sheet struct {
	line
	Typed   string
	Texts   []phrase.Sample
	May     bool
	Wrong   string
	Changes []change
}

// A change is one that somebody made.
type change struct {
	store.Act
	Who string
}

func (r room) show(v *frame.Visit) error {
	page, err := r.sheet(v)
	if err != nil {
		return err
	}
	return v.Show("setting", page)
}

func (r room) sheet(v *frame.Visit) (page sheet, err error) {
	key := v.Request.PathValue("key")
	if !slices.Contains(setting.Editable(), key) {
		return page, store.ErrNotFound
	}
	err = v.View(func(ctx context.Context, tx *store.Tx) error {
		now, chosen, err := r.server.Chosen(ctx, tx)
		if err != nil {
			return err
		}
		page.line = r.line(v, key, &now, chosen)
		page.Typed, page.May = page.Value, v.May(auth.Settings) && !page.Fixed
		page.Texts = samples(v, notice.New(r.server.Book, &now), key)
		acts, err := tx.Acts(ctx, store.ActsWhere{Subject: "setting:" + key}, maxChanges)
		if err != nil {
			return err
		}
		names, err := v.Names(ctx, tx, store.Actors(acts)...)
		for _, a := range acts {
			page.Changes = append(page.Changes, change{a, names.By(a.By)})
		}
		return err
	})
	return page, err
}

// samples are the texts that a setting changes, in the language of the visit.
func samples(v *frame.Visit, voice *notice.Voice, key string) []phrase.Sample {
	field, ok := named[key]
	if !ok {
		return nil
	}
	return voice.Samples(v.Language(), field, maxSamples)
}

// An effect is what a change would do, before it is confirmed.
type effect struct {
	sheet
	New       string // as it is read; what is typed may say it otherwise
	Send      string // what is posted: "" goes back to the default
	NewTexts  []phrase.Sample
	Unchanged bool
}

// effect shows what a change would do. The address holds a value of the house,
// nothing of a member.
func (r room) effect(v *frame.Visit) error {
	page, err := r.effectOf(v)
	if err != nil {
		return r.again(v, page, err)
	}
	return v.Show("change", page)
}

func (r room) effectOf(v *frame.Visit) (page effect, err error) {
	if page.sheet, err = r.sheet(v); err != nil {
		return page, err
	}
	page.Typed = v.Value("value")
	if page.Send = page.Typed; v.Value("shipped") != "" {
		page.Send = ""
	} else if page.Send == "" || len(page.Send) > maxValue {
		return page, errValue
	}
	err = v.View(func(ctx context.Context, tx *store.Tx) error {
		set, voice, err := r.server.Try(ctx, tx, page.Key, page.Send)
		if err != nil {
			return err
		}
		page.New = set.Text(page.Key)
		page.NewTexts = samples(v, voice, page.Key)
		page.Unchanged = page.New == page.Value && (page.Send != "" || !page.Chosen)
		return nil
	})
	return page, err
}

var errValue = errors.New("a value is expected")

// again shows the form with what is wrong in it. What else fails is no fault of
// the form.
func (r room) again(v *frame.Visit, page effect, err error) error {
	switch {
	case errors.Is(err, store.ErrNotFound) || v.Context().Err() != nil || page.Key == "":
		return err
	case errors.Is(err, server.ErrFixed):
		page.Wrong = v.Say("settings.fixed.wrong")
	case errors.Is(err, server.ErrSpeech):
		page.Wrong = v.Say("settings.speech", strings.ReplaceAll(err.Error(), "\n", " · "))
	default:
		page.Wrong = v.Say("settings.wrong", v.Say("setting."+page.Key))
	}
	return v.Refuse("setting", page.sheet)
}

// change does what was confirmed.
func (r room) change(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	page, err := r.effectOf(v)
	if err != nil {
		return r.again(v, page, err)
	}
	reason := v.Value("reason")
	if reason == "" || len(reason) > maxReason {
		page.Wrong = v.Say("frame.reason")
		return v.Refuse("change", page)
	}
	err = v.Update(func(ctx context.Context, tx *store.Tx) error {
		now, _, err := r.server.Chosen(ctx, tx)
		if err != nil {
			return err
		}
		if now.Text(page.Key) != v.Value("was") {
			return frame.Sorry("settings.moved")
		}
		return r.server.Choose(ctx, tx, v.By(), page.Key, page.Send, reason)
	})
	if err != nil {
		return err
	}
	return v.Done("/settings/"+page.Key, "settings.done")
}
