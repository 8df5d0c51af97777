//go:build linux

package ha_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// outside is where connections come from that no node makes: servers of
// maillon on machines of their own.
const outside = -1

const (
	lookTries = 5 // for who made a connection
	dialLimit = 2 * time.Second
	pipeLen   = 64 << 10
)

// A network carries every connection to a node. What a node that is cut off
// sends, and what is sent to it, waits: nothing is refused or reset, as when a
// cable is pulled. Only connections are made at once and hang then, where on a
// real network they would hang while they are made.
type network struct {
	folder string // processes at work in "node1" beneath it are of the first node

	mu      sync.Mutex
	cut     int           // the node that is cut off; outside if none is
	changed chan struct{} // closed when cut changes
	over    bool
	pipes   map[*pipe]bool
	doors   []net.Listener
	seen    map[[2]int]int // connections by where they came from and went
}

func newNetwork(folder string) *network {
	return &network{folder: folder, cut: outside, changed: make(chan struct{}), pipes: map[*pipe]bool{}, seen: map[[2]int]int{}}
}

// A pipe is one connection through the network.
type pipe struct {
	from, to  int
	near, far net.Conn
}

func (p *pipe) close() {
	_ = p.near.Close()
	if p.far != nil {
		_ = p.far.Close()
	}
}

// looked lets the network find out who makes a connection.
const looked = -2

// door opens a way to an address of a node, for whoever is named by from, and
// returns its own address.
func (n *network) door(from, to int, address string) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	n.mu.Lock()
	n.doors = append(n.doors, l)
	n.mu.Unlock()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go n.carry(c, from, to, address)
		}
	}()
	return l.Addr().String(), nil
}

func (n *network) carry(c net.Conn, from, to int, address string) {
	if from == looked {
		from = n.who(c)
	}
	p := &pipe{from: from, to: to, near: c}
	defer p.close()
	if !n.add(p) {
		return
	}
	defer n.remove(p)
	if !n.wait(p) {
		return
	}
	far, err := net.DialTimeout("tcp", address, dialLimit)
	if err != nil {
		return
	}
	n.mu.Lock()
	p.far = far
	over := n.over
	n.mu.Unlock()
	if over {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { n.pump(p, p.near, p.far) })
	both.Go(func() { n.pump(p, p.far, p.near) })
	both.Wait()
}

// pump carries one direction. An end reaches the other side as late as what was
// sent before it.
func (n *network) pump(p *pipe, from, to net.Conn) {
	buf := make([]byte, pipeLen)
	for {
		k, err := from.Read(buf)
		if !n.wait(p) {
			break
		}
		if k > 0 {
			if _, e := to.Write(buf[:k]); e != nil {
				break
			}
		}
		if errors.Is(err, io.EOF) {
			_ = to.(*net.TCPConn).CloseWrite()
			return
		}
		if err != nil {
			break
		}
	}
	p.close()
}

// wait waits while one of the two ends is cut off from the other. It reports
// whether the connection is still there then.
func (n *network) wait(p *pipe) bool {
	for {
		n.mu.Lock()
		apart := p.from != p.to && (p.from == n.cut || p.to == n.cut) && n.cut != outside
		changed, there := n.changed, n.pipes[p]
		n.mu.Unlock()
		if !apart || !there {
			return there
		}
		<-changed
	}
}

func (n *network) add(p *pipe) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.over {
		return false
	}
	n.pipes[p] = true
	n.seen[[2]int{p.from, p.to}]++
	return true
}

func (n *network) remove(p *pipe) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.pipes, p)
}

// isolate cuts a node off.
func (n *network) isolate(node int) { n.change(node, false) }

// heal joins the nodes again. Connections that hung go on where they were, or
// break.
func (n *network) heal(breaking bool) { n.change(outside, breaking) }

func (n *network) change(cut int, breaking bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for p := range n.pipes {
		if breaking && p.from != p.to && (p.from == n.cut || p.to == n.cut) {
			delete(n.pipes, p)
			p.close()
		}
	}
	n.cut = cut
	close(n.changed)
	n.changed = make(chan struct{})
}

// came returns how many connections came from one node to another.
func (n *network) came(from, to int) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.seen[[2]int{from, to}]
}

func (n *network) close() {
	n.mu.Lock()
	n.over = true
	for _, d := range n.doors {
		_ = d.Close()
	}
	for p := range n.pipes {
		delete(n.pipes, p)
		p.close()
	}
	n.mu.Unlock()
	n.heal(false)
}

// who returns the node whose process made a connection.
func (n *network) who(c net.Conn) int {
	for range lookTries {
		if inode := socket(c.RemoteAddr().(*net.TCPAddr).Port, c.LocalAddr().(*net.TCPAddr).Port); inode != "" {
			if node := n.holder("socket:[" + inode + "]"); node != outside {
				return node
			}
		}
		time.Sleep(time.Millisecond)
	}
	return outside
}

// socket returns the inode of the socket that made a connection, see proc(5).
func socket(local, remote int) string {
	f, err := os.Open("/proc/net/tcp")
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	near, far := fmt.Sprintf("%s:%04X", loopback, local), fmt.Sprintf("%s:%04X", loopback, remote)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if w := strings.Fields(lines.Text()); len(w) > 9 && w[1] == near && w[2] == far {
			return w[9]
		}
	}
	return ""
}

// loopback is 127.0.0.1 as a kernel with the lower octet first writes it.
const loopback = "0100007F"

// holder returns the node of the process that has a file open.
func (n *network) holder(file string) int {
	for pid, at := range processes(n.folder) {
		open, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		for _, fd := range open {
			if to, err := os.Readlink(fd); err == nil && to == file {
				if node, ok := nodeOf(at); ok {
					return node
				}
			}
		}
	}
	return outside
}

// processes returns where beneath a folder each process is at work that is at
// work there.
func processes(folder string) map[int]string {
	all, _ := filepath.Glob("/proc/[0-9]*/cwd")
	found := map[int]string{}
	for _, cwd := range all {
		to, err := os.Readlink(cwd)
		if err != nil {
			continue // it has ended, or is another user's
		}
		if at, is := strings.CutPrefix(to, folder+"/"); is {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(cwd)))
			found[pid] = at
		}
	}
	return found
}

// nodeOf reads the node from a path like "node1/etcd".
func nodeOf(at string) (int, bool) {
	first, _, _ := strings.Cut(at, "/")
	digits, is := strings.CutPrefix(first, "node")
	k, err := strconv.Atoi(digits)
	return k - 1, is && err == nil
}
