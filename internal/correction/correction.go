// Package correction works out how balances are put back after an attack: which
// transfers are the fraud, where its money went, and by which new entries it is
// taken back. Nothing is deleted; it only says what to post.
//
// Money is followed from account to account. Where stolen and clean money mixed,
// the last in is the first out. What is taken back never leaves an account below
// zero, and what somebody received in good faith stays theirs: the gap is the
// association's loss.
//
// It is a pure function of the entries since a moment. Sums are in smallest
// units of the currency of their account.
package correction

import (
	"errors"
	"slices"

	"maillon/internal/ledger"
)

// A Class is what a transfer since the moment has to do with the fraud.
type Class string

// The classes.
const (
	Fraud      Class = "fraud"      // named as the theft itself
	Downstream Class = "downstream" // moved stolen money, and nothing else
	Mixed      Class = "mixed"      // moved stolen money beside clean
	Clean      Class = "clean"      // moved none
)

// GoodFaith is the note of an entry by which the association bears a loss.
const GoodFaith = "bonne foi"

// An Entry is one transfer since the moment.
type Entry struct {
	ID       ledger.TransactionID
	From, To ledger.AccountID
	Amount   int64 // more than zero
	Reverses ledger.TransactionID
	Via      ledger.TransactionID // as in Line
}

// A Scope says what is put back.
type Scope struct {
	Roots    []ledger.TransactionID // the theft itself: its money is followed
	Accounts []ledger.AccountID     // all that they paid and received is undone
	All      bool                   // everything since the moment is undone
	Keep     []ledger.AccountID     // what they received they keep
}

// Books are what the scope is applied to.
type Books struct {
	Entries   []Entry                    // since the moment, the oldest first
	Then      map[ledger.AccountID]int64 // balances at the moment, of the accounts of the entries
	Unbounded map[ledger.AccountID]bool  // may go below zero by any sum: emission, losses
	Losses    ledger.AccountID           // bears what nobody gives back
}

// A Line is one entry to post.
type Line struct {
	From, To ledger.AccountID
	Amount   int64
	Reverses ledger.TransactionID // the fraud
	Via      ledger.TransactionID // by which its money reached the account; 0: by the fraud itself
	Note     string
}

// A Plan is how balances are put back.
type Plan struct {
	Classes []Class // of each entry
	Lines   []Line  // to post, in this order
	Lost    int64   // that the association bears
}

// ErrNothing means that a scope names nothing that happened.
var ErrNothing = errors.New("nothing to put back")

// Work works the plan out. It returns ErrNothing.
func Work(b Books, s Scope) (Plan, error) {
	f := &follower{
		books: b, purses: map[ledger.AccountID]*purse{}, keep: set(s.Keep), roots: set(s.Roots),
		payer: map[ledger.TransactionID]ledger.AccountID{}, reached: map[ledger.TransactionID]ledger.AccountID{},
	}
	accounts := set(s.Accounts)
	for _, e := range b.Entries {
		if (accounts[e.From] || accounts[e.To]) && !f.roots[e.Reverses] { // what undid one stays
			f.roots[e.ID] = true
		}
	}
	p := Plan{Classes: make([]Class, len(b.Entries))}
	found := false
	for n, e := range b.Entries {
		p.Classes[n] = f.follow(e)
		found = found || p.Classes[n] == Fraud
	}
	switch {
	case s.All:
		if p.Lines = back(b, f.keep, undone(b)); below(b, p) {
			p.Lines = back(b, f.keep, nil)
		}
	case found && !s.All:
		p.Lines = f.lines()
	}
	if len(p.Lines) == 0 {
		return p, ErrNothing
	}
	for _, l := range p.Lines {
		if l.From == b.Losses {
			p.Lost += l.Amount
		}
	}
	return p, nil
}

// Balances returns what each account has after the entries, and after the plan.
func (p Plan) Balances(b Books) (now, after map[ledger.AccountID]int64) {
	now, after = map[ledger.AccountID]int64{}, map[ledger.AccountID]int64{}
	for a, n := range b.Then {
		now[a] = n
	}
	for _, e := range b.Entries {
		now[e.From] -= e.Amount
		now[e.To] += e.Amount
	}
	for a, n := range now {
		after[a] = n
	}
	for _, l := range p.Lines {
		after[l.From] -= l.Amount
		after[l.To] += l.Amount
	}
	return now, after
}

