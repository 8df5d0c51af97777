package kanneltest

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"unicode/utf16"

	"maillon/internal/sms"
	"maillon/internal/sms/smstest"
)

// A Network is the far end of the line: all the telephones that Kannel reaches.
// It speaks the protocol of Kannel's fake line, which cannot carry line breaks.
type Network struct {
	t    testing.TB
	conn net.Conn

	mu   sync.Mutex // held to read or change sent
	sent []smstest.Message
}

// Connect connects the line of b until the test ends.
func (b *Boxes) Connect() *Network {
	b.t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", b.SMSC))
	if err != nil {
		b.t.Fatal(err)
	}
	n := &Network{t: b.t, conn: conn}
	var reading sync.WaitGroup
	reading.Go(n.read)
	b.t.Cleanup(func() {
		_ = conn.Close()
		reading.Wait()
	})
	return n
}

func (n *Network) read() {
	for lines := bufio.NewScanner(n.conn); lines.Scan(); {
		m, err := parse(lines.Text())
		if err != nil {
			n.t.Errorf("the fake line: %v", err)
			return
		}
		n.mu.Lock()
		n.sent = append(n.sent, m)
		n.mu.Unlock()
	}
}

// Sent returns the SMS that reached a telephone, in their order.
func (n *Network) Sent() []smstest.Message {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]smstest.Message(nil), n.sent...)
}

// Inject sends an SMS from a telephone to the line.
func (n *Network) Inject(from, text string) {
	n.t.Helper()
	kind := "text"
	if sms.AlphabetOf(text) == sms.UCS2 {
		kind, text = "ucs2", url.QueryEscape(utf16be(text))
	}
	if _, err := fmt.Fprintf(n.conn, "%s %s %s %s\n", strings.TrimPrefix(from, "+"), Line, kind, text); err != nil {
		n.t.Fatal(err)
	}
}

// parse reads "sender receiver kind text".
func parse(line string) (smstest.Message, error) {
	fields := strings.SplitN(line, " ", 4)
	if len(fields) < 4 {
		return smstest.Message{}, fmt.Errorf("%d fields", len(fields))
	}
	m := smstest.Message{From: fields[0], To: fields[1], Text: fields[3]}
	if fields[2] == "text" {
		return m, nil
	}
	octets, err := url.QueryUnescape(fields[3])
	if err != nil {
		return smstest.Message{}, err
	}
	m.Text = fromUTF16BE(octets)
	return m, nil
}

func utf16be(text string) string {
	var b strings.Builder
	for _, unit := range utf16.Encode([]rune(text)) {
		b.WriteByte(byte(unit >> 8))
		b.WriteByte(byte(unit))
	}
	return b.String()
}

func fromUTF16BE(octets string) string {
	units := make([]uint16, len(octets)/2)
	for i := range units {
		units[i] = uint16(octets[2*i])<<8 | uint16(octets[2*i+1])
	}
	return string(utf16.Decode(units))
}

// A Telephone is Kannel's fakesmsc: it sends one SMS and then shows, in its
// output, all that reaches it.
type Telephone struct {
	mu     sync.Mutex // held to read or write output
	output bytes.Buffer
}

// RunFakeSMSC connects the line of b to Kannel's own fakesmsc until the test
// ends, and sends an SMS from there.
func (b *Boxes) RunFakeSMSC(from, text string) *Telephone {
	b.t.Helper()
	phone := new(Telephone)
	cmd := exec.Command(FakeSMSC, "-H", "127.0.0.1", "-r", fmt.Sprint(b.SMSC), "-i", "0.1", "-m", "1",
		strings.TrimPrefix(from, "+")+" "+Line+" text "+text)
	cmd.Stdout, cmd.Stderr = phone, phone
	start(b.t, cmd)
	b.t.Cleanup(func() { stop(b.t, cmd) })
	return phone
}

// Write takes output of the program.
func (p *Telephone) Write(output []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.Write(output)
}

// Shows reports whether text reached the telephone.
func (p *Telephone) Shows(text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Contains(p.output.String(), " text "+text+">")
}
