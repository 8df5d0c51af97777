package teller

import (
	"context"
	"slices"

	"maillon/internal/grammar"
	"maillon/internal/guard"
	"maillon/internal/member"
	"maillon/internal/notice"
	"maillon/internal/setting"
)

// do does what the text asks.
func (k *talk) do(ctx context.Context) error {
	if k.from.State == member.New {
		return k.doNew(ctx)
	}
	if k.missed != nil {
		return k.misunderstood(ctx)
	}
	return k.doVerb(ctx)
}

// doVerb does one command that was understood.
func (k *talk) doVerb(ctx context.Context) error {
	if admin, ok := k.adminVerb(); ok && k.byMail() {
		return notice.Refuse("mail.sms", nil)
	} else if ok {
		return admin(ctx)
	}
	act, ok := map[grammar.Verb]func(context.Context) error{
		grammar.Silence: func(context.Context) error { return nil },
		grammar.Balance: k.balance, grammar.History: k.history, grammar.Till: k.till, grammar.Verify: k.verify,
		grammar.Pay: k.pay, grammar.Ask: k.ask, grammar.Yes: k.yes, grammar.No: k.no, grammar.Cancel: k.cancel, grammar.Refund: k.refund,
		grammar.Nick: k.nick, grammar.Lang: k.lang, grammar.Word: k.word, grammar.Mail: k.mail, grammar.Help: k.help,
		grammar.Stop: k.stop, grammar.Start: k.start, grammar.Close: k.close,
		grammar.Fraud: k.fraud, grammar.Lost: k.lost, grammar.Card: k.card, grammar.Block: k.block, grammar.Unblock: k.unblock,
	}[k.command.Verb]
	if !ok { // a verb of a later release, or an administrator's
		return notice.Refuse("incompris", nil)
	}
	return act(ctx)
}

// doNew answers a number that was given money and has not accepted it yet.
func (k *talk) doNew(ctx context.Context) error {
	asked, err := k.administers(ctx)
	switch {
	case err != nil:
		return err
	case asked && k.missed != nil:
		return k.misunderstood(ctx)
	case asked:
		return k.doVerb(ctx)
	}
	if word := k.aloneWord(); word != "" {
		k.command = grammar.Command{Verb: grammar.Nick, Nick: word, Plain: word}
		k.missed = nil
	}
	if k.missed != nil {
		if k.missed.Verb == grammar.Pay || k.missed.Verb == grammar.Ask || k.missed.Verb == grammar.Yes {
			return k.desk.Remind(ctx, k.tx, k.from)
		}
		return k.misunderstood(ctx)
	}
	switch k.command.Verb {
	case grammar.No:
		return k.desk.RefuseGifts(ctx, k.tx, k.from)
	case grammar.Pay, grammar.Ask, grammar.Yes, grammar.Refund, grammar.Close:
		return k.desk.Remind(ctx, k.tx, k.from)
	}
	return k.doVerb(ctx)
}

// administers reports whether the text answers what an administrator was asked:
// nobody can keep a phone from it by giving money to its number.
func (k *talk) administers(ctx context.Context) (bool, error) {
	verb := k.command.Verb
	if k.missed != nil {
		verb = k.missed.Verb
	}
	if k.from.Role == "" || verb != grammar.Yes && verb != grammar.No {
		return false, nil
	}
	open, err := k.openQuestions(ctx)
	return len(open) > 0, err
}

// aloneWord returns the one unknown word that a new number sent, which is its
// pseudo if it can be one.
func (k *talk) aloneWord() string {
	switch {
	case k.missed != nil && k.missed.Key == "incompris" && member.ValidNick(grammar.Fold(k.missed.Plain)):
		return grammar.Fold(k.missed.Plain)
	case k.missed == nil && k.command.Guessed && member.ValidNick(grammar.Fold(k.command.Plain)):
		return grammar.Fold(k.command.Plain)
	}
	return ""
}

// misunderstood says what to send instead. What would move money is first
// refused for the reasons that forbid to move any.
func (k *talk) misunderstood(ctx context.Context) error {
	m := k.missed
	if slices.Contains([]grammar.Verb{grammar.Pay, grammar.Credit}, m.Verb) && m.Key != "aide.vir" && m.Key != "aide.credite" {
		if err := k.desk.MayPay(ctx, k.tx, k.from); err != nil {
			return err
		}
	}
	switch m.Key {
	case "aide.vir":
		return k.answer(ctx, k.payHelp(), nil)
	case "aide.credite":
		if !k.from.Role.MayCredit() {
			return k.answer(ctx, "incompris", nil)
		}
	case "code.manque":
		open, err := k.openQuestions(ctx)
		if err != nil {
			return err
		}
		if len(open) == 0 {
			return k.answerBalance(ctx, "code.rien", nil)
		}
		return k.answer(ctx, m.Key, notice.Fields{"len": open[0].CodeLen})
	}
	if m.Verb == grammar.Credit && !k.from.Role.MayCredit() {
		return k.answer(ctx, "incompris", nil)
	}
	return k.answer(ctx, m.Key, notice.Fields{"txt": m.Typed, "num": m.Typed, "n": m.N, "n2": m.N2})
}

// help explains one verb, or lists all.
func (k *talk) help(ctx context.Context) error {
	switch k.command.About {
	case grammar.Pay:
		return k.answer(ctx, k.payHelp(), nil)
	case grammar.Ask:
		return k.answer(ctx, "aide.demande", nil)
	case grammar.Credit:
		if k.from.Role.MayCredit() {
			return k.answer(ctx, "aide.credite", nil)
		}
	case grammar.Mail:
		if len(k.options.Letters) > 0 {
			return k.answer(ctx, "mail.aide", nil)
		}
	}
	return k.answer(ctx, "aide", nil)
}

// payHelp returns the key of the text that says how paying is confirmed here.
func (k *talk) payHelp() string {
	switch k.confirm() {
	case setting.Above:
		return "aide.vir.seuil"
	case setting.Off:
		return "aide.vir.direct"
	}
	return "aide.vir"
}

// confirm returns when a payment asks for its code on this line.
func (k *talk) confirm() setting.Mode {
	if k.options.Always[k.Gateway] {
		return setting.Always
	}
	return k.set.Confirm
}

// sameCode reports whether a typed code is that of a question.
func sameCode(typed, code string) bool { return guard.SameCode(typed, code) }
