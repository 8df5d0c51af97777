package stall

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"maillon/internal/money"
	"maillon/internal/otp"
	"maillon/internal/store"
)

// NewDevice is a device that shall be enrolled.
type NewDevice struct {
	Description string
	Algorithm   otp.Algorithm // "": numbered
	Unit        string        // symbol or name of its currency; "": the first
	Key         otp.Key       // of a device that has one; nil: one is drawn
}

// AddDevice registers a device and returns the token of the link that enrols it,
// once. One that brings its key is active at once, and has no link.
func (s *Service) AddDevice(ctx context.Context, tx *store.Tx, by string, id ID, n NewDevice) (*Device, string, error) {
	if _, err := s.Name(ctx, tx, id); err != nil {
		return nil, "", err
	}
	if n.Algorithm == "" {
		n.Algorithm = otp.Numbered
	}
	unit, err := s.unit(n.Unit)
	d := &Device{Stall: id, State: Waiting, Description: describe(n.Description), Algorithm: n.Algorithm, Currency: unit}
	switch {
	case err != nil:
		return nil, "", err
	case d.Description == "":
		return nil, "", ErrDescription
	case !d.Algorithm.Known():
		return nil, "", ErrAlgorithm
	case d.Algorithm.Fits(unit) != nil:
		return nil, "", d.Algorithm.Fits(unit)
	}
	if d.Label, err = s.freeLabel(ctx, tx, id); err != nil {
		return nil, "", err
	}
	k := n.Key
	if k == nil {
		k = otp.NewKey()
	} else {
		d.State, d.Enrolled = Active, tx.Now()
	}
	if d.Key, err = tx.SealFor(ctx, time.Time{}, k); err != nil {
		return nil, "", err
	}
	if err := saveDevice(ctx, tx, d); err != nil {
		return nil, "", err
	}
	tx.Act(by, "stall.device.add", subject(d), "")
	if d.State == Active {
		return d, "", nil
	}
	token, err := newLink(ctx, tx, d)
	return d, token, err
}

func subject(d *Device) string { return fmt.Sprintf("device:%d", d.ID) }

// freeLabel returns the first letter that no device of a stall has.
func (s *Service) freeLabel(ctx context.Context, tx *store.Tx, id ID) (string, error) {
	taken := map[string]bool{}
	all, err := s.devices(ctx, tx, id, Waiting, Active)
	for _, d := range all {
		taken[d.Label] = true
	}
	for n := range MaxDevices {
		if label := string(rune('A' + n)); !taken[label] {
			return label, err
		}
	}
	return "", errors.Join(err, ErrFull)
}

func newLink(ctx context.Context, tx *store.Tx, d *Device) (token string, err error) {
	token = rand.Text()
	link := store.Record{Kind: kindLink, Parent: d.ID, Ref: tx.Mac(kindLink, token), Loose: true, Body: []byte(`{}`)}
	return token, tx.SaveRecord(ctx, &link)
}

// NewLink returns the token of another link for a device whose own was lost. The
// one before is good no more.
func (s *Service) NewLink(ctx context.Context, tx *store.Tx, by string, stall ID, id int64) (*Device, string, error) {
	d, err := s.Device(ctx, tx, stall, id)
	if err != nil {
		return nil, "", err
	}
	if d.State != Waiting {
		return nil, "", ErrEnded
	}
	if err := endOf(ctx, tx, kindLink, d); err != nil {
		return nil, "", err
	}
	tx.Act(by, "stall.device.link", subject(d), "")
	token, err := newLink(ctx, tx, d)
	return d, token, err
}

// endOf deletes the records of a kind that belong to a device.
func endOf(ctx context.Context, tx *store.Tx, kind string, d *Device) error {
	all, err := tx.Records(ctx, store.RecordsWhere{Kind: kind, Parent: d.ID}, maxKept)
	if err != nil {
		return err
	}
	for _, r := range all {
		if err := tx.EndRecord(ctx, kind, r.ID); err != nil {
			return err
		}
	}
	return nil
}

