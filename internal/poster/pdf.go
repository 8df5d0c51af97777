package poster

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"unicode/utf16"
)

// A point of PDF is 1/72 of an inch, an inch 25,400 micrometres.
const (
	milliPoints  = 72 * 1000
	micrometres  = 25_400
	onMicrometre = "0.0028346457" // points
)

// PDF writes a scene as a document of one page, of the size of the paper.
func (s *Scene) PDF(w io.Writer) error {
	var page, drawing bytes.Buffer
	fmt.Fprintf(&page, "%s 0 0 -%s 0 %s cm\n", onMicrometre, onMicrometre, points(s.tall))
	for _, at := range s.places {
		fmt.Fprintf(&page, "q 1 0 0 1 %d %d cm /One Do Q\n", at.X, at.Y)
	}
	s.cuts.pdf(&page)
	s.drawing.pdf(&drawing)

	var d document
	d.object("<</Type/Catalog/Pages 2 0 R/Lang(" + string(s.language) + ")/ViewerPreferences<</DisplayDocTitle true/PrintScaling/None>>>>")
	d.object("<</Type/Pages/Kids[3 0 R]/Count 1>>")
	d.object(fmt.Sprintf("<</Type/Page/Parent 2 0 R/MediaBox[0 0 %s %s]/Contents 4 0 R/Resources<</XObject<</One 5 0 R>>>>>>", points(s.wide), points(s.tall)))
	if err := d.stream("", page.Bytes()); err != nil {
		return fmt.Errorf("write poster: %w", err)
	}
	if err := d.stream(fmt.Sprintf("/Type/XObject/Subtype/Form/BBox[0 0 %d %d]", s.wide, s.tall), drawing.Bytes()); err != nil {
		return fmt.Errorf("write poster: %w", err)
	}
	d.object("<</Title<" + title(s.title) + ">>>")
	d.end()
	if _, err := d.WriteTo(w); err != nil {
		return fmt.Errorf("write poster: %w", err)
	}
	return nil
}

// points writes micrometres as points.
func points(n int) string { return thousandths((n*milliPoints + micrometres/2) / micrometres) }

// title writes a text as PDF wants it if it has other letters than Latin ones.
func title(text string) string {
	b := []byte{0xFE, 0xFF}
	for _, unit := range utf16.Encode([]rune(text)) {
		b = binary.BigEndian.AppendUint16(b, unit)
	}
	return hex.EncodeToString(b)
}

// pdf writes a path, and fills it. PDF has no curve with one point that pulls.
func (p Path) pdf(b *bytes.Buffer) {
	if len(p) == 0 {
		return
	}
	var pen Point
	for _, s := range p {
		to := s.To[s.Kind.points()-1]
		switch s.Kind {
		case Move:
			fmt.Fprintf(b, "%d %d m\n", to.X, to.Y)
		case Line:
			fmt.Fprintf(b, "%d %d l\n", to.X, to.Y)
		case Quad:
			one, two := towards(pen, s.To[0]), towards(to, s.To[0])
			fmt.Fprintf(b, "%d %d %d %d %d %d c\n", one.X, one.Y, two.X, two.Y, to.X, to.Y)
		case Cubic:
			fmt.Fprintf(b, "%d %d %d %d %d %d c\n", s.To[0].X, s.To[0].Y, s.To[1].X, s.To[1].Y, to.X, to.Y)
		}
		pen = to
	}
	b.WriteString("f\n")
}

// towards is two thirds of the way from a point to another.
func towards(from, to Point) Point {
	return Point{from.X + 2*(to.X-from.X)/3, from.Y + 2*(to.Y-from.Y)/3}
}

// A document is a file of PDF as it is written: its objects, and where each
// one begins.
type document struct {
	bytes.Buffer
	starts []int
}

func (d *document) begin() {
	if len(d.starts) == 0 {
		d.WriteString("%PDF-1.7\n%\xE2\xE3\xCF\xD3\n")
	}
	d.starts = append(d.starts, d.Len())
	fmt.Fprintf(d, "%d 0 obj\n", len(d.starts))
}

func (d *document) object(content string) {
	d.begin()
	d.WriteString(content + "\nendobj\n")
}

func (d *document) stream(entries string, content []byte) error {
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	if _, err := z.Write(content); err != nil {
		return fmt.Errorf("compress: %w", err)
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("compress: %w", err)
	}
	d.object(fmt.Sprintf("<<%s/Filter/FlateDecode/Length %d>>\nstream\n%s\nendstream", entries, packed.Len(), packed.Bytes()))
	return nil
}

// end writes where the objects begin: the first is the catalog, the last one
// what the document is called.
func (d *document) end() {
	at, size := d.Len(), len(d.starts)+1
	fmt.Fprintf(d, "xref\n0 %d\n0000000000 65535 f \n", size)
	for _, start := range d.starts {
		fmt.Fprintf(d, "%010d 00000 n \n", start)
	}
	fmt.Fprintf(d, "trailer\n<</Size %d/Root 1 0 R/Info %d 0 R>>\nstartxref\n%d\n%%%%EOF\n", size, size-1, at)
}
