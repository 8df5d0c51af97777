// Package currency is the pages of the tools of a local currency: pots, what new
// members begin with, what credits are given for, demurrage, how far accounts may
// go below zero, and messages to all. All is off until somebody decides.
package currency

import (
	"context"
	"crypto/rand"
	"embed"
	"errors"
	"strconv"
	"strings"

	"maillon/internal/auth"
	"maillon/internal/charter"
	"maillon/internal/console/frame"
	"maillon/internal/grammar"
	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/server"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

//go:embed *.html *.toml
var files embed.FS

type room struct{ server *server.Server }

// New returns the room.
func New(s *server.Server) frame.Room {
	r := room{s}
	return frame.Room{
		Name: "currency", Files: files,
		Pages: []frame.Page{
			{Route: "GET /pots", Right: auth.SeeFigures, Serve: r.pots},
			{Route: "POST /pots/open", Right: auth.Settings, Serve: r.openPot},
			{Route: "POST /pots/move", Right: auth.Many, Serve: r.movePot},
			{Route: "GET /groups", Right: auth.Many, Serve: r.groups},
			{Route: "POST /groups", Right: auth.Settings, Serve: r.saveGroup},
			{Route: "POST /groups/member", Right: auth.Many, Serve: r.assign},
			{Route: "GET /reasons", Right: auth.Many, Serve: r.reasons},
			{Route: "POST /reasons", Right: auth.Settings, Serve: r.saveReason},
			{Route: "GET /demurrage", Right: auth.Many, Serve: r.demurrage},
			{Route: "POST /demurrage", Right: auth.Settings, Serve: r.saveDemurrage},
			{Route: "POST /demurrage/run", Right: auth.Many, Serve: r.melt},
			{Route: "GET /limits", Right: auth.Many, Serve: r.limits},
			{Route: "POST /limits", Right: auth.Settings, Serve: r.saveLimits},
			{Route: "POST /limits/member", Right: auth.Many, Serve: r.limit},
			{Route: "GET /message", Right: auth.Announce, Serve: r.message},
			{Route: "POST /message", Right: auth.Announce, Serve: r.announce},
			{Route: "POST /message/rules", Right: auth.Settings, Serve: r.saveRules},
			{Route: "GET /message/{id}", Right: auth.Announce, Serve: r.announced},
		},
		Menu: []frame.Entry{
			{Path: "/pots", Word: "pots.menu", Right: auth.SeeFigures, Group: "money", Order: 20},
			{Path: "/groups", Word: "groups.menu", Right: auth.Many, Group: "money", Order: 21},
			{Path: "/reasons", Word: "reasons.menu", Right: auth.Many, Group: "money", Order: 22},
			{Path: "/demurrage", Word: "demurrage.menu", Right: auth.Many, Group: "money", Order: 23},
			{Path: "/limits", Word: "limits.menu", Right: auth.Many, Group: "money", Order: 24},
			{Path: "/message", Word: "message.menu", Right: auth.Announce, Group: "money", Order: 25},
		},
		Approvals: map[string]frame.Approval{
			treasury.AnnounceKind: {Word: "message.kind", Path: "/message/%d", Right: auth.Announce},
		},
	}
}

func draw() string { return rand.Text() }

// find returns who is meant by a pseudo or a number, as it was typed.
func (r room) find(ctx context.Context, tx *store.Tx, who string) (*member.Member, error) {
	who = strings.TrimPrefix(who, "@")
	if folded := grammar.Fold(who); member.ValidNick(folded) {
		who = folded
	}
	return r.server.Treasury.Find(ctx, tx, who)
}

// count reads a field that is a whole number; "" is zero.
func count(v *frame.Visit, name string) (int64, error) {
	text := strings.NewReplacer(" ", "", "\u00a0", "", "\u202f", "").Replace(v.Value(name))
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, frame.Sorry("currency.number")
	}
	return n, nil
}

// decide changes the charter, and leads back.
func (r room) decide(v *frame.Visit, back string, change func(*charter.Charter) error) error {
	err := v.Update(func(ctx context.Context, tx *store.Tx) error {
		return r.server.Treasury.SetCharter(ctx, tx, v.By(), v.Value("why"), change)
	})
	if err != nil {
		return sorry(err)
	}
	return v.Done(back, "currency.decided")
}

// sorry says what was wrong where only these pages know it.
func sorry(err error) error {
	if f, ok := errors.AsType[*charter.Fault](err); ok {
		word, known := faultWords[f.Key]
		if !known {
			return err
		}
		return frame.Sorry(word)
	}
	for is, word := range map[error]string{
		treasury.ErrOff: "currency.off", treasury.ErrBeyond: "currency.beyond", treasury.ErrNotYet: "currency.notyet",
		treasury.ErrNoGroup: "currency.nogroup", charter.ErrNoPot: "currency.nopot", charter.ErrPeriod: "currency.period",
		treasury.ErrText: "currency.text", treasury.ErrAudience: "currency.audience", ledger.ErrDuplicate: "currency.again",
	} {
		if errors.Is(err, is) {
			return frame.Sorry(word)
		}
	}
	return err
}

// faultWords are what is said of what cannot be decided.
var faultWords = map[string]string{
	"many": "currency.fault.many", "twice": "currency.fault.twice", "name": "currency.fault.name", "sum": "currency.fault.sum",
	"why": "currency.fault.why", "words": "currency.fault.words", "rate": "currency.fault.rate", "since": "currency.fault.since",
	"pot": "currency.nopot", "limit": "currency.fault.limit", "second": "currency.fault.sum", "messages": "currency.fault.sum", "size": "currency.fault.many",
}