// undone are the entries that another has undone already, with those others.
func undone(b Books) map[ledger.TransactionID]bool {
	at, pairs := map[ledger.TransactionID]Entry{}, map[ledger.TransactionID]bool{}
	for _, y := range b.Entries {
		x, ok := at[y.Reverses]
		if ok && !pairs[x.ID] && y.Amount == x.Amount && y.To == x.From && (y.From == x.To || y.From == b.Losses) {
			pairs[x.ID], pairs[y.ID] = true, true
		}
		at[y.ID] = y
	}
	return pairs
}

// below reports whether a plan leads an account below zero on its way, or deeper
// than it is.
func below(b Books, p Plan) bool {
	has, _ := Plan{}.Balances(b)
	for _, l := range p.Lines {
		has[l.From] -= l.Amount
		has[l.To] += l.Amount
		if has[l.From] < 0 && !b.Unbounded[l.From] && l.From != b.Losses {
			return true
		}
	}
	return false
}

// back undoes each entry but some, the newest first: if it is all of them, each
// step leads to balances that there were, and none is below zero.
func back(b Books, keep map[ledger.AccountID]bool, but map[ledger.TransactionID]bool) []Line {
	lines := make([]Line, 0, len(b.Entries))
	for _, e := range slices.Backward(b.Entries) {
		if but[e.ID] {
			continue
		}
		l := Line{From: e.To, To: e.From, Amount: e.Amount, Reverses: e.ID}
		if keep[e.To] {
			l.From, l.Note = b.Losses, GoodFaith
		}
		if l.From != l.To {
			lines = append(lines, l)
		}
	}
	return lines
}

func set[T comparable](all []T) map[T]bool {
	m := make(map[T]bool, len(all))
	for _, x := range all {
		m[x] = true
	}
	return m
}

// A claim is who must get money back: the payer of a root.
type claim struct{ root, via ledger.TransactionID }

// A lot is some money with the claims on it, the last one first to be met. Money
// without claims is clean.
type lot struct {
	amount int64
	claims []claim
}

func (l lot) stolen() bool { return len(l.claims) > 0 }

// meets reports whether the claim of a lot to be met first is one, or at least
// one of the same theft.
func (l lot) meets(c claim, exactly bool) bool {
	if !l.stolen() {
		return false
	}
	top := l.claims[len(l.claims)-1]
	return top == c || !exactly && top.root == c.root
}

// A purse is the money of an account as it came, the last on top.
type purse struct {
	lots []lot
	debt int64 // spent on credit: what comes in pays it first
	lost []lot // stolen money that paid a debt: it is nowhere any more
	mint bool  // of an account without a floor: what it pays it makes, and owes nobody
}

// take takes a sum out. First comes what has a claim that the entry meets, if it
// meets one; then the last in is the first out. Else an account without a floor
// makes clean money.
func (p *purse) take(sum int64, met claim) (taken []lot) {
	for _, exactly := range []bool{true, false} {
		for n := len(p.lots) - 1; n >= 0 && sum > 0 && met.root != 0; n-- {
			if p.lots[n].meets(met, exactly) {
				taken = append(taken, p.cut(n, &sum))
			}
		}
	}
	for sum > 0 && len(p.lots) > 0 && !p.mint {
		taken = append(taken, p.cut(len(p.lots)-1, &sum))
	}
	if sum > 0 {
		if !p.mint {
			p.debt += sum
		}
		taken = append(taken, lot{amount: sum})
	}
	slices.Reverse(taken) // what lay on top lies on top again
	return taken
}

// cut takes a lot, or as much of it as is asked.
func (p *purse) cut(n int, sum *int64) lot {
	l := p.lots[n]
	if l.amount > *sum {
		p.lots[n].amount -= *sum
		l.amount = *sum
	} else {
		p.lots = slices.Delete(p.lots, n, n+1)
	}
	*sum -= l.amount
	return l
}

func (p *purse) put(l lot) {
	if paid := min(p.debt, l.amount); paid > 0 {
		p.debt -= paid
		l.amount -= paid
		if l.stolen() {
			p.lost = append(p.lost, lot{paid, l.claims})
		}
	}
	if l.amount > 0 {
		p.lots = append(p.lots, l)
	}
}

// A follower follows money from purse to purse.
type follower struct {
	books  Books
	purses map[ledger.AccountID]*purse
	keep   map[ledger.AccountID]bool
	roots  map[ledger.TransactionID]bool
	payer  map[ledger.TransactionID]ledger.AccountID // of each root
	order  []ledger.AccountID                        // in which purses were first met

	reached map[ledger.TransactionID]ledger.AccountID // whom each entry paid
}

