package report_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/report"
	"maillon/internal/store"
	"maillon/internal/store/pgtest"
)

var maillon = money.Currency{Code: "MAILLON"}

const people = 6

// A town is books in which transfers are made on days of the past, and the same
// transfers in a list.
type town struct {
	t        testing.TB
	db       *store.DB
	zone     *time.Location
	today    report.Day
	emission ledger.AccountID
	pertes   ledger.AccountID
	accounts []ledger.AccountID // of members
	balance  map[ledger.AccountID]int64
	made     []transfer
}

type transfer struct {
	day      report.Day
	kind     ledger.Kind
	from, to ledger.AccountID
	sum      int64
}

func newTown(t testing.TB, where string) *town {
	t.Helper()
	db, err := store.Open(t.Context(), where, store.Secret{1})
	if err != nil {
		t.Fatal(err)
	}
	zone, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	w := &town{t: t, db: db, zone: zone, today: report.DayOf(time.Now(), zone), balance: map[ledger.AccountID]int64{}}
	w.update(func(tx *store.Tx) error {
		for n := range people {
			a, err := tx.AccountOf(t.Context(), member.ID(n+1), maillon)
			if err != nil {
				return err
			}
			w.accounts = append(w.accounts, a.ID)
		}
		for name, id := range map[string]*ledger.AccountID{store.Emission: &w.emission, store.Pertes: &w.pertes} {
			a, err := tx.SystemAccount(t.Context(), name, maillon)
			if err != nil {
				return err
			}
			*id = a.ID
		}
		return nil
	})
	return w
}

func (w *town) update(do func(tx *store.Tx) error) {
	w.t.Helper()
	if err := w.db.Update(w.t.Context(), do); err != nil {
		w.t.Fatal(err)
	}
}

// transfers makes many at once; what somebody does not have is not paid.
func (w *town) transfers(all ...transfer) {
	w.t.Helper()
	w.update(func(tx *store.Tx) error {
		for _, x := range all {
			t := ledger.Transaction{Key: fmt.Sprint(len(w.made)), Kind: x.kind, At: x.day.Begin(w.zone).Add(9 * time.Hour), Postings: []ledger.Posting{
				{Account: x.from, Amount: money.New(-x.sum, maillon)}, {Account: x.to, Amount: money.New(x.sum, maillon)},
			}}
			err := ledger.Post(w.t.Context(), tx, &t)
			if errors.Is(err, ledger.ErrInsufficient) {
				continue
			}
			if err != nil {
				return err
			}
			w.made = append(w.made, x)
		}
		return nil
	})
}

func (w *town) catchUp() {
	w.t.Helper()
	for done := false; !done; {
		w.update(func(tx *store.Tx) (err error) {
			done, err = report.Step(w.t.Context(), tx, w.zone)
			return err
		})
	}
}

