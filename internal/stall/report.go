package stall

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"maillon/internal/grammar"
	"maillon/internal/member"
	"maillon/internal/otp"
	"maillon/internal/store"
)

// An Enrolment is what a device learns once: what it is, and its key.
type Enrolment struct {
	Device    string  `json:"device"` // otp_7
	Stall     string  `json:"stall"`
	Algorithm string  `json:"algorithm"` // numbered, totp, totp_price
	Key       []byte  `json:"key"`
	Bearer    string  `json:"bearer"` // what it shows at each report
	Currency  string  `json:"currency"`
	Symbol    string  `json:"symbol"` // of the currency, as people write it
	Decimals  int     `json:"decimals"`
	Templates []Offer `json:"templates"`
	Time      int64   `json:"time"` // milliseconds since 1970
}

// An Offer is a template as devices know it.
type Offer struct {
	ID          string `json:"id"` // the short one
	Description string `json:"description"`
	Amount      *int64 `json:"amount"` // in smallest units; nil: whatever is said
}

// A Passed is a code that a device let through.
type Passed struct {
	At        int64  `json:"at"` // by the device's clock, in milliseconds
	Amount    int64  `json:"amount"`
	Step      int64  `json:"code_step"` // the step of the code
	Number    string `json:"nn"`        // that the code begins with; "" if it has none
	Template  string `json:"template"`
	GivenBack *int64 `json:"given_back"` // when the seller said that she gave it back; nil: she did not
}

// plausible reports whether a device can have let this through: what cannot be is
// not noted.
func (p Passed) plausible() bool {
	digits := len(p.Number) == 2 && strings.Trim(p.Number, "0123456789") == ""
	return p.Step >= 0 && p.Amount >= 0 && (p.Number == "" || digits) && (p.Template == "" || grammar.IsItem(p.Template))
}

// An Answer is what a device learns at each report.
type Answer struct {
	Time      int64   `json:"time"`
	Templates []Offer `json:"templates"`
	Revoked   bool    `json:"revoked"` // the device forgets its key
}

// The states of a code that a device let through.
const (
	known   = "known"   // a payment has it
	unknown = "unknown" // none has, or another device let it through as well
)

// DeviceName writes the ID of a device as devices and programs know it.
func DeviceName(id int64) string { return "otp_" + strconv.FormatInt(id, 10) }

// Enrol turns the token of a link, which is good once, into a device. It returns
// ErrLink.
func (s *Service) Enrol(ctx context.Context, token string) (e *Enrolment, err error) {
	err = s.DB.Update(ctx, func(tx *store.Tx) error {
		link, err := tx.RecordByRef(ctx, kindLink, 0, tx.Mac(kindLink, token))
		if errors.Is(err, store.ErrNotFound) || err == nil && tx.Now().Sub(link.Created) > LinkLife {
			return ErrLink
		}
		if err != nil {
			return err
		}
		d, err := s.Device(ctx, tx, 0, link.Parent)
		if err != nil {
			return err
		}
		if d.State != Waiting {
			return ErrLink
		}
		e, err = s.enrol(ctx, tx, d)
		return err
	})
	return e, err
}

func (s *Service) enrol(ctx context.Context, tx *store.Tx, d *Device) (*Enrolment, error) {
	if err := endOf(ctx, tx, kindLink, d); err != nil {
		return nil, err
	}
	name, err := s.Name(ctx, tx, d.Stall)
	if errors.Is(err, ErrNoStall) {
		return nil, ErrLink
	}
	if err != nil {
		return nil, err
	}
	key, err := tx.UnsealFor(ctx, d.Key)
	if err != nil {
		return nil, err
	}
	d.State, d.Enrolled = Active, tx.Now()
	if err := saveDevice(ctx, tx, d); err != nil {
		return nil, err
	}
	bearer := rand.Text()
	r := store.Record{Kind: kindBearer, Parent: d.ID, Ref: tx.Mac(kindBearer, bearer), Body: []byte(`{}`)}
	if err := tx.SaveRecord(ctx, &r); err != nil {
		return nil, err
	}
	if d.Label != "A" {
		name += " " + d.Label
	}
	offers, err := s.offers(ctx, tx, d)
	return &Enrolment{
		Device: DeviceName(d.ID), Stall: name, Algorithm: string(d.Algorithm), Key: key, Bearer: bearer,
		Currency: d.Currency.Code, Symbol: s.Set.UnitOf(d.Currency).Symbol, Decimals: int(d.Currency.Decimals), Templates: offers, Time: tx.Now().UnixMilli(),
	}, err
}

