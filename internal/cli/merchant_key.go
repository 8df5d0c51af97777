package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"maillon/internal/auth"
	"maillon/internal/store"
	"maillon/internal/trade"
	"maillon/internal/treasury"
)

type merchantKey struct {
	shop
	Name    string        `required:"" help:"What uses the key, such as shop; name no member." placeholder:"NAME"`
	Public  bool          `help:"A key for pages, which may check an order and nothing else."`
	Scope   []string      `help:"What it may do, with commas between; without it, all. Such as claims:write,events:read." placeholder:"SCOPE"`
	Expires time.Duration `help:"How long it is good; without it, until it is revoked." placeholder:"TIME"`
}

// Run makes a key.
func (c merchantKey) Run(ctx context.Context, io *Streams) error {
	var key auth.Key
	var token auth.Token
	err := c.act(ctx, func(_ *books, tx *store.Tx, m *trade.Merchant) (err error) {
		asked := auth.MerchantKey{Merchant: m.ID, Test: m.Test, Public: c.Public, Name: c.Name}
		for _, s := range c.Scope {
			asked.Scopes = append(asked.Scopes, auth.Scope(s))
		}
		if c.Expires != 0 {
			asked.Expires = tx.Now().Add(c.Expires)
		}
		key, token, err = auth.IssueMerchant(ctx, tx, treasury.Operator, asked)
		return err
	})
	switch {
	case errors.Is(err, auth.ErrScope):
		return exitf(ExitUsage, "--scope: %w; there are %s", err, scopes())
	case errors.Is(err, auth.ErrName):
		return exitf(ExitUsage, "--name: %w: 1 to %d letters on one line", err, auth.MaxName)
	case errors.Is(err, auth.ErrEnded):
		return exitf(ExitUsage, "--expires: %w", err)
	case err != nil:
		return err
	}
	fmt.Fprintf(io.Err, "%s%s is made. The key is printed this once; keep it where only its program can read it.\n", keyPrefix, key.ID)
	_, err = fmt.Fprintln(io.Out, string(token))
	return err
}

func scopes() string {
	var all []string
	for _, s := range auth.MerchantScopes() {
		all = append(all, string(s))
	}
	return strings.Join(all, ", ")
}

type merchantKeys struct{ shop }

// Run lists the keys of a merchant.
func (c merchantKeys) Run(ctx context.Context, io *Streams) error {
	return c.look(ctx, func(b *books, tx *store.Tx, m *trade.Merchant) error {
		all, err := tx.MerchantKeys(ctx, m.ID)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "key\tkind\tname\tmade\texpires\trevoked")
		for _, k := range all {
			fmt.Fprintf(w, "%s%s\t%s\t%s\t%s\t%s\t%s\n", keyPrefix, k.ID, k.Kind, k.Name, b.showTime(k.Created), b.timeOr(k.Expires), b.timeOr(k.Revoked))
		}
		return w.Flush()
	})
}

// timeOr shows a time, or that there is none.
func (b *books) timeOr(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return b.showTime(t)
}
