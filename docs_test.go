package main_test

import (
	"go/ast"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"maillon/internal/setting"
)

// pages returns the text of every page for people, by path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == "node_modules" {
			return fs.SkipDir
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(p, ".md") {
			return err
		}
		text, err := os.ReadFile(p)
		all[filepath.ToSlash(p)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestTheReadmeNamesEveryRoom(t *testing.T) {
	readme := pages(t)["README.md"]
	for _, command := range []string{"go run . serve", "make test"} {
		if !strings.Contains(readme, command) {
			t.Errorf("README.md does not name %q", command)
		}
	}
	for _, r := range house {
		if strings.HasPrefix(r.name, "internal/console/") {
			continue // its rooms are the lines of its menu
		}
		if name, is := strings.CutPrefix(r.name, "internal/"); is && !regexp.MustCompile(`(?m)\b`+regexp.QuoteMeta(filepath.Base(name))+`\b`).MatchString(readme) {
			t.Errorf("README.md does not name %s", r.name)
		}
	}
}

func TestThePageOfSettingsNamesThemAll(t *testing.T) {
	page := pages(t)["docs/ops/configuration.md"]
	for _, key := range setting.Keys() {
		if !strings.Contains(page, "`"+key+"`") {
			t.Errorf("docs/ops/configuration.md does not name the setting %q", key)
		}
	}
}

var link = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)

func TestLinksLeadSomewhere(t *testing.T) {
	found := 0
	for page, text := range pages(t) {
		for _, l := range link.FindAllStringSubmatch(text, -1) {
			found++
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), l[1])); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
	if found == 0 {
		t.Error("no link was found in any page")
	}
}

var namedTest = regexp.MustCompile("`([a-z]+)\\.(Test[A-Za-z0-9]+)`")

// What the list of OWASP says is shown by a test is shown by one that is there.
func TestTheListOfASVSNamesTestsThatAre(t *testing.T) {
	there := map[string]bool{}
	for _, f := range sources(t) {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && f.test() && fn.Recv == nil {
				there[strings.TrimSuffix(f.Name.Name, "_test")+"."+fn.Name.Name] = true
			}
		}
	}
	named := namedTest.FindAllStringSubmatch(pages(t)["docs/asvs.md"], -1)
	for _, n := range named {
		if !there[n[1]+"."+n[2]] {
			t.Errorf("docs/asvs.md names %s.%s, which is nowhere", n[1], n[2])
		}
	}
	if len(named) == 0 {
		t.Error("docs/asvs.md names no test")
	}
}
