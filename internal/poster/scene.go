package poster

import (
	"github.com/go-text/typesetting/font/opentype"
)

// A Point is a place on the paper, in micrometres from the left and from above.
type Point struct{ X, Y int }

// A Kind is a way to the next point.
type Kind byte

// The kinds of steps: to begin elsewhere, a line, a curve with one or with two
// points that pull it.
const (
	Move  Kind = 'M'
	Line  Kind = 'L'
	Quad  Kind = 'Q'
	Cubic Kind = 'C'
)

// points is how many points a step has.
func (k Kind) points() int {
	switch k {
	case Quad:
		return 2
	case Cubic:
		return 3
	default:
		return 1
	}
}

// kinds are those of the outlines of fonts.
var kinds = map[opentype.SegmentOp]Kind{
	opentype.SegmentOpMoveTo: Move, opentype.SegmentOpLineTo: Line,
	opentype.SegmentOpQuadTo: Quad, opentype.SegmentOpCubeTo: Cubic,
}

// A Step is one part of a path: its last point is where it arrives.
type Step struct {
	Kind Kind
	To   [3]Point
}

// A Path is filled with black, by the rule of non-zero winding.
type Path []Step

// rectangle adds one that turns to the right, or to the left to cut a hole.
func (p Path) rectangle(x, y, wide, tall int, hole bool) Path {
	corners := [4]Point{{x, y}, {x + wide, y}, {x + wide, y + tall}, {x, y + tall}}
	if hole {
		corners[1], corners[3] = corners[3], corners[1]
	}
	for n, c := range corners {
		kind := Line
		if n == 0 {
			kind = Move
		}
		p = append(p, Step{kind, [3]Point{c}})
	}
	return p
}

// frame adds the outline of a rectangle, as thick as said, inside of it.
func (p Path) frame(x, y, wide, tall, thick int) Path {
	return p.rectangle(x, y, wide, tall, false).
		rectangle(x+thick, y+thick, wide-2*thick, tall-2*thick, true)
}

// moved adds another path, moved.
func (p Path) moved(other Path, x, y int) Path {
	for _, s := range other {
		for n := range s.Kind.points() {
			s.To[n].X += x
			s.To[n].Y += y
		}
		p = append(p, s)
	}
	return p
}

// A box is what something takes: from the left to the right, from the bottom
// to the top. The zero box takes nothing.
type box struct{ left, bottom, right, top int }

// around returns the box that holds two.
func (b box) around(other box) box {
	if b == (box{}) {
		return other
	}
	return box{min(b.left, other.left), min(b.bottom, other.bottom), max(b.right, other.right), max(b.top, other.top)}
}

// A block is a part of a column. Its paths stand beneath and to the right of
// its corner.
type block struct {
	wide, tall int
	paths      Path
}

// A Scene is a sheet that was laid out: one drawing, and where on it that is
// printed.
type Scene struct {
	title      string
	language   Language
	wide, tall int // the sheet
	drawing    Path
	places     []Point
	cuts       Path // where the sheet is cut
}
