package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/sim"
	"maillon/internal/store"
)

type benchGrowCommand struct {
	benchFlags
	Accounts []int64 `help:"How many accounts there are at each step, the fewest first." default:"10000,100000,1000000"`
	Postings int64   `help:"How many postings there are at the last step; at the others in proportion. 0: ten for each account."`
	Data     string  `help:"A folder for the books, which are kept, and grow further the next time." placeholder:"DIR" type:"path"`
}

// Bounds of growing.
const (
	maxGrown      = 100_000_000
	minPostings   = 4       // for each account: two are its credit
	growClients   = 64      // who move money at once
	growActive    = 10_000  // of all, while only some do
	verifiedGrown = 100_000 // postings up to which books are proven too
	bytesPosting  = 145     // on disk, about
	looks         = 3       // kinds of looking that share the time of one measure
)

// Run implements the command.
func (c *benchGrowCommand) Run(ctx context.Context, io *Streams) error {
	for n, a := range c.Accounts {
		if a < minAccounts || a > maxGrown || n > 0 && a <= c.Accounts[n-1] {
			return exitf(ExitUsage, "--accounts are from %d to %d, the fewest first", minAccounts, maxGrown)
		}
	}
	if most := c.Accounts[len(c.Accounts)-1]; c.Postings == 0 {
		c.Postings = 10 * most
	} else if c.Postings < minPostings*most || c.Postings > 10*maxGrown {
		return exitf(ExitUsage, "--postings are from %d for each account to %d", minPostings, 10*maxGrown)
	}
	return c.measured(ctx, io, "grow", func(dir string, r *benchReport) error { return c.grow(ctx, io, dir, r) })
}

func (c *benchGrowCommand) grow(ctx context.Context, io *Streams, dir string, r *benchReport) error {
	if c.Data != "" {
		if err := os.MkdirAll(c.Data, 0o700); err != nil {
			return err
		}
		dir = c.Data
	}
	secret, err := growSecret(dir)
	if err != nil {
		return err
	}
	most := c.Accounts[len(c.Accounts)-1]
	r.Work["clients"], r.Work["active"] = strconv.Itoa(growClients), fmt.Sprintf("%d accounts", growActive)
	fmt.Fprintf(io.Err, "the books will have about %.1f GB\n", float64(c.Postings)*bytesPosting/1e9)
	pace := time.Duration(0) // for each transfer, of the step before
	had := int64(0)
	for _, accounts := range c.Accounts {
		transfers := c.Postings / 2 * accounts / most
		if pace > 0 {
			fmt.Fprintf(io.Err, "%d accounts, %d transfers: about %v to fill\n", accounts, transfers, (pace * time.Duration(transfers-had)).Round(time.Second))
		}
		filled, err := c.fill(ctx, io, filepath.Join(dir, growBooks), secret, accounts, transfers)
		if err != nil {
			return err
		}
		if transfers > had {
			pace, had = filled/time.Duration(transfers-had), transfers
		}
		grown, err := c.measureApart(ctx, io, dir, accounts)
		if err != nil {
			return err
		}
		maps.Copy(r.Versions, grown.Versions)
		r.Rows = append(r.Rows, grown.Rows...)
	}
	r.sort()
	return nil
}

// The files of growing books.
const (
	growBooks  = "books.db"
	growKey    = "secret"
	growMaking = "filling" // is there as long as the books are half filled
)

// growSecret reads the secret of the books, or makes it.
func growSecret(dir string) (secret store.Secret, err error) {
	path := filepath.Join(dir, growKey)
	text, err := os.ReadFile(path)
	if err == nil {
		return store.ParseSecret(string(text))
	}
	if !errors.Is(err, os.ErrNotExist) {
		return secret, err
	}
	if secret, err = store.NewSecret(); err != nil {
		return secret, err
	}
	return secret, os.WriteFile(path, []byte(secret.Encode()+"\n"), 0o600)
}

// fill fills the books and returns how long it took.
func (c *benchGrowCommand) fill(ctx context.Context, io *Streams, path string, secret store.Secret, accounts, transfers int64) (time.Duration, error) {
	making := filepath.Join(filepath.Dir(path), growMaking)
	if _, err := os.Stat(making); err == nil {
		return 0, exitf(ExitTrouble, "the books in %s are half filled: remove the folder", filepath.Dir(path))
	}
	if err := os.WriteFile(making, nil, 0o600); err != nil {
		return 0, err
	}
	start := time.Now()
	progress := io.bar(fmt.Sprintf("fill %d accounts", accounts))
	err := sim.FillBooks(ctx, path, secret, accounts, transfers, progress.tell)
	progress.end()
	if err != nil && !errors.Is(err, store.ErrFilling) {
		return 0, err
	}
	return time.Since(start), errors.Join(err, os.Remove(making))
}

