package chart

import "html/template"

// A Flow goes from something at the left to something at the right.
type Flow struct {
	From, To int // in Names
	Sum      int64
}

// Flows are what goes where.
type Flows struct {
	ID    string // unique in its page
	Title string
	Text  string // what is seen, in a sentence
	Names []string
	Flows []Flow
	Write func(int64) string // a sum, short
}

// The shape of a picture of flows.
const (
	flowTall = 260.0 // of all that flows
	flowGap  = 26.0  // between two ends, room for a name of two lines
	flowSide = 128.0 // for the names
	flowBar  = 9.0
	flowLeft = flowSide
	flowEnd  = width - flowSide
)

// An end is where something comes from or goes to.
type end struct {
	sum      int64
	y, taken float64
}

// Draw draws the flows as bands, as wide as they are large.
func (f Flows) Draw() template.HTML {
	from, to := make([]end, len(f.Names)), make([]end, len(f.Names))
	total := int64(0)
	for _, one := range f.Flows {
		from[one.From].sum += one.Sum
		to[one.To].sum += one.Sum
		total += one.Sum
	}
	scale := flowTall / float64(max(total, 1))
	tall := max(place(from, scale), place(to, scale))
	var p pen
	p.begin(f.ID, f.Title, f.Text, tall)
	for i := range f.Names {
		for j := range f.Names {
			for _, one := range f.Flows {
				if one.From == i && one.To == j && one.Sum > 0 {
					band(&p, &from[i], &to[j], i, float64(one.Sum)*scale)
				}
			}
		}
	}
	f.name(&p, from, flowLeft-flowBar, flowLeft-flowBar-6, "end", scale)
	f.name(&p, to, flowEnd, flowEnd+flowBar+6, "start", scale)
	return p.end()
}

// place stacks ends, and returns how tall they are together.
func place(ends []end, scale float64) float64 {
	y := flowGap / 2
	for n := range ends {
		if ends[n].sum == 0 {
			continue
		}
		ends[n].y = y
		y += float64(ends[n].sum)*scale + flowGap
	}
	return y
}

// band draws one flow, in the colour of where it comes from.
func band(p *pen, from, to *end, colour int, tall float64) {
	a, b := from.y+from.taken, to.y+to.taken
	from.taken, to.taken = from.taken+tall, to.taken+tall
	middle := at((flowLeft + flowEnd) / 2)
	p.put(`<path class="f%d" fill-opacity="0.5" d="M%s %sC%s %s %s %s %s %sV%sC%s %s %s %s %s %sZ"/>`, colour%colours+1,
		at(flowLeft), at(a), middle, at(a), middle, at(b), at(flowEnd), at(b),
		at(b+tall), middle, at(b+tall), middle, at(a+tall), at(flowLeft), at(a+tall))
}

// name draws the ends at one side, with what they are and how much it is.
func (f Flows) name(p *pen, ends []end, bar, text float64, anchor string, scale float64) {
	for n, e := range ends {
		if e.sum == 0 {
			continue
		}
		tall := float64(e.sum) * scale
		p.put(`<rect class="f%d" x="%s" y="%s" width="%s" height="%s"/>`, n%colours+1, at(bar), at(e.y), at(flowBar), at(max(tall, 1)))
		y := e.y + tall/2
		p.put(`<text class="name" x="%s" y="%s" text-anchor="%s">%s</text>`, at(text), at(y-2), anchor, escape(f.Names[n]))
		p.put(`<text x="%s" y="%s" text-anchor="%s">%s</text>`, at(text), at(y+13), anchor, escape(f.Write(e.sum)))
	}
}
