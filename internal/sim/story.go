package sim

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/phrase"
	"maillon/internal/server"
	"maillon/internal/setting"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/story"
)

// gateway names the one line of a story.
const gateway = "virtual"

const (
	maxRows = 100         // read at once of outbox and books
	lease   = time.Minute // more than handing over takes, which is no time
)

// A stage is a server at work, with what is needed to speak of it as stories
// do: by the names of phones.
type stage struct {
	*server.Server
	phones map[string]sms.Number
	names  map[sms.Number]string

	stop   context.CancelFunc
	ended  sync.WaitGroup
	failed error // of Run; read it after ended

	mu     sync.Mutex // held for all that follows
	owners map[member.ID]string
	heard  int64                // the last message that was read
	posted ledger.TransactionID // the last transaction that was read
	sent   []story.Sent
	moved  []story.Moved
	shown  shown // of what would be put back
	blind  error // why messages or transactions could not be read
}

// OpenStory opens a server in memory that holds what a story begins with, and
// lets it work until it is closed. It is a story.Open.
func OpenStory(ctx context.Context, setup story.Setup) (story.Server, error) {
	return OpenStoryAt(store.Memory)(ctx, setup)
}

// OpenStoryAt is OpenStory on an empty database, as store.Open names it.
func OpenStoryAt(where string) story.Open {
	return func(ctx context.Context, setup story.Setup) (story.Server, error) {
		return openStory(ctx, where, setup)
	}
}

func openStory(ctx context.Context, where string, setup story.Setup) (story.Server, error) {
	s, err := openStage(ctx, where, setup)
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(ctx)
	s.stop = stop
	out, endOut := s.DB.Subscribe(store.Outgoing)
	books, endBooks := s.DB.Subscribe(store.Books)
	s.ended.Go(func() { s.failed = s.Run(running) })
	s.ended.Go(func() {
		defer endOut()
		defer endBooks()
		s.watch(running, out, books)
	})
	return s, nil
}

func openStage(ctx context.Context, where string, setup story.Setup) (*stage, error) {
	set, err := settings(setup)
	if err != nil {
		return nil, err
	}
	book, err := phrase.Shipped()
	if err != nil {
		return nil, err
	}
	secret, err := store.NewSecret()
	if err != nil {
		return nil, err
	}
	opened, err := server.Open(ctx, server.Config{Path: where, Secret: secret, Settings: set, Book: book, Alone: true})
	if err != nil {
		return nil, err
	}
	s := &stage{Server: opened, phones: story.Phones(), names: map[sms.Number]string{}, owners: map[member.ID]string{}}
	for name, n := range s.phones {
		s.names[n] = name
	}
	err = s.DB.Update(ctx, func(tx *store.Tx) error { return s.give(ctx, tx, setup) })
	if err == nil {
		_, _, err = s.News(ctx) // what was there before is none
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("what is given: %w", err), opened.Close())
	}
	return s, nil
}

// settings are the defaults with what stories set for all of them, then what
// this one sets.
func settings(setup story.Setup) (setting.Settings, error) {
	set := setting.Default()
	help := story.Phones()["annaig"].National()
	set.Help, set.AlertPhones, set.Rules = help, []string{help}, setting.Act // stories begin in books that have been kept for long
	for key, value := range setup.Settings {
		if err := set.Set(key, value); err != nil {
			return set, err
		}
	}
	return set, nil
}

// watch takes what is sent and posted as soon as it is on disk, as a gateway
// would: nothing waits in the outbox, and what is sealed for somebody who is
// forgotten later could not be read then.
func (s *stage) watch(ctx context.Context, out, books <-chan struct{}) {
	for {
		select {
		case <-out:
		case <-books:
		case <-ctx.Done():
			return
		}
		s.mu.Lock()
		s.read(ctx)
		s.mu.Unlock()
	}
}

// read takes what is new of outbox and books. It needs mu.
func (s *stage) read(ctx context.Context) {
	err := s.DB.Update(ctx, func(tx *store.Tx) error {
		if err := s.readOutbox(ctx, tx); err != nil {
			return err
		}
		return s.readBooks(ctx, tx)
	})
	if err != nil && ctx.Err() == nil {
		s.blind = errors.Join(s.blind, err)
	}
}

func (s *stage) readOutbox(ctx context.Context, tx *store.Tx) error {
	for {
		all, err := tx.Outbox(ctx, s.heard, maxRows)
		if err != nil {
			return err
		}
		for _, o := range all {
			if err := carry(ctx, tx, o.ID); err != nil {
				return err
			}
			s.heard = o.ID
			s.sent = append(s.sent, story.Sent{Phone: s.phone(o.To), Text: o.Text})
		}
		if len(all) < maxRows {
			return nil
		}
	}
}

// carry hands a message over to a network that takes everything at once.
func carry(ctx context.Context, tx *store.Tx, id int64) error {
	o, err := tx.Claim(ctx, id, gateway, tx.Now().Add(lease))
	if err != nil {
		return fmt.Errorf("message %d: %w", id, err)
	}
	o.State = store.Delivered
	return tx.SaveOut(ctx, o)
}

