package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	startTimeout = 60 * time.Second // a recovery after a crash included
	stopTimeout  = 30 * time.Second
	startTries   = 5 // when another process takes the port, or the dead still hold their memory
	pollEvery    = 20 * time.Millisecond
	maxSaid      = 16 << 10 // octets of the log that a failed test shows
)

// settings are for many small servers beside each other on one machine; what
// concerns durability stays as it is.
var settings = map[string]string{
	"listen_addresses":        "127.0.0.1",
	"unix_socket_directories": "",
	"max_connections":         strconv.Itoa(Connections),
	"shared_buffers":          "32MB",
	"max_wal_size":            "256MB",
	// Nothing of a server outside its folder, so that nothing stays.
	"dynamic_shared_memory_type": "mmap",
}

// start makes a folder, and runs a server on it.
func start() (*Server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "maillon-pgtest-")
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, dir: dir}
	if s.guard, err = watch(dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := s.begin(); err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}

func (s *Server) begin() error {
	owner, err := owner()
	if err != nil {
		return err
	}
	if owner != nil {
		if err := os.Chown(s.dir, int(owner.Uid), int(owner.Gid)); err != nil {
			return err
		}
	}
	initdb, err := s.program("initdb", "-D", s.data(), "-U", superuser, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	if err != nil {
		return err
	}
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	if s.port, err = Port(); err != nil {
		return err
	}
	return s.run()
}

// The ports that Port draws from, below those that Linux gives to whoever asks
// for any.
const (
	firstPort = 20_000
	lastPort  = 32_000
	portTries = 1000
)

// Port returns a port of the loopback on which nobody listens. Whoever dials
// out, or listens on any port, is not given it meanwhile.
func Port() (int, error) {
	for range portTries {
		n, err := rand.Int(rand.Reader, big.NewInt(lastPort-firstPort))
		if err != nil {
			return 0, err
		}
		port := firstPort + int(n.Int64())
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, errors.New("no port is free")
}

// owner returns who runs the server if we are root, which PostgreSQL refuses.
func owner() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup(superuser)
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// program prepares a program of PostgreSQL, in a group of its own: what is
// typed at the terminal is for the tests, and the guard ends the server.
func (s *Server) program(name string, args ...string) (*exec.Cmd, error) {
	owner, err := owner()
	if err != nil {
		return nil, err
	}
	c := exec.Command(filepath.Join(s.bin, name), args...)
	c.Dir = s.dir
	c.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	c.SysProcAttr = &syscall.SysProcAttr{Credential: owner, Setpgid: true}
	return c, nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) log() string { return filepath.Join(s.dir, "log") }

// Start runs the server again after Stop or Crash, where it was, and waits
// until it answers.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	if err := s.run(); err != nil {
		t.Fatal(err)
	}
}

func (s *Server) run() error {
	var err error
	for range startTries {
		if err = s.launch(); err != nil {
			return err
		}
		if err = s.answers(); err == nil {
			return nil
		}
		s.kill()
	}
	return fmt.Errorf("PostgreSQL does not start: %w\n%s", err, s.said())
}

func (s *Server) launch() error {
	args := []string{"-D", s.data(), "-p", strconv.Itoa(s.port)}
	for name, value := range settings {
		args = append(args, "-c", name+"="+value)
	}
	postgres, err := s.program("postgres", args...)
	if err != nil {
		return err
	}
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	postgres.Stdout, postgres.Stderr = log, log
	if err := postgres.Start(); err != nil {
		return fmt.Errorf("starting PostgreSQL: %w", err)
	}
	over := make(chan struct{})
	go func() {
		_ = postgres.Wait()
		close(over)
	}()
	s.command, s.over = postgres, over
	return nil
}

// answers waits until the server takes connections, or has ended.
func (s *Server) answers() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.URL())
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-s.over:
			return errors.New("it has ended")
		case <-ctx.Done():
			return err
		case <-time.After(pollEvery):
		}
	}
}

