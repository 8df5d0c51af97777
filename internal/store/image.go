package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"maillon/internal/member"
)

// A column is one column of a row with what an event says of it.
type column struct {
	name  string
	value any  // int64, string or []byte
	loose bool // may change without the journal
}

// An image is a row as an event left it. Its first columns are its key.
type image struct {
	table   string
	keys    int
	columns []column
	ended   bool // the row was deleted
}

// image returns the row that e wrote at a time; false for an event that leaves
// no image, such as one of the ledger, which is replayed.
func (e event) image(at int64) (image, bool) {
	switch {
	case e.Member != nil:
		return e.Member.image(), true
	case e.Nick != nil:
		return image{table: "nick", keys: 1, columns: []column{
			{name: "hash", value: e.Nick.Hash},
			{name: "lookalike", value: e.Nick.Lookalike},
			{name: "member", value: e.Nick.Member},
			{name: "free_at", value: e.Nick.Free},
		}}, true
	case e.Order != nil:
		return e.Order.image(), true
	case e.Card != nil:
		return image{table: "card", keys: 1, columns: []column{
			{name: "member", value: e.Card.Member},
			{name: "key", value: e.Card.Key},
			{name: "sealed", value: e.Card.Sealed},
			{name: "tries", value: int64(e.Card.Tries)},
			{name: "locked_till", value: e.Card.Locked},
		}}, true
	case e.Block != nil:
		return image{table: "block", keys: 2, ended: e.Block.Ended, columns: []column{
			{name: "member", value: e.Block.Member}, {name: "other", value: e.Block.Other},
		}}, true
	case e.Refused != nil:
		return image{table: "refused", keys: 1, columns: []column{{name: "hash", value: e.Refused.Hash}, {name: "at", value: at}}}, true
	case e.Record != nil:
		return e.Record.image(), true
	case e.Act != nil && e.Act.ID > 0:
		return e.Act.image(at), true
	case e.State != nil:
		return image{table: "state", keys: 1, columns: []column{{name: "name", value: e.State.Name}, {name: "value", value: e.State.Value}}}, true
	}
	return image{}, false
}

func (e *memberEvent) image() image {
	return image{table: "member", keys: 1, columns: []column{
		{name: "id", value: e.ID},
		{name: "key", value: e.Key},
		{name: "state", value: e.State},
		{name: "secret", value: e.Secret},
		{name: "language", value: e.Language, loose: true},
		{name: "chosen", value: bit(e.Chosen)},
		{name: "muted", value: bit(e.Muted)},
		{name: "role", value: e.Role},
		{name: "ceiling", value: e.Ceiling},
		{name: "opened_at", value: e.Opened},
		{name: "seen_at", value: e.Seen, loose: true},
		{name: "frozen_at", value: e.Frozen},
		{name: "frozen_by", value: e.FrozenBy},
		{name: "lost_at", value: e.Lost},
		{name: "locked_till", value: e.Locked},
		{name: "look_till", value: e.Look},
		{name: "ask_till", value: e.Ask},
		{name: "doubt_till", value: e.Doubt},
		{name: "proved_at", value: e.Proved},
		{name: "grp", value: e.Group},
	}}
}

func (e *orderEvent) image() image {
	return image{table: "orders", keys: 1, columns: []column{
		{name: "id", value: e.ID},
		{name: "ref", value: e.Ref},
		{name: "kind", value: e.Kind},
		{name: "state", value: e.State},
		{name: "owner", value: e.Owner},
		{name: "asked", value: e.Asked},
		{name: "payer", value: e.Payer},
		{name: "payee", value: e.Payee},
		{name: "currency", value: e.Currency},
		{name: "decimals", value: int64(e.Decimals)},
		{name: "amount", value: e.Amount},
		{name: "key", value: e.Key},
		{name: "secret", value: e.Secret},
		{name: "question", value: e.Question},
		{name: "late", value: int64(0), loose: true},
		{name: "nonce", value: []byte(nil), loose: true},
		{name: "code_len", value: int64(0), loose: true},
		{name: "tries", value: int64(0), loose: true},
		{name: "warned", value: int64(0), loose: true},
		{name: "created_at", value: e.Created},
		{name: "code_end", value: int64(0), loose: true},
		{name: "due_at", value: e.Due},
		{name: "paid_at", value: e.Paid},
		{name: "ended_at", value: e.Ended},
		{name: "txn", value: e.Txn},
		{name: "target", value: e.Target},
		{name: "target_ref", value: e.TargetRef},
		{name: "hold", value: e.Hold},
		{name: "line", value: "", loose: true},
	}}
}

