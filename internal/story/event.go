package story

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

var refToken = regexp.MustCompile(`^[A-Z][0-9][A-Z][0-9]$`)

func checkRef(text string) error {
	if !refToken.MatchString(text) {
		return fmt.Errorf("%q is not a reference such as K7F2", text)
	}
	return nil
}

// addressed reads "phone text", of a line that begins with > or <.
func (p *parser) addressed(line string) (phone, text string, err error) {
	phone, text, _ = strings.Cut(line, " ")
	if err := p.phone(phone); err != nil {
		return "", "", err
	}
	if text == "" {
		return "", "", errors.New("the text is missing")
	}
	return phone, text, nil
}

// received reads a line that begins with >.
func (p *parser) received(line string) error {
	if err := p.begin(); err != nil {
		return err
	}
	phone, text, err := p.addressed(line)
	if err != nil {
		return err
	}
	at := p.now().Add(Step)
	m := SMS{Phone: phone, Text: text, SentAt: at}
	if inner, ok := strings.CutPrefix(text, "{"); ok {
		attributes, text, ok := strings.Cut(inner, "} ")
		if !ok {
			return errors.New("{attributes} are followed by a space and the text")
		}
		m.Text = text
		if err := p.mark(&m, attributes); err != nil {
			return err
		}
	}
	p.add(Event{At: at, Do: m})
	return nil
}

// mark reads the attributes of an SMS that is received Step after now.
func (p *parser) mark(m *SMS, attributes string) error {
	seen := map[string]bool{}
	sent := ""
	for word := range strings.SplitSeq(attributes, " ") {
		key, value, valued := strings.Cut(word, "=")
		if seen[key] {
			return fmt.Errorf("%s is there twice", key)
		}
		seen[key] = true
		if valued != (key == "sent") {
			return fmt.Errorf("unknown attribute %q", word)
		}
		switch key {
		case "sent":
			sent = value
		case "dup":
			m.Dup = true
		case "spoofed":
			m.Spoofed = true
		case "stolen-phone":
			m.Stolen = true
		default:
			return fmt.Errorf("unknown attribute %q", word)
		}
	}
	if seen["sent"] {
		at, err := sentAt(sent, m.SentAt)
		if err != nil {
			return err
		}
		m.SentAt = at
	}
	if m.Dup {
		return p.repeat(m, seen["sent"])
	}
	return nil
}

// repeat gives m the service-centre time of the latest SMS that it repeats; if
// the file names a time, of one sent then.
func (p *parser) repeat(m *SMS, timed bool) error {
	for i := len(p.story.Events) - 1; i >= 0; i-- {
		before, ok := p.story.Events[i].Do.(SMS)
		if !ok || before.Phone != m.Phone || before.Text != m.Text {
			continue
		}
		if !timed || before.SentAt.Equal(m.SentAt) {
			m.SentAt = before.SentAt
			return nil
		}
	}
	return errors.New("dup: there is no earlier SMS with this sender, time and text")
}

func (p *parser) posted(args []string) error {
	if len(args) != 4 {
		return errors.New("from to amount REF is expected")
	}
	amount, err := p.transfer(args[0], args[1], args[2])
	if err != nil {
		return err
	}
	if err := checkRef(args[3]); err != nil {
		return err
	}
	p.add(Event{At: p.now(), Do: Posting{From: args[0], To: args[1], Amount: amount, Ref: args[3]}})
	return nil
}

// deed reads a line that begins with ^.
func (p *parser) deed(line string) error {
	if err := p.begin(); err != nil {
		return err
	}
	who, rest, _ := strings.Cut(line, " ")
	victim, intruder := strings.CutPrefix(who, "intrus(")
	if intruder {
		var closed bool
		if who, closed = strings.CutSuffix(victim, ")"); !closed {
			return errors.New("intrus(name) is not closed")
		}
	}
	if err := p.administrator(who); err != nil {
		return err
	}
	at := p.now().Add(Step)
	act, err := p.act(rest, at)
	if err != nil {
		return err
	}
	p.add(Event{At: at, Do: Deed{Who: who, Intruder: intruder, Act: act}})
	return nil
}

// sent reads a line that begins with <.
func (p *parser) sent(line string) error {
	phone, text, err := p.addressed(line)
	if err != nil {
		return err
	}
	return p.expect(Sent{Phone: phone, Text: text})
}

// moved reads a line that begins with ~.
func (p *parser) moved(line string) error {
	args, err := p.spaced(line)
	if err != nil {
		return err
	}
	if len(args) < 4 {
		return errors.New("~ from to amount REF is expected")
	}
	amount, err := p.transfer(args[0], args[1], args[2])
	if err != nil {
		return err
	}
	given, err := pairs(args[4:])
	if err != nil {
		return err
	}
	attributes, err := accepted(given, movedAttributes()...)
	if err != nil {
		return err
	}
	for _, ref := range []string{args[3], attributes["reverses"], attributes["via"]} {
		if err := checkRef(ref); err != nil && ref != "" {
			return err
		}
	}
	return p.expect(Moved{From: args[0], To: args[1], Amount: amount, Ref: args[3], Attributes: attributes})
}

// balances reads a line that begins with =.
func (p *parser) balances(line string) error {
	args, err := p.spaced(line)
	if err != nil {
		return err
	}
	all, err := p.holdings(args)
	if err != nil {
		return err
	}
	return p.expect(Balances(all))
}

// spaced reads the words after ~ or =, which a space follows.
func (p *parser) spaced(line string) ([]string, error) {
	rest, ok := strings.CutPrefix(line, " ")
	if !ok {
		return nil, errors.New("a space is expected after the first character")
	}
	return words(rest)
}

// expect adds what a line promises to the event before it.
func (p *parser) expect(want Promise) error {
	if p.stage != playing {
		return errors.New("nothing has happened yet that this could come of")
	}
	last := &p.story.Events[len(p.story.Events)-1]
	last.Expect = append(last.Expect, Expectation{p.line, want})
	return nil
}

// movedAttributes returns what may follow the reference of a transfer, in the
// order in which it is shown.
func movedAttributes() []string { return []string{"reverses", "via", "note"} }
