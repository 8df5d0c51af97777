//go:build linux

package ha_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// outside is where connections come from that no node makes: servers of
// maillon on machines of their own.
const outside = -1

const (
	dialLimit = 2 * time.Second
	pipeLen   = 64 << 10
	maxKnown  = 16
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

	looking sync.Mutex
	known   []int // processes that made connections, the latest last
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
	far, near := c.RemoteAddr().(*net.TCPAddr), c.LocalAddr().(*net.TCPAddr)
	inode, err := socket(far, near)
	if err != nil {
		return outside // it has gone already
	}
	file := fmt.Sprintf("socket:[%d]", inode)
	n.looking.Lock() // one at a time: all processes are looked at
	defer n.looking.Unlock()
	for _, pid := range n.known { // most are made by the same few
		if at, ok := atWork(pid, n.folder); ok && holds(pid, file) {
			node, _ := nodeOf(at)
			return node
		}
	}
	for pid, at := range processes(n.folder) {
		if holds(pid, file) {
			n.known = append(n.known[max(0, len(n.known)-maxKnown):], pid)
			node, _ := nodeOf(at)
			return node
		}
	}
	return outside
}

// socket asks the kernel for the inode of a TCP socket by its two addresses,
// see sock_diag(7).
func socket(local, remote *net.TCPAddr) (uint32, error) {
	const (
		sockDiag  = 4  // NETLINK_SOCK_DIAG
		byFamily  = 20 // SOCK_DIAG_BY_FAMILY
		header    = 16 // of a netlink message
		request   = 56 // struct inet_diag_req_v2
		inodeFrom = header + 68
	)
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, sockDiag)
	if err != nil {
		return 0, err
	}
	defer func() { _ = syscall.Close(fd) }()
	m := make([]byte, header+request)
	native := binary.NativeEndian
	native.PutUint32(m, uint32(len(m)))
	native.PutUint16(m[4:], byFamily)
	native.PutUint16(m[6:], syscall.NLM_F_REQUEST)
	r := m[header:]
	r[0], r[1] = syscall.AF_INET, syscall.IPPROTO_TCP
	native.PutUint32(r[4:], 1<<32-1) // in any state
	binary.BigEndian.PutUint16(r[8:], uint16(local.Port))
	binary.BigEndian.PutUint16(r[10:], uint16(remote.Port))
	copy(r[12:], local.IP.To4())
	copy(r[28:], remote.IP.To4())
	native.PutUint64(r[48:], 1<<64-1) // no cookie
	if err := syscall.Sendto(fd, m, 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return 0, err
	}
	answer := make([]byte, os.Getpagesize())
	k, _, err := syscall.Recvfrom(fd, answer, 0)
	if err != nil {
		return 0, err
	}
	if k < inodeFrom+4 || native.Uint16(answer[4:]) != byFamily {
		return 0, errors.New("there is no such socket")
	}
	return native.Uint32(answer[inodeFrom:]), nil
}

// holds reports whether a process has a file open.
func holds(pid int, file string) bool {
	dir := fmt.Sprintf("/proc/%d/fd/", pid)
	for _, fd := range names(dir) {
		if to, err := os.Readlink(dir + fd); err == nil && to == file {
			return true
		}
	}
	return false
}

func names(dir string) []string {
	f, err := os.Open(dir)
	if err != nil {
		return nil // it has ended, or is another user's
	}
	defer func() { _ = f.Close() }()
	all, _ := f.Readdirnames(-1)
	return all
}

// atWork returns where beneath a folder a process is at work, if it is.
func atWork(pid int, folder string) (string, bool) {
	to, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
	at, is := strings.CutPrefix(to, folder+"/")
	return at, is && err == nil
}

// processes returns where beneath a folder each process is at work that is at
// work there.
func processes(folder string) map[int]string {
	found := map[int]string{}
	for _, name := range names("/proc") {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if at, is := atWork(pid, folder); is {
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
