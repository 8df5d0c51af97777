package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// The form of a pseudo, as conversation.md says.
const (
	minNick = 3
	maxNick = 12
)

var (
	nickForm  = regexp.MustCompile(fmt.Sprintf("^[a-z0-9]{%d,%d}$", minNick, maxNick))
	hasLetter = regexp.MustCompile("[a-z]")
)

const membersAtOnce = 500 // read in one transaction

// memberCommand is what the desk does for one person.
type memberCommand struct {
	Add      memberAdd      `cmd:"" help:"Register somebody who is at the desk; opens the data folder if there is none."`
	List     memberList     `cmd:"" help:"List everybody, with numbers masked."`
	Show     memberShow     `cmd:"" help:"Show all that is known of one member; the journal notes that it was shown."`
	Freeze   memberFreeze   `cmd:"" help:"Block paying out of an account."`
	Unfreeze memberUnfreeze `cmd:"" help:"Let an account pay again."`
	Card     memberCard     `cmd:"" help:"Draw a new code card and write it as a page to print; the card before is worth nothing from then on."`
	Role     memberRole     `cmd:"" help:"Make a member an administrator, or end that; the other administrators are told."`
	Renumber memberRenumber `cmd:"" help:"Start to move an account to another number; the old one is warned."`
}

type memberAdd struct {
	place
	Number    string `required:"" help:"Mobile number, such as 0639980012 or +33639980012."`
	Nick      string `help:"Pseudo: 3 to 12 letters or digits."`
	Language  string `help:"Language of the SMS (default: the server's)."`
	Role      string `help:"Administrator's role: reader, frontdesk, cashier, treasurer, admin or auditor."`
	Ceiling   string `help:"What this administrator may credit a day (default: 200)." placeholder:"AMOUNT"`
	NoAccount bool   `help:"An administrator who has no account."`
}

