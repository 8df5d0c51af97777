package kanneltest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/url"
	"os/exec"
	"regexp"
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
	t  testing.TB
	in io.Writer

	mu   sync.Mutex // held to read or change sent
	sent []smstest.Message
}

// Connect connects the line of b to telephones of our own until the test ends.
func (b *Boxes) Connect() *Network {
	b.t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", b.SMSC))
	if err != nil {
		b.t.Fatal(err)
	}
	n := &Network{t: b.t, in: conn}
	var reading sync.WaitGroup
	reading.Go(func() {
		for lines := bufio.NewScanner(conn); lines.Scan(); {
			n.take(lines.Text())
		}
	})
	b.t.Cleanup(func() {
		_ = conn.Close()
		reading.Wait()
	})
	return n
}

// gotMessage is how fakesmsc tells what reached it.
var gotMessage = regexp.MustCompile(`Got message \d+: <(.*)>$`)

// RunFakeSMSC connects the line of b to Kannel's own fakesmsc until the test
// ends.
func (b *Boxes) RunFakeSMSC() *Network {
	b.t.Helper()
	cmd := exec.Command(FakeSMSC, "-H", "127.0.0.1", "-r", fmt.Sprint(b.SMSC))
	in, err := cmd.StdinPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	tells, out := io.Pipe()
	cmd.Stdout, cmd.Stderr = out, out
	n := &Network{t: b.t, in: in}
	var reading sync.WaitGroup
	reading.Go(func() {
		for lines := bufio.NewScanner(tells); lines.Scan(); {
			if got := gotMessage.FindStringSubmatch(lines.Text()); got != nil {
				n.take(got[1])
			}
		}
		_ = tells.Close() // what is not read must not hold up who writes
	})
	start(b.t, cmd)
	b.t.Cleanup(func() {
		stop(b.t, cmd)
		_ = out.Close()
		reading.Wait()
	})
	return n
}

// take notes what reached a telephone.
func (n *Network) take(line string) {
	m, err := parse(line)
	if err != nil {
		n.t.Errorf("the fake line: %v", err)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sent = append(n.sent, m)
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
	if _, err := fmt.Fprintf(n.in, "%s %s %s %s\n", strings.TrimPrefix(from, "+"), Line, kind, text); err != nil {
		n.t.Fatal(err)
	}
}

// parse reads "sender receiver kind text". What fits the alphabet of GSM must
// have left in it: in UCS-2 it would cost twice as much.
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
	if sms.AlphabetOf(m.Text) != sms.UCS2 {
		return m, fmt.Errorf("an SMS of kind %s that fits GSM-7", fields[2])
	}
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
