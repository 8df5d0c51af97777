// Package stalls is the pages of members who sell where there may be no network:
// what each sells, its devices and the links that enrol them, its days.
package stalls

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"strconv"
	"strings"
	"time"

	"rsc.io/qr"

	"maillon/internal/auth"
	"maillon/internal/console/frame"
	"maillon/internal/member"
	"maillon/internal/notice"
	"maillon/internal/otp"
	"maillon/internal/server"
	"maillon/internal/stall"
	"maillon/internal/store"
)

//go:embed *.html *.toml
var files embed.FS

// New returns the room.
func New(s *server.Server) frame.Room {
	r := room{s, s.Stalls}
	return frame.Room{
		Name: "stalls", Files: files,
		Pages: []frame.Page{
			{Route: "GET /stalls", Right: auth.SeeNames, Serve: r.list},
			{Route: "POST /stalls", Right: auth.SeeNames, Serve: r.find},
			{Route: "GET /stalls/{id}", Right: auth.SeeNames, Serve: r.show},
			{Route: "POST /stalls/{id}", Right: auth.Merchants, Serve: r.change},
			{Route: "GET /stalls/{id}/poster.pdf", Right: auth.SeeNames, Serve: r.poster},
			{Route: "GET /stalls/{id}/day.csv", Right: auth.Merchants, Serve: r.csv},
		},
		Menu: []frame.Entry{{Path: "/stalls", Word: "stalls.menu", Right: auth.SeeNames, Group: "trade", Order: 4}},
	}
}

type room struct {
	server *server.Server
	*stall.Service
}

// words are what is said of an error that only these pages know.
var words = []struct {
	err  error
	word string
}{
	{stall.ErrDescription, "stalls.wrong.description"},
	{stall.ErrPrice, "stalls.wrong.price"},
	{stall.ErrFull, "stalls.wrong.full"},
	{stall.ErrAlgorithm, "stalls.wrong.algorithm"},
	{stall.ErrEnded, "stalls.wrong.ended"},
	{stall.ErrNoStall, "stalls.wrong.none"},
	{stall.ErrNotSold, "stalls.wrong.ref"},
	{otp.ErrCurrency, "stalls.wrong.currency"},
}

func sorry(err error) error {
	for _, w := range words {
		if errors.Is(err, w.err) {
			return frame.Sorry(w.word)
		}
	}
	return err
}

// A named is a stall with its name.
type named struct {
	ID   int64
	Name string
}

