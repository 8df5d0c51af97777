// Package watch is the pages that see trouble coming: the alerts of the rules,
// what a rule holds until somebody decides, and the rules themselves.
package watch

import (
	"context"
	"embed"
	"slices"
	"strings"

	"maillon/internal/auth"
	"maillon/internal/console/frame"
	"maillon/internal/guard"
	"maillon/internal/member"
	"maillon/internal/server"
	"maillon/internal/store"
)

//go:embed *.html *.toml
var files embed.FS

// New returns the room.
func New(s *server.Server) frame.Room {
	r := room{s}
	return frame.Room{
		Name: "watch", Files: files,
		Pages: []frame.Page{
			{Route: "GET /alerts", Right: auth.SeeNames, Serve: r.listAlerts},
			{Route: "GET /alerts/{id}", Right: auth.SeeNames, Serve: r.showAlert},
			{Route: "POST /alerts/{id}", Right: auth.Decide, Serve: r.endAlert},
			{Route: "GET /held", Right: auth.SeeNames, Serve: r.listHeld},
			{Route: "GET /held/{ref}", Right: auth.SeeNames, Serve: r.showHeld},
			{Route: "POST /held/{ref}", Right: auth.Decide, Serve: r.decide},
			{Route: "GET /rules", Right: auth.SeeSetting, Serve: r.listRules},
			{Route: "GET /rules/{id}", Right: auth.SeeSetting, Serve: r.showRule},
			{Route: "GET /rules/{id}/change", Right: auth.Settings, Serve: r.effect},
			{Route: "POST /rules/{id}", Right: auth.Settings, Serve: r.change, Fresh: true},
			{Route: "GET /rules/changes", Right: auth.SeeSetting, Serve: r.listChanges},
		},
		Menu: []frame.Entry{
			{Path: "/alerts", Word: "alerts.title", Right: auth.SeeNames, Group: "watch", Order: 1},
			{Path: "/held", Word: "held.title", Right: auth.SeeNames, Group: "watch", Order: 2},
			{Path: "/rules", Word: "rules.title", Right: auth.SeeSetting, Group: "watch", Order: 4},
		},
	}
}

type room struct{ server *server.Server }

// others are what raises alerts beside the rules of the table.
var others = []string{"VOL", "NUM1", "LOST", "OPT1", "LINE", "QUARANTINE"}

// ruleName is what a rule is about, in a few words; its ID if there are none.
func ruleName(v *frame.Visit, id string) string {
	if _, ok := guard.RuleOf(id); ok || slices.Contains(others, id) {
		return v.Say("rule." + id)
	}
	return id
}

// A factLine is a fact for people.
type factLine struct {
	Label string
	Parts []factPart
}

// A factPart is a word of a fact, and the page that tells more.
type factPart struct{ Text, Path string }

// factNames are the facts that have words.
var factNames = []string{
	"accounts", "again", "amount", "balance", "by", "came", "days", "faults", "first", "hour", "in", "line", "names", "order", "orders", "out",
	"payee", "payers", "payments", "refused", "role", "seconds", "sent", "steps", "today", "trouble", "usual", "wrong",
}

// factLines writes facts for people.
func factLines(v *frame.Visit, names frame.Names, facts []store.Fact) []factLine {
	var all []factLine
	for _, f := range facts {
		l := factLine{Label: f.Name, Parts: []factPart{{Text: f.Value}}}
		if slices.Contains(factNames, f.Name) {
			l.Label = v.Say("fact." + f.Name)
		}
		if id, ok := frame.ActorID(f.Value); ok {
			l.Parts = []factPart{{names.Of(id), memberPath(v, id)}}
		}
		if f.Name == "orders" { // that were paid
			l.Parts = nil
			for ref := range strings.FieldsSeq(f.Value) {
				l.Parts = append(l.Parts, factPart{ref, "/payments/" + ref})
			}
		}
		all = append(all, l)
	}
	return all
}

// memberPath is the sheet of a member, for who may see it.
func memberPath(v *frame.Visit, id member.ID) string {
	if id == 0 || !v.May(auth.SeeNames) {
		return ""
	}
	return "/members/" + strings.TrimPrefix(frame.Names{}.Of(id), "M")
}

// namesIn looks up the members whom alerts are about or name in their facts.
func namesIn(ctx context.Context, tx *store.Tx, v *frame.Visit, alerts ...store.Alert) (frame.Names, error) {
	var ids []member.ID
	add := func(actor string) {
		if id, ok := frame.ActorID(actor); ok && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	for _, a := range alerts {
		if a.About != 0 && !slices.Contains(ids, a.About) {
			ids = append(ids, a.About)
		}
		add(a.EndedBy)
		for _, f := range a.Facts {
			add(f.Value)
		}
	}
	return v.Names(ctx, tx, ids...)
}
