package poster

import (
	"bytes"
	"fmt"
	"html/template"
	"io"
	"strconv"
)

// SVG writes a scene as a picture. It is white beneath, so that it is the same
// in the dark.
func (s *Scene) SVG(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%smm" height="%smm" viewBox="0 0 %d %d" role="img" lang="%s">`,
		thousandths(s.wide), thousandths(s.tall), s.wide, s.tall, s.language)
	fmt.Fprintf(&b, `<title>%s</title><path fill="#fff" d="M0 0h%dv%dH0z"/>`, template.HTMLEscapeString(s.title), s.wide, s.tall)
	if len(s.places) == 1 {
		b.WriteString(`<path d="`)
		s.drawing.svg(&b)
		b.WriteString(`"/>`)
	} else {
		b.WriteString(`<defs><path id="one" d="`)
		s.drawing.svg(&b)
		b.WriteString(`"/></defs>`)
		for _, at := range s.places {
			fmt.Fprintf(&b, `<use href="#one" x="%d" y="%d"/>`, at.X, at.Y)
		}
		b.WriteString(`<path d="`)
		s.cuts.svg(&b)
		b.WriteString(`"/>`)
	}
	b.WriteString("</svg>\n")
	if _, err := b.WriteTo(w); err != nil {
		return fmt.Errorf("write poster: %w", err)
	}
	return nil
}

// svg writes a path with each point seen from where the last step arrived:
// shorter by half.
func (p Path) svg(b *bytes.Buffer) {
	var pen Point
	for _, s := range p {
		b.WriteByte(byte(s.Kind) + 'a' - 'A')
		for n := range s.Kind.points() {
			if n > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(strconv.Itoa(s.To[n].X - pen.X))
			b.WriteByte(' ')
			b.WriteString(strconv.Itoa(s.To[n].Y - pen.Y))
		}
		pen = s.To[s.Kind.points()-1]
	}
}

// thousandths writes thousandths of something as decimals.
func thousandths(n int) string { return fmt.Sprintf("%d.%03d", n/1000, n%1000) }
