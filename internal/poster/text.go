package poster

import (
	"slices"

	"github.com/go-text/typesetting/di"
	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/language"
	"github.com/go-text/typesetting/shaping"
	"golang.org/x/image/math/fixed"
	"golang.org/x/text/unicode/bidi"
)

// em is how many units the letter m is wide in the fonts, about. Texts are
// shaped once in these units, and then wrapped at any size.
const em = 1000

// A line is at least as tall as most letters, in units, so that lines of one
// text are as far from each other.
const (
	leastAscent  = 760
	leastDescent = 240
	leading      = 140 // between lines
)

// A typesetter turns texts into outlines. It is not for several goroutines.
type typesetter struct {
	faces     [bold + 1]fontmap
	segmenter shaping.Segmenter
	shaper    shaping.HarfbuzzShaper
	wrapper   shaping.LineWrapper
}

func (s *Press) typesetter() *typesetter {
	var t typesetter
	for w, fonts := range s.fonts {
		for _, f := range fonts {
			t.faces[w] = append(t.faces[w], font.NewFace(f))
		}
	}
	return &t
}

// A fontmap finds the face of a letter.
type fontmap []*font.Face

// ResolveFace returns the first face that has a letter.
func (m fontmap) ResolveFace(r rune) *font.Face {
	n := slices.IndexFunc(m, func(f *font.Face) bool { return has(f, r) })
	return m[max(n, 0)]
}

func has(f *font.Face, r rune) bool {
	_, there := f.NominalGlyph(r)
	return there
}

// prints reports whether all letters of a text have a face, and none of them
// steers the others.
func (m fontmap) prints(text string) bool {
	for _, r := range text {
		p, _ := bidi.LookupRune(r)
		if p.Class() == bidi.Control || !has(m.ResolveFace(r), r) {
			return false
		}
	}
	return true
}

// A phrase is a text that was shaped, and waits for a width.
type phrase struct {
	text      []rune
	runs      []shaping.Output
	direction di.Direction
	natural   int // width in one line, in units
	*typesetter
}

// direct returns where a text runs to: where its first letter that has an
// opinion does.
func direct(text string) di.Direction {
	for _, r := range text {
		switch p, _ := bidi.LookupRune(r); p.Class() {
		case bidi.L:
			return di.DirectionLTR
		case bidi.R, bidi.AL:
			return di.DirectionRTL
		default:
		}
	}
	return di.DirectionLTR
}

// shape joins the letters of a text, puts marks on them and finds which way
// each part of it runs.
func (t *typesetter) shape(text string, l Language, w weight) (*phrase, error) {
	if !t.faces[w].prints(text) {
		return nil, ErrLetter
	}
	p := &phrase{text: []rune(text), direction: direct(text), typesetter: t}
	whole := shaping.Input{
		Text: p.text, RunEnd: len(p.text), Direction: p.direction,
		Size: fixed.I(em), Language: language.NewLanguage(string(l)),
	}
	for _, run := range t.segmenter.Split(whole, t.faces[w]) {
		shaped := t.shaper.Shape(run)
		p.runs = append(p.runs, shaped)
		p.natural += shaped.Advance.Ceil()
	}
	return p, nil
}

// A row is one line of a text, in units: its glyphs from left to right, and
// the ink of them around the point where its base line begins.
type row struct {
	glyphs []placed
	ink    box
}

// A placed glyph stands somewhere on its line.
type placed struct {
	outline font.GlyphOutline
	x, y    int // in units
}

// rows wraps a phrase at a width in units. Words are not broken: whether a row
// is wider than that is for the caller to see.
func (p *phrase) rows(width int) []row {
	config := shaping.WrapConfig{Direction: p.direction, BreakPolicy: shaping.Never, DisableTrailingWhitespaceTrim: true}
	lines, _ := p.wrapper.WrapParagraphF(config, fixed.I(width), p.text, shaping.NewSliceIterator(p.runs))
	rows := make([]row, 0, len(lines))
	for _, line := range lines {
		slices.SortFunc(line, func(a, b shaping.Output) int { return int(a.VisualIndex - b.VisualIndex) })
		rows = append(rows, newRow(line))
	}
	return rows
}

func newRow(line shaping.Line) (r row) {
	var pen fixed.Int26_6
	for _, run := range line {
		for _, g := range run.Glyphs {
			outline, drawn := run.Face.GlyphDataOutline(g.GlyphID)
			if drawn && len(outline.Segments) > 0 {
				p := placed{outline, (pen + g.XOffset).Round(), g.YOffset.Round()}
				r.glyphs = append(r.glyphs, p)
				r.ink = r.ink.around(p.ink())
			}
			pen += g.Advance
		}
	}
	return r
}

func (p placed) ink() (b box) {
	for _, s := range p.outline.Segments {
		for _, at := range s.ArgsSlice() {
			x, y := p.x+int(at.X), p.y+int(at.Y)
			b = b.around(box{x - 1, y - 1, x + 1, y + 1})
		}
	}
	return b
}

// set sets a phrase in a column of a width, at a size in micrometres, centred,
// in at most some lines. It reports false if it does not fit.
func (p *phrase) set(width, size, lines int) (block, bool) {
	rows := p.rows(p.balanced(width*em/size, lines))
	if len(rows) > lines {
		return block{}, false
	}
	b := block{wide: width}
	for n, r := range rows {
		if n > 0 {
			b.tall += leading * size / em
		}
		b.tall += max(leastAscent, r.ink.top) * size / em
		left := (width - scaled(2*(r.ink.right-r.ink.left), size)) / 2
		if left < 0 {
			return block{}, false
		}
		for _, g := range r.glyphs {
			b.paths = g.draw(b.paths, left-scaled(2*r.ink.left, size), b.tall, size)
		}
		b.tall += max(leastDescent, -r.ink.bottom) * size / em
	}
	return b, true
}

// balanced returns the least width at which a phrase takes no more lines than
// at the whole width: lines of one length are better to read than a full one
// and a word.
func (p *phrase) balanced(width, lines int) int {
	if p.natural <= width {
		return width
	}
	most := len(p.rows(width))
	if most > lines {
		return width
	}
	narrow := p.natural / most
	for wide := width; wide-narrow > em/4; {
		middle := (wide + narrow) / 2
		rows := p.rows(middle)
		if len(rows) <= most && widest(rows) <= middle {
			wide, width = middle, middle
		} else {
			narrow = middle
		}
	}
	return width
}

func widest(rows []row) (most int) {
	for _, r := range rows {
		most = max(most, r.ink.right-r.ink.left)
	}
	return most
}

// draw adds a placed glyph to a path, at a size, where a line begins.
func (p placed) draw(path Path, x, y, size int) Path {
	at := func(n int, s font.Segment) Point {
		return Point{
			x + scaled(2*p.x+int(2*s.Args[n].X), size),
			y - scaled(2*p.y+int(2*s.Args[n].Y), size),
		}
	}
	for _, s := range p.outline.Segments {
		step := Step{Kind: kinds[s.Op]}
		for n := range s.ArgsSlice() {
			step.To[n] = at(n, s)
		}
		path = append(path, step)
	}
	return path
}

// scaled turns half units into micrometres: points between two others are at
// halves.
func scaled(halves, size int) int {
	n := halves * size
	if n < 0 {
		return -((-n + em) / (2 * em))
	}
	return (n + em) / (2 * em)
}
