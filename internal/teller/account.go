package teller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"maillon/internal/charter"
	"maillon/internal/grammar"
	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/notice"
	"maillon/internal/payment"
	"maillon/internal/store"
)

// Bounds of HISTO.
const (
	perPage = 3
	maxPage = 1000
)

// Bounds of a member's own word, in letters, and of the pseudos that are offered.
const (
	minWord, maxWord = 3, 6
	maxOffers        = 40 // pseudos tried until two are free
)

// balance answers what the member has, and what waits for a code.
func (k *talk) balance(ctx context.Context) error {
	open, err := k.openQuestions(ctx)
	if err != nil {
		return err
	}
	for _, q := range open {
		if !q.Own() {
			continue
		}
		f, err := k.desk.Fields(ctx, k.tx, q)
		if err != nil {
			return err
		}
		if f["bal"], err = k.desk.Balance(ctx, k.tx, k.from, q.Amount.Currency()); err != nil {
			return err
		}
		return k.answer(ctx, "solde.attente", f)
	}
	f := notice.Fields{}
	last, err := k.movements(ctx, 0, 1)
	if err != nil {
		return err
	}
	for _, m := range last {
		if err := k.movementFields(ctx, f, "", m); err != nil {
			return err
		}
	}
	return k.answerBalance(ctx, "solde", f)
}

// movements returns the newest movements of the member in the first unit.
func (k *talk) movements(ctx context.Context, skip, limit int) ([]store.Movement, error) {
	accounts, err := k.tx.AccountsOf(ctx, k.from.ID)
	if err != nil {
		return nil, err
	}
	for _, a := range accounts {
		if a.Balance.Currency() == k.set.Currency() {
			return k.tx.Movements(ctx, a.ID, skip, limit)
		}
	}
	return nil, nil
}

// movementFields says a movement in the fields whose names end in suffix.
func (k *talk) movementFields(ctx context.Context, f notice.Fields, suffix string, m store.Movement) error {
	who, err := k.other(ctx, m)
	if err != nil {
		return err
	}
	sign, amount := "+", m.Amount
	if amount.Sign() < 0 {
		sign = "-"
		if amount, err = amount.Neg(); err != nil {
			return err
		}
	}
	f["d"+suffix], f["sgn"+suffix], f["amt"+suffix], f["who"+suffix] = notice.Day(m.At), sign, amount, who
	return nil
}

// other names the other side of a movement as this member may see it.
func (k *talk) other(ctx context.Context, m store.Movement) (any, error) {
	if m.OtherMember == 0 {
		return called(m.OtherName), nil
	}
	other, err := k.tx.Member(ctx, m.OtherMember)
	if err != nil {
		return nil, err
	}
	if other.Nick != "" || other.State == member.Closed {
		return payment.Called(other, ""), nil
	}
	o, err := k.tx.OrderOf(ctx, m.Transaction)
	if errors.Is(err, store.ErrNotFound) {
		return payment.Called(other, ""), nil
	}
	if err != nil {
		return nil, err
	}
	if o.Owner == int64(k.from.ID) { // a number is shown only to whoever typed it
		return payment.Called(other, o.Secret.Typed), nil
	}
	return payment.Called(other, ""), nil
}

// called names an account of the association: a pot by its own name.
func called(account string) any {
	if pot, ok := charter.PotOf(account); ok {
		return pot
	}
	return notice.Phrase{Key: "compte." + account}
}

// history answers three movements a page, the newest first.
func (k *talk) history(ctx context.Context) error {
	page := min(max(k.command.Page, 1), maxPage)
	all, err := k.movements(ctx, (page-1)*perPage, perPage+1)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return k.answerBalance(ctx, "histo.vide", nil)
	}
	f := notice.Fields{}
	if len(all) > perPage {
		all, f["n"] = all[:perPage], page+1
	}
	for i, m := range all {
		suffix := ""
		if i > 0 {
			suffix = strconv.Itoa(i + 1)
		}
		if err := k.movementFields(ctx, f, suffix, m); err != nil {
			return err
		}
	}
	return k.answerBalance(ctx, "histo", f)
}

// till answers what came in during one local day.
func (k *talk) till(ctx context.Context) error {
	day := k.set.Midnight(k.tx.Now())
	if k.command.Day > 0 {
		y := day.Year()
		day = time.Date(y, time.Month(k.command.Month), k.command.Day, 0, 0, 0, 0, k.set.Zone)
		if day.After(k.tx.Now()) {
			day = time.Date(y-1, time.Month(k.command.Month), k.command.Day, 0, 0, 0, 0, k.set.Zone)
		}
	}
	y, m, d := day.Date()
	in, err := k.tx.TillOf(ctx, k.from.ID, k.set.Currency(), day, time.Date(y, m, d+1, 0, 0, 0, 0, k.set.Zone))
	if err != nil {
		return err
	}
	f := notice.Fields{"d": notice.Day(day), "n": in.N, "amt": in.Sum}
	if in.Last != nil {
		payer, err := k.tx.Member(ctx, member.ID(in.Last.Payer))
		if err != nil {
			return err
		}
		f["who"], f["amt2"], f["t"] = payment.Called(payer, ""), in.Last.Amount, notice.Clock(in.Last.Paid)
	}
	return k.answerBalance(ctx, "caisse", f)
}

