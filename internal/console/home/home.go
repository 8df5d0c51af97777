// Package home is the first page of the console: how the service does, what
// waits for a decision and since when, and what there is still to do.
package home

import (
	"context"
	"embed"
	"slices"
	"strconv"
	"strings"
	"time"

	"maillon/internal/auth"
	"maillon/internal/console/frame"
	"maillon/internal/copies"
	"maillon/internal/courier"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/order"
	"maillon/internal/server"
	"maillon/internal/setting"
	"maillon/internal/store"
)

//go:embed *.html *.toml
var files embed.FS

// Bounds of what the page shows and asks.
const (
	maxWaiting = 200 // of each kind that waits are counted
	maxShown   = 5   // of them are named, the oldest
	maxStaff   = 1000
	copyAge    = 26 * time.Hour      // then a proof is late: there is one a day
	bookAge    = 35 * 24 * time.Hour // and the books are proven once a month
)

// New returns the room of the first page.
func New(s *server.Server) frame.Room {
	h := home{s}
	return frame.Room{
		Name: "home", Files: files,
		Pages: []frame.Page{{Route: "GET /{$}", Right: frame.Somebody, Serve: h.show}},
		Menu:  []frame.Entry{{Path: "/", Word: "home.menu", Right: frame.Somebody}},
	}
}

type home struct{ server *server.Server }

// A glance is what the page knows.
type glance struct {
	Members     int64
	Circulating money.Amount
	Alerts      int
	Lines       []line
	Copies      copyState
	Waiting     []queue // nil for who sees no names
	Waits       bool    // something is in them
	Tasks       []task  // what is not done yet
}

func (h home) show(v *frame.Visit) error {
	var g glance
	lines, err := h.lines(v.Context())
	if err != nil {
		return err
	}
	g.Lines = lines
	err = v.View(func(ctx context.Context, tx *store.Tx) (err error) {
		if g.Members, err = tx.CountMembers(ctx); err != nil {
			return err
		}
		emission, err := tx.SystemAccount(ctx, store.Emission, h.server.Settings.Currency())
		if err != nil {
			return err
		}
		if g.Circulating, err = emission.Balance.Neg(); err != nil {
			return err
		}
		if g.Copies, err = readCopies(ctx, tx); err != nil || !v.May(auth.SeeNames) {
			return err
		}
		if g.Alerts, err = tx.OpenAlerts(ctx); err != nil {
			return err
		}
		if g.Waiting, err = h.waiting(ctx, tx, v); err != nil || !v.May(auth.SeeSetting) {
			return err
		}
		g.Tasks, err = h.tasks(ctx, tx, g.Copies)
		return err
	})
	if err != nil {
		return err
	}
	g.Waits = slices.ContainsFunc(g.Waiting, func(q queue) bool { return q.N > 0 })
	return v.Show("home", g)
}

// A line is how one gateway does.
type line struct {
	courier.LineHealth
	State   string // key of the word for it
	Class   string // of its badge
	Waiting int
	Oldest  time.Time
}

// lines asks the gateways how they do. Without a courier there are none.
func (h home) lines(ctx context.Context) ([]line, error) {
	if h.server.Courier == nil {
		return nil, nil
	}
	health, err := h.server.Courier.Health(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]line, len(health))
	for n, l := range health {
		all[n] = line{LineHealth: l, State: "home.line.good", Class: "good"}
		switch l.Level {
		case courier.Warning:
			all[n].State, all[n].Class = "home.line.warning", "warn"
		case courier.Down:
			all[n].State, all[n].Class = "home.line.down", "bad"
		case courier.Good:
		}
		for _, q := range l.Queues {
			all[n].Waiting += q.N
			if all[n].Oldest.IsZero() || q.Oldest.Before(all[n].Oldest) {
				all[n].Oldest = q.Oldest
			}
		}
	}
	return all, nil
}

// A copyState is how old the copies and the proofs are.
type copyState struct {
	Made, Proven, Books time.Time // the last copy, its proof, and the last proof of the books
	Failing             []failure
	Class               string // of the badge
	Word                string
}

// A failure is a place for copies that took none.
type failure struct {
	Name  string
	Since time.Time
}

func readCopies(ctx context.Context, tx *store.Tx) (c copyState, err error) {
	if c.Made, err = tx.Moment(ctx, store.BackedUpAt); err != nil {
		return c, err
	}
	if c.Proven, err = tx.Moment(ctx, copies.ProvenAt); err != nil {
		return c, err
	}
	if c.Books, err = tx.Moment(ctx, store.VerifiedAt); err != nil {
		return c, err
	}
	failing, err := tx.Moments(ctx, copies.FailedAt)
	for name, since := range failing {
		c.Failing = append(c.Failing, failure{name, since})
	}
	slices.SortFunc(c.Failing, func(a, b failure) int { return strings.Compare(a.Name, b.Name) })
	switch {
	case c.Made.IsZero():
		c.Class, c.Word = "bad", "home.copies.none"
	case len(c.Failing) > 0:
		c.Class, c.Word = "bad", "home.copies.failing"
	case tx.Now().Sub(c.Proven) > copyAge:
		c.Class, c.Word = "warn", "home.copies.unproven"
	default:
		c.Class, c.Word = "good", "home.copies.proven"
	}
	return c, err
}

