package kubetest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mostExposed is what systemd may say of the unit, in tenths: 100 is a service
// that nothing holds back, and below 20 is "OK".
const mostExposed = "20"

// verified returns what systemd has against a unit.
func verified(t *testing.T, unit string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "maillon.service")
	// The program is not installed here; another one stands for it.
	if err := os.WriteFile(path, []byte(strings.Replace(unit, "/usr/local/bin/maillon", "/bin/true", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	said, err := exec.Command("systemd-analyze", "verify", "--man=no", path).CombinedOutput()
	if err != nil {
		return string(said) + err.Error()
	}
	return string(said)
}

func TestTheUnitIsUnderstoodAndHeldBack(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		if os.Getenv("MAILLON_REAL") != "" {
			t.Fatalf("install systemd: %v", err)
		}
		t.Skip("there is no systemd here")
	}
	const path = "../../systemd/maillon.service"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	unit := string(text)
	if said := verified(t, unit); said != "" {
		t.Errorf("systemd says:\n%s", said)
	}
	if verified(t, strings.Replace(unit, "ProtectHome=", "ProtectHomes=", 1)) == "" {
		t.Error("a misspelt key is not noticed: nothing is proven")
	}
	if said, err := exec.Command("systemd-analyze", "security", "--offline=true", "--threshold="+mostExposed, path).CombinedOutput(); err != nil {
		t.Errorf("the unit is too exposed: %v\n%s", err, said)
	}
}