// verify tells the two parties of a transfer that it is true, and everybody
// else nothing.
func (k *talk) verify(ctx context.Context) error {
	ref := k.command.Ref
	t, err := k.tx.TransactionByRef(ctx, ref)
	if errors.Is(err, store.ErrNotFound) {
		return k.answer(ctx, "verif.faux", notice.Fields{"ref": ref})
	}
	if err != nil {
		return err
	}
	var from, to any
	mine := false
	amount := money.New(0, k.set.Currency())
	for _, p := range t.Postings {
		id, name, err := k.tx.Owner(ctx, p.Account)
		if err != nil {
			return err
		}
		mine = mine || id == k.from.ID && id != 0
		who, err := k.owner(ctx, id, name)
		if err != nil {
			return err
		}
		if p.Amount.Sign() < 0 {
			from = who
		} else {
			to, amount = who, p.Amount
		}
	}
	if !mine || len(t.Postings) != 2 || t.Kind == ledger.Opening {
		return k.answer(ctx, "verif.faux", notice.Fields{"ref": ref})
	}
	return k.answer(ctx, "verif", notice.Fields{
		"ref": ref, "amt": amount, "who": from, "who2": to, "d": notice.Day(t.At), "t": notice.Clock(t.At),
	})
}

func (k *talk) owner(ctx context.Context, id member.ID, name string) (any, error) {
	if id == 0 {
		return called(name), nil
	}
	m, err := k.tx.Member(ctx, id)
	if err != nil {
		return nil, err
	}
	return payment.Called(m, ""), nil
}

// Reserved reports whether a word, as grammar.Fold returns it, is nobody's
// pseudo: it would read as a verb, as oneself, or as the association.
func (t *Teller) Reserved(word string) bool {
	if _, verb := t.parser.Verb(word); verb || t.parser.Oneself(word) {
		return true
	}
	for _, u := range t.set.Units {
		if word == grammar.Fold(u.Name) || word == grammar.Fold(u.Plural) {
			return true
		}
	}
	return slices.Contains([]string{"admin", "maillon", "penn"}, word)
}

// nick gives the member a pseudo, and makes a member of a new number.
func (k *talk) nick(ctx context.Context) error {
	wish := grammar.Fold(k.command.Nick)
	if !member.ValidNick(wish) {
		return notice.Refuse("pseudo.invalide", nil)
	}
	free, err := k.free(ctx, wish)
	if err != nil {
		return err
	}
	if !free {
		return k.offer(ctx, wish)
	}
	old, wasNew := k.from.Nick, k.from.State == member.New
	if wasNew {
		if err := k.desk.Accept(ctx, k.tx, k.from); err != nil {
			return err
		}
	}
	if old != wish {
		if err := k.tx.TakeNick(ctx, k.from, wish, k.tx.Now().Add(k.set.NickReserved)); err != nil {
			return err
		}
	}
	if old == "" || old == wish {
		return k.answerBalance(ctx, "bienvenue2", notice.Fields{"who": wish})
	}
	return k.answer(ctx, "pseudo.ok", notice.Fields{"who": wish, "who2": old})
}

func (k *talk) free(ctx context.Context, nick string) (bool, error) {
	if k.Reserved(nick) {
		return false, nil
	}
	taken, err := k.tx.NickTaken(ctx, nick, k.from.ID)
	return !taken, err
}

// offer proposes two pseudos that are free: with the suffix of the place, then
// with numbers.
func (k *talk) offer(ctx context.Context, wish string) error {
	offers := make([]any, 0, 2)
	for i := 1; i <= maxOffers && len(offers) < 2; i++ {
		suffix := strconv.Itoa(i)
		if i == 1 {
			suffix = grammar.Fold(k.set.NickSuffix)
		}
		offer := wish[:min(len(wish), member.MaxNick-len(suffix))] + suffix
		free, err := k.free(ctx, offer)
		if err != nil {
			return err
		}
		if free && member.ValidNick(offer) {
			offers = append(offers, offer)
		}
	}
	if len(offers) < 2 {
		return notice.Refuse("pseudo.invalide", nil)
	}
	return k.answer(ctx, "pseudo.pris", notice.Fields{"who": wish, "who2": offers[0], "who3": offers[1]})
}

// lang chooses the language of every text to this member.
func (k *talk) lang(ctx context.Context) error {
	wish := k.command.Lang
	if !k.voice.Speaks(wish) {
		return k.answer(ctx, "langue.inconnue", nil)
	}
	k.from.Language, k.from.Chosen = wish, true
	if err := k.tx.SaveMember(ctx, k.from); err != nil {
		return err
	}
	return k.answer(ctx, "langue", nil)
}

// word sets the word that begins every SMS to this member from the next on.
func (k *talk) word(ctx context.Context) error {
	w := k.command.Word
	valid := len(w) >= minWord && len(w) <= maxWord
	for _, r := range w {
		valid = valid && r >= 'a' && r <= 'z'
	}
	if !valid {
		return notice.Refuse("mot.invalide", nil)
	}
	k.from.Word = w
	if err := k.tx.SaveMember(ctx, k.from); err != nil {
		return err
	}
	return k.voice.AnswerPlain(ctx, k.tx, k.from, "mot", notice.Fields{"word": w})
}

// stop mutes notices; start lets them come again.
func (k *talk) stop(ctx context.Context) error  { return k.mute(ctx, true, "stop") }
func (k *talk) start(ctx context.Context) error { return k.mute(ctx, false, "reprendre") }

func (k *talk) mute(ctx context.Context, muted bool, key string) error {
	k.from.Muted = muted
	if err := k.tx.SaveMember(ctx, k.from); err != nil {
		return fmt.Errorf("mute: %w", err)
	}
	return k.answerBalance(ctx, key, nil)
}

// close asks whether the account shall be closed and forgotten.
func (k *talk) close(ctx context.Context) error {
	if !k.from.HasAccount() {
		return notice.Refuse("incompris", nil)
	}
	if err := k.desk.MayPay(ctx, k.tx, k.from); err != nil {
		return err
	}
	return k.desk.CloseOrder(ctx, k.tx, k.from)
}
