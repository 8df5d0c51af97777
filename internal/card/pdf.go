package card

import (
	"bytes"
	"fmt"
	"io"
)

// pdf is a page as PDF 1.4 (ISO 32000), with fonts that it need not carry.
type pdf struct {
	title string
	body  bytes.Buffer
}

func newPDF(title string) *pdf { return &pdf{title: title} }

// points are the unit of PDF, counted from the lower left corner.
const points = 72 / 25.4

func across(mm float64) float64 { return mm * points }
func upward(mm float64) float64 { return (pageHeight - mm) * points }

func (p *pdf) text(x, y float64, l letter, s string) {
	font := "F1"
	if l.bold {
		font = "F2"
	}
	x -= widthOf(s, l) * float64(l.anchor) / 2
	fmt.Fprintf(&p.body, "%.2f g BT /%s %.2f Tf %.2f %.2f Td %s Tj ET\n", l.shade, font, across(l.size), across(x), upward(y), quoted(s))
}

func (p *pdf) line(x1, y1, x2, y2 float64, dashed bool) {
	dash := "[]"
	if dashed {
		dash = "[3.4]"
	}
	fmt.Fprintf(&p.body, "%.2f G 0.57 w %s 0 d %.2f %.2f m %.2f %.2f l S\n", grey, dash, across(x1), upward(y1), across(x2), upward(y2))
}

func (p *pdf) fill(x, y, width, height float64, s shade) {
	fmt.Fprintf(&p.body, "%.2f g %.2f %.2f %.2f %.2f re f\n", s, across(x), upward(y+height), across(width), across(height))
}

func (p *pdf) WriteTo(w io.Writer) (int64, error) {
	const font = "<< /Type /Font /Subtype /Type1 /BaseFont /%s /Encoding /WinAnsiEncoding >>"
	objects := []string{
		"<< /Type /Catalog /Pages 2 0 R >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		fmt.Sprintf("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %.2f %.2f] /Contents 4 0 R /Resources << /Font << /F1 5 0 R /F2 6 0 R >> >> >>",
			across(pageWidth), across(pageHeight)),
		fmt.Sprintf("<< /Length %d >>\nstream\n%sendstream", p.body.Len(), p.body.Bytes()),
		fmt.Sprintf(font, "Helvetica"),
		fmt.Sprintf(font, "Helvetica-Bold"),
		fmt.Sprintf("<< /Title %s >>", quoted(p.title)),
	}
	var file bytes.Buffer
	file.WriteString("%PDF-1.4\n%\xe2\xe3\xcf\xd3\n") // four high octets: not a file of text
	index := fmt.Sprintf("xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for i, object := range objects {
		index += fmt.Sprintf("%010d 00000 n \n", file.Len())
		fmt.Fprintf(&file, "%d 0 obj\n%s\nendobj\n", i+1, object)
	}
	start := file.Len()
	fmt.Fprintf(&file, "%strailer\n<< /Size %d /Root 1 0 R /Info %d 0 R >>\nstartxref\n%d\n%%%%EOF\n", index, len(objects)+1, len(objects), start)
	return file.WriteTo(w)
}

// quoted returns s as a string of PDF.
func quoted(s string) string {
	out := []byte{'('}
	for _, b := range winAnsi(s) {
		if b == '(' || b == ')' || b == '\\' {
			out = append(out, '\\')
		}
		out = append(out, b)
	}
	return string(append(out, ')'))
}
