package treasury

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"maillon/internal/auth"
	"maillon/internal/correction"
	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/store"
)

// Bounds of a correction.
const (
	maxCorrected  = 200_000 // transfers since the moment
	maxSuspects   = 1000
	correctedPage = 1000 // transfers read at once
)

// PutBack is the kind of proposal that puts balances back.
const PutBack = "restore"

var (
	// ErrRunning means that payments must be paused first.
	ErrRunning = errors.New("payments must be paused first")
	// ErrMoved means that money has moved since the preview that was proposed.
	ErrMoved = errors.New("money has moved since the preview")
	// ErrTooMuch means that too many transfers happened since the moment.
	ErrTooMuch = fmt.Errorf("more than %d transfers since then", maxCorrected)
)

// A Correction says what is put back, and since when.
type Correction struct {
	Since time.Time
	correction.Scope

	Undoes int64  // an approved proposal: the roots are all its entries
	Shown  string // the hash of the preview that was shown; "" before there is one
}

// A Preview is what a correction would do.
type Preview struct {
	Correction
	Entries  []PreviewEntry
	Accounts []PreviewAccount
	Lines    []PreviewLine
	Lost     []money.Amount // that the association bears, by currency
}

// A PreviewEntry is one transfer since the moment.
type PreviewEntry struct {
	ledger.Transaction
	Class    correction.Class
	From, To ledger.AccountID
	Amount   money.Amount
}

// Undone reports whether a clean payment is undone beside the others, and may be
// entered again.
func (p *Preview) Undone(e PreviewEntry) bool {
	return p.All && e.Class == correction.Clean && e.Kind == ledger.Payment
}

// A PreviewAccount is what becomes of one account.
type PreviewAccount struct {
	ID               ledger.AccountID
	Member           member.ID // 0: of the association
	Name             string    // of an account of the association
	Then, Now, After money.Amount
	Reached          bool // stolen money came here: was it in good faith?
	Keeps            bool
}

// Difference is what the correction changes.
func (a PreviewAccount) Difference() money.Amount {
	return money.New(a.After.Minor()-a.Now.Minor(), a.Now.Currency())
}

// A PreviewLine is one entry that would be posted.
type PreviewLine struct {
	correction.Line
	Amount money.Amount
	Lost   bool // the association bears it
}

// Suspect says why a transfer may be the theft itself.
type Suspect struct {
	ID  ledger.TransactionID
	Why string // "credit": of an administrator whose sessions were ended; "held": a rule set it aside; "fraud": its payer said so
}

// Suspects proposes the transfers since a moment that may be the theft itself:
// credits of administrators whose sessions somebody ended since then, and what
// members said is fraud. Without any, credits that were held for the night.
func (t *Treasury) Suspects(ctx context.Context, tx *store.Tx, since time.Time) ([]Suspect, error) {
	ended, err := endedSessions(ctx, tx, since)
	if err != nil {
		return nil, err
	}
	first, err := tx.FirstSince(ctx, since)
	if err != nil {
		return nil, err
	}
	doubted, err := tx.Doubted(ctx, first, maxSuspects)
	if err != nil {
		return nil, err
	}
	end, err := next(ctx, tx)
	if err != nil {
		return nil, err
	}
	if end-first > maxCorrected {
		return nil, ErrTooMuch
	}
	credits, err := tx.CreditsFrom(ctx, first, end, maxSuspects)
	if err != nil {
		return nil, err
	}
	var all, night []Suspect
	for _, id := range doubted { // its payer said that it is a fraud
		all = append(all, Suspect{id, "fraud"})
	}
	for _, x := range credits {
		o, err := tx.OrderOf(ctx, x.ID)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		late, err := t.Desk.AtNight(ctx, tx, o, x.At)
		switch {
		case err != nil:
			return nil, err
		case ended[member.ID(o.Owner)]:
			all = append(all, Suspect{x.ID, "credit"})
		case late:
			night = append(night, Suspect{x.ID, "held"})
		}
	}
	slices.SortFunc(all, func(a, b Suspect) int { return cmp.Compare(a.ID, b.ID) })
	if len(all) == 0 {
		all = night
	}
	return all, nil
}

// endedSessions returns the administrators whose sessions were ended by another
// since a moment.
func endedSessions(ctx context.Context, tx *store.Tx, since time.Time) (map[member.ID]bool, error) {
	acts, err := tx.Acts(ctx, store.ActsWhere{What: auth.Revoked, Since: since}, store.MaxActs)
	ended := map[member.ID]bool{}
	for _, a := range acts {
		var id int64
		if _, err := fmt.Sscanf(a.Subject, "member:%d", &id); err == nil {
			ended[member.ID(id)] = true
		}
	}
	return ended, err
}