func (w *town) read(p report.Period) (x *report.Report) {
	w.t.Helper()
	err := w.db.View(w.t.Context(), func(tx *store.Tx) (err error) {
		x, err = report.Reader{Zone: w.zone, Currency: maillon}.Read(w.t.Context(), tx, p)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return x
}

// want computes the figures of a day from all that was ever transferred.
func (w *town) want(day report.Day) report.Figures {
	f := report.Figures{Period: report.Period{From: day, To: day}, Counted: true}
	balance, seen := map[ledger.AccountID]int64{}, map[ledger.AccountID]report.Day{}
	known := map[ledger.AccountID]bool{}
	var volume, credited, returned, lost int64
	for _, x := range w.made {
		if x.day > day {
			break
		}
		balance[x.from] -= x.sum
		balance[x.to] += x.sum
		known[x.from], known[x.to] = true, true
		if x.kind == ledger.Payment {
			seen[x.from], seen[x.to] = x.day, x.day
		}
		if x.day < day {
			continue
		}
		switch x.kind {
		case ledger.Payment:
			f.Payments++
			volume += x.sum
		case ledger.Credit:
			credited += x.sum
		case ledger.Correction:
			returned += x.sum
		}
		if x.from == w.pertes {
			lost += x.sum
		}
	}
	var circulating, dormant int64
	for _, id := range w.accounts {
		if !known[id] {
			continue
		}
		f.Accounts++
		circulating += balance[id]
		for n, since := range store.ActiveDays() {
			if seen[id] > day-report.Day(since) {
				f.Active[n]++
			} else if n == 2 {
				dormant += balance[id]
			}
		}
	}
	for to, n := range map[*money.Amount]int64{
		&f.Volume: volume, &f.Credited: credited, &f.Returned: returned, &f.Lost: lost, &f.Circulating: circulating, &f.Dormant: dormant,
	} {
		*to = money.New(n, maillon)
	}
	return f
}

// A part is transfers that are made before days are counted, or not.
type part struct {
	transfers []drawn
	counted   bool
}

// A drawn transfer is one before its town is there: accounts are members.
type drawn struct {
	later, from, to int
	sum             int64
	kind            ledger.Kind
}

var parts = rapid.SliceOfN(rapid.Custom(func(r *rapid.T) part {
	member := rapid.IntRange(0, people-1)
	return part{counted: rapid.Bool().Draw(r, "counted"), transfers: rapid.SliceOfN(rapid.Custom(func(r *rapid.T) drawn {
		return drawn{
			rapid.SampledFrom([]int{0, 0, 0, 0, 1, 2, 30}).Draw(r, "later"), member.Draw(r, "from"), member.Draw(r, "to"),
			rapid.Int64Range(1, 20).Draw(r, "sum"),
			rapid.SampledFrom([]ledger.Kind{ledger.Payment, ledger.Payment, ledger.Payment, ledger.Credit, ledger.Correction}).Draw(r, "kind"),
		}
	}), 1, 40).Draw(r, "transfers")}
}), 1, 4)

// What is counted day by day is what the ledger says when it is read whole.
func TestCountedDaysAreThoseOfTheLedger(t *testing.T) {
	age := rapid.IntRange(0, 130)
	t.Run("memory", func(t *testing.T) {
		rapid.Check(t, func(r *rapid.T) {
			newTown(t, store.Memory).live(r, age.Draw(r, "age"), parts.Draw(r, "parts"))
		})
	})
	t.Run("postgres", func(t *testing.T) {
		for seed := range 3 {
			newTown(t, pgtest.New(t)).live(t, age.Example(seed), parts.Example(seed))
		}
	})
}

// A failer is a test, or one case of a property.
type failer interface {
	Fatalf(format string, args ...any)
}

// live lets a town live since some days ago, and compares what is counted.
func (w *town) live(t failer, age int, parts []part) {
	defer func() { _ = w.db.Close() }()
	first := w.today - report.Day(age)
	day := first
	for _, p := range parts {
		var all []transfer
		for _, d := range p.transfers {
			day = min(day+report.Day(d.later), w.today)
			all = append(all, w.settle(d, day))
		}
		w.transfers(all...)
		if p.counted {
			w.catchUp()
			day = w.today // a day that was counted is over
		}
	}
	w.catchUp()
	if len(w.made) == 0 {
		return
	}
	x := w.read(report.Period{From: first, To: w.today})
	var days []report.Figures
	for d := w.made[0].day; d < w.today; d++ {
		days = append(days, w.want(d))
	}
	if !slices.Equal(x.Days, days) {
		t.Fatalf("days\n%v, want\n%v", x.Days, days)
	}
	w.checkSums(t, x)
}

// checkSums compares the whole with its parts.
func (w *town) checkSums(t failer, x *report.Report) {
	var payments, volume, flowing int64
	for _, d := range x.Weeks {
		payments, volume = payments+d.Payments, volume+d.Volume.Minor()
	}
	for _, f := range x.Flows {
		if f.Payer != report.Association {
			flowing += f.Volume.Minor()
		}
	}
	if payments != x.Payments || volume != x.Volume.Minor() || flowing != volume {
		t.Fatalf("%d payments of %v; the weeks have %d of %d, the flows %d", x.Payments, x.Volume, payments, volume, flowing)
	}
	now, err := w.now()
	if err != nil {
		t.Fatalf("%v", err)
	}
	var today int64
	for _, x := range w.made {
		if x.kind == ledger.Payment && x.day == w.today {
			today++
		}
	}
	if now.Payments != today || !now.Complete {
		t.Fatalf("%d payments today, want %d", now.Payments, today)
	}
}

func (w *town) now() (n report.Now, err error) {
	err = w.db.View(w.t.Context(), func(tx *store.Tx) (err error) {
		n, err = report.Reader{Zone: w.zone, Currency: maillon}.Now(w.t.Context(), tx)
		return err
	})
	return n, err
}

// settle makes a transfer of what was drawn.
func (w *town) settle(d drawn, day report.Day) transfer {
	x := transfer{day, d.kind, w.accounts[d.from], w.accounts[d.to], d.sum}
	switch {
	case x.kind == ledger.Correction && x.sum%2 == 0:
		x.from = w.pertes
	case x.kind == ledger.Credit || x.from == x.to:
		x.kind, x.from = ledger.Credit, w.emission
	}
	return x
}

// Who is paid twenty times in a month is a shop from then on, and in the month
// after.
func TestShopsAreThoseWhoArePaidOften(t *testing.T) {
	w := newTown(t, store.Memory)
	defer func() { _ = w.db.Close() }()
	march := report.Month(2024, time.March)
	all := []transfer{{march.From, ledger.Credit, w.emission, w.accounts[0], 100}}
	pay := func(day report.Day) {
		all = append(all, transfer{day, ledger.Payment, w.accounts[0], w.accounts[1], 1})
	}
	for n := range report.ShopAt {
		pay(march.From + report.Day(n))
	}
	pay(march.To)
	pay(march.To + 30)
	pay(march.To + 61)
	w.transfers(all...)
	w.catchUp()
	paid := func(p report.Period) map[string]int64 {
		sums := map[string]int64{}
		for _, f := range w.read(p).Flows {
			if f.Payer != report.Association {
				sums[f.Payee] += f.Payments
			}
		}
		return sums
	}
	if got := paid(march); got[report.Occasional] != report.RegularAt || got[report.Regular] != report.ShopAt-report.RegularAt || got[report.Shop] != 1 {
		t.Errorf("in March %v", got)
	}
	if got := paid(report.Month(2024, time.April)); got[report.Shop] != 1 {
		t.Errorf("in April %v, want one payment to a shop", got)
	}
	if got := paid(report.Month(2024, time.May)); got[report.Occasional] != 1 {
		t.Errorf("in May %v, want one payment to nobody in particular", got)
	}
}

func TestWeeksBeginOnMonday(t *testing.T) {
	sunday := report.DayOn(2026, time.March, 29)
	if got, want := sunday.Monday(), report.DayOn(2026, time.March, 23); got != want {
		t.Errorf("Monday() = %v, want %v", got.Date(), want.Date())
	}
	if got := (sunday + 1).Monday(); got != sunday+1 {
		t.Errorf("a Monday's Monday is %v", got.Date())
	}
	zone, _ := time.LoadLocation("Europe/Paris")
	if long := (sunday + 1).Begin(zone).Sub(sunday.Begin(zone)); long != 23*time.Hour {
		t.Errorf("the day on which clocks go forward takes %v, want 23h", long)
	}
}

func TestMonthsAreRead(t *testing.T) {
	for text, want := range map[string]bool{"2026-10": true, "2024-02": true, "2026-13": false, "": false, "1970-01": false, "26-1": false} {
		p, ok := report.ParseMonth(text)
		if ok != want || ok && (p.From.Date().Day() != 1 || p.To.Date().AddDate(0, 0, 1).Day() != 1) {
			t.Errorf("ParseMonth(%q) = %v, %v", text, p, ok)
		}
	}
}

// Filled books are counted from their first day to yesterday.
func TestFilledBooksAreCounted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "books.db")
	n := int64(0)
	err := store.Fill(t.Context(), path, store.Secret{1}, store.Filling{
		Currency: maillon, Accounts: 20, Transfers: 3_000, Credit: 100,
		Pay: func(members int64) (from, to, amount int64) { n++; return n % members, (n * 7) % members, 1 + n%3 },
	})
	if err != nil {
		t.Fatal(err)
	}
	w := newTown(t, path)
	defer func() { _ = w.db.Close() }()
	w.catchUp()
	x := w.read(report.Last(400, w.today))
	now, err := w.now()
	if err != nil {
		t.Fatal(err)
	}
	if x.Payments+now.Payments != 2_980 || x.Circulating.Minor() != 2_000 || now.Circulating.Minor() != 2_000 || x.Accounts != 20 {
		t.Errorf("%d payments and %d today, %v of %d accounts", x.Payments, now.Payments, x.Circulating, x.Accounts)
	}
}
