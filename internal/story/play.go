package story

import (
	"context"
	"errors"
	"fmt"
	"testing/synctest"
	"time"
)

// Open starts a server that holds what a setup says, at setup.At.
type Open func(ctx context.Context, setup Setup) (Server, error)

// A Server is what a story is played against. It lives in the bubble of its
// story; all its goroutines end with Close.
type Server interface {
	// Deliver hands over one SMS as the gateway does. It returns when the SMS is
	// on disk. Each call is a delivery of its own, also of the same SMS.
	Deliver(ctx context.Context, phone string, sentAt time.Time, text string) error
	// Do lets an administrator act on the web page. What the page refuses is no
	// error: nothing comes of it.
	Do(ctx context.Context, deed Deed) error
	// Post commits a transfer that no rule is asked about, and returns its
	// reference. What it sends is in the outbox when it returns.
	Post(ctx context.Context, from, to string, amount int64) (ref string, err error)
	// News returns what was put in the outbox and what was committed since it was
	// last called, each in order.
	News(ctx context.Context) (sent []Sent, moved []Moved, err error)
	// Balance returns the whole balance of an account, held amounts included; 0
	// for one that was returned or closed.
	Balance(ctx context.Context, account string) (int64, error)
	// Check verifies what holds after every event: balances that sum to zero, no
	// debts but of those who may, the chain of the journal.
	Check(ctx context.Context) error
	// Replay verifies that the journal, replayed, gives the same balances.
	Replay(ctx context.Context) error
	Close() error
}

// Run plays a story against a server of its own. It returns the first
// difference as a *Diff. It must be called in a synctest bubble, with a context
// that was made there and a clock that is before the story.
func Run(ctx context.Context, s *Story, open Open) (err error) {
	p := player{story: s, names: newNames()}
	time.Sleep(time.Until(s.Setup.At))
	if p.server, err = open(ctx, s.Setup); err != nil {
		return fmt.Errorf("%s: open: %w", s.File, err)
	}
	defer func() {
		if e := p.server.Close(); e != nil {
			err = errors.Join(err, fmt.Errorf("%s: close: %w", s.File, e))
		}
	}()
	for _, e := range s.Events {
		if err := p.play(ctx, e); err != nil {
			return err
		}
	}
	if err := p.server.Replay(ctx); err != nil {
		return fmt.Errorf("%s: replay of the journal: %w", s.File, err)
	}
	return nil
}

// A player plays one story.
type player struct {
	story  *Story
	server Server
	names  *names
}

// at says where in the story something went wrong.
func (p *player) at(line int, err error) error {
	return fmt.Errorf("%s:%d: %w", p.story.File, line, err)
}

func (p *player) differs(line int, want, got string) error {
	return &Diff{File: p.story.File, Line: line, Want: want, Got: p.names.retell(want, got)}
}

// play lets an event happen, waits until nothing is left to do without time
// passing, and looks at what came of it.
func (p *player) play(ctx context.Context, e Event) error {
	time.Sleep(time.Until(e.At))
	if e.Do != nil {
		if err := e.Do.do(ctx, p); err != nil {
			return p.at(e.Line, err)
		}
	}
	synctest.Wait()
	sent, moved, err := p.server.News(ctx)
	if err != nil {
		return p.at(e.Line, err)
	}
	if err := p.compare(e, &news{sent, moved}); err != nil {
		return err
	}
	if err := p.server.Check(ctx); err != nil {
		return p.at(e.Line, err)
	}
	return p.count(ctx, e)
}

func (m SMS) do(ctx context.Context, p *player) error {
	text, err := p.names.typed(m.Text)
	if err != nil {
		return err
	}
	return p.server.Deliver(ctx, m.Phone, m.SentAt, text)
}

// do posts, and swallows what comes of the transfer itself: it is no news.
func (t Posting) do(ctx context.Context, p *player) error {
	ref, err := p.server.Post(ctx, t.From, t.To, t.Amount)
	if err != nil {
		return err
	}
	if _, _, err := p.server.News(ctx); err != nil {
		return err
	}
	return p.names.draw(t.Ref, ref)
}

func (d Deed) do(ctx context.Context, p *player) error {
	act := Act{Name: d.Act.Name, Args: make([]string, len(d.Act.Args)), Attributes: map[string]string{}}
	for i, arg := range d.Act.Args {
		act.Args[i] = p.names.spell(arg)
	}
	for key, value := range d.Act.Attributes {
		act.Attributes[key] = p.names.spell(value)
	}
	d.Act = act
	return p.server.Do(ctx, d)
}