// id names the row within its table and for ever.
func (i image) id() string {
	var b strings.Builder
	for _, c := range i.columns[:i.keys] {
		if raw, ok := c.value.([]byte); ok {
			fmt.Fprintf(&b, "/%x", raw)
			continue
		}
		fmt.Fprintf(&b, "/%v", c.value)
	}
	return i.table + b.String()
}

// number is the key of the row, if that is one number.
func (i image) number() (int64, bool) {
	n, ok := i.columns[0].value.(int64)
	return n, ok && i.keys == 1
}

// row names the row for people.
func (i image) row() string { return strings.ReplaceAll(i.id()[len(i.table)+1:], "/", ",") }

// ref is the reference by which people know the row, if it has one.
func (i image) ref() string {
	for _, c := range i.columns {
		if text, ok := c.value.(string); ok && c.name == "ref" {
			return text
		}
	}
	return ""
}

// gone reports whether the row may be missing by now: its nick was given up
// and is free, or its member has left.
func (i image) gone(now int64, left seen) bool {
	switch i.table {
	case "nick":
		free := i.columns[3].value.(int64)
		return free > 0 && free <= now
	case "card", "block":
		return left.has(i.columns[0].value.(int64))
	}
	return false
}

// left reports whose rows go with this image: a member who is closed.
func (i image) left() (int64, bool) {
	if i.table != "member" || i.columns[2].value != string(member.Closed) {
		return 0, false
	}
	return i.columns[0].value.(int64), true
}

// where returns the condition that finds the row, with its arguments.
func (i image) where() (string, []any) {
	var b strings.Builder
	var args []any
	for n, c := range i.columns[:i.keys] {
		if n > 0 {
			b.WriteString(" AND ")
		}
		fmt.Fprintf(&b, "%s = $%d", c.name, n+1)
		args = append(args, c.value)
	}
	return b.String(), args
}

// differences compares the row that is there with the image, and says what is
// wrong; nothing that is sealed or hashed is repeated.
func (tx *Tx) differences(ctx context.Context, i image, gone bool) ([]string, error) {
	var names []string
	for _, c := range i.columns {
		names = append(names, c.name)
	}
	where, args := i.where()
	found := make([]any, len(names))
	to := make([]any, len(names))
	for n := range found {
		to[n] = &found[n]
	}
	err := tx.row(ctx, `SELECT `+strings.Join(names, ", ")+` FROM `+i.table+` WHERE `+where, args...).Scan(to...)
	switch {
	case errors.Is(err, sql.ErrNoRows) && (i.ended || gone):
		return nil, nil
	case errors.Is(err, sql.ErrNoRows):
		return []string{"missing"}, nil
	case err != nil:
		return nil, err
	case i.ended:
		return []string{"there, though the journal says that it ended"}, nil
	}
	var all []string
	for n, c := range i.columns {
		if what := c.differs(found[n]); what != "" && !c.loose {
			all = append(all, what)
		}
	}
	return all, nil
}

func (c column) differs(found any) string {
	switch want := c.value.(type) {
	case []byte:
		if got, _ := found.([]byte); string(got) == string(want) {
			return ""
		}
		return c.name + " is not what the journal says"
	case string:
		if got, _ := found.(string); got == want {
			return ""
		}
	case int64:
		if got, ok := found.(int64); ok && got == want {
			return ""
		}
	}
	if c.name == "value" {
		return c.name + " is not what the journal says"
	}
	return fmt.Sprintf("%s is %v, the journal says %v", c.name, found, c.value)
}

// putImage writes the row as the image says.
func (tx *Tx) putImage(ctx context.Context, i image) error {
	where, args := i.where()
	if i.ended {
		_, err := tx.exec(ctx, `DELETE FROM `+i.table+` WHERE `+where, args...)
		return err
	}
	var names, marks, sets, keys []string
	var values []any
	for n, c := range i.columns {
		names, values = append(names, c.name), append(values, c.value)
		marks = append(marks, fmt.Sprintf("$%d", n+1))
		if n < i.keys {
			keys = append(keys, c.name)
		} else {
			sets = append(sets, c.name+" = excluded."+c.name)
		}
	}
	do := "NOTHING"
	if len(sets) > 0 {
		do = "UPDATE SET " + strings.Join(sets, ", ")
	}
	_, err := tx.exec(ctx, `INSERT INTO `+i.table+` (`+strings.Join(names, ", ")+`) VALUES (`+strings.Join(marks, ", ")+`)
		ON CONFLICT (`+strings.Join(keys, ", ")+`) DO `+do, values...)
	return err
}

// seen is a set of row numbers: small where they are dense. add reports
// whether the number is new.
type seen map[int64]uint64

func (s seen) add(n int64) bool {
	before := s[n>>6]
	s[n>>6] |= 1 << (n & 63)
	return s[n>>6] != before
}

func (s seen) has(n int64) bool { return s[n>>6]&(1<<(n&63)) != 0 }
