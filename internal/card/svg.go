package card

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// svg is a page as SVG 1.1. Every text is given its width, for the fonts of
// whoever opens it are not ours.
type svg struct{ body bytes.Buffer }

func newSVG() *svg { return &svg{} }

func (p *svg) text(x, y float64, l letter, s string) {
	weight := "normal"
	if l.bold {
		weight = "bold"
	}
	fmt.Fprintf(&p.body, `<text x="%.2f" y="%.2f" font-size="%.2f" font-weight="%s" text-anchor="%s" fill="%s" textLength="%.2f" lengthAdjust="spacingAndGlyphs">%s</text>`+"\n",
		x, y, l.size, weight, [...]string{"start", "middle"}[l.anchor], hex(l.shade), widthOf(s, l), escaped(s))
}

func (p *svg) line(x1, y1, x2, y2 float64, dashed bool) {
	dash := ""
	if dashed {
		dash = ` stroke-dasharray="1.2 1.2"`
	}
	fmt.Fprintf(&p.body, `<line x1="%.2f" y1="%.2f" x2="%.2f" y2="%.2f" stroke="%s" stroke-width="0.2"%s/>`+"\n",
		x1, y1, x2, y2, hex(grey), dash)
}

func (p *svg) fill(x, y, width, height float64, s shade) {
	fmt.Fprintf(&p.body, `<rect x="%.2f" y="%.2f" width="%.2f" height="%.2f" fill="%s"/>`+"\n", x, y, width, height, hex(s))
}

func (p *svg) WriteTo(w io.Writer) (int64, error) {
	n, err := fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" width="%gmm" height="%gmm" viewBox="0 0 %g %g" font-family="Helvetica, Arial, sans-serif">
<rect width="%g" height="%g" fill="#ffffff"/>
%s</svg>
`, pageWidth, pageHeight, pageWidth, pageHeight, pageWidth, pageHeight, p.body.Bytes())
	return int64(n), err
}

func hex(s shade) string {
	level := int(s * 255)
	return fmt.Sprintf("#%02x%02x%02x", level, level, level)
}

func escaped(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}
