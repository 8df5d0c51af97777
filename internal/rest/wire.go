package rest

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/store"
)

// The prefixes of IDs.
const (
	accountPrefix  = "acc_"
	transferPrefix = "txn_"
	memberPrefix   = "mem_"
)

func accountID(id ledger.AccountID) string { return idOf(accountPrefix, int64(id)) }

func transferID(id ledger.TransactionID) string { return idOf(transferPrefix, int64(id)) }

func memberID(id member.ID) string { return idOf(memberPrefix, int64(id)) }

func idOf(prefix string, n int64) string { return prefix + strconv.FormatInt(n, 10) }

// parseID reads an ID as idOf writes it, and in no other spelling.
func parseID(prefix, text string) (n int64, ok bool) {
	digits, ok := strings.CutPrefix(text, prefix)
	if !ok || digits == "" || digits[0] < '1' || digits[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil
}

// A TransferRequest is one transfer that is asked for.
type TransferRequest struct {
	From     string `json:"from"`
	To       string `json:"to"`
	Amount   int64  `json:"amount"` // smallest units
	Currency string `json:"currency"`
}

// A Transfer is a transaction of the books as the API shows it.
type Transfer struct {
	ID        string    `json:"id"`
	Kind      string    `json:"kind"`
	From      string    `json:"from"`
	To        string    `json:"to"`
	Amount    int64     `json:"amount"`
	Currency  string    `json:"currency"`
	CreatedAt time.Time `json:"created_at"`
	Reverses  string    `json:"reverses,omitempty"`
}

// A BulkItem is one transfer among many.
type BulkItem struct {
	IdempotencyKey string `json:"idempotency_key"`
	TransferRequest
}

// A BulkRequest asks for many transfers at once.
type BulkRequest struct {
	Transfers []BulkItem `json:"transfers"`
}

// A BulkResult is what became of one of them.
type BulkResult struct {
	Status   int       `json:"status"`
	Replayed bool      `json:"replayed,omitempty"`
	Transfer *Transfer `json:"transfer,omitempty"`
	Problem  *problem  `json:"problem,omitempty"`
}

// A BulkAnswer has the results in the order of the transfers.
type BulkAnswer struct {
	Results []BulkResult `json:"results"`
}

// An account as the API shows it.
type account struct {
	ID        string `json:"id"`
	Member    string `json:"member,omitempty"`
	Name      string `json:"name,omitempty"` // of an account of the association
	Currency  string `json:"currency"`
	Decimals  uint8  `json:"decimals"`
	Balance   int64  `json:"balance"`
	Held      int64  `json:"held"`
	Available int64  `json:"available"`
}

// A page is some rows of a list, and where the next ones begin.
type page[T any] struct {
	Data []T    `json:"data"`
	Next string `json:"next,omitempty"` // for the parameter after; none: that was all
}

// showTransfer shows a transaction. All that there are have two sides; of one
// with more, the first of each sign and what left the first are shown.
func showTransfer(t ledger.Transaction) Transfer {
	v := Transfer{ID: transferID(t.ID), Kind: string(t.Kind), CreatedAt: t.At.UTC()}
	if t.Reverses != 0 {
		v.Reverses = transferID(t.Reverses)
	}
	for _, p := range slices.Backward(t.Postings) {
		if p.Amount.Sign() > 0 {
			v.To = accountID(p.Account)
			continue
		}
		v.From, v.Amount, v.Currency = accountID(p.Account), -p.Amount.Minor(), p.Amount.Currency().Code
	}
	return v
}

func showAccount(r store.AccountRow) account {
	v := account{
		ID: accountID(r.ID), Name: r.Name, Currency: r.Balance.Currency().Code, Decimals: r.Balance.Currency().Decimals,
		Balance: r.Balance.Minor(), Held: r.Held.Minor(), Available: r.Spendable().Minor(),
	}
	if r.Member != 0 {
		v.Member = memberID(r.Member)
	}
	return v
}

// A list is what was asked of a list.
type list struct {
	after int64
	limit int
}

// filters are the parameters of an address: each reads its value, and says
// whether it can be one.
type filters map[string]func(value string) bool

// readQuery reads the parameters of an address, and refuses those that it does not
// know: a filter that was misspelt would show everything.
func readQuery(r *http.Request, known filters) error {
	for name, values := range r.URL.Query() {
		filter, is := known[name]
		switch {
		case len(values) != 1:
			return problemParameter.because("a parameter is given twice")
		case !is:
			return problemParameter.because("there is no such parameter")
		case !filter(values[0]):
			return problemParameter.because("the parameter " + name + " is wrong")
		}
	}
	return nil
}

// readList reads the parameters of a list: after, limit and more.
func readList(r *http.Request, prefix string, more filters) (list, error) {
	l := list{limit: listLen}
	known := filters{
		"after": func(v string) (ok bool) {
			l.after, ok = parseID(prefix, v)
			return ok
		},
		"limit": func(v string) bool {
			n, err := strconv.Atoi(v)
			l.limit = n
			return err == nil && n >= 1 && n <= maxList
		},
	}
	maps.Copy(known, more)
	return l, readQuery(r, known)
}

// paged makes a page of at most limit rows and one that says there are more.
func paged[T any](rows []T, limit int, id func(T) string) page[T] {
	p := page[T]{Data: rows}
	if rows == nil {
		p.Data = []T{}
	}
	if len(rows) > limit {
		p.Data = rows[:limit]
		p.Next = id(rows[limit-1])
	}
	return p
}
