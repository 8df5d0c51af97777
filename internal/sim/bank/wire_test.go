package bank_test

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
)

// A cut is what happens to a connection on its way to the server.
type cut int32

// The cuts.
const (
	none        cut = iota
	requestLost     // the next that is asked does not arrive
	answerLost      // what is asked arrives, and the answer does not
	commitLost      // as requestLost, at the next COMMIT
	halfCommit      // the next COMMIT arrives, and the client is gone
	commitDone      // the next COMMIT is answered, and the answer does not arrive
)

// A wire is the way between stores and their server, which can be cut where it
// hurts most.
type wire struct {
	to    string
	armed atomic.Int32 // a cut that waits for its moment
	cuts  atomic.Int64 // that were made
}

// newWire returns a wire, and the URL of a database at its end.
func newWire(t *testing.T, where string) (*wire, string) {
	t.Helper()
	u, err := url.Parse(where)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{to: u.Host}
	var carrying sync.WaitGroup
	carrying.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			carrying.Go(func() { w.carry(near) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		carrying.Wait()
	})
	u.Host = l.Addr().String()
	return w, u.String()
}

// arm lets the next moment that fits have a cut.
func (w *wire) arm(c cut) { w.armed.Store(int32(c)) }

// now reports whether one of some cuts is due, which it then takes.
func (w *wire) now(fits ...cut) cut {
	for _, c := range fits {
		if w.armed.CompareAndSwap(int32(c), int32(none)) {
			w.cuts.Add(1)
			return c
		}
	}
	return none
}

// maxChunk is how much is carried at once.
const maxChunk = 64 << 10

// carry carries one connection until one side or a cut ends it.
func (w *wire) carry(near net.Conn) {
	defer func() { _ = near.Close() }()
	far, err := net.Dial("tcp", w.to)
	if err != nil {
		return
	}
	defer func() { _ = far.Close() }()
	l := link{wire: w, near: near, far: far}
	var back sync.WaitGroup
	back.Go(func() {
		l.back()
		_ = near.Close()
		_ = far.Close()
	})
	l.forth()
	_ = near.Close()
	if l.leave {
		_ = far.(*net.TCPConn).CloseWrite()
	} else {
		_ = far.Close()
	}
	back.Wait()
}

// A link is one connection of a wire.
type link struct {
	*wire
	near, far net.Conn
	commit    []byte // the name of the prepared COMMIT
	deaf      atomic.Bool
	leave     bool // let the server do what it was asked
}

// prepared finds the name under which a client prepares COMMIT.
var prepared = regexp.MustCompile(`(stmtcache_[0-9a-f]+)\x00COMMIT\x00`)

// forth carries what is asked.
func (l *link) forth() {
	for chunk := make([]byte, maxChunk); ; {
		n, err := l.near.Read(chunk)
		if err != nil {
			return
		}
		asked := chunk[:n]
		commits := l.commit != nil && bytes.Contains(asked, l.commit)
		if m := prepared.FindSubmatch(asked); m != nil {
			l.commit = append([]byte{0}, m[1]...)
		}
		made := none
		if commits {
			made = l.now(commitLost, halfCommit, commitDone)
		}
		if made == none {
			made = l.now(requestLost, answerLost)
		}
		switch made {
		case requestLost, commitLost:
			return
		case answerLost, commitDone:
			l.deaf.Store(true)
		case halfCommit:
			l.leave = true
		}
		if _, err := l.far.Write(asked); err != nil || made == halfCommit {
			return
		}
	}
}

// back carries what is answered.
func (l *link) back() {
	for chunk := make([]byte, maxChunk); ; {
		n, err := l.far.Read(chunk)
		if err != nil || l.deaf.Load() {
			return
		}
		if _, err := l.near.Write(chunk[:n]); err != nil {
			_, _ = io.Copy(io.Discard, l.far)
			return
		}
	}
}