func saveDevice(ctx context.Context, tx *store.Tx, d *Device) error {
	r := store.Record{Kind: KindDevice, ID: d.ID, Owner: int64(d.Stall), State: d.State, Created: d.Created}
	err := save(ctx, tx, &r, d)
	d.ID, d.Created = r.ID, r.Created
	return err
}

func readDevice(r store.Record) (*Device, error) {
	d := &Device{ID: r.ID, Stall: ID(r.Owner), State: r.State, Created: r.Created}
	if err := json.Unmarshal(r.Body, d); err != nil {
		return nil, fmt.Errorf("device %d: %w", r.ID, err)
	}
	return d, nil
}

// Device returns a device of a stall, of any if the stall is 0, or
// store.ErrNotFound.
func (*Service) Device(ctx context.Context, tx *store.Tx, stall ID, id int64) (*Device, error) {
	r, err := tx.Record(ctx, KindDevice, id)
	if err != nil {
		return nil, err
	}
	if stall != 0 && r.Owner != int64(stall) {
		return nil, store.ErrNotFound
	}
	return readDevice(r)
}

// Devices returns the devices of a stall, the oldest first.
func (s *Service) Devices(ctx context.Context, tx *store.Tx, stall ID) ([]*Device, error) {
	return s.devices(ctx, tx, stall)
}

func (*Service) devices(ctx context.Context, tx *store.Tx, stall ID, states ...string) (list []*Device, err error) {
	rows, err := tx.Records(ctx, store.RecordsWhere{Kind: KindDevice, Owner: int64(stall), States: states}, maxKept)
	for _, r := range rows {
		d, err := readDevice(r)
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, err
}

// Revoke ends a device at once: no payment has a code for it any more, and its
// key is destroyed.
func (s *Service) Revoke(ctx context.Context, tx *store.Tx, by string, stall ID, id int64) (*Device, error) {
	d, err := s.Device(ctx, tx, stall, id)
	if err != nil || d.State == Revoked {
		return d, err
	}
	if err := tx.EraseSealed(ctx, d.Key); err != nil {
		return nil, err
	}
	d.State, d.Key = Revoked, nil
	if err := endOf(ctx, tx, kindLink, d); err != nil {
		return nil, err
	}
	tx.Act(by, "stall.device.revoke", subject(d), "")
	return d, saveDevice(ctx, tx, d)
}

// Code returns what a payment would have for a device: for whoever tries one.
func (*Service) Code(ctx context.Context, tx *store.Tx, d *Device, at time.Time, number int, price money.Amount) (codes []string, err error) {
	if d.State == Revoked {
		return nil, ErrEnded
	}
	key, err := tx.UnsealFor(ctx, d.Key)
	if err != nil {
		return nil, err
	}
	return d.Algorithm.Codes(key, at, number, price)
}

// Authenticator returns the link by which an authenticator of eight digits takes
// the key of a device that waits or is active, otpauth://; it is active from then on.
func (s *Service) Authenticator(ctx context.Context, tx *store.Tx, by string, d *Device) (string, error) {
	switch {
	case d.State == Revoked:
		return "", ErrEnded
	case d.Algorithm != otp.Plain:
		return "", ErrAuthenticator
	}
	key, err := tx.UnsealFor(ctx, d.Key)
	if err != nil {
		return "", err
	}
	name, err := s.Name(ctx, tx, d.Stall)
	if err != nil {
		return "", err
	}
	if d.State == Waiting {
		d.State, d.Enrolled = Active, tx.Now()
		if err := errors.Join(endOf(ctx, tx, kindLink, d), saveDevice(ctx, tx, d)); err != nil {
			return "", err
		}
	}
	tx.Act(by, "stall.device.key", subject(d), "")
	return otp.URI(key, s.Set.Association, name)
}
