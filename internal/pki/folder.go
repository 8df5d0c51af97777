package pki

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// The files of a folder. Certificate and key of an authority stand in one file,
// so that one renaming replaces both.
const (
	rootFile    = "root.pem"    // the certificate alone: whoever checks the server trusts it
	rootKeyFile = "root.key"    // with its key: kept elsewhere
	rootP12File = "root.p12"    // the same under a passphrase
	issuerFile  = "issuer.pem"  // with its key: at the server
	trustFile   = "trusted.pem" // the issuers whose gateways are let in
	retiredFile = "retired-%s.pem"
	retiredName = 16 // digits of its fingerprint
)

var (
	// ErrNoRoot means that the key of the root is not in the folder, or not
	// opened by the passphrase.
	ErrNoRoot = errors.New("the key of the root is not there")
	// ErrThere means that a file would have been overwritten.
	ErrThere = errors.New("it is there already")
)

// A Folder holds what an authority needs: at the server all but the key of the
// root.
type Folder struct{ Path string }

// RootPath returns where the certificate of the root is.
func (f Folder) RootPath() string { return f.path(rootFile) }

func (f Folder) path(name string) string { return filepath.Join(f.Path, name) }

// Init makes a root, and an issuer below it, for the gateways of a host. The
// key of the root is put under a passphrase unless that is "". It returns the
// path of that key.
func (f Folder) Init(host, passphrase string, now time.Time) (rootKey string, err error) {
	for _, name := range []string{rootFile, rootKeyFile, rootP12File, issuerFile, trustFile} {
		if _, err := os.Lstat(f.path(name)); err == nil {
			return "", fmt.Errorf("%s: %w", f.path(name), ErrThere)
		}
	}
	root, err := NewRoot(host, now)
	if err != nil {
		return "", err
	}
	issuer, err := root.NewIssuer(host, now)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(f.Path, 0o700); err != nil {
		return "", err
	}
	name, key, err := root.encodeKey(passphrase)
	if err != nil {
		return "", err
	}
	issued, err := issuer.EncodePEM()
	if err != nil {
		return "", err
	}
	for _, file := range []struct {
		name string
		text []byte
	}{
		{name, key}, {rootFile, EncodeCertificates(root.Certificate)}, {issuerFile, issued}, {trustFile, EncodeCertificates(issuer.Certificate)},
	} {
		if err := WriteNew(f.path(file.name), file.text); err != nil {
			return "", err
		}
	}
	return f.path(name), nil
}

// encodeKey writes a root with its key, and says how the file is called.
func (a *Authority) encodeKey(passphrase string) (name string, text []byte, err error) {
	if passphrase == "" {
		text, err = a.EncodePEM()
		return rootKeyFile, text, err
	}
	text, err = a.EncodePKCS12(passphrase, false)
	return rootP12File, text, err
}

// Root returns the certificate of the root.
func (f Folder) Root() (*x509.Certificate, error) {
	text, err := ReadFile(f.path(rootFile))
	if err != nil {
		return nil, err
	}
	all, err := ParseCertificates(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.path(rootFile), err)
	}
	return all[0], nil
}

// Issuer returns the authority that issues now.
func (f Folder) Issuer() (*Authority, error) {
	return readAuthority(f.path(issuerFile), func(text []byte) (Identity, error) { return ParseIdentity(text) })
}

// Trusted returns the issuers whose gateways are let in.
func (f Folder) Trusted() ([]*x509.Certificate, error) {
	text, err := ReadFile(f.path(trustFile))
	if err != nil {
		return nil, err
	}
	all, err := ParseCertificates(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.path(trustFile), err)
	}
	return all, nil
}

