package stall

import (
	"context"
	"crypto/rand"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"maillon/internal/money"
	"maillon/internal/order"
	"maillon/internal/otp"
	"maillon/internal/store"
	"maillon/internal/table"
)

// A Sale is a payment to a stall.
type Sale struct {
	Ref      string         `json:"-"`
	Amount   int64          `json:"amount"`
	Currency money.Currency `json:"currency"`
	Template int64          `json:"template,omitempty"`
	Step     int64          `json:"step"`
	Number   int            `json:"number"` // that numbered codes begin with; -1: all are taken
	At       time.Time      `json:"at"`
	GivenAt  time.Time      `json:"-"`             // when it was given back; zero: it was not
	Let      []int64        `json:"let,omitempty"` // the devices that let its code through
	id       int64
	stall    ID
}

// Price returns what was paid.
func (s *Sale) Price() money.Amount { return money.New(s.Amount, s.Currency) }

// noNumber is of a sale for which no number was left.
const noNumber = -1

// Proof notes a payment that was just made, if it is one to a stall, and returns
// the codes that end the buyer's SMS: "47 120394", or one for each device, "A 47
// 120394 B 47 553201"; "" if there is no device. Asked again it says the same.
func (s *Service) Proof(ctx context.Context, tx *store.Tx, o *order.Order) (string, error) {
	if o.Payee == 0 || o.Paid.IsZero() || o.Kind != order.Pay && o.Kind != order.Request {
		return "", nil
	}
	devices, err := s.devices(ctx, tx, ID(o.Payee), Active)
	if err != nil || len(devices) == 0 && o.Secret.Item == 0 {
		return "", err
	}
	sale, err := s.sale(ctx, tx, o)
	if err != nil {
		return "", err
	}
	var shown []string
	for _, d := range devices {
		if d.Currency != sale.Currency || d.Enrolled.After(sale.At) || d.Algorithm == otp.Numbered && sale.Number == noNumber {
			continue
		}
		key, err := tx.UnsealFor(ctx, d.Key)
		if err != nil {
			return "", err
		}
		code, err := d.Algorithm.Code(key, sale.Step, sale.Number, sale.Price())
		if err != nil {
			return "", err
		}
		code = d.Algorithm.Spaced(code)
		if len(devices) > 1 {
			code = d.Label + " " + code
		}
		shown = append(shown, code)
	}
	return strings.Join(shown, " "), nil
}

