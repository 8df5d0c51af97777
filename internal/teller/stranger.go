package teller

import (
	"context"
	"errors"
	"time"

	"maillon/internal/grammar"
	"maillon/internal/guard"
	"maillon/internal/member"
	"maillon/internal/notice"
	"maillon/internal/store"
)

// What strangers are answered a day about lost phones, one of them and all who
// prove nothing: a borrowed phone can protect an account, and no robot costs much.
const lostAnswers, lostAnswersInAll = 10, 100

// stranger answers a mobile number or an e-mail address without account: once a
// day that it has none, and whoever has lost a phone.
func (t *Teller) stranger(ctx context.Context, tx *store.Tx, h hearing) error {
	now, n, id := tx.Now(), h.number, h.number.E164()
	if h.byMail() {
		id = h.address.Text()
	} else if !n.Mobile() { // nobody reads an SMS there, and some numbers are dear
		return nil
	}
	v, err := tx.Visitor(ctx, id)
	if err != nil || v.FloodTill.After(now) {
		return err
	}
	var ok bool
	if v.FloodTAT, ok = guard.Rate(v.FloodTAT, now, t.set.Flood.N, t.set.Flood.In); !ok {
		v.FloodTill = now.Add(t.set.Flood.Pause)
	}
	if err := tx.SaveVisitor(ctx, id, v); err != nil {
		return err
	}
	refused, err := tx.HasRefused(ctx, n)
	if err != nil || refused { // we promised never to write to it again
		return err
	}
	to := notice.Stranger{Number: n, Address: h.address, Language: h.language(), Line: h.Gateway}
	if to.Language == "" {
		to.Language = t.set.Language
	}
	if !ok {
		if ok, err := t.mayAnswerAny(ctx, tx); err != nil || !ok {
			return err
		}
		return t.voice.Stranger(ctx, tx, to, "trop", notice.Fields{"n": int(t.set.Flood.Pause / time.Minute)})
	}
	switch {
	case h.missed == nil && h.command.Verb == grammar.Silence:
		return nil
	case h.missed == nil && h.command.Verb == grammar.Lost && h.command.Who != "" && !h.byMail():
		return t.strangerLost(ctx, tx, to, h.command)
	}
	if heard, err := t.strangerBuys(ctx, tx, h); heard || err != nil {
		return err
	}
	if ok, err := t.mayAnswer(ctx, tx, id); err != nil || !ok {
		return err
	}
	key := "nonmembre"
	if h.byMail() {
		key = "mail.inconnu"
	}
	return t.voice.Stranger(ctx, tx, to, key, nil)
}

// strangerBuys lets merchants hear a stranger, as long as any may be answered today.
func (t *Teller) strangerBuys(ctx context.Context, tx *store.Tx, h hearing) (bool, error) {
	n, err := tx.Counted(ctx, "strangers", t.set.Midnight(tx.Now()))
	if err != nil || n >= t.set.StrangerAll {
		return false, err
	}
	heard, err := t.forMerchants(ctx, tx, h, nil)
	if err != nil || !heard {
		return false, err
	}
	_, err = t.mayAnswerAny(ctx, tx)
	return true, err
}

// mayAnswer counts an answer to a stranger, and reports whether it is within
// the limits of the day.
func (t *Teller) mayAnswer(ctx context.Context, tx *store.Tx, id string) (bool, error) {
	one, err := tx.Count(ctx, tx.StrangerTally(id), t.set.Midnight(tx.Now()))
	if err != nil || one > t.set.Stranger {
		return false, err
	}
	return t.mayAnswerAny(ctx, tx)
}

// mayAnswerAny counts an answer to any stranger.
func (t *Teller) mayAnswerAny(ctx context.Context, tx *store.Tx) (bool, error) {
	all, err := tx.Count(ctx, "strangers", t.set.Midnight(tx.Now()))
	return all <= t.set.StrangerAll, err
}

func (t *Teller) strangerLost(ctx context.Context, tx *store.Tx, to notice.Stranger, c grammar.Command) error {
	today := t.set.Midnight(tx.Now())
	n, err := tx.Count(ctx, tx.StrangerTally("lost:"+to.Number.E164()), today)
	if err != nil || n > lostAnswers {
		return err
	}
	m, err := tx.MemberByNick(ctx, c.Who)
	if errors.Is(err, store.ErrNotFound) {
		// No pseudo is proposed: a stranger learns no names.
		return t.lostAnswer(ctx, tx, to, "pseudo.inconnu", notice.Fields{"who": cut(c.Who)})
	}
	if err != nil {
		return err
	}
	key, f, err := t.reportLost(ctx, tx, m, c.Cell)
	var refusal *notice.Refusal
	if errors.As(err, &refusal) {
		key, f, err = refusal.Key, refusal.Fields, nil
	}
	if err != nil {
		return err
	}
	if key == "perdu" {
		return t.voice.Stranger(ctx, tx, to, key, f)
	}
	return t.lostAnswer(ctx, tx, to, key, f)
}

// lostAnswer answers a stranger who has proved nothing yet, as far as all of
// them together may be answered today: forged ones keep nobody from a proof.
func (t *Teller) lostAnswer(ctx context.Context, tx *store.Tx, to notice.Stranger, key string, f notice.Fields) error {
	n, err := tx.Count(ctx, "strangers.lost", t.set.Midnight(tx.Now()))
	if err != nil || n > lostAnswersInAll {
		return err
	}
	return t.voice.Stranger(ctx, tx, to, key, f)
}

// reportLost blocks all of a member's phone once a cell of the code card has
// proved who asks, and returns what to answer; before, it names the cell.
func (t *Teller) reportLost(ctx context.Context, tx *store.Tx, m *member.Member, cell string) (string, notice.Fields, error) {
	who := notice.Name(m, "")
	if cell == "" {
		asked, err := t.desk.Cell(ctx, tx, m)
		return "perdu.tiers", notice.Fields{"who": who, "cell": asked}, err
	}
	right, err := t.desk.Prove(ctx, tx, m, cell)
	if err != nil || !right {
		return "", nil, err
	}
	m.LostAt = tx.Now()
	if err := tx.SaveMember(ctx, m); err != nil {
		return "", nil, err
	}
	if err := t.desk.CancelOwn(ctx, tx, m); err != nil {
		return "", nil, err
	}
	if _, err := t.desk.Unbind(ctx, tx, m); err != nil { // whoever has the phone reads mail on it
		return "", nil, err
	}
	return "perdu", notice.Fields{"who": who}, tx.Raise(ctx, "LOST", m.ID)
}
