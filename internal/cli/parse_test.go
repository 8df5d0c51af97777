package cli_test

import (
	"os"
	"strings"
	"testing"

	"maillon/internal/cli"
)

func parse(t *testing.T, texts string) (status int, out, errs string) {
	t.Helper()
	var stdout, stderr strings.Builder
	status = cli.Run(t.Context(), []string{"parse"}, &cli.Streams{In: strings.NewReader(texts), Out: &stdout, Err: &stderr})
	return status, stdout.String(), stderr.String()
}

// The table of the specification is what parse says, line by line.
func TestParseSaysWhatTheTableSays(t *testing.T) {
	table, err := os.ReadFile("../../testdata/spec/grammar.tsv")
	if err != nil {
		t.Fatal(err)
	}
	var texts, want []string
	for line := range strings.SplitSeq(strings.TrimSuffix(string(table), "\n"), "\n") {
		text, parse, ok := strings.Cut(line, "\t")
		if !ok {
			t.Fatalf("%q is no line of the table", line)
		}
		texts, want = append(texts, text), append(want, parse)
	}
	status, out, errs := parse(t, strings.Join(texts, "\n")+"\n")
	got := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if status != cli.ExitDone || errs != "" || len(got) != len(want) {
		t.Fatalf("status %d, %d lines for %d\n%s", status, len(got), len(want), errs)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%q is parsed as\n%s\nwant\n%s", texts[i], got[i], want[i])
		}
	}
}

func TestParseReadsWhateverComes(t *testing.T) {
	status, out, _ := parse(t, "\xff\xfe solde\x00\n\u202esolde\nsolde")
	if status != cli.ExitDone || strings.Count(out, "\n") != 3 || !strings.HasSuffix(out, "\nbalance\n") {
		t.Errorf("status %d\n%s", status, out)
	}
	status, out, errs := parse(t, "solde\n"+strings.Repeat("x", 1<<20)+"\nsolde\n")
	if status != cli.ExitUsage || out != "balance\n" || !strings.Contains(errs, "line 2 is longer than") {
		t.Errorf("a line of a megabyte: status %d\n%s%s", status, out, errs)
	}
}
