package cli

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"maillon/internal/setting"
	"maillon/internal/store"
)

// manifestFile stands in every backup.
const manifestFile = "manifest.json"

// restoreCommand makes a new data folder of the journal of another, or of a backup.
type restoreCommand struct {
	place
	From   string `required:"" placeholder:"DIR" help:"A folder of backups (its newest is taken), one backup, a data folder, or backup:NAME for what the configuration names so."`
	To     string `required:"" placeholder:"NEWFOLDER" help:"The data folder to make; it must not exist."`
	At     string `placeholder:"TIME" help:"The moment to go back to, such as '2026-03-28 14:02:00' or 2026-03-28T14:02:00+01:00 (default: the end)."`
	Secret string `placeholder:"FILE" help:"The secret of those books (default: that of --from if it is a data folder, else of --data)."`
	Keys   string `placeholder:"FILE" help:"The file of keys (default: beside the backup)."`
}

// Run restores into a folder that appears only if all is proven.
func (c restoreCommand) Run(ctx context.Context, io *Streams) error {
	config, err := c.config()
	if err != nil {
		return err
	}
	at, err := moment(c.At, config.Settings)
	if err != nil {
		return err
	}
	r := store.Restoration{From: c.From, Keys: c.Keys, At: at}
	away, err := c.fetch(ctx, config, &r)
	if err != nil {
		return err
	}
	defer away()
	from := c.source(&r)
	if r.Secret, err = c.secretOf(from); err != nil {
		return err
	}
	if _, err := os.Lstat(c.To); !errors.Is(err, fs.ErrNotExist) {
		return exitf(ExitUsage, "%s is there already: name a folder that does not exist", c.To)
	}
	progress := io.bar("restore")
	r.Progress = progress.tell
	report, err := c.restore(ctx, r, from)
	progress.end()
	if err != nil {
		return err
	}
	if err := c.tellDifferences(ctx, io, r.Secret, report); err != nil {
		return err
	}
	return c.tell(io, report)
}

// fetch brings the newest copy from where the configuration keeps copies,
// if --from says so. What was brought is there until away.
func (c restoreCommand) fetch(ctx context.Context, config Config, r *store.Restoration) (away func(), err error) {
	away = func() {}
	name, is := strings.CutPrefix(c.From, "backup:")
	if !is {
		return away, nil
	}
	n := slices.IndexFunc(config.Backups, func(b BackupConfig) bool { return b.Name == name })
	if n < 0 {
		return away, exitf(ExitUsage, "--from %s: the configuration has no [backup.%s]", c.From, name)
	}
	depot, err := config.Backups[n].depot()
	if err != nil {
		return away, &ExitError{ExitUsage, err}
	}
	dir, err := os.MkdirTemp(filepath.Dir(c.To), ".fetched-")
	if err != nil {
		return away, err
	}
	away = func() { _ = os.RemoveAll(dir) }
	r.From, err = depot.Fetch(ctx, time.Now(), dir) // the newest holds every moment before it
	if err != nil {
		away()
		return func() {}, exitf(ExitTrouble, "--from %s: %w", c.From, err)
	}
	return away, nil
}

// source finds what is restored from: a data folder has its keys within.
func (c restoreCommand) source(r *store.Restoration) Folder {
	from := Folder{c.From}
	if _, err := os.Stat(from.secret()); err == nil {
		r.From = from.Books()
		return from
	}
	return c.folder()
}

// secretOf reads the secret of what is restored.
func (c restoreCommand) secretOf(from Folder) (store.Secret, error) {
	path := c.Secret
	if path == "" && from == c.folder() {
		path = c.secretPath()
		if path == from.secret() {
			path = ""
		}
	}
	if path == "" {
		return from.Secret(false)
	}
	text, err := readSecretFile(path)
	if err != nil {
		return store.Secret{}, &ExitError{ExitUsage, err}
	}
	s, err := store.ParseSecret(text)
	if err != nil {
		return s, exitf(ExitUsage, "%s: %w", path, err)
	}
	return s, nil
}

