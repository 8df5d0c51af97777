package rest

import (
	"errors"
	"net/http"

	"maillon/internal/auth"
	"maillon/internal/ledger"
	"maillon/internal/store"
)

func (h *Handler) getAccount(w http.ResponseWriter, r *http.Request, _ *auth.Key) error {
	id, ok := parseID(accountPrefix, r.PathValue("id"))
	if !ok {
		return problemNoAccount
	}
	var row store.AccountRow
	err := h.db.View(r.Context(), func(tx *store.Tx) (err error) {
		row, err = tx.AccountRow(r.Context(), ledger.AccountID(id))
		return err
	})
	if errors.Is(err, ledger.ErrNoAccount) {
		return problemNoAccount
	}
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, showAccount(row))
}

func (h *Handler) listAccounts(w http.ResponseWriter, r *http.Request, _ *auth.Key) error {
	l, err := readList(r, accountPrefix, nil)
	if err != nil {
		return err
	}
	var rows []account
	err = h.db.View(r.Context(), func(tx *store.Tx) error {
		all, err := tx.AccountRows(r.Context(), ledger.AccountID(l.after), l.limit+1)
		for _, row := range all {
			rows = append(rows, showAccount(row))
		}
		return err
	})
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, paged(rows, l.limit, func(a account) string { return a.ID }))
}
