package cli_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	_ "modernc.org/sqlite" // to edit books by hand

	"maillon/internal/cli"
	"maillon/internal/member"
	"maillon/internal/rest"
	"maillon/internal/server"
	"maillon/internal/sms"
	"maillon/internal/store"
)

// The scripts use the program as a person at a terminal does. Beside it they
// have a telephone, and the tools of somebody who edits databases by hand.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"maillon": func() { os.Exit(cli.Main()) },
		"phone":   helper(phone),
		"ask":     helper(ask),
		"sql":     helper(editBooks),
	})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "../../testdata/script",
		Condition: func(cond string) (bool, error) {
			if cond != "real" {
				return false, fmt.Errorf("unknown condition %q", cond)
			}
			return os.Getenv("MAILLON_REAL") == "1", nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"stamp":   stamp,
			"status":  status,
			"newest":  newest,
			"capture": capture,
			"utf16":   toUTF16,
		},
	})
}

func helper(run func(args []string) error) func() {
	return func() {
		if err := run(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// status runs a command that must end with a status: status CODE COMMAND….
func status(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		got = e.ExitCode()
	} else {
		ts.Check(err)
	}
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("%s ended with status %d, not %s", strings.Join(args[1:], " "), got, args[0])
	}
}

// newest puts the path of the newest backup of a folder into a variable: newest VAR DIR.
func newest(ts *testscript.TestScript, _ bool, args []string) {
	all, err := filepath.Glob(filepath.Join(ts.MkAbs(args[1]), "2*"))
	ts.Check(err)
	ts.Setenv(args[0], all[len(all)-1])
}

// stamp puts the time into a variable: stamp VAR.
func stamp(ts *testscript.TestScript, _ bool, args []string) {
	time.Sleep(2 * time.Millisecond) // so that what comes before is before
	ts.Setenv(args[0], time.Now().Format(time.RFC3339Nano))
	time.Sleep(2 * time.Millisecond)
}

// capture puts what a pattern finds in the last output into a variable.
func capture(ts *testscript.TestScript, _ bool, args []string) {
	found := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if found == nil {
		ts.Fatalf("the output has no %q", args[1])
	}
	ts.Setenv(args[0], found[len(found)-1])
}

// toUTF16 writes a file again as spreadsheets write "Unicode text": utf16 FILE TO.
func toUTF16(ts *testscript.TestScript, _ bool, args []string) {
	out := []byte{0xff, 0xfe}
	for _, r := range strings.ReplaceAll(ts.ReadFile(args[0]), ";", "\t") {
		out = append(out, byte(r), byte(r>>8)) //nolint:gosec // the scripts stay in the first plane
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), out, 0o600))
}

// editBooks changes a database behind the program's back: sql FILE STATEMENT.
func editBooks(args []string) error {
	db, err := sql.Open("sqlite", args[0])
	if err != nil {
		return err
	}
	defer db.Close()
	r, err := db.Exec(args[1])
	if err != nil {
		return err
	}
	n, err := r.RowsAffected()
	if err != nil || n == 0 {
		return fmt.Errorf("%d rows changed: %w", n, err)
	}
	return nil
}

var askedCode = regexp.MustCompile(`\b([0-9]{3}) ([0-9]{3})\b`)

// phone sends an SMS to the books in ./maillon-data and prints what comes back;
// with -yes it also answers with the code that it is asked: phone [-yes] FROM TEXT.
func phone(args []string) error {
	ctx := context.Background()
	yes := args[0] == "-yes"
	if yes {
		args = args[1:]
	}
	s, err := openBooks(ctx, cli.Folder{})
	if err != nil {
		return err
	}
	defer s.Close()
	got, err := text(ctx, s, args[0], args[1])
	if code := askedCode.FindStringSubmatch(got); yes && err == nil {
		if code == nil {
			return fmt.Errorf("no code was asked: %s", got)
		}
		got, err = text(ctx, s, args[0], code[1]+code[2])
	}
	fmt.Println(got)
	return err
}

// ask sends a request to the API of the books in ./maillon-data, with the key in
// $KEY, and prints the answer; it fails if that is a refusal: ask METHOD PATH
// [BODY]. Each request has an Idempotency-Key: what is asked twice is one thing.
func ask(args []string) error {
	ctx := context.Background()
	s, err := openBooks(ctx, cli.Folder{})
	if err != nil {
		return err
	}
	defer s.Close()
	body := strings.Join(args[2:], "")
	r := httptest.NewRequest(args[0], args[1], strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+os.Getenv("KEY"))
	r.Header.Set("Idempotency-Key", fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(args, " ")))))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	rest.New(rest.Parts{DB: s.DB, Desk: s.Desk, Merchants: s.Merchants}).ServeHTTP(w, r)
	fmt.Print(w.Body)
	if w.Code >= http.StatusBadRequest {
		return fmt.Errorf("%s %s is answered %d", args[0], args[1], w.Code)
	}
	return nil
}

// openBooks opens the books of a folder as a server does.
func openBooks(ctx context.Context, f cli.Folder) (*server.Server, error) {
	config, err := f.LoadConfig("")
	if err != nil {
		return nil, err
	}
	book, err := config.Book()
	if err != nil {
		return nil, err
	}
	secret, err := f.Secret(false)
	if err != nil {
		return nil, err
	}
	return server.Open(ctx, server.Config{Path: f.Books(), Secret: secret, Settings: config.Settings, Book: book})
}

// text sends one SMS and returns the SMS that went to its sender since.
func text(ctx context.Context, s *server.Server, from, what string) (string, error) {
	number, err := sms.ParseNumber(from, "FR")
	if err != nil {
		return "", err
	}
	before, err := received(ctx, s, number)
	if err != nil {
		return "", err
	}
	key := fmt.Sprint(time.Now().UnixNano())
	if err := s.Teller.Receive(ctx, sms.Incoming{Gateway: "virtual", Key: key, From: number.E164(), Text: what}); err != nil {
		return "", err
	}
	after, err := received(ctx, s, number)
	if err != nil {
		return "", err
	}
	return strings.Join(after[len(before):], "\n"), nil
}

func received(ctx context.Context, s *server.Server, n sms.Number) (texts []string, err error) {
	err = s.DB.View(ctx, func(tx *store.Tx) error {
		var m *member.Member
		if m, err = tx.MemberByNumber(ctx, n); err != nil {
			return err
		}
		thread, err := tx.Thread(ctx, m, 1000)
		for _, l := range thread {
			if l.Out {
				texts = append(texts, l.Text)
			}
		}
		return err
	})
	return texts, err
}
