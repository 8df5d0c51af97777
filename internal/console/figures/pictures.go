package figures

import (
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"strings"

	"maillon/internal/chart"
	"maillon/internal/console/frame"
	"maillon/internal/money"
	"maillon/internal/report"
)

// maxDaily is how many days are drawn one by one; of more only the last of each
// week is.
const maxDaily = 92

// A picture is drawn numbers, with their table.
type picture struct {
	ID, Title string
	SVG       template.HTML // empty if there is nothing to draw
	Head      []string
	Rows      [][]string // the first cell of each is its head
}

// An artist draws for one visit.
type artist struct {
	*frame.Visit
	*sheet
}

// pictures draws a report.
func (r room) pictures(v *frame.Visit, s *sheet) []picture {
	a := artist{v, s}
	all := []picture{a.circulation(), a.payments(), a.volume(), a.velocity(), a.active(), a.flows()}
	if len(s.SMS) > 0 {
		all = append(all, a.sms())
	}
	return all
}

// points are the days that are drawn, or the weeks if there are many.
func (a artist) points() []report.Figures {
	if len(a.Days) > maxDaily {
		return a.Weeks
	}
	return a.Days
}

// A column is one row of numbers, and how they are called and written.
type column struct {
	key   string
	value func(*report.Figures) int64
	write func(int64) string
}

// draw draws columns over some days, and makes their table.
func (a artist) draw(id string, how func(chart.Chart) template.HTML, short func(int64) string, days []report.Figures, columns ...column) picture {
	p := picture{ID: id, Title: a.Say("figures." + id), Head: []string{a.Say("figures.until")}}
	c := chart.Chart{ID: id, Title: p.Title, Write: short, Series: make([]chart.Series, len(columns))}
	for n, col := range columns {
		c.Series[n].Name = a.Say(col.key)
		p.Head = append(p.Head, a.Say(col.key))
	}
	for i := range days {
		d := &days[i]
		c.Labels = append(c.Labels, d.To.Date().Format(a.Say("figures.layout.short")))
		row := []string{a.date(d.To)}
		for n, col := range columns {
			c.Series[n].Values = append(c.Series[n].Values, col.value(d))
			row = append(row, col.write(col.value(d)))
		}
		p.Rows = append(p.Rows, row)
	}
	slices.Reverse(p.Rows) // the newest is looked for
	if len(days) == 0 {
		return p
	}
	first, last := &days[0], &days[len(days)-1]
	c.Text = a.Say("figures.seen", p.Title, a.date(first.To), columns[0].write(columns[0].value(first)), a.date(last.To), columns[0].write(columns[0].value(last)))
	p.SVG = how(c)
	return p
}

func (a artist) circulation() picture {
	return a.draw("circulation", chart.Lines, a.shortSum, a.points(),
		column{"figures.circulating", func(f *report.Figures) int64 { return f.Circulating.Minor() }, a.sum})
}

func (a artist) payments() picture {
	return a.draw("payments", chart.Bars, short, a.Weeks,
		column{"figures.number", func(f *report.Figures) int64 { return f.Payments }, a.count})
}

func (a artist) volume() picture {
	return a.draw("volume", chart.Bars, a.shortSum, a.Weeks,
		column{"figures.volume", func(f *report.Figures) int64 { return f.Volume.Minor() }, a.sum})
}

func (a artist) velocity() picture {
	return a.draw("velocity", chart.Lines, a.hundredths, a.Weeks,
		column{"figures.velocity.week", func(f *report.Figures) int64 { return f.Velocity() }, a.hundredths})
}

func (a artist) active() picture {
	active := func(n int) func(*report.Figures) int64 {
		return func(f *report.Figures) int64 {
			if n == 0 {
				return f.Active[0]
			}
			return f.Active[n] - f.Active[n-1]
		}
	}
	columns := []column{{"figures.active.first", active(0), a.count}, {"figures.active.second", active(1), a.count}, {"figures.active.third", active(2), a.count}}
	last := len(a.Active) - 1
	columns = append(columns, column{"figures.asleep", func(f *report.Figures) int64 { return f.Accounts - f.Active[last] }, a.count})
	return a.draw("active", chart.Areas, short, a.points(), columns...)
}

// kinds are those of members, in the order in which they are drawn.
func kinds() []string {
	return []string{report.Association, report.Shop, report.Regular, report.Occasional}
}

