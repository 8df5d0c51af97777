package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"maillon/internal/grammar"
	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/notice"
	"maillon/internal/payment"
	"maillon/internal/server"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// A place says where a command works: the same two flags for all of them.
type place struct {
	Data   string `help:"Data folder." placeholder:"DIR" default:"maillon-data" env:"MAILLON_DATA"`
	Config string `help:"Configuration file; without it, maillon.toml in the data folder if it is there." placeholder:"FILE" env:"MAILLON_CONFIG"`
}

func (p place) folder() Folder { return Folder{p.Data} }

func (p place) config() (Config, error) { return p.folder().LoadConfig(p.Config) }

// books are those of a server, opened beside it: it may be at work meanwhile.
type books struct {
	*server.Server
	folder Folder
}

// open opens the books of the folder. With create, a folder that is missing is made.
func (p place) open(ctx context.Context, create bool) (*books, error) {
	config, err := p.config()
	if err != nil {
		return nil, err
	}
	book, err := config.Book()
	if err != nil {
		return nil, err
	}
	home, err := p.home(config, create)
	if err != nil {
		return nil, err
	}
	s, err := server.Open(ctx, server.Config{Path: home.where, Secret: home.secret, Settings: config.Settings, Fixed: config.Fixed, Book: book})
	if err != nil {
		return nil, exitf(ExitTrouble, "open %s: %w", home.name, err)
	}
	b := &books{s, p.folder()}
	if err := b.checkUnit(ctx); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// secret returns the secret of a folder that must hold a database, unless it
// may be created.
func (p place) secret(create bool) (store.Secret, error) {
	secret, err := p.folder().Secret(create)
	if err != nil || create {
		return secret, err
	}
	if _, err := os.Stat(p.folder().Books()); errors.Is(err, fs.ErrNotExist) {
		return secret, exitf(ExitTrouble, "%s is missing: name the right data folder with --data", p.folder().Books())
	}
	return secret, nil
}

// openStore opens only the database, for what needs no settings.
func (p place) openStore(ctx context.Context) (*store.DB, error) {
	config, err := p.config()
	if err != nil {
		return nil, err
	}
	home, err := p.home(config, false)
	if err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, home.where, home.secret)
	if err != nil {
		return nil, exitf(ExitTrouble, "open %s: %w", home.name, err)
	}
	return db, nil
}

// checkUnit refuses settings whose unit is not the one of the books: whoever
// forgot --config would open a second set of accounts.
func (b *books) checkUnit(ctx context.Context) error {
	var found []money.Currency
	err := b.DB.View(ctx, func(tx *store.Tx) error {
		return tx.AllAccounts(ctx, func(a store.AccountRow) error {
			if a.Name == store.Emission {
				found = append(found, a.Balance.Currency())
			}
			return nil
		})
	})
	if err != nil {
		return exitf(ExitTrouble, "read the accounts: %w", err)
	}
	ours := b.Settings.Currency()
	if len(found) == 0 || slices.Contains(found, ours) {
		return nil
	}
	return exitf(ExitUsage, "the books are kept in %s, but the settings say %s with %d decimals: name the server's configuration with --config",
		showUnits(found), ours.Code, ours.Decimals)
}

func showUnits(all []money.Currency) string {
	var texts []string
	for _, c := range all {
		texts = append(texts, fmt.Sprintf("%s with %d decimals", c.Code, c.Decimals))
	}
	return strings.Join(texts, ", ")
}

// update changes the books and wakes the server that may be at work on them. One
// on a database server looks for itself.
func (b *books) update(ctx context.Context, do func(*store.Tx) error) error {
	if err := b.DB.Update(ctx, do); err != nil {
		return explain(err)
	}
	if !b.DB.Shared() {
		b.folder.ring()
	}
	return nil
}

func (b *books) view(ctx context.Context, do func(*store.Tx) error) error {
	return explain(b.DB.View(ctx, do))
}

