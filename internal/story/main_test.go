package story_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"maillon/internal/story"
)

// asMain makes this test binary play the stories that are its arguments,
// against a bank with one fault.
const asMain = "STORY_TEST_FAULT"

func TestMain(m *testing.M) {
	fault, ok := os.LookupEnv(asMain)
	if !ok {
		os.Exit(m.Run())
	}
	f := faults{leave: fault == "leave", ticks: fault == "tick", panics: fault == "panic"}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	if fault == "hang" {
		// A bubble does not wait for what is outside of it.
		f.opened = func(story.Setup) { cancel(); _ = exec.Command("sleep", "60").Run() }
	}
	story.Main(ctx, os.Args[1:], f.open, os.Stdout, os.Stderr)
}

// run plays files in a process of its own.
func run(t *testing.T, fault string, files ...string) (status int, stdout, stderr string) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(program, files...)
	c.Env = append(os.Environ(), asMain+"="+fault)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	err = c.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), out.String(), errs.String()
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTheProcessEndsAsTheStoriesDo(t *testing.T) {
	good := write(t, "good.sms", head+paid)
	other := write(t, "other.sms", strings.Replace(head+paid, "lena=20", "lena=21", 1))
	unreadable := write(t, "unreadable.sms", "# 1 T\n@clock yesterday\n")

	status, out, errs := run(t, "", good, good)
	if want := "ok " + good + "\nok " + good + "\n"; status != 0 || out != want || errs != "" {
		t.Errorf("two that hold: status %d\n%s%s", status, out, errs)
	}
	status, out, errs = run(t, "", other, good)
	if want := other + ":11:\n  - = lena=21\n  + = lena=20\nok " + good + "\n"; status != 1 || out != want || errs != "" {
		t.Errorf("one that differs: status %d\n%s%s", status, out, errs)
	}
	status, out, errs = run(t, "", unreadable, other, good)
	if status != 2 || !strings.HasPrefix(errs, unreadable+":2: @clock: ") || !strings.HasSuffix(out, "ok "+good+"\n") {
		t.Errorf("one that is no story: status %d\n%s%s", status, out, errs)
	}
	if status, _, errs = run(t, "", good+".not"); status != 2 || errs == "" {
		t.Errorf("one that is not there: status %d, %q", status, errs)
	}
	if status, out, errs = run(t, "", "-test.v"); status != 2 || strings.Contains(out, "RUN") {
		t.Errorf("a file is taken for a flag: status %d\n%s%s", status, out, errs)
	}
}

func TestNeitherPanicNorForgottenGoroutineIsSwallowed(t *testing.T) {
	good := write(t, "good.sms", head+paid)
	for fault, says := range map[string]string{"panic": "panic: out of paper", "leave": "deadlock", "tick": "deadlock"} {
		status, out, errs := run(t, fault, good, good)
		if status != 1 || strings.Count(out, good+": ") != 2 || !strings.Contains(out, says) || errs != "" {
			t.Errorf("%s: status %d\n%s%s", fault, status, out, errs)
		}
	}
}

func TestAnInterruptedPlayEnds(t *testing.T) {
	good := write(t, "good.sms", head+paid)
	status, out, errs := run(t, "hang", good)
	if status != 1 || out != "" || !strings.Contains(errs, context.Canceled.Error()) {
		t.Errorf("status %d\n%s%s", status, out, errs)
	}
}
