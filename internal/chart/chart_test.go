package chart_test

import (
	"encoding/xml"
	"errors"
	"html/template"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"maillon/internal/chart"
)

// A failer is a test, or one case of a property.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// read reads a picture as XML, and fails if it is none or carries what a page's
// policy forbids.
func read(t failer, svg template.HTML) (elements map[string]int) {
	t.Helper()
	elements = map[string]int{}
	for d := xml.NewDecoder(strings.NewReader(string(svg))); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return elements
		}
		if err != nil {
			t.Fatalf("%v in %s", err, svg)
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		elements[e.Name.Local]++
		for _, a := range e.Attr {
			if a.Name.Local == "style" || strings.HasPrefix(a.Name.Local, "on") || strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf") {
				t.Fatalf("%s has %s=%q", e.Name.Local, a.Name.Local, a.Value)
			}
		}
	}
}

// Whatever the numbers and names are, a picture is well-formed, says what it is,
// and has no number that is none.
func TestPicturesAreWhole(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		n := rapid.IntRange(0, 60).Draw(r, "points")
		c := chart.Chart{ID: "a", Title: rapid.String().Draw(r, "title"), Text: "<&>"}
		c.Title = strings.Map(printable, c.Title)
		for range n {
			c.Labels = append(c.Labels, "12/10")
		}
		for range rapid.IntRange(0, 7).Draw(r, "series") {
			values := rapid.SliceOfN(rapid.Int64Range(-1_000_000_000_000, 1_000_000_000_000), n, n).Draw(r, "values")
			c.Series = append(c.Series, chart.Series{Name: `<b>"x"`, Values: values})
		}
		for _, draw := range []func(chart.Chart) template.HTML{chart.Lines, chart.Bars, chart.Areas} {
			if e := read(r, draw(c)); e["title"] != 1 || e["desc"] != 1 || e["b"] != 0 {
				r.Fatalf("elements %v", e)
			}
		}
	})
}

func printable(c rune) rune {
	if c < ' ' || c == 0xfffe || c == 0xffff {
		return -1
	}
	return c
}

func TestAxesHaveRoundNumbers(t *testing.T) {
	svg := string(chart.Lines(chart.Chart{ID: "a", Labels: []string{"1", "2"}, Series: []chart.Series{{Name: "x", Values: []int64{0, 93}}}}))
	for _, want := range []string{">0<", ">20<", ">100<"} {
		if !strings.Contains(svg, want) {
			t.Errorf("no %s in %s", want, svg)
		}
	}
	if strings.Contains(svg, ">120<") {
		t.Errorf("the axis is higher than it need be: %s", svg)
	}
}

func TestFlowsAreBands(t *testing.T) {
	f := chart.Flows{
		ID: "f", Title: "who pays whom", Names: []string{"shops", "<others>", "nobody"},
		Flows: []chart.Flow{{From: 0, To: 1, Sum: 10}, {From: 1, To: 1, Sum: 5}, {From: 1, To: 0}},
		Write: func(int64) string { return "1 & 2" },
	}
	e := read(t, f.Draw())
	if e["path"] != 2 || e["rect"] != 3 {
		t.Errorf("%v, want 2 bands between 3 ends: what is nothing is not drawn", e)
	}
	f.Flows = nil
	if e := read(t, f.Draw()); e["svg"] != 1 {
		t.Errorf("%v of nothing", e)
	}
}