// explain is the one table from an error of the rooms below to what the
// operator reads. An error that already has its status stays.
func explain(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*ExitError](err); ok {
		return err
	}
	for _, known := range []struct {
		is   error
		what string
	}{
		{treasury.ErrTaken, "choose another one, or see who has it with: maillon member show"},
		{treasury.ErrSecond, "the same person cannot decide twice: another administrator must say so, with --as NAME"},
		{treasury.ErrNotPaused, "payments go on already"},
		{payment.ErrNotWaiting, "look at the reference again; what was decided stays decided"},
		{payment.ErrNotUndone, "only a transfer between two accounts that undoes nothing itself can be reversed"},
		{ledger.ErrDuplicate, "it was done before; nothing was done now"},
		{ledger.ErrInsufficient, "nothing of it is left in the account that received it; nothing was done"},
	} {
		if errors.Is(err, known.is) {
			return exitf(ExitNo, "%w: %s", err, known.what)
		}
	}
	if r, ok := errors.AsType[*notice.Refusal](err); ok && r.Key == "pause" {
		return exitf(ExitNo, "payments are paused: no money moves until maillon resume")
	} else if ok {
		return exitf(ExitNo, "refused for the reason that an SMS would give as %q", r.Key)
	}
	if errors.Is(err, store.ErrBusy) {
		return exitf(ExitTrouble, "%w: the server has much to do; try again", err)
	}
	return err
}

var memberID = regexp.MustCompile(`^member:([0-9]{1,18})$`)

// find returns who is meant by a pseudo, a number, or member:ID.
func (b *books) find(ctx context.Context, tx *store.Tx, who string) (*member.Member, error) {
	who = strings.TrimPrefix(strings.TrimSpace(who), "@")
	m, err := b.byID(ctx, tx, who)
	if m == nil && err == nil {
		m, err = b.Treasury.Find(ctx, tx, b.nickOr(who))
	}
	if errors.Is(err, treasury.ErrUnknown) || errors.Is(err, store.ErrNotFound) {
		return nil, exitf(ExitNo, "%s: nobody has this pseudo or number; maillon member list shows everybody", who)
	}
	return m, err
}

func (b *books) byID(ctx context.Context, tx *store.Tx, who string) (*member.Member, error) {
	parts := memberID.FindStringSubmatch(who)
	if parts == nil {
		return nil, nil
	}
	id, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil {
		return nil, treasury.ErrUnknown
	}
	return tx.Member(ctx, member.ID(id))
}

// nickOr folds what may be a pseudo, as an SMS would be; a number stays.
func (b *books) nickOr(who string) string {
	if strings.ContainsAny(who, "+.()- ") {
		return who
	}
	return grammar.Fold(who)
}

// administrator returns who decides: nobody for "", the operator.
func (b *books) administrator(ctx context.Context, tx *store.Tx, as string, may func(member.Role) bool) (*member.Member, string, error) {
	if as == "" {
		return nil, treasury.Operator, nil
	}
	m, err := b.find(ctx, tx, as)
	if err != nil {
		return nil, "", err
	}
	if !may(m.Role) {
		return nil, "", exitf(ExitNo, "%s is no administrator who may do this: maillon member role says what somebody may", as)
	}
	return m, treasury.By(m), nil
}

// called names an account's owner to an administrator.
func called(m *member.Member) string {
	switch {
	case m.State == member.Closed:
		return fmt.Sprintf("member:%d (closed)", m.ID)
	case m.Nick != "":
		return m.Nick
	}
	return m.Number.Masked()
}

// errSum is what every sum that cannot be read comes to.
var errSum = errors.New("a sum such as 50 or 12,50 is expected")

// parseSum reads a sum as people write it here: 50, 12.50, 12,50, 1 000.
func parseSum(text string, c money.Currency) (money.Amount, error) {
	none := money.New(0, c)
	text = strings.NewReplacer(" ", "", "\u00a0", "", "\u202f", "").Replace(strings.TrimSpace(text))
	whole, part, comma := strings.Cut(text, ",")
	if comma {
		if strings.ContainsAny(part, ",.") || strings.Contains(whole, ".") {
			return none, errSum
		}
		text = whole + "." + part
	}
	d, err := money.ParseDecimal(text)
	if err != nil {
		return none, fmt.Errorf("%w: %w", errSum, err)
	}
	a, err := d.In(c)
	if errors.Is(err, money.ErrDecimals) {
		return none, fmt.Errorf("%s has %d decimals: %w", c.Code, c.Decimals, err)
	}
	return a, err
}
