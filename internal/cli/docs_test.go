package cli_test

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"

	"maillon/internal/cli"
)

var helpLine = regexp.MustCompile(`(?m)^  ([a-z]+(?: [a-z]+)?)  `)

func TestThePageOfCommandsNamesThemAll(t *testing.T) {
	page, err := os.ReadFile("../../docs/ops/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	var help bytes.Buffer
	if status := cli.Run(t.Context(), []string{"--help"}, &cli.Streams{Out: &help, Err: &help}); status != cli.ExitDone {
		t.Fatalf("--help ends with %d", status)
	}
	commands := helpLine.FindAllStringSubmatch(help.String(), -1)
	if len(commands) < 20 {
		t.Fatalf("only %d commands were found in\n%s", len(commands), help.String())
	}
	for _, c := range commands {
		if !strings.Contains(string(page), "`maillon "+c[1]) {
			t.Errorf("docs/ops/commands.md does not name `maillon %s`", c[1])
		}
	}
}
