package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"maillon/internal/auth"
	"maillon/internal/console"
	"maillon/internal/console/tour"
	"maillon/internal/member"
	"maillon/internal/phrase"
	"maillon/internal/server"
	"maillon/internal/setting"
	"maillon/internal/sim"
	"maillon/internal/store"
)

type benchConsoleCommand struct {
	benchFlags
	Members  int64  `help:"How many members there are." default:"100000"`
	Payments int64  `help:"How many payments they have made." default:"2000000"`
	Data     string `help:"A folder for the books, which are kept for the next time." placeholder:"DIR" type:"path"`
}

// Bounds of looking at pages.
const (
	consoleReaders = 2              // who look at once
	consoleLooks   = 30             // at each page
	usualSince     = 12 * time.Hour // which the page of putting balances back proposes
	minMembers     = 10
	maxMembers     = 1_000_000
	p95            = "p95_ms"
	worst          = "max_ms"
)

// Run implements the command.
func (c *benchConsoleCommand) Run(ctx context.Context, io *Streams) error {
	if c.Members < minMembers || c.Members > maxMembers || c.Payments < c.Members || c.Payments > maxGrown {
		return exitf(ExitUsage, "--members are from %d to %d, --payments from as many to %d", minMembers, maxMembers, maxGrown)
	}
	return c.measured(ctx, io, "console", func(dir string, r *benchReport) error {
		if c.Data != "" {
			dir = filepath.Join(c.Data, fmt.Sprintf("town-%d-%d", c.Members, c.Payments))
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return err
			}
		}
		return c.look(ctx, io, dir, r)
	})
}

// look opens the console of a town and looks at all its pages.
func (c *benchConsoleCommand) look(ctx context.Context, io *Streams, dir string, r *benchReport) (err error) {
	secret, err := growSecret(dir)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, growBooks)
	if err := c.fillTown(ctx, io, path, secret); err != nil {
		return err
	}
	book, err := phrase.Shipped()
	if err != nil {
		return err
	}
	s, err := server.Open(ctx, server.Config{Path: path, Secret: secret, Settings: setting.Default(), Book: book})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := r.product(ctx, s.DB); err != nil {
		return err
	}
	pages, err := console.New(s, inside{}, nil)
	if err != nil {
		return err
	}
	guide := &tour.Guide{Frame: pages, Token: "inside"}
	since := time.Now().In(s.Settings.Zone).Add(-usualSince).Format("2006-01-02T15:04")
	stops, err := guide.Walk(ctx, "/", "/restore/preview?scope=all&since="+since)
	if err != nil {
		return err
	}
	r.Work["members"], r.Work["payments"], r.Work["readers"] = fmt.Sprint(c.Members), fmt.Sprint(c.Payments), fmt.Sprint(consoleReaders)
	var seen []string
	for _, stop := range stops {
		if stop.Status != http.StatusOK || slices.Contains(seen, stop.Route) || !strings.HasPrefix(stop.Kind, "text/html") {
			continue
		}
		seen = append(seen, stop.Route)
		r.Rows = append(r.Rows, c.time(ctx, guide, stop))
	}
	return nil
}

// inside lets whoever measures in as somebody who may see everything.
type inside struct{}

// Enter implements frame.Door.
func (inside) Enter(context.Context, string) (*auth.Visitor, error) {
	return &auth.Visitor{Member: &member.Member{ID: 1, Role: member.Admin, Language: "fr"}, Proved: time.Now()}, nil
}

func (c *benchConsoleCommand) fillTown(ctx context.Context, io *Streams, path string, secret store.Secret) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	making := path + ".filling"
	for _, suffix := range []string{"", "-wal", "-shm"} { // of a run that was ended
		if err := os.Remove(making + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	progress := io.bar(fmt.Sprintf("fill %d members", c.Members))
	err := sim.FillTown(ctx, making, secret, c.Members, c.Payments, progress.tell)
	progress.end()
	if err != nil {
		return err
	}
	return os.Rename(making, path)
}

// time looks at one page again and again.
func (c *benchConsoleCommand) time(ctx context.Context, guide *tour.Guide, stop tour.Stop) benchRow {
	var all sync.WaitGroup
	took := make([]time.Duration, consoleReaders*consoleLooks)
	for reader := range consoleReaders {
		all.Go(func() {
			for n := range consoleLooks {
				took[reader*consoleLooks+n] = guide.Look(ctx, stop.Path).Took
			}
		})
	}
	all.Wait()
	slices.Sort(took)
	at := func(percent int) float64 { return millis(took[(len(took)-1)*percent/100]) }
	page := strings.TrimPrefix(stop.Route, http.MethodGet+" ")
	return benchRow{
		Name: page, What: "pages of the console", Page: page, Done: len(took),
		Figures: map[string]float64{p50: at(50), p95: at(95), worst: at(100)},
	}
}
