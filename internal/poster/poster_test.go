package poster_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"maillon/internal/poster"
)

var update = flag.Bool("update", false, "write testdata/posters.sum anew: look at the posters first")

func honey() poster.Poster {
	return poster.Poster{
		Stall:       "Coopérative Tiznit أركان",
		Description: "Huile d'argan, 1 litre",
		Price:       "120,00 MAD",
		Short:       "7KQ2",
		Text:        "VIR 7KQ2",
		Numbers:     []string{"06 39 98 00 00"},
		URL:         "https://maillon.example.org/t/7KQ2",
		Languages:   []poster.Language{poster.French, poster.Arabic, poster.Tifinagh},
	}
}

// open is a poster on which the buyer writes the price, in all languages.
func open() poster.Poster {
	p := honey()
	p.Stall, p.Price = "تعاونية تيزنيت", ""
	p.Numbers = append(p.Numbers, "06 39 98 00 01")
	p.Languages = []poster.Language{poster.Arabic, poster.Tifinagh, poster.English, poster.French}
	return p
}

func svg(t testing.TB, s *poster.Scene) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := s.SVG(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func pdf(t testing.TB, s *poster.Scene) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := s.PDF(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func draw(t testing.TB, p poster.Poster, size poster.Size) *poster.Scene {
	t.Helper()
	s, err := poster.NewPress().Draw(p, size)
	if err != nil {
		t.Fatalf("%s: %v", size.Name, err)
	}
	return s
}

// The same poster is the same file on every machine, and with every version of
// this program that does not mean to draw otherwise.
func TestTheSamePosterIsTheSameFile(t *testing.T) {
	var sums strings.Builder
	for _, size := range poster.Sizes() {
		for name, p := range map[string]poster.Poster{"fixed": honey(), "open": open()} {
			if name == "open" && size.Name != "A5" {
				continue
			}
			sum := sha256.Sum256(svg(t, draw(t, p, size)))
			fmt.Fprintf(&sums, "%s %s %s\n", hex.EncodeToString(sum[:]), size.Name, name)
		}
	}
	got := strings.Split(strings.TrimSpace(sums.String()), "\n")
	slices.Sort(got)
	all := strings.Join(got, "\n") + "\n"
	const file = "testdata/posters.sum"
	if *update {
		if err := os.WriteFile(file, []byte(all), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if all != string(want) {
		t.Errorf("posters look different. If that is meant, look at them, then run with -update:\n%s", all)
	}
}

func TestOnePressDrawsForSeveralAtOnce(t *testing.T) {
	press := poster.NewPress()
	size := poster.Sizes()[0]
	want := pdf(t, draw(t, honey(), size))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			s, err := press.Draw(honey(), size)
			if err != nil {
				t.Error(err)
				return
			}
			if !bytes.Equal(pdf(t, s), want) {
				t.Error("another file")
			}
		})
	}
	all.Wait()
}

// Beh takes another form between its neighbours, and is narrower there.
func TestArabicLettersJoin(t *testing.T) {
	press := poster.NewPress()
	_, joined := span(line(t, press, "ببب", poster.Arabic))
	_, apart := span(line(t, press, "ب ب ب", poster.Arabic))
	_, one := span(line(t, press, "ب", poster.Arabic))
	_, space := span(line(t, press, "ب ب", poster.Arabic))
	if spaces := 2 * (space - 2*one); joined >= apart-spaces {
		t.Errorf("three letters are %d wide joined, %d apart without the spaces", joined, apart-spaces)
	}
}

// Alef is the tallest of these letters: it stands first, which is at the right.
func TestArabicRunsFromRightToLeft(t *testing.T) {
	for text, right := range map[string]bool{"اببب": true, "بببا": false} {
		path := line(t, poster.NewPress(), text, poster.Arabic)
		left, wide := span(path)
		top := path[0].To[0]
		for _, s := range path {
			if s.To[0].Y < top.Y {
				top = s.To[0]
			}
		}
		if at := top.X-left > wide/2; at != right {
			t.Errorf("%q: the alef stands at %d of %d", text, top.X-left, wide)
		}
	}
}

// A mark stands above its letter, not beside it.
func TestMarksStandOnTheirLetters(t *testing.T) {
	press := poster.NewPress()
	_, bare := span(line(t, press, "ب", poster.Arabic))
	_, marked := span(line(t, press, "بَ", poster.Arabic))
	if marked != bare {
		t.Errorf("a letter with fatha is %d wide, without it %d", marked, bare)
	}
}

func line(t *testing.T, press *poster.Press, text string, l poster.Language) poster.Path {
	t.Helper()
	path, err := poster.SetLine(press, text, l, 10_000)
	if err != nil || len(path) == 0 {
		t.Fatalf("%q: %d steps, %v", text, len(path), err)
	}
	return path
}

// span returns where a path begins at the left, and how wide it is.
func span(path poster.Path) (left, wide int) {
	left, right := path[0].To[0].X, path[0].To[0].X
	for _, s := range path {
		left, right = min(left, s.To[0].X), max(right, s.To[0].X)
	}
	return left, right - left
}

func TestWhatCannotBePrintedIsRefusedByItsField(t *testing.T) {
	press := poster.NewPress()
	for name, c := range map[string]struct {
		spoil func(*poster.Poster)
		field string
		want  error
	}{
		"no stall":                 {func(p *poster.Poster) { p.Stall = " " }, "stall", poster.ErrMissing},
		"a long stall":             {func(p *poster.Poster) { p.Stall = strings.Repeat("a", poster.MaxStall+1) }, "stall", poster.ErrLong},
		"one word that never fits": {func(p *poster.Poster) { p.Description = strings.Repeat("W", poster.MaxDescription) }, "description", poster.ErrLong},
		"Chinese":                  {func(p *poster.Poster) { p.Stall = "茶" }, "stall", poster.ErrLetter},
		"a picture":                {func(p *poster.Poster) { p.Description = "🍯" }, "description", poster.ErrLetter},
		"letters that turn others": {func(p *poster.Poster) { p.Description = "a\u202eb" }, "description", poster.ErrLetter},
		"two lines":                {func(p *poster.Poster) { p.Description = "a\nb" }, "description", poster.ErrLetter},
		"not UTF-8":                {func(p *poster.Poster) { p.Stall = "\xff" }, "stall", poster.ErrLetter},
		"no number":                {func(p *poster.Poster) { p.Numbers = nil }, "numbers", poster.ErrMissing},
		"an empty number":          {func(p *poster.Poster) { p.Numbers = []string{""} }, "numbers", poster.ErrMissing},
		"no short id":              {func(p *poster.Poster) { p.Short = "" }, "short_id", poster.ErrMissing},
		"no line to text":          {func(p *poster.Poster) { p.Text = "" }, "text", poster.ErrMissing},
		"no address":               {func(p *poster.Poster) { p.URL = "" }, "url", poster.ErrMissing},
		"a long address":           {func(p *poster.Poster) { p.URL = strings.Repeat("a", poster.MaxURL+1) }, "url", poster.ErrLong},
		"no language":              {func(p *poster.Poster) { p.Languages = nil }, "lang", poster.ErrLanguage},
		"a language twice":         {func(p *poster.Poster) { p.Languages = []poster.Language{"fr", "fr"} }, "lang", poster.ErrLanguage},
		"another language":         {func(p *poster.Poster) { p.Languages = []poster.Language{"ja"} }, "lang", poster.ErrLanguage},
	} {
		p := honey()
		c.spoil(&p)
		_, err := press.Draw(p, poster.Sizes()[0])
		if field, is := errors.AsType[*poster.FieldError](err); !is || field.Field != c.field || !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %s: %v", name, err, c.field, c.want)
		}
	}
	if _, err := poster.ParseSize("A0"); !errors.Is(err, poster.ErrSize) {
		t.Errorf("ParseSize(A0) = %v, want ErrSize", err)
	}
	if _, err := press.Draw(honey(), poster.Size{}); !errors.Is(err, poster.ErrSize) {
		t.Errorf("no size: %v, want ErrSize", err)
	}
	for _, tags := range []string{"", "fr,", "fr,fr", "FR", "de"} {
		if got, err := poster.ParseLanguages(tags); !errors.Is(err, poster.ErrLanguage) {
			t.Errorf("ParseLanguages(%q) = %v, %v, want ErrLanguage", tags, got, err)
		}
	}
	if got, err := poster.ParseLanguages("fr, ar,zgh"); err != nil || !slices.Equal(got, honey().Languages) {
		t.Errorf("ParseLanguages = %v, %v", got, err)
	}
}

