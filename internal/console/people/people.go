// Package people is the pages of whoever looks after members: finding one, her
// sheet with what she wrote and read, what the desk does for her, and her data.
package people

import (
	"context"
	"embed"
	"errors"
	"slices"
	"strconv"
	"strings"

	"maillon/internal/auth"
	"maillon/internal/console/frame"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/server"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

//go:embed *.html *.toml
var files embed.FS

// Bounds of the pages.
const (
	perPage   = 50
	maxThread = 30
	maxStory  = 30
	maxNear   = 8
	maxReason = 200 // characters
)

// New returns the room.
func New(s *server.Server) frame.Room {
	r := room{s}
	page := func(route string, right auth.Right, serve func(*frame.Visit) error) frame.Page {
		return frame.Page{Route: route, Right: right, Serve: serve}
	}
	return frame.Room{
		Name: "people", Files: files,
		Pages: []frame.Page{
			page("GET /members", auth.SeeNames, r.list),
			page("POST /members/find", auth.SeeNames, r.find),
			page("GET /members/new", auth.Register, r.newMember),
			page("POST /members/new", auth.Register, r.register),
			page("GET /members/{id}", auth.SeeNames, r.sheet),
			page("POST /members/{id}/try", auth.SeeNames, r.try),
			page("GET /members/{id}/change", auth.Register, r.changes),
			page("POST /members/{id}/change", auth.Register, r.change),
			page("POST /members/{id}/card", auth.Register, r.card),
			page("GET /members/{id}/data", auth.Export, r.data),
			page("GET /members/{id}/data.json", auth.Export, r.dataFile),
			page("GET /payments", auth.SeeNames, r.payments),
			page("GET /payments/{ref}", auth.SeeNames, r.payment),
			page("POST /payments/{ref}/reverse", auth.Reverse, r.reverse),
			page("GET /disputes", auth.SeeNames, r.disputes),
			page("POST /disputes", auth.Decide, r.decide),
			page("GET /privacy", auth.SeeNames, r.privacy),
			page("GET /privacy/notice", auth.SeeNames, r.notice),
			page("GET /privacy/register", auth.SeeNames, r.records),
		},
		Menu: []frame.Entry{
			{Path: "/members", Word: "members.menu", Right: auth.SeeNames, Group: "members", Order: 1},
			{Path: "/members/new", Word: "new.menu", Right: auth.Register, Group: "members", Order: 2},
			{Path: "/payments", Word: "payments.menu", Right: auth.SeeNames, Group: "money", Order: 3},
			{Path: "/disputes", Word: "disputes.menu", Right: auth.SeeNames, Group: "watch", Order: 2},
			{Path: "/privacy", Word: "privacy.menu", Right: auth.SeeNames, Group: "house", Order: 6},
		},
		Approvals: map[string]frame.Approval{treasury.EraseMember: {Word: "erase.kind", Right: auth.Erase}},
	}
}

type room struct{ server *server.Server }

// A row is a member in a list.
type row struct {
	*member.Member
	Name    string
	Balance money.Amount
}

type listView struct {
	Standing store.MemberStanding
	All      []store.MemberStanding
	Rows     []row
	Before   member.ID // where the next page begins; 0: there is none
	Wrong    string
}

func (r room) list(v *frame.Visit) error {
	l := listView{Standing: store.MemberStanding(v.Value("standing")), All: store.MemberStandings()}
	before, _ := v.QueryID("before") // anything else is the first page
	err := v.View(func(ctx context.Context, tx *store.Tx) error {
		all, err := tx.MembersBy(ctx, l.Standing, member.ID(before), perPage+1)
		if err != nil {
			return err
		}
		if len(all) > perPage {
			all = all[:perPage]
			l.Before = all[perPage-1].ID
		}
		l.Rows, err = r.rows(ctx, tx, all)
		return err
	})
	if err != nil {
		return err
	}
	return v.Show("members", l)
}

func (r room) rows(ctx context.Context, tx *store.Tx, all []*member.Member) ([]row, error) {
	rows := make([]row, 0, len(all))
	for _, m := range all {
		balance, err := r.server.Desk.Balance(ctx, tx, m, r.server.Settings.Currency())
		if err != nil {
			return nil, err
		}
		rows = append(rows, row{m, called(m), balance})
	}
	return rows, nil
}

// called is how a member is called here.
func called(m *member.Member) string {
	if m.Nick != "" {
		return m.Nick
	}
	return "M" + strconv.FormatInt(int64(m.ID), 10)
}

// find leads to what somebody looks for: a member by pseudo or number, or a
// payment by its reference. What was typed is in no address.
func (r room) find(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	typed := strings.TrimPrefix(v.Value("what"), "@")
	to := ""
	l := listView{All: store.MemberStandings()}
	err := v.View(func(ctx context.Context, tx *store.Tx) error {
		m, err := r.server.Treasury.Find(ctx, tx, strings.ToLower(typed))
		if err == nil {
			to = "/members/" + strconv.FormatInt(int64(m.ID), 10)
			return nil
		}
		if !errors.Is(err, treasury.ErrUnknown) {
			return err
		}
		t, err := tx.TransactionByRef(ctx, strings.ToUpper(typed))
		if err == nil {
			to = "/payments/" + t.Ref
			return nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		o, err := tx.OrderByRef(ctx, strings.ToUpper(typed))
		if err == nil && o.Owner != 0 { // it moved nothing: whoever asked has it on her sheet
			to = "/members/" + strconv.FormatInt(o.Owner, 10)
			return nil
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		near, err := tx.NicksNear(ctx, strings.ToLower(typed), maxNear)
		if err == nil {
			l.Rows, err = r.rows(ctx, tx, near)
		}
		return err
	})
	if err != nil {
		return err
	}
	if to != "" {
		return v.Lead(to)
	}
	l.Wrong = v.Say("members.none")
	if len(l.Rows) > 0 {
		l.Wrong = v.Say("members.near")
	}
	return v.Refuse("members", l)
}

type newView struct {
	Number, Nick, Language              string
	NumberWrong, NickWrong, FrenchWrong string
	Languages                           []string
}

func (r room) newMember(v *frame.Visit) error {
	return v.Show("new", newView{Language: r.server.Settings.Language, Languages: r.server.Book.Languages()})
}

// register opens an account for somebody who is at the desk.
func (r room) register(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	d := newView{Number: v.Value("number"), Nick: strings.ToLower(v.Value("nick")), Language: v.Value("language"), Languages: r.server.Book.Languages()}
	n, err := sms.ParseNumber(d.Number, r.server.Settings.Region())
	if err != nil || !n.Mobile() || !slices.Contains(r.server.Settings.Countries, n.Country()) {
		d.NumberWrong = v.Say("new.number.wrong")
	}
	if d.Nick != "" && (!member.ValidNick(d.Nick) || r.server.Teller.Reserved(d.Nick)) {
		d.NickWrong = v.Say("new.nick.wrong")
	}
	if !r.server.Desk.Voice.Speaks(d.Language) {
		d.Language = r.server.Settings.Language
	}
	if d.NumberWrong != "" || d.NickWrong != "" {
		return v.Refuse("new", d)
	}
	var m *member.Member
	err = v.Update(func(ctx context.Context, tx *store.Tx) (err error) {
		m, err = r.server.Treasury.Register(ctx, tx, v.By(), treasury.NewMember{Number: n, Nick: d.Nick, Language: d.Language})
		return err
	})
	if errors.Is(err, treasury.ErrTaken) {
		d.NumberWrong = v.Say("frame.taken")
		return v.Refuse("new", d)
	}
	if err != nil {
		return err
	}
	return v.Done("/members/"+strconv.FormatInt(int64(m.ID), 10), "new.done")
}
