package main_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// A room is one package of the house: which of our packages it may use, and
// which of the standard library's that are not for everybody.
type room struct {
	name string // path within the module
	ours string // may import of ours, beneath internal/ if not at the top
	std  string // may import of guarded
}

// house is every room there is, the lowest layer first. A room may only use
// rooms that stand before it, so that imports run down and never in a circle.
// A package that is missing here fails: whoever adds a room says where it is.
//
// What differs from the first plan, and why, is in docs/adr/0001-rooms.md.
var house = []room{
	// what is not ours to change alone: the contract with other programs
	{"api", "", ""},

	// 0: amounts
	{"internal/money", "", ""},

	// certificates, in files
	{"internal/pki", "", "os"},

	// 1: rules and nouns, without input or output
	{"internal/sms", "", ""},
	{"internal/ledger", "money", ""},
	{"internal/setting", "money", ""},
	{"internal/charter", "", ""},
	{"internal/sheet", "money", ""},
	{"internal/member", "sms", ""},
	{"internal/order", "ledger money sms", ""},
	{"internal/guard", "", ""},
	{"internal/correction", "ledger", ""},
	{"internal/trade", "money", ""},
	{"internal/trade/object", "trade", ""},
	{"internal/otp", "money", ""},
	{"internal/card", "", ""},
	{"internal/table", "", ""},
	{"internal/chart", "", ""},
	{"internal/poster", "", ""},
	{"internal/phrase", "money sms", ""},
	{"internal/grammar", "money sms", ""},
	{"internal/story", "money setting sms", "os testing"},
	{"internal/ledger/ledgertest", "ledger money", "testing"},

	// edges towards telephones: they know nothing but sms
	{"internal/sms/smstest", "sms", "testing"},
	{"internal/sms/virtual", "sms", ""},
	{"internal/sms/kannel", "sms", "net/http"},
	{"internal/sms/kannel/kanneltest", "sms sms/kannel sms/smstest", "net net/http os syscall testing"},
	{"internal/sms/twilio", "sms", "net/http"},
	{"internal/sms/premium", "sms", "net/http"},
	{"internal/sms/twilio/twiliogo", "", ""},
	{"internal/sms/mail", "sms", "net"},
	{"internal/sms/mail/mailtest", "sms/smstest", "net testing"},

	// 2: the one room that speaks SQL
	{"internal/store", "guard ledger member money order sms", "database/sql os"},
	{"internal/store/pgtest", "", "net os syscall testing"},

	// 3: services, each on those before it
	{"internal/duty", "store", ""},
	{"internal/copies", "duty store", "os"},
	{"internal/report", "ledger member money store", ""},
	{"internal/export", "ledger member store table", ""},
	{"internal/courier", "duty member sms store", ""},
	{"internal/notice", "guard member money phrase setting sms store", ""},
	{"internal/payment", "card charter correction guard ledger member money notice order setting sms store", ""},
	{"internal/auth", "guard member store", ""},
	{"internal/treasury", "auth card charter correction grammar guard ledger member money notice order payment setting sheet sms store", ""},
	{"internal/stall", "grammar member money notice order otp payment setting sms store table", ""},
	{"internal/teller", "charter courier grammar guard ledger member money notice order payment setting sms stall store treasury", ""},
	{"internal/merchant", "ledger member money notice setting sms store trade", ""},
	{"internal/privacy", "ledger member merchant money order setting stall store teller treasury", ""},
	{"internal/sentry", "guard ledger member notice payment setting store", ""},
	{"internal/webhook", "duty store", "net net/http syscall"},
	{"internal/stall/counter", "phrase poster setting sms stall store", ""},
	{"internal/server", "auth courier duty grammar member merchant notice payment phrase report sentry setting sms stall stall/counter store teller trade trade/object treasury webhook", ""},

	// what looks at pages, in tests
	{"internal/browsertest", "", "os testing"},

	// 4: edges
	{"internal/metrics", "courier server sms store", "net/http"},
	{"internal/rest", "auth ledger member merchant money otp payment poster sms stall stall/counter store trade trade/object webhook", "net/http"},
	{"internal/reference", "api", "net/http"},
	{"internal/console/frame", "auth ledger member money notice payment setting store treasury", "net/http"},
	{"internal/console/frame/frametest", "auth console/frame member money phrase server setting sms store treasury", "net/http testing"},
	{"internal/console/tour", "console/frame", "net/http"},
	{"internal/console/door", "auth console/frame grammar member money server setting sms store treasury", "net/http"},
	{"internal/console/home", "auth console/frame copies courier member money order server setting store", ""},
	{"internal/console/audit", "auth console/frame member server store treasury", ""},
	{"internal/console/settings", "auth console/frame courier member notice phrase server setting store", ""},
	{"internal/console/safety", "auth console/frame correction ledger member money server store treasury", ""},
	{"internal/console/watch", "auth console/frame guard member money order payment sentry server store treasury", ""},
	{"internal/console/till", "auth console/frame member money notice order server sheet sms store treasury", ""},
	{"internal/console/people", "auth card console/frame ledger member money notice order payment privacy server setting sms store teller treasury", ""},
	{"internal/console/currency", "auth charter console/frame grammar ledger member money notice order server setting store treasury", ""},
	{"internal/console/figures", "auth chart console/frame export ledger member money report server store treasury", ""},
	{"internal/console/merchants", "auth console/frame member merchant money server store trade webhook", ""},
	{"internal/console/stalls", "auth console/frame member notice otp poster server stall stall/counter store", ""},
	{"internal/console", "console/audit console/currency console/door console/figures console/frame console/home console/merchants console/people console/safety console/settings console/stalls console/till console/watch server", ""},
	{"internal/link", "pki sms sms/premium store", "net/http"},
	{"internal/phones", "ledger member money sms", "net net/http"},
	{"internal/checkout", "auth merchant money setting store trade", "net/http"},
	{"internal/stall/page", "stall store", "net/http"},
	{"internal/stall/card", "grammar poster stall stall/counter store", "net/http"},

	// 5: what plays with a whole server, and the command line
	{"internal/sim", "auth card charter correction ledger member money notice order otp payment phones phrase rest server setting sms sms/virtual stall store story treasury", "net net/http os syscall"},
	{"internal/sim/kill", "", ""},
	{"internal/sim/bank", "", ""},
	{"internal/sim/disk", "", ""},
	{"internal/sim/ha", "", ""},
	{"internal/cli", anyRoom, "net net/http os syscall"},
	{".", "cli", "os"},

	// beside the program: what judges its packaging
	{"packaging/kubernetes/kubetest", "", ""},
}

