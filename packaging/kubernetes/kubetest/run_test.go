package kubetest_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"maillon/internal/store/pgtest"
)

// No cluster is needed to do what it would: the Job and then a server are run
// with the arguments, the configuration and the secrets of the manifests, where
// there is nothing else, beside a real PostgreSQL, and are asked by the probes.
func TestTheManifestsRunBesidePostgreSQL(t *testing.T) {
	dir := image(t)
	c := decoded(t)
	c.mount(t, dir, pgtest.New(t))

	if out, err := inside(dir, "config", "check", "/etc/maillon/maillon.toml").CombinedOutput(); err != nil {
		t.Fatalf("the configuration: %v\n%s", err, out)
	}
	for range 2 { // again it changes nothing
		if out, err := inside(dir, c.job.Spec.Template.Spec.Containers[0].Args...).CombinedOutput(); err != nil {
			t.Fatalf("the upgrade: %v\n%s", err, out)
		}
	}
	k := c.deployment.Spec.Template.Spec.Containers[0]
	args := slices.Clone(k.Args)
	for n, a := range args {
		if a == "--listen=:8080" {
			args[n] = "--listen=127.0.0.1:0"
		}
	}
	s := startServer(t, inside(dir, args...))
	for name, path := range map[string]string{
		"startup": k.StartupProbe.HTTPGet.Path, "readiness": k.ReadinessProbe.HTTPGet.Path, "liveness": k.LivenessProbe.HTTPGet.Path,
	} {
		if status, body := ask(s.url + strings.TrimPrefix(path, "/")); status != http.StatusOK {
			t.Errorf("the %s probe is answered %d %s", name, status, body)
		}
	}
	if err := s.stop(); err != nil {
		t.Errorf("the server did not stop well: %v\n%s", err, s.said.String())
	}
}

// mount puts configuration and secrets where the pods have them; for the
// address of the database is ours.
func (c *cluster) mount(t *testing.T, dir, database string) {
	t.Helper()
	files := map[string]string{}
	for name, text := range c.config.Data {
		before, after, ok := strings.Cut(text, `url = "postgres://`)
		if _, after, ok = strings.Cut(after, "\"\n"); !ok {
			t.Fatalf("no database in\n%s", text)
		}
		files["etc/maillon/"+name] = before + `url = "` + database + "\"\n" + after
	}
	for name, value := range c.secret.Data {
		files["run/secrets/maillon/"+name] = string(value)
	}
	// A secret of the server is not any text.
	files["run/secrets/maillon/secret"] = strings.Repeat("5ec2", 16)
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o400); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
}
