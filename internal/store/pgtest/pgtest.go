// Package pgtest runs a real PostgreSQL for tests, on a free port of the
// loopback: New gives each test an empty database on a server that the test
// binary starts once, Start gives a test a server of its own to stop, crash and
// pause. A server ends with the test binary, however that ends, and its folder
// with it.
//
// What is committed to a server of a test's own is synced to disk as anywhere
// else. The shared one is never crashed, and does not wait for the disk.
package pgtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Connections is how many a server takes at once.
const Connections = 200

// superuser owns everything, and needs no password from this machine.
const superuser = "postgres"

// setupTimeout bounds what makes a database.
const setupTimeout = 30 * time.Second

// New returns the URL of a new, empty database on a server that all tests of
// this binary share.
func New(t testing.TB) string {
	t.Helper()
	need(t)
	s, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return s.New(t)
}

// shared lives until the test binary ends, so that nobody ends it.
var shared = sync.OnceValues(func() (*Server, error) {
	s, err := start()
	if err != nil {
		return nil, err
	}
	for _, text := range []string{"ALTER SYSTEM SET fsync = off", "ALTER SYSTEM SET full_page_writes = off", "SELECT pg_reload_conf()"} {
		if err := s.order(text); err != nil {
			return nil, err
		}
	}
	return s, nil
})

// Start runs a server of the test's own until the test ends. Its log shows if
// the test fails.
func Start(t testing.TB) *Server {
	t.Helper()
	need(t)
	s, err := start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("PostgreSQL said:\n%s", s.said())
		}
		s.end()
	})
	return s
}

// New returns the URL of a new, empty database on this server.
func (s *Server) New(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test%d", s.databases.Add(1))
	if err := s.order("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	return s.url(name)
}

// URL is that of a database which is there from the beginning, empty.
func (s *Server) URL() string { return s.url(superuser) }

func (s *Server) url(database string) string {
	return fmt.Sprintf("postgres://%s@127.0.0.1:%d/%s?sslmode=disable", superuser, s.port, database)
}

// order runs one statement.
func (s *Server) order(text string) error {
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL())
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, text); err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	return nil
}

// need skips the test unless MAILLON_REAL says that there is a PostgreSQL, and
// fails it if there is none then.
func need(t testing.TB) {
	t.Helper()
	if os.Getenv("MAILLON_REAL") == "" {
		t.Skip("MAILLON_REAL=1 tests with PostgreSQL too")
	}
	if _, err := programs(); err != nil {
		t.Fatalf("install postgresql: %v", err)
	}
}

// programs returns the folder of initdb and postgres: of the newest version
// that Debian has installed, or wherever PATH says.
func programs() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	version := func(initdb string) int {
		n, _ := strconv.Atoi(strings.Split(initdb, "/")[4])
		return n
	}
	if len(found) > 0 {
		return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })), nil
	}
	initdb, err := exec.LookPath("initdb")
	if err != nil {
		return "", err
	}
	if initdb, err = filepath.EvalSymlinks(initdb); err != nil {
		return "", err
	}
	return filepath.Dir(initdb), nil
}

// A Server is one PostgreSQL with its folder. It is not for use by several
// goroutines, but for New.
type Server struct {
	bin, dir  string
	port      int
	databases atomic.Int64

	command *exec.Cmd
	over    chan struct{} // closed when command has ended
	guard   *guard
}
