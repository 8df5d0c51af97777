// Package audit is the page of what people with rights did: every act, who did
// it, to whom, why, and what was before and after. Nothing is changed here, and
// nothing there can be: the acts stand in the journal, which is a chain.
package audit

import (
	"context"
	"embed"
	"errors"
	"strconv"
	"strings"
	"time"

	"maillon/internal/auth"
	"maillon/internal/console/frame"
	"maillon/internal/member"
	"maillon/internal/server"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

//go:embed *.html *.toml
var files embed.FS

// maxActs is how many acts stand on one page.
const maxActs = 100

// New returns the room.
func New(s *server.Server) frame.Room {
	r := room{s}
	return frame.Room{
		Name: "audit", Files: files,
		Pages: []frame.Page{
			{Route: "GET /audit", Right: auth.SeeAudit, Serve: r.list},
			{Route: "POST /audit", Right: auth.SeeAudit, Serve: r.find},
		},
		Menu: []frame.Entry{{Path: "/audit", Word: "audit.title", Right: auth.SeeAudit, Group: "watch", Order: 9}},
	}
}

type room struct{ server *server.Server }

// A line is one act for people.
type line struct {
	store.Act
	Who, On string
	OnPath  string
	Did     string
}

// A list is what the page knows.
type list struct {
	All       []line
	Who       string // as it is typed
	By, What  string // who and what is asked for
	From, To  string // days
	Next      int64  // the acts before it come on the next page; 0: there are none
	Whats     []what
	Checked   time.Time // when the chain was proven last
	CheckedTo string
	Head      int64
	Wrong     string
}

// A what is an act that may be asked for.
type what struct {
	Name, Word string
	Chosen     bool
}

// Query is what is asked for, for the address of the next page.
func (l list) Query() string {
	q := "?before=" + strconv.FormatInt(l.Next, 10)
	for _, p := range [][2]string{{"by", l.By}, {"what", l.What}, {"from", l.From}, {"to", l.To}} {
		if p[1] != "" {
			q += "&" + p[0] + "=" + p[1]
		}
	}
	return q
}

// list shows the acts. Its address holds numbers of the books, never a name.
func (r room) list(v *frame.Visit) error {
	page, w, err := r.asked(v)
	if err != nil {
		return v.Refuse("audit", page)
	}
	if w.By != "" {
		page.By = w.By
	}
	if page, err = r.read(v, page, w); err != nil {
		return err
	}
	return v.Show("audit", page)
}

// find looks up a person who was typed, and leads to the acts of that person.
func (r room) find(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	page, _, err := r.asked(v)
	if err != nil {
		return v.Refuse("audit", page)
	}
	page.By = ""
	if who := v.Value("who"); who == treasury.Operator {
		page.By = who
	} else if who != "" {
		err := v.View(func(ctx context.Context, tx *store.Tx) error {
			m, err := r.server.Treasury.Find(ctx, tx, strings.TrimPrefix(who, "@"))
			if err == nil {
				page.By = treasury.By(m)
			}
			return err
		})
		if errors.Is(err, treasury.ErrUnknown) {
			page.Wrong, page.Who = v.Say("frame.unknown"), who
			return v.Refuse("audit", page)
		}
		if err != nil {
			return err
		}
	}
	return v.Done("/audit"+page.Query(), "")
}

// asked reads what is asked for. An error means that page.Wrong says what is
// wrong with it.
func (r room) asked(v *frame.Visit) (page list, w store.ActsWhere, err error) {
	page.From, page.To, page.What = v.Value("from"), v.Value("to"), v.Value("what")
	known := false
	for _, name := range acts {
		chosen := name == page.What
		known = known || chosen
		page.Whats = append(page.Whats, what{name, did(v, name), chosen})
	}
	if !known {
		page.What = ""
	}
	w.What = page.What
	if id, ok := frame.ActorID(v.Value("by")); ok && id > 0 {
		w.By = v.Value("by")
	} else if v.Value("by") == treasury.Operator {
		w.By = treasury.Operator
	}
	w.Before, err = before(v.Value("before"))
	for _, day := range []struct {
		text string
		to   *time.Time
		days int
	}{{page.From, &w.Since, 0}, {page.To, &w.Until, 1}} {
		if day.text == "" {
			continue
		}
		t, e := time.ParseInLocation(time.DateOnly, day.text, r.server.Settings.Zone)
		if e != nil {
			page.From, page.To = "", ""
			err = e
		}
		*day.to = t.AddDate(0, 0, day.days)
	}
	if err != nil {
		page.Wrong = v.Say("audit.wrong")
	}
	return page, w, err
}

func before(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	return strconv.ParseInt(text, 10, 64)
}

func (r room) read(v *frame.Visit, page list, w store.ActsWhere) (list, error) {
	err := v.View(func(ctx context.Context, tx *store.Tx) error {
		found, err := tx.Acts(ctx, w, maxActs+1)
		if err != nil {
			return err
		}
		if len(found) > maxActs {
			found = found[:maxActs]
			page.Next = found[maxActs-1].ID
		}
		var ids []member.ID
		for _, a := range found {
			for _, text := range []string{a.By, a.Subject} {
				if id, ok := frame.ActorID(text); ok {
					ids = append(ids, id)
				}
			}
		}
		if id, ok := frame.ActorID(w.By); ok {
			ids = append(ids, id)
		}
		names, err := v.Names(ctx, tx, ids...)
		if err != nil {
			return err
		}
		if page.Who = w.By; w.By != "" {
			page.Who = names.By(w.By)
		}
		for _, a := range found {
			l := line{Act: a, Who: names.By(a.By), On: names.By(a.Subject), Did: did(v, a.What)}
			if id, ok := frame.ActorID(a.Subject); ok {
				l.OnPath = v.Leads("/members/" + strconv.FormatInt(int64(id), 10))
			}
			page.All = append(page.All, l)
		}
		if page.Checked, err = tx.Moment(ctx, store.VerifiedAt); err != nil {
			return err
		}
		if page.CheckedTo, err = tx.State(ctx, store.VerifiedTo); err != nil {
			return err
		}
		page.Head, err = tx.Height(ctx)
		return err
	})
	return page, err
}

// acts are those that can be asked for, in the order of the list.
var acts = []string{
	"add", "rename", "card", "freeze", "unfreeze", "renumber", "renumber.stop", "role",
	"credit", "post", "release", "reject", "dispute.keep", "dispute.return", "reverse",
	"pause", "resume.propose", "resume", "propose", "approve", "decline", "again",
	"member.look", "member.export", "language", "limit", "group", "pot", "demurrage", "charter", "credit.propose",
	"setting", "rule", "tick", "gateway.test", "export", "statement", "key.add", "key.revoke",
	"webhook.add", "webhook.change", "webhook.rotate", "webhook.resend", "webhook.disable", "webhook.end",
	"invite", "signin", "credentials.set", "credentials.renew", "password.change", "totp.change",
	"passkey.add", "passkey.end", "recovery.new", "recovery.use", "session.end", "session.others", "session.revoke.all",
}

// did says what an act was, as it is named if there is no word for it.
func did(v *frame.Visit, name string) string {
	key := "audit.did." + name
	if text := v.Say(key); text != key {
		return text
	}
	return name
}
