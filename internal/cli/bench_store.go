package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"maillon/internal/sim"
	"maillon/internal/store"
)

type benchStoreCommand struct {
	benchFlags
	Accounts int    `help:"Between how many accounts money moves." default:"10000"`
	Clients  []int  `help:"How many wait for an answer at once." default:"1,8,64"`
	Hot      int    `help:"How many wait while all pay one merchant; 0: leave it out." default:"64"`
	Waiting  int    `help:"How many wait at most; 0: leave it out." default:"2000"`
	Database string `help:"An empty PostgreSQL database, by its URL; SQLite without it." placeholder:"URL" env:"MAILLON_BENCH_DATABASE"`
	Servers  int    `help:"How many servers write to the database beside each other." default:"1"`
}

// maxServers bounds the servers beside each other.
const maxServers = 8

// Run implements the command.
func (c *benchStoreCommand) Run(ctx context.Context, io *Streams) error {
	if c.Accounts < minAccounts || c.Accounts > maxAccounts || c.Servers < 1 || c.Servers > maxServers {
		return exitf(ExitUsage, "--accounts is from %d to %d, --servers from 1 to %d", minAccounts, maxAccounts, maxServers)
	}
	for _, n := range append([]int{max(c.Hot, 1), max(c.Waiting, 1)}, c.Clients...) {
		if n < 1 || n > maxClients {
			return exitf(ExitUsage, "clients are from 1 to %d", maxClients)
		}
	}
	if c.Database != "" && !store.IsURL(c.Database) {
		return exitf(ExitUsage, "--database is the URL of a PostgreSQL database: postgres://…")
	}
	return c.measured(ctx, io, "store", func(dir string, r *benchReport) error { return c.measure(ctx, dir, r) })
}

func (c *benchStoreCommand) measure(ctx context.Context, dir string, r *benchReport) (err error) {
	r.Work["accounts"], r.Work["servers"] = fmt.Sprint(c.Accounts), fmt.Sprint(c.Servers)
	r.Work["refused"] = "2 % too much, 1 % again"
	servers, err := c.open(ctx, dir)
	defer func() {
		for _, db := range servers {
			err = errors.Join(err, db.Close())
		}
	}()
	if err != nil {
		return err
	}
	if err := r.product(ctx, servers[0]); err != nil {
		return err
	}
	books, err := sim.NewBooks(ctx, servers, c.Accounts)
	if err != nil {
		return err
	}
	limits := map[int]float64{}
	one := func(name, what string, crowd sim.Crowd) error {
		if limits[crowd.Clients] == 0 {
			if limits[crowd.Clients], err = r.raw(ctx, dir, crowd.Clients, c.Time); err != nil {
				return err
			}
		}
		m, err := books.Run(ctx, crowd, c.Time)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		r.add(name, what, crowd.Clients, m, limits[crowd.Clients])
		return nil
	}
	for _, n := range c.Clients {
		if err := one("uniform", "transfers between any two", sim.Crowd{Clients: n}); err != nil {
			return err
		}
	}
	if c.Waiting > 0 {
		if err := one("uniform", "transfers between any two", sim.Crowd{Clients: c.Waiting}); err != nil {
			return err
		}
	}
	if c.Hot > 0 {
		if err := one("hot", "transfers to one merchant", sim.Crowd{Clients: c.Hot, Hot: true}); err != nil {
			return err
		}
	}
	r.sort()
	return books.Check(ctx)
}

// open opens the servers beside each other.
func (c *benchStoreCommand) open(ctx context.Context, dir string) (all []*store.DB, err error) {
	where := c.Database
	if where == "" {
		where = filepath.Join(dir, "books.db")
	}
	secret, err := store.NewSecret()
	if err != nil {
		return nil, err
	}
	for range c.Servers {
		db, err := store.Open(ctx, where, secret)
		if err != nil {
			return all, err
		}
		all = append(all, db)
	}
	return all, nil
}
