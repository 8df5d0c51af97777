package safety

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"maillon/internal/console/frame"
	"maillon/internal/correction"
	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// Bounds of the pages.
const (
	maxRows    = 200  // of each table on a page
	maxChosen  = 1000 // transfers or accounts that are named one by one
	sinceForm  = "2006-01-02T15:04"
	reasonSize = 200 // characters
)

// The scopes, as the form says them.
const (
	tainted  = "tainted"
	accounts = "accounts"
	all      = "all"

	backwards = "backwards" // another correction is undone
)

type scopeView struct {
	Since, Scope, Members string
	Wrong                 string
	Paused                bool
}

func (r room) chooseScope(v *frame.Visit) error {
	s := scopeView{Since: time.Now().In(r.server.Settings.Zone).Add(-12 * time.Hour).Format(sinceForm), Scope: tainted}
	err := v.View(func(ctx context.Context, tx *store.Tx) error {
		since, err := tx.Paused(ctx)
		s.Paused = !since.IsZero()
		return err
	})
	if err != nil {
		return err
	}
	return v.Show("restore", s)
}

// errSince means that a text is no time.
var errSince = errors.New("not a time")

// asked reads which correction a preview is asked for, from the query or a form.
func (r room) asked(ctx context.Context, tx *store.Tx, v *frame.Visit) (c treasury.Correction, scope string, err error) {
	if v.Value(backwards) != "" {
		id, err := strconv.ParseInt(v.Value(backwards), 10, 64)
		if err != nil {
			return c, backwards, store.ErrNotFound
		}
		c, err = r.server.Treasury.Backwards(ctx, tx, id)
		c.Keep = ids[ledger.AccountID](v.Request.Form["keep"])
		return c, backwards, err
	}
	c.Since, err = time.ParseInLocation(sinceForm, v.Value("since"), r.server.Settings.Zone)
	if err != nil {
		return c, "", errSince
	}
	c.Keep = ids[ledger.AccountID](v.Request.Form["keep"])
	c.Roots = ids[ledger.TransactionID](v.Request.Form["root"])
	c.Accounts = ids[ledger.AccountID](v.Request.Form["account"])
	switch scope = v.Value("scope"); {
	case scope == all:
		c.All = true
	case scope == accounts && len(c.Accounts) == 0:
		c.Accounts, err = r.named(ctx, tx, v.Value("members"))
		return c, scope, err
	case scope == accounts:
	default:
		scope = tainted
		if v.Value("chosen") == "" {
			suspects, err := r.server.Treasury.Suspects(ctx, tx, c.Since)
			for _, s := range suspects {
				c.Roots = append(c.Roots, s.ID)
			}
			return c, scope, err
		}
	}
	return c, scope, nil
}

// ids reads numbers that a form of this page has written; what is none is left
// out, for then the preview shows it missing.
func ids[ID ~int64](texts []string) (found []ID) {
	for _, text := range texts[:min(len(texts), maxChosen)] {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 {
			found = append(found, ID(n))
		}
	}
	return found
}

// named finds the accounts of members as somebody types them.
func (r room) named(ctx context.Context, tx *store.Tx, who string) (found []ledger.AccountID, err error) {
	for _, name := range fields(who) {
		m, err := r.server.Treasury.Find(ctx, tx, name)
		if err != nil {
			return nil, err
		}
		owned, err := tx.AccountsOf(ctx, m.ID)
		if err != nil {
			return nil, err
		}
		for _, a := range owned {
			found = append(found, a.ID)
		}
	}
	if len(found) == 0 {
		return nil, frame.Sorry("restore.nobody")
	}
	return found, nil
}

func fields(text string) []string {
	var found []string
	word := ""
	for _, c := range text + "," {
		if c == ',' || c == ';' || c == '\n' {
			if word != "" && len(found) < maxChosen {
				found = append(found, word)
			}
			word = ""
		} else if c != '\r' && (c != ' ' || word != "") {
			word += string(c)
		}
	}
	return found
}

// An accountRow is what becomes of one account, with its name.
type accountRow struct {
	treasury.PreviewAccount
	Called string
}

// An entryRow is one transfer, with the names of both sides.
type entryRow struct {
	treasury.PreviewEntry
	FromName, ToName string
	Root             bool
	Why              string // it is proposed as the theft
	Undone, Again    bool   // a clean payment that is undone, and was entered again
}

type previewView struct {
	treasury.Correction
	Scope    string
	SinceAt  string // as the form has it
	Paused   bool
	Nothing  bool
	Accounts []accountRow
	Entries  []entryRow
	Lines    int
	Lost     []money.Amount
	Counts   map[correction.Class]int
	Proposal *approvalView // if it is one
	First    ledger.TransactionID
	Posted   int
	pages

	RootsElsewhere []ledger.TransactionID // chosen, on other pages
	KeepElsewhere  []ledger.AccountID
}

// pages are where in long tables somebody is.
type pages struct{ Page, Pages int }

