package guard

import (
	"slices"
	"time"
)

// MaxSample is how many payments are named of those that a rule would have
// caught: the newest.
const MaxSample = 20

// A Paid is a payment of the past, as rules would have seen it.
type Paid struct {
	Move                // its ID is that of the transaction
	Balance   int64     // of the payer before
	Opened    time.Time // the account of the payee; not before this payment if it opened it
	FirstPaid time.Time // when the payer first paid this payee: at this payment, or before
}

// A Setup is what a rule is tried with on the past.
type Setup struct {
	Limits
	Unit        int64 // one whole unit in smallest ones
	NewAccounts int
	Zone        *time.Location
}

// A Catch is what a rule would have caught.
type Catch struct {
	N      int    // payments
	Sample []Move // the newest of them
}

// A Trial tries one rule on payments of the past, in their order, with the facts
// that it would have had then. What it would have refused or held is counted as
// if it had gone on, as it did.
type Trial struct {
	Setup
	Ruling
	Since time.Time // payments before it are only facts
	Catch Catch

	out, in map[int64][]Move // of the last day, by account
	opened  []Move           // of the last day, those that opened an account
}

// OfPayments reports whether a rule can be tried on payments of the past; of the
// others there is only what they wrote down.
func OfPayments(id string) bool {
	return slices.Contains([]string{"VEL1", "VEL2", "NEW1", "NEW2", "NGT1", "BUR1", "BUR2", "DRA1", "STR1", "MUL1", "CIR1"}, id)
}

// Next tries the rule on the next payment.
func (t *Trial) Next(p Paid) {
	if t.out == nil {
		t.out, t.in = map[int64][]Move{}, map[int64][]Move{}
	}
	day := p.At.Add(-24 * time.Hour)
	out, in := since(t.out[p.From], day), since(t.in[p.From], day)
	if !p.At.Before(t.Since) && t.catches(p, out, in) {
		t.Catch.N++
		t.Catch.Sample = append(t.Catch.Sample, p.Move)
		if len(t.Catch.Sample) > MaxSample {
			t.Catch.Sample = slices.Delete(t.Catch.Sample, 0, 1)
		}
	}
	t.out[p.From] = append(out, p.Move)
	t.in[p.To] = append(since(t.in[p.To], day), p.Move)
	if p.unknown() {
		t.opened = append(since(t.opened, day), p.Move)
	}
}

// since leaves out what is older.
func since(all []Move, at time.Time) []Move {
	n := slices.IndexFunc(all, func(m Move) bool { return !m.At.Before(at) })
	if n < 0 {
		return all[:0]
	}
	return all[n:]
}

// unknown reports whether the payee had no account before p.
func (p Paid) unknown() bool { return !p.Opened.Before(p.At) }

func (t *Trial) catches(p Paid, out, in []Move) bool {
	switch t.ID {
	case "BUR1":
		mine := 0
		for _, m := range since(t.opened, t.midnight(p.At)) {
			if m.From == p.From {
				mine++
			}
		}
		return p.unknown() && mine >= t.NewAccounts
	case "BUR2":
		return p.unknown() && int64(len(since(t.opened, p.At.Truncate(time.Hour))))+1 == t.At[0]
	case "CIR1":
		found, _ := t.Loop(p.Move, t.Unit, func(account int64) ([]Move, error) { // its memory cannot fail
			all := slices.Clone(t.in[account])
			slices.Reverse(all)
			return all, nil
		})
		return found != nil
	}
	return t.judges(t.facts(p, out, in))
}

func (t *Trial) midnight(at time.Time) time.Time {
	y, m, d := at.In(t.Zone).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, t.Zone)
}

// facts are those that the desk would have had.
func (t *Trial) facts(p Paid, out, in []Move) Payment {
	midnight := t.midnight(p.At)
	f := Payment{
		Amount: p.Amount, Balance: p.Balance, Hour: p.At.In(t.Zone).Hour(),
		PayeeUnknown: p.unknown(), PayeeRecent: p.At.Sub(p.Opened) < 30*24*time.Hour,
		PaidBefore: p.FirstPaid.Before(p.At),
	}
	f.FirstToday = f.PaidBefore && !p.FirstPaid.Before(midnight)
	ranges := [][2]int64(nil)
	if t.ID == "STR1" {
		ranges = t.NearRanges(t.Limits)
	}
	for _, m := range out {
		if !m.At.Before(midnight) {
			f.Today += m.Amount
			if m.To == p.To && f.FirstToday {
				f.PaidFirstDay += m.Amount
			}
		}
		if t.ID == "VEL1" && !m.At.Before(p.At.Add(-t.Window())) {
			f.OutLately++
		}
		if slices.ContainsFunc(ranges, func(r [2]int64) bool { return m.Amount >= r[0] && m.Amount <= r[1] }) {
			f.NearLimit24h++
		}
		if !m.At.Before(p.At.Add(-time.Hour)) {
			f.OutLast1h += m.Amount
		}
	}
	payers := map[int64]bool{}
	for _, m := range since(in, p.At.Add(-time.Hour)) {
		payers[m.From] = true
		f.InLast1h += m.Amount
	}
	f.PayersIn1h = len(payers)
	return f
}

func (t *Trial) judges(f Payment) bool {
	switch t.ID {
	case "VEL1":
		return t.Velocity(f)
	case "VEL2":
		return t.DayFull(f)
	case "NEW1":
		return t.First(f)
	case "NEW2":
		return t.FirstFull(f)
	case "NGT1":
		return t.Night(f, t.Unit)
	case "DRA1":
		return t.Nearly(f, t.Unit)
	case "STR1":
		return t.Structuring(t.Limits, f)
	case "MUL1":
		return t.Mule(f)
	}
	return false
}