func (f *follower) purse(a ledger.AccountID) *purse {
	p, ok := f.purses[a]
	if ok {
		return p
	}
	p = &purse{mint: f.books.Unbounded[a] || a == f.books.Losses}
	if had := f.books.Then[a]; had > 0 {
		p.lots = []lot{{amount: had}}
	} else if !p.mint {
		p.debt = -had
	}
	f.purses[a], f.order = p, append(f.order, a)
	return p
}

// follow moves the money of one entry.
func (f *follower) follow(e Entry) Class {
	to := f.purse(e.To)
	f.reached[e.ID] = e.To
	var taken []lot
	switch {
	case !f.roots[e.Reverses]:
		taken = f.purse(e.From).take(e.Amount, claim{})
	case e.From == f.books.Losses:
		taken = f.bear(e)
	default:
		taken = f.purse(e.From).take(e.Amount, claim{e.Reverses, e.Via})
	}
	stolen, clean := false, false
	for _, l := range taken {
		stolen, clean = stolen || l.stolen(), clean || !l.stolen()
		to.put(f.carried(l, e))
	}
	switch {
	case f.roots[e.ID]:
		f.payer[e.ID] = e.From
		return Fraud
	case stolen && clean:
		return Mixed
	case stolen:
		return Downstream
	}
	return Clean
}

// carried returns a lot as an entry brings it: with one claim more if that entry
// is a theft, with one less if it comes back to who was robbed.
func (f *follower) carried(l lot, e Entry) lot {
	claims := slices.Clone(l.claims)
	if f.roots[e.ID] {
		return lot{l.amount, append(claims, claim{root: e.ID})}
	}
	if n := len(claims) - 1; n >= 0 {
		claims[n].via = e.ID
		if f.payer[claims[n].root] == e.To {
			claims = claims[:n]
		}
	}
	return lot{l.amount, claims}
}

// bear lets the association meet claims in the place of who keeps: the money kept
// is clean now, and what is paid instead carries the claims that it had before.
func (f *follower) bear(e Entry) (taken []lot) {
	by := e.Via
	if by == 0 {
		by = e.Reverses
	}
	p, sum := f.purse(f.reached[by]), e.Amount
	for _, lots := range []*[]lot{&p.lots, &p.lost} {
		for n := len(*lots) - 1; n >= 0 && sum > 0; n-- {
			l := (*lots)[n]
			if !l.meets(claim{e.Reverses, e.Via}, true) {
				continue
			}
			part := min(sum, l.amount)
			sum -= part
			taken = append(taken, lot{part, l.claims})
			(*lots)[n] = lot{amount: part}
			if rest := l.amount - part; rest > 0 {
				*lots = slices.Insert(*lots, n, lot{rest, l.claims})
			}
		}
	}
	if sum > 0 {
		taken = append(taken, lot{amount: sum})
	}
	slices.Reverse(taken)
	return taken
}

// A want is what must be posted of one lot, at one depth of its claims.
type want struct {
	Line
	depth, met int
}

// lines are the entries that meet all claims: what a theft took from a purse is
// brought back there, and then to whom it was taken from before.
func (f *follower) lines() []Line {
	var wants []want
	at := map[want]int{}
	add := func(w want) {
		key := w
		key.Amount, key.met = 0, 0
		if n, ok := at[key]; ok {
			wants[n].Amount += w.Amount
			return
		}
		at[key] = len(wants)
		wants = append(wants, w)
	}
	for met, a := range f.order {
		p := f.purses[a]
		for _, l := range p.lots {
			f.meet(add, a, l, met, f.keep[a] || a == f.books.Losses)
		}
		for _, l := range p.lost {
			f.meet(add, a, l, met, true)
		}
	}
	slices.SortStableFunc(wants, func(x, y want) int {
		for _, d := range []int64{int64(x.depth - y.depth), int64(x.Reverses - y.Reverses), int64(x.Via - y.Via), int64(x.met - y.met)} {
			if d != 0 {
				return int(max(-1, min(1, d)))
			}
		}
		return 0
	})
	lines := make([]Line, len(wants))
	for n, w := range wants {
		lines[n] = w.Line
	}
	return lines
}

// meet asks for what meets the claims on one lot. Whoever keeps gives nothing;
// the association gives instead.
func (f *follower) meet(add func(want), holder ledger.AccountID, l lot, met int, keeps bool) {
	for depth, c := range slices.Backward(l.claims) {
		line := Line{From: holder, To: f.payer[c.root], Amount: l.amount, Reverses: c.root, Via: c.via}
		if keeps {
			line.From, line.Note = f.books.Losses, GoodFaith
		}
		if line.From != line.To {
			add(want{line, len(l.claims) - 1 - depth, met})
		}
		holder = line.To
		keeps = f.keep[holder]
	}
}
