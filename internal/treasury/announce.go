package treasury

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"maillon/internal/member"
	"maillon/internal/notice"
	"maillon/internal/store"
)

// AnnounceKind is the kind of a proposal to write to all.
const AnnounceKind = "message"

// Bounds of a message to all.
const (
	maxAudience  = 200_000
	announceRead = 500 // members read at once
)

var (
	// ErrText means that a text does not go into one SMS, or is missing.
	ErrText = errors.New("the text does not go into one SMS")
	// ErrAudience means that there are too many to write to.
	ErrAudience = errors.New("too many readers")
)

// An Announcement is a text to all members, in each language; who reads a
// language without a text gets that of the association.
type Announcement struct {
	Texts map[string]string `json:"texts"`
	Name  string            `json:"name"` // it is sent once
}

// A Reach says what an announcement comes to.
type Reach struct {
	Fits    map[string]notice.Fit
	Readers map[string]int // by language, without the muted
	Total   int
	Cost    int64     // thousandths of a euro; 0: not known
	Till    time.Time // when the last one may leave
	Second  bool      // a second person must approve
}

// text returns what a reader of a language gets.
func (a *Announcement) text(language, house string) string {
	if text := a.Texts[language]; text != "" {
		return text
	}
	return a.Texts[house]
}

// Reach finds out what an announcement comes to; the error is ErrText if one of
// its texts is not one SMS of GSM-7 for whoever has the longest word. Then what
// it comes to is returned all the same.
func (t *Treasury) Reach(ctx context.Context, tx *store.Tx, a Announcement) (Reach, error) {
	c, err := t.Desk.Charter(ctx, tx)
	if err != nil {
		return Reach{}, err
	}
	r := Reach{Fits: map[string]notice.Fit{}}
	if r.Readers, err = tx.CountAudience(ctx); err != nil {
		return r, err
	}
	wrong := a.Texts[t.Desk.Set.Language] == ""
	for language, text := range a.Texts {
		if text == "" {
			continue
		}
		fit := notice.Fits(text)
		r.Fits[language] = fit
		wrong = wrong || !fit.GSM7 || fit.Segments > 1 || strings.ContainsAny(text, "\r\n")
	}
	for _, n := range r.Readers {
		r.Total += n
	}
	r.Cost, r.Second = int64(r.Total)*int64(c.Messages.Cost), r.Total > c.SecondReaders()
	r.Till = c.Spread(tx.Now(), t.Desk.Set.Zone).After(r.Total)
	switch {
	case wrong:
		return r, ErrText
	case r.Total > maxAudience:
		return r, ErrAudience
	}
	return r, nil
}

// Announce writes to all members who want notices, one after the other and by
// day, or leaves that to a second person; it reports which, and to how many.
func (t *Treasury) Announce(ctx context.Context, tx *store.Tx, by string, a Announcement, reason string) (n int, proposed bool, err error) {
	if reason == "" {
		return 0, false, ErrReason
	}
	r, err := t.Reach(ctx, tx, a)
	if err != nil {
		return 0, false, err
	}
	if a.Name != "" {
		if err := t.once(ctx, tx, t.grantKey(a.Name)); err != nil {
			return 0, false, err
		}
	}
	if !r.Second {
		n, err = t.send(ctx, tx, by, a, reason)
		return n, false, err
	}
	payload, err := json.Marshal(a)
	if err != nil {
		return 0, false, err
	}
	_, err = t.Propose(ctx, tx, by, AnnounceKind, payload, reason)
	return r.Total, true, err
}

// ProposedAnnouncement reads what a proposal to write to all holds.
func ProposedAnnouncement(p store.Proposal) (a Announcement, err error) {
	err = json.Unmarshal(p.Payload, &a)
	return a, err
}

// SendAnnouncement is the Kind of AnnounceKind.
func (t *Treasury) SendAnnouncement(ctx context.Context, tx *store.Tx, p store.Proposal) error {
	a, err := ProposedAnnouncement(p)
	if err != nil {
		return fmt.Errorf("proposal %d: %w", p.ID, err)
	}
	if _, err := t.Reach(ctx, tx, a); err != nil {
		return err
	}
	_, err = t.send(ctx, tx, p.DecidedBy, a, p.Reason)
	return err
}

// send leaves the SMS in the outbox, each with its moment.
func (t *Treasury) send(ctx context.Context, tx *store.Tx, by string, a Announcement, reason string) (n int, err error) {
	c, err := t.Desk.Charter(ctx, tx)
	if err != nil {
		return 0, err
	}
	spread := c.Spread(tx.Now(), t.Desk.Set.Zone)
	for after := member.ID(0); ; {
		some, err := tx.Members(ctx, store.Everyone, after, announceRead)
		if err != nil {
			return n, err
		}
		for _, m := range some {
			after = m.ID
			if m.State != member.Active || m.Muted {
				continue
			}
			if err := t.Desk.Voice.Announce(ctx, tx, m, a.text(m.Language, t.Desk.Set.Language), spread.Next()); err != nil {
				return n, err
			}
			n++
		}
		if len(some) < announceRead {
			break
		}
	}
	tx.Audit(store.Act{By: by, What: AnnounceKind, Reason: reason, Became: fmt.Sprint(n)})
	return n, nil
}
