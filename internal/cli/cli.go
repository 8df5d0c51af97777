// Package cli is the program as it is seen from a terminal: one file for each
// command, and here what they share.
//
// Every command does one thing, says on standard error what went wrong and what
// to do about it, and ends with a status that a script can rely on; they are
// listed in docs/ops/commands.md. What it prints about members is no more than
// was asked for, and errors hold nothing of members but what was typed.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
	"golang.org/x/term"
)

// The statuses with which the program ends.
const (
	ExitDone    = 0 // what was asked is done, or holds
	ExitNo      = 1 // the answer is no: refused, a fault, a story that differs
	ExitUsage   = 2 // the command line or what it names cannot be read
	ExitTrouble = 3 // the data folder or its database cannot be used
)

// An ExitError is an error with the status that it ends the program with. The
// status of any other error is ExitTrouble.
type ExitError struct {
	Code int
	Err  error // nil: there is nothing to say any more
}

// Error implements error.
func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit status %d", e.Code)
	}
	return e.Err.Error()
}

// Unwrap returns the error without its status.
func (e *ExitError) Unwrap() error { return e.Err }

// exitf returns an ExitError with a text.
func exitf(code int, format string, args ...any) error {
	return &ExitError{code, fmt.Errorf(format, args...)}
}

// Streams are what a command reads from and writes to.
type Streams struct {
	In       io.Reader
	Out      io.Writer
	Err      io.Writer
	Terminal bool // Err is a terminal: progress may be drawn on it
}

// commands are all commands. Each has a method
//
//	Run(ctx context.Context, io *Streams) error
type commands struct {
	// The server: serve.go, gateway.go.
	Serve serveCommand `cmd:"" help:"Run the server, with a village to try it in if it is given no configuration."`

	// Stories and the conversation: story.go, parse.go.
	Story storyCommand `cmd:"" help:"Play conversations and say which hold word for word."`
	Parse parseCommand `cmd:"" help:"Show how texts are understood, one a line."`

	// Measuring: bench.go.
	Bench benchCommand `cmd:"" help:"Measure how fast this machine is."`

	// Administrators.
	Member    memberCommand    `cmd:"" help:"Register, show, freeze members, and print their code cards."`
	Admin     adminCommand     `cmd:"" help:"Let administrators into their pages."`
	Credit    creditCommand    `cmd:"" help:"Credit one account, or all those of a file."`
	Reverse   reverseCommand   `cmd:"" help:"Take one transfer back, as far as its money is still there."`
	Dispute   disputeCommand   `cmd:"" help:"Decide a dispute: the money goes back, or stays."`
	Queue     queueCommand     `cmd:"" help:"List the payments, credits and disputes that wait for a decision."`
	Release   releaseCommand   `cmd:"" help:"Let a payment or a credit go that waits for a decision."`
	Reject    rejectCommand    `cmd:"" help:"Refuse a payment or a credit that waits for a decision."`
	Pause     pauseCommand     `cmd:"" help:"Stop all payments, at once."`
	Resume    resumeCommand    `cmd:"" help:"Let payments go on; two administrators must say so."`
	Statement statementCommand `cmd:"" help:"Print what happened to one account."`
	Key       keyCommand       `cmd:"" help:"Make, list and revoke the keys of programs that use the API."`
	Webhook   webhookCommand   `cmd:"" help:"Try what merchants' programs are told."`
	CA        caCommand        `cmd:"" name:"ca" help:"Make, list and revoke the certificates of gateways."`
	Stall     stallCommand     `cmd:"" help:"Sell where there is no network: what is sold, devices, days."`
	Merchant  merchantCommand  `cmd:"" help:"Register merchants, their keys and offers; decide disputes; pay them out."`
	Backup    backupCommand    `cmd:"" help:"Copy the books, beside a server at work."`
	Restore   restoreCommand   `cmd:"" help:"Make a new data folder of a backup or of other books, and prove it."`
	Migrate   migrateCommand   `cmd:"" help:"Move the books to a database server, or back into a data folder."`
	Upgrade   upgradeCommand   `cmd:"" help:"Make the books ready for this program, before its servers come."`
	Verify    verifyCommand    `cmd:"" help:"Prove the books by their journal."`
	Export    exportCommand    `cmd:"" help:"Write the ledger for spreadsheets or for beancount."`
	Settings  configCommand    `cmd:"" name:"config" help:"Check a configuration file."`
	Version   versionCommand   `cmd:"" help:"Print which program this is."`
}

// Main runs the program and returns the status to end with. The first signal
// to stop ends the work in order; the second ends the program at once.
func Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return Run(ctx, os.Args[1:], &Streams{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
		Terminal: term.IsTerminal(int(os.Stderr.Fd())), //nolint:gosec // a file descriptor is a small number
	})
}

// ended is how kong says that the program has said all, after --help.
type ended int

// Run runs one command line and returns the status to end with.
func Run(ctx context.Context, args []string, io *Streams) (status int) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case ended:
			status = int(p)
		default:
			panic(p)
		}
	}()
	var all commands
	parser, err := kong.New(&all,
		kong.Name("maillon"),
		kong.Description("Money by SMS, for an association and its members."),
		kong.Writers(io.Out, io.Err), kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Exit(func(code int) { panic(ended(code)) }),
		kong.Bind(io), kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err != nil {
		panic(err) // the tags of a command are wrong
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	chosen, err := parser.Parse(args)
	if err != nil {
		return report(io, &ExitError{ExitUsage, fmt.Errorf("%w (maillon --help lists the commands)", err)})
	}
	return report(io, chosen.Run())
}

// report tells an error and returns its status.
func report(io *Streams, err error) int {
	if err == nil {
		return ExitDone
	}
	code := ExitTrouble
	if e, ok := errors.AsType[*ExitError](err); ok {
		code = e.Code
		if e.Err == nil {
			return code
		}
	}
	fmt.Fprintf(io.Err, "maillon: %v\n", err)
	return code
}
