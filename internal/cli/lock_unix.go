//go:build unix

package cli

import (
	"errors"
	"os"
	"syscall"
)

// lockFile takes the only lock on a file, or returns errLocked. The lock ends
// with the process, however it ends.
func lockFile(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) //nolint:gosec // a file descriptor is a small number
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return errLocked
	}
	return err
}
