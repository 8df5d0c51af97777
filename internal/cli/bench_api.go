package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"maillon/internal/phrase"
	"maillon/internal/server"
	"maillon/internal/setting"
	"maillon/internal/sim"
	"maillon/internal/store"
)

type benchAPICommand struct {
	benchFlags
	Members int   `help:"Between how many members money moves." default:"10000"`
	Clients []int `help:"How many programs ask at once." default:"1,8,64"`
	Hot     int   `help:"How many ask while all pay one member; 0: leave it out." default:"64"`
	Bulk    []int `help:"How many ask at once for a hundred transfers each." default:"1,8"`
}

// maxPrograms bounds the connections of the measure.
const maxPrograms = 500

// Run implements the command.
func (c *benchAPICommand) Run(ctx context.Context, io *Streams) error {
	if c.Members < minAccounts || c.Members > maxAccounts {
		return exitf(ExitUsage, "--members is from %d to %d", minAccounts, maxAccounts)
	}
	for _, n := range append(append([]int{max(c.Hot, 1)}, c.Clients...), c.Bulk...) {
		if n < 1 || n > maxPrograms {
			return exitf(ExitUsage, "clients are from 1 to %d", maxPrograms)
		}
	}
	return c.measured(ctx, io, "api", func(dir string, r *benchReport) error { return c.measure(ctx, dir, r) })
}

// An ask is one kind of request.
type ask struct {
	name, what string
	clients    []int
	run        func(l *sim.APILoad, clients int, d time.Duration) (sim.Measure, error)
}

func (c *benchAPICommand) measure(ctx context.Context, dir string, r *benchReport) (err error) {
	r.Work["members"] = fmt.Sprint(c.Members)
	raw, err := sim.NewRawAPILoad(ctx, filepath.Join(dir, "log"), c.Members)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, raw.Close()) }()
	s, err := openBench(ctx, filepath.Join(dir, "books.db"), setting.Off)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := r.product(ctx, s.DB); err != nil {
		return err
	}
	l, err := sim.NewAPILoad(ctx, s, c.Members)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	asks := []ask{
		{"single", "single transfers", c.Clients, func(l *sim.APILoad, n int, d time.Duration) (sim.Measure, error) {
			return l.Transfers(ctx, n, d, false)
		}},
		{
			"bulk", "requests of 100 transfers: transfers a second, latencies of requests", c.Bulk,
			func(l *sim.APILoad, n int, d time.Duration) (sim.Measure, error) { return l.Bulk(ctx, n, d, false) },
		},
	}
	if c.Hot > 0 {
		asks = append(asks, ask{"hot", "single transfers to one member", []int{c.Hot}, func(l *sim.APILoad, n int, d time.Duration) (sim.Measure, error) {
			return l.Transfers(ctx, n, d, true)
		}})
	}
	for _, a := range asks {
		for _, n := range a.clients {
			if err := r.beside(a, raw, l, n, c.Time); err != nil {
				return fmt.Errorf("%s: %w", a.what, err)
			}
		}
	}
	r.sort()
	return nil
}

// beside measures the limit and then the API.
func (r *benchReport) beside(a ask, raw, l *sim.APILoad, clients int, d time.Duration) error {
	limit, err := a.run(raw, clients, d)
	if err != nil {
		return fmt.Errorf("raw log: %w", err)
	}
	r.add("raw-"+a.name, "the limit, a server over the raw log: "+a.what, clients, limit, limit.PerSecond)
	m, err := a.run(l, clients, d)
	r.add(a.name, "the API: "+a.what, clients, m, limit.PerSecond)
	return err
}

// openBench opens a server of its own, with books that are new.
func openBench(ctx context.Context, path string, confirm setting.Mode) (*server.Server, error) {
	secret, err := store.NewSecret()
	if err != nil {
		return nil, err
	}
	book, err := phrase.Shipped()
	if err != nil {
		return nil, err
	}
	return server.Open(ctx, server.Config{Path: path, Secret: secret, Settings: sim.LoadSettings(confirm), Book: book})
}
