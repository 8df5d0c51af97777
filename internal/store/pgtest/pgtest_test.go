package pgtest_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"maillon/internal/store/pgtest"
)

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func run(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func one(t *testing.T, conn *pgx.Conn, sql string) (value string) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), sql).Scan(&value); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return value
}

func TestEachDatabaseIsItsOwnAndThoseOfAnOwnServerAreDurable(t *testing.T) {
	a, b := connect(t, pgtest.New(t)), connect(t, pgtest.New(t))
	run(t, a, "CREATE TABLE mine (n int)")
	run(t, b, "CREATE TABLE mine (n int)")
	if got := one(t, a, "SHOW server_version"); !strings.Contains(got, ".") {
		t.Errorf("server_version = %q", got)
	}
	own := connect(t, pgtest.Start(t).URL())
	for _, setting := range []string{"fsync", "synchronous_commit", "full_page_writes"} {
		if got := one(t, own, "SHOW "+setting); got != "on" {
			t.Errorf("%s = %q, and durability is tested", setting, got)
		}
	}
}

func TestWhatIsCommittedOutlivesACrash(t *testing.T) {
	s := pgtest.Start(t)
	url := s.New(t)
	before := connect(t, url)
	run(t, before, "CREATE TABLE kept (n int)")
	run(t, before, "INSERT INTO kept VALUES (42)")

	s.Crash(t)
	if err := before.Ping(t.Context()); err == nil {
		t.Error("a crashed server answers")
	}
	s.Start(t)
	after := connect(t, url)
	if got := one(t, after, "SELECT n::text FROM kept"); got != "42" {
		t.Errorf("after a crash there is %q", got)
	}

	s.Stop(t)
	if err := after.Ping(t.Context()); err == nil {
		t.Error("a stopped server answers")
	}
	s.Start(t)
	if got := one(t, connect(t, url), "SELECT n::text FROM kept"); got != "42" {
		t.Errorf("after a stop there is %q", got)
	}
}

func TestAPausedServerAnswersLater(t *testing.T) {
	s := pgtest.Start(t)
	conn := connect(t, s.URL())
	s.Pause(t)
	answer := make(chan error, 1)
	go func() { answer <- conn.Ping(context.Background()) }()
	select {
	case err := <-answer:
		t.Errorf("a paused server answered: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
	s.Resume(t)
	if err := <-answer; err != nil {
		t.Errorf("a server that goes on did not answer: %v", err)
	}
}

// orphanVariable makes this binary a test that is killed.
const orphanVariable = "MAILLON_PGTEST_ORPHAN"

func TestNothingStaysOfAKilledTest(t *testing.T) {
	if os.Getenv(orphanVariable) != "" {
		fmt.Println("url", pgtest.New(t))
		select {}
	}
	// Without PostgreSQL this skips.
	_ = pgtest.New(t)
	temp, err := os.MkdirTemp("", "maillon-pgtest-orphan-") //nolint:usetesting // nobody else may enter the one of the test
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(temp) }()
	if err := os.Chmod(temp, 0o711); err != nil { // PostgreSQL is another user's
		t.Fatal(err)
	}
	orphan := exec.Command(os.Args[0], "-test.run", "^TestNothingStaysOfAKilledTest$", "-test.v")
	orphan.Env = append(os.Environ(), orphanVariable+"=1", "TMPDIR="+temp)
	out, err := orphan.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := orphan.Start(); err != nil {
		t.Fatal(err)
	}
	var url string
	for lines := bufio.NewScanner(out); url == "" && lines.Scan(); {
		_, url, _ = strings.Cut(lines.Text(), "url ")
	}
	_ = connect(t, url)
	if err := orphan.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = orphan.Wait()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		left, err := os.ReadDir(temp)
		if err != nil {
			t.Fatal(err)
		}
		if len(left) == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d folders stay", len(left))
		}
	}
	if _, err := pgx.Connect(t.Context(), url); err == nil {
		t.Error("the server of a killed test still answers")
	}
}
