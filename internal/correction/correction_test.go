package correction_test

import (
	"errors"
	"maps"
	"os"
	"reflect"
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"maillon/internal/correction"
	"maillon/internal/ledger"
)

// The accounts of the examples.
const (
	emission ledger.AccountID = iota + 1
	losses
	mallory
	accomplice
	soazig
	yann
	lena
)

func books(then map[ledger.AccountID]int64, entries ...correction.Entry) correction.Books {
	for n := range entries {
		entries[n].ID = ledger.TransactionID(n + 1)
	}
	return correction.Books{
		Entries: entries, Then: then, Losses: losses, Unbounded: map[ledger.AccountID]bool{emission: true, losses: true},
	}
}

func work(t *testing.T, b correction.Books, s correction.Scope) correction.Plan {
	t.Helper()
	p, err := correction.Work(b, s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func lines(t *testing.T, p correction.Plan, want ...correction.Line) {
	t.Helper()
	if !slices.Equal(p.Lines, want) {
		t.Errorf("the plan is\n%+v\nwant\n%+v", p.Lines, want)
	}
}

// An administrator's session is stolen, and credits a thief, who pays an
// accomplice and a shop that sells in good faith.
func TestACreditIsFollowed(t *testing.T) {
	b := books(map[ledger.AccountID]int64{emission: -110, yann: 70, soazig: 40},
		correction.Entry{From: emission, To: mallory, Amount: 200},
		correction.Entry{From: mallory, To: accomplice, Amount: 110},
		correction.Entry{From: mallory, To: soazig, Amount: 80},
		correction.Entry{From: yann, To: soazig, Amount: 10})
	p := work(t, b, correction.Scope{Roots: []ledger.TransactionID{1}, Keep: []ledger.AccountID{soazig}})
	lines(t, p,
		correction.Line{From: mallory, To: emission, Amount: 10, Reverses: 1},
		correction.Line{From: accomplice, To: emission, Amount: 110, Reverses: 1, Via: 2},
		correction.Line{From: losses, To: emission, Amount: 80, Reverses: 1, Via: 3, Note: correction.GoodFaith})
	if want := []correction.Class{correction.Fraud, correction.Downstream, correction.Downstream, correction.Clean}; !slices.Equal(p.Classes, want) {
		t.Errorf("classes %v, want %v", p.Classes, want)
	}
	if p.Lost != 80 {
		t.Errorf("lost %d, want 80", p.Lost)
	}
	_, after := p.Balances(b)
	if want := map[ledger.AccountID]int64{emission: -110, losses: -80, mallory: 0, accomplice: 0, soazig: 130, yann: 60}; !maps.Equal(after, want) {
		t.Errorf("after: %v, want %v", after, want)
	}
}

// Where money mixed, the last in is the first out.
func TestTheLastInIsTheFirstOut(t *testing.T) {
	b := books(map[ledger.AccountID]int64{emission: -200, mallory: 50, yann: 100, lena: 50},
		correction.Entry{From: yann, To: mallory, Amount: 60},   // the theft
		correction.Entry{From: lena, To: mallory, Amount: 20},   // honest
		correction.Entry{From: mallory, To: soazig, Amount: 50}) // 20 of lena's, 30 of yann's
	p := work(t, b, correction.Scope{Roots: []ledger.TransactionID{1}})
	lines(t, p,
		correction.Line{From: mallory, To: yann, Amount: 30, Reverses: 1},
		correction.Line{From: soazig, To: yann, Amount: 30, Reverses: 1, Via: 3})
	if p.Classes[2] != correction.Mixed {
		t.Errorf("the payment is %s, want mixed", p.Classes[2])
	}
}

// What comes back to who was robbed is back.
func TestWhatCameBackIsNotTakenTwice(t *testing.T) {
	b := books(map[ledger.AccountID]int64{yann: 100, mallory: 0, emission: -100},
		correction.Entry{From: yann, To: mallory, Amount: 60},
		correction.Entry{From: mallory, To: yann, Amount: 25},
		correction.Entry{From: yann, To: lena, Amount: 65})
	p := work(t, b, correction.Scope{Roots: []ledger.TransactionID{1}})
	lines(t, p, correction.Line{From: mallory, To: yann, Amount: 35, Reverses: 1})
}

// An administrator who has undone a part of the theft already took its money,
// whatever came after it.
func TestAReversalTakesTheMoneyItNames(t *testing.T) {
	b := books(map[ledger.AccountID]int64{yann: 50, emission: -50},
		correction.Entry{From: emission, To: mallory, Amount: 30},
		correction.Entry{From: yann, To: mallory, Amount: 20},
		correction.Entry{From: mallory, To: emission, Amount: 30, Reverses: 1})
	p, err := correction.Work(b, correction.Scope{Roots: []ledger.TransactionID{1}})
	if !errors.Is(err, correction.ErrNothing) {
		t.Errorf("Work = %+v, %v; all is back already", p.Lines, err)
	}
}

// A robbed account that was used to rob another gives back what it gets back.
func TestAccountsInWrongHandsAreWhatTheyWere(t *testing.T) {
	b := books(map[ledger.AccountID]int64{lena: 40, yann: 10, emission: -50},
		correction.Entry{From: lena, To: yann, Amount: 30},
		correction.Entry{From: yann, To: mallory, Amount: 35})
	p := work(t, b, correction.Scope{Accounts: []ledger.AccountID{yann}})
	_, after := p.Balances(b)
	if want := map[ledger.AccountID]int64{lena: 40, yann: 10, mallory: 0, emission: -50}; !maps.Equal(after, want) {
		t.Errorf("after: %v, want %v", after, want)
	}
}

// Nothing that is named happened: there is nothing to do.
func TestNothingToPutBack(t *testing.T) {
	for _, s := range []correction.Scope{{}, {Roots: []ledger.TransactionID{9}}, {Accounts: []ledger.AccountID{lena}}} {
		b := books(map[ledger.AccountID]int64{yann: 5}, correction.Entry{From: yann, To: mallory, Amount: 5})
		if p, err := correction.Work(b, s); !errors.Is(err, correction.ErrNothing) {
			t.Errorf("Work(%+v) = %+v, %v", s, p, err)
		}
	}
	if _, err := correction.Work(books(nil), correction.Scope{All: true}); !errors.Is(err, correction.ErrNothing) {
		t.Errorf("all of nothing: %v", err)
	}
}

// attacksVariable says how many random attacks are tried.
const attacksVariable = "MAILLON_ATTACKS"

// checks runs a property as often as is asked.
func checks(t *testing.T, property func(*rapid.T)) {
	t.Helper()
	n := 300
	if more, err := strconv.Atoi(os.Getenv(attacksVariable)); err == nil {
		n = more
	}
	for range max(n/100, 1) { // rapid checks a hundred at a time
		rapid.Check(t, property)
	}
}

// An attack is what happened since a moment, with what is done about it.
type attack struct {
	correction.Books
	scope correction.Scope
	now   map[ledger.AccountID]int64
}

func drawAttack(t *rapid.T) attack {
	a := attack{Books: books(map[ledger.AccountID]int64{}), now: map[ledger.AccountID]int64{}}
	members := []ledger.AccountID{mallory, accomplice, soazig, yann, lena}
	for _, m := range members {
		sum := rapid.Int64Range(0, 100).Draw(t, "had")
		a.Then[m] = sum
		a.Then[emission] -= sum
	}
	a.Then[losses] = -rapid.Int64Range(0, 20).Draw(t, "lost before")
	a.Then[emission] -= a.Then[losses]
	maps.Copy(a.now, a.Then)
	for n := range rapid.IntRange(1, 30).Draw(t, "entries") {
		from := rapid.SampledFrom(append([]ledger.AccountID{emission}, members...)).Draw(t, "from")
		to := rapid.SampledFrom(append([]ledger.AccountID{emission}, members...)).Draw(t, "to")
		most := int64(200)
		if from != emission {
			most = a.now[from]
		}
		if from == to || most < 1 {
			continue
		}
		e := correction.Entry{ID: ledger.TransactionID(n + 1), From: from, To: to, Amount: rapid.Int64Range(1, most).Draw(t, "amount")}
		a.now[from] -= e.Amount
		a.now[to] += e.Amount
		a.Entries = append(a.Entries, e)
		if rapid.IntRange(0, 3).Draw(t, "fraud") == 0 {
			a.scope.Roots = append(a.scope.Roots, e.ID)
		}
	}
	a.scope.Keep = rapid.SliceOfDistinct(rapid.SampledFrom(members), rapid.ID[ledger.AccountID]).Draw(t, "keep")
	switch rapid.IntRange(0, 3).Draw(t, "scope") {
	case 0:
		a.scope.All = true
	case 1:
		a.scope.Roots, a.scope.Accounts = nil, rapid.SliceOfNDistinct(rapid.SampledFrom(members), 1, 2, rapid.ID[ledger.AccountID]).Draw(t, "accounts")
	}
	return a
}

// Whatever happens: no account ends or passes below zero, sums stay what they
// were, nobody in good faith has less than before, and the plan is the same when
// it is worked out again.
func TestWhateverHappens(t *testing.T) {
	checks(t, func(t *rapid.T) {
		a := drawAttack(t)
		p, err := correction.Work(a.Books, a.scope)
		if errors.Is(err, correction.ErrNothing) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		balances := maps.Clone(a.now)
		for n, l := range p.Lines {
			if l.Amount <= 0 || l.From == l.To || l.Reverses == 0 {
				t.Fatalf("line %d is %+v", n, l)
			}
			balances[l.From] -= l.Amount
			balances[l.To] += l.Amount
			if balances[l.From] < 0 && l.From != emission && l.From != losses {
				t.Fatalf("line %d leaves account %d at %d", n, l.From, balances[l.From])
			}
		}
		for _, keeps := range a.scope.Keep {
			if balances[keeps] < a.now[keeps] {
				t.Errorf("account %d, in good faith, has %d of %d", keeps, balances[keeps], a.now[keeps])
			}
		}
		sum := int64(0)
		for _, n := range balances {
			sum += n
		}
		if sum != 0 {
			t.Errorf("the sum is %d", sum)
		}
		if again, _ := correction.Work(a.Books, a.scope); !reflect.DeepEqual(p, again) {
			t.Error("worked out again, the plan is another")
		}
		_, after := p.Balances(a.Books)
		if !maps.Equal(after, balances) {
			t.Errorf("Balances says %v, want %v", after, balances)
		}
	})
}

// Everything since the moment, and nobody keeps: balances are what they were.
func TestEverythingBackIsWhatItWas(t *testing.T) {
	checks(t, func(t *rapid.T) {
		a := drawAttack(t)
		p, err := correction.Work(a.Books, correction.Scope{All: true})
		if errors.Is(err, correction.ErrNothing) {
			return
		}
		_, after := p.Balances(a.Books)
		for account, n := range a.Then {
			if after[account] != n {
				t.Errorf("account %d has %d, had %d", account, after[account], n)
			}
		}
	})
}

// Money that never met the fraud stays where it is: an account that no stolen
// money reached, and that was not robbed, has what it has.
func TestWhoHasNothingToDoWithItHasWhatTheyHave(t *testing.T) {
	checks(t, func(t *rapid.T) {
		a := drawAttack(t)
		p, err := correction.Work(a.Books, correction.Scope{Roots: a.scope.Roots})
		if err != nil {
			return
		}
		touched := map[ledger.AccountID]bool{}
		for n, e := range a.Entries {
			if p.Classes[n] != correction.Clean {
				touched[e.From], touched[e.To] = true, true
			}
		}
		_, after := p.Balances(a.Books)
		for account, n := range a.now {
			if !touched[account] && after[account] != n && account != losses {
				t.Errorf("account %d has %d, and had %d", account, after[account], n)
			}
		}
	})
}

// posted are the books once a plan was posted, as if asked on a later day: the
// moment is just before its first entry, and its entries are the theft.
func posted(a attack, p correction.Plan) (correction.Books, correction.Scope) {
	b := correction.Books{Then: a.now, Losses: a.Losses, Unbounded: a.Unbounded}
	var s correction.Scope
	for n, l := range p.Lines {
		e := correction.Entry{ID: ledger.TransactionID(1000 + n), From: l.From, To: l.To, Amount: l.Amount, Reverses: l.Reverses, Via: l.Via}
		b.Entries, s.Roots = append(b.Entries, e), append(s.Roots, e.ID)
	}
	return b, s
}

// A correction that was wrong is undone the same way, and balances are what they
// were before it.
func TestACorrectionIsUndoneTheSameWay(t *testing.T) {
	checks(t, func(t *rapid.T) {
		a := drawAttack(t)
		p, err := correction.Work(a.Books, a.scope)
		if err != nil {
			return
		}
		b, s := posted(a, p)
		back, err := correction.Work(b, s)
		if err != nil {
			t.Fatal(err)
		}
		_, after := back.Balances(b)
		for account, n := range a.now {
			if after[account] != n {
				t.Errorf("account %d has %d, had %d before the correction", account, after[account], n)
			}
		}
		if back.Lost != 0 {
			t.Errorf("the association loses %d", back.Lost)
		}
	})
}

// Asked a second time, what was put back is put back already.
func TestASecondTimeChangesNothing(t *testing.T) {
	checks(t, func(t *rapid.T) {
		a := drawAttack(t)
		p, err := correction.Work(a.Books, a.scope)
		if err != nil {
			return
		}
		_, want := p.Balances(a.Books)
		b, _ := posted(a, p)
		b.Then, b.Entries = a.Then, append(slices.Clone(a.Entries), b.Entries...)
		again, err := correction.Work(b, a.scope)
		if err != nil && !errors.Is(err, correction.ErrNothing) {
			t.Fatal(err)
		}
		if _, after := again.Balances(b); !maps.Equal(after, want) {
			t.Errorf("a second time gives %v, want %v; lines %+v", after, want, again.Lines)
		}
	})
}