// Stop ends the server in order, as for an upgrade: connections are cut,
// what is committed is on disk.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	_ = s.command.Process.Signal(syscall.SIGINT)
	select {
	case <-s.over:
	case <-time.After(stopTimeout):
		s.kill()
		t.Error("PostgreSQL did not stop and was killed")
	}
}

// Crash kills the server and all its processes at once, as when the machine
// loses its power.
func (s *Server) Crash(t testing.TB) {
	t.Helper()
	s.kill()
}

func (s *Server) kill() {
	if s.ended() {
		return
	}
	s.toAll(syscall.SIGKILL)
	<-s.over
}

func (s *Server) ended() bool {
	if s.command == nil {
		return true
	}
	select {
	case <-s.over:
		return true
	default:
		return false
	}
}

// Pause stops the server and all its processes where they are, as when a
// virtual machine is moved: connections stay open, and nothing answers.
func (s *Server) Pause(t testing.TB) {
	t.Helper()
	s.toAll(syscall.SIGSTOP)
}

// Resume lets the server go on after Pause.
func (s *Server) Resume(t testing.TB) {
	t.Helper()
	s.toAll(syscall.SIGCONT)
}

// toAll signals the server and its processes. It is first stopped itself, so
// that it has no more of them meanwhile.
func (s *Server) toAll(signal syscall.Signal) {
	if s.ended() {
		return
	}
	pid := s.command.Process.Pid
	_ = syscall.Kill(pid, syscall.SIGSTOP)
	for _, child := range children(pid) {
		_ = syscall.Kill(child, signal)
	}
	_ = syscall.Kill(pid, signal)
}

// children returns the processes that a process has started.
func children(pid int) []int {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	var all []int
	for _, stat := range stats {
		text, err := os.ReadFile(stat)
		if err != nil {
			continue // it has ended
		}
		// The name of the program, in brackets, may hold anything.
		_, after, _ := strings.Cut(string(text), ") ")
		if f := strings.Fields(after); len(f) > 1 && f[1] == strconv.Itoa(pid) {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(stat)))
			all = append(all, child)
		}
	}
	return slices.DeleteFunc(all, func(pid int) bool { return pid == 0 })
}

// end kills the server and removes its folder.
func (s *Server) end() {
	s.kill()
	s.guard.release()
}

// said returns the end of the server's log.
func (s *Server) said() string {
	f, err := os.Open(s.log())
	if err != nil {
		return err.Error()
	}
	defer func() { _ = f.Close() }()
	if _, err := f.Seek(-maxSaid, io.SeekEnd); err != nil {
		_, _ = f.Seek(0, io.SeekStart)
	}
	text, _ := io.ReadAll(io.LimitReader(f, maxSaid))
	return string(text)
}

// A guard is a process that outlives the test binary for a moment: it ends the
// server of a folder, if one runs there, and removes the folder.
type guard struct {
	command *exec.Cmd
	line    io.Closer
}

// guarding waits until nobody holds the other end of its standard input. A
// process is only ended if it is at work in the folder: the number in the file
// may be another's by now. Processes that stand still are killed by PostgreSQL
// itself, after 5 seconds.
const guarding = `
cat
read -r pid <"$1/data/postmaster.pid" &&
	[ "$(readlink "/proc/$pid/cwd")" = "$1/data" ] && kill -CONT "$pid" && kill -QUIT "$pid" &&
	for i in $(seq 100); do
		[ -e "$1/data/postmaster.pid" ] || break
		sleep 0.1
	done
rm -rf "$1"
`

func watch(dir string) (*guard, error) {
	c := exec.Command("sh", "-c", guarding, "guard of "+dir, dir)
	c.Dir = "/"
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	line, err := c.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("guarding PostgreSQL: %w", err)
	}
	return &guard{c, line}, nil
}

// release lets the guard do its work now.
func (g *guard) release() {
	_ = g.line.Close()
	_ = g.command.Wait()
}
