package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"maillon/internal/setting"
	"maillon/internal/sim"
)

type benchSMSCommand struct {
	benchFlags
	Members int   `help:"How many members pay each other." default:"10000"`
	Senders []int `help:"How many send at once." default:"1,8,64"`
}

// Run implements the command.
func (c *benchSMSCommand) Run(ctx context.Context, io *Streams) error {
	if c.Members < minAccounts || c.Members > maxAccounts {
		return exitf(ExitUsage, "--members is from %d to %d", minAccounts, maxAccounts)
	}
	for _, n := range c.Senders {
		if n < 1 || n > minAccounts/2 {
			return exitf(ExitUsage, "--senders are from 1 to %d", minAccounts/2)
		}
	}
	return c.measured(ctx, io, "sms", func(dir string, r *benchReport) error {
		r.Work["members"] = fmt.Sprint(c.Members)
		limits := map[int]float64{}
		for _, n := range c.Senders {
			var err error
			if limits[n], err = r.raw(ctx, dir, n, c.Time); err != nil {
				return err
			}
		}
		if err := c.conversations(ctx, r, filepath.Join(dir, "off.db"), setting.Off, limits, []talk{
			{"books", "the books alone: transfers", func(l *sim.Load, n int) (sim.Measure, error) { return l.Transfers(ctx, n, c.Time) }},
			{"off", "payments, confirm=off: one text, two replies", func(l *sim.Load, n int) (sim.Measure, error) { return l.Run(ctx, n, c.Time, false) }},
			{"hot", "the same, all to one shop", func(l *sim.Load, n int) (sim.Measure, error) { return l.Run(ctx, n, c.Time, true) }},
		}); err != nil {
			return err
		}
		return c.conversations(ctx, r, filepath.Join(dir, "always.db"), setting.Always, limits, []talk{
			{"always", "payments, confirm=always: two texts, three replies", func(l *sim.Load, n int) (sim.Measure, error) { return l.Run(ctx, n, c.Time, false) }},
		})
	})
}

// A talk is one kind of conversation.
type talk struct {
	name, what string
	run        func(l *sim.Load, senders int) (sim.Measure, error)
}

// conversations opens a server of its own and measures each number of senders.
func (c *benchSMSCommand) conversations(ctx context.Context, r *benchReport, path string, confirm setting.Mode, limits map[int]float64, talks []talk) (err error) {
	s, err := openBench(ctx, path, confirm)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := r.product(ctx, s.DB); err != nil {
		return err
	}
	l, err := sim.NewLoad(ctx, s, c.Members)
	if err != nil {
		return err
	}
	for _, t := range talks {
		for _, n := range c.Senders {
			m, err := t.run(l, n)
			if err != nil {
				return fmt.Errorf("%s: %w", t.what, err)
			}
			r.add(t.name, t.what, n, m, limits[n])
		}
	}
	return nil
}
