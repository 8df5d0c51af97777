package till_test

import (
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/unicode"

	"maillon/internal/auth"
	"maillon/internal/console/frame"
	"maillon/internal/console/frame/frametest"
	"maillon/internal/console/safety"
	"maillon/internal/console/till"
	"maillon/internal/server"
)

func open(t *testing.T) *frametest.Console {
	t.Helper()
	c := frametest.Open(t, func(s *server.Server) []frame.Room { return []frame.Room{till.New(s), safety.New(s)} })
	for _, name := range []string{"abe", "ada", "tess"} {
		c.Fresh(name, auth.Visitor{Session: name, Proved: time.Now()})
	}
	return c
}

var hidden = regexp.MustCompile(`name="(\w+)" value="([^"]*)"`)

// fields are the hidden fields of a page.
func fields(page string) (pairs []string) {
	for _, f := range hidden.FindAllStringSubmatch(page, -1) {
		pairs = append(pairs, f[1], html.UnescapeString(f[2]))
	}
	return pairs
}

// A credit shows its effect first, is done once however often its form comes,
// and above the ceiling waits for another person.
func TestOneIsCredited(t *testing.T) {
	c := open(t)
	key := fields(c.Get("cam", "/credit").Body)
	sure := c.Post("cam", "/credit", append(key, "who", "lena", "sum", "30", "reason", "atelier vélo")...)
	for _, want := range []string{"75 m", "atelier vélo", `credits you 30 m: "atelier vélo". New balance 75 m`} {
		if !sure.Says(want) {
			t.Errorf("the effect does not say %q: %s", want, sure.Text)
		}
	}
	if got := c.Balance("lena"); got != 45 {
		t.Errorf("lena has %d before it is confirmed", got)
	}
	for n, want := range []int{http.StatusSeeOther, http.StatusConflict} {
		if got := c.Post("cam", "/credit", fields(sure.Body)...); got.Status != want {
			t.Errorf("time %d: %d %s", n+1, got.Status, got.Text)
		}
	}
	if got := c.Balance("lena"); got != 75 {
		t.Errorf("lena has %d, want 75", got)
	}
	key = fields(c.Get("cam", "/credit").Body)
	sure = c.Post("cam", "/credit", append(key, "who", "yann", "sum", "171", "reason", "week")...)
	if !sure.Says("another person must approve it") {
		t.Errorf("above the ceiling: %s", sure.Text)
	}
	if got := c.Post("cam", "/credit", fields(sure.Body)...); got.Status != http.StatusSeeOther {
		t.Errorf("propose: %d %s", got.Status, got.Text)
	}
	if got := c.Balance("yann"); got != 120 {
		t.Errorf("yann has %d before somebody approved", got)
	}
}

// What is wrong with a credit is said at its field, and nothing is done.
func TestAWrongCreditIsRefused(t *testing.T) {
	c := open(t)
	for want, pairs := range map[string][]string{
		"Nobody has this pseudo":              {"who", "nobody", "sum", "3", "reason", "why"},
		"This is no amount":                   {"who", "lena", "sum", "-3", "reason", "why"},
		"A reason of at most":                 {"who", "lena", "sum", "3", "reason", ""},
		"The form cannot be read":             {"who", "lena", "sum", "3", "reason", "why", "key", ""},
		"Your role does not allow this page.": nil,
	} {
		who := "cam"
		if pairs == nil {
			who = "fay"
		}
		if len(pairs) < 8 {
			pairs = append(pairs, "key", "k")
		}
		if got := c.Post(who, "/credit", pairs...); !got.Says(want) {
			t.Errorf("%v: %d %s, want %q", pairs, got.Status, got.Text, want)
		}
	}
}

const table = "numero_ou_pseudo;montant;motif;cle\r\nlena;20;atelier vélo;nov-lena\r\nsoazig;30;atelier;nov-soazig\r\n0639980999;5;bienvenue;nov-new\r\n"

// A file shows its effect, names the lines that cannot be, is done whole or not at
// all, and a second time does nothing; it may come from any spreadsheet.
func TestAFileIsCredited(t *testing.T) {
	c := open(t)
	wrong := c.Upload("tess", "/credit/many", "file", []byte(strings.Replace(table, "soazig;30", "=cmd|' /C calc';30", 1)))
	if wrong.Status != http.StatusUnprocessableEntity || !wrong.Says("Nothing will be credited") || !wrong.Says("3 A cell is a formula") {
		t.Errorf("a faulty file: %d %s", wrong.Status, wrong.Text)
	}
	wide, err := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().Bytes([]byte(table))
	if err != nil {
		t.Fatal(err)
	}
	dry := c.Upload("tess", "/credit/many", "file", wide)
	if dry.Status != http.StatusOK || !dry.Says("To credit 3: 55 m") || !dry.Says("Accounts opened 1") {
		t.Fatalf("the effect: %d %s", dry.Status, dry.Text)
	}
	if got := c.Balance("lena"); got != 45 {
		t.Errorf("lena has %d before it is confirmed", got)
	}
	if got := c.Upload("tess", "/credit/many", "none", nil, fields(dry.Body)...); !got.Says("A reason is needed") {
		t.Errorf("without a reason: %d %s", got.Status, got.Text)
	}
	confirm := append(fields(dry.Body), "reason", "november")
	if got := c.Upload("tess", "/credit/many", "none", nil, confirm...); got.Status != http.StatusSeeOther {
		t.Fatalf("confirmed: %d %s", got.Status, got.Text)
	}
	if lena, soazig := c.Balance("lena"), c.Balance("soazig"); lena != 65 || soazig != 100 {
		t.Errorf("lena has %d, soazig %d; want 65 and 100", lena, soazig)
	}
	if got := c.Upload("tess", "/credit/many", "file", []byte(table)); !got.Says("All of it was done before") {
		t.Errorf("again: %d %s", got.Status, got.Text)
	}
}

// More than one person may credit alone waits for another one.
func TestALargeFileNeedsTwo(t *testing.T) {
	c := open(t)
	dry := c.Upload("tess", "/credit/many", "file", []byte("who;amount;reason;key\nlena;900;year;1\n"))
	if !dry.Says("Another person will have to approve") {
		t.Fatalf("the effect: %d %s", dry.Status, dry.Text)
	}
	if got := c.Upload("tess", "/credit/many", "none", nil, append(fields(dry.Body), "reason", "year")...); got.Location != "/approvals" {
		t.Fatalf("proposed: %d %s", got.Status, got.Text)
	}
	if got := c.Get("abe", "/credit/many/1"); !got.Says("1: 900 m") {
		t.Errorf("the second person reads %s", got.Text)
	}
	if got := c.Post("tess", "/approvals/1", "verdict", "approve"); !got.Says("A second person is needed") {
		t.Errorf("approved by who proposed: %s", got.Text)
	}
	if got := c.Post("abe", "/approvals/1", "verdict", "approve"); got.Status != http.StatusSeeOther {
		t.Fatalf("approved: %d %s", got.Status, got.Text)
	}
	if got := c.Balance("lena"); got != 945 {
		t.Errorf("lena has %d, want 945", got)
	}
}
