package poster

import (
	"rsc.io/qr"
)

// quiet is the white around a QR code that its readers want, in squares;
// leastModule the smallest square that the camera of a cheap phone tells from
// its neighbours, and that a ticket printer draws with three dots.
const (
	quiet       = 4
	leastModule = 380
)

// When all does not fit, all is made smaller, by steps, in percent.
const (
	wholeSize    = 100
	smallestSize = 40
	stepOfSize   = 4
)

// How letters and gaps compare with those of the body, in percent.
const (
	stallSize       = 210
	descriptionSize = 115
	priceSize       = 260
	shortSize       = 150
	textSize        = 220
	numberSize      = 170
	amountSize      = 90
	paySize         = 130
	stallLines      = 2
	fewLines        = 4
	smallGap        = 40
	wideGap         = 90
	frameThick      = 8
	framePad        = 60
	mostGap         = 150 // what is left over goes between the parts, so much at most
)

// A layout is one try to lay a poster out.
type layout struct {
	Poster
	size    Size
	words   []words
	shapes  map[part]*phrase
	code    *qr.Code
	percent int
	*typesetter
}

// A part is a text and how it is set.
type part struct {
	field    string
	text     string
	language Language
	weight   weight
	percent  int // of the body's size
	lines    int // at most
}

func draw(p Poster, size Size, spoken []words, t *typesetter) (*Scene, error) {
	code, err := qr.Encode(p.URL, qr.M)
	if err != nil {
		return nil, &FieldError{"url", err}
	}
	if size.qr/(code.Size+2*quiet) < leastModule {
		return nil, &FieldError{"url", ErrLong}
	}
	l := &layout{Poster: p, size: size, words: spoken, shapes: map[part]*phrase{}, code: code, typesetter: t}
	for l.percent = wholeSize; l.percent >= smallestSize; l.percent -= stepOfSize {
		scene, err := l.try()
		if err != nil || scene != nil {
			return scene, err
		}
	}
	return nil, ErrCrowded
}

// try lays everything out at a size, and returns nil if it is too tall.
func (l *layout) try() (*Scene, error) {
	s := &Scene{title: l.Stall, language: l.words[0].language, wide: l.size.wide, tall: l.size.tall, places: l.size.places(), cuts: l.size.cuts()}
	wide, tall, margin := l.size.wide/l.size.across, l.size.tall/l.size.down, l.size.margin
	x, room := margin, wide-2*margin
	code := l.qr()
	if code.wide == 0 {
		return nil, nil
	}
	if l.size.lying {
		x, room = x+code.wide, room-code.wide
	}
	column, err := l.column(room, code)
	if err != nil {
		return nil, err
	}
	need := column.tall()
	if tall == 0 {
		tall = need + 2*margin
		s.tall = tall
	}
	spare := tall - 2*margin - need
	if spare < 0 {
		return nil, nil
	}
	if l.size.lying {
		s.drawing = s.drawing.moved(code.paths, margin, (tall-code.tall)/2)
	}
	s.drawing = column.place(s.drawing, x, margin, spare, l.body()*mostGap/wholeSize)
	return s, nil
}

// body is the size of the body's letters.
func (l *layout) body() int { return l.size.body * l.percent / wholeSize }

// share is so many percent of the body's size.
func (l *layout) share(percent int) int { return l.body() * percent / wholeSize }

// A column is blocks, one beneath the other, each with a gap above it.
type column struct {
	blocks []block
	gaps   []int
}

func (c *column) add(gap int, b block) {
	if len(c.blocks) == 0 {
		gap = 0
	}
	c.blocks, c.gaps = append(c.blocks, b), append(c.gaps, gap)
}

func (c *column) tall() (sum int) {
	for n, b := range c.blocks {
		sum += b.tall + c.gaps[n]
	}
	return sum
}

// place draws a column, with what is left over between its blocks.
func (c *column) place(on Path, x, y, spare, most int) Path {
	extra := min(spare/(len(c.blocks)+1), most)
	y += (spare - extra*(len(c.blocks)-1)) / 2
	for n, b := range c.blocks {
		y += c.gaps[n]
		on = on.moved(b.paths, x, y)
		y += b.tall + extra
	}
	return on
}

