package teller

import (
	"context"
	"errors"
	"slices"

	"maillon/internal/grammar"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/notice"
	"maillon/internal/order"
	"maillon/internal/payment"
	"maillon/internal/setting"
	"maillon/internal/sms"
	"maillon/internal/store"
)

// pay orders a payment.
func (k *talk) pay(ctx context.Context) error {
	if k.command.Bare && k.confirm() == setting.Off {
		return notice.Refuse("incompris", nil)
	}
	if err := k.desk.MayPay(ctx, k.tx, k.from); err != nil {
		return err
	}
	o, payee, err := k.order(ctx)
	if err != nil {
		return err
	}
	how := payment.Confirmation{Bare: k.command.Bare, Late: k.late(), Always: k.options.Always[k.Gateway]}
	return k.desk.Pay(ctx, k.tx, k.from, payee, o, how)
}

// ask asks a member for money.
func (k *talk) ask(ctx context.Context) error {
	if err := k.mayAsk(ctx); err != nil {
		return err
	}
	o, payer, err := k.order(ctx)
	if err != nil {
		return err
	}
	switch {
	case payer == nil || payer.State != member.Active:
		return notice.Refuse("demande.inconnu", notice.Fields{"who": k.command.To.Typed})
	case payer.ID == k.from.ID:
		return notice.Refuse("soi", nil)
	}
	return k.desk.Request(ctx, k.tx, k.from, payer, o)
}

// mayAsk refuses who may not ask now. Wrong codes lock paying out only.
func (k *talk) mayAsk(ctx context.Context) error {
	if !k.from.HasAccount() {
		return notice.Refuse("incompris", nil)
	}
	paused, err := k.tx.Paused(ctx)
	switch {
	case err != nil:
		return err
	case paused.IsZero() && !k.from.Frozen():
		return nil
	}
	return k.desk.MayPay(ctx, k.tx, k.from)
}

// order reads the slots of a command into a new order: the amount, the unit,
// then whom it names, nil if the number has no account.
func (k *talk) order(ctx context.Context) (*order.Order, *member.Member, error) {
	if k.command.Item != "" {
		return k.buy(ctx)
	}
	amount, err := k.amount(ctx)
	if err != nil {
		return nil, nil, err
	}
	to := k.command.To
	o := &order.Order{Amount: amount, Line: k.Gateway, Secret: order.Secret{Memo: k.command.Memo, Typed: to.Typed}}
	if to.Nick != "" {
		m, err := k.byNick(ctx, to.Nick)
		return o, m, err
	}
	if err := k.mayWriteTo(to); err != nil {
		return nil, nil, err
	}
	m, err := k.tx.MemberByNumber(ctx, to.Number)
	if errors.Is(err, store.ErrNotFound) {
		o.Secret.Number = to.Number.E164()
		return o, nil, nil
	}
	return o, m, err
}

// buy reads the short id of what a stall sells into a new order.
func (k *talk) buy(ctx context.Context) (*order.Order, *member.Member, error) {
	said := notice.Fields{"txt": k.command.Item}
	if k.options.Stalls == nil {
		return nil, nil, notice.Refuse("etal.inconnu", said)
	}
	t, err := k.options.Stalls.Sold(ctx, k.tx, k.command.Item)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil, notice.Refuse("etal.inconnu", said)
	}
	if err != nil {
		return nil, nil, err
	}
	price := t.Price()
	if said["amt"] = price; price.IsZero() && k.command.Amount.IsZero() {
		return nil, nil, notice.Refuse("etal.montant", said)
	}
	unit := k.set.UnitOf(t.Currency)
	if k.command.Unit != "" && k.command.Unit != unit.Symbol {
		return nil, nil, notice.Refuse("etal.devise", said)
	}
	if !k.command.Amount.IsZero() {
		k.command.Unit = unit.Symbol
		amount, err := k.amount(ctx)
		if err != nil {
			return nil, nil, err
		}
		if !price.IsZero() && price != amount {
			return nil, nil, notice.Refuse("etal.prix", said)
		}
		price = amount
	}
	m, err := k.tx.Member(ctx, t.Stall.Member())
	if err != nil {
		return nil, nil, err
	}
	if m.State != member.Active {
		return nil, nil, notice.Refuse("etal.inconnu", said)
	}
	return &order.Order{Amount: price, Line: k.Gateway, Secret: order.Secret{Memo: t.Description, Item: t.ID}}, m, nil
}

