//go:build !linux

package sim

import "os"

func datasync(f *os.File) error { return f.Sync() }
