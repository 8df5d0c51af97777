package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"maillon/internal/member"
	"maillon/internal/otp"
	"maillon/internal/setting"
	"maillon/internal/stall"
	"maillon/internal/store"
	"maillon/internal/trade/object"
	"maillon/internal/treasury"
)

// stallCommand is about members who sell where there may be no network.
type stallCommand struct {
	Add     stallAdd     `cmd:"" help:"Sell something under a short id, which buyers send by SMS."`
	List    stallList    `cmd:"" help:"List what a stall sells, and its devices."`
	End     stallEnd     `cmd:"" help:"Sell something no more."`
	Poster  stallPoster  `cmd:"" help:"Draw the poster of what is sold, or a sheet of stickers, to print."`
	Device  stallDevice  `cmd:"" help:"Register a device that tells, without network, whether the stall was paid."`
	Link    stallLink    `cmd:"" help:"Make another link for a device whose own was lost before it was opened."`
	Revoke  stallRevoke  `cmd:"" help:"Revoke a device: no payment has a code for it any more."`
	Verify  stallVerify  `cmd:"" help:"Tell from a buyer's code, without network, whether the stall was paid."`
	Total   stallTotal   `cmd:"" help:"Show what a stall sold in a day."`
	Refund  stallRefund  `cmd:"" help:"Ask the stall, by SMS, for the code that gives a payment back."`
	Authent stallAuthent `cmd:"" name:"authenticator" help:"Print the otpauth:// link of a device, for an authenticator of eight digits."`
}

// A seller names the member whose stall it is.
type seller struct {
	place
	Who string `arg:"" help:"The member who sells: a pseudo, a number or member:ID."`
}

// The prefix of devices' IDs.
const otpID object.Prefix = "otp_"

// act does something in one transaction with the stall.
func (s seller) act(ctx context.Context, do func(b *books, tx *store.Tx, m *member.Member, id stall.ID) error) error {
	b, err := s.open(ctx, false)
	if err != nil {
		return err
	}
	defer b.Close() //nolint:errcheck // every Update is on disk already
	return b.update(ctx, func(tx *store.Tx) error {
		m, err := b.find(ctx, tx, s.Who)
		if err != nil {
			return err
		}
		return stallRefused(do(b, tx, m, stall.Of(m.ID)))
	})
}

// stallRefused tells what stalls refuse, and what to do about it.
func stallRefused(err error) error {
	for _, known := range []struct {
		is   error
		code int
	}{
		{stall.ErrDescription, ExitUsage},
		{stall.ErrPrice, ExitUsage},
		{stall.ErrUnit, ExitUsage},
		{stall.ErrAlgorithm, ExitUsage},
		{stall.ErrAuthenticator, ExitUsage},
		{stall.ErrShort, ExitNo},
		{stall.ErrFull, ExitNo},
		{stall.ErrEnded, ExitNo},
		{stall.ErrNoStall, ExitNo},
		{stall.ErrNotSold, ExitNo},
		{otp.ErrKey, ExitUsage},
		{otp.ErrCurrency, ExitUsage},
	} {
		if errors.Is(err, known.is) {
			return exitf(known.code, "%w; nothing was done", err)
		}
	}
	if errors.Is(err, store.ErrNotFound) {
		return exitf(ExitNo, "this stall has no such thing: maillon stall list shows all; nothing was done")
	}
	return err
}

// unitOf finds a unit by its symbol or its name; the first for "".
func (b *books) unitOf(name string) (setting.Unit, error) {
	for _, u := range b.Settings.Units {
		if name == "" || strings.EqualFold(name, u.Symbol) || strings.EqualFold(name, u.Name) {
			return u, nil
		}
	}
	return setting.Unit{}, exitf(ExitUsage, "--unit %s: there is no such unit", name)
}

type stallAdd struct {
	seller
	Description string `arg:"" help:"What it is, as the seller reads it in SMS: at most 40 letters."`
	Price       string `help:"What it costs, such as 2,50; without it buyers say it." placeholder:"AMOUNT"`
	Unit        string `help:"The unit of the price; the first without it."`
	Short       string `help:"A short id that posters have already; else one is drawn." placeholder:"7KQ2"`
}

