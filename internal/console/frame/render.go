package frame

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"maillon/internal/auth"
	"maillon/internal/money"
	"maillon/internal/notice"
	"maillon/internal/store"
)

// A view is what a template is given: D is what its page knows, V the visit.
type view struct {
	V *Visit
	D any
	F chrome
}

// chrome is what stands around a page.
type chrome struct {
	Association string
	Menu        []menuGroup
	Notice      string
	Paused      time.Time
	Others      []string // languages
	Here        string   // the path of this page, beneath Root
}

type menuGroup struct {
	Name    string
	Entries []menuEntry
}

type menuEntry struct {
	Entry
	Here bool
}

// A Field is one labelled box of a form.
type Field struct {
	Name, Label, Value, Problem string
	HintText, Kind, Mode, Auto  string
	Needed                      bool
	Most                        int
}

func sheetName(tag, room, page string) string { return tag + " " + room + "/" + page }

// readSheets parses each page of each room, in each language.
func (f *Frame) readSheets() (map[string]*template.Template, error) {
	all := map[string]*template.Template{}
	for _, tag := range Languages() {
		base, err := template.New("layout.html").Funcs(f.functions(f.words[tag])).ParseFS(files, "layout.html", "parts.html")
		if err != nil {
			return nil, err
		}
		for _, r := range f.rooms {
			if err := f.readRoom(all, base, tag, r); err != nil {
				return nil, fmt.Errorf("pages of %s: %w", r.Name, err)
			}
		}
	}
	return all, nil
}

func (f *Frame) readRoom(all map[string]*template.Template, base *template.Template, tag string, r Room) error {
	pages, err := fs.Glob(r.Files, "*.html")
	if err != nil {
		return err
	}
	var shared []string
	for _, p := range pages {
		if strings.HasPrefix(p, "_") {
			shared = append(shared, p)
		}
	}
	for _, p := range pages {
		if slices.Contains(shared, p) || r.Name == "frame" && (p == "layout.html" || p == "parts.html") {
			continue
		}
		t, err := base.Clone()
		if err != nil {
			return err
		}
		if t, err = t.ParseFS(r.Files, append(slices.Clone(shared), p)...); err != nil {
			return err
		}
		all[sheetName(tag, r.Name, strings.TrimSuffix(path.Base(p), ".html"))] = t
	}
	return nil
}

// functions are what templates may call, in one language. What changes a field
// takes it last, so that one can be built in a row:
// field "amount" "credit.amount" .D.Amount .D.Wrong | hint "credit.hint" | needed.
func (f *Frame) functions(w *words) template.FuncMap {
	return template.FuncMap{
		"say": func(key string, args ...any) string {
			for n := range args {
				args[n] = f.text(w, args[n])
			}
			return w.say(key, args...)
		},
		"money": func(a money.Amount) string { return f.money(w, a) },
		"whole": func(n any) string { return whole(w, n) },
		"day":   func(t time.Time) string { return f.day(w, t) },
		"clock": func(t time.Time) string { return f.local(t).Format("15:04") },
		"when":  func(t time.Time) string { return f.when(w, t) },
		"ago":   func(t time.Time) string { return ago(w, t) },
		"stamp": func(t time.Time) string { return f.local(t).Format(time.RFC3339) },
		"field": func(name, label string, value any, problem string) Field {
			return Field{Name: name, Label: w.say(label), Value: fmt.Sprint(value), Problem: problem, Kind: "text"}
		},
		"hint":   func(key string, to Field) Field { to.HintText = w.say(key); return to },
		"kind":   func(kind string, to Field) Field { to.Kind = kind; return to },
		"mode":   func(mode string, to Field) Field { to.Mode = mode; return to },
		"auto":   func(what string, to Field) Field { to.Auto = what; return to },
		"most":   func(n int, to Field) Field { to.Most = n; return to },
		"needed": func(to Field) Field { to.Needed = true; return to },
		"deed":   newDeed,
		"list":   func(all ...any) []any { return all },
	}
}

// A deed is something done to whom a page is about: its form has a box for a
// value, or a value of its own, or none.
type deed struct {
	ID     any
	Seen   int64 // the last act about it that the page knew
	What   string
	Value  bool
	Fixed  string
	Danger bool
}

func newDeed(id any, seen int64, what, value string, danger bool) deed {
	if value == "value" {
		return deed{ID: id, Seen: seen, What: what, Value: true, Danger: danger}
	}
	return deed{ID: id, Seen: seen, What: what, Fixed: value, Danger: danger}
}

func (v *Visit) show(status int, page string, data any) error {
	t, ok := v.frame.sheets[sheetName(v.words.tag, v.room, page)]
	if !ok {
		return fmt.Errorf("no page %s/%s", v.room, page)
	}
	around, err := v.frame.chrome(v)
	if err != nil {
		return err
	}
	var html bytes.Buffer
	if err := t.ExecuteTemplate(&html, "layout.html", view{v, data, around}); err != nil {
		return fmt.Errorf("page %s/%s: %w", v.room, page, err)
	}
	v.Writer.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.Writer.Header().Set("Vary", "Accept-Language, Cookie")
	v.Writer.WriteHeader(status)
	_, _ = html.WriteTo(v.Writer) // whoever left does not wait for an answer
	return nil
}

