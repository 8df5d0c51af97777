package frame

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"maillon/internal/auth"
	"maillon/internal/member"
	"maillon/internal/store"
)

// An Approval says how proposals of one kind are shown, and who may be the
// second person.
type Approval struct {
	Word  string     // key of what it does
	Path  string     // of a page with all of it, %d is the proposal; "" if there is no more to see
	Right auth.Right // of who approves
}

// Approvals returns those of all rooms, by kind.
func (v *Visit) Approvals() map[string]Approval {
	all := map[string]Approval{}
	for _, r := range v.frame.rooms {
		for kind, a := range r.Approvals {
			all[kind] = a
		}
	}
	return all
}

// At returns the page of one proposal.
func (a Approval) At(id int64) string {
	if a.Path == "" {
		return ""
	}
	return fmt.Sprintf(a.Path, id)
}

// Names are how members are called on a page: their pseudo, else their number in
// the books.
type Names map[member.ID]string

// Names looks members up. Without the right to see names there are only numbers
// of the books.
func (v *Visit) Names(ctx context.Context, tx *store.Tx, ids ...member.ID) (Names, error) {
	names := Names{}
	if !v.May(auth.SeeNames) {
		return names, nil
	}
	all, err := tx.MembersByIDs(ctx, ids)
	for id, m := range all {
		if m.Nick != "" {
			names[id] = m.Nick
		}
	}
	return names, err
}

// Of returns how a member is called.
func (n Names) Of(id member.ID) string {
	if name, ok := n[id]; ok {
		return name
	}
	return "M" + strconv.FormatInt(int64(id), 10)
}

// By returns how an actor of the audit is called.
func (n Names) By(actor string) string {
	if id, ok := ActorID(actor); ok {
		return n.Of(id)
	}
	return actor
}

// ActorID returns which member an actor or a subject of the audit is.
func ActorID(actor string) (member.ID, bool) {
	text, ok := strings.CutPrefix(actor, "member:")
	id, err := strconv.ParseInt(text, 10, 64)
	return member.ID(id), ok && err == nil
}