// amount returns what was typed in the unit that was typed, or the only one.
func (k *talk) amount(ctx context.Context) (money.Amount, error) {
	unit, ok := k.set.Unit(k.command.Unit)
	if !ok {
		return money.Amount{}, notice.Refuse("devise", nil)
	}
	if _, err := k.command.Amount.In(unit.Currency()); errors.Is(err, money.ErrDecimals) {
		below, above := k.command.Amount.Neighbours()
		f := notice.Unit(unit)
		f["n"], f["n2"] = below, above
		return money.Amount{}, notice.Refuse("decimal", f)
	}
	if k.command.Unit == "" {
		var err error
		if unit, err = k.onlyUnit(ctx); err != nil {
			return money.Amount{}, err
		}
	}
	amount, err := k.command.Amount.In(unit.Currency())
	switch {
	case errors.Is(err, money.ErrOverflow):
		return amount, notice.Refuse("max", nil)
	case err != nil:
		return amount, err
	case amount.Sign() <= 0:
		return amount, notice.Refuse("zero", nil)
	}
	return amount, nil
}

// onlyUnit returns the unit in which a member has money, and asks which if
// there are several.
func (k *talk) onlyUnit(ctx context.Context) (setting.Unit, error) {
	accounts, err := k.tx.AccountsOf(ctx, k.from.ID)
	if err != nil {
		return setting.Unit{}, err
	}
	var units []setting.Unit
	var balances []money.Amount
	for _, u := range k.set.Units {
		for _, a := range accounts {
			if a.Balance.Currency() == u.Currency() && !a.Balance.IsZero() {
				units, balances = append(units, u), append(balances, a.Balance)
			}
		}
	}
	switch {
	case len(units) == 0:
		return k.set.Units[0], nil
	case len(units) == 1:
		return units[0], nil
	}
	return setting.Unit{}, notice.Refuse("multi", notice.Fields{
		"u": units[0].Symbol, "unit": units[0].Name, "u2": units[1].Symbol, "unit2": units[1].Name, "bal": balances[0], "bal2": balances[1],
	})
}

// mayWriteTo refuses numbers to which no SMS of ours goes.
func (k *talk) mayWriteTo(to grammar.Payee) error {
	n := to.Number
	switch {
	case !slices.Contains(k.set.Countries, n.Country()):
		return notice.Refuse("num.etranger", nil)
	case !n.Mobile():
		return notice.Refuse("num.fixe", notice.Fields{"num": to.Typed})
	case slices.ContainsFunc(k.options.Own, func(own sms.Number) bool { return own == n }):
		return notice.Refuse("num.special", notice.Fields{"num": to.Typed})
	}
	return nil
}

// byNick returns who has a pseudo. A misspelt one is proposed, never used, and
// what is proposed counts as a name looked up.
func (k *talk) byNick(ctx context.Context, nick string) (*member.Member, error) {
	if k.parser.Oneself(nick) {
		return k.from, nil
	}
	m, err := k.tx.MemberByNick(ctx, nick)
	if !errors.Is(err, store.ErrNotFound) {
		return m, err
	}
	near, id, err := k.tx.Neighbour(ctx, nick)
	if err != nil {
		return nil, err
	}
	if id == k.from.ID {
		near = ""
	}
	if near != "" {
		if err := k.desk.Look(ctx, k.tx, k.from, id); err != nil {
			return nil, err
		}
	}
	return nil, notice.Refuse("pseudo.inconnu", notice.Fields{"who": cut(nick), "who2": near})
}

// cut shortens what was typed for a pseudo to the length of one.
func cut(nick string) string {
	if r := []rune(nick); len(r) > member.MaxNick {
		return string(r[:member.MaxNick])
	}
	return nick
}
