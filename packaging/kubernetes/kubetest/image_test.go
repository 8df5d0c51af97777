package kubetest_test

import (
	"bufio"
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// nobody is who runs the program in the image.
const nobody = 65532

const repository = "../../.."

func containerfile(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var goBuild = regexp.MustCompile(`(?m)^RUN (CGO_ENABLED=0 go build .*) -o /out/maillon \.$`)

// program is the program, built once with the very command of the Containerfile.
var program = sync.OnceValues(func() ([]byte, error) {
	text, err := os.ReadFile("../../Containerfile")
	if err != nil {
		return nil, err
	}
	command := goBuild.FindStringSubmatch(string(text))
	if command == nil {
		return nil, errors.New("the Containerfile builds no program")
	}
	into, err := os.MkdirTemp("", "maillon-image-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(into) }()
	path := filepath.Join(into, "maillon")
	build := exec.Command("sh", "-c", command[1]+` -o "$0" .`, path)
	build.Dir = repository
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", command[1], err, out)
	}
	return os.ReadFile(path)
})

// image makes a folder of what is in the image. There is no container engine in here: the kernel's own change of
// root stands for it.
func image(t *testing.T) string {
	t.Helper()
	if os.Getenv("MAILLON_REAL") == "" {
		t.Skip("the image is tried only with MAILLON_REAL=1, as make test does")
	}
	if os.Getuid() != 0 {
		t.Skip("only root may change its root")
	}
	dir := t.TempDir()
	built, err := program()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "maillon"), built, 0o755); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "var", "lib", "maillon")
	if err := os.MkdirAll(data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(data, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	return dir
}

// inside prepares the program, in the image: nobody's, with nothing around it.
func inside(dir string, args ...string) *exec.Cmd {
	return &exec.Cmd{
		Path: "/maillon", Args: append([]string{"/maillon"}, args...), Dir: "/", Env: []string{"MAILLON_DATA=/var/lib/maillon"},
		SysProcAttr: &syscall.SysProcAttr{Chroot: dir, Credential: &syscall.Credential{Uid: nobody, Gid: nobody}},
	}
}

func TestTheProgramRunsInAnEmptyFolder(t *testing.T) {
	dir := image(t)
	t.Run("without libraries", func(t *testing.T) { needsNoLibraries(t, dir) })
	t.Run("as a server", func(t *testing.T) { serves(t, dir) })
}

func needsNoLibraries(t *testing.T, dir string) {
	f, err := elf.Open(filepath.Join(dir, "maillon"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the program asks for a loader: %v", p.Type)
		}
	}
	out, err := inside(dir, "version").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "maillon ") {
		t.Errorf("maillon version in an empty folder: %v %s", err, out)
	}
}

// The whole server, its zones and its languages are in the one file.
func serves(t *testing.T, dir string) {
	s := startServer(t, inside(dir, "serve", "--listen=127.0.0.1:0"))
	status, body := ask(s.url + "healthz")
	if err := s.stop(); err != nil || status != http.StatusOK {
		t.Errorf("%s: %d %s, and then %v\n%s", s.url, status, body, err, s.said.String())
	}
}

// A running is a server at work.
type running struct {
	command *exec.Cmd
	out     io.Reader
	said    bytes.Buffer
	url     string
}

// startServer starts a server and waits until it says where it is. It has a
// minute to live.
func startServer(t *testing.T, command *exec.Cmd) *running {
	t.Helper()
	s := &running{command: command}
	command.Stderr = &s.said
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	watchdog := time.AfterFunc(time.Minute, func() { _ = command.Process.Kill() })
	t.Cleanup(func() { watchdog.Stop(); _ = command.Process.Kill() })
	s.out = out
	lines := bufio.NewScanner(out)
	for s.url == "" && lines.Scan() {
		s.url = regexp.MustCompile(`http://127\.0\.0\.1:\d+/`).FindString(lines.Text())
	}
	if s.url == "" {
		t.Fatalf("the server did not start: %v\n%s", command.Wait(), s.said.String())
	}
	return s
}

// stop ends the server in order.
func (s *running) stop() error {
	_ = s.command.Process.Signal(syscall.SIGTERM)
	_, _ = io.Copy(io.Discard, s.out)
	return s.command.Wait()
}

func ask(url string) (int, string) {
	client := http.Client{Timeout: 10 * time.Second}
	answer, err := client.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<10))
	return answer.StatusCode, fmt.Sprint(string(body), err)
}

// What the Containerfile says of the image that the manifests rely on.
func TestTheImageIsNobodys(t *testing.T) {
	text := containerfile(t)
	_, last, _ := strings.Cut(text, "\nFROM scratch\n")
	for _, want := range []string{
		"USER 65532:65532\n", "ENTRYPOINT [\"/maillon\"]\n", "/etc/ssl/certs/ca-certificates.crt\n", "--chown=65532:65532 /out/data /var/lib/maillon\n",
	} {
		if !strings.Contains(last, want) {
			t.Errorf("the image lacks %q", want)
		}
	}
	for name, pod := range decoded(t).pods() {
		if s := pod.Spec.SecurityContext; *s.RunAsUser != nobody || *s.RunAsGroup != nobody || *s.FSGroup != nobody {
			t.Errorf("%s runs as somebody else than the image", name)
		}
	}
}
