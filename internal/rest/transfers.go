package rest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"

	"maillon/internal/auth"
	"maillon/internal/ledger"
	"maillon/internal/payment"
	"maillon/internal/store"
)

// maxAmount is the greatest whole number that every reader of JSON keeps as it
// is, RFC 8259, section 6.
const maxAmount = 1<<53 - 1

// postTransfer does one transfer.
func (h *Handler) postTransfer(w http.ResponseWriter, r *http.Request, who *auth.Key) error {
	var asked TransferRequest
	if err := read(w, r, maxBody, &asked); err != nil {
		return err
	}
	keys := r.Header["Idempotency-Key"]
	if len(keys) > 1 {
		return problemKeyForm
	}
	t, err := h.understand(who, asked, strings.Join(keys, ""))
	if err != nil {
		return err
	}
	var done ledger.Transaction
	var again bool
	err = h.db.UpdateHinted(r.Context(), payment.Hint(t), func(tx *store.Tx) (err error) {
		done, again, err = h.desk.Move(r.Context(), tx, t)
		return err
	})
	if err != nil {
		return err
	}
	if again {
		w.Header().Set("Idempotent-Replayed", "true")
	}
	v := showTransfer(done)
	w.Header().Set("Location", "/v1/transfers/"+v.ID)
	return write(w, http.StatusCreated, v)
}

// postBulk does many transfers with one commit. Each is done or refused by
// itself; only trouble undoes them all.
func (h *Handler) postBulk(w http.ResponseWriter, r *http.Request, who *auth.Key) error {
	var asked BulkRequest
	if err := read(w, r, maxBulkBody, &asked); err != nil {
		return err
	}
	if len(asked.Transfers) < 1 || len(asked.Transfers) > maxBulk {
		return problemBulk
	}
	results := make([]BulkResult, len(asked.Transfers))
	var all []payment.Transfer
	var at []int // where the result of each stands
	for n, item := range asked.Transfers {
		t, err := h.understand(who, item.TransferRequest, item.IdempotencyKey)
		if err != nil {
			results[n] = refused(r, err)
			continue
		}
		all, at = append(all, t), append(at, n)
	}
	var moved []payment.Moved
	err := h.db.UpdateHinted(r.Context(), payment.Hint(all...), func(tx *store.Tx) (err error) {
		moved, err = h.desk.MoveAll(r.Context(), tx, all)
		return err
	})
	if err != nil {
		return err
	}
	for n, m := range moved {
		if m.Err != nil {
			results[at[n]] = refused(r, m.Err)
			continue
		}
		v := showTransfer(m.Transaction)
		results[at[n]] = BulkResult{Status: http.StatusCreated, Replayed: m.Again, Transfer: &v}
	}
	return write(w, http.StatusOK, BulkAnswer{results})
}

func refused(r *http.Request, err error) BulkResult {
	p := problemFor(r.Context(), err)
	return BulkResult{Status: p.Status, Problem: p}
}

// understand checks the form of what is asked.
func (h *Handler) understand(who *auth.Key, asked TransferRequest, key string) (payment.Transfer, error) {
	t := payment.Transfer{Minor: asked.Amount, Currency: asked.Currency}
	if err := checkKey(key); err != nil {
		return t, err
	}
	if asked.Amount > maxAmount {
		return t, payment.ErrAmount
	}
	from, ok := parseID(accountPrefix, asked.From)
	to, also := parseID(accountPrefix, asked.To)
	if !ok || !also {
		return t, ledger.ErrNoAccount
	}
	t.From, t.To = ledger.AccountID(from), ledger.AccountID(to)
	t.Key = h.ledgerKey(who, key)
	return t, nil
}

func checkKey(key string) error {
	if key == "" {
		return problemKeyMissing
	}
	if len(key) > maxKeyLen {
		return problemKeyForm
	}
	for _, c := range []byte(key) {
		if c <= ' ' || c > '~' {
			return problemKeyForm
		}
	}
	return nil
}

// ledgerKey names a transfer in the books: no key of the API answers for
// another's. What its owner wrote is hidden, for names may say who, and the
// journal is for ever.
func (h *Handler) ledgerKey(who *auth.Key, key string) string {
	mac := hmac.New(sha256.New, h.db.CodeKey())
	_, _ = mac.Write([]byte("idempotency:" + who.ID + ":" + key))
	return "api:" + who.ID + ":" + hex.EncodeToString(mac.Sum(nil)[:16])
}

func (h *Handler) getTransfer(w http.ResponseWriter, r *http.Request, _ *auth.Key) error {
	id, ok := parseID(transferPrefix, r.PathValue("id"))
	if !ok {
		return problemNoTransfer
	}
	var t ledger.Transaction
	err := h.db.View(r.Context(), func(tx *store.Tx) (err error) {
		t, err = tx.Transaction(r.Context(), ledger.TransactionID(id))
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return problemNoTransfer
	}
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, showTransfer(t))
}

func (h *Handler) listTransfers(w http.ResponseWriter, r *http.Request, _ *auth.Key) error {
	var of ledger.AccountID // 0: all
	l, err := readList(r, transferPrefix, filters{"account": func(text string) bool {
		id, ok := parseID(accountPrefix, text)
		of = ledger.AccountID(id)
		return ok
	}})
	if err != nil {
		return err
	}
	var rows []Transfer
	err = h.db.View(r.Context(), func(tx *store.Tx) error {
		if of != 0 {
			if _, err := tx.Account(r.Context(), of); errors.Is(err, ledger.ErrNoAccount) {
				return problemNoAccount
			} else if err != nil {
				return err
			}
		}
		all, err := tx.TransactionsAfter(r.Context(), of, ledger.TransactionID(l.after), l.limit+1)
		for _, t := range all {
			rows = append(rows, showTransfer(t))
		}
		return err
	})
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, paged(rows, l.limit, func(t Transfer) string { return t.ID }))
}
