package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"maillon/internal/store"
)

// The data folder and the files in it.
const (
	defaultFolder = "maillon-data"
	booksFile     = "books.db"
	secretFile    = "secret"
	configFile    = "maillon.toml"
	bellFile      = "bell"
	lockName      = "lock"
)

// maxSecretFile bounds what is read of a file that holds a secret.
const maxSecretFile = 4 << 10

// A Folder is where one server keeps everything: books and secret, and the
// configuration if it is given none. "" is ./maillon-data.
type Folder struct{ Dir string }

func (f Folder) dir() string {
	if f.Dir == "" {
		return defaultFolder
	}
	return f.Dir
}

// Books returns the path of the database.
func (f Folder) Books() string { return filepath.Join(f.dir(), booksFile) }

// Config returns the path of the configuration within the folder.
func (f Folder) Config() string { return filepath.Join(f.dir(), configFile) }

func (f Folder) secret() string { return filepath.Join(f.dir(), secretFile) }

// Secret reads the secret of the folder. With create, it makes the folder and
// draws a secret if there is neither secret nor database; a database without
// its secret is never given another one, for nobody could read it again.
func (f Folder) Secret(create bool) (store.Secret, error) {
	text, err := readSecretFile(f.secret())
	if err == nil {
		s, err := store.ParseSecret(text)
		if err != nil {
			return s, exitf(ExitTrouble, "%s: %w; put the right file back from where you keep a copy of it", f.secret(), err)
		}
		return s, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return store.Secret{}, &ExitError{ExitTrouble, err}
	}
	if _, err := os.Lstat(f.Books()); err == nil {
		return store.Secret{}, exitf(ExitTrouble, "%s is missing, and without it the books beside it cannot be read: "+
			"put it back from where you keep a copy of it; a new one would not open them", f.secret())
	}
	if !create {
		return store.Secret{}, exitf(ExitTrouble, "%s is no data folder: there is no secret in it; name the right one with --data, "+
			"or begin a new one with maillon serve", f.dir())
	}
	if err := os.MkdirAll(f.dir(), 0o700); err != nil {
		return store.Secret{}, exitf(ExitTrouble, "create the data folder: %w", err)
	}
	s, err := store.NewSecret()
	if err != nil {
		return s, err
	}
	return f.writeSecret(s)
}

// writeSecret writes a new secret so that it is there whole or not at all. If
// another process was first, its secret is the one.
func (f Folder) writeSecret(s store.Secret) (_ store.Secret, err error) {
	defer func() {
		if err != nil {
			err = exitf(ExitTrouble, "write the secret: %w", err)
		}
	}()
	draft, err := os.CreateTemp(f.dir(), ".secret-") // 0600
	if err != nil {
		return s, err
	}
	defer func() { _ = os.Remove(draft.Name()) }()
	_, err = draft.WriteString(s.Encode() + "\n")
	if err = errors.Join(err, draft.Sync(), draft.Close()); err != nil {
		return s, err
	}
	err = os.Link(draft.Name(), f.secret())
	if errors.Is(err, fs.ErrExist) {
		return f.Secret(false)
	}
	if err != nil {
		return s, err
	}
	return s, syncFolder(f.dir())
}

var errLocked = errors.New("already locked")

// Lock makes a server the only one on the folder until release is called: two
// of them would send the same SMS twice. Commands need no lock.
func (f Folder) Lock() (release func(), err error) {
	file, err := os.OpenFile(filepath.Join(f.dir(), lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, exitf(ExitTrouble, "lock the data folder: %w", err)
	}
	if err := lockFile(file); err != nil {
		_ = file.Close()
		if errors.Is(err, errLocked) {
			return nil, exitf(ExitTrouble, "another server is at work on %s: stop that one first, or name another folder with --data", f.dir())
		}
		return nil, exitf(ExitTrouble, "lock the data folder: %w", err)
	}
	return func() { _ = file.Close() }, nil
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// readSecretFile returns what a file holds that holds one secret.
func readSecretFile(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Size() > maxSecretFile {
		return "", fmt.Errorf("%s: a secret is a file of at most %d octets", path, maxSecretFile)
	}
	text, err := os.ReadFile(path)
	return string(text), err
}
