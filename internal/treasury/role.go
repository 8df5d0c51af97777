package treasury

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"maillon/internal/auth"
	"maillon/internal/guard"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/notice"
	"maillon/internal/payment"
	"maillon/internal/store"
)

// ChangeRole is the kind of proposal that gives somebody another role.
const ChangeRole = "role"

// ErrLastAdmin means that nobody would be left who could give anybody a role.
var ErrLastAdmin = errors.New("the last administrator stays one")

// A RoleChange is what a proposal of the kind ChangeRole holds.
type RoleChange struct {
	Member  member.ID   `json:"member"`
	Was     member.Role `json:"was"` // when it was proposed
	Role    member.Role `json:"role"`
	Ceiling int64       `json:"ceiling"` // in smallest units of the first unit
}

// ProposeRole asks a second person to give somebody another role, or none. As
// long as nobody but who asks could approve anything, it is done at once, for
// somebody has to be the second person. It reports whether it was done.
func (t *Treasury) ProposeRole(ctx context.Context, tx *store.Tx, by string, admin, m *member.Member, role member.Role, ceiling money.Amount, reason string) (bool, error) {
	if reason == "" {
		return false, ErrReason
	}
	if err := t.mayLose(ctx, tx, m, role); err != nil {
		return false, err
	}
	c := RoleChange{Member: m.ID, Was: m.Role, Role: role, Ceiling: ceiling.Minor()}
	alone, err := auth.Alone(ctx, tx, admin.ID)
	if err != nil {
		return false, err
	}
	if alone {
		return true, t.changeRole(ctx, tx, by, c)
	}
	payload, err := json.Marshal(c)
	if err != nil {
		return false, err
	}
	_, err = t.Propose(ctx, tx, by, ChangeRole, payload, reason)
	return false, err
}

// Appoint is the Kind of ChangeRole.
func (t *Treasury) Appoint(ctx context.Context, tx *store.Tx, p store.Proposal) error {
	var c RoleChange
	if err := json.Unmarshal(p.Payload, &c); err != nil {
		return fmt.Errorf("proposal %d: %w", p.ID, err)
	}
	return t.changeRole(ctx, tx, p.By, c)
}

func (t *Treasury) changeRole(ctx context.Context, tx *store.Tx, by string, c RoleChange) error {
	m, err := tx.Member(ctx, c.Member)
	if err != nil {
		return err
	}
	if m.Role != c.Was || m.State == member.Closed {
		return ErrDecided // somebody else changed it meanwhile
	}
	if err := t.mayLose(ctx, tx, m, c.Role); err != nil {
		return err
	}
	return t.SetRole(ctx, tx, by, m, c.Role, money.New(c.Ceiling, t.Desk.Set.Currency()))
}

// mayLose refuses that the last administrator who can sign in becomes another.
func (t *Treasury) mayLose(ctx context.Context, tx *store.Tx, m *member.Member, role member.Role) error {
	if m.Role != member.Admin || role == member.Admin {
		return nil
	}
	last, err := auth.LastAdmin(ctx, tx, m.ID)
	if err == nil && last {
		err = ErrLastAdmin
	}
	return err
}

// Warn tells the other administrators that somebody works here with another
// role, or can sign in from now on: rule ADM3. With self the person is told too,
// whoever it is: a link was drawn that lets its bearer be that person.
func (t *Treasury) Warn(ctx context.Context, tx *store.Tx, by string, m *member.Member, self bool) error {
	r, err := t.Desk.Rule(ctx, tx, "ADM3")
	if err != nil {
		return err
	}
	alert := store.Alert{Rule: r.ID, About: m.ID, Act: r.Act, Facts: []store.Fact{{Name: "by", Value: by}, {Name: "role", Value: string(m.Role)}}}
	if err := tx.RaiseAlert(ctx, alert); err != nil || r.Act < guard.Warn {
		return err
	}
	admins, err := tx.Members(ctx, store.Administrators, 0, maxAdmins)
	if err != nil {
		return err
	}
	for _, a := range admins {
		if a.ID == m.ID && !self || a.ID != m.ID && a.Role != member.Admin {
			continue
		}
		err := t.Desk.Voice.Answer(ctx, tx, a, "admin.alerte", notice.Fields{
			"who": payment.Called(m, ""), "what": notice.Phrase{Key: "alerte.role"},
		})
		if err != nil {
			return err
		}
	}
	return nil
}
