package store

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

// ErrBackup means that a backup cannot be gone back to.
var ErrBackup = errors.New("the backup is damaged")

// ReadBack reads a backup from its disk, the whole of it: the pages of both
// files are sound, and the chain of the journal leads to the row and the hash
// that its manifest says. It does not restore it: that proves more, and needs
// as much room again.
func (m Manifest) ReadBack(ctx context.Context) error {
	keys := filepath.Join(filepath.Dir(m.Path), backupKeys)
	for path, look := range map[string]func(context.Context, *verifier) error{
		filepath.Join(m.Path, backupBooks): m.follow, keys: nil,
	} {
		kept := &DB{engine: &sqliteEngine{path: path}}
		err := kept.apart(ctx, func(tx *Tx) error {
			v := &verifier{tx: tx}
			err := v.checkPages(ctx)
			if err == nil && len(v.faults) == 0 && look != nil {
				err = look(ctx, v)
			}
			for _, f := range v.faults {
				err = errors.Join(err, fmt.Errorf("%w: %s: %s", ErrBackup, filepath.Base(path), f))
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("read the backup: %w", err)
		}
	}
	return nil
}

// follow goes over the chain of a journal.
func (m Manifest) follow(ctx context.Context, v *verifier) error {
	err := v.tx.journal(ctx, untilMicros(time.Time{}), func(r journalRow) error {
		v.link(r)
		return nil
	})
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(v.last.hash); v.last.seq != m.Seq || got != m.Hash {
		return fmt.Errorf("%w: its journal ends with row %d, %q, and its manifest says %d, %q", ErrBackup, v.last.seq, got, m.Seq, m.Hash)
	}
	return nil
}