// since calls do for each transaction of a moment or later, the oldest first.
func (t *Treasury) since(ctx context.Context, tx *store.Tx, at time.Time, do func(ledger.Transaction) error) error {
	first, err := tx.FirstSince(ctx, at)
	if err != nil {
		return err
	}
	for n, after := 0, first-1; ; {
		all, err := tx.TransactionsAfter(ctx, 0, after, correctedPage)
		if err != nil {
			return err
		}
		for _, x := range all {
			after = x.ID
			if n++; n > maxCorrected {
				return ErrTooMuch
			}
			if err := do(x); err != nil {
				return err
			}
		}
		if len(all) < correctedPage {
			return nil
		}
	}
}

// Preview works out what a correction would do now.
func (t *Treasury) Preview(ctx context.Context, tx *store.Tx, c Correction) (*Preview, error) {
	p := &Preview{Correction: c}
	p.Shown = ""
	scope := c.Scope
	if c.Undoes != 0 {
		first, n, err := t.Corrected(ctx, tx, c.Undoes)
		if err != nil {
			return nil, err
		}
		scope.Roots = make([]ledger.TransactionID, n)
		for i := range scope.Roots {
			scope.Roots[i] = first + ledger.TransactionID(i)
		}
	}
	err := t.since(ctx, tx, c.Since, func(x ledger.Transaction) error {
		if x.Kind == ledger.Trade { // what merchants' clients have is in their authorizations too: it stays
			return nil
		}
		if len(x.Postings) != 2 {
			return fmt.Errorf("transaction %d has %d sides", x.ID, len(x.Postings))
		}
		from, to := x.Postings[0], x.Postings[1]
		if from.Amount.Sign() > 0 {
			from, to = to, from
		}
		p.Entries = append(p.Entries, PreviewEntry{x, correction.Clean, from.Account, to.Account, to.Amount})
		return nil
	})
	if err != nil {
		return nil, err
	}
	currencies := map[money.Currency][]int{}
	for n, e := range p.Entries {
		currencies[e.Amount.Currency()] = append(currencies[e.Amount.Currency()], n)
	}
	found := false
	for _, cur := range slices.SortedFunc(maps.Keys(currencies), func(a, b money.Currency) int { return cmp.Compare(a.Code, b.Code) }) {
		err := t.previewOf(ctx, tx, p, scope, cur, currencies[cur])
		if errors.Is(err, correction.ErrNothing) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found = true
	}
	if !found {
		return p, correction.ErrNothing
	}
	p.Shown, err = p.hash()
	return p, err
}

// previewOf works out what the correction does in one currency, of which some of
// the entries are.
func (t *Treasury) previewOf(ctx context.Context, tx *store.Tx, p *Preview, scope correction.Scope, c money.Currency, entries []int) error {
	losses, err := tx.SystemAccount(ctx, store.Pertes, c)
	if err != nil {
		return err
	}
	b := correction.Books{Then: map[ledger.AccountID]int64{}, Unbounded: map[ledger.AccountID]bool{losses.ID: true}, Losses: losses.ID}
	ids := map[ledger.AccountID]bool{}
	if losses.ID != 0 { // else nobody has lost anything yet
		ids[losses.ID] = true
	}
	for _, n := range entries {
		ids[p.Entries[n].From], ids[p.Entries[n].To] = true, true
	}
	rows, err := tx.AccountRowsOf(ctx, slices.Collect(maps.Keys(ids)))
	if err != nil {
		return err
	}
	for id, row := range rows {
		b.Then[id], b.Unbounded[id] = row.Balance.Minor(), row.Unbounded
	}
	for _, n := range entries {
		e := p.Entries[n]
		b.Then[e.From] += e.Amount.Minor()
		b.Then[e.To] -= e.Amount.Minor()
		b.Entries = append(b.Entries, correction.Entry{ID: e.ID, From: e.From, To: e.To, Amount: e.Amount.Minor(), Reverses: e.Reverses, Via: e.Via})
	}
	plan, err := correction.Work(b, scope)
	reached := map[ledger.AccountID]bool{}
	for i, n := range entries {
		p.Entries[n].Class = plan.Classes[i]
		if plan.Classes[i] != correction.Clean {
			reached[p.Entries[n].To] = true
		}
	}
	now, after := plan.Balances(b)
	if losses.ID == 0 && plan.Lost > 0 {
		rows[0] = store.AccountRow{Account: losses, Name: store.Pertes}
	}
	for id, row := range rows {
		p.Accounts = append(p.Accounts, PreviewAccount{
			ID: id, Member: row.Member, Name: row.Name, Keeps: slices.Contains(p.Keep, id), Reached: reached[id] && row.Member != 0,
			Then: money.New(b.Then[id], c), Now: money.New(now[id], c), After: money.New(after[id], c),
		})
	}
	slices.SortFunc(p.Accounts, func(x, y PreviewAccount) int { return cmp.Compare(x.ID, y.ID) })
	for _, l := range plan.Lines {
		p.Lines = append(p.Lines, PreviewLine{l, money.New(l.Amount, c), l.From == losses.ID})
	}
	if plan.Lost > 0 {
		p.Lost = append(p.Lost, money.New(plan.Lost, c))
	}
	return err
}