// page returns which page is asked for, of tables of which the longest has so
// many rows.
func page(v *frame.Visit, rows int) pages {
	p := pages{Pages: max((rows+maxRows-1)/maxRows, 1)}
	n, _ := strconv.Atoi(v.Value("page")) // what is no number is the first page
	p.Page = min(max(n, 1), p.Pages)
	return p
}

// Before is the page before this one, 0 if there is none.
func (p pages) Before() int { return p.Page - 1 }

// Next is the page after this one, 0 if there is none.
func (p pages) Next() int {
	if p.Page >= p.Pages {
		return 0
	}
	return p.Page + 1
}

// window returns the rows that are on a page.
func window[T any](p pages, all []T) []T {
	from := min((p.Page-1)*maxRows, len(all))
	return all[from:min(from+maxRows, len(all))]
}

func (r room) preview(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	var p previewView
	var wrong string
	err := v.View(func(ctx context.Context, tx *store.Tx) error {
		c, scope, err := r.asked(ctx, tx, v)
		if errors.Is(err, errSince) {
			wrong = v.Say("restore.since.wrong")
			return nil
		}
		if err != nil {
			return err
		}
		p, err = r.view(ctx, tx, v, c, scope)
		return err
	})
	if err != nil {
		return err
	}
	if wrong != "" {
		return v.Refuse("restore", scopeView{Since: v.Value("since"), Scope: v.Value("scope"), Members: v.Value("members"), Wrong: wrong})
	}
	return v.Show("preview", p)
}

// view works a correction out and names what is on its first page.
func (r room) view(ctx context.Context, tx *store.Tx, v *frame.Visit, c treasury.Correction, scope string) (p previewView, err error) {
	plan, err := r.server.Treasury.Preview(ctx, tx, c)
	if err != nil && !errors.Is(err, correction.ErrNothing) {
		return p, err
	}
	p = previewView{
		Correction: plan.Correction, Scope: scope, SinceAt: c.Since.In(r.server.Settings.Zone).Format(sinceForm), Nothing: err != nil,
		Lines: len(plan.Lines), Lost: plan.Lost, Counts: map[correction.Class]int{},
	}
	paused, err := tx.Paused(ctx)
	if err != nil {
		return p, err
	}
	p.Paused = !paused.IsZero()
	suspects, err := r.server.Treasury.Suspects(ctx, tx, c.Since)
	if err != nil {
		return p, err
	}
	why := map[ledger.TransactionID]string{}
	for _, s := range suspects {
		why[s.ID] = s.Why
	}
	owners := r.rows(v, &p, plan, why)
	names, err := v.Names(ctx, tx, slices.Collect(mapValues(owners))...)
	if err != nil {
		return p, err
	}
	called := func(id ledger.AccountID) string {
		if owner := owners[id]; owner != 0 {
			return names.Of(owner)
		}
		for _, a := range plan.Accounts {
			if a.ID == id && a.Member == 0 {
				return a.Name
			}
		}
		return ""
	}
	for n := range p.Accounts {
		p.Accounts[n].Called = called(p.Accounts[n].ID)
	}
	for n, e := range p.Entries {
		p.Entries[n].FromName, p.Entries[n].ToName = called(e.From), called(e.To)
	}
	return p, nil
}

// rows chooses what of a plan is on the page: the accounts that it concerns, and
// the transfers with those that have to do with the fraud first. It returns the
// owners of the accounts that are named.
func (r room) rows(v *frame.Visit, p *previewView, plan *treasury.Preview, why map[ledger.TransactionID]string) map[ledger.AccountID]member.ID {
	owner := map[ledger.AccountID]member.ID{}
	var concerned []accountRow
	for _, a := range plan.Accounts {
		owner[a.ID] = a.Member
		if !a.Difference().IsZero() || a.Reached || a.Keeps {
			concerned = append(concerned, accountRow{PreviewAccount: a})
		}
	}
	chosen := map[ledger.TransactionID]bool{}
	for _, id := range plan.Roots {
		chosen[id] = true
	}
	entries := slices.Clone(plan.Entries)
	slices.SortStableFunc(entries, func(x, y treasury.PreviewEntry) int {
		return clean(x.Class) - clean(y.Class)
	})
	for _, e := range entries {
		p.Counts[e.Class]++
	}
	p.pages = page(v, max(len(concerned), len(entries)))
	owners := map[ledger.AccountID]member.ID{}
	p.Accounts = window(p.pages, concerned)
	for _, a := range p.Accounts {
		owners[a.ID] = a.Member
	}
	for _, e := range window(p.pages, entries) {
		p.Entries = append(p.Entries, entryRow{PreviewEntry: e, Root: chosen[e.ID], Why: why[e.ID], Undone: plan.Undone(e)})
		owners[e.From], owners[e.To] = owner[e.From], owner[e.To]
	}
	p.elsewhere()
	return owners
}

// clean sorts what has nothing to do with the fraud behind the rest.
func clean(c correction.Class) int {
	if c == correction.Clean {
		return 1
	}
	return 0
}

