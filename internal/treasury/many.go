package treasury

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"maillon/internal/grammar"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/payment"
	"maillon/internal/setting"
	"maillon/internal/sheet"
	"maillon/internal/sms"
	"maillon/internal/store"
)

// MaxFaults bounds the faults that are named, and the lines that were done
// before. All are counted.
const MaxFaults = 100

// ManyKind is the kind of a proposal to credit many.
const ManyKind = "credit.many"

// ErrFaults means that lines of a batch cannot be credited, and so none is.
var ErrFaults = errors.New("some lines cannot be credited")

// A Batch is credits that are made all together or not at all.
type Batch struct {
	Total    money.Amount // of what is new
	New      int          // lines that are neither wrong nor done before
	Opened   int          // numbers that get an account
	Faults   []sheet.Fault
	Faulty   int   // lines that cannot be credited
	Repeated []int // lines that were done before, or stand twice in the file
	Again    int   // how many those are

	treasury *Treasury
	currency money.Currency
	lines    []batchLine
	accounts map[sms.Number]bool
	firsts   map[string]int // by key, the line that has it
}

// A batchLine is a line understood.
type batchLine struct {
	sheet.Credit
	amount money.Amount
	id     member.ID  // member:7
	number sms.Number // of a mobile telephone
	nick   string
	key    string // of the transaction
	payee  *member.Member
	fault  *sheet.Fault
	again  bool
}

// Lines returns how many lines there are.
func (b *Batch) Lines() int { return len(b.lines) }

var memberText = regexp.MustCompile(`^member:([0-9]{1,18})$`)

// Prepare reads lines as far as that is possible without looking at the books.
func (t *Treasury) Prepare(lines []sheet.Credit, c money.Currency) *Batch {
	b := &Batch{treasury: t, currency: c, lines: make([]batchLine, 0, len(lines))}
	for _, l := range lines {
		b.lines = append(b.lines, b.prepare(l))
	}
	return b
}

func (b *Batch) prepare(l sheet.Credit) batchLine {
	line := batchLine{Credit: l}
	if line.amount, line.fault = l.Check(b.currency); line.fault != nil {
		return line
	}
	if l.Key != "" {
		line.key = b.treasury.grantKey(l.Key)
	}
	who := strings.TrimPrefix(strings.TrimSpace(l.Who), "@")
	if parts := memberText.FindStringSubmatch(who); parts != nil {
		id, err := strconv.ParseInt(parts[1], 10, 64)
		if err == nil {
			line.id = member.ID(id)
		}
		return line
	}
	if folded := grammar.Fold(who); member.ValidNick(folded) {
		line.nick = folded
		return line
	}
	set := b.treasury.Desk.Set
	n, err := sms.ParseNumber(who, set.Region())
	if err == nil && n.Mobile() && slices.Contains(set.Countries, n.Country()) {
		line.number = n
	}
	return line
}

// Survey finds out what granting a batch would do, and what is wrong with it.
// It changes nothing.
func (b *Batch) Survey(ctx context.Context, tx *store.Tx) error {
	b.Total, b.New, b.Opened, b.Faults, b.Faulty, b.Repeated, b.Again = money.New(0, b.currency), 0, 0, nil, 0, nil, 0
	b.accounts, b.firsts = map[sms.Number]bool{}, map[string]int{}
	if err := b.find(ctx, tx); err != nil {
		return err
	}
	used, err := tx.PostedUnder(ctx, b.keys())
	if err != nil {
		return err
	}
	refused, err := b.refused(ctx, tx)
	if err != nil {
		return err
	}
	for n := range b.lines {
		l := &b.lines[n]
		l.again = false
		fault := l.fault
		if fault == nil {
			fault = l.forbidden(refused)
		}
		if fault == nil {
			fault = b.repeats(n, used)
		}
		if fault != nil {
			if b.Faulty++; len(b.Faults) < MaxFaults {
				b.Faults = append(b.Faults, *fault)
			}
			continue
		}
		if err := b.count(l); err != nil {
			return err
		}
	}
	return nil
}

func (b *Batch) count(l *batchLine) (err error) {
	if l.again {
		if b.Again++; len(b.Repeated) < MaxFaults {
			b.Repeated = append(b.Repeated, l.Line)
		}
		return nil
	}
	if b.Total, err = b.Total.Add(l.amount); err != nil {
		return fmt.Errorf("line %d: %w", l.Line, err)
	}
	b.New++
	if l.payee == nil && !b.accounts[l.number] {
		b.accounts[l.number] = true
		b.Opened++
	}
	return nil
}

