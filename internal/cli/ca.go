package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"maillon/internal/link"
	"maillon/internal/pki"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// caFolder is where certificates are made, within the data folder.
const caFolder = "ca"

// shortPrint is how many digits of a fingerprint tell certificates apart.
const shortPrint = 16

// caCommand is about the certificates of the link between gateways and server.
type caCommand struct {
	Init   caInit   `cmd:"" help:"Make a root and an issuer, for the gateways of one host."`
	Issue  caIssue  `cmd:"" help:"Make a certificate for a gateway, or sign its request, and let it in."`
	List   caList   `cmd:"" help:"List the certificates that were issued."`
	Revoke caRevoke `cmd:"" help:"Turn a certificate away, at once."`
	Rotate caRotate `cmd:"" help:"Make a new issuer; until --finish both are trusted."`
	Export caExport `cmd:"" help:"Write a certificate and its key as a telephone takes them (PKCS #12)."`
}

// caPlace says where certificates are made.
type caPlace struct {
	place
	CA string `help:"Folder of the authority; without it, ca of [link] in the configuration, else ca in the data folder." placeholder:"DIR" env:"MAILLON_CA"`
}

func (p caPlace) authority() (pki.Folder, error) {
	if p.CA != "" {
		return pki.Folder{Path: p.CA}, nil
	}
	config, err := p.config()
	return pki.Folder{Path: config.Link.CA}, err
}

// issuer opens the authority that issues.
func (p caPlace) issuer() (pki.Folder, *pki.Authority, error) {
	f, err := p.authority()
	if err != nil {
		return f, nil, err
	}
	a, err := f.Issuer()
	return f, a, explainCA(f, err)
}

// explainCA is the table from an error of certificates to what the operator
// reads.
func explainCA(f pki.Folder, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pki.ErrName), errors.Is(err, pki.ErrRequest):
		return &ExitError{ExitUsage, err}
	case errors.Is(err, pki.ErrThere):
		return exitf(ExitNo, "%w; nothing was written over: name another place, or move that file away", err)
	case errors.Is(err, pki.ErrNoRoot):
		return exitf(ExitNo, "%w; name it with --root, and its passphrase with --passphrase-file if it has one", err)
	case errors.Is(err, link.ErrTooMany):
		return exitf(ExitNo, "%w: revoke some with maillon ca revoke", err)
	case errors.Is(err, fs.ErrNotExist):
		return exitf(ExitTrouble, "%w: maillon ca init makes an authority in %s, --ca names another folder", err, f.Path)
	}
	return err
}

type caInit struct {
	caPlace
	Host           string `required:"" help:"Name of the server as gateways call it." placeholder:"HOST"`
	PassphraseFile string `help:"File with a passphrase to put the key of the root under." placeholder:"FILE"`
}

// Run makes root and issuer.
func (c caInit) Run(_ context.Context, io *Streams) error {
	f, err := c.authority()
	if err != nil {
		return err
	}
	passphrase, err := readPassphrase(c.PassphraseFile)
	if err != nil {
		return err
	}
	key, err := f.Init(c.Host, passphrase, time.Now())
	if err != nil {
		return explainCA(f, err)
	}
	fmt.Fprintf(io.Out, "root\t%s\n", f.RootPath())
	fmt.Fprintf(io.Err, "Move %s to a medium that is kept apart: only maillon ca rotate needs it.\nGateways check the server by %s.\n", key, f.RootPath())
	return nil
}

// readPassphrase reads a file of one line; "" is none.
func readPassphrase(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	text, err := readSecretFile(path)
	if err != nil {
		return "", &ExitError{ExitUsage, err}
	}
	if text = strings.TrimSpace(text); text == "" {
		return "", exitf(ExitUsage, "%s is empty", path)
	}
	return text, nil
}

type caIssue struct {
	caPlace
	Gateway string `arg:"" help:"The gateway, as [gateway.NAME] names it."`
	CSR     string `name:"csr" help:"Its certificate signing request, if it keeps its key." placeholder:"FILE"`
	Out     string `help:"Where to write; without it GATEWAY.pem." placeholder:"FILE"`
}

// Run issues a certificate and lets it in.
func (c caIssue) Run(ctx context.Context, io *Streams) error {
	f, a, err := c.issuer()
	if err != nil {
		return err
	}
	out := c.Out
	if out == "" {
		out = c.Gateway + ".pem"
	}
	identity, err := c.make(a)
	if err != nil {
		return explainCA(f, err)
	}
	text, err := identity.EncodePEM()
	if err != nil {
		return err
	}
	b, err := c.open(ctx, false)
	if err != nil {
		return err
	}
	defer b.Close() //nolint:errcheck // every Update is on disk already
	if _, err := os.Lstat(out); err == nil {
		return explainCA(f, fmt.Errorf("%s: %w", out, pki.ErrThere))
	}
	var entry link.Certificate
	err = b.update(ctx, func(tx *store.Tx) (err error) {
		entry, err = link.Allow(ctx, tx, treasury.Operator, identity.Certificate)
		return err
	})
	if err != nil {
		return explainCA(f, err)
	}
	if err := pki.WriteNew(out, text); err != nil { // nobody has it: nobody comes in by it
		undo := b.update(ctx, func(tx *store.Tx) error { return link.Revoke(ctx, tx, treasury.Operator, entry.Fingerprint) })
		return explainCA(f, errors.Join(err, undo))
	}
	_, err = fmt.Fprintf(io.Out, "%s\t%s\tuntil %s\n", out, entry.Fingerprint[:shortPrint], b.showTime(entry.Until))
	return err
}