func (a artist) flows() picture {
	p := picture{ID: "flows", Title: a.Say("figures.flows"), Head: []string{a.Say("figures.flow"), a.Say("figures.number"), a.Say("figures.volume"), a.Say("figures.share")}}
	f := chart.Flows{ID: p.ID, Title: p.Title, Write: a.sum}
	for _, kind := range kinds() {
		f.Names = append(f.Names, a.Say("figures.kind."+kind))
	}
	total := int64(0)
	for _, one := range a.Flows {
		total += one.Volume.Minor()
	}
	for _, one := range a.Flows {
		from, to := slices.Index(kinds(), one.Payer), slices.Index(kinds(), one.Payee)
		way := a.Say("figures.way", f.Names[from], f.Names[to])
		if one.Payer != report.Association { // what is credited would hide what is paid
			f.Flows = append(f.Flows, chart.Flow{From: from, To: to, Sum: one.Volume.Minor()})
		}
		if f.Text == "" && one.Payer != report.Association {
			f.Text = a.Say("figures.flows.seen", way, a.Money(one.Volume))
		}
		p.Rows = append(p.Rows, []string{way, a.count(one.Payments), a.Money(one.Volume), strconv.FormatInt(percent(one.Volume.Minor(), total), 10) + "\u00a0%"})
	}
	if len(f.Flows) > 0 {
		p.SVG = f.Draw()
	}
	return p
}

func (a artist) sms() picture {
	p := picture{ID: "sms", Title: a.Say("figures.sms"), Head: []string{a.Say("figures.until"), a.Say("figures.messages"), a.Say("figures.segments")}}
	c := chart.Chart{ID: p.ID, Title: p.Title, Write: short, Series: []chart.Series{{Name: a.Say("figures.messages")}, {Name: a.Say("figures.segments")}}}
	if a.Cost > 0 {
		p.Head = append(p.Head, a.Say("figures.cost"))
	}
	for _, s := range a.SMS {
		c.Labels = append(c.Labels, s.To.Date().Format(a.Say("figures.layout.short")))
		c.Series[0].Values, c.Series[1].Values = append(c.Series[0].Values, s.Messages), append(c.Series[1].Values, s.Segments)
		row := []string{a.date(s.To), a.count(s.Messages), a.count(s.Segments)}
		if a.Cost > 0 {
			row = append(row, a.hundredths(a.Spent(s.Segments))+"\u00a0€")
		}
		p.Rows = append(p.Rows, row)
	}
	slices.Reverse(p.Rows)
	c.Text = a.Say("figures.sms.seen", a.count(a.Sent.Messages), a.count(a.Sent.Segments))
	p.SVG = chart.Bars(c)
	return p
}

// percent returns what part is of a whole, rounded.
func percent(part, whole int64) int64 {
	if whole == 0 {
		return 0
	}
	return (part*100 + whole/2) / whole
}

// Shops returns which share of the volume between members shops were paid, in
// percent.
func (s *sheet) Shops() int64 {
	var shops, all int64
	for _, f := range s.Flows {
		if f.Payer == report.Association {
			continue
		}
		if all += f.Volume.Minor(); f.Payee == report.Shop {
			shops += f.Volume.Minor()
		}
	}
	return percent(shops, all)
}

func (a artist) date(d report.Day) string { return d.Date().Format(a.Say("frame.layout.day")) }

func (a artist) sum(minor int64) string { return a.Money(money.New(minor, a.Currency)) }

func (a artist) shortSum(minor int64) string { return short(whole(money.New(minor, a.Currency))) }

// Ratio writes a number of hundredths for a template.
func (s *sheet) Ratio(v *frame.Visit, n int64) string { return artist{v, s}.hundredths(n) }

func (a artist) count(n int64) string { return a.Number(n) }

// hundredths writes a number of hundredths: "0,35".
func (a artist) hundredths(n int64) string {
	sign := ""
	if n < 0 {
		sign, n = "\u2212", -n
	}
	return sign + a.count(n/100) + a.Say("frame.decimal") + fmt.Sprintf("%02d", n%100)
}

// whole returns an amount in whole units.
func whole(m money.Amount) int64 {
	n := m.Minor()
	for range m.Currency().Decimals {
		n /= 10
	}
	return n
}

// short writes a number of an axis: "20k", "1.5M".
func short(n int64) string {
	for _, step := range []struct {
		of   int64
		mark string
	}{{1_000_000_000, "G"}, {1_000_000, "M"}, {10_000, "k"}} {
		if n >= step.of {
			of := step.of
			if step.mark == "k" {
				of = 1000
			}
			return strings.TrimSuffix(fmt.Sprintf("%d.%d", n/of, n%of*10/of), ".0") + step.mark
		}
	}
	return strconv.FormatInt(n, 10)
}
