// Package chart draws numbers as pictures: lines, bars, stacked areas, and flows
// from one side to the other. It returns SVG for the middle of a page, without
// style or script: colours are classes, so that the page's sheet decides them,
// by day and by night. What differs in colour differs in its line or its name
// too, and each picture says in words what it shows.
package chart

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
)

// The size of a picture, and of what stands around the plot.
const (
	width, height = 480.0, 240.0
	above         = 30.0 // the names of the series
	below         = 24.0 // the labels of the points
	right         = 10.0
	letter        = 7.0 // width of one, about
	maxTicks      = 5   // at the left, about
	maxLabels     = 7   // beneath, about
	colours       = 6
)

// A Series is one row of numbers.
type Series struct {
	Name   string
	Values []int64 // one for each label
}

// A Chart is what is drawn.
type Chart struct {
	ID     string // unique in its page
	Title  string
	Text   string // what is seen, in a sentence
	Labels []string
	Series []Series
	Write  func(int64) string // a value, short; nil: as it is
}

// A pen writes SVG.
type pen struct{ strings.Builder }

func (p *pen) put(format string, args ...any) { fmt.Fprintf(&p.Builder, format, args...) }

// at writes a coordinate.
func at(x float64) string { return strconv.FormatFloat(math.Round(x*10)/10, 'f', -1, 64) }

func escape(text string) string { return template.HTMLEscapeString(text) }

// begin opens the picture, which says what it is.
func (p *pen) begin(id, title, text string, tall float64) {
	id = escape(id)
	p.put(`<svg viewBox="0 0 %s %s" role="img" aria-labelledby="%s-title %s-text">`, at(width), at(tall), id, id)
	p.put(`<title id="%s-title">%s</title><desc id="%s-text">%s</desc>`, id, escape(title), id, escape(text))
}

func (p *pen) end() template.HTML {
	p.put(`</svg>`)
	return template.HTML(p.String()) //nolint:gosec // G203: all text in it was escaped
}

// A plot is where the numbers stand.
type plot struct {
	*Chart
	pen
	left   float64
	top    int64 // of the scale
	low    int64 // its bottom, zero or less
	step   int64
	across float64 // from one point to the next
}

// nice returns the smallest of 1, 2, 5, 10, 20 … that is at least n.
func nice(n int64) int64 {
	for power := int64(1); ; power *= 10 {
		for _, m := range []int64{1, 2, 5} {
			if power*m >= n || power > math.MaxInt64/100 {
				return power * m
			}
		}
	}
}

// scale finds a scale for numbers from one to another.
func (p *plot) scale(low, top int64) {
	p.step = nice(max((top-low+maxTicks-1)/maxTicks, 1))
	p.top = max((top+p.step-1)/p.step*p.step, p.step)
	p.low = -((-min(low, 0) + p.step - 1) / p.step * p.step)
}

func (c *Chart) extent() (low, top int64) {
	for _, s := range c.Series {
		for _, v := range s.Values {
			low, top = min(low, v), max(top, v)
		}
	}
	return low, top
}

func newPlot(c *Chart, low, top int64) *plot {
	if c.Write == nil {
		c.Write = func(n int64) string { return strconv.FormatInt(n, 10) }
	}
	p := &plot{Chart: c}
	p.scale(low, top)
	long := 0
	for v := p.low; v <= p.top; v += p.step {
		long = max(long, len([]rune(c.Write(v))))
	}
	p.left = float64(long)*letter + 10
	p.across = (width - p.left - right) / float64(max(len(c.Labels), 1))
	p.begin(c.ID, c.Title, c.Text, height)
	p.axes()
	p.legend()
	return p
}

// x is the middle of a point's column, y the height of a value.
func (p *plot) x(n int) float64 { return p.left + p.across*(float64(n)+0.5) }

func (p *plot) y(v int64) float64 {
	return above + (height-above-below)*float64(p.top-v)/float64(p.top-p.low)
}

