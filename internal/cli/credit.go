package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/order"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// maxReason bounds the reason of a credit, in runes.
const maxReason = 200

// creditCommand credits one account, or all those of a file.
type creditCommand struct {
	place
	Who    string   `arg:"" optional:"" help:"Pseudo, number, or member:ID. A number without account gets one, and is asked by SMS."`
	Amount string   `arg:"" optional:"" help:"Such as 20 or 12,50."`
	Reason []string `arg:"" optional:"" help:"Why; it is required, and the member reads it."`

	CSV    string `name:"csv" placeholder:"FILE" help:"Credit all lines of a file: numero_ou_pseudo;montant;motif;cle. All or nothing."`
	DryRun bool   `help:"With --csv: show what would be done, and do nothing."`
	Key    string `help:"A name for this one credit: a second one with the same name does nothing."`
	Unit   string `help:"Symbol of the unit (default: the first one)."`
}

// Run credits.
func (c creditCommand) Run(ctx context.Context, io *Streams) error {
	reason := strings.TrimSpace(strings.Join(c.Reason, " "))
	switch {
	case c.CSV != "" && (c.Who != "" || c.Key != ""):
		return exitf(ExitUsage, "credit either one account or those of --csv")
	case c.CSV == "" && c.DryRun:
		return exitf(ExitUsage, "--dry-run goes with --csv")
	case c.CSV == "" && (c.Who == "" || c.Amount == "" || reason == ""):
		return exitf(ExitUsage, "a credit needs who, how much and why: maillon credit soazig 20 atelier vélo")
	}
	line := creditLine{who: c.Who, sum: c.Amount, reason: reason, name: c.Key}
	lines := []creditLine{line}
	var err error
	if c.CSV != "" {
		if lines, err = readCredits(c.CSV); err != nil {
			return err
		}
	}
	b, err := c.open(ctx, false)
	if err != nil {
		return err
	}
	defer b.Close() //nolint:errcheck // every Update is on disk already
	unit, ok := b.Settings.Unit(c.Unit)
	if !ok {
		return exitf(ExitUsage, "--unit %s: there is no such unit", c.Unit)
	}
	batch := &creditBatch{books: b, currency: unit.Currency(), lines: lines, csv: c.CSV, named: map[string]creditLine{}}
	if c.CSV != "" {
		return c.many(ctx, io, batch)
	}
	return c.one(ctx, io, batch)
}

func (c creditCommand) one(ctx context.Context, io *Streams, batch *creditBatch) error {
	err := batch.update(ctx, func(tx *store.Tx) error { return batch.grant(ctx, tx, nil) })
	if err != nil {
		return err
	}
	if len(batch.repeated) > 0 {
		_, err = fmt.Fprintf(io.Out, "this credit was made before under the key %s: nothing done\n", c.Key)
		return err
	}
	_, err = fmt.Fprintf(io.Out, "%s credited, reference %s\n", batch.total, batch.refs[0])
	return err
}

// A creditLine is one credit as it was typed.
type creditLine struct {
	line   int // of the file; 0 on the command line
	who    string
	sum    string
	reason string
	name   string // the key that makes a second one harmless; "" is none
}

func (l creditLine) String() string {
	if l.line == 0 {
		return l.who
	}
	return fmt.Sprintf("line %d", l.line)
}

// A creditBatch grants credits, or finds out what granting them would do.
type creditBatch struct {
	*books
	csv      string
	currency money.Currency
	lines    []creditLine

	named    map[string]creditLine // by key, those of this batch
	opened   map[sms.Number]int    // numbers that get an account, and how often they are named
	repeated []creditLine          // done before
	faults   []string
	total    money.Amount
	granted  int
	refs     []string
}

// A creditTarget is a line understood.
type creditTarget struct {
	payee  *member.Member // nil: a number without account
	number sms.Number
	amount money.Amount
}

// check goes through all lines without doing anything.
func (b *creditBatch) check(ctx context.Context, tx *store.Tx, progress *bar) error {
	return b.each(ctx, tx, progress, func(creditLine, creditTarget) error { return nil })
}

// grant does all lines. If one of them cannot be done, it fails with all that
// is wrong, and the transaction with it.
func (b *creditBatch) grant(ctx context.Context, tx *store.Tx, progress *bar) error {
	paused, err := tx.Paused(ctx)
	if err != nil {
		return err
	}
	if !paused.IsZero() {
		return exitf(ExitNo, "payments are paused: nobody is credited until maillon resume")
	}
	err = b.each(ctx, tx, progress, func(l creditLine, t creditTarget) error {
		o, err := b.grantOne(ctx, tx, l, t)
		if err == nil {
			b.refs = append(b.refs, o.Ref)
		}
		return err
	})
	if err != nil {
		return err
	}
	return b.refused()
}

func (b *creditBatch) grantOne(ctx context.Context, tx *store.Tx, l creditLine, t creditTarget) (*order.Order, error) {
	return b.Treasury.GrantOnce(ctx, tx, treasury.Operator, nil, t.payee, t.number, t.amount, l.reason, l.name)
}

// refused returns what is wrong with the lines as one error.
func (b *creditBatch) refused() error {
	if len(b.faults) == 0 {
		return nil
	}
	if b.csv == "" {
		return exitf(ExitNo, "%s", b.faults[0])
	}
	return exitf(ExitNo, "nothing is credited, for these lines cannot be:\n%s", strings.Join(b.faults, "\n"))
}

