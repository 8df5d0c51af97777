package cli

import (
	"context"

	"maillon/internal/sim"
	"maillon/internal/story"
)

// A storyCommand plays conversations, each against a server of its own.
type storyCommand struct {
	Files []string `arg:"" name:"file" help:"Stories, as the files in testdata/stories."`
}

// Run plays the stories, and ends the program: with ExitDone if all hold,
// ExitUsage if a file is no story, else ExitNo.
func (c *storyCommand) Run(ctx context.Context, io *Streams) error {
	story.Main(ctx, c.Files, sim.OpenStory, io.Out, io.Err)
	return nil
}
