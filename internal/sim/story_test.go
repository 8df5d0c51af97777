package sim_test

import (
	"path/filepath"
	"testing"

	"maillon/internal/sim"
	"maillon/internal/store"
	"maillon/internal/store/pgtest"
	"maillon/internal/story"
)

// Every conversation that is promised works word for word, whatever keeps the
// books.
func TestStories(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { play(t, func(*testing.T) string { return store.Memory }) })
	t.Run("postgres", func(t *testing.T) { play(t, func(t *testing.T) string { return pgtest.New(t) }) })
}

func play(t *testing.T, where func(*testing.T) string) {
	t.Helper()
	for _, pattern := range []string{"*.sms", "more/*.sms"} {
		files, err := filepath.Glob(filepath.Join("..", "..", "testdata", "stories", pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no stories: %v", pattern, err)
		}
		for _, file := range files {
			t.Run(filepath.Base(file), func(t *testing.T) {
				story.Test(t, file, sim.OpenStoryAt(where(t)))
			})
		}
	}
}
