package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"maillon/internal/sim"
	"maillon/internal/store"
)

type benchCommand struct {
	Store   benchStoreCommand   `cmd:"" help:"Measure the books alone, beside the limit of the disk."`
	API     benchAPICommand     `cmd:"" name:"api" help:"Measure the API for programs, beside a server over the raw log."`
	SMS     benchSMSCommand     `cmd:"" name:"sms" help:"Measure whole conversations, beside the books alone and the limit of the disk."`
	Grow    benchGrowCommand    `cmd:"" help:"Measure how books slow down as they grow: minutes, or with --accounts 10000000 an hour and 20 GB."`
	Console benchConsoleCommand `cmd:"" help:"Measure each page of the console, of a town of members."`
	Grown   benchGrownCommand   `cmd:"" hidden:""`
}

// benchFlags are what every measure may be told.
type benchFlags struct {
	Time       time.Duration `help:"How long each measure takes." default:"5s"`
	Dir        string        `help:"Where the databases of the measure are made: the disk that is measured." type:"existingdir"`
	JSON       string        `help:"A file for the figures as JSON." placeholder:"FILE" type:"path"`
	Go         string        `help:"A file to which the figures are added as Go writes benchmarks, for benchstat." placeholder:"FILE" type:"path"`
	CPUProfile string        `name:"cpuprofile" help:"A file for a profile of the processor." placeholder:"FILE" type:"path"`
}

// Bounds of measures.
const (
	maxClients  = 3000 // fewer than the store lets wait
	syncsTime   = time.Second
	minAccounts = 200
	maxAccounts = 100_000
)

// The figures of a row.
const (
	perSecond = "per_second"
	p50       = "p50_ms"
	p99       = "p99_ms"
	ofLimit   = "of_limit" // the rate beside that of the raw log in the same run

	accountsFigure = "accounts"
)

// A benchRow is one thing measured. Its name is the same in every run.
type benchRow struct {
	Name    string             `json:"name"`
	What    string             `json:"what"`
	Clients int                `json:"clients,omitempty"`
	Done    int                `json:"done"`
	Figures map[string]float64 `json:"figures"`
	Page    string             `json:"page,omitempty"` // that was looked at
}

// A benchMachine is where it was measured.
type benchMachine struct {
	CPU       string  `json:"cpu"`
	Cores     int     `json:"cores"`
	Platform  string  `json:"platform"`
	PerSecond float64 `json:"syncs_per_second"` // of its disk, one after the other
}

// A benchReport is one run. All measures have one shape, so that two runs can
// be compared.
type benchReport struct {
	Bench    string            `json:"bench"`
	At       time.Time         `json:"at"`
	Machine  benchMachine      `json:"machine"`
	Versions map[string]string `json:"versions"`
	Work     map[string]string `json:"work"`
	Rows     []benchRow        `json:"rows"`
}

// measured runs a measure in a folder of its own and writes what it reports.
func (f *benchFlags) measured(ctx context.Context, io *Streams, name string, do func(dir string, r *benchReport) error) (err error) {
	if f.Time <= 0 {
		return exitf(ExitUsage, "--time is more than 0")
	}
	dir, err := os.MkdirTemp(f.Dir, "maillon-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	r := &benchReport{
		Bench: name, At: time.Now().UTC().Truncate(time.Second), Work: map[string]string{"time": f.Time.String()},
		Machine:  benchMachine{CPU: cpuModel(), Cores: runtime.NumCPU(), Platform: runtime.GOOS + "/" + runtime.GOARCH},
		Versions: map[string]string{"go": runtime.Version(), "maillon": programVersion()},
	}
	if r.Machine.PerSecond, err = sim.Syncs(dir, syncsTime); err != nil {
		return err
	}
	stop, err := profile(f.CPUProfile)
	if err != nil {
		return err
	}
	defer stop()
	if err := do(dir, r); err != nil {
		return err
	}
	if err := r.print(io); err != nil {
		return err
	}
	return r.keep(f)
}

// profile writes a profile of the processor, if it has a name, until stop.
func profile(path string) (stop func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		_ = file.Close() // a profile that is cut off is seen
	}, nil
}

// product notes which database it is.
func (r *benchReport) product(ctx context.Context, db *store.DB) error {
	name, err := db.Product(ctx)
	if err != nil {
		return err
	}
	product, version, _ := strings.Cut(name, " ")
	r.Versions[strings.ToLower(product)] = version
	return nil
}