// each calls do for the lines that are neither wrong nor done before.
func (b *creditBatch) each(ctx context.Context, tx *store.Tx, progress *bar, do func(creditLine, creditTarget) error) error {
	b.total, b.opened = money.New(0, b.currency), map[sms.Number]int{}
	for n, l := range b.lines {
		if err := ctx.Err(); err != nil {
			return err
		}
		if progress != nil {
			progress.tell(int64(n), int64(len(b.lines)))
		}
		t, fault, err := b.understand(ctx, tx, l)
		if err != nil {
			return fmt.Errorf("%s: %w", l, err)
		}
		if fault == "" {
			var again bool
			again, fault, err = b.again(ctx, tx, l, t)
			if err != nil {
				return fmt.Errorf("%s: %w", l, err)
			}
			if again && fault == "" {
				b.repeated = append(b.repeated, l)
				continue
			}
		}
		if fault != "" {
			b.fault(l, fault)
			continue
		}
		if b.total, err = b.total.Add(t.amount); err != nil {
			return fmt.Errorf("%s: %w", l, err)
		}
		if t.payee == nil {
			b.opened[t.number]++
		}
		b.granted++
		if len(b.faults) > 0 {
			continue // nothing will be done: only look for more faults
		}
		if err := do(l, t); err != nil {
			return fmt.Errorf("%s: %w", l, err)
		}
	}
	return nil
}

func (b *creditBatch) fault(l creditLine, what string) {
	if l.line == 0 {
		what = fmt.Sprintf("%s: %s", l.who, what)
	} else {
		what = fmt.Sprintf("%s:%d: %s", b.csv, l.line, what)
	}
	if len(b.faults) < maxFaults {
		b.faults = append(b.faults, what)
	}
}

// understand finds out whom and how much a line means; fault says why it cannot be.
func (b *creditBatch) understand(ctx context.Context, tx *store.Tx, l creditLine) (t creditTarget, fault string, err error) {
	if t.amount, err = parseSum(l.sum, b.currency); err != nil {
		return t, fmt.Sprintf("%q: %v", l.sum, err), nil
	}
	switch {
	case t.amount.Sign() <= 0:
		return t, "a credit is more than zero", nil
	case l.reason == "":
		return t, "the reason is missing", nil
	case len([]rune(l.reason)) > maxReason:
		return t, fmt.Sprintf("the reason is longer than %d characters", maxReason), nil
	case l.line > 0 && l.name == "":
		return t, "the key (cle) is missing: any text that only this credit has, so that a second upload does nothing", nil
	}
	t.payee, err = b.find(ctx, tx, l.who)
	switch e, ok := errors.AsType[*ExitError](err); {
	case ok && e.Code == ExitNo:
		t.number, fault, err = b.stranger(ctx, tx, l.who)
		return t, fault, err
	case err != nil:
		return t, "", err
	case t.payee.State == member.Closed:
		return t, "this account is closed", nil
	case !t.payee.Payable():
		return t, "this account is frozen by an administrator: maillon member unfreeze it first", nil
	}
	return t, "", nil
}

// stranger reads the number of somebody who has no account yet.
func (b *creditBatch) stranger(ctx context.Context, tx *store.Tx, who string) (n sms.Number, fault string, err error) {
	n, err = b.mobile(who)
	if err != nil {
		return n, fmt.Sprintf("%q is neither a pseudo that somebody has nor a mobile number", who), nil //nolint:nilerr // a fault of the file, not ours
	}
	refused, err := tx.HasRefused(ctx, n)
	if err != nil {
		return n, "", err
	}
	if refused {
		return n, "this number asked never to be written to again", nil
	}
	return n, "", nil
}

// again reports whether a line was done before, in this batch or an earlier
// one; it is a fault if that was another credit.
func (b *creditBatch) again(ctx context.Context, tx *store.Tx, l creditLine, t creditTarget) (again bool, fault string, err error) {
	if l.name == "" {
		return false, "", nil
	}
	if first, ok := b.named[l.name]; ok {
		if first.who == l.who && first.sum == l.sum && first.reason == l.reason {
			return true, "", nil
		}
		return false, fmt.Sprintf("the key %s is that of line %d too", l.name, first.line), nil
	}
	b.named[l.name] = l
	txn, err := b.Treasury.Granted(ctx, tx, l.name)
	if errors.Is(err, store.ErrNotFound) {
		return false, "", nil
	}
	if err != nil {
		return false, "", err
	}
	same, err := sameCredit(ctx, tx, txn.Postings, t)
	if err == nil && !same {
		fault = fmt.Sprintf("the key %s was used before for another credit", l.name)
	}
	return true, fault, err
}

// sameCredit reports whether a transaction credited the target with its amount.
func sameCredit(ctx context.Context, tx *store.Tx, postings []ledger.Posting, t creditTarget) (bool, error) {
	if t.payee == nil {
		return true, nil // whoever had the number has left: it was done all the same
	}
	for _, p := range postings {
		if p.Amount != t.amount {
			continue
		}
		owner, _, err := tx.Owner(ctx, p.Account)
		if err != nil || owner == t.payee.ID {
			return err == nil, err
		}
	}
	return false, nil
}
