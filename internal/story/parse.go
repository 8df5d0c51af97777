package story

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"maillon/internal/setting"
	"maillon/internal/sms"
)

// maxFile bounds a story, in octets.
const maxFile = 1 << 20

// Load reads the story in a file. Its error is a *SyntaxError if the file could
// be read.
func Load(file string) (*Story, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("load story: %w", err)
	}
	defer f.Close() //nolint:errcheck // only read
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("load story: %w", err)
	}
	return Parse(file, text)
}

// Parse reads a story. A text that breaks any rule of the format is no story:
// the error is then a *SyntaxError with the line of the first breach.
func Parse(name string, text []byte) (*Story, error) {
	p := parser{
		story: &Story{File: name, Setup: Setup{
			Settings: map[string]string{}, Cards: map[string]map[string]string{}, Seen: map[string]time.Time{},
		}},
		phones: Phones(), settings: setting.Default(), given: map[string]bool{}, fresh: map[string]bool{},
	}
	if len(text) > maxFile {
		return nil, p.fault(1, fmt.Errorf("a story has at most %d octets", maxFile))
	}
	body, ended := strings.CutSuffix(string(text), "\n")
	for line := range strings.SplitSeq(body, "\n") {
		p.line++
		if err := p.read(line); err != nil {
			return nil, p.fault(p.line, err)
		}
	}
	if !ended {
		return nil, p.fault(p.line, errors.New("the last line is not ended by LF"))
	}
	if err := p.end(); err != nil {
		return nil, p.fault(p.line, err)
	}
	p.story.Currency = p.settings.Currency()
	return p.story, nil
}

// A stage is how far a file has been read. Stages follow each other; none comes
// back.
type stage int

const (
	untitled stage = iota // nothing read
	titled                // @set may come
	started               // the first @clock was there; the other header lines may come
	playing               // the first event after it was there
)

// A parser holds what was read so far.
type parser struct {
	story    *Story
	phones   map[string]sms.Number
	settings setting.Settings
	line     int
	stage    stage
	given    map[string]bool // who has an account at the start
	fresh    map[string]bool // who is in @new
	balanced int             // the line of the last @given
	owners   []use           // who must have an account at the start
}

// A use is a line that needs an account to exist at the start.
type use struct {
	line    int
	account string
}

func (p *parser) fault(line int, err error) error {
	if at, ok := errors.AsType[*SyntaxError](err); ok {
		return at
	}
	return &SyntaxError{File: p.story.File, Line: line, Problem: err.Error()}
}

func (p *parser) read(line string) error {
	if err := checkCharacters(line); err != nil {
		return err
	}
	if p.stage == untitled {
		return p.title(line)
	}
	if line == "" {
		return nil
	}
	kind, rest := line[:1], line[1:]
	switch kind {
	case "!":
		return nil
	case "#":
		return errors.New("a story has one title, on the first line")
	case "@":
		return p.directive(rest)
	case ">":
		return p.received(rest)
	case "^":
		return p.deed(rest)
	case "<":
		return p.sent(rest)
	case "~":
		return p.moved(rest)
	case "=":
		return p.balances(rest)
	}
	return errors.New("a line begins with one of # ! @ > ^ < ~ =")
}

func checkCharacters(line string) error {
	switch {
	case !utf8.ValidString(line):
		return errors.New("not UTF-8")
	case strings.Contains(line, "\t"):
		return errors.New("a tab")
	case strings.HasSuffix(line, "\r"):
		return errors.New("lines are ended by LF alone")
	case strings.HasSuffix(line, " "):
		return errors.New("a space at the end of the line")
	case strings.ContainsFunc(line, unicode.IsControl):
		return errors.New("a control character")
	}
	return nil
}

var titleLine = regexp.MustCompile(`^# ([1-9][0-9]{0,3}) (\S.*)$`)

func (p *parser) title(line string) error {
	m := titleLine.FindStringSubmatch(line)
	if m == nil {
		return errors.New("the first line is \"# N Title\"")
	}
	n, err := strconv.Atoi(m[1])
	p.story.Number, p.story.Title, p.stage = n, m[2], titled
	return err
}

// directive reads a line that begins with @.
func (p *parser) directive(text string) error {
	word, rest, _ := strings.Cut(text, " ")
	read, err := p.directed(word)
	if err != nil {
		return fmt.Errorf("@%s: %w", word, err)
	}
	args, err := words(rest)
	if err != nil {
		return fmt.Errorf("@%s: %w", word, err)
	}
	if err := read(args); err != nil {
		return fmt.Errorf("@%s: %w", word, err)
	}
	return nil
}

// directed returns what reads the words after @word, if it may come now.
func (p *parser) directed(word string) (func([]string) error, error) {
	switch word {
	case "set":
		return p.set, p.within(titled)
	case "given":
		return p.give, p.within(started)
	case "new":
		return p.renew, p.within(started)
	case "past":
		return p.past, p.within(started)
	case "card":
		return p.card, p.within(started)
	case "seen":
		return p.seen, p.within(started)
	case "stall":
		return p.stall, p.within(started)
	case "clock":
		if p.stage == titled {
			return p.start, nil
		}
		return p.clock, p.begin()
	case "posted":
		return p.posted, p.begin()
	}
	return nil, errors.New("unknown word")
}

// within checks the order of the header.
func (p *parser) within(s stage) error {
	if p.stage == s {
		return nil
	}
	return errors.New("out of order: title, @set, the first @clock, the other header lines, then events")
}

// start reads the first @clock.
func (p *parser) start(args []string) error {
	if err := p.clock(args); err != nil {
		return err
	}
	p.story.Setup.At, p.stage = p.now(), started
	return nil
}

func (p *parser) clock(args []string) error {
	at, err := clock(strings.Join(args, " "), p.now())
	if err != nil {
		return err
	}
	p.add(Event{At: at})
	return nil
}

// now returns when the last event happens, before the first one the zero Time.
func (p *parser) now() time.Time {
	if len(p.story.Events) == 0 {
		return time.Time{}
	}
	return p.story.Events[len(p.story.Events)-1].At
}

func (p *parser) add(e Event) {
	e.Line = p.line
	p.story.Events = append(p.story.Events, e)
}

// begin notes that an event comes: the header ends here.
func (p *parser) begin() error {
	switch p.stage {
	case titled:
		return errors.New("the first @clock comes before all events")
	case started:
		p.stage = playing
		return p.settled()
	}
	return nil
}

// end checks that the file may stop here.
func (p *parser) end() error {
	switch p.stage {
	case untitled, titled:
		return errors.New("there is no @clock")
	case started:
		return p.settled()
	}
	return nil
}