// elsewhere keeps what was chosen on other pages.
func (p *previewView) elsewhere() {
	p.RootsElsewhere = without(p.Roots, func(id ledger.TransactionID) bool {
		return slices.ContainsFunc(p.Entries, func(e entryRow) bool { return e.ID == id })
	})
	p.KeepElsewhere = without(p.Keep, func(id ledger.AccountID) bool {
		return slices.ContainsFunc(p.Accounts, func(a accountRow) bool { return a.ID == id && a.Reached })
	})
}

func without[T any](all []T, here func(T) bool) []T {
	return slices.DeleteFunc(slices.Clone(all), here)
}

func mapValues[K comparable, V any](m map[K]V) func(func(V) bool) {
	return func(yield func(V) bool) {
		for _, x := range m {
			if !yield(x) {
				return
			}
		}
	}
}

func (r room) propose(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	reason := v.Value("reason")
	if reason == "" || len([]rune(reason)) > reasonSize {
		return treasury.ErrReason
	}
	var id int64
	err := v.Update(func(ctx context.Context, tx *store.Tx) error {
		c, _, err := r.asked(ctx, tx, v)
		if errors.Is(err, errSince) {
			return frame.ErrForm
		}
		if err != nil {
			return err
		}
		c.Shown = v.Value("shown")
		id, err = r.server.Treasury.ProposeCorrection(ctx, tx, v.By(), c, reason)
		if errors.Is(err, correction.ErrNothing) {
			return frame.Sorry("restore.nothing")
		}
		return err
	})
	if err != nil {
		return err
	}
	return v.Done("/restore/"+strconv.FormatInt(id, 10), "restore.proposed")
}

// showCorrection shows a correction that was proposed: what it would do now, or
// what it did.
func (r room) showCorrection(v *frame.Visit) error {
	id, err := v.PathID("id")
	if err != nil {
		return err
	}
	var p previewView
	err = v.View(func(ctx context.Context, tx *store.Tx) error {
		proposal, err := tx.Proposal(ctx, id)
		if err != nil {
			return err
		}
		c, err := treasury.ReadCorrection(proposal)
		if err != nil {
			return err
		}
		if proposal.State == store.Approved {
			p, err = r.done(ctx, tx, v, c, id)
		} else {
			p, err = r.view(ctx, tx, v, c, "")
		}
		if err != nil {
			return err
		}
		described, err := describe(ctx, tx, v, proposal)
		if err != nil {
			return err
		}
		p.Proposal = &described[0]
		return nil
	})
	if err != nil {
		return err
	}
	return v.Show("correction", p)
}

// done shows a correction that was made: its entries, and the honest payments
// that it undid.
func (r room) done(ctx context.Context, tx *store.Tx, v *frame.Visit, c treasury.Correction, id int64) (p previewView, err error) {
	p.Correction = c
	if p.First, p.Posted, err = r.server.Treasury.Corrected(ctx, tx, id); err != nil {
		return p, err
	}
	p.pages = page(v, p.Posted)
	until := p.First + ledger.TransactionID(p.Posted)
	posted, err := tx.TransactionsAfter(ctx, 0, p.First-1+ledger.TransactionID((p.Page-1)*maxRows), maxRows)
	if err != nil {
		return p, err
	}
	var owners []member.ID
	sides := map[ledger.AccountID]store.AccountRow{}
	for _, x := range posted {
		if x.ID >= until || len(x.Postings) != 2 {
			continue
		}
		e := entryRow{PreviewEntry: treasury.PreviewEntry{Transaction: x, From: x.Postings[0].Account, To: x.Postings[1].Account, Amount: x.Postings[1].Amount}}
		for _, side := range []ledger.AccountID{e.From, e.To} {
			if sides[side], err = tx.AccountRow(ctx, side); err != nil {
				return p, err
			}
			owners = append(owners, sides[side].Member)
		}
		undone, err := tx.Transaction(ctx, x.Reverses)
		if err != nil {
			return p, err
		}
		e.Note, e.Why = x.Note, undone.Ref
		if c.All && undone.Kind == ledger.Payment && !slices.Contains(c.Roots, undone.ID) {
			e.Undone = true
			if e.Again, err = r.server.Desk.PaidAgain(ctx, tx, undone.ID); err != nil {
				return p, err
			}
		}
		p.Entries = append(p.Entries, e)
	}
	names, err := v.Names(ctx, tx, owners...)
	for n, e := range p.Entries {
		for to, side := range map[*string]ledger.AccountID{&p.Entries[n].FromName: e.From, &p.Entries[n].ToName: e.To} {
			if *to = sides[side].Name; sides[side].Member != 0 {
				*to = names.Of(sides[side].Member)
			}
		}
	}
	return p, err
}

// again enters an honest payment again that a correction undid.
func (r room) again(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	id, err := strconv.ParseInt(v.Value("transaction"), 10, 64)
	if err != nil {
		return store.ErrNotFound
	}
	err = v.Update(func(ctx context.Context, tx *store.Tx) error {
		return r.server.Treasury.PayAgain(ctx, tx, v.By(), v.Who.Member, ledger.TransactionID(id))
	})
	if err != nil {
		return err
	}
	back := frame.Local(v.Value("back"))
	if back == "" {
		back = "/restore"
	}
	return v.Done(back, "restore.again.done")
}
