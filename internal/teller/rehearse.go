package teller

import (
	"context"
	"crypto/rand"
	"errors"
	"regexp"
	"strings"

	"maillon/internal/grammar"
	"maillon/internal/guard"
	"maillon/internal/member"
	"maillon/internal/sms"
	"maillon/internal/store"
)

// ErrSecret means that a text holds a code, a cell or a word that only the
// member should know: nobody may try them out for her.
var ErrSecret = errors.New("a text with a secret is not rehearsed")

// MaxRehearsed bounds the text of a rehearsal, in letters.
const MaxRehearsed = 480

// maxDrafts bounds how many messages of a rehearsal are looked at.
const maxDrafts = 100

// A Rehearsal is what a text of a member would lead to.
type Rehearsal struct {
	Heard  string         // as she would have written it
	Told   []store.Letter // what she would read
	Others int            // messages that others would get
}

// Rehearse finds out what a member would be answered if she wrote a text now,
// and does nothing of it. Codes in it are masked, and a text that holds one is
// ErrSecret: whoever could try codes here would try them all.
func (t *Teller) Rehearse(ctx context.Context, id member.ID, text string) (r Rehearsal, err error) {
	if len([]rune(text)) > MaxRehearsed {
		text = string([]rune(text)[:MaxRehearsed])
	}
	r.Heard = text
	if c, err := t.parser.Parse(text); err == nil && secret(c) {
		return r, ErrSecret
	}
	err = t.db.Rehearse(ctx, func(tx *store.Tx) error { return t.rehearse(ctx, tx, id, &r) })
	return r, err
}

func (t *Teller) rehearse(ctx context.Context, tx *store.Tx, id member.ID, r *Rehearsal) error {
	m, err := tx.Member(ctx, id)
	if err != nil {
		return err
	}
	if m.Number.IsZero() {
		return store.ErrNotFound
	}
	last, err := tx.LastOut(ctx)
	if err != nil {
		return err
	}
	h, err := t.hear(sms.Incoming{Gateway: m.Line, Key: rand.Text(), From: m.Number.E164(), Text: r.Heard, SentAt: tx.Now()})
	if err != nil {
		return err
	}
	if err := t.receive(ctx, tx, h); err != nil {
		return err
	}
	outs, err := tx.Outbox(ctx, last, maxDrafts)
	if err != nil {
		return err
	}
	r.Told, r.Others = nil, 0
	for _, o := range outs {
		if o.To != m.Number {
			r.Others++
			continue
		}
		r.Told = append(r.Told, store.Letter{At: o.At, Out: true, Text: o.Text, State: o.State, Priority: o.Priority})
	}
	return t.Veil(ctx, tx, m, r.Told)
}

// secret reports whether a command holds what only its member knows.
func secret(c grammar.Command) bool {
	return c.Code != "" || c.Cell != "" || c.Voucher != "" || c.Verb == grammar.Word
}

// Mask is what is read instead of a secret.
const Mask = "•••"

var (
	likeCode = regexp.MustCompile(`\b\d{3,4} \d{3,4}\b|\b\d{4,8}\b`)
	figures  = regexp.MustCompile(`\d[\d .\-]*`)
)

// Veil masks what nobody but the member may read in SMS exchanged with her:
// codes, cells of her card, and her own word.
func (t *Teller) Veil(ctx context.Context, tx *store.Tx, m *member.Member, letters []store.Letter) error {
	var known []string
	questions, err := t.desk.Questions(ctx, tx, m)
	if err != nil {
		return err
	}
	for _, q := range questions {
		if len(q.Nonce) > 0 {
			code := t.desk.Code(q)
			known = append(known, guard.ShowCode(code), Mask, code, Mask)
		}
	}
	live := strings.NewReplacer(known...)
	for n := range letters {
		l := &letters[n]
		l.Text = live.Replace(l.Text)
		if m.Word != "" {
			l.Text = wordOf(m).ReplaceAllString(l.Text, Mask)
		}
		switch {
		case l.Out && l.Priority == sms.Code:
			l.Text = likeCode.ReplaceAllString(l.Text, Mask)
		case !l.Out:
			l.Text = t.veilHeard(l.Text)
		}
	}
	return nil
}

// wordOf finds the word of a member in a text.
func wordOf(m *member.Member) *regexp.Regexp {
	return regexp.MustCompile(`(?i)\b` + regexp.QuoteMeta(m.Word) + `\b`)
}

// veilHeard masks the secrets of a text that a member wrote.
func (t *Teller) veilHeard(text string) string {
	c, err := t.parser.Parse(text)
	switch {
	case err == nil && c.Verb == grammar.Word:
		first, _, _ := strings.Cut(text, " ")
		return first + " " + Mask
	case err == nil && secret(c), err != nil:
		return figures.ReplaceAllStringFunc(text, func(s string) string {
			if digits := strings.Map(onlyDigits, s); len(digits) >= minSecret && len(digits) <= maxSecret {
				return Mask
			}
			return s
		})
	}
	return text
}

// minSecret and maxSecret are how many digits a cell or a code may have.
const minSecret, maxSecret = 4, 9

func onlyDigits(r rune) rune {
	if r < '0' || r > '9' {
		return -1
	}
	return r
}