func (s *stage) readBooks(ctx context.Context, tx *store.Tx) error {
	for {
		all, err := tx.Transactions(ctx, s.posted, maxRows)
		if err != nil {
			return err
		}
		for _, t := range all {
			m, err := s.tell(ctx, tx, t)
			if err != nil {
				return fmt.Errorf("transaction %d: %w", t.ID, err)
			}
			s.posted, s.moved = t.ID, append(s.moved, m)
		}
		if len(all) < maxRows {
			return nil
		}
	}
}

// phone names a number: by its name in stories, else whole, so that a story
// says which one it did not expect.
func (s *stage) phone(n sms.Number) string {
	if name, ok := s.names[n]; ok {
		return name
	}
	return n.E164()
}

// tell returns a transaction in the words of stories.
func (s *stage) tell(ctx context.Context, tx *store.Tx, t ledger.Transaction) (story.Moved, error) {
	m := story.Moved{Ref: t.Ref, Attributes: map[string]string{}}
	if len(t.Postings) != 2 {
		return m, fmt.Errorf("%d postings, a transfer has two", len(t.Postings))
	}
	for _, p := range t.Postings {
		name, err := s.account(ctx, tx, p.Account)
		if err != nil {
			return m, err
		}
		if p.Amount.Sign() < 0 {
			m.From = name
			continue
		}
		m.To, m.Amount = name, p.Amount.Minor()
	}
	for key, id := range map[string]ledger.TransactionID{"reverses": t.Reverses, "via": t.Via} {
		if id == 0 {
			continue
		}
		other, err := tx.Transaction(ctx, id)
		if err != nil {
			return m, err
		}
		m.Attributes[key] = other.Ref
	}
	if t.Note != "" {
		m.Attributes["note"] = t.Note
	}
	return m, nil
}

// account names an account: by the association's name for it, or by the phone
// for which it was opened.
func (s *stage) account(ctx context.Context, tx *store.Tx, id ledger.AccountID) (string, error) {
	owner, name, err := tx.Owner(ctx, id)
	if err != nil || owner == 0 {
		return name, err
	}
	return s.owner(ctx, tx, owner)
}

// owner names a member by the phone that was theirs when a story first saw
// them: neither a new number nor leaving changes it.
func (s *stage) owner(ctx context.Context, tx *store.Tx, id member.ID) (string, error) {
	if name, ok := s.owners[id]; ok {
		return name, nil
	}
	m, err := tx.Member(ctx, id)
	if err != nil {
		return "", err
	}
	s.owners[id] = s.phone(m.Number)
	return s.owners[id], nil
}

// Deliver implements story.Server. The key is that of a modem: sender,
// service-centre time in seconds, text.
func (s *stage) Deliver(ctx context.Context, phone string, sentAt time.Time, text string) error {
	from := s.phones[phone].E164()
	return s.Teller.Receive(ctx, sms.Incoming{
		Gateway: gateway, Key: from + "\x00" + sentAt.UTC().Format(time.RFC3339) + "\x00" + text,
		From: from, To: story.ServerNumber().E164(), Text: text, SentAt: sentAt,
	})
}

// News implements story.Server.
func (s *stage) News(ctx context.Context) ([]story.Sent, []story.Moved, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read(ctx)
	sent, moved := s.sent, s.moved
	s.sent, s.moved = nil, nil
	return sent, moved, s.blind
}

// Balance implements story.Server.
func (s *stage) Balance(ctx context.Context, account string) (sum int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err = s.DB.View(ctx, func(tx *store.Tx) error {
		return tx.AllAccounts(ctx, func(a store.AccountRow) error {
			name := a.Name
			if a.Member != 0 {
				name = s.owners[a.Member] // learned from the first transfer; before, there is nothing
			}
			if name == account {
				sum += a.Balance.Minor()
			}
			return nil
		})
	})
	return sum, err
}

// Check implements story.Server.
func (s *stage) Check(ctx context.Context) error {
	faults, err := s.DB.Verify(ctx, nil)
	if err != nil {
		return err
	}
	for _, f := range faults {
		err = errors.Join(err, errors.New(f.String()))
	}
	return errors.Join(err, s.DB.View(ctx, func(tx *store.Tx) error { return tx.AllAccounts(ctx, solvent) }))
}

// solvent refuses an account that is below zero and may not be.
func solvent(a store.AccountRow) error {
	if a.Name == store.Emission || a.Name == store.Pertes || a.Balance.Sign() >= 0 {
		return nil
	}
	return fmt.Errorf("account %d is below zero", a.ID)
}

// Replay implements story.Server.
func (s *stage) Replay(ctx context.Context) error {
	books, _, err := s.DB.Replay(ctx, time.Time{})
	if err != nil {
		return err
	}
	return s.DB.View(ctx, func(tx *store.Tx) error {
		return tx.AllAccounts(ctx, func(a store.AccountRow) error {
			again, err := books.Account(ctx, a.ID)
			if err != nil {
				return fmt.Errorf("account %d: %w", a.ID, err)
			}
			if again.Balance != a.Balance {
				return fmt.Errorf("account %d has %s, replayed %s", a.ID, a.Balance.Plain(), again.Balance.Plain())
			}
			return nil
		})
	})
}

// Close implements story.Server.
func (s *stage) Close() error {
	s.stop()
	s.ended.Wait()
	return errors.Join(s.failed, s.Server.Close())
}
