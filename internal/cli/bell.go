package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"
)

// ringTimeout bounds how long a command waits for a server that does not listen.
const ringTimeout = 100 * time.Millisecond

func (f Folder) bell() string { return filepath.Join(f.dir(), bellFile) }

// Listen calls wake whenever a command has changed the books beside the server,
// so that the server need not look again and again. It returns when ctx ends.
func (f Folder) Listen(ctx context.Context, wake func()) error {
	// A bell that is there is that of a server that was killed.
	if err := os.Remove(f.bell()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("hang the bell: %w", err)
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: f.bell(), Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("hang the bell: %w", err)
	}
	defer func() { _ = os.Remove(f.bell()) }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	var ring [1]byte
	for {
		_, _, err := conn.ReadFromUnix(ring[:])
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return errors.Join(fmt.Errorf("listen to the bell: %w", err), conn.Close())
		}
		wake()
	}
}

// ring tells the server, if one is at work, that the books have changed. If it
// cannot be told it will notice at its next step.
func (f Folder) ring() {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: f.bell(), Net: "unixgram"})
	if err != nil {
		return
	}
	_ = conn.SetWriteDeadline(time.Now().Add(ringTimeout))
	_, _ = conn.Write([]byte{1})
	_ = conn.Close()
}