// chrome returns what stands around the page of a visit. An error of the
// database is no reason to hide what a page has to say, such as that error.
func (f *Frame) chrome(v *Visit) (chrome, error) {
	c := chrome{Association: f.options.Settings.Association, Notice: v.notice(), Here: strings.TrimPrefix(v.Request.URL.Path, Root)}
	for _, l := range Languages() {
		if l != v.words.tag {
			c.Others = append(c.Others, l)
		}
	}
	if v.Who == nil {
		return c, nil
	}
	c.Menu = f.menu(v, c.Here)
	_ = f.options.DB.View(v.Context(), func(tx *store.Tx) (err error) {
		c.Paused, err = tx.Paused(v.Context())
		return err
	})
	return c, nil
}

func (f *Frame) menu(v *Visit, here string) (all []menuGroup) {
	longest := ""
	for _, r := range f.rooms {
		for _, e := range r.Menu {
			if (here == e.Path || strings.HasPrefix(here, e.Path+"/")) && len(e.Path) > len(longest) {
				longest = e.Path
			}
		}
	}
	for _, name := range Groups() {
		g := menuGroup{Name: name}
		for _, r := range f.rooms {
			for _, e := range r.Menu {
				if e.Group == name && (e.Right == Somebody || v.May(e.Right)) {
					g.Entries = append(g.Entries, menuEntry{e, e.Path == longest})
				}
			}
		}
		slices.SortStableFunc(g.Entries, func(a, b menuEntry) int { return a.Order - b.Order })
		if len(g.Entries) > 0 {
			all = append(all, g)
		}
	}
	return all
}

// MayPause reports whether the page shows the way to PAUSE.
func (v view) MayPause() bool { return v.V.May(auth.Pause) }

// refusal returns the SMS that would refuse the same thing, as a sentence.
func (v *Visit) refusal(err error) (string, bool) {
	r, ok := errors.AsType[*notice.Refusal](err)
	if !ok || v.frame.options.Voice == nil {
		return "", false
	}
	text, err := v.frame.options.Voice.Text(v.words.tag, r.Key, r.Fields)
	return text, err == nil
}

// text writes a value for people.
func (f *Frame) text(w *words, value any) string {
	switch x := value.(type) {
	case money.Amount:
		return f.money(w, x)
	case time.Time:
		return f.when(w, x)
	case int, int64, uint64:
		return whole(w, x)
	}
	return fmt.Sprint(value)
}

// Money writes an amount as the language of the visit does: "1 234,50 m".
func (v *Visit) Money(a money.Amount) string { return v.frame.money(v.words, a) }

// Number writes a whole number as the language of the visit does: "1 234".
func (v *Visit) Number(n int64) string { return whole(v.words, n) }

// When writes a time as the language of the visit does.
func (v *Visit) When(t time.Time) string { return v.frame.when(v.words, t) }

// Day writes a day as the language of the visit does.
func (v *Visit) Day(t time.Time) string { return v.frame.day(v.words, t) }

func (f *Frame) money(w *words, a money.Amount) string {
	if a == (money.Amount{}) {
		return "0"
	}
	return number(w, a.Plain()) + "\u00a0" + f.symbol(a.Currency())
}

func whole(w *words, n any) string { return number(w, fmt.Sprint(n)) }

// number writes a plain number with the marks of a language.
func number(w *words, plain string) string {
	plain, negative := strings.CutPrefix(plain, "-")
	digits, part, point := strings.Cut(plain, ".")
	var b strings.Builder
	if negative {
		b.WriteString("\u2212")
	}
	for i, digit := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteString(w.say("frame.thousands"))
		}
		b.WriteRune(digit)
	}
	if point {
		b.WriteString(w.say("frame.decimal") + part)
	}
	return b.String()
}

func (f *Frame) local(t time.Time) time.Time { return t.In(f.options.Settings.Zone) }

func (f *Frame) day(w *words, t time.Time) string {
	if t.IsZero() {
		return w.say("frame.never")
	}
	return f.local(t).Format(w.say("frame.layout.day"))
}

func (f *Frame) when(w *words, t time.Time) string {
	if t.IsZero() {
		return w.say("frame.never")
	}
	return f.local(t).Format(w.say("frame.layout.when"))
}

func ago(w *words, t time.Time) string {
	if t.IsZero() {
		return w.say("frame.never")
	}
	d := time.Since(t)
	for _, step := range []struct {
		unit time.Duration
		word string
	}{{24 * time.Hour, "frame.ago.days"}, {time.Hour, "frame.ago.hours"}, {time.Minute, "frame.ago.minutes"}} {
		if d >= step.unit {
			return w.say(step.word, strconv.FormatInt(int64(d/step.unit), 10))
		}
	}
	return w.say("frame.ago.now")
}

var _ http.Handler = (*Frame)(nil)
