package poster

// A Size is a paper, and how it is used. All lengths are in micrometres.
type Size struct {
	Name       string
	wide, tall int  // of the sheet; tall 0: paper from a roll, cut after what is on it
	across     int  // how many stand beside each other
	down       int  // and beneath
	margin     int  // around each, which printers leave white
	lying      bool // the QR code beside the words, not above
	qr         int  // its side, with the white around it, at most
	body       int  // size of letters, at most
	least      int  // and of the smallest
}

const millimetre = 1000

// a4wide and a4tall are those of ISO 216.
const a4wide, a4tall = 210 * millimetre, 297 * millimetre

// Sizes returns all papers.
func Sizes() []Size {
	return []Size{
		{"A6", 105 * millimetre, 148 * millimetre, 1, 1, 6 * millimetre, false, 62 * millimetre, 3400, 2200},
		{"A5", 148 * millimetre, 210 * millimetre, 1, 1, 9 * millimetre, false, 88 * millimetre, 4700, 2600},
		{"A4", a4wide, a4tall, 1, 1, 12 * millimetre, false, 124 * millimetre, 6600, 3200},
		{"58mm", 58 * millimetre, 0, 1, 1, 5 * millimetre, false, 48 * millimetre, 3000, 2300},
		{"3x8", a4wide, a4tall, 3, 8, 3 * millimetre, true, 31 * millimetre, 2900, 1800},
		{"2x4", a4wide, a4tall, 2, 4, 5 * millimetre, true, 54 * millimetre, 4400, 2300},
	}
}

// ParseSize finds a paper by its name.
func ParseSize(name string) (Size, error) {
	for _, s := range Sizes() {
		if s.Name == name {
			return s, nil
		}
	}
	return Size{}, &FieldError{"size", ErrSize}
}

// places returns the corners of what stands on a sheet.
func (s Size) places() []Point {
	var all []Point
	for row := range s.down {
		for column := range s.across {
			all = append(all, Point{column * s.wide / s.across, row * s.tall / s.down})
		}
	}
	return all
}

// Marks where a sheet of stickers is cut: small crosses, for whoever cuts by
// hand; on sheets that are cut already, they fall between.
const crossArm, crossThick = 1500, 100

func (s Size) cuts() (p Path) {
	if s.across*s.down == 1 {
		return nil
	}
	for row := range s.down + 1 {
		for column := range s.across + 1 {
			x, y := column*s.wide/s.across, row*s.tall/s.down
			left, right := max(x-crossArm, 0), min(x+crossArm, s.wide)
			above, below := max(y-crossArm, 0), min(y+crossArm, s.tall)
			p = p.rectangle(left, max(min(y-crossThick/2, s.tall-crossThick), 0), right-left, crossThick, false)
			p = p.rectangle(max(min(x-crossThick/2, s.wide-crossThick), 0), above, crossThick, below-above, false)
		}
	}
	return p
}