// offers returns the templates of a device's stall in its currency.
func (s *Service) offers(ctx context.Context, tx *store.Tx, d *Device) ([]Offer, error) {
	all, err := s.Templates(ctx, tx, d.Stall, false)
	offers := []Offer{}
	for _, t := range all {
		if t.Currency != d.Currency {
			continue
		}
		o := Offer{ID: t.Short, Description: t.Description}
		if t.Amount > 0 {
			o.Amount = &t.Amount
		}
		offers = append(offers, o)
	}
	return offers, err
}

// Sync notes what a device let through. What it says again is noted once. It
// returns ErrDevice.
func (s *Service) Sync(ctx context.Context, bearer string, passed []Passed) (a *Answer, err error) {
	if len(passed) > MaxSales {
		return nil, ErrFull
	}
	err = s.DB.Update(ctx, func(tx *store.Tx) error {
		r, err := tx.RecordByRef(ctx, kindBearer, 0, tx.Mac(kindBearer, bearer))
		if errors.Is(err, store.ErrNotFound) {
			return ErrDevice
		}
		if err != nil {
			return err
		}
		d, err := s.Device(ctx, tx, 0, r.Parent)
		if err != nil {
			return err
		}
		a, err = s.sync(ctx, tx, d, passed)
		return err
	})
	return a, err
}

func (s *Service) sync(ctx context.Context, tx *store.Tx, d *Device, passed []Passed) (*Answer, error) {
	passed = slices.DeleteFunc(slices.Clone(passed), func(p Passed) bool { return !p.plausible() })
	sales, err := since(ctx, tx, d.Stall, passed)
	if err != nil {
		return nil, err
	}
	for _, p := range passed {
		if err := note(ctx, tx, d, p, sales); err != nil {
			return nil, err
		}
	}
	a := &Answer{Time: tx.Now().UnixMilli(), Templates: []Offer{}, Revoked: d.State == Revoked}
	if owner := d.Stall.Member(); owner != 0 && !a.Revoked {
		m, err := tx.Member(ctx, owner)
		if err != nil {
			return nil, err
		}
		a.Revoked = m.State == member.Closed
	}
	if a.Revoked {
		return a, nil
	}
	d.Reported = tx.Now()
	if err := saveDevice(ctx, tx, d); err != nil {
		return nil, err
	}
	a.Templates, err = s.offers(ctx, tx, d)
	return a, err
}

// maxSince bounds how old a payment is whose code is reported now.
const maxSince = 31 * 24 * time.Hour

// since returns the sales to which a report may belong, by their step.
func since(ctx context.Context, tx *store.Tx, stall ID, passed []Passed) (map[int64][]*Sale, error) {
	if len(passed) == 0 {
		return nil, nil
	}
	first := slices.MinFunc(passed, func(a, b Passed) int { return cmp.Compare(a.Step, b.Step) }).Step
	begin := time.Unix(first*int64(otp.Step/time.Second), 0)
	if oldest := tx.Now().Add(-maxSince); begin.Before(oldest) {
		begin = oldest
	}
	sales := map[int64][]*Sale{}
	return sales, newest(ctx, tx, KindSale, stall, begin, func(r store.Record) error {
		sale, err := readSale(r)
		if err == nil {
			sales[sale.Step] = append(sales[sale.Step], sale)
		}
		return err
	})
}

// note notes one code that a device let through, with the payment that has it.
func note(ctx context.Context, tx *store.Tx, d *Device, p Passed, sales map[int64][]*Sale) error {
	ref := fmt.Sprintf("%d:%d:%s", d.ID, p.Step, p.Number)
	if p.Number == "" {
		ref += strconv.FormatInt(p.At, 10)
	}
	r, err := tx.RecordByRef(ctx, KindChecked, int64(d.Stall), ref)
	if errors.Is(err, store.ErrNotFound) { // else it is said again, or was given back since
		r = store.Record{Kind: KindChecked, Owner: int64(d.Stall), Parent: d.ID, Ref: ref}
		r.State, err = pay(ctx, tx, d, p, sales[p.Step])
	}
	if err != nil {
		return err
	}
	return save(ctx, tx, &r, p)
}

// pay looks for the payment whose code was let through, and notes by whom.
func pay(ctx context.Context, tx *store.Tx, d *Device, p Passed, sales []*Sale) (string, error) {
	for _, sale := range sales {
		if sale.Amount != p.Amount || len(sale.Let) > 0 || p.Number != "" && p.Number != fmt.Sprintf("%02d", sale.Number) {
			continue
		}
		sale.Let = append(sale.Let, d.ID)
		return known, saveSale(ctx, tx, sale)
	}
	return unknown, nil
}