// hash tells two previews apart: whoever approves approves what was shown.
func (p *Preview) hash() (string, error) {
	lines := make([]correction.Line, len(p.Lines))
	for n, l := range p.Lines {
		if lines[n] = l.Line; l.Lost {
			lines[n].From = 0 // whether its account is open yet makes no other preview
		}
	}
	text, err := json.Marshal(lines)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return fmt.Sprintf("%x", sum[:16]), nil
}

// ProposeCorrection asks a second person to approve what a preview showed. It
// returns ErrRunning, ErrMoved or correction.ErrNothing.
func (t *Treasury) ProposeCorrection(ctx context.Context, tx *store.Tx, by string, c Correction, reason string) (int64, error) {
	if reason == "" {
		return 0, ErrReason
	}
	if _, err := t.same(ctx, tx, c); err != nil {
		return 0, err
	}
	payload, err := json.Marshal(c)
	if err != nil {
		return 0, err
	}
	return t.Propose(ctx, tx, by, PutBack, payload, reason)
}

// same returns the preview of a correction if it is still what was shown.
func (t *Treasury) same(ctx context.Context, tx *store.Tx, c Correction) (*Preview, error) {
	paused, err := tx.Paused(ctx)
	if err != nil {
		return nil, err
	}
	if paused.IsZero() {
		return nil, ErrRunning
	}
	p, err := t.Preview(ctx, tx, c)
	if err != nil {
		return nil, err
	}
	if p.Shown != c.Shown {
		return nil, ErrMoved
	}
	return p, nil
}

// ReadCorrection returns what a proposal of this kind asks for.
func ReadCorrection(p store.Proposal) (c Correction, err error) {
	if p.Kind != PutBack {
		return c, store.ErrNotFound
	}
	d := json.NewDecoder(bytes.NewReader(p.Payload))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return c, fmt.Errorf("proposal %d: %w", p.ID, err)
	}
	return c, nil
}

// PutBack does what was proposed and approved: a Kind.
func (t *Treasury) PutBack(ctx context.Context, tx *store.Tx, p store.Proposal) error {
	c, err := ReadCorrection(p)
	if err != nil {
		return err
	}
	plan, err := t.same(ctx, tx, c)
	if err != nil {
		return err
	}
	first, err := next(ctx, tx)
	if err != nil {
		return err
	}
	if err := t.Desk.EndQuestions(ctx, tx); err != nil {
		return err
	}
	for n := 0; n < len(plan.Lines); {
		cur := plan.Lines[n].Amount.Currency()
		var lines []correction.Line
		for ; n < len(plan.Lines) && plan.Lines[n].Amount.Currency() == cur; n++ {
			lines = append(lines, plan.Lines[n].Line)
		}
		if err := t.Desk.Correct(ctx, tx, p.ID, 0, cur, lines); err != nil {
			return err
		}
	}
	end, err := next(ctx, tx)
	if err != nil {
		return err
	}
	tx.Audit(store.Act{
		By: p.DecidedBy, What: PutBack, Subject: subject(p.ID), Reason: p.Reason,
		Was: c.Since.UTC().Format(time.RFC3339), Became: fmt.Sprintf("%d entries from %d", end-first, first),
	})
	return nil
}

// next returns the number of the next transaction.
func next(ctx context.Context, tx *store.Tx) (ledger.TransactionID, error) {
	return tx.FirstSince(ctx, tx.Now().Add(time.Hour))
}

// Corrected returns the entries of a correction that was approved: the first,
// and how many.
func (t *Treasury) Corrected(ctx context.Context, tx *store.Tx, proposal int64) (first ledger.TransactionID, n int, err error) {
	acts, err := tx.Acts(ctx, store.ActsWhere{What: PutBack, Subject: subject(proposal)}, 1)
	if err != nil || len(acts) == 0 {
		return 0, 0, errors.Join(err, store.ErrNotFound)
	}
	_, err = fmt.Sscanf(acts[0].Became, "%d entries from %d", &n, &first)
	return first, n, err
}

// Backwards is the correction that undoes another: what its entries moved is
// followed and taken back like any other money.
func (t *Treasury) Backwards(ctx context.Context, tx *store.Tx, proposal int64) (Correction, error) {
	first, _, err := t.Corrected(ctx, tx, proposal)
	if err != nil {
		return Correction{}, err
	}
	x, err := tx.Transaction(ctx, first)
	return Correction{Since: x.At, Undoes: proposal}, err
}

// PayAgain enters a payment again that a correction undid though it was honest.
func (t *Treasury) PayAgain(ctx context.Context, tx *store.Tx, by string, admin *member.Member, id ledger.TransactionID) error {
	x, err := tx.Transaction(ctx, id)
	if err != nil {
		return err
	}
	if _, err := tx.ReversalOf(ctx, id); err != nil || x.Kind != ledger.Payment {
		return errors.Join(err, store.ErrNotFound) // nothing undid it
	}
	tx.Act(by, "again", "transaction:"+x.Ref, "")
	return t.Desk.PayAgain(ctx, tx, int64(admin.ID), x)
}