// Whatever fits in the fields is printed on A4, in all languages.
func TestTheLongestPosterFitsOnA4(t *testing.T) {
	p := open()
	p.Stall = strings.Repeat("Cooperative ", 5)
	p.Description = strings.Repeat("miel de thym, ", 8)
	p.Text, p.Short = strings.Repeat("W", poster.MaxText), strings.Repeat("W", poster.MaxShort)
	p.Numbers = slices.Repeat([]string{"+212 639 98 00 00 00"}, poster.MaxNumbers)
	p.URL += strings.Repeat("x", poster.MaxURL-len(p.URL))
	size, err := poster.ParseSize("A4")
	if err != nil {
		t.Fatal(err)
	}
	within(t, svg(t, draw(t, p, size)), size)
	p.Price = strings.Repeat("9", poster.MaxPrice)
	within(t, svg(t, draw(t, p, size)), size)
}

func TestNothingLeavesTheMargins(t *testing.T) {
	for _, size := range poster.Sizes() {
		for _, p := range []poster.Poster{honey(), open()} {
			within(t, svg(t, draw(t, p, size)), size)
		}
	}
}

// Chance writes the texts: each poster is refused by one of the errors that
// edges know, or stays within its margins.
func FuzzNothingLeavesTheMargins(f *testing.F) {
	f.Add("Coopérative", "Miel", "5,00 MAD", uint8(0))
	f.Add("تعاونية abc ⵜⵉⵣⵏⵉⵜ", "jjjj ÅÅÅ ggg", "", uint8(4))
	f.Add("ﷺ", "ے ل ا ﺎ", "٥", uint8(3))
	press := poster.NewPress()
	f.Fuzz(func(t *testing.T, stall, description, price string, n uint8) {
		p := open()
		p.Stall, p.Description, p.Price = stall, description, price
		p.Languages = p.Languages[:n%4+1]
		size := poster.Sizes()[int(n)%len(poster.Sizes())]
		s, err := press.Draw(p, size)
		if err != nil {
			if _, is := errors.AsType[*poster.FieldError](err); !is && !errors.Is(err, poster.ErrCrowded) {
				t.Fatalf("an error that nobody knows: %v", err)
			}
			return
		}
		within(t, svg(t, s), size)
	})
}