func (c caIssue) make(a *pki.Authority) (pki.Identity, error) {
	if c.CSR == "" {
		return a.Gateway(c.Gateway, time.Now())
	}
	text, err := pki.ReadFile(c.CSR)
	if err != nil {
		return pki.Identity{}, &ExitError{ExitUsage, err}
	}
	request, err := pki.ParseRequest(text)
	if err != nil {
		return pki.Identity{}, err
	}
	return a.Renew(c.Gateway, request, time.Now())
}

type caList struct{ place }

// Run lists all certificates that the books know.
func (c caList) Run(ctx context.Context, io *Streams) error {
	b, err := c.open(ctx, false)
	if err != nil {
		return err
	}
	defer b.Close() //nolint:errcheck // nothing is written
	var all []link.Certificate
	err = b.view(ctx, func(tx *store.Tx) (err error) {
		all, err = link.Certificates(ctx, tx)
		return err
	})
	if err != nil {
		return err
	}
	if len(all) == 0 {
		fmt.Fprintln(io.Err, "no certificate was issued; maillon ca issue GATEWAY makes one")
		return nil
	}
	w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "gateway\tfingerprint\tmade\tuntil\tstate")
	for _, e := range all {
		state := "allowed"
		switch {
		case e.Revoked:
			state = "revoked"
		case !time.Now().Before(e.Until):
			state = "ended"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", e.Gateway, e.Fingerprint[:shortPrint], b.showTime(e.Made), b.showTime(e.Until), state)
	}
	return w.Flush()
}

type caRevoke struct {
	place
	Certificate string `arg:"" help:"Its fingerprint as the list shows it, or a gateway: then all of its certificates."`
}

// Run revokes certificates.
func (c caRevoke) Run(ctx context.Context, io *Streams) error {
	b, err := c.open(ctx, false)
	if err != nil {
		return err
	}
	defer b.Close() //nolint:errcheck // every Update is on disk already
	n := 0
	err = b.update(ctx, func(tx *store.Tx) error {
		all, err := link.Certificates(ctx, tx)
		if err != nil {
			return err
		}
		n = 0
		for _, e := range all {
			if e.Gateway != c.Certificate && (len(c.Certificate) < shortPrint || !strings.HasPrefix(e.Fingerprint, strings.ToLower(c.Certificate))) {
				continue
			}
			n++
			if err := link.Revoke(ctx, tx, treasury.Operator, e.Fingerprint); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if n == 0 {
		return exitf(ExitNo, "no certificate has this fingerprint or gateway; maillon ca list shows all")
	}
	_, err = fmt.Fprintf(io.Out, "%s: nobody comes in with it any more (%d)\n", c.Certificate, n)
	return err
}

type caRotate struct {
	caPlace
	Root           string `help:"File with the key of the root, if it is not in the folder." placeholder:"FILE"`
	PassphraseFile string `help:"File with the passphrase of that key." placeholder:"FILE"`
	Finish         bool   `help:"Trust the last issuers no more: when all gateways have certificates of the new one."`
}

// Run makes a new issuer, or forgets the last ones.
func (c caRotate) Run(_ context.Context, io *Streams) error {
	f, err := c.authority()
	if err != nil {
		return err
	}
	if c.Finish {
		n, err := f.Finish()
		if err != nil {
			return explainCA(f, err)
		}
		_, err = fmt.Fprintf(io.Out, "only the issuer of now is trusted (%d forgotten)\n", n)
		return err
	}
	passphrase, err := readPassphrase(c.PassphraseFile)
	if err != nil {
		return err
	}
	retired, err := f.Rotate(c.Root, passphrase, time.Now())
	if err != nil {
		return explainCA(f, err)
	}
	fmt.Fprintf(io.Out, "retired\t%s\n", retired)
	fmt.Fprintln(io.Err, "The new issuer issues from now on, and both are trusted. Once every gateway has renewed: maillon ca rotate --finish")
	return nil
}

type caExport struct {
	File         string `arg:"" help:"What maillon ca issue wrote."`
	Out          string `help:"Where to write; without it the same name with .p12." placeholder:"FILE"`
	PasswordFile string `help:"File with the password to put it under; without it one is drawn and printed." placeholder:"FILE"`
	Old          bool   `help:"For old systems, such as Android before 14, which cannot read the usual kind."`
}

// Run writes PKCS #12.
func (c caExport) Run(_ context.Context, io *Streams) error {
	text, err := pki.ReadFile(c.File)
	if err != nil {
		return &ExitError{ExitUsage, err}
	}
	identity, err := pki.ParseIdentity(text)
	if err != nil {
		return exitf(ExitUsage, "%s: %w", c.File, err)
	}
	if identity.Key == nil {
		return exitf(ExitNo, "%s: its key is not in it: the gateway that made the request has it", c.File)
	}
	password, err := readPassphrase(c.PasswordFile)
	if err != nil {
		return err
	}
	drawn := password == ""
	if drawn {
		password = strings.ToLower(rand.Text())
	}
	data, err := identity.EncodePKCS12(password, c.Old)
	if err != nil {
		return err
	}
	out := c.Out
	if out == "" {
		out = strings.TrimSuffix(c.File, filepath.Ext(c.File)) + ".p12"
	}
	if err := pki.WriteNew(out, data); err != nil {
		return explainCA(pki.Folder{}, err)
	}
	fmt.Fprintf(io.Err, "%s is written.\n", out)
	if drawn {
		_, err = fmt.Fprintln(io.Out, password)
	}
	return err
}
