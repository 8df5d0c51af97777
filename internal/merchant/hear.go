package merchant

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/notice"
	"maillon/internal/setting"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/trade"
)

// maxChallenges bounds how many wrong answers to one challenge are heard.
const maxChallenges = 3

// orderShown is how much of an order's reference an SMS has room for, in characters.
const orderShown = 20

// disputeWords are what a client writes before the number of an order, in the
// languages that there are.
var disputeWords = []string{"LITIGE", "DISPUTE"}

// A talk is one client's SMS to a merchant.
type talk struct {
	*Service
	tx    *store.Tx
	in    sms.Incoming
	from  address
	who   *member.Member // nil: she is none
	words []string       // after the keyword
	reply func(ctx context.Context, key string, f notice.Fields) error
}

// Hear answers an SMS whose first word is a policy's keyword, or that disputes an
// order. It reports false, having done nothing, for any other.
func (s *Service) Hear(ctx context.Context, tx *store.Tx, in sms.Incoming, number sms.Number, from *member.Member) (bool, error) {
	t := &talk{Service: s, tx: tx, in: in, who: from, from: address{Number: number.E164(), Language: s.Set.Language, Line: in.Gateway}}
	if from != nil {
		t.from.Language = from.Language
	}
	t.reply = func(ctx context.Context, key string, f notice.Fields) error { return s.write(ctx, tx, t.from, key, f) }
	return s.hear(ctx, t, nil)
}

// hear hears what was sent to everybody, or in test mode to one merchant.
func (s *Service) hear(ctx context.Context, t *talk, test *trade.Merchant) (bool, error) {
	words := strings.Fields(strings.ToUpper(sms.Plain(t.in.Text)))
	if len(words) == 0 {
		return false, nil
	}
	t.words = words[1:]
	for _, w := range disputeWords {
		if words[0] == w && len(t.words) == 1 && test == nil {
			return t.dispute(ctx)
		}
	}
	r, err := t.tx.RecordByRef(ctx, kindKeyword, tester(test), words[0])
	switch {
	case errors.Is(err, store.ErrNotFound) && test != nil:
		return false, nil
	case errors.Is(err, store.ErrNotFound):
		return false, t.lost(ctx)
	case err != nil:
		return false, err
	}
	p, err := s.Policy(ctx, t.tx, nil, r.Parent)
	if err != nil {
		return false, err
	}
	m, err := s.Merchant(ctx, t.tx, p.Merchant)
	if err != nil {
		return false, err
	}
	return true, t.answer(ctx, m, p)
}

// lost tells administrators that somebody paid for a word that is nobody's.
func (t *talk) lost(ctx context.Context) error {
	if t.in.Charge == nil || t.Alert == nil {
		return nil
	}
	return t.Alert(ctx, t.tx, "CHARGE")
}

func (t *talk) dispute(ctx context.Context) (bool, error) {
	id, err := strconv.ParseInt(t.words[0], 10, 64)
	if err != nil {
		return false, nil //nolint:nilerr // it is no dispute, then
	}
	m, d, err := t.contestBy(ctx, t.tx, id, t.from)
	var state *trade.StateError
	switch {
	case errors.Is(err, store.ErrNotFound):
		return false, nil
	case errors.As(err, &state):
		return true, t.reply(ctx, "marchand.litige.tard", notice.Fields{"shop": m.Name})
	case err != nil:
		return true, err
	}
	return true, t.reply(ctx, "marchand.litige", notice.Fields{"shop": m.Name, "d": notice.Day(d.Due)})
}

// answer does what a client's SMS to a policy asks for.
func (t *talk) answer(ctx context.Context, m *trade.Merchant, p *trade.Policy) error {
	if (p.Ended || m.Suspended) && t.in.Charge == nil {
		return t.reply(ctx, "marchand.ferme", notice.Fields{"shop": m.Name})
	}
	a, known, err := t.subject(ctx, m, p)
	if err != nil {
		return err
	}
	if a == nil {
		return t.reply(ctx, "marchand.nom", notice.Fields{"shop": m.Name})
	}
	if p, err = t.Terms(ctx, t.tx, a); err != nil {
		return err
	}
	if t.in.Charge == nil && p.Price > 0 {
		return t.unpaid(ctx, m, p, a)
	}
	forged := t.in.Proof == sms.Forgeable && p.Flow != trade.ByCode && a.State == trade.Pending
	proven := !forged || t.proves(a)
	if proven {
		a.Challenge = ""
	} else {
		if err := t.challenge(ctx, m, p, a); err != nil {
			return err
		}
		if t.in.Charge == nil {
			return t.reply(ctx, "marchand.prouver", notice.Fields{"shop": m.Name, "kw": p.Keyword, "code": notice.Code(challengeOf(t.tx, a.ID))})
		}
	}
	if t.in.Charge == nil {
		if a.State != trade.Pending { // nothing more is asked for, and the code is said again
			return t.tellStanding(ctx, t.tx, m, p, a, t.reply)
		}
		a.Fund(p, 0)
		if err := t.funded(ctx, t.tx, m, p, a); err != nil {
			return err
		}
		return t.tellStanding(ctx, t.tx, m, p, a, t.reply)
	}
	c, err := t.charge(ctx, t.tx, m, p, a, t.in)
	if err != nil {
		return err
	}
	switch {
	case c.State == trade.ChargePending:
		return t.reply(ctx, "marchand.attente", notice.Fields{"shop": m.Name})
	case c.State == trade.ChargeFailed || c.State == trade.ChargeClawedBack:
		return t.reply(ctx, "marchand.echec", notice.Fields{"shop": m.Name})
	case !known && p.Flow == trade.ByUsername:
		return t.reply(ctx, "marchand.nom", notice.Fields{"shop": m.Name})
	case a.Challenge != "":
		return t.reply(ctx, "marchand.prouver", notice.Fields{"shop": m.Name, "kw": p.Keyword, "code": notice.Code(challengeOf(t.tx, a.ID))})
	}
	return t.tellStanding(ctx, t.tx, m, p, a, t.reply)
}

