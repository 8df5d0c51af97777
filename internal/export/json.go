package export

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"maillon/internal/ledger"
)

// The shape of the JSON. Amounts are texts, so that no program rounds them.
type (
	jsonAccount struct {
		Account string `json:"account"`
		Name    string `json:"name"`
		Member  bool   `json:"member"`
		Unit    string `json:"unit"`
		Balance string `json:"balance"`
	}
	jsonTransaction struct {
		ID       int64         `json:"id"`
		At       string        `json:"at"`
		Kind     string        `json:"kind"`
		Ref      string        `json:"ref,omitempty"`
		Reverses int64         `json:"reverses,omitempty"`
		Memo     string        `json:"memo,omitempty"`
		Postings []jsonPosting `json:"postings"`
	}
	jsonPosting struct {
		Account string `json:"account"`
		Amount  string `json:"amount"`
		Unit    string `json:"unit"`
	}
)

// json writes one object, an element of a list on each line.
func (e *writer) json(ctx context.Context, w io.Writer) error {
	name, err := json.Marshal(e.Association)
	if err != nil {
		return err
	}
	l := lines{w: w}
	l.put(`{"association":` + string(name) + `,"accounts":[`)
	for _, a := range e.sorted() {
		l.element(jsonAccount{a.label, a.name, a.Member != 0, a.Balance.Currency().Code, a.Balance.Plain()})
	}
	l.put("\n" + `],"transactions":[`)
	l.some = false
	err = e.each(ctx, func(t ledger.Transaction, memo string) error {
		x := jsonTransaction{
			ID: int64(t.ID), At: e.local(t.At).Format(time.RFC3339), Kind: string(t.Kind), Ref: t.Ref, Reverses: int64(t.Reverses), Memo: memo,
		}
		for _, p := range t.Postings {
			x.Postings = append(x.Postings, jsonPosting{e.accounts[p.Account].label, p.Amount.Plain(), p.Amount.Currency().Code})
		}
		l.element(x)
		return l.err
	})
	if err != nil {
		return err
	}
	l.put("\n]}\n")
	return l.err
}

// lines writes lists, and remembers what went wrong first.
type lines struct {
	w    io.Writer
	some bool
	err  error
}

func (l *lines) put(text string) {
	if l.err == nil {
		_, l.err = io.WriteString(l.w, text)
	}
}

func (l *lines) element(value any) {
	text, err := json.Marshal(value)
	if l.err == nil {
		l.err = err
	}
	if l.some {
		l.put(",")
	}
	l.some = true
	l.put("\n" + string(text))
}
