package story

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
)

// How the process ends after Main.
const (
	exitHolds      = 0 // all stories hold
	exitDiffers    = 1 // a story does not hold
	exitUnreadable = 2 // a file is no story
)

// Test plays the story in a file, in a bubble of its own. Chance is fixed by the
// story's number, so that a failure repeats; t must not be parallel.
func Test(t *testing.T, file string, open Open) {
	t.Helper()
	s, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	cryptotest.SetGlobalRandom(t, uint64(s.Number)) //nolint:gosec // from 1 to 9999
	if err := inBubble(t, s, open); err != nil {
		t.Fatal(err)
	}
}

// Main plays the stories in files, each in a bubble of its own, outside of go
// test: real time, but not chance, is shut out. It writes to stdout which hold
// and where the others differ, to stderr which are no stories, and ends the
// process with status 0 if all hold, 2 if a file is no story, else 1. A panic in
// a goroutine that the server started ends the process at once, as anywhere.
func Main(ctx context.Context, files []string, open Open, stdout, stderr io.Writer) {
	context.AfterFunc(ctx, func() {
		fmt.Fprintln(stderr, context.Cause(ctx))
		os.Exit(exitDiffers)
	})
	play := func(t *testing.T) {
		os.Exit(playAll(t, files, open, stdout, stderr)) // here, before testing writes that it passed
	}
	// Only package testing makes bubbles, for a test that it runs itself. The
	// arguments of the program are none of its flags.
	os.Args = os.Args[:1]
	every := func(string, string) (bool, error) { return true, nil }
	testing.Main(every, []testing.InternalTest{{Name: "stories", F: play}}, nil, nil)
}

func playAll(t *testing.T, files []string, open Open, stdout, stderr io.Writer) (status int) {
	for _, file := range files {
		s, err := Load(file)
		if err != nil {
			fmt.Fprintln(stderr, err)
			status = exitUnreadable
			continue
		}
		if err := inBubble(t, s, open); err != nil {
			fmt.Fprintln(stdout, err)
			status = max(status, exitDiffers)
			continue
		}
		fmt.Fprintln(stdout, "ok", file)
	}
	return status
}

// inBubble runs a story in a bubble. A panic in it is its error, and so is a
// goroutine that the story leaves behind.
func inBubble(t *testing.T, s *Story, open Open) (err error) {
	defer func() {
		if r := recover(); r != nil { // by synctest: a deadlock, or a goroutine left
			err = errors.Join(err, fmt.Errorf("%s: %v", s.File, r))
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("%s: panic: %v\n%s", s.File, r, debug.Stack())
			}
		}()
		err = Run(t.Context(), s, open)
	})
	return err
}
