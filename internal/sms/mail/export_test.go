package mail

import "time"

// Read lets the fuzz test read letters without a connection.
func Read(raw []byte) (text, key string, robot bool, err error) {
	l, err := read(raw)
	return l.text, l.key, l.robot != "", err
}

// MaxLetters is how many letters of an organisation are believed in an hour.
const MaxLetters = maxLetters

// Crowd lets a test come in crowds without writing letters.
type Crowd = crowd

// Admit counts a letter.
func (c *crowd) Admit(domain string, now time.Time) bool { return c.admit(domain, now) }