// add notes what clients achieved, beside the rate that was their limit.
func (r *benchReport) add(name, what string, clients int, m sim.Measure, limit float64) {
	figures := map[string]float64{perSecond: m.PerSecond, p50: millis(m.P50), p99: millis(m.P99)}
	if limit > 0 {
		figures[ofLimit] = m.PerSecond / limit
	}
	r.Rows = append(r.Rows, benchRow{Name: fmt.Sprintf("%s/clients=%d", name, clients), What: what, Clients: clients, Done: m.Done, Figures: figures})
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// raw measures the limit of the disk for a number of clients.
func (r *benchReport) raw(ctx context.Context, dir string, clients int, d time.Duration) (float64, error) {
	m, err := sim.Raw(ctx, filepath.Join(dir, "log"), clients, d)
	r.add("raw", "the raw log: a record each, one sync for all who wait", clients, m, m.PerSecond)
	return m.PerSecond, err
}

// sort puts together what is of one kind, the kinds as they came.
func (r *benchReport) sort() {
	var kinds []string
	for _, row := range r.Rows {
		if !slices.Contains(kinds, row.What) {
			kinds = append(kinds, row.What)
		}
	}
	slices.SortStableFunc(r.Rows, func(a, b benchRow) int {
		return slices.Index(kinds, a.What) - slices.Index(kinds, b.What)
	})
}

// print writes the table.
func (r *benchReport) print(io *Streams) error {
	fmt.Fprintf(io.Out, "bench %s, %s\n", r.Bench, r.At.Format("2006-01-02 15:04 MST"))
	fmt.Fprintf(io.Out, "%s, %d cores, %s, %.0f syncs a second\n", r.Machine.CPU, r.Machine.Cores, r.Machine.Platform, r.Machine.PerSecond)
	fmt.Fprintln(io.Out, words(r.Versions, " "))
	fmt.Fprintln(io.Out, words(r.Work, ": "))
	w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', tabwriter.AlignRight)
	what := ""
	for _, row := range r.Rows {
		if what != row.What {
			what = row.What
			if err := w.Flush(); err != nil { // columns are as wide as their section needs
				return err
			}
			fmt.Fprintf(io.Out, "\n%s\n", strings.ToUpper(what[:1])+what[1:])
			fmt.Fprintln(w, strings.Join(row.heads(), "\t")+"\t")
		}
		fmt.Fprintln(w, strings.Join(row.cells(), "\t")+"\t")
	}
	return w.Flush()
}

// words writes what is known in the order of its names.
func words(all map[string]string, between string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		parts = append(parts, name+between+all[name])
	}
	return strings.Join(parts, ", ")
}

// The columns of a table: rates first, then what else was measured.
func (row benchRow) columns() []string {
	first := []string{accountsFigure, perSecond, p50, p95, p99, worst, ofLimit}
	all := slices.DeleteFunc(slices.Clone(first), func(f string) bool { _, ok := row.Figures[f]; return !ok })
	for _, f := range slices.Sorted(maps.Keys(row.Figures)) {
		if !slices.Contains(first, f) {
			all = append(all, f)
		}
	}
	return all
}

func (row benchRow) heads() []string {
	var all []string
	if row.Clients > 0 {
		all = append(all, "clients")
	}
	for _, f := range row.columns() {
		all = append(all, strings.ReplaceAll(f, "_", " "))
	}
	if row.Page != "" {
		all = append(all, "page")
	}
	return all
}

func (row benchRow) cells() []string {
	var all []string
	if row.Clients > 0 {
		all = append(all, fmt.Sprint(row.Clients))
	}
	for _, f := range row.columns() {
		switch value := row.Figures[f]; {
		case f == ofLimit:
			all = append(all, fmt.Sprintf("%.1f %%", 100*value))
		case strings.HasSuffix(f, "_ms"):
			all = append(all, fmt.Sprintf("%.2f", value))
		default:
			all = append(all, fmt.Sprintf("%.0f", value))
		}
	}
	if row.Page != "" {
		all = append(all, row.Page)
	}
	return all
}

// keep writes the figures for those who compare.
func (r *benchReport) keep(f *benchFlags) error {
	if f.JSON != "" {
		body, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(f.JSON, append(body, '\n'), 0o600); err != nil {
			return err
		}
	}
	if f.Go == "" {
		return nil
	}
	file, err := os.OpenFile(f.Go, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(r.benchmarks())
	if e := file.Close(); err == nil {
		err = e
	}
	return err
}

// benchmarks writes the rows as Go writes benchmarks,
// https://go.dev/design/14313-benchmark-format.
func (r *benchReport) benchmarks() string {
	var b strings.Builder
	fmt.Fprintf(&b, "goos: %s\ngoarch: %s\npkg: maillon\ncpu: %s\n", runtime.GOOS, runtime.GOARCH, r.Machine.CPU)
	for _, row := range r.Rows {
		fmt.Fprintf(&b, "Benchmark%s/%s-%d\t%d", strings.ToUpper(r.Bench[:1])+r.Bench[1:], row.Name, r.Machine.Cores, max(row.Done, 1))
		if rate := row.Figures[perSecond]; rate > 0 {
			fmt.Fprintf(&b, "\t%.0f ns/op", float64(time.Second)/rate)
		}
		for _, f := range row.columns() {
			fmt.Fprintf(&b, "\t%.6g %s", row.Figures[f], f)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// cpuModel returns what the processor calls itself, if the system says it.
func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