func (r room) list(v *frame.Visit) error {
	var all []named
	err := v.View(func(ctx context.Context, tx *store.Tx) error {
		ids, err := r.Stalls(ctx, tx)
		for _, id := range ids {
			m, err := tx.Member(ctx, id.Member())
			if err != nil {
				return err
			}
			if m.State == member.Active {
				all = append(all, named{int64(m.ID), notice.Name(m, "")})
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	return v.Show("list", all)
}

// find leads to the stall of a member, who may have none yet.
func (r room) find(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	var id member.ID
	err := v.View(func(ctx context.Context, tx *store.Tx) error {
		m, err := r.server.Treasury.Find(ctx, tx, strings.TrimPrefix(v.Value("who"), "@"))
		if err != nil {
			return err
		}
		id = m.ID
		return nil
	})
	if err != nil {
		return err
	}
	return v.Lead(sheet(id))
}

func sheet(id member.ID) string { return fmt.Sprintf("/stalls/%d", id) }

// A stand is what the sheet of a stall shows.
type stand struct {
	named
	Templates []*stall.Template
	Devices   []*stall.Device
	Day       *stall.Day
	Before    string // the day before the one that is shown
	Today     bool

	Algorithms []otp.Algorithm
}

// its reads the member whose stall a page is about.
func its(ctx context.Context, tx *store.Tx, v *frame.Visit) (*member.Member, error) {
	id, err := v.PathID("id")
	if err != nil {
		return nil, err
	}
	m, err := tx.Member(ctx, member.ID(id))
	if err == nil && m.State != member.Active {
		err = stall.ErrNoStall
	}
	return m, err
}

// day reads which day is asked for; today if none is.
func (r room) day(v *frame.Visit, tx *store.Tx) (time.Time, error) {
	text := v.Request.URL.Query().Get("day")
	if text == "" {
		return tx.Now(), nil
	}
	at, err := time.ParseInLocation(time.DateOnly, text, r.Set.Zone)
	if err != nil {
		return at, store.ErrNotFound
	}
	return at, nil
}

func (r room) show(v *frame.Visit) error {
	var page stand
	err := v.View(func(ctx context.Context, tx *store.Tx) error {
		m, err := its(ctx, tx, v)
		if err != nil {
			return err
		}
		page.named, page.Algorithms = named{int64(m.ID), notice.Name(m, "")}, otp.Algorithms
		if page.Templates, err = r.Templates(ctx, tx, stall.Of(m.ID), false); err != nil {
			return err
		}
		if page.Devices, err = r.Devices(ctx, tx, stall.Of(m.ID)); err != nil {
			return err
		}
		at, err := r.day(v, tx)
		if err != nil {
			return err
		}
		if page.Day, err = r.Service.Day(ctx, tx, stall.Of(m.ID), at, r.Set.Currency()); err != nil {
			return err
		}
		page.Today = page.Day.Date.Equal(r.Set.Midnight(tx.Now()))
		page.Before = r.Set.Midnight(page.Day.Date.Add(-time.Hour)).Format(time.DateOnly)
		return nil
	})
	if err != nil {
		return sorry(err)
	}
	return v.Show("stand", page)
}

func (r room) csv(v *frame.Visit) error {
	var text, name string
	err := v.View(func(ctx context.Context, tx *store.Tx) error {
		m, err := its(ctx, tx, v)
		if err != nil {
			return err
		}
		at, err := r.day(v, tx)
		if err != nil {
			return err
		}
		day, err := r.Service.Day(ctx, tx, stall.Of(m.ID), at, r.Set.Currency())
		if err != nil {
			return err
		}
		name = "stall-" + day.Date.Format(time.DateOnly) + ".csv"
		text, err = day.CSV(r.Set.Zone)
		return err
	})
	if err != nil {
		return sorry(err)
	}
	_, err = io.WriteString(v.Download(name, "text/csv; charset=utf-8"), text)
	return err
}

// A link enrols a device; it is on the page that answers, and on no other.
type link struct {
	named
	Device  *stall.Device
	Address template.URL
	Picture picture
	Authent bool // an authenticator scans it, not the camera of a telephone
}

// A picture is a QR code: its dark squares as one path.
type picture struct {
	Size int
	Path string
}

// quiet is the white margin that a reader of QR codes wants, in squares.
const quiet = 4

func draw(text string) (picture, error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return picture{}, err
	}
	var b strings.Builder
	for y := range code.Size {
		for x := range code.Size {
			if code.Black(x, y) {
				b.WriteString("M" + strconv.Itoa(x+quiet) + " " + strconv.Itoa(y+quiet) + "h1v1h-1z")
			}
		}
	}
	return picture{code.Size + 2*quiet, b.String()}, nil
}

// change does what one of the forms of a sheet asks.
func (r room) change(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	var shown link
	done := "stalls.done"
	var m *member.Member
	err := v.Update(func(ctx context.Context, tx *store.Tx) (err error) {
		if m, err = its(ctx, tx, v); err != nil {
			return err
		}
		shown.named = named{int64(m.ID), notice.Name(m, "")}
		switch v.Value("what") {
		case "add":
			return r.add(ctx, tx, v, stall.Of(m.ID))
		case "end":
			id, err := v.QueryID("template")
			if err != nil {
				return err
			}
			_, err = r.EndTemplate(ctx, tx, v.By(), stall.Of(m.ID), id)
			return err
		case "refund":
			done = "stalls.asked"
			return r.GiveBack(ctx, tx, v.By(), stall.Of(m.ID), v.Value("ref"))
		}
		return r.changeDevice(ctx, tx, v, stall.Of(m.ID), &shown)
	})
	switch {
	case err != nil:
		return sorry(err)
	case shown.Address == "":
		return v.Done(sheet(m.ID), done)
	}
	if shown.Picture, err = draw(string(shown.Address)); err != nil {
		return err
	}
	return v.Show("link", shown)
}

func (r room) add(ctx context.Context, tx *store.Tx, v *frame.Visit, id stall.ID) error {
	n := stall.NewTemplate{Description: v.Value("description")}
	if v.Value("price") != "" {
		price, err := v.Sum("price")
		if err != nil || price.Sign() <= 0 {
			return stall.ErrPrice
		}
		n.Amount = price.Minor()
	}
	_, err := r.AddTemplate(ctx, tx, v.By(), id, n)
	return err
}

func (r room) changeDevice(ctx context.Context, tx *store.Tx, v *frame.Visit, id stall.ID, shown *link) (err error) {
	var token string
	if v.Value("what") == "device" {
		n := stall.NewDevice{Description: v.Value("description"), Algorithm: otp.Algorithm(v.Value("algorithm"))}
		shown.Device, token, err = r.AddDevice(ctx, tx, v.By(), id, n)
		shown.Address = address(v, token)
		return err
	}
	device, err := v.QueryID("device")
	if err != nil {
		return err
	}
	switch v.Value("what") {
	case "link":
		shown.Device, token, err = r.NewLink(ctx, tx, v.By(), id, device)
		shown.Address = address(v, token)
		return err
	case "authenticator":
		if shown.Device, err = r.Device(ctx, tx, id, device); err != nil {
			return err
		}
		uri, err := r.Authenticator(ctx, tx, v.By(), shown.Device)
		shown.Address, shown.Authent = template.URL(uri), true //nolint:gosec // G203: its scheme is otpauth, and all in it is escaped
		return err
	case "revoke":
		_, err = r.Revoke(ctx, tx, v.By(), id, device)
		return err
	}
	return frame.ErrForm
}

// address is the link of a device on this host.
func address(v *frame.Visit, token string) template.URL {
	scheme := "http://"
	if frame.Secure(v.Request) {
		scheme = "https://"
	}
	return template.URL(scheme + v.Request.Host + "/stall/#" + token) //nolint:gosec // G203: a host, and a token of letters and digits
}