// Run registers one member.
func (c memberAdd) Run(ctx context.Context, io *Streams) error {
	if _, err := os.Stat(c.secretPath()); errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(io.Err, "new data folder %s: keep a copy of %s apart, for nothing can be read without it\n",
			c.folder().dir(), c.folder().secret())
	}
	b, err := c.open(ctx, true)
	if err != nil {
		return err
	}
	defer b.Close() //nolint:errcheck // every Update is on disk already
	n, err := c.read(b)
	if err != nil {
		return err
	}
	var m *member.Member
	err = b.update(ctx, func(tx *store.Tx) error {
		m, err = b.Treasury.Add(ctx, tx, treasury.Operator, n)
		return err
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(io.Out, "member:%d %s\n", m.ID, called(m))
	return err
}

// read checks what was typed.
func (c memberAdd) read(b *books) (n treasury.NewMember, err error) {
	if n.Number, err = b.mobile(c.Number); err != nil {
		return n, err
	}
	if n.Nick, err = b.nick(c.Nick); err != nil {
		return n, err
	}
	n.Language, n.NoMember = strings.ToLower(c.Language), c.NoAccount
	if n.Language != "" && !slices.Contains(b.Book.Languages(), n.Language) {
		return n, exitf(ExitUsage, "--language %s: there are %s", c.Language, strings.Join(b.Book.Languages(), ", "))
	}
	if n.Role, err = parseRole(c.Role); err != nil {
		return n, err
	}
	if n.NoMember && n.Role == "" {
		return n, exitf(ExitUsage, "--no-account is for administrators: say which with --role")
	}
	n.Ceiling, err = b.ceiling(c.Ceiling, n.Role)
	return n, err
}

// mobile reads a number that an SMS can be written to.
func (b *books) mobile(text string) (sms.Number, error) {
	n, err := sms.ParseNumber(text, b.Settings.Region())
	if err != nil {
		return n, exitf(ExitUsage, "%q is no telephone number: write it as 0639980012 or +33639980012", text)
	}
	if !n.Mobile() || !slices.Contains(b.Settings.Countries, n.Country()) {
		return n, exitf(ExitUsage, "%q is not a mobile number of %s: SMS would not reach it, or may not be sent there",
			text, strings.Join(b.Settings.Countries, ", "))
	}
	return n, nil
}

// nick reads a pseudo by the rules that hold for SMS.
func (b *books) nick(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	nick, err := checkNick(b.Server, strings.TrimPrefix(text, "@"))
	if err != nil {
		return "", exitf(ExitUsage, "--nick %w", err)
	}
	return nick, nil
}

func parseRole(text string) (member.Role, error) {
	r := member.Role(text)
	if r != "" && !slices.Contains(member.Roles(), r) {
		return "", exitf(ExitUsage, "%s is no role: there are %s", text, roles())
	}
	return r, nil
}

func (b *books) ceiling(text string, role member.Role) (money.Amount, error) {
	c := b.Settings.Currency()
	if role == "" {
		return money.New(0, c), nil
	}
	if text == "" {
		return defaultCeiling(c), nil
	}
	a, err := parseSum(text, c)
	if err != nil {
		return a, exitf(ExitUsage, "--ceiling %s: %w", text, err)
	}
	return a, nil
}

type memberList struct {
	place
}

// Run prints one line for each member, by ID.
func (c memberList) Run(ctx context.Context, io *Streams) error {
	b, err := c.open(ctx, false)
	if err != nil {
		return err
	}
	defer b.Close() //nolint:errcheck // only read
	w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tPSEUDO\tNUMBER\tSTATE\tROLE\tBALANCE")
	for after, more := member.ID(0), true; more; {
		err := b.view(ctx, func(tx *store.Tx) error {
			some, err := tx.Members(ctx, store.Everyone, after, membersAtOnce)
			if err != nil {
				return err
			}
			more = len(some) == membersAtOnce
			for _, m := range some {
				after = m.ID
				balances, err := b.balances(ctx, tx, m)
				if err != nil {
					return err
				}
				fmt.Fprintf(w, "member:%d\t%s\t%s\t%s\t%s\t%s\n", m.ID, dash(m.Nick), dash(m.Number.Masked()), standing(m, tx.Now()), dash(string(m.Role)), balances)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return w.Flush()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// standing says in one word how a member takes part.
func standing(m *member.Member, now time.Time) string {
	switch {
	case !m.LostAt.IsZero():
		return "lost"
	case m.Frozen():
		return "frozen"
	case m.LockedTill.After(now):
		return "locked"
	}
	return string(m.State)
}

// balances returns what a member has, in every currency.
func (b *books) balances(ctx context.Context, tx *store.Tx, m *member.Member) (string, error) {
	accounts, err := tx.AccountsOf(ctx, m.ID)
	if err != nil {
		return "", err
	}
	if len(accounts) == 0 && m.HasAccount() {
		return money.New(0, b.Settings.Currency()).String(), nil
	}
	var all []string
	for _, a := range accounts {
		all = append(all, showBalance(a))
	}
	return dash(strings.Join(all, ", ")), nil
}

func showBalance(a ledger.Account) string {
	if a.Held.Sign() == 0 {
		return a.Balance.String()
	}
	return fmt.Sprintf("%s (%s held)", a.Balance, a.Held.Plain())
}

// who is the member whom a command is about.
type who struct {
	place
	Who string `arg:"" help:"Pseudo, number, or member:ID."`
}

// act finds the member and does something in one transaction.
func (c who) act(ctx context.Context, do func(*books, *store.Tx, *member.Member) error) error {
	b, err := c.open(ctx, false)
	if err != nil {
		return err
	}
	defer b.Close() //nolint:errcheck // every Update is on disk already
	return b.update(ctx, func(tx *store.Tx) error {
		m, err := b.find(ctx, tx, c.Who)
		if err != nil {
			return err
		}
		return do(b, tx, m)
	})
}

type memberShow struct{ who }

// Run prints a member's sheet, and has the journal note it.
func (c memberShow) Run(ctx context.Context, io *Streams) error {
	return c.act(ctx, func(b *books, tx *store.Tx, m *member.Member) error {
		tx.Act(treasury.Operator, treasury.Looked, treasury.By(m), "")
		balances, err := b.balances(ctx, tx, m)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
		line := func(name, value string) {
			if value != "" {
				fmt.Fprintf(w, "%s\t%s\n", name, value)
			}
		}
		line("id", treasury.By(m))
		line("pseudo", m.Nick)
		if !m.Number.IsZero() {
			line("number", m.Number.National())
		}
		boxes, err := tx.Mailboxes(ctx, m)
		if err != nil {
			return err
		}
		for _, b := range boxes {
			if b.Bound {
				line("e-mail", b.Address.Text())
			}
		}
		line("state", standing(m, tx.Now()))
		line("balance", balances)
		line("language", m.Language)
		if m.Role != "" {
			line("role", string(m.Role))
			line("ceiling", money.New(m.Ceiling, b.Settings.Currency()).String())
		}
		for _, t := range []struct {
			name string
			at   time.Time
		}{
			{"opened", m.OpenedAt},
			{"last SMS", m.SeenAt},
			{"frozen", m.FrozenAt},
			{"lost", m.LostAt},
			{"locked until", m.LockedTill},
			{"card proved", m.ProvedAt},
		} {
			line(t.name, b.showTime(t.at))
		}
		line("line", m.Line)
		return w.Flush()
	})
}

func (b *books) showTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(b.Settings.Zone).Format("2006-01-02 15:04:05")
}

type memberFreeze struct{ who }

// Run blocks paying out of an account.
func (c memberFreeze) Run(ctx context.Context, _ *Streams) error {
	return c.act(ctx, func(b *books, tx *store.Tx, m *member.Member) error {
		return b.Treasury.Freeze(ctx, tx, treasury.Operator, m, "")
	})
}

type memberUnfreeze struct{ who }

// Run lets an account pay again.
func (c memberUnfreeze) Run(ctx context.Context, _ *Streams) error {
	return c.act(ctx, func(b *books, tx *store.Tx, m *member.Member) error {
		return b.Treasury.Unfreeze(ctx, tx, treasury.Operator, m, "")
	})
}

type memberRole struct {
	who
	Role    string `arg:"" help:"reader, frontdesk, cashier, treasurer, admin, auditor or none."`
	Ceiling string `help:"What this administrator may credit a day (default: 200)." placeholder:"AMOUNT"`
}

// Run makes a member an administrator, or ends that.
func (c memberRole) Run(ctx context.Context, _ *Streams) error {
	if c.Role == "none" {
		c.Role = ""
	}
	role, err := parseRole(c.Role)
	if err != nil {
		return err
	}
	return c.act(ctx, func(b *books, tx *store.Tx, m *member.Member) error {
		ceiling, err := b.ceiling(c.Ceiling, role)
		if err != nil {
			return err
		}
		return b.Treasury.SetRole(ctx, tx, treasury.Operator, m, role, ceiling)
	})
}

type memberRenumber struct {
	who
	Number string `arg:"" help:"The new mobile number."`
}

// Run starts to move an account to another number.
func (c memberRenumber) Run(ctx context.Context, io *Streams) error {
	var wait time.Duration
	err := c.act(ctx, func(b *books, tx *store.Tx, m *member.Member) error {
		to, err := b.mobile(c.Number)
		if err != nil {
			return err
		}
		wait = b.Settings.NumberWait
		return b.Treasury.Renumber(ctx, tx, treasury.Operator, m, to, "")
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(io.Out, "the account moves in %d hours, unless the old number says no\n", int(wait.Hours()))
	return err
}