// column sets all that is said.
func (l *layout) column(wide int, code block) (c column, err error) {
	small, large := l.share(smallGap), l.share(wideGap)
	first := l.words[0].language
	add := func(gap int, p part) {
		if err != nil || p.text == "" {
			return
		}
		var b block
		if b, err = l.set(p, wide); err == nil {
			c.add(gap, b)
		}
	}
	add(0, part{"stall", l.Stall, first, bold, stallSize, stallLines})
	add(small, part{"description", l.Description, first, regular, descriptionSize, fewLines})
	add(small, part{"price", l.Price, first, bold, priceSize, 1})
	if !l.size.lying && err == nil {
		code.paths, code.wide = Path(nil).moved(code.paths, (wide-code.wide)/2, 0), wide
		c.add(small, code)
		add(0, part{"short_id", l.Short, first, bold, shortSize, 1})
	}
	if err == nil {
		var frame block
		frame, err = l.frame(wide)
		c.add(large, frame)
	}
	for _, w := range l.words {
		add(large, part{"lang", w.Pay, w.language, bold, paySize, 1})
		if !l.size.brief() {
			add(small, part{"lang", l.todo(w), w.language, regular, wholeSize, fewLines})
		}
	}
	return c, err
}

// todo is what a buyer has to do.
func (l *layout) todo(w words) string {
	if l.Price == "" {
		return w.Open
	}
	return w.Fixed
}

// set sets a part in a width: at its size, or a smaller one at which it fits.
func (l *layout) set(p part, wide int) (block, error) {
	shaped, err := l.phrase(p)
	if err != nil {
		return block{}, err
	}
	for size := max(l.share(p.percent), l.size.least); ; size = max(size*(wholeSize-stepOfSize)/wholeSize, l.size.least) {
		if b, fits := shaped.set(wide, size, p.lines); fits {
			return b, nil
		}
		if size == l.size.least {
			return block{}, &FieldError{p.field, ErrLong}
		}
	}
}

// phrase shapes a part, once.
func (l *layout) phrase(p part) (*phrase, error) {
	if shaped := l.shapes[p]; shaped != nil {
		return shaped, nil
	}
	shaped, err := l.shape(p.text, p.language, p.weight)
	if err != nil {
		return nil, &FieldError{p.field, err}
	}
	l.shapes[p] = shaped
	return shaped, nil
}

// frame sets the line to text and the numbers, framed.
func (l *layout) frame(wide int) (block, error) {
	pad := l.share(framePad)
	line, err := l.line(wide - 2*pad)
	if err != nil {
		return block{}, err
	}
	var c column
	c.add(0, line)
	for _, number := range l.Numbers {
		b, err := l.set(part{"numbers", "SMS: " + number, l.words[0].language, bold, numberSize, 1}, wide-2*pad)
		if err != nil {
			return block{}, err
		}
		c.add(l.share(smallGap), b)
	}
	b := block{wide: wide, tall: c.tall() + 2*pad}
	b.paths = Path(nil).frame(0, 0, b.wide, b.tall, max(l.share(frameThick), crossThick))
	b.paths = c.place(b.paths, pad, pad, 0, 0)
	return b, nil
}

// line sets the line to text, and beside it a field where the buyer writes the
// price, if it is not fixed.
func (l *layout) line(wide int) (block, error) {
	text := part{"text", l.Text, English, bold, textSize, 1}
	if l.Price != "" {
		return l.set(text, wide)
	}
	gap, thick := l.share(smallGap), max(l.share(frameThick)/2, crossThick)
	amount, err := l.set(part{"lang", l.words[0].Amount, l.words[0].language, regular, amountSize, 1}, wide*2/5)
	if err != nil {
		return block{}, err
	}
	shaped, err := l.phrase(text)
	if err != nil {
		return block{}, err
	}
	field := wide * 2 / 5
	b, err := l.set(text, min(wide-field-gap, shaped.natural*l.share(textSize)/em+2*thick))
	if err != nil {
		return block{}, err
	}
	left := (wide - b.wide - gap - field) / 2
	tall := max(b.tall, amount.tall+4*thick)
	paths := Path(nil).moved(b.paths, left, (tall-b.tall)/2)
	x := left + b.wide + gap
	paths = paths.moved(Path(nil).frame(0, 0, field, tall, thick), x, 0)
	paths = paths.moved(amount.paths, x, (tall-amount.tall)/2)
	return block{wide: wide, tall: tall, paths: paths}, nil
}

// qr draws the code, with the white around it, as large as the size allows; the
// zero block if its squares would be too small.
func (l *layout) qr() block {
	side := l.size.qr * l.percent / wholeSize
	if l.size.lying {
		side = max(side, l.size.qr*2/3)
	}
	square := side / (l.code.Size + 2*quiet)
	if square < leastModule {
		return block{}
	}
	whole := square * (l.code.Size + 2*quiet)
	b := block{wide: whole, tall: whole}
	for y := range l.code.Size {
		for x := 0; x < l.code.Size; x++ {
			from := x
			for x < l.code.Size && l.code.Black(x, y) {
				x++
			}
			if x > from {
				b.paths = b.paths.rectangle((quiet+from)*square, (quiet+y)*square, (x-from)*square, square, false)
			}
		}
	}
	return b
}

// brief reports whether there is no room for more than how to pay.
func (s Size) brief() bool { return s.lying && s.body < 3*millimetre }
