package sim_test

import (
	"path/filepath"
	"testing"

	"maillon/internal/sim"
	"maillon/internal/story"
)

// Every conversation that is promised works word for word.
func TestStories(t *testing.T) {
	for _, pattern := range []string{"*.sms", "more/*.sms"} {
		files, err := filepath.Glob(filepath.Join("..", "..", "testdata", "stories", pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no stories: %v", pattern, err)
		}
		for _, file := range files {
			t.Run(filepath.Base(file), func(t *testing.T) {
				s, err := story.Load(file)
				if err != nil {
					t.Fatal(err)
				}
				if acts := sim.Missing(s); len(acts) > 0 {
					t.Skip(sim.ErrConsole, acts)
				}
				story.Test(t, file, sim.OpenStory)
			})
		}
	}
}