func (p *plot) axes() {
	for v := p.low; v <= p.top; v += p.step {
		y := at(p.y(v))
		p.put(`<path class="axis" d="M%s %sH%s"/>`, at(p.left), y, at(width-right))
		p.put(`<text x="%s" y="%s" text-anchor="end" dominant-baseline="middle">%s</text>`, at(p.left-6), y, escape(p.Write(v)))
	}
	every := max((len(p.Labels)+maxLabels-1)/maxLabels, 1)
	for n := 0; n < len(p.Labels); n += every {
		p.put(`<text x="%s" y="%s" text-anchor="middle">%s</text>`, at(min(p.x(n), width-float64(len(p.Labels[n]))*letter/2)), at(height-6), escape(p.Labels[n]))
	}
}

// legend names the series, if there are several.
func (p *plot) legend() {
	if len(p.Series) < 2 {
		return
	}
	x := p.left
	for n, s := range p.Series {
		p.put(`<path class="s%d" stroke-width="4"%s d="M%s 11h18"/>`, n%colours+1, dashes(n), at(x))
		p.put(`<text x="%s" y="15">%s</text>`, at(x+23), escape(s.Name))
		x += 23 + float64(len([]rune(s.Name)))*letter + 14
	}
}

// dashes tells lines apart for who cannot tell their colours.
func dashes(n int) string {
	pattern := []string{"", "7 3", "2 3", "10 3 2 3", "4 4", "1 4"}[n%colours]
	if pattern == "" {
		return ""
	}
	return ` stroke-dasharray="` + pattern + `"`
}

// Lines draws one line for each series.
func Lines(c Chart) template.HTML {
	low, top := c.extent()
	p := newPlot(&c, low, top)
	for n, s := range c.Series {
		p.put(`<path class="s%d" fill="none" stroke-width="2.5" stroke-linejoin="round"%s d="%s"/>`, n%colours+1, dashes(n), p.line(s.Values))
	}
	return p.end()
}

// line runs through values from the left to the right.
func (p *plot) line(values []int64) string {
	var d strings.Builder
	for n, v := range values {
		mark := 'L'
		if n == 0 {
			mark = 'M'
		}
		fmt.Fprintf(&d, "%c%s %s", mark, at(p.x(n)), at(p.y(v)))
	}
	if len(values) == 1 {
		d.WriteString("h4")
	}
	return d.String()
}

// Bars draws the series of one point beside each other.
func Bars(c Chart) template.HTML {
	low, top := c.extent()
	p := newPlot(&c, low, top)
	wide := p.across * 0.8 / float64(max(len(c.Series), 1))
	for n, s := range c.Series {
		for i, v := range s.Values {
			x := p.left + p.across*(float64(i)+0.1) + wide*float64(n)
			y, tall := p.y(max(v, 0)), p.y(min(v, 0))-p.y(max(v, 0))
			p.put(`<rect class="f%d" x="%s" y="%s" width="%s" height="%s"/>`, n%colours+1, at(x), at(y), at(wide*0.95), at(tall))
		}
	}
	return p.end()
}

// Areas stacks the series upon each other, the first at the bottom. Values below
// zero are not drawn.
func Areas(c Chart) template.HTML {
	sums := make([][]int64, len(c.Series)+1)
	sums[0] = make([]int64, len(c.Labels))
	for n, s := range c.Series {
		sums[n+1] = make([]int64, len(c.Labels))
		for i := range c.Labels {
			sums[n+1][i] = sums[n][i] + max(s.Values[i], 0)
		}
	}
	top := int64(0)
	for _, v := range sums[len(c.Series)] {
		top = max(top, v)
	}
	p := newPlot(&c, 0, top)
	for n := range c.Series {
		d := p.line(sums[n+1])
		for i := len(c.Labels) - 1; i >= 0; i-- {
			d += fmt.Sprintf("L%s %s", at(p.x(i)), at(p.y(sums[n][i])))
		}
		p.put(`<path class="f%d" fill-opacity="0.75" d="%sZ"/>`, n%colours+1, d)
		p.put(`<path class="s%d" fill="none" stroke-width="2"%s d="%s"/>`, n%colours+1, dashes(n), p.line(sums[n+1]))
	}
	return p.end()
}