// subject finds the authorization that an SMS is for. In the username flow it must
// be the one whose account shows the text; what is paid without it is kept for the
// number, to be given back. It is nil if there is none and nothing was paid.
func (t *talk) subject(ctx context.Context, m *trade.Merchant, p *trade.Policy) (a *trade.Authorization, known bool, err error) {
	n, err := t.from.number()
	if err != nil {
		return nil, false, err
	}
	who := whoPhone(t.tx, m.Test, n)
	if p.Flow == trade.ByUsername {
		a, err = t.named(ctx, m, p, who)
		if err != nil || a == nil && t.in.Charge == nil {
			return nil, false, err
		}
	}
	known = a != nil
	if a == nil {
		if a, err = t.standing(ctx, t.tx, m, p, who); err != nil {
			return nil, false, err
		}
	}
	if a.Member == 0 && t.who != nil && !m.Test {
		a.Member = int64(t.who.ID)
	}
	if a.Contact == nil {
		if a.Contact, err = t.seal(ctx, t.tx, t.from); err != nil {
			return nil, false, err
		}
	}
	return a, known, t.saveAuthorization(ctx, t.tx, a)
}

// named finds the authorization of a username with the digits that its account
// shows, or the one for which the number is to prove itself.
func (t *talk) named(ctx context.Context, m *trade.Merchant, p *trade.Policy, who []byte) (*trade.Authorization, error) {
	if len(t.words) == 1 {
		r, err := t.tx.RecordByRef(ctx, kindChallenge, m.ID, live(p.ID, who))
		if errors.Is(err, store.ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		return t.Authorization(ctx, t.tx, m, r.Parent)
	}
	if len(t.words) != 2 {
		return nil, nil
	}
	name, err := username(t.words[0])
	if err != nil {
		return nil, nil //nolint:nilerr // it is nobody's, then
	}
	r, err := t.tx.RecordByRef(ctx, KindAuthorization, m.ID, live(p.ID, whoUser(t.tx, m.ID, name)))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	a, err := read(r, fillAuthorization)
	if err != nil || t.words[1] != bindOf(t.tx, a.ID) {
		return nil, err
	}
	ended, err := t.pass(ctx, t.tx, a, t.Now(t.tx, m))
	if err != nil || ended {
		return nil, err
	}
	return a, nil
}

// kindChallenge are the numbers that are to prove themselves; what for is the parent.
const kindChallenge = "challenge"

// challenge makes a client prove that the number is hers.
func (t *talk) challenge(ctx context.Context, m *trade.Merchant, p *trade.Policy, a *trade.Authorization) error {
	a.Challenge = "asked"
	if p.Flow == trade.ByUsername {
		n, err := t.from.number()
		if err != nil {
			return err
		}
		ref := live(p.ID, whoPhone(t.tx, m.Test, n))
		r, err := t.tx.RecordByRef(ctx, kindChallenge, m.ID, ref)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		r.Kind, r.Owner, r.Parent, r.Ref, r.Loose, r.Body = kindChallenge, m.ID, a.ID, ref, true, []byte(`{}`)
		if err := t.tx.SaveRecord(ctx, &r); err != nil {
			return err
		}
	}
	return t.saveAuthorization(ctx, t.tx, a)
}

// challengeOf is what she must send back.
func challengeOf(tx *store.Tx, authorization int64) string {
	return derive(tx, "challenge", fmt.Sprint(authorization), "0123456789", 4)
}

// proves reports whether the SMS answers the challenge: it went to the number that
// the SMS says it is from. After three wrong answers nothing proves any more.
func (t *talk) proves(a *trade.Authorization) bool {
	if a.Challenge == "" || len(t.words) != 1 || a.Tries >= maxChallenges {
		return false
	}
	if t.words[0] == challengeOf(t.tx, a.ID) {
		return true
	}
	a.Tries++
	return false
}

// unpaid answers an SMS at the usual rate where a paid one is asked for: a member
// may have the sum set aside on her account, others are told how it goes.
func (t *talk) unpaid(ctx context.Context, m *trade.Merchant, p *trade.Policy, a *trade.Authorization) error {
	fields := notice.Fields{"shop": m.Name, "kw": p.Keyword}
	tries := a.Tries
	proven := t.proves(a)
	if a.Tries != tries {
		if err := t.saveAuthorization(ctx, t.tx, a); err != nil {
			return err
		}
	}
	if proven && a.State == trade.Pending && a.Rail == trade.Premium && a.Paid >= p.Messages { // it was paid before, and is proven now
		a.Challenge = ""
		if err := t.funded(ctx, t.tx, m, p, a); err != nil {
			return err
		}
		return t.tellStanding(ctx, t.tx, m, p, a, t.reply)
	}
	if a.State == trade.Active && len(t.words) == 0 && (p.Kind == trade.Deposit || a.Advance >= p.PerOrder) {
		return t.tellStanding(ctx, t.tx, m, p, a, t.reply) // nothing more is needed, and the code is said again
	}
	if t.who == nil || m.Test || !p.Takes(trade.Balance) || p.Currency != t.Set.Currency() {
		fields["line"], fields["sum"], fields["n"] = t.LineOf(p), t.sum(p.Price, p.Currency), p.Messages-min(a.Paid, p.Messages-1)
		return t.reply(ctx, "marchand.comment", fields)
	}
	sum := p.Price * int64(max(p.Messages-a.Paid, 1))
	if !proven {
		if a.Tries >= maxChallenges {
			return t.reply(ctx, "marchand.essais", fields)
		}
		if err := t.challenge(ctx, m, p, a); err != nil {
			return err
		}
		fields["sum"], fields["code"] = t.sum(sum, p.Currency), notice.Code(challengeOf(t.tx, a.ID))
		return t.reply(ctx, "marchand.bloquer", fields)
	}
	paused, err := t.tx.Paused(ctx)
	if err != nil {
		return err
	}
	most := setting.Whole(t.Set.Max, p.Currency).Minor() // of one payment
	if !paused.IsZero() || t.who.Frozen() || t.who.LockedTill.After(t.tx.Now()) || sum > most {
		return t.reply(ctx, "marchand.bloque", fields)
	}
	a.Challenge = ""
	err = t.setAside(ctx, t.tx, m, p, a, t.who)
	if errors.Is(err, ledger.ErrInsufficient) {
		fields["sum"] = t.sum(sum, p.Currency)
		return t.reply(ctx, "marchand.solde", fields)
	}
	if err != nil {
		return err
	}
	return t.tellStanding(ctx, t.tx, m, p, a, t.reply)
}

// tellStanding tells a client where she stands; by reply, or by an SMS of its own.
func (s *Service) tellStanding(ctx context.Context, tx *store.Tx, m *trade.Merchant, p *trade.Policy, a *trade.Authorization,
	reply func(context.Context, string, notice.Fields) error,
) error {
	if reply == nil {
		reply = func(ctx context.Context, key string, f notice.Fields) error {
			return s.tellClient(ctx, tx, m, a, key, f)
		}
	}
	f := notice.Fields{"shop": m.Name}
	switch {
	case a.State == trade.Pending:
		f["n"], f["n2"], f["kw"], f["line"] = a.Paid, p.Messages, p.Keyword, s.LineOf(p)
		return reply(ctx, "marchand.recu", f)
	case a.State != trade.Active:
		return reply(ctx, "marchand.ferme", f)
	case p.Flow == trade.ByCode:
		f["bcode"] = showCode(codeOf(tx, a.ID))
		return reply(ctx, "marchand.code", f)
	}
	return reply(ctx, "marchand.actif", f)
}

// LineOf is where a client sends her SMS: the short code, or the number of the server.
func (s *Service) LineOf(p *trade.Policy) string {
	if p.ShortCode != "" {
		return p.ShortCode
	}
	return s.Line
}

// sum shows an amount in any currency: "10,00 MAD" where people write a comma.
func (s *Service) sum(minor int64, c money.Currency) string {
	a := money.New(minor, c)
	text := a.Plain()
	if s.Voice.Comma(s.Set.Language) {
		text = strings.Replace(text, ".", ",", 1)
	}
	return text + " " + s.Set.Symbol(c)
}

func cut(text string) string {
	if r := []rune(text); len(r) > orderShown {
		return string(r[:orderShown])
	}
	return text
}

// How a contact is sealed, in its first octet.
const (
	sealedForMember = 'M' // with the member's own key: it ends with her. Her ID follows
	sealedApart     = 'S' // under a key of its own, which dies
)

// seal keeps how a client is written to.
func (*Service) seal(ctx context.Context, tx *store.Tx, to address) ([]byte, error) {
	text, err := json.Marshal(to)
	if err != nil {
		return nil, err
	}
	n, err := to.number()
	if err != nil {
		return nil, err
	}
	m, err := tx.MemberByNumber(ctx, n)
	if errors.Is(err, store.ErrNotFound) {
		sealed, err := tx.SealFor(ctx, tx.Now().Add(contactOf), text)
		return append([]byte{sealedApart}, sealed...), err
	}
	if err != nil {
		return nil, err
	}
	sealed, err := tx.Seal(ctx, m, text)
	head := binary.BigEndian.AppendUint64([]byte{sealedForMember}, uint64(m.ID)) //nolint:gosec // a row number
	return append(head, sealed...), err
}

// Forget destroys the keys of what was sealed of a number before its member was one:
// what was sealed since ends with her.
func (*Service) Forget(ctx context.Context, tx *store.Tx, m *member.Member) error {
	if m.Number.IsZero() {
		return nil
	}
	for _, kind := range []string{KindAuthorization, KindClaim} {
		w := store.RecordsWhere{Kind: kind, Who: whoPhone(tx, false, m.Number)}
		for more := true; more; {
			all, err := tx.Records(ctx, w, store.MaxRecords)
			if err != nil {
				return err
			}
			for _, r := range all {
				w.After = r.ID
				var kept struct {
					Contact []byte `json:"contact"`
				}
				if err := json.Unmarshal(r.Body, &kept); err != nil {
					return fmt.Errorf("%s %d: %w", kind, r.ID, err)
				}
				if len(kept.Contact) == 0 || kept.Contact[0] != sealedApart {
					continue
				}
				if err := tx.EraseSealed(ctx, kept.Contact[1:]); err != nil {
					return err
				}
			}
			more = len(all) == store.MaxRecords
		}
	}
	return nil
}

// contact returns how a client is written to; none if that is not known, or not
// any more.
func (*Service) contact(ctx context.Context, tx *store.Tx, a *trade.Authorization) (to address, err error) {
	const idLen = 8
	var text []byte
	number := "" // that a member has now
	switch c := a.Contact; {
	case len(c) == 0:
		return to, nil
	case c[0] == sealedForMember && len(c) > 1+idLen:
		var m *member.Member
		m, err = tx.Member(ctx, member.ID(binary.BigEndian.Uint64(c[1:]))) //nolint:gosec // a row number
		if err == nil {
			text, err = tx.Unseal(ctx, m, c[1+idLen:])
			number = m.Number.E164()
		}
	default:
		text, err = tx.UnsealFor(ctx, c[1:])
	}
	if errors.Is(err, store.ErrErased) {
		return to, nil
	}
	if err != nil {
		return to, err
	}
	err = json.Unmarshal(text, &to)
	if number != "" {
		to.Number = number
	}
	return to, err
}

// tellClient writes to the client of an authorization, if it is known how.
func (s *Service) tellClient(ctx context.Context, tx *store.Tx, m *trade.Merchant, a *trade.Authorization, key string, f notice.Fields) error {
	to, err := s.contact(ctx, tx, a)
	if err != nil || to.Number == "" {
		return err
	}
	return s.tell(ctx, tx, m, to, key, f)
}

// tell writes to a client. In test mode nothing leaves: the SMS is an event.
func (s *Service) tell(ctx context.Context, tx *store.Tx, m *trade.Merchant, to address, key string, f notice.Fields) error {
	if !m.Test {
		n, err := to.number()
		if err != nil {
			return err
		}
		if refused, err := tx.HasRefused(ctx, n); err != nil || refused { // we promised never to write to it again
			return err
		}
		return s.write(ctx, tx, to, key, f)
	}
	text, err := s.Voice.Text(to.language(s), key, f)
	if err != nil {
		return err
	}
	return s.emit(ctx, tx, m.ID, "test.sms", map[string]string{"object": "test_sms", "text": text})
}

func (a address) language(s *Service) string {
	if a.Language == "" || !s.Voice.Speaks(a.Language) {
		return s.Set.Language
	}
	return a.Language
}

func (s *Service) write(ctx context.Context, tx *store.Tx, to address, key string, f notice.Fields) error {
	n, err := to.number()
	if err != nil {
		return err
	}
	m, err := tx.MemberByNumber(ctx, n)
	if err == nil {
		return s.Voice.Answer(ctx, tx, m, key, f)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return s.Voice.Stranger(ctx, tx, notice.Stranger{Number: n, Language: to.language(s), Line: to.Line}, key, f)
}