// within reads a picture as its readers do, and fails where a point of the one
// drawing stands in the margin.
func within(t testing.TB, picture []byte, size poster.Size) {
	t.Helper()
	from, to := size.Inside(height(t, picture))
	n := 0
	for _, at := range points(t, picture) {
		n++
		if at.X < from.X || at.X > to.X || at.Y < from.Y || at.Y > to.Y {
			t.Fatalf("%s: a point at %v, outside of %v and %v", size.Name, at, from, to)
		}
	}
	if n < 500 {
		t.Fatalf("%s: only %d points", size.Name, n)
	}
}

// points returns all points of the drawing of a picture: of its second path,
// for the first one is the white beneath.
func points(t testing.TB, picture []byte) (all []poster.Point) {
	t.Helper()
	paths := attributes(t, picture, "path", "d")
	if len(paths) < 2 {
		t.Fatal("no drawing")
	}
	var pen poster.Point
	for step := range steps(paths[1]) {
		kind, numbers := step[0], strings.Fields(step[1:])
		var last poster.Point
		for n := 0; n+1 < len(numbers); n += 2 {
			x, err := strconv.Atoi(numbers[n])
			y, err2 := strconv.Atoi(numbers[n+1])
			if err != nil || err2 != nil || !strings.ContainsRune("mlqc", rune(kind)) {
				t.Fatalf("step %q", step)
			}
			last = poster.Point{X: pen.X + x, Y: pen.Y + y}
			all = append(all, last)
		}
		pen = last
	}
	return all
}

// steps splits a path where its letters stand.
func steps(path string) func(func(string) bool) {
	return func(yield func(string) bool) {
		from := 0
		for n := 1; n <= len(path); n++ {
			if n == len(path) || path[n] >= 'a' && path[n] <= 'z' {
				if !yield(path[from:n]) {
					return
				}
				from = n
			}
		}
	}
}

func height(t testing.TB, picture []byte) int {
	t.Helper()
	view := strings.Fields(attributes(t, picture, "svg", "viewBox")[0])
	tall, err := strconv.Atoi(view[3])
	if err != nil {
		t.Fatal(err)
	}
	return tall
}

func attributes(t testing.TB, picture []byte, element, name string) (all []string) {
	t.Helper()
	for d := xml.NewDecoder(bytes.NewReader(picture)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		start, is := token.(xml.StartElement)
		if !is || start.Name.Local != element {
			continue
		}
		for _, a := range start.Attr {
			if a.Name.Local == name {
				all = append(all, a.Value)
			}
		}
	}
}

func TestThePictureSaysWhatItIs(t *testing.T) {
	p := honey()
	p.Stall = `<Miel> & "thym"`
	picture := svg(t, draw(t, p, poster.Sizes()[0]))
	if !bytes.Contains(picture, []byte("<title>&lt;Miel&gt; &amp; &#34;thym&#34;</title>")) || !bytes.Contains(picture, []byte(`lang="fr"`)) {
		t.Errorf("no title, or no language: %.300s", picture)
	}
	attributes(t, picture, "", "")
}
