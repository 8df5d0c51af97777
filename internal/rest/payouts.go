package rest

import (
	"context"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/merchant"
	"maillon/internal/trade"
	"maillon/internal/trade/object"
)

func (h *Handler) listCharges(ctx context.Context, c *call) (answer, error) {
	var page merchant.Page
	limit, err := readPage(c, object.ChargeID, &page, filters{
		"authorization": idFilter(object.AuthorizationID, &page.Parent),
		"status": stateFilter(&page.States,
			trade.ChargePending, trade.ChargeConfirmed, trade.ChargeSettled, trade.ChargeFailed, trade.ChargeClawedBack),
	})
	if err != nil {
		return answer{}, err
	}
	all, err := h.merchants.Charges(ctx, c.tx, c.m, page)
	if err != nil {
		return answer{}, err
	}
	show := func(v *trade.Charge) (object.Charge, error) { return object.OfCharge(c.m.Test, v), nil }
	return shown(all, limit, show, func(v object.Charge) string { return v.ID })
}

func (h *Handler) listRefunds(ctx context.Context, c *call) (answer, error) {
	var page merchant.Page
	limit, err := readPage(c, object.RefundID, &page, filters{"authorization": idFilter(object.AuthorizationID, &page.Parent)})
	if err != nil {
		return answer{}, err
	}
	all, err := h.merchants.Refunds(ctx, c.tx, c.m, page)
	if err != nil {
		return answer{}, err
	}
	show := func(r *trade.Refund) (object.Refund, error) {
		p, err := h.policyOf(ctx, c, r.Authorization)
		if err != nil {
			return object.Refund{}, err
		}
		return object.OfRefund(p, r), nil
	}
	return shown(all, limit, show, func(v object.Refund) string { return v.ID })
}

func (h *Handler) listPayouts(ctx context.Context, c *call) (answer, error) {
	var page merchant.Page
	limit, err := readPage(c, object.PayoutID, &page, nil)
	if err != nil {
		return answer{}, err
	}
	all, err := h.merchants.Payouts(ctx, c.tx, c.m, page)
	if err != nil {
		return answer{}, err
	}
	show := func(p *trade.Payout) (object.Payout, error) { return object.OfPayout(c.m.Test, p), nil }
	return shown(all, limit, show, func(v object.Payout) string { return v.ID })
}

// A balance is what a merchant has earned in one currency.
type balance struct {
	Object    string `json:"object"`
	Currency  string `json:"currency"`
	Earned    int64  `json:"earned"`
	Withheld  int64  `json:"withheld"`
	Owed      int64  `json:"owed"`
	Available int64  `json:"available"`
}

func (h *Handler) getBalance(ctx context.Context, c *call) (answer, error) {
	due, err := h.merchants.Payable(ctx, c.tx, c.m)
	if err != nil {
		return answer{}, err
	}
	all := make([]balance, 0, len(due))
	for _, d := range due {
		all = append(all, balance{"balance", d.Currency.Code, d.Earned, d.Withheld, d.Owed, d.Available})
	}
	return ok(page[balance]{Data: all})
}

// A ledgerAccount is one of the merchant's accounts in the books.
type ledgerAccount struct {
	Object   string `json:"object"`
	ID       string `json:"id"`
	Name     string `json:"name"`
	Currency string `json:"currency"`
	Balance  int64  `json:"balance"`
}

func (h *Handler) listLedgerAccounts(ctx context.Context, c *call) (answer, error) {
	accounts, err := h.merchants.Accounts(ctx, c.tx, c.m)
	if err != nil {
		return answer{}, err
	}
	all := make([]ledgerAccount, 0, len(accounts))
	for _, a := range accounts {
		all = append(all, ledgerAccount{"ledger_account", accountID(a.ID), a.Name, a.Balance.Currency().Code, a.Balance.Minor()})
	}
	return ok(page[ledgerAccount]{Data: all})
}

// An entry is what one transaction did to an account.
type entry struct {
	Object    string    `json:"object"`
	Transfer  string    `json:"transfer"`
	Kind      string    `json:"kind"`
	Amount    int64     `json:"amount"`
	Currency  string    `json:"currency"`
	CreatedAt time.Time `json:"created_at"`
}

func (h *Handler) listLedgerEntries(ctx context.Context, c *call) (answer, error) {
	id, err := pathID(c, accountPrefix, problemNoAccount)
	if err != nil {
		return answer{}, err
	}
	var asked merchant.Page
	limit, err := readPage(c, transferPrefix, &asked, nil)
	if err != nil {
		return answer{}, err
	}
	account, err := h.ledgerAccount(ctx, c, ledger.AccountID(id))
	if err != nil {
		return answer{}, err
	}
	all, err := c.tx.TransactionsAfter(ctx, account.ID, ledger.TransactionID(asked.After), asked.Limit)
	if err != nil {
		return answer{}, err
	}
	show := func(t ledger.Transaction) (entry, error) {
		v := entry{Object: "ledger_entry", Transfer: transferID(t.ID), Kind: string(t.Kind), Currency: account.Balance.Currency().Code, CreatedAt: t.At.UTC()}
		for _, p := range t.Postings {
			if p.Account == account.ID {
				v.Amount += p.Amount.Minor()
			}
		}
		return v, nil
	}
	return shown(all, limit, show, func(v entry) string { return v.Transfer })
}

// ledgerAccount finds one of the merchant's own accounts.
func (h *Handler) ledgerAccount(ctx context.Context, c *call, id ledger.AccountID) (merchant.Account, error) {
	all, err := h.merchants.Accounts(ctx, c.tx, c.m)
	if err != nil {
		return merchant.Account{}, err
	}
	for _, a := range all {
		if a.ID == id {
			return a, nil
		}
	}
	return merchant.Account{}, problemNoAccount
}
