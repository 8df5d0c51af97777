package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"maillon/internal/auth"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// keyPrefix begins the ID of a key, as people write it.
const keyPrefix = "key_"

// keyCommand is about the keys with which programs use the API.
type keyCommand struct {
	Add    keyAdd    `cmd:"" help:"Make a key, and print it this once."`
	List   keyList   `cmd:"" help:"List the keys that there are and were; none can be printed again."`
	Revoke keyRevoke `cmd:"" help:"End a key, for good and within a second."`
}

type keyAdd struct {
	place
	Name  string   `arg:"" help:"What uses the key, such as till; name no member."`
	Scope []string `required:"" help:"What it may do: read, transfer, or both with a comma between. transfer moves money between any two accounts, without a code." placeholder:"SCOPE"`
}

// Run makes a key.
func (c keyAdd) Run(ctx context.Context, io *Streams) error {
	b, err := c.open(ctx, false)
	if err != nil {
		return err
	}
	defer b.Close() //nolint:errcheck // every Update is on disk already
	var scopes []auth.Scope
	for _, s := range c.Scope {
		scopes = append(scopes, auth.Scope(s))
	}
	var key auth.Key
	var token auth.Token
	err = b.update(ctx, func(tx *store.Tx) (err error) {
		key, token, err = auth.Issue(ctx, tx, treasury.Operator, c.Name, scopes)
		return err
	})
	switch {
	case errors.Is(err, auth.ErrScope):
		return exitf(ExitUsage, "--scope: %w; there are read and transfer", err)
	case errors.Is(err, auth.ErrName):
		return exitf(ExitUsage, "%w: 1 to %d letters on one line", err, auth.MaxName)
	case err != nil:
		return err
	}
	fmt.Fprintf(io.Err, "%s%s is made. The key is printed this once; keep it where only its program can read it.\n", keyPrefix, key.ID)
	_, err = fmt.Fprintln(io.Out, string(token))
	return err
}

type keyList struct{ place }

// Run lists all keys.
func (c keyList) Run(ctx context.Context, io *Streams) error {
	b, err := c.open(ctx, false)
	if err != nil {
		return err
	}
	defer b.Close() //nolint:errcheck // nothing is written
	var all []store.APIKey
	err = b.view(ctx, func(tx *store.Tx) (err error) {
		all, err = tx.APIKeys(ctx)
		return err
	})
	if err != nil {
		return err
	}
	if len(all) == 0 {
		fmt.Fprintln(io.Err, "there is no key; maillon key add NAME --scope read makes one")
		return nil
	}
	w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "key\tname\tscopes\tmade\trevoked")
	for _, k := range all {
		revoked := "-"
		if !k.Revoked.IsZero() {
			revoked = b.showTime(k.Revoked)
		}
		fmt.Fprintf(w, "%s%s\t%s\t%s\t%s\t%s\n", keyPrefix, k.ID, k.Name, k.Scopes, b.showTime(k.Created), revoked)
	}
	return w.Flush()
}

type keyRevoke struct {
	place
	Key string `arg:"" help:"The key as the list shows it: key_…"`
}

// Run revokes a key.
func (c keyRevoke) Run(ctx context.Context, io *Streams) error {
	b, err := c.open(ctx, false)
	if err != nil {
		return err
	}
	defer b.Close() //nolint:errcheck // every Update is on disk already
	id := strings.TrimPrefix(c.Key, keyPrefix)
	err = b.update(ctx, func(tx *store.Tx) error { return tx.RevokeAPIKey(ctx, treasury.Operator, id) })
	if errors.Is(err, store.ErrNotFound) {
		return exitf(ExitNo, "there is no such key; maillon key list shows all")
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(io.Out, "%s%s opens nothing any more\n", keyPrefix, id)
	return err
}