// A queue is what waits for one kind of decision.
type queue struct {
	Word string // key of its name
	Path string // of the page where it is decided; "" if there is none yet
	N    int
	More bool // there are more than were counted
	Some []waiter
}

// A waiter is who waits, and since when.
type waiter struct {
	What  string // a reference, or the kind of a proposal
	Who   string
	Path  string // of the sheet of who waits; "" if there is none to see
	Since time.Time
	by    string
}

// waiting reads what waits for a decision, the oldest first.
func (h home) waiting(ctx context.Context, tx *store.Tx, v *frame.Visit) (all []queue, err error) {
	ids := []member.ID{}
	orders := func(word, path string, found []*order.Order, err error) error {
		q := queue{Word: word, Path: v.Leads(path), N: len(found), More: len(found) == maxWaiting}
		for _, o := range found[:min(maxShown, len(found))] {
			id := member.ID(o.Owner)
			ids = append(ids, id)
			q.Some = append(q.Some, waiter{What: o.Ref, Since: o.Created, by: actor(id), Path: v.Leads("/members/" + strconv.FormatInt(int64(id), 10))})
		}
		all = append(all, q)
		return err
	}
	held, err := tx.HeldOrders(ctx, maxWaiting)
	if err = orders("home.held", "/held", held, err); err != nil {
		return nil, err
	}
	disputes, err := tx.Disputes(ctx, 0, maxWaiting)
	if err = orders("home.disputes", "/disputes", disputes, err); err != nil {
		return nil, err
	}
	moves, err := tx.WaitingOrders(ctx, 0, maxWaiting, order.Renumber)
	if err = orders("home.renumbers", "/renumbers", moves, err); err != nil {
		return nil, err
	}
	proposals, err := tx.Proposals(ctx)
	if err != nil {
		return nil, err
	}
	q := queue{Word: "home.proposals", N: len(proposals), More: len(proposals) == store.MaxProposals}
	if v.May(auth.Approve) {
		q.Path = v.Leads("/approvals")
	}
	kinds := v.Approvals()
	for _, p := range proposals[:min(maxShown, len(proposals))] {
		if id, ok := frame.ActorID(p.By); ok {
			ids = append(ids, id)
		}
		what := p.Kind
		if a, ok := kinds[p.Kind]; ok {
			what = v.Say(a.Word)
		}
		q.Some = append(q.Some, waiter{What: what, Since: p.At, by: p.By})
	}
	all = append(all, q)
	names, err := v.Names(ctx, tx, ids...)
	for n := range all {
		for i := range all[n].Some {
			all[n].Some[i].Who = names.By(all[n].Some[i].by)
		}
	}
	return all, err
}

// actor names a member as the audit does.
func actor(id member.ID) string { return "member:" + strconv.FormatInt(int64(id), 10) }

// A task is something that an association does once, and has not done yet.
type task struct {
	Word string // key of what there is to do
	Path string // where; "" if not here
}

// tasks looks at what is not as it should be.
func (h home) tasks(ctx context.Context, tx *store.Tx, c copyState) (all []task, err error) {
	add := func(missing bool, word, path string) {
		if missing {
			all = append(all, task{word, path})
		}
	}
	staff, err := tx.Members(ctx, store.Administrators, 0, maxStaff)
	if err != nil {
		return nil, err
	}
	states, err := tx.StaffStates(ctx)
	if err != nil {
		return nil, err
	}
	admins, able := 0, 0
	for _, m := range staff {
		if m.Role != member.Admin {
			continue
		}
		admins++
		if s := states[m.ID]; s.Password && s.Renew.IsZero() {
			able++
		}
	}
	set := h.server.Settings
	add(admins < 2, "home.task.second", "/staff")
	add(admins >= 2 && able < 2, "home.task.able", "/staff")
	add(c.Made.IsZero(), "home.task.copies", "")
	add(!c.Made.IsZero() && c.Proven.IsZero(), "home.task.proof", "")
	add(tx.Now().Sub(c.Books) > bookAge, "home.task.books", "")
	add(len(set.AlertPhones) == 0, "home.task.phones", "/settings")
	add(set.Help == "", "home.task.help", "/settings")
	add(h.server.Courier == nil, "home.task.gateway", "")
	list := setting.Checklist()
	ticked, err := tx.States(ctx, setting.Tick, len(list))
	add(len(ticked) < len(list), "home.task.checklist", "/checklist")
	return all, err
}
