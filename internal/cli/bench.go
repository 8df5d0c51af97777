package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"maillon/internal/phrase"
	"maillon/internal/server"
	"maillon/internal/setting"
	"maillon/internal/sim"
	"maillon/internal/store"
)

type benchCommand struct {
	SMS benchSMSCommand `cmd:"" name:"sms" help:"Measure whole conversations, beside the books alone and the limit of the disk."`
}

type benchSMSCommand struct {
	Members int           `help:"How many members pay each other." default:"10000"`
	Senders []int         `help:"How many send at once." default:"1,8,64"`
	Time    time.Duration `help:"How long each measure takes." default:"5s"`
	Dir     string        `help:"Where the database of the measure is made: the disk that is measured." type:"existingdir"`
	JSON    string        `help:"A file for the figures as JSON." type:"path"`
}

// A benchRow is what was measured with one number of senders. Rates are per
// second, latencies in milliseconds.
type benchRow struct {
	What    string  `json:"what"`
	Senders int     `json:"senders"`
	Rate    float64 `json:"per_second"`
	P50     float64 `json:"p50_ms"`
	P99     float64 `json:"p99_ms"`
	Ratio   float64 `json:"ratio_to_raw_log"`
}

type benchReport struct {
	Machine string     `json:"machine"`
	Go      string     `json:"go"`
	Members int        `json:"members"`
	Rows    []benchRow `json:"rows"`
}

// The rows of the table.
const (
	rowRaw    = "raw log, one sync for all who wait"
	rowStore  = "books alone: transfers"
	rowOff    = "payments, confirm=off: one text, two replies"
	rowHot    = "the same, all to one shop"
	rowAlways = "payments, confirm=always: two texts, three replies"
)

// Run implements the command.
func (c *benchSMSCommand) Run(ctx context.Context, io *Streams) error {
	if c.Members < 200 || c.Members > 100_000 || c.Time <= 0 {
		return exitf(ExitUsage, "--members is from 200 to 100000, --time more than 0")
	}
	for _, n := range c.Senders {
		if n < 1 || n > 100 {
			return exitf(ExitUsage, "--senders are from 1 to 100")
		}
	}
	dir, err := os.MkdirTemp(c.Dir, "maillon-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	report := benchReport{Machine: fmt.Sprintf("%s/%s, %d processors", runtime.GOOS, runtime.GOARCH, runtime.NumCPU()), Go: runtime.Version(), Members: c.Members}
	raw := map[int]float64{}
	for _, n := range c.Senders {
		m, err := sim.Raw(ctx, filepath.Join(dir, "log"), n, c.Time)
		if err != nil {
			return err
		}
		raw[n] = m.PerSecond
		report.add(rowRaw, n, m, raw[n])
	}
	if err := c.conversations(ctx, filepath.Join(dir, "off.db"), setting.Off, func(l *sim.Load, n int) error {
		for _, row := range []struct {
			what string
			run  func() (sim.Measure, error)
		}{
			{rowStore, func() (sim.Measure, error) { return l.Transfers(ctx, n, c.Time) }},
			{rowOff, func() (sim.Measure, error) { return l.Run(ctx, n, c.Time, false) }},
			{rowHot, func() (sim.Measure, error) { return l.Run(ctx, n, c.Time, true) }},
		} {
			m, err := row.run()
			if err != nil {
				return fmt.Errorf("%s: %w", row.what, err)
			}
			report.add(row.what, n, m, raw[n])
		}
		return nil
	}); err != nil {
		return err
	}
	if err := c.conversations(ctx, filepath.Join(dir, "always.db"), setting.Always, func(l *sim.Load, n int) error {
		m, err := l.Run(ctx, n, c.Time, false)
		report.add(rowAlways, n, m, raw[n])
		return err
	}); err != nil {
		return err
	}
	return report.write(io, c.JSON)
}

// conversations opens a server of its own and measures each number of senders.
func (c *benchSMSCommand) conversations(ctx context.Context, path string, confirm setting.Mode, do func(*sim.Load, int) error) (err error) {
	secret, err := store.NewSecret()
	if err != nil {
		return err
	}
	book, err := phrase.Shipped()
	if err != nil {
		return err
	}
	s, err := server.Open(ctx, server.Config{Path: path, Secret: secret, Settings: sim.LoadSettings(confirm), Book: book})
	if err != nil {
		return err
	}
	defer func() {
		if e := s.Close(); err == nil {
			err = e
		}
	}()
	l, err := sim.NewLoad(ctx, s, c.Members)
	if err != nil {
		return err
	}
	for _, n := range c.Senders {
		if err := do(l, n); err != nil {
			return err
		}
	}
	return nil
}

func (r *benchReport) add(what string, senders int, m sim.Measure, raw float64) {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	r.Rows = append(r.Rows, benchRow{what, senders, m.PerSecond, ms(m.P50), ms(m.P99), m.PerSecond / raw})
}

func (r *benchReport) write(io *Streams, path string) error {
	fmt.Fprintf(io.Out, "%s, %s, %d members\n\n", r.Machine, r.Go, r.Members)
	w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "senders\tper second\tp50 ms\tp99 ms\tof raw log\t")
	for i, row := range r.Rows {
		if i == 0 || r.Rows[i-1].What != row.What {
			fmt.Fprintf(w, "\t\t\t\t\t%s\n", strings.ToUpper(row.What[:1])+row.What[1:])
		}
		fmt.Fprintf(w, "%d\t%.0f\t%.2f\t%.2f\t%.1f %%\t\n", row.Senders, row.Rate, row.P50, row.P99, 100*row.Ratio)
	}
	if err := w.Flush(); err != nil || path == "" {
		return err
	}
	body, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(body, '\n'), 0o600)
}
