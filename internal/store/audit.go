package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"maillon/internal/member"
)

// MaxActs bounds how many acts are listed at once.
const MaxActs = 500

// maxActText bounds each text of an act, in octets.
const maxActText = 2000

// An Act is something that somebody with rights did. No name, number or text of
// a member stands in it, only IDs and references.
type Act struct {
	ID      int64
	At      time.Time
	By      string // "member:7", or "operator" for whoever holds the machine
	What    string // "freeze"
	Subject string // "member:7", "order:K7F2", "transaction:K7F2", a setting
	Reason  string // as it was typed: it names nobody
	Was     string // what was changed, before
	Became  string // and after
}

// Act writes into the journal and the audit who did what to whom, by IDs.
func (tx *Tx) Act(by, what, on, reason string) {
	tx.Audit(Act{By: by, What: what, Subject: on, Reason: reason})
}

// Audit is Act with what was before and after. ID and At are given.
func (tx *Tx) Audit(a Act) {
	e := &actEvent{By: a.By, What: a.What, Subject: a.Subject, Reason: a.Reason, Was: a.Was, Became: a.Became}
	for _, text := range []*string{&e.By, &e.What, &e.Subject, &e.Reason, &e.Was, &e.Became} {
		if len(*text) > maxActText {
			*text = strings.ToValidUTF8((*text)[:maxActText], "") + "…"
		}
	}
	tx.record(event{Act: e})
}

const auditColumns = `id, at, actor, what, subject, reason, was, became`

// writeActs gives each act of tx its row.
func (tx *Tx) writeActs(ctx context.Context) error {
	for _, e := range tx.events {
		if e.Act == nil {
			continue
		}
		id, err := tx.nextID(ctx, "audit")
		if err != nil {
			return err
		}
		a := e.Act
		a.ID = id
		tx.behind.add(auditSheet, a.ID, micros(tx.now), a.By, a.What, a.Subject, a.Reason, a.Was, a.Became)
	}
	return nil
}

func (e *actEvent) image(at int64) image {
	return image{table: "audit", keys: 1, columns: []column{
		{name: "id", value: e.ID},
		{name: "at", value: at},
		{name: "actor", value: e.By},
		{name: "what", value: e.What},
		{name: "subject", value: e.Subject},
		{name: "reason", value: e.Reason},
		{name: "was", value: e.Was},
		{name: "became", value: e.Became},
	}}
}

// ActsWhere says which acts are listed; the zero value lists all.
type ActsWhere struct {
	Before  int64 // only those with a lower ID; 0: from the newest on
	By      string
	What    string
	Subject string
	But     string // not this act
	Since   time.Time
	Until   time.Time // before it; zero: to the end
}

// Acts returns at most limit acts, at most MaxActs, the newest first.
func (tx *Tx) Acts(ctx context.Context, w ActsWhere, limit int) ([]Act, error) {
	where, args := []string{`id > 0`}, []any{}
	add := func(condition string, value any) {
		args = append(args, value)
		where = append(where, fmt.Sprintf(condition, len(args)))
	}
	if w.Before > 0 {
		add(`id < $%d`, w.Before)
	}
	if w.By != "" {
		add(`actor = $%d`, w.By)
	}
	if w.What != "" {
		add(`what = $%d`, w.What)
	}
	if w.But != "" {
		add(`what <> $%d`, w.But)
	}
	if w.Subject != "" {
		add(`subject = $%d`, w.Subject)
	}
	if !w.Since.IsZero() {
		add(`at >= $%d`, micros(w.Since))
	}
	if !w.Until.IsZero() {
		add(`at < $%d`, micros(w.Until))
	}
	args = append(args, min(limit, MaxActs))
	var all []Act
	err := tx.each(ctx, func(scan scan) error {
		var a Act
		err := scan(&a.ID, moment{&a.At}, &a.By, &a.What, &a.Subject, &a.Reason, &a.Was, &a.Became)
		all = append(all, a)
		return err
	}, `SELECT `+auditColumns+` FROM audit WHERE `+strings.Join(where, ` AND `)+fmt.Sprintf(` ORDER BY id DESC LIMIT $%d + 0`, len(args)), args...)
	return all, err
}

// Actors returns the members who did some acts.
func Actors(all []Act) (ids []member.ID) {
	for _, a := range all {
		text, ok := strings.CutPrefix(a.By, "member:")
		if id, err := strconv.ParseInt(text, 10, 64); ok && err == nil {
			ids = append(ids, member.ID(id))
		}
	}
	return ids
}