// sale returns what was noted of a payment, and notes it the first time.
func (*Service) sale(ctx context.Context, tx *store.Tx, o *order.Order) (*Sale, error) {
	r, err := tx.RecordByRef(ctx, KindSale, o.Payee, o.Ref)
	if err == nil {
		return readSale(r)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	sale := &Sale{
		Ref: o.Ref, Amount: o.Amount.Minor(), Currency: o.Amount.Currency(), Template: o.Secret.Item,
		Step: otp.StepOf(o.Paid), At: o.Paid, stall: ID(o.Payee),
	}
	if sale.Number, err = freeNumber(ctx, tx, sale); err != nil {
		return nil, err
	}
	return sale, saveSale(ctx, tx, sale)
}

func saveSale(ctx context.Context, tx *store.Tx, s *Sale) error {
	r := store.Record{Kind: KindSale, ID: s.id, Owner: int64(s.stall), Parent: s.Template, Ref: s.Ref, Created: s.At}
	err := save(ctx, tx, &r, s)
	s.id = r.ID
	return err
}

func readSale(r store.Record) (*Sale, error) {
	s := &Sale{Ref: r.Ref, id: r.ID, stall: ID(r.Owner)}
	if err := json.Unmarshal(r.Body, s); err != nil {
		return nil, fmt.Errorf("sale %d: %w", r.ID, err)
	}
	return s, nil
}

// freeNumber draws a number that no payment to the stall has whose code could be
// right at the same time.
func freeNumber(ctx context.Context, tx *store.Tx, s *Sale) (int, error) {
	overlap := 2 * otp.Numbered.Window()
	since := time.Unix((s.Step-overlap)*int64(otp.Step/time.Second), 0)
	taken := map[int]bool{}
	err := newest(ctx, tx, KindSale, s.stall, since, func(r store.Record) error {
		other, err := readSale(r)
		if err == nil && s.Step-other.Step <= overlap {
			taken[other.Number] = true
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	var free []int
	for n := range otp.Numbers {
		if !taken[n] {
			free = append(free, n)
		}
	}
	if len(free) == 0 {
		return noNumber, nil
	}
	at, err := rand.Int(rand.Reader, big.NewInt(int64(len(free))))
	if err != nil {
		return 0, err
	}
	return free[at.Int64()], nil
}

// A Line is what a day brought of one template, or without any.
type Line struct {
	Template *Template // nil: paid to the stall by its name
	Count    int
	Sum      int64
}

// A Day is what a stall sold in one, in one currency.
type Day struct {
	Date      time.Time // its midnight
	Currency  money.Currency
	Sales     []*Sale
	Lines     []Line
	Sum       int64
	Back      int64 // of it, given back
	BackCount int
	Unknown   int // codes that devices let through and that are of no payment that is known, or of one twice
}

// Amount returns a sum of the day in its currency.
func (d *Day) Amount(minor int64) money.Amount { return money.New(minor, d.Currency) }

// Day returns what a stall sold in the day of a moment.
func (s *Service) Day(ctx context.Context, tx *store.Tx, stall ID, at time.Time, c money.Currency) (*Day, error) {
	begin := s.Set.Midnight(at)
	end := s.Set.Midnight(begin.Add(36 * time.Hour))
	day := &Day{Date: begin, Currency: c}
	err := newest(ctx, tx, KindSale, stall, begin, func(r store.Record) error {
		sale, err := readSale(r)
		if err != nil || sale.Currency != c || !sale.At.Before(end) || len(day.Sales) == MaxDay {
			return err
		}
		if err := s.given(ctx, tx, sale); err != nil {
			return err
		}
		day.Sales = append(day.Sales, sale)
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.Reverse(day.Sales)
	if err := s.sum(ctx, tx, day); err != nil {
		return nil, err
	}
	return day, newest(ctx, tx, KindChecked, stall, begin, func(r store.Record) error {
		if r.State == unknown && r.Created.Before(end) {
			day.Unknown++
		}
		return nil
	})
}

// How many records are read at once: few at first, for most often the next is too
// old already.
const (
	firstRead = 10
	perRead   = 200
)

// newest does something with the records of a stall that are not older than a
// time, the newest first, without looking at those that are.
func newest(ctx context.Context, tx *store.Tx, kind string, stall ID, since time.Time, do func(store.Record) error) error {
	var before int64
	for limit := firstRead; ; limit = perRead {
		rows, err := tx.Records(ctx, store.RecordsWhere{Kind: kind, Owner: int64(stall), Before: before, Newest: true}, limit)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if before = r.ID; r.Created.Before(since) {
				return nil
			}
			if err := do(r); err != nil {
				return err
			}
		}
		if len(rows) < limit {
			return nil
		}
	}
}

// given notes when a sale was given back.
func (*Service) given(ctx context.Context, tx *store.Tx, sale *Sale) error {
	o, err := tx.OrderByRef(ctx, sale.Ref)
	if err != nil {
		return err
	}
	back, err := tx.ReversalOf(ctx, o.Transaction)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	sale.GivenAt = back.At
	return err
}

func (s *Service) sum(ctx context.Context, tx *store.Tx, day *Day) error {
	at := map[int64]int{}
	for _, sale := range day.Sales {
		n, ok := at[sale.Template]
		if !ok {
			n = len(day.Lines)
			at[sale.Template] = n
			var l Line
			if sale.Template != 0 {
				t, err := s.Template(ctx, tx, sale.stall, sale.Template)
				if err != nil {
					return err
				}
				l.Template = t
			}
			day.Lines = append(day.Lines, l)
		}
		day.Lines[n].Count++
		day.Lines[n].Sum += sale.Amount
		day.Sum += sale.Amount
		if !sale.GivenAt.IsZero() {
			day.BackCount++
			day.Back += sale.Amount
		}
	}
	return nil
}

// GiveBack asks the stall, by SMS, for the code that gives a payment back: money
// of a member moves at her own wish alone.
func (s *Service) GiveBack(ctx context.Context, tx *store.Tx, by string, stall ID, ref string) error {
	o, err := tx.OrderByRef(ctx, strings.ToUpper(strings.TrimSpace(ref)))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err != nil || o.Payee != int64(stall) || o.State != order.Done || o.Paid.IsZero() || o.Kind != order.Pay && o.Kind != order.Request {
		return ErrNotSold
	}
	m, err := tx.Member(ctx, stall.Member())
	if err != nil {
		return err
	}
	if err := s.Desk.MayPay(ctx, tx, m); err != nil {
		return err
	}
	tx.Act(by, "stall.refund", fmt.Sprintf("order:%d", o.ID), "")
	return s.Desk.RefundOrder(ctx, tx, m, o)
}

// CSV writes a day for a spreadsheet: one line for each payment, by its
// reference, without anybody's name.
func (d *Day) CSV(zone *time.Location) (string, error) {
	items := map[int64]*Template{}
	for _, l := range d.Lines {
		if l.Template != nil {
			items[l.Template.ID] = l.Template
		}
	}
	rows := [][]string{{"time", "reference", "item", "description", "amount", "currency", "given back", "let through by"}}
	for _, s := range d.Sales {
		item, description, back, by := "", "", "", ""
		if t := items[s.Template]; t != nil {
			item, description = t.Short, t.Description
		}
		if !s.GivenAt.IsZero() {
			back = s.GivenAt.In(zone).Format(time.DateTime)
		}
		if len(s.Let) > 0 {
			by = DeviceName(s.Let[0])
		}
		rows = append(rows, table.Cells(s.At.In(zone).Format(time.DateTime), s.Ref, item, description, s.Price().Plain(), s.Currency.Code, back, by))
	}
	var b strings.Builder
	err := csv.NewWriter(&b).WriteAll(rows)
	return b.String(), err
}