// restore builds the new folder under another name, and gives it its name last.
func (c restoreCommand) restore(ctx context.Context, r store.Restoration, from Folder) (report store.Restored, err error) {
	if err := os.MkdirAll(filepath.Dir(filepath.Clean(c.To)), 0o700); err != nil {
		return report, &ExitError{ExitTrouble, err}
	}
	draft, err := os.MkdirTemp(filepath.Dir(filepath.Clean(c.To)), ".restore-") // 0700
	if err != nil {
		return report, &ExitError{ExitTrouble, err}
	}
	defer func() { _ = os.RemoveAll(draft) }() // what is whole was renamed
	to := Folder{draft}
	r.To = to.Books()
	if report, err = store.Restore(ctx, r); err != nil {
		return report, restoreError(err)
	}
	if err := c.checkManifest(report.Head); err != nil {
		return report, err
	}
	if _, err := to.writeSecret(r.Secret); err != nil {
		return report, err
	}
	if err := copyConfig(from, to); err != nil {
		return report, &ExitError{ExitTrouble, err}
	}
	if err := errors.Join(syncFolder(draft), os.Rename(draft, c.To), syncFolder(filepath.Dir(filepath.Clean(c.To)))); err != nil {
		return report, &ExitError{ExitTrouble, err}
	}
	return report, nil
}

func restoreError(err error) error {
	switch {
	case errors.Is(err, store.ErrProof), errors.Is(err, store.ErrReplay):
		return exitf(ExitNo, "%w: nothing was restored", err)
	case errors.Is(err, fs.ErrNotExist):
		return exitf(ExitUsage, "%w: name a folder of backups, a backup or a data folder with --from", err)
	}
	return &ExitError{ExitTrouble, err}
}

// checkManifest compares the end of the journal with what the backup says of
// itself, unless a moment before it was asked for. A journal that lost its last
// rows is whole in itself: only the manifest knows them.
func (c restoreCommand) checkManifest(head store.Head) error {
	if c.At != "" {
		return nil
	}
	text, err := os.ReadFile(c.manifest())
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a data folder has none
	}
	if err != nil {
		return &ExitError{ExitTrouble, err}
	}
	var m store.Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return exitf(ExitNo, "%s cannot be read: %w; nothing was restored", c.manifest(), err)
	}
	if m.Seq != head.Seq || m.Hash != hex.EncodeToString(head.Hash) {
		return exitf(ExitNo, "the journal of the backup ends with row %d, and its manifest says %d with another hash: "+
			"the backup was changed after it was made; nothing was restored", head.Seq, m.Seq)
	}
	return nil
}

// manifest returns the path of the manifest of the backup: of a folder of
// backups, that of the newest.
func (c restoreCommand) manifest() string {
	path := filepath.Join(c.From, manifestFile)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	all, err := filepath.Glob(filepath.Join(c.From, "2*Z", manifestFile))
	if err != nil || len(all) == 0 {
		return path
	}
	slices.Sort(all)
	return all[len(all)-1]
}

func copyConfig(from, to Folder) error {
	text, err := readConfig(from.Config())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(to.Config(), []byte(text), 0o600)
}

// tellDifferences prints the accounts that the source had otherwise.
func (c restoreCommand) tellDifferences(ctx context.Context, io *Streams, secret store.Secret, r store.Restored) error {
	if len(r.Differences) == 0 {
		return nil
	}
	db, err := store.Open(ctx, Folder{c.To}.Books(), secret)
	if err != nil {
		return &ExitError{ExitTrouble, err}
	}
	defer db.Close() //nolint:errcheck // only read
	return db.View(ctx, func(tx *store.Tx) error {
		for _, d := range r.Differences {
			id, name, err := tx.Owner(ctx, d.Account)
			if err != nil {
				return err
			}
			if id != 0 {
				name = fmt.Sprintf("member:%d", id)
			}
			source := "no such account"
			if d.Source.Currency().Code != "" {
				source = d.Source.String()
			}
			fmt.Fprintf(io.Out, "account %d (%s): the source had %s, its journal says %s\n", d.Account, name, source, d.Journal)
		}
		return nil
	})
}

// tell prints what was restored, and the final hash.
func (c restoreCommand) tell(io *Streams, r store.Restored) error {
	fmt.Fprintf(io.Out, "%s: %d transactions, %d accounts, %d differences\n", c.To, r.Transactions, r.Accounts, len(r.Differences))
	if r.Dead > 0 {
		fmt.Fprintf(io.Out, "%d open orders died: their owners must ask again\n", r.Dead)
	}
	if r.Erased > 0 {
		fmt.Fprintf(io.Out, "%d members who left since stay erased\n", r.Erased)
	}
	_, err := fmt.Fprintf(io.Out, "journal row %d of %s\nhash %s, proven\n", r.Head.Seq, r.Head.At.UTC().Format(time.RFC3339), hex.EncodeToString(r.Head.Hash))
	return err
}

// moment reads a time: with its zone, or in the server's. "" is the zero time.
func moment(text string, set setting.Settings) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02T15:04"} {
		if t, err := time.ParseInLocation(layout, text, set.Zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, exitf(ExitUsage, "--at %s: a time such as '2026-03-28 14:02:00' or 2026-03-28T14:02:00+01:00 is expected", text)
}