// anyRoom lets a room use all rooms before it.
const anyRoom = "*"

// guarded are packages of the standard library that a room may use only if the
// table says so: what reaches outside, and what belongs to tests.
var guarded = []string{"database/sql", "net", "net/http", "os", "plugin", "syscall", "testing", "unsafe"}

// floating are the rooms that may count in floating point: what is drawn, what
// is measured. Nowhere else is a number an approximation.
var floating = []string{"internal/card", "internal/chart", "internal/metrics", "internal/sim", "internal/cli"}

// ending are the rooms that have streams and end the process: a story outside
// of go test ends with it, see story.Main.
var ending = []string{"internal/story", "internal/cli", "."}

// empty are names that say nothing of the field.
var empty = []string{"util", "utils", "common", "models", "helpers", "manager"}

// A file is one source file, read.
type file struct {
	path string
	*ast.File
	*token.FileSet
}

func (f file) test() bool { return strings.HasSuffix(f.path, "_test.go") }

func (f file) dir() string { return path.Dir(f.path) }

// at says where something is, for an error.
func (f file) at(n ast.Node) string {
	return f.path + ":" + strconv.Itoa(f.Position(n.Pos()).Line)
}

// imports returns the paths that the file imports.
func (f file) imports() []string {
	var all []string
	for _, i := range f.Imports {
		p, _ := strconv.Unquote(i.Path.Value)
		all = append(all, p)
	}
	return all
}

// read reads every Go file of the repository, whatever system it is for.
var read = sync.OnceValues(func() (all []file, err error) {
	err = filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && p != ".") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(p, ".go") {
			return nil
		}
		set := token.NewFileSet()
		tree, err := parser.ParseFile(set, p, nil, parser.ParseComments|parser.SkipObjectResolution)
		all = append(all, file{filepath.ToSlash(p), tree, set})
		return err
	})
	return all, err
})

func sources(t *testing.T) []file {
	t.Helper()
	all, err := read()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("no Go file was found")
	}
	return all
}

func roomOf(dir string) (room, int) {
	n := slices.IndexFunc(house, func(r room) bool { return r.name == dir })
	if n < 0 {
		return room{}, n
	}
	return house[n], n
}

// ours returns the room of an import path of ours.
func ours(importPath string) (dir string, is bool) {
	if importPath == "maillon" {
		return ".", true
	}
	return strings.CutPrefix(importPath, "maillon/")
}

// may reports whether a room may use another.
func (r room) may(used string) bool {
	return r.ours == anyRoom || slices.Contains(strings.Fields(r.ours), strings.TrimPrefix(used, "internal/"))
}

func TestTheTableRunsDown(t *testing.T) {
	for n, r := range house {
		if first, at := roomOf(r.name); at != n {
			t.Errorf("%s stands twice in the table", first.name)
		}
		if r.ours == anyRoom {
			continue
		}
		for _, used := range strings.Fields(r.ours) {
			_, at := roomOf("internal/" + used)
			if at < 0 {
				_, at = roomOf(used)
			}
			if at < 0 || at >= n {
				t.Errorf("the table lets %s use %s, which does not stand before it", r.name, used)
			}
		}
	}
}

