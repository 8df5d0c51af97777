package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"

	"maillon/internal/store"
)

// A DatabaseConfig is [database]: the database server that keeps the books, if
// they are not in the data folder.
type DatabaseConfig struct {
	URL          string // without any password; "" for the data folder
	PasswordFile string
	SecretFile   string // of the books; "" for the one in the data folder
}

// secretParameters are what may stand in a URL and is a secret.
var secretParameters = []string{"password", "sslpassword"}

// database reads [database]. A fault repeats nothing of the URL: somebody may
// have written the password into it.
func (r *configReader) database(tree map[string]any) {
	table, ok := r.table(tree, "database", "database")
	if !ok {
		return
	}
	s := &section{r, "database", "database", maps.Clone(table)}
	d := DatabaseConfig{URL: s.text("url"), PasswordFile: s.file("password_file"), SecretFile: s.file("secret_file")}
	for _, key := range slices.Sorted(maps.Keys(s.left)) {
		r.fault("database."+key, "unknown key; there are url, password_file and secret_file")
	}
	switch fault := d.fault(); {
	case d.URL == "":
		r.fault("database", "url is missing: without [database] the books are in the data folder")
		return
	case fault != "":
		r.fault("database.url", "%s", fault)
		return
	}
	r.config.Database = d
}

// fault says what is wrong with the URL, "" if nothing is.
func (d DatabaseConfig) fault() string {
	const wanted = "postgres://USER@HOST:PORT/NAME is expected"
	if !store.IsURL(d.URL) {
		return wanted
	}
	_, user, _, parameters := d.parts()
	if strings.Contains(user, ":") {
		return "a password does not belong here: write it to a file, and name that in password_file"
	}
	if user == "" && d.PasswordFile != "" {
		return "the password is whose? " + wanted
	}
	values, err := url.ParseQuery(parameters)
	if err != nil {
		return wanted
	}
	for _, name := range secretParameters {
		if values.Has(name) {
			return name + " does not belong here: write the password to a file, and name that in password_file"
		}
	}
	return ""
}

// parts cuts the URL before and after the user, and at its parameters. Several
// hosts are no host to net/url.
func (d DatabaseConfig) parts() (scheme, user, rest, parameters string) {
	scheme, rest, _ = strings.Cut(d.URL, "://")
	rest, parameters, _ = strings.Cut(rest, "?")
	authority, path, slash := strings.Cut(rest, "/")
	if n := strings.LastIndexByte(authority, '@'); n >= 0 {
		user, authority = authority[:n], authority[n+1:]
	}
	rest = authority
	if slash {
		rest += "/" + path
	}
	return scheme, user, rest, parameters
}

// where returns the URL with its password: never to be shown.
func (d DatabaseConfig) where() (string, error) {
	if d.PasswordFile == "" {
		return d.URL, nil
	}
	text, err := readSecretFile(d.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("[database] password_file: %w", err)
	}
	if text = strings.TrimSpace(text); text == "" {
		return "", fmt.Errorf("[database] password_file: %s is empty", d.PasswordFile)
	}
	scheme, user, rest, parameters := d.parts()
	whole := scheme + "://" + user + ":" + strings.ReplaceAll(url.QueryEscape(text), "+", "%20") + "@" + rest
	if parameters != "" {
		whole += "?" + parameters
	}
	return whole, nil
}

// secret reads the secret of the books. None is ever drawn here: servers that
// start at the same time would each draw another.
func (d DatabaseConfig) secret(f Folder) (store.Secret, error) {
	path := d.SecretFile
	if path == "" {
		path = f.secret()
	}
	text, err := readSecretFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return store.Secret{}, exitf(ExitTrouble, "%s is missing: all servers beside one database have one secret, which [database] secret_file names; "+
			"for a new database make one with: openssl rand -hex 32", path)
	}
	if err != nil {
		return store.Secret{}, &ExitError{ExitTrouble, err}
	}
	s, err := store.ParseSecret(text)
	if err != nil {
		return s, exitf(ExitTrouble, "%s: %w", path, err)
	}
	return s, nil
}

// check returns what would keep the database from being opened, without opening it.
func (d DatabaseConfig) check() (errs []error) {
	if d.URL == "" {
		return nil
	}
	if _, err := d.where(); err != nil {
		errs = append(errs, err)
	}
	if d.SecretFile != "" {
		if _, err := d.secret(Folder{}); err != nil {
			errs = append(errs, err)
		}
	}
	for _, path := range []string{d.PasswordFile, d.SecretFile} {
		if info, err := os.Stat(path); path != "" && err == nil && info.Mode().Perm()&0o007 != 0 {
			errs = append(errs, fmt.Errorf("[database]: %s can be read by others: chmod 600 it", path))
		}
	}
	return errs
}

// A home is where books are, and what opens them.
type home struct {
	where  string // may hold a password: never to be shown
	name   string // what is shown of it
	kept   string // where everything is kept, for people
	secret store.Secret
	shared bool // others may be at work on the same database
}

// secretPath returns where the secret of the books is.
func (p place) secretPath() string {
	if config, err := p.config(); err == nil && config.Database.SecretFile != "" {
		return config.Database.SecretFile
	}
	return p.folder().secret()
}

// home finds the books: on the database server that the configuration names, or
// else in the data folder. With create, a folder that is missing is made.
func (p place) home(config Config, create bool) (h home, err error) {
	if d := config.Database; d.URL != "" {
		h = home{name: "the database", kept: "the database", shared: true}
		if h.where, err = d.where(); err != nil {
			return h, &ExitError{ExitTrouble, err}
		}
		h.secret, err = d.secret(p.folder())
		return h, err
	}
	h = home{where: p.folder().Books(), name: p.folder().Books(), kept: p.folder().dir()}
	h.secret, err = p.secret(create)
	return h, err
}