// Run adds a template.
func (c stallAdd) Run(ctx context.Context, io *Streams) error {
	return c.act(ctx, func(b *books, tx *store.Tx, _ *member.Member, id stall.ID) error {
		unit, err := b.unitOf(c.Unit)
		if err != nil {
			return err
		}
		n := stall.NewTemplate{Description: c.Description, Unit: c.Unit, Short: c.Short}
		if c.Price != "" {
			price, err := parseSum(c.Price, unit.Currency())
			if err != nil || price.Sign() <= 0 {
				return exitf(ExitUsage, "--price %s: %w", c.Price, errSum)
			}
			n.Amount = price.Minor()
		}
		t, err := b.Stalls.AddTemplate(ctx, tx, treasury.Operator, id, n)
		if err != nil {
			return err
		}
		said := t.Short
		if t.Amount == 0 {
			said += " AMOUNT"
		}
		_, err = fmt.Fprintf(io.Out, "%s: buyers send VIR %s\n", t.Short, said)
		return err
	})
}

type stallList struct{ seller }

// Run lists what a stall has.
func (c stallList) Run(ctx context.Context, io *Streams) error {
	return c.act(ctx, func(b *books, tx *store.Tx, _ *member.Member, id stall.ID) error {
		templates, err := b.Stalls.Templates(ctx, tx, id, true)
		if err != nil {
			return err
		}
		devices, err := b.Stalls.Devices(ctx, tx, id)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
		for _, t := range templates {
			price, state := "open price", "sold"
			if t.Amount > 0 {
				price = t.Price().String()
			}
			if t.Ended {
				state = "ended"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", t.Short, state, price, t.Description)
		}
		for _, d := range devices {
			fmt.Fprintf(w, "%s\t%s\t%s %s\t%s\treported %s\n", otpID.Of(d.ID), d.State, d.Label, d.Algorithm, d.Description, b.showTime(d.Reported))
		}
		return w.Flush()
	})
}

type stallEnd struct {
	seller
	Short string `arg:"" help:"The short id: 7KQ2."`
}

// Run ends a template.
func (c stallEnd) Run(ctx context.Context, _ *Streams) error {
	return c.act(ctx, func(b *books, tx *store.Tx, _ *member.Member, id stall.ID) error {
		t, err := b.Stalls.Sold(ctx, tx, c.Short)
		if err != nil {
			return err
		}
		_, err = b.Stalls.EndTemplate(ctx, tx, treasury.Operator, id, t.ID)
		return err
	})
}

type stallDevice struct {
	seller
	Description string `arg:"" help:"What it is: 'the telephone of the van'."`
	Algorithm   string `default:"numbered" help:"numbered, totp or totp_price."`
	Unit        string `help:"The unit of the sums that it checks; the first without it."`
	URL         string `name:"url" help:"Where people reach the server, to print the whole link." placeholder:"https://HOST"`
	To          string `help:"Enrol this machine at once: the file that maillon stall verify reads." placeholder:"FILE"`
}

// Run registers a device.
func (c stallDevice) Run(ctx context.Context, io *Streams) error {
	if c.To != "" {
		if _, err := os.Stat(c.To); err == nil {
			return exitf(ExitNo, "%s is there already; nothing was done", c.To)
		}
	}
	var d *stall.Device
	var token string
	err := c.act(ctx, func(b *books, tx *store.Tx, _ *member.Member, id stall.ID) (err error) {
		n := stall.NewDevice{Description: c.Description, Algorithm: otp.Algorithm(c.Algorithm), Unit: c.Unit}
		d, token, err = b.Stalls.AddDevice(ctx, tx, treasury.Operator, id, n)
		return err
	})
	if err != nil {
		return err
	}
	if c.To == "" {
		_, err = fmt.Fprintf(io.Out, "%s: open %s on the telephone, once and within a day\n", otpID.Of(d.ID), stallURL(c.URL, token))
		return err
	}
	b, err := c.open(ctx, false)
	if err != nil {
		return err
	}
	defer b.Close() //nolint:errcheck // every Update is on disk already
	e, err := b.Stalls.Enrol(ctx, token)
	if err != nil {
		return err
	}
	if err := (&till{Enrolment: *e}).write(c.To); err != nil {
		return err
	}
	_, err = fmt.Fprintf(io.Out, "%s: %s holds its key; maillon stall verify %s AMOUNT CODE\n", otpID.Of(d.ID), c.To, c.To)
	return err
}

// stallURL is the link of a device; without a server's address, what follows it.
func stallURL(server, token string) string {
	return strings.TrimRight(server, "/") + "/stall/#" + token
}

// A deviceOf names a device of a stall.
type deviceOf struct {
	seller
	Device string `arg:"" help:"The device: otp_7."`
}

type stallLink struct {
	deviceOf
	URL string `name:"url" help:"Where people reach the server, to print the whole link." placeholder:"https://HOST"`
}

// Run makes another link.
func (c stallLink) Run(ctx context.Context, io *Streams) error {
	return c.act(ctx, func(b *books, tx *store.Tx, _ *member.Member, id stall.ID) error {
		n, err := number(otpID, c.Device)
		if err != nil {
			return err
		}
		_, token, err := b.Stalls.NewLink(ctx, tx, treasury.Operator, id, n)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(io.Out, "%s: open %s on the telephone, once and within a day\n", c.Device, stallURL(c.URL, token))
		return err
	})
}

type stallRevoke struct{ deviceOf }

// Run revokes a device.
func (c stallRevoke) Run(ctx context.Context, _ *Streams) error {
	return c.act(ctx, func(b *books, tx *store.Tx, _ *member.Member, id stall.ID) error {
		n, err := number(otpID, c.Device)
		if err != nil {
			return err
		}
		_, err = b.Stalls.Revoke(ctx, tx, treasury.Operator, id, n)
		return err
	})
}

type stallAuthent struct{ deviceOf }

// Run prints the link of a device of the kind without price.
func (c stallAuthent) Run(ctx context.Context, io *Streams) error {
	return c.act(ctx, func(b *books, tx *store.Tx, _ *member.Member, id stall.ID) error {
		n, err := number(otpID, c.Device)
		if err != nil {
			return err
		}
		d, err := b.Stalls.Device(ctx, tx, id, n)
		if err != nil {
			return err
		}
		uri, err := b.Stalls.Authenticator(ctx, tx, treasury.Operator, d)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(io.Out, uri)
		return err
	})
}

type stallTotal struct {
	seller
	Day  string `help:"The day: 2026-03-28; today without it." placeholder:"DAY"`
	Unit string `help:"The unit; the first without it."`
	CSV  bool   `name:"csv" help:"Print each payment, for a spreadsheet."`
}

// Run shows a day.
func (c stallTotal) Run(ctx context.Context, io *Streams) error {
	return c.act(ctx, func(b *books, tx *store.Tx, _ *member.Member, id stall.ID) error {
		unit, err := b.unitOf(c.Unit)
		if err != nil {
			return err
		}
		at, err := b.day("--day", c.Day, 0)
		if err != nil {
			return err
		}
		if at.IsZero() {
			at = time.Now()
		}
		day, err := b.Stalls.Day(ctx, tx, id, at, unit.Currency())
		if err != nil {
			return err
		}
		if c.CSV {
			text, err := day.CSV(b.Settings.Zone)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(io.Out, text)
			return err
		}
		return showDay(io, day)
	})
}

func showDay(io *Streams, day *stall.Day) error {
	w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
	for _, l := range day.Lines {
		short, what := "", "by the name of the stall"
		if l.Template != nil {
			short, what = l.Template.Short, l.Template.Description
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", short, l.Count, day.Amount(l.Sum), what)
	}
	fmt.Fprintf(w, "%s\t%d\t%s\tin all\n", day.Date.Format(time.DateOnly), len(day.Sales), day.Amount(day.Sum))
	if day.BackCount > 0 {
		fmt.Fprintf(w, "\t%d\t%s\tof it given back\n", day.BackCount, day.Amount(day.Back))
	}
	if day.Unknown > 0 {
		fmt.Fprintf(w, "\t%d\t\tcodes that devices let through and that no payment has, or that two devices let through\n", day.Unknown)
	}
	return w.Flush()
}

type stallRefund struct {
	seller
	Ref string `arg:"" help:"The payment's reference: K7F2."`
}

// Run asks the stall for the code that gives a payment back.
func (c stallRefund) Run(ctx context.Context, io *Streams) error {
	return c.act(ctx, func(b *books, tx *store.Tx, _ *member.Member, id stall.ID) error {
		if err := b.Stalls.GiveBack(ctx, tx, treasury.Operator, id, c.Ref); err != nil {
			return err
		}
		_, err := fmt.Fprintln(io.Out, "the stall was asked by SMS: its code gives the payment back")
		return err
	})
}
