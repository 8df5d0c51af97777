package cli

import (
	"context"
	"fmt"
	"strings"

	"maillon/internal/sim"
	"maillon/internal/story"
)

// A storyCommand plays conversations, each against a server of its own.
type storyCommand struct {
	Files []string `arg:"" name:"file" help:"Stories, as the files in testdata/stories."`
}

// Run plays the stories. It returns only if there is none to play: whoever
// plays them ends the program, with ExitDone if all hold, ExitUsage if a file is
// no story, else ExitNo. A story that asks for what is not built yet is skipped,
// and said to be.
func (c *storyCommand) Run(ctx context.Context, io *Streams) error {
	playable := make([]string, 0, len(c.Files))
	for _, file := range c.Files {
		s, err := story.Load(file)
		if err == nil { // else whoever plays it says what is wrong with it
			if acts := sim.Missing(s); len(acts) > 0 {
				fmt.Fprintf(io.Out, "skip %s: %v (%s)\n", file, sim.ErrConsole, strings.Join(acts, ", "))
				continue
			}
		}
		playable = append(playable, file)
	}
	if len(playable) == 0 {
		return &ExitError{Code: ExitNo}
	}
	story.Main(ctx, playable, sim.OpenStory, io.Out, io.Err)
	return nil
}
