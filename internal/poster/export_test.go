package poster

// SetLine sets a text in one line, at a size in micrometres, and returns its
// outlines from left to right.
func SetLine(s *Press, text string, l Language, size int) (Path, error) {
	p, err := s.typesetter().shape(text, l, regular)
	if err != nil {
		return nil, err
	}
	b, fits := p.set(p.natural*size/em*2, size, 1)
	if !fits {
		return nil, ErrLong
	}
	return b.paths, nil
}

// Inside returns the corners that a drawing has to stay within.
func (s Size) Inside(tall int) (from, to Point) {
	if s.tall > 0 {
		tall = s.tall
	}
	return Point{s.margin, s.margin}, Point{s.wide/s.across - s.margin, tall/s.down - s.margin}
}

// Grid is how many stand beside each other on a sheet, and beneath.
func (s Size) Grid() (across, down int) { return s.across, s.down }

// Count is how many stand on a sheet.
func (s Size) Count() int { return s.across * s.down }
