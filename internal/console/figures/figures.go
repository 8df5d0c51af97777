// Package figures is the pages that say how the currency does: reports with
// pictures, the month on one page, the statement of a member, and the wall of the workshop.
package figures

import (
	"context"
	"embed"
	"strconv"
	"time"

	"maillon/internal/auth"
	"maillon/internal/console/frame"
	"maillon/internal/member"
	"maillon/internal/report"
	"maillon/internal/server"
	"maillon/internal/store"
)

//go:embed *.html *.toml
var files embed.FS

// New returns the room.
func New(s *server.Server) frame.Room {
	r := room{s}
	return frame.Room{
		Name: "figures", Files: files,
		Pages: []frame.Page{
			{Route: "GET /figures", Right: auth.SeeFigures, Serve: r.show},
			{Route: "GET /figures/months/{month}", Right: auth.SeeFigures, Serve: r.showMonth},
			{Route: "GET /members/{id}/statement", Right: auth.SeeNames, Serve: r.showStatement},
			{Route: "GET /wall", Right: frame.Anybody, Serve: r.showWall},
			{Route: "GET /wall/link", Right: auth.Settings, Serve: r.showLink},
			{Route: "POST /wall/link", Right: auth.Settings, Serve: r.openWall},
			{Route: "POST /wall/close", Right: auth.Settings, Serve: r.closeWall},
			{Route: "GET /exports", Right: auth.Export, Serve: r.showExports},
			{Route: "POST /exports", Right: auth.Export, Serve: r.export},
		},
		Menu: []frame.Entry{
			{Path: "/figures", Word: "figures.title", Right: auth.SeeFigures, Group: "figures", Order: 1},
			{Path: "/exports", Word: "exports.title", Right: auth.Export, Group: "figures", Order: 2},
			{Path: "/wall", Word: "wall.title", Right: auth.SeeFigures, Group: "figures", Order: 3},
		},
	}
}

type room struct{ server *server.Server }

func (r room) reader() report.Reader {
	return report.Reader{Zone: r.server.Settings.Zone, Currency: r.server.Settings.Currency()}
}

// The lengths of reports, in days.
const defaultDays = 90

func lengths() []int64 { return []int64{30, defaultDays, 365} }

// months is how many months back are offered.
const months = 12

// A sheet is what the pages of reports know.
type sheet struct {
	*report.Report
	Now      report.Now
	Ready    bool // all days that are over are counted
	Names    frame.Names
	Pictures []picture
	Length   int64
	Lengths  []int64
	Months   []time.Time // their first days, for links
	Month    time.Time   // of a report of a month
	Previous time.Time
	Next     time.Time // zero: it has not begun
	Cost     int64     // of a segment, in thousandths of a euro; 0: unknown
}

// Spent returns what SMS cost, in hundredths of a euro.
func (s *sheet) Spent(segments int64) int64 { return (segments*s.Cost + 5) / 10 }

// show shows the report of some days until yesterday.
func (r room) show(v *frame.Visit) error {
	length := int64(defaultDays)
	for _, n := range lengths() {
		if v.Value("days") == strconv.FormatInt(n, 10) {
			length = n
		}
	}
	s := &sheet{Length: length, Lengths: lengths()}
	err := v.View(func(ctx context.Context, tx *store.Tx) (err error) {
		if s.Now, err = r.reader().Now(ctx, tx); err != nil {
			return err
		}
		last := report.DayOf(tx.Now(), r.server.Settings.Zone) - 1
		return r.read(ctx, tx, v, s, report.Last(length, last))
	})
	if err != nil {
		return err
	}
	first := s.To.Date()
	for n := range months {
		s.Months = append(s.Months, time.Date(first.Year(), first.Month()-time.Month(n), 1, 0, 0, 0, 0, time.UTC))
	}
	s.Pictures = r.pictures(v, s)
	return v.Show("figures", s)
}

// showMonth shows a month, on one page of paper.
func (r room) showMonth(v *frame.Visit) error {
	p, ok := report.ParseMonth(v.Request.PathValue("month"))
	if !ok {
		return store.ErrNotFound
	}
	s := &sheet{Month: p.From.Date()}
	err := v.View(func(ctx context.Context, tx *store.Tx) error {
		if tx.Now().Before(p.From.Begin(r.server.Settings.Zone)) {
			return store.ErrNotFound
		}
		if next := (p.To + 1); !tx.Now().Before(next.Begin(r.server.Settings.Zone)) {
			s.Next = next.Date()
		}
		return r.read(ctx, tx, v, s, p)
	})
	if err != nil {
		return err
	}
	s.Previous = s.Month.AddDate(0, -1, 0)
	s.Pictures = r.pictures(v, s)
	return v.Show("month", s)
}

func (r room) read(ctx context.Context, tx *store.Tx, v *frame.Visit, s *sheet, p report.Period) (err error) {
	reader := r.reader()
	if _, s.Ready, err = reader.Counted(ctx, tx); err != nil {
		return err
	}
	if s.Report, err = reader.Read(ctx, tx, p); err != nil {
		return err
	}
	decided, err := r.server.Desk.Charter(ctx, tx)
	if err != nil {
		return err
	}
	s.Cost = int64(decided.Messages.Cost)
	if !v.May(auth.SeeNames) {
		s.Credits, s.Reasons = nil, nil // a reason may name somebody
		return nil
	}
	ids := make([]member.ID, len(s.Credits))
	for n, c := range s.Credits {
		ids[n] = c.By
	}
	s.Names, err = v.Names(ctx, tx, ids...)
	s.Names[0] = v.Say("figures.operator")
	return err
}