// find looks up all members who are named.
func (b *Batch) find(ctx context.Context, tx *store.Tx) error {
	var ids []member.ID
	var nicks []string
	var numbers []sms.Number
	for _, l := range b.lines {
		switch {
		case l.id != 0:
			ids = append(ids, l.id)
		case l.nick != "":
			nicks = append(nicks, l.nick)
		case !l.number.IsZero():
			numbers = append(numbers, l.number)
		}
	}
	byID, err := tx.MembersByIDs(ctx, ids)
	if err != nil {
		return err
	}
	byNick, err := tx.MembersByNicks(ctx, nicks)
	if err != nil {
		return err
	}
	byNumber, err := tx.MembersByNumbers(ctx, numbers)
	if err != nil {
		return err
	}
	for n := range b.lines {
		switch l := &b.lines[n]; {
		case l.id != 0:
			l.payee = byID[l.id]
		case l.nick != "":
			l.payee = byNick[l.nick]
		default:
			l.payee = byNumber[l.number]
		}
	}
	return nil
}

func (b *Batch) keys() []string {
	var keys []string
	for _, l := range b.lines {
		if l.key != "" {
			keys = append(keys, l.key)
		}
	}
	return keys
}

func (b *Batch) refused(ctx context.Context, tx *store.Tx) (map[sms.Number]bool, error) {
	var strangers []sms.Number
	for _, l := range b.lines {
		if l.payee == nil && !l.number.IsZero() {
			strangers = append(strangers, l.number)
		}
	}
	return tx.RefusedAmong(ctx, strangers)
}

// forbidden says why nobody may credit whoever a line names.
func (l *batchLine) forbidden(refused map[sms.Number]bool) *sheet.Fault {
	f := &sheet.Fault{Line: l.Line, Arg: l.Who}
	switch {
	case l.payee == nil && l.number.IsZero():
		f.What = sheet.Unknown
	case l.payee == nil && refused[l.number]:
		f.What = sheet.Refused
	case l.payee == nil:
		return nil
	case l.payee.State == member.Closed:
		f.What = sheet.Closed
	case !l.payee.Payable():
		f.What = sheet.Frozen
	default:
		return nil
	}
	return f
}

// repeats finds out whether a line was done before, in this batch or an earlier
// one. It is a fault if that was another credit.
func (b *Batch) repeats(n int, used map[string]store.Posted) *sheet.Fault {
	l := &b.lines[n]
	if l.key == "" {
		return nil
	}
	if first, ok := b.firsts[l.key]; ok {
		f := &b.lines[first]
		if l.again = f.payee == l.payee && f.number == l.number && f.amount == l.amount && f.Reason == l.Reason; l.again {
			return nil
		}
		return &sheet.Fault{Line: l.Line, What: sheet.Twice, Arg: fmt.Sprintf("%s is that of line %d", l.Key, f.Line)}
	}
	b.firsts[l.key] = n
	before, ok := used[l.key]
	if !ok {
		return nil
	}
	// Whoever had the number may have left since: it was done all the same.
	if l.again = before.Amount == l.amount && (l.payee == nil || before.Member == l.payee.ID); l.again {
		return nil
	}
	return &sheet.Fault{Line: l.Line, What: sheet.Used, Arg: l.Key}
}

// GrantMany credits all lines of a batch that were not done before, or none: it
// returns ErrFaults, with the faults in the batch, if one of them cannot be.
// admin is nil for the operator.
func (t *Treasury) GrantMany(ctx context.Context, tx *store.Tx, by string, admin *member.Member, b *Batch, reason string) ([]string, error) {
	if err := t.Desk.StillOpen(ctx, tx); err != nil {
		return nil, err
	}
	if err := b.Survey(ctx, tx); err != nil {
		return nil, err
	}
	if b.Faulty > 0 {
		return nil, ErrFaults
	}
	grants := make([]payment.Grant, 0, b.New)
	for n, l := range b.lines {
		if l.again {
			continue
		}
		g := payment.Grant{Payee: l.payee, Number: l.number, Amount: l.amount, Reason: l.Reason, Key: l.key}
		if g.Key == "" {
			g.Key = t.grantKey(fmt.Sprintf("%d:%d", tx.Now().UnixMicro(), n))
		}
		grants = append(grants, g)
	}
	refs, err := t.Desk.GrantMany(ctx, tx, admin, grants)
	if err != nil {
		return nil, err
	}
	tx.Audit(store.Act{By: by, What: ManyKind, Reason: reason, Became: fmt.Sprintf("%d: %s", b.New, b.Total)})
	return refs, nil
}

