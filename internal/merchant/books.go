package merchant

import (
	"context"
	"fmt"
	"strings"

	"maillon/internal/ledger"
	"maillon/internal/money"
	"maillon/internal/store"
	"maillon/internal/trade"
)

// testCurrency is the code that ISO 4217 reserves for tests: what the twins for
// tests have is in no figure of real money.
const testCurrency = "XTS"

// The names of accounts, each with a number after it unless it is of the whole
// association. What clients and merchants are owed is above zero; what operators
// owe and what has been spent stands below it.
const (
	accDeposit    = "deposit"    // of an authorization
	accAdvance    = "advance"    // of an authorization
	accPrepaid    = "prepayment" // of a claim
	accPayable    = "payable"    // to a merchant
	accReceivable = "receivable" // from a gateway
	accShare      = "carrier_share"
	accOwed       = "receivable_from" // a merchant: value was used and taken back
	accVariance   = "carrier_variance"
	accBank       = "bank"
	accCash       = "cash"
)

// unbounded are those that stand below zero.
var unbounded = map[string]bool{accReceivable: true, accShare: true, accOwed: true, accVariance: true, accBank: true, accCash: true}

// A leg is one posting, to an account by its name or, for a member, its ID.
type leg struct {
	name   string
	of     any // what the name is of: a number, a gateway, or nil
	id     ledger.AccountID
	amount int64
}

// currencyOf returns in what the books keep a merchant's money.
func currencyOf(test bool, c money.Currency) money.Currency {
	if test {
		return money.Currency{Code: testCurrency, Decimals: c.Decimals}
	}
	return c
}

func (l leg) account(ctx context.Context, tx *store.Tx, test bool, c money.Currency) (ledger.Account, error) {
	if l.id != 0 {
		return tx.Account(ctx, l.id)
	}
	name := l.name
	if l.of != nil {
		name = fmt.Sprintf("%s:%v", name, l.of)
	}
	if test { // of merchants whose units may be of several sizes
		name = fmt.Sprintf("test/%d/%s", c.Decimals, name)
	}
	return tx.NamedAccount(ctx, name, currencyOf(test, c), unbounded[l.name])
}

// post posts legs that sum to zero; those of nothing are left out. Nothing at all
// is no transaction.
func (s *Service) post(ctx context.Context, tx *store.Tx, test bool, c money.Currency, key string, legs ...leg) (ledger.TransactionID, error) {
	t := ledger.Transaction{Key: "trade:" + key, Kind: ledger.Trade, At: tx.Now()}
	if err := s.postings(ctx, tx, test, c, &t, legs); err != nil || len(t.Postings) == 0 {
		return 0, err
	}
	if err := ledger.Post(ctx, tx, &t); err != nil {
		return 0, fmt.Errorf("%s: %w", key, err)
	}
	return t.ID, nil
}

func (s *Service) postings(ctx context.Context, tx *store.Tx, test bool, c money.Currency, t *ledger.Transaction, legs []leg) error {
	for _, l := range legs {
		if l.amount == 0 {
			continue
		}
		a, err := l.account(ctx, tx, test, c)
		if err != nil {
			return err
		}
		t.Postings = append(t.Postings, ledger.Posting{Account: a.ID, Amount: money.New(l.amount, a.Balance.Currency())})
	}
	return nil
}

// ready makes what an authorization is about to spend stand on its own account:
// what is only set aside on a member's account is captured.
func (s *Service) ready(ctx context.Context, tx *store.Tx, a *trade.Authorization, p *trade.Policy, name string, amount int64, key string) error {
	if a.Hold == 0 || amount == 0 {
		return nil
	}
	own, err := leg{name: name, of: a.ID}.account(ctx, tx, p.Test, p.Currency)
	if err != nil {
		return err
	}
	missing := amount - own.Balance.Minor()
	if missing <= 0 {
		return nil
	}
	h, err := tx.Hold(ctx, ledger.HoldID(a.Hold))
	if err != nil {
		return err
	}
	sum := money.New(missing, p.Currency)
	moves, err := ledger.Transfer(h.Account, own.ID, sum)
	if err != nil {
		return err
	}
	t := ledger.Transaction{Key: "trade:capture:" + key, Kind: ledger.Trade, At: tx.Now(), Postings: moves}
	return ledger.Capture(ctx, tx, h.ID, sum, &t)
}

// An Account is one of a merchant's, with what stands on it.
type Account struct {
	Name    string // payable, receivable_from, carrier_share
	Balance money.Amount
	ID      ledger.AccountID
}

// Accounts returns a merchant's accounts in the currencies of its policies.
func (s *Service) Accounts(ctx context.Context, tx *store.Tx, m *trade.Merchant) ([]Account, error) {
	currencies, err := s.currencies(ctx, tx, m)
	if err != nil {
		return nil, err
	}
	var all []Account
	for _, c := range currencies {
		for _, name := range []string{accPayable, accOwed, accShare} {
			a, err := leg{name: name, of: m.ID}.account(ctx, tx, m.Test, c)
			if err != nil {
				return nil, err
			}
			if a.ID != 0 {
				all = append(all, Account{Name: name, Balance: money.New(a.Balance.Minor(), c), ID: a.ID})
			}
		}
	}
	return all, nil
}

// currencies returns those of a merchant's policies, in their order.
func (s *Service) currencies(ctx context.Context, tx *store.Tx, m *trade.Merchant) ([]money.Currency, error) {
	policies, err := some(ctx, tx, store.RecordsWhere{Kind: KindPolicy, Owner: m.ID}, store.MaxRecords, fillPolicy)
	if err != nil {
		return nil, err
	}
	var all []money.Currency
	seen := map[string]bool{}
	for _, p := range policies {
		if !seen[p.Currency.Code] {
			seen[p.Currency.Code] = true
			all = append(all, p.Currency)
		}
	}
	return all, nil
}

// Entries returns what moved on one of a merchant's accounts, the newest first,
// or store.ErrNotFound if there is no such account.
func (s *Service) Entries(ctx context.Context, tx *store.Tx, m *trade.Merchant, name, currency string, skip, limit int) ([]store.Movement, error) {
	all, err := s.Accounts(ctx, tx, m)
	if err != nil {
		return nil, err
	}
	for _, a := range all {
		if a.Name == name && strings.EqualFold(a.Balance.Currency().Code, currency) {
			return tx.Movements(ctx, a.ID, skip, limit)
		}
	}
	return nil, store.ErrNotFound
}
