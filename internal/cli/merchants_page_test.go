package cli_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A shown is one command of a page, and what it prints there.
type shown struct{ command, prints string }

// readPage returns the commands of a page: what stands indented after a $, until
// the lines that it prints. A command goes on while a quotation is open.
func readPage(t *testing.T, path string) (all []shown) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	going := false
	for line := range strings.Lines(string(text)) {
		line, in := strings.CutPrefix(strings.TrimRight(line, "\n"), "    ")
		command, is := strings.CutPrefix(line, "$ ")
		switch {
		case !in:
		case is:
			all = append(all, shown{command: command})
			going = open(command)
		case going:
			last := &all[len(all)-1]
			last.command += "\n" + line
			going = open(last.command)
		default:
			all[len(all)-1].prints += line + "\n"
		}
	}
	return all
}

var quoted = regexp.MustCompile(`\\.|'[^']*'|"(?:\\.|[^"\\])*"`)

// open reports whether a quotation of a command is still open.
func open(command string) bool {
	return strings.ContainsAny(quoted.ReplaceAllString(command, ""), `'"`)
}

// pattern is what must be printed: dots stand for anything.
func (s shown) pattern() *regexp.Regexp {
	parts := strings.Split(s.prints, "…")
	for n := range parts {
		parts[n] = regexp.QuoteMeta(parts[n])
	}
	return regexp.MustCompile(`(?s)^` + strings.Join(parts, ".*") + `$`)
}

// The page for merchants is tried as somebody new tries it: each line in its
// order, in one shell, beside a server in an empty folder.
func TestThePageForMerchantsIsTrue(t *testing.T) {
	if os.Getenv("MAILLON_REAL") != "1" {
		t.Skip("set MAILLON_REAL=1 to run curl against a server")
	}
	all := readPage(t, "../../docs/ops/merchants.md")
	if len(all) < 20 {
		t.Fatalf("the page has only %d commands", len(all))
	}
	dir := t.TempDir()
	server := serve(t, dir)
	var script strings.Builder
	for _, s := range all {
		command := strings.ReplaceAll(s.command, "http://127.0.0.1:8080", server.url)
		fmt.Fprintf(&script, "%s\nprintf '\\n\\036'\n", command)
	}
	program := maillon(t, dir)
	shell := exec.Command("bash")
	shell.Dir, shell.Stdin = dir, strings.NewReader(script.String())
	shell.Env = append(os.Environ(), "PATH="+filepath.Dir(program.Path)+string(os.PathListSeparator)+os.Getenv("PATH"))
	var out bytes.Buffer
	shell.Stdout, shell.Stderr = &out, &out
	if err := shell.Run(); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	printed := strings.Split(out.String(), "\n\x1e")
	for n, s := range all {
		if got := printed[n]; !s.pattern().MatchString(strings.TrimRight(got, "\n") + strings.Repeat("\n", min(1, len(s.prints)))) {
			t.Errorf("%s\nprints\n%s\nand not\n%s", s.command, got, s.prints)
		}
	}
}