func TestEveryPackageHasARoom(t *testing.T) {
	built := map[string]bool{}
	for _, f := range sources(t) {
		built[f.dir()] = true
		if _, at := roomOf(f.dir()); at < 0 {
			t.Errorf("%s: the package %s is not in the table of arch_test.go", f.path, f.dir())
		}
		if slices.Contains(empty, f.Name.Name) {
			t.Errorf("%s: %s is no noun of the field", f.path, f.Name.Name)
		}
	}
	for _, r := range house {
		if !built[r.name] {
			t.Errorf("%s stands in the table of arch_test.go, and there is no such package", r.name)
		}
	}
}

func TestImportsRunDown(t *testing.T) {
	for _, f := range sources(t) {
		r, at := roomOf(f.dir())
		for _, p := range f.imports() {
			used, is := ours(p)
			if !is || f.test() {
				continue
			}
			if _, n := roomOf(used); !r.may(used) || n >= at {
				t.Errorf("%s: %s may not import %s", f.path, r.name, used)
			}
		}
	}
}

// A gateway is proven by itself, not by what the server would make of it.
func TestGatewaysAreTestedAlone(t *testing.T) {
	for _, f := range sources(t) {
		if !f.test() || !strings.HasPrefix(f.dir(), "internal/sms/") {
			continue
		}
		for _, p := range f.imports() {
			if used, is := ours(p); is && used != "internal/sms" && !strings.HasPrefix(used, "internal/sms/") {
				t.Errorf("%s: the test of a gateway may not import %s", f.path, used)
			}
		}
	}
}

func TestOnlyEdgesReachOutside(t *testing.T) {
	for _, f := range sources(t) {
		r, _ := roomOf(f.dir())
		for _, p := range f.imports() {
			switch {
			case p == "log" || p == "C":
				t.Errorf("%s: import of %q: logs are log/slog, and all is Go", f.path, p)
			case f.test():
			case p == "math/rand" || p == "math/rand/v2" && f.dir() != "internal/sim":
				t.Errorf("%s: chance is crypto/rand; only sim plays with less", f.path)
			case guards(p) && !allowed(r, p):
				t.Errorf("%s: %s may not import %s", f.path, r.name, p)
			}
		}
	}
}

func guards(p string) bool {
	return slices.ContainsFunc(guarded, func(g string) bool { return within(p, g) })
}

// allowed reports whether a room may use a package, or the one that it is in.
func allowed(r room, p string) bool {
	return slices.ContainsFunc(strings.Fields(r.std), func(s string) bool { return within(p, s) })
}

// within reports whether a package is another or stands beneath it. Names and
// addresses, net/netip and net/url, reach nowhere.
func within(p, above string) bool {
	return p == above || above != "net" && strings.HasPrefix(p, above+"/")
}

func TestMoneyIsNeverAFloat(t *testing.T) {
	for _, f := range sources(t) {
		if f.test() || slices.Contains(floating, f.dir()) {
			continue
		}
		ast.Inspect(f.File, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.Ident:
				if n.Name == "float64" || n.Name == "float32" || n.Name == "complex128" || n.Name == "complex64" {
					t.Errorf("%s: %s", f.at(n), n.Name)
				}
			case *ast.BasicLit:
				if n.Kind == token.FLOAT || n.Kind == token.IMAG {
					t.Errorf("%s: %s is a floating point number", f.at(n), n.Value)
				}
			}
			return true
		})
	}
}

func TestRoomsDoNotPrint(t *testing.T) {
	for _, f := range sources(t) {
		if f.test() || slices.Contains(ending, f.dir()) {
			continue
		}
		ast.Inspect(f.File, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := s.X.(*ast.Ident)
			if !ok {
				return true
			}
			switch x.Name + "." + s.Sel.Name {
			case "fmt.Print", "fmt.Printf", "fmt.Println", "os.Stdout", "os.Stderr", "os.Stdin", "os.Exit":
				t.Errorf("%s: %s.%s: only the command line has streams and a status", f.at(n), x.Name, s.Sel.Name)
			}
			return true
		})
	}
}

func TestNothingHappensBeforeMain(t *testing.T) {
	for _, f := range sources(t) {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == "init" && fn.Recv == nil {
				t.Errorf("%s: func init", f.at(fn))
			}
		}
	}
}

// The doc of a package says what it promises, in one place.
func TestEveryPackageSaysWhatItPromises(t *testing.T) {
	docs := map[string][]string{}
	for _, f := range sources(t) {
		if f.Doc == nil {
			continue
		}
		if f.test() {
			t.Errorf("%s: the doc of a package stands where its code is", f.path)
		}
		docs[f.dir()] = append(docs[f.dir()], f.Doc.Text())
		want := "Package " + f.Name.Name + " "
		if f.Name.Name == "main" {
			want = "Maillon " // go.dev/doc/comment: a command's doc begins with its name
		}
		if !strings.HasPrefix(f.Doc.Text(), want) {
			t.Errorf("%s: the doc does not begin with %q", f.path, want)
		}
	}
	for _, r := range house {
		if n := len(docs[r.name]); n != 1 {
			t.Errorf("%s has %d docs, want one", r.name, n)
		}
	}
}
