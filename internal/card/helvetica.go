package card

import (
	"strings"

	"golang.org/x/text/encoding/charmap"
)

// The advance widths of Helvetica and Helvetica-Bold for the characters 32 to
// 126, in thousandths of the size of the letter, as Adobe's metrics give them.
var (
	helvetica = [...]uint16{
		278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278,
		556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556,
		1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778,
		667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556,
		333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556,
		556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
	}
	helveticaBold = [...]uint16{
		278, 333, 474, 556, 556, 889, 722, 238, 333, 333, 389, 584, 278, 333, 278, 278,
		556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 333, 333, 584, 584, 584, 611,
		975, 722, 722, 722, 722, 667, 611, 778, 722, 278, 556, 722, 611, 833, 722, 778,
		667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 333, 278, 333, 584, 556,
		333, 556, 611, 556, 611, 556, 333, 611, 611, 278, 278, 556, 278, 889, 611, 611,
		611, 611, 389, 556, 333, 611, 556, 778, 556, 556, 500, 389, 280, 389, 584,
	}
)

// other is the width that a character outside the tables is given: that of an
// accented small letter, or more.
const other = 611

// widthOf returns how wide s is, in the unit of the size of l.
func widthOf(s string, l letter) float64 {
	table := &helvetica
	if l.bold {
		table = &helveticaBold
	}
	sum := 0
	for _, r := range strings.ReplaceAll(s, "\u00a0", " ") {
		if i := int(r) - ' '; i >= 0 && i < len(table) {
			sum += int(table[i])
		} else {
			sum += other
		}
	}
	return float64(sum) / 1000 * l.size
}

// winAnsi returns s in the encoding that PDF calls WinAnsiEncoding.
func winAnsi(s string) []byte {
	out := make([]byte, 0, len(s))
	for _, r := range s {
		b, ok := charmap.Windows1252.EncodeRune(r)
		if !ok || b < ' ' {
			b = '?'
		}
		out = append(out, b)
	}
	return out
}
