package story

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"maillon/internal/money"
	"maillon/internal/sms"
)

var (
	errNotGSM7 = errors.New("an SMS was sent with a character outside GSM-7")
	errTooLong = errors.New("an SMS was sent with more than 160 characters")
)

// A Diff is the first difference between a story and what happened.
type Diff struct {
	File string
	Line int    // of the expectation; of the event, if nothing more was expected
	Want string // as in the file; "" for nothing
	Got  string // likewise, with codes and references by their names in the file
}

// Error returns the place and the difference in three lines.
func (d *Diff) Error() string {
	return fmt.Sprintf("%s:%d:\n  - %s\n  + %s", d.File, d.Line, orNothing(d.Want), orNothing(d.Got))
}

func orNothing(line string) string {
	if line == "" {
		return "(nothing)"
	}
	return line
}

// news is what came of an event and was not yet expected.
type news struct {
	sent  []Sent
	moved []Moved
}

// nextTo takes the first SMS to a phone: the order between phones means
// nothing. It returns the zero Sent if there is none.
func (n *news) nextTo(phone string) Sent {
	for i, m := range n.sent {
		if m.Phone == phone {
			n.sent = append(n.sent[:i:i], n.sent[i+1:]...)
			return m
		}
	}
	return Sent{}
}

// next takes the first transfer, the zero Moved if there is none.
func (n *news) next() Moved {
	if len(n.moved) == 0 {
		return Moved{}
	}
	first := n.moved[0]
	n.moved = n.moved[1:]
	return first
}

// compare returns the first difference between what e promises to be sent and
// moved and what was.
func (p *player) compare(e Event, got *news) error {
	for _, x := range e.Expect {
		var err error
		switch want := x.Want.(type) {
		case Sent:
			err = p.compareSent(x.Line, want, got.nextTo(want.Phone))
		case Moved:
			err = p.compareLines(x.Line, p.moved(want, want), p.moved(got.next(), want))
		}
		if err != nil {
			return err
		}
	}
	if len(got.moved) > 0 {
		return p.differs(e.Line, "", p.moved(got.moved[0], got.moved[0]))
	}
	if len(got.sent) > 0 {
		return p.differs(e.Line, "", sent(got.sent[0]))
	}
	return nil
}

// compareSent compares the texts and checks that one SMS holds what was sent.
func (p *player) compareSent(line int, want, got Sent) error {
	if err := p.compareLines(line, sent(want), sent(got)); err != nil {
		return err
	}
	units, segments := sms.Segments(got.Text)
	if sms.AlphabetOf(got.Text) != sms.GSM7 {
		return p.at(line, errNotGSM7)
	}
	if segments > 1 {
		return p.at(line, fmt.Errorf("%w: %d characters", errTooLong, units))
	}
	return nil
}

func (p *player) compareLines(line int, want, got string) error {
	if !p.names.match(want, got) {
		return p.differs(line, want, got)
	}
	return nil
}

// count compares the balances that e promises.
func (p *player) count(ctx context.Context, e Event) error {
	for _, x := range e.Expect {
		all, _ := x.Want.(Balances)
		for _, want := range all {
			got, err := p.server.Balance(ctx, want.Account)
			if err != nil {
				return p.at(x.Line, err)
			}
			if got != want.Amount {
				return p.differs(x.Line, p.holds(want.Account, want.Amount), p.holds(want.Account, got))
			}
		}
	}
	return nil
}

// sent writes m as in a file, "" for no SMS.
func sent(m Sent) string {
	if m.Phone == "" {
		return ""
	}
	return "<" + m.Phone + " " + m.Text
}

// moved writes m as in a file, with the attributes that like has; "" for no
// transfer.
func (p *player) moved(m, like Moved) string {
	if m.From == "" {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "~ %s %s %s %s", m.From, m.To, p.amount(m.Amount), m.Ref)
	for _, key := range movedAttributes() {
		_, compared := like.Attributes[key]
		value, ok := m.Attributes[key]
		switch {
		case !compared || !ok:
		case key == "note":
			fmt.Fprintf(&b, ` %s="%s"`, key, value)
		default:
			fmt.Fprintf(&b, " %s=%s", key, value)
		}
	}
	return b.String()
}

func (p *player) holds(account string, amount int64) string {
	return fmt.Sprintf("= %s=%s", account, p.amount(amount))
}

func (p *player) amount(minor int64) string { return money.New(minor, p.story.Currency).Plain() }
