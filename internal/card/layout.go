package card

import (
	"io"
	"strconv"
	"strings"
)

// The page and the card on it, in millimetres from the upper left corner. The
// card is two ID-1 halves, one above the other, folded between them.
const (
	pageWidth, pageHeight = 105.0, 148.0 // A6
	cardWidth, halfHeight = 85.6, 53.98  // ISO/IEC 7810 ID-1
	cardLeft              = (pageWidth - cardWidth) / 2
	cardTop               = 10.0
	fold                  = cardTop + halfHeight
	cardBottom            = fold + halfHeight
	margin                = 4.0 // within the card
)

// Sizes of letters, in millimetres, and the space from one line to the next,
// in letters.
const (
	leastSize = 1.8
	smallSize = 2.8
	textSize  = 3.2
	nameSize  = 7.0
	cellSize  = 3.3
	leading   = 1.35
)

// A shade of the ink, from 0, black, to 1, white.
type shade float32

const (
	black shade = 0
	grey  shade = 0.4
	pale  shade = 0.9
)

// An anchor is the point of a text that its position names.
type anchor int

const (
	left anchor = iota
	middle
)

// A letter is how a text is written.
type letter struct {
	size   float64
	bold   bool
	shade  shade
	anchor anchor
}

// A page is something to draw on, in millimetres from the upper left corner.
type page interface {
	text(x, y float64, l letter, s string)
	line(x1, y1, x2, y2 float64, dashed bool)
	fill(x, y, width, height float64, s shade)
	io.WriterTo
}

func (s Sheet) lay(p page) {
	s.layEdges(p)
	s.layFront(p)
	s.layGrid(p)
}

func (s Sheet) layEdges(p page) {
	const cardRight = cardLeft + cardWidth
	p.line(cardLeft, cardTop, cardRight, cardTop, false)
	p.line(cardLeft, cardBottom, cardRight, cardBottom, false)
	p.line(cardLeft, cardTop, cardLeft, cardBottom, false)
	p.line(cardRight, cardTop, cardRight, cardBottom, false)
	p.line(cardLeft-margin, fold, cardRight+margin, fold, true)
	layParagraph(p, cardLeft, cardBottom+2*smallSize, cardWidth, pageHeight-cardBottom-3*smallSize, letter{size: smallSize, shade: grey}, s.Captions.Cut)
}

func (s Sheet) layFront(p page) {
	const (
		x     = cardLeft + margin
		width = cardWidth - 2*margin
	)
	p.text(x, cardTop+8, fitted(s.Association, width, letter{size: textSize, bold: true}), s.Association)
	p.text(x, cardTop+13, fitted(s.Captions.Title, width, letter{size: textSize, shade: grey}), s.Captions.Title)
	p.text(x, cardTop+25, fitted(s.Name, width, letter{size: nameSize, bold: true}), s.Name)
	issued := s.Captions.Issued + " " + s.Issued
	p.text(x, cardTop+31, fitted(issued, width, letter{size: smallSize, shade: grey}), issued)
	layParagraph(p, x, cardTop+39.5, width, halfHeight-39.5, letter{size: textSize, bold: true}, s.Captions.Rule)
}

func (s Sheet) layGrid(p page) {
	const (
		top       = fold + margin
		rowHeight = (halfHeight - 2*margin) / (Rows + 1)
		label     = 4.5 // the width of the rows' numbers
		first     = cardLeft + margin + label
		column    = (cardWidth - 2*margin - label) / float64(len(Columns))
	)
	head := letter{size: cellSize, bold: true, shade: grey, anchor: middle}
	baseline := func(row int) float64 { return top + (float64(row)+0.5)*rowHeight + cellSize*0.36 }
	for row := 2; row <= Rows; row += 2 {
		p.fill(cardLeft+margin, top+float64(row)*rowHeight, cardWidth-2*margin, rowHeight, pale)
	}
	for c, name := range Columns {
		x := first + (float64(c)+0.5)*column
		p.text(x, baseline(0), head, string(name))
		for row := 1; row <= Rows; row++ {
			p.text(x, baseline(row), letter{size: cellSize, anchor: middle}, s.Cells[string(name)+strconv.Itoa(row)])
		}
	}
	for row := 1; row <= Rows; row++ {
		p.text(cardLeft+margin+label/2, baseline(row), head, strconv.Itoa(row))
	}
}

// fitted returns l, made smaller if s is wider than width.
func fitted(s string, width float64, l letter) letter {
	if wide := widthOf(s, l); wide > width {
		l.size *= width / wide
	}
	return l
}

// layParagraph writes s in as many lines as it needs, and in smaller letters if
// it needs more than there is height for.
func layParagraph(p page, x, y, width, height float64, l letter, s string) {
	lines := broken(s, width, l)
	for float64(len(lines))*l.size*leading > height && l.size > leastSize {
		l.size *= 0.95
		lines = broken(s, width, l)
	}
	for i, line := range lines {
		p.text(x, y+float64(i)*l.size*leading, l, line)
	}
}

// broken cuts s between words into lines that are no wider than width. A word
// that is wider has a line to itself. A no-break space is no place to cut.
func broken(s string, width float64, l letter) []string {
	var lines []string
	line := ""
	for _, word := range strings.Split(s, " ") {
		switch longer := line + " " + word; {
		case line == "":
			line = word
		case widthOf(longer, l) <= width:
			line = longer
		default:
			lines = append(lines, line)
			line = word
		}
	}
	return append(lines, line)
}