// rootKey returns the root with its key, from the folder or from a path of its
// own.
func (f Folder) rootKey(path, passphrase string) (*Authority, error) {
	if path == "" {
		path = f.path(rootKeyFile)
		if passphrase != "" {
			path = f.path(rootP12File)
		}
	}
	root, err := readAuthority(path, func(text []byte) (Identity, error) {
		if passphrase != "" {
			return ParsePKCS12(text, passphrase)
		}
		return ParseIdentity(text)
	})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrPassword) {
		return nil, fmt.Errorf("%w: %w", ErrNoRoot, err)
	}
	return root, err
}

func readAuthority(path string, parse func([]byte) (Identity, error)) (*Authority, error) {
	text, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	i, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	a, err := authorityOf(i)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return a, nil
}

// Rotate makes a new issuer below the root, whose key is at a path, or in the
// folder if that is "". From then on both are trusted, until Finish. It returns
// where the last issuer is kept.
func (f Folder) Rotate(rootPath, passphrase string, now time.Time) (retired string, err error) {
	root, err := f.rootKey(rootPath, passphrase)
	if err != nil {
		return "", err
	}
	known, err := f.Root()
	if err != nil {
		return "", err
	}
	if !root.Certificate.Equal(known) {
		return "", fmt.Errorf("%w: the key is that of another root than %s", ErrNoRoot, f.path(rootFile))
	}
	last, err := f.Issuer()
	if err != nil {
		return "", err
	}
	trusted, err := f.Trusted()
	if err != nil {
		return "", err
	}
	issuer, err := root.NewIssuer(last.Host(), now)
	if err != nil {
		return "", err
	}
	text, err := issuer.EncodePEM()
	if err != nil {
		return "", err
	}
	old, err := last.EncodePEM()
	if err != nil {
		return "", err
	}
	retired = f.path(fmt.Sprintf(retiredFile, Fingerprint(last.Certificate)[:retiredName]))
	if err := WriteNew(retired, old); err != nil {
		return "", err
	}
	// First trusted, then used: nobody is turned away between.
	if err := f.replace(trustFile, EncodeCertificates(append(trusted, issuer.Certificate)...)); err != nil {
		return "", err
	}
	return retired, f.replace(issuerFile, text)
}

// Finish trusts no issuer any more but the one that issues, and returns how
// many it forgot.
func (f Folder) Finish() (int, error) {
	issuer, err := f.Issuer()
	if err != nil {
		return 0, err
	}
	trusted, err := f.Trusted()
	if err != nil {
		return 0, err
	}
	forgotten := len(slices.DeleteFunc(trusted, issuer.Certificate.Equal))
	return forgotten, f.replace(trustFile, EncodeCertificates(issuer.Certificate))
}

// A Stamp tells whether the files that a server uses have changed.
type Stamp [2]struct {
	size int64
	at   time.Time
}

// Stamp returns the stamp as of now.
func (f Folder) Stamp() (s Stamp, err error) {
	for n, name := range []string{issuerFile, trustFile} {
		info, err := os.Stat(f.path(name))
		if err != nil {
			return s, err
		}
		s[n].size, s[n].at = info.Size(), info.ModTime()
	}
	return s, nil
}

// ReadFile reads certificates and keys, up to MaxPEM.
func ReadFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, MaxPEM+1))
	if err != nil {
		return nil, err
	}
	if len(text) > MaxPEM {
		return nil, fmt.Errorf("%s: more than %d octets", path, MaxPEM)
	}
	return text, nil
}

// WriteNew writes a file that only its owner reads, and says ErrThere rather
// than overwrite one.
func WriteNew(path string, text []byte) (err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s: %w", path, ErrThere)
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(file, bytes.NewReader(text))
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return syncFolder(filepath.Dir(path))
}

// replace writes a file of the folder anew, whole or not at all.
func (f Folder) replace(name string, text []byte) error {
	draft, err := os.CreateTemp(f.Path, "."+name+"-") // 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(draft.Name()) }()
	_, err = draft.Write(text)
	if err = errors.Join(err, draft.Sync(), draft.Close()); err != nil {
		return err
	}
	if err := os.Rename(draft.Name(), f.path(name)); err != nil {
		return err
	}
	return syncFolder(f.Path)
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