// measureApart measures in a process of its own, so that what filling has left
// in memory is not counted.
func (c *benchGrowCommand) measureApart(ctx context.Context, io *Streams, dir string, accounts int64) (*benchReport, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, program, "bench", "grown", "--data", dir, "--time", c.Time.String(),
		"--accounts", fmt.Sprint(accounts))
	if c.CPUProfile != "" {
		cmd.Args = append(cmd.Args, "--cpuprofile", fmt.Sprintf("%s.%d", c.CPUProfile, accounts))
	}
	cmd.Stdout, cmd.Stderr = &out, io.Err
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("measure %d accounts: %w", accounts, err)
	}
	r := new(benchReport)
	return r, json.Unmarshal(out.Bytes(), r)
}

// benchGrownCommand measures books as they are. It is for bench grow.
type benchGrownCommand struct {
	Data       string
	Time       time.Duration
	Accounts   int64
	CPUProfile string `name:"cpuprofile"`
}

// Run prints its report as JSON.
func (c *benchGrownCommand) Run(ctx context.Context, io *Streams) (err error) {
	stop, err := profile(c.CPUProfile)
	if err != nil {
		return err
	}
	defer stop()
	secret, err := growSecret(c.Data)
	if err != nil {
		return err
	}
	path := filepath.Join(c.Data, growBooks)
	file, err := os.Stat(path)
	if err != nil {
		return err
	}
	start := time.Now()
	db, err := store.Open(ctx, path, secret)
	if err != nil {
		return err
	}
	opened := time.Since(start)
	defer func() { err = errors.Join(err, db.Close()) }()
	r := &benchReport{Versions: map[string]string{}}
	if err := r.product(ctx, db); err != nil {
		return err
	}
	state := map[string]float64{"open_ms": millis(opened), "file_mib": float64(file.Size()) / (1 << 20)}
	if err := c.measure(ctx, db, r, state); err != nil {
		return err
	}
	state["resident_mib"] = residentMiB()
	r.Rows = append(r.Rows, benchRow{Name: c.name("books"), What: "the books: start, size, peak of memory, median time to look", Done: 1, Figures: state})
	for _, row := range r.Rows {
		row.Figures[accountsFigure] = float64(c.Accounts)
	}
	if err := prove(ctx, db, state["postings"]); err != nil {
		return err
	}
	return json.NewEncoder(io.Out).Encode(r)
}

func (c *benchGrownCommand) name(what string) string {
	return fmt.Sprintf("accounts=%d/%s", c.Accounts, what)
}

func (c *benchGrownCommand) measure(ctx context.Context, db *store.DB, r *benchReport, state map[string]float64) error {
	var transfers ledger.TransactionID
	err := db.View(ctx, func(tx *store.Tx) error {
		last, err := tx.LastTransactions(ctx, 1)
		if err == nil && len(last) > 0 {
			transfers = last[0].ID
		}
		return err
	})
	if err != nil {
		return err
	}
	state["postings"] = 2 * float64(transfers)
	books := sim.FilledBooks(db, c.Accounts)
	balance, statement, merchant, err := books.Looks(ctx, c.Time/looks)
	if err != nil {
		return err
	}
	state["balance_ms"], state["statement_ms"], state["merchant_ms"] = millis(balance.P50), millis(statement.P50), millis(merchant.P50)
	raw, err := sim.Raw(ctx, filepath.Join(c.Data, "log"), growClients, c.Time)
	if err != nil {
		return err
	}
	r.add(c.name("raw"), "the raw log", growClients, raw, raw.PerSecond)
	for _, row := range []struct {
		name, what string
		crowd      sim.Crowd
	}{
		{"uniform", "transfers between any two of all accounts", sim.Crowd{}},
		{"active", "transfers between any two of those who are active", sim.Crowd{Active: growActive}},
		{"hot", "transfers of any to one merchant", sim.Crowd{Hot: true}},
		{"strewn", "transfers between any two, keys not sorted by time", sim.Crowd{Strewn: int64(transfers)}},
	} {
		row.crowd.Clients = growClients
		m, err := books.Run(ctx, row.crowd, c.Time)
		if err != nil {
			return fmt.Errorf("%s: %w", row.what, err)
		}
		r.add(c.name(row.name), row.what, growClients, m, raw.PerSecond)
	}
	return nil
}

// prove checks the sum of small books, and their journal. It comes last, for it
// takes memory.
func prove(ctx context.Context, db *store.DB, postings float64) error {
	if postings > verifiedGrown {
		return nil
	}
	faults, err := db.Verify(ctx, nil)
	if err != nil || len(faults) > 0 {
		return errors.Join(err, fmt.Errorf("%d faults: %w", len(faults), sim.ErrBooks))
	}
	return nil
}

// residentMiB returns the most memory that this process has had, if the system
// says it.
func residentMiB() float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "VmHWM:" {
			continue
		}
		if n, err := strconv.ParseFloat(fields[1], 64); err == nil {
			return n / 1024
		}
	}
	return 0
}
