package mail

// Read lets the fuzz test read letters without a connection.
func Read(raw []byte) (text, key string, robot bool, err error) {
	l, err := read(raw)
	return l.text, l.key, l.robot != "", err
}