// NeedsSecond reports whether a second person must approve a batch, which has
// been surveyed: it is above the threshold for files, or above what the
// administrator may still credit today.
func (t *Treasury) NeedsSecond(ctx context.Context, tx *store.Tx, admin *member.Member, b *Batch) (bool, error) {
	c, err := t.Desk.Charter(ctx, tx)
	if err != nil {
		return false, err
	}
	if b.Total.Cmp(setting.Whole(c.SecondSum(), b.currency)) > 0 {
		return true, nil
	}
	left, err := t.Desk.CeilingLeft(ctx, tx, admin, b.currency)
	return err == nil && b.Total.Cmp(left) > 0, err
}

// A sealedBatch is what a proposal to credit many holds: sums in the clear, and
// the lines sealed with the key of who proposes them.
type sealedBatch struct {
	Lines    int    `json:"lines"`
	New      int    `json:"new"`
	Opened   int    `json:"opened"`
	Total    int64  `json:"total"`
	Currency string `json:"currency"`
	Decimals uint8  `json:"decimals"`
	Admin    int64  `json:"admin"`
	Sealed   []byte `json:"sealed"`
}

// ProposeMany leaves a batch, which is surveyed, to a second person. Members are
// kept by ID, so that a pseudo that changes hands meanwhile changes nothing.
func (t *Treasury) ProposeMany(ctx context.Context, tx *store.Tx, admin *member.Member, b *Batch, reason string) (int64, error) {
	if err := b.Survey(ctx, tx); err != nil {
		return 0, err
	}
	if b.Faulty > 0 {
		return 0, ErrFaults
	}
	rows := make([]sheet.Credit, 0, b.New)
	for _, l := range b.lines {
		if l.again {
			continue
		}
		row := l.Credit
		row.Who, row.Sum = l.number.E164(), l.amount.Plain()
		if l.payee != nil {
			row.Who = on(l.payee)
		}
		rows = append(rows, row)
	}
	text, err := json.Marshal(rows)
	if err != nil {
		return 0, err
	}
	p := sealedBatch{
		Lines: len(b.lines), New: b.New, Opened: b.Opened, Total: b.Total.Minor(),
		Currency: b.currency.Code, Decimals: b.currency.Decimals, Admin: int64(admin.ID),
	}
	if p.Sealed, err = tx.Seal(ctx, admin, text); err != nil {
		return 0, err
	}
	payload, err := json.Marshal(p)
	if err != nil {
		return 0, err
	}
	return t.Propose(ctx, tx, By(admin), ManyKind, payload, reason)
}

// ProposedMany says what a proposal to credit many comes to.
func ProposedMany(p store.Proposal) (lines, opened int, total money.Amount, err error) {
	var s sealedBatch
	err = json.Unmarshal(p.Payload, &s)
	return s.New, s.Opened, money.New(s.Total, money.Currency{Code: s.Currency, Decimals: s.Decimals}), err
}

// ApproveMany is the Kind of ManyKind. If a line cannot be credited any more,
// none is, and the proposal waits on.
func (t *Treasury) ApproveMany(ctx context.Context, tx *store.Tx, p store.Proposal) error {
	var s sealedBatch
	if err := json.Unmarshal(p.Payload, &s); err != nil {
		return fmt.Errorf("proposal %d: %w", p.ID, err)
	}
	admin, err := tx.Member(ctx, member.ID(s.Admin))
	if err != nil {
		return err
	}
	text, err := tx.Unseal(ctx, admin, s.Sealed)
	if err != nil {
		return fmt.Errorf("proposal %d: %w", p.ID, err)
	}
	var rows []sheet.Credit
	if err := json.Unmarshal(text, &rows); err != nil {
		return fmt.Errorf("proposal %d: malformed rows", p.ID) //nolint:errorlint // what cannot be read may be a number
	}
	b := t.Prepare(rows, money.Currency{Code: s.Currency, Decimals: s.Decimals})
	_, err = t.GrantMany(ctx, tx, p.DecidedBy, admin, b, p.Reason)
	return err
}
