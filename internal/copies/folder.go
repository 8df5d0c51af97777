package copies

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"maillon/internal/store"
)

// A Folder keeps copies in a folder: of another disk, or of another machine.
type Folder struct{ Path string }

// Keep implements Depot. What is half written has another name.
func (f Folder) Keep(ctx context.Context, m store.Manifest) error {
	if err := os.MkdirAll(f.Path, 0o700); err != nil {
		return err
	}
	// The keys first: they open this copy and all before it.
	from := filepath.Dir(m.Path)
	if err := copyFile(ctx, filepath.Join(from, store.BackupKeys), filepath.Join(f.Path, store.BackupKeys)); err != nil {
		return err
	}
	to := filepath.Join(f.Path, filepath.Base(m.Path))
	partial, err := os.MkdirTemp(f.Path, ".partial-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(partial) }() // what is whole was renamed
	for _, name := range store.BackupFiles() {
		if err := copyFile(ctx, filepath.Join(m.Path, name), filepath.Join(partial, name)); err != nil {
			return err
		}
	}
	if err := os.Rename(partial, to); err != nil {
		return err
	}
	return errors.Join(sync(to), sync(f.Path))
}

// sync makes the disk remember which files a folder has.
func sync(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// copyFile copies a file whole, by another name until it is on the disk.
func copyFile(ctx context.Context, from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	partial := to + ".partial"
	out, err := os.OpenFile(partial, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, reader{ctx, in})
	err = errors.Join(err, out.Sync(), out.Close())
	if err != nil {
		return errors.Join(fmt.Errorf("copy %s: %w", filepath.Base(from), err), os.Remove(partial))
	}
	return os.Rename(partial, to)
}

// A reader ends with its context.
type reader struct {
	ctx context.Context //nolint:containedctx // for the length of one copy
	io.Reader
}

// Read implements io.Reader.
func (r reader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(b)
}

// Fetch implements Depot. The copy is read where it lies.
func (f Folder) Fetch(_ context.Context, at time.Time, _ string) (string, error) {
	all, err := f.names()
	if err != nil {
		return "", err
	}
	name, err := newest(all, at)
	return filepath.Join(f.Path, name), err
}

// names returns the copies there are, the oldest first.
func (f Folder) names() ([]string, error) {
	entries, err := os.ReadDir(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNone
	}
	var all []string
	for _, e := range entries {
		if _, err := store.BackupTime(e.Name()); err == nil {
			all = append(all, e.Name())
		}
	}
	return all, err
}

// Prune implements Depot.
func (f Folder) Prune(_ context.Context, before time.Time) error {
	all, err := f.names()
	for _, name := range all {
		if at, e := store.BackupTime(name); e == nil && at.Before(before) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(f.Path, name)))
		}
	}
	return err
}

// newest chooses among names of copies the last one of a moment or before.
func newest(all []string, at time.Time) (string, error) {
	slices.Sort(all)
	for _, name := range slices.Backward(all) {
		if t, err := store.BackupTime(name); err == nil && !t.After(at) {
			return name, nil
		}
	}
	return "", ErrNone
}
