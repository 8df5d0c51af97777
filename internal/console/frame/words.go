package frame

import (
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
	"golang.org/x/text/language"
)

// Languages are those that the console speaks, the default first. Another one is
// a file more in each room.
func Languages() []string { return []string{"fr", "en"} }

// words are what the console says in one language.
type words struct {
	tag   string
	texts map[string]string
}

func (w *words) has(key string) bool { _, ok := w.texts[key]; return ok }

// say returns a text with its marks replaced. A key that is missing shows
// itself: New would have refused one that a template names.
func (w *words) say(key string, args ...any) string {
	text, ok := w.texts[key]
	if !ok {
		return key
	}
	for n, a := range args {
		text = strings.ReplaceAll(text, "{"+strconv.Itoa(n+1)+"}", fmt.Sprint(a))
	}
	return text
}

// named finds the words that a template says.
var named = regexp.MustCompile(`\b(?:say|field|hint) (?:"[^"]*" )?"([^"]+)"`)

// readWords reads the files of all rooms. The languages say the same things, no
// room says another's, and whatever a template names is there.
func readWords(rooms []Room) (map[string]*words, error) {
	all := map[string]*words{}
	for _, tag := range Languages() {
		w := &words{tag: tag, texts: map[string]string{}}
		for _, r := range rooms {
			var texts map[string]string
			if _, err := toml.DecodeFS(r.Files, tag+".toml", &texts); err != nil {
				return nil, fmt.Errorf("words of %s, %s: %w", r.Name, tag, err)
			}
			for key, text := range texts {
				if w.has(key) {
					return nil, fmt.Errorf("words of %s, %s: %q stands twice", r.Name, tag, key)
				}
				w.texts[key] = text
			}
		}
		all[tag] = w
	}
	return all, checkWords(rooms, all)
}

func checkWords(rooms []Room, all map[string]*words) error {
	var faults []error
	first := all[Languages()[0]]
	for _, tag := range Languages()[1:] {
		for key := range all[tag].texts {
			if !first.has(key) {
				faults = append(faults, fmt.Errorf("words: %q is missing in %s", key, first.tag))
			}
		}
		for key := range first.texts {
			if !all[tag].has(key) {
				faults = append(faults, fmt.Errorf("words: %q is missing in %s", key, tag))
			}
		}
	}
	for _, r := range rooms {
		pages, err := fs.Glob(r.Files, "*.html")
		if err != nil {
			return err
		}
		for _, name := range pages {
			text, err := fs.ReadFile(r.Files, name)
			if err != nil {
				return err
			}
			for _, found := range named.FindAllStringSubmatch(string(text), -1) {
				if !first.has(found[1]) {
					faults = append(faults, fmt.Errorf("words: %s/%s says %q, which is nowhere", r.Name, name, found[1]))
				}
			}
		}
		for kind, a := range r.Approvals {
			if !first.has(a.Word) {
				faults = append(faults, fmt.Errorf("words: proposals of kind %s say %q, which is nowhere", kind, a.Word))
			}
		}
		for _, e := range r.Menu {
			if !first.has(e.Word) {
				faults = append(faults, fmt.Errorf("words: the menu of %s says %q, which is nowhere", r.Name, e.Word))
			}
		}
	}
	return errors.Join(faults...)
}

// The language that somebody chose on a page, and how long it is remembered.
const (
	languageCookie = "maillon-language"
	languageLife   = 365 * 24 * 3600 // seconds
)

// language chooses how to speak: as was chosen on a page, else as the member
// reads SMS, else as the browser asks.
func (f *Frame) language(v *Visit) *words {
	if tag := v.Request.URL.Query().Get("lang"); slices.Contains(Languages(), tag) {
		v.remember(languageCookie, tag, languageLife)
		return f.words[tag]
	}
	if c, err := v.Request.Cookie(languageCookie); err == nil && slices.Contains(Languages(), c.Value) {
		return f.words[c.Value]
	}
	if v.Who != nil && slices.Contains(Languages(), v.Who.Member.Language) {
		return f.words[v.Who.Member.Language]
	}
	tags := make([]language.Tag, len(Languages()))
	for n, l := range Languages() {
		tags[n] = language.MustParse(l)
	}
	_, n := language.MatchStrings(language.NewMatcher(tags), v.Request.Header.Get("Accept-Language"))
	return f.words[Languages()[n]]
}
