package door

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"

	"maillon/internal/auth"
	"maillon/internal/console/frame"
	"maillon/internal/grammar"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/setting"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// maxStaff bounds how many people work here.
const maxStaff = 1000

// maxReason bounds why something is done, in characters.
const maxReason = 200

// called names somebody who works here to those who may know.
func called(m *member.Member) string {
	if m.Nick != "" {
		return m.Nick
	}
	return m.Number.Masked()
}

// roleWord returns the key of the word for a role.
func roleWord(r member.Role) string {
	if r == "" {
		return "door.role.none"
	}
	return "door.role." + string(r)
}

// A colleague is somebody who works here.
type colleague struct {
	*member.Member
	store.StaffState
	Sessions int
}

// Called names the colleague.
func (c colleague) Called() string { return called(c.Member) }

// RoleWord is the key of the word for the role.
func (c colleague) RoleWord() string { return roleWord(c.Role) }

// Standing is the key of what there is to say of how they sign in.
func (c colleague) Standing() string {
	switch {
	case !c.Renew.IsZero():
		return "door.standing.renew"
	case !c.Password:
		return "door.standing.none"
	}
	return "door.standing.good"
}

func (d door) showStaff(v *frame.Visit) error {
	var all []colleague
	err := v.View(func(ctx context.Context, tx *store.Tx) error {
		members, err := tx.Members(ctx, store.Administrators, 0, maxStaff)
		if err != nil {
			return err
		}
		states, err := tx.StaffStates(ctx)
		if err != nil {
			return err
		}
		for _, m := range members {
			all = append(all, colleague{Member: m, StaffState: states[m.ID]})
		}
		return nil
	})
	if err != nil {
		return err
	}
	return v.Show("staff", all)
}

// A rolePage is a form for a role.
type rolePage struct {
	colleague
	Own      bool
	Alone    bool // there is no second person
	Roles    []member.Role
	Chosen   member.Role
	Ceiling  string
	Reason   string
	Who      string
	Language string

	WhoProblem, CeilingProblem, ReasonProblem, Problem string
}

// WordOf is the key of the word for a role, in a list of them.
func (rolePage) WordOf(r member.Role) string { return roleWord(r) }

// person finds whose page it is: somebody who works here.
func (d door) person(ctx context.Context, tx *store.Tx, v *frame.Visit) (*member.Member, error) {
	id, err := v.PathID("id")
	if err != nil {
		return nil, err
	}
	m, err := tx.Member(ctx, member.ID(id))
	if err == nil && m.Role == "" {
		err = store.ErrNotFound
	}
	return m, err
}

func (d door) rolePage(ctx context.Context, tx *store.Tx, v *frame.Visit) (p rolePage, err error) {
	m, err := d.person(ctx, tx, v)
	if err != nil {
		return p, err
	}
	states, err := tx.StaffStates(ctx)
	if err != nil {
		return p, err
	}
	sessions, err := auth.Sessions(ctx, tx, m.ID)
	if err != nil {
		return p, err
	}
	p = rolePage{
		colleague: colleague{Member: m, StaffState: states[m.ID], Sessions: len(sessions)},
		Own:       m.ID == v.Who.Member.ID, Roles: append(member.Roles(), ""), Chosen: m.Role,
		Ceiling: money.New(m.Ceiling, d.Settings.Currency()).Plain(),
	}
	p.Alone, err = auth.Alone(ctx, tx, v.Who.Member.ID)
	return p, err
}

func (d door) showPerson(v *frame.Visit) error {
	var p rolePage
	err := v.View(func(ctx context.Context, tx *store.Tx) (err error) {
		p, err = d.rolePage(ctx, tx, v)
		return err
	})
	if err != nil {
		return err
	}
	return v.Show("person", p)
}

// readRole reads what a form for a role says. It reports whether it is whole.
func (d door) readRole(v *frame.Visit, p *rolePage) (ceiling money.Amount, ok bool) {
	p.Reason, p.Ceiling, p.Chosen = v.Value("reason"), v.Value("ceiling"), member.Role(v.Value("role"))
	if p.Chosen != "" && !slices.Contains(member.Roles(), p.Chosen) {
		p.Chosen = member.Reader
		p.Problem = v.Say("frame.form")
	}
	if p.Reason == "" || len([]rune(p.Reason)) > maxReason {
		p.ReasonProblem = v.Say("door.reason.needed", maxReason)
	}
	ceiling, err := v.Sum("ceiling")
	if p.Ceiling == "" {
		ceiling, err = setting.Whole(firstCeiling, d.Settings.Currency()), nil
	}
	if err != nil || ceiling.Sign() < 0 {
		p.CeilingProblem = v.Say("frame.sum")
	}
	return ceiling, p.Problem+p.ReasonProblem+p.CeilingProblem == ""
}

func (d door) changeRole(v *frame.Visit) error {
	if err := v.Form(maxForm); err != nil {
		return err
	}
	var p rolePage
	done, refused := false, true
	err := v.Update(func(ctx context.Context, tx *store.Tx) (err error) {
		if p, err = d.rolePage(ctx, tx, v); err != nil {
			return err
		}
		ceiling, ok := d.readRole(v, &p)
		if !ok {
			return nil
		}
		refused = false
		done, err = d.Treasury.ProposeRole(ctx, tx, v.By(), v.Who.Member, p.Member, p.Chosen, ceiling, p.Reason)
		return err
	})
	if text := apology(v, err); err != nil && text != "" && p.Member != nil {
		p.Problem, refused, err = text, true, nil
	}
	switch {
	case err != nil:
		return err
	case refused:
		return v.Refuse("person", p)
	case done:
		return v.Done("/staff", "door.role.changed")
	}
	return v.Done("/staff", "door.role.proposed")
}

func (d door) showNew(v *frame.Visit) error {
	p := rolePage{Roles: member.Roles(), Chosen: member.FrontDesk}
	err := v.View(func(ctx context.Context, tx *store.Tx) (err error) {
		p.Alone, err = auth.Alone(ctx, tx, v.Who.Member.ID)
		return err
	})
	if err != nil {
		return err
	}
	return v.Show("new", p)
}

// propose asks that somebody may work here: a member, or a number with a pseudo
// that is registered without an account.
func (d door) propose(v *frame.Visit) error {
	if err := v.Form(maxForm); err != nil {
		return err
	}
	p := rolePage{Roles: member.Roles(), Who: v.Value("who")}
	ceiling, ok := d.readRole(v, &p)
	done := false
	err := v.Update(func(ctx context.Context, tx *store.Tx) (err error) {
		if p.Alone, err = auth.Alone(ctx, tx, v.Who.Member.ID); err != nil || !ok {
			return err
		}
		m, err := d.candidate(ctx, tx, v, p.Who)
		if err != nil {
			return err
		}
		done, err = d.Treasury.ProposeRole(ctx, tx, v.By(), v.Who.Member, m, p.Chosen, ceiling, p.Reason)
		return err
	})
	if errors.Is(err, treasury.ErrUnknown) {
		p.WhoProblem, ok, err = v.Say("door.who.unknown"), false, nil
	} else if text := apology(v, err); err != nil && text != "" {
		p.Problem, ok, err = text, false, nil
	}
	switch {
	case err != nil:
		return err
	case !ok:
		return v.Refuse("new", p)
	case done:
		return v.Done("/staff", "door.role.changed")
	}
	return v.Done("/staff", "door.role.proposed")
}

// candidate finds a member by pseudo or number; a number that nobody has is
// registered.
func (d door) candidate(ctx context.Context, tx *store.Tx, v *frame.Visit, who string) (*member.Member, error) {
	if !frameNumber(who) {
		who = grammar.Fold(who)
	}
	m, err := d.Treasury.Find(ctx, tx, who)
	if !errors.Is(err, treasury.ErrUnknown) {
		return m, err
	}
	n, bad := sms.ParseNumber(who, d.Settings.Region())
	if bad != nil || !n.Mobile() || !slices.Contains(d.Settings.Countries, n.Country()) {
		return nil, err
	}
	return d.Treasury.Add(ctx, tx, v.By(), treasury.NewMember{Number: n, Language: v.Language(), NoMember: true})
}

// frameNumber reports whether what was typed begins as a number does.
func frameNumber(who string) bool { return who != "" && (who[0] == '+' || who[0] == '0') }

// A proposalPage is what a second person reads of a change of role.
type proposalPage struct {
	store.Proposal
	treasury.RoleChange
	Who     string
	Ceiling money.Amount
	Open    bool
}

// Before and After are the keys of the words for the roles.
func (p proposalPage) Before() string { return roleWord(p.Was) }

// After is the key of the word for the role that is proposed.
func (p proposalPage) After() string { return roleWord(p.Role) }

func (d door) showProposal(v *frame.Visit) error {
	id, err := v.PathID("id")
	if err != nil {
		return err
	}
	var p proposalPage
	err = v.View(func(ctx context.Context, tx *store.Tx) (err error) {
		if p.Proposal, err = tx.Proposal(ctx, id); err != nil {
			return err
		}
		if p.Kind != treasury.ChangeRole {
			return store.ErrNotFound
		}
		if err := json.Unmarshal(p.Payload, &p.RoleChange); err != nil {
			return err
		}
		m, err := tx.Member(ctx, p.Member)
		if err != nil {
			return err
		}
		p.Who, p.Open = called(m), p.State == store.Pending
		p.Ceiling = money.New(p.RoleChange.Ceiling, d.Settings.Currency())
		return nil
	})
	if err != nil {
		return err
	}
	return v.Show("proposal", p)
}

// A linkPage shows an invitation, this once.
type linkPage struct {
	colleague
	Link string
}

func (d door) invite(v *frame.Visit) error {
	return d.handOver(v, func(ctx context.Context, tx *store.Tx, m *member.Member) (auth.Token, error) {
		return d.Gate.Invite(ctx, tx, v.By(), m)
	})
}

func (d door) renew(v *frame.Visit) error {
	return d.handOver(v, func(ctx context.Context, tx *store.Tx, m *member.Member) (auth.Token, error) {
		return d.Gate.RenewCredentials(ctx, tx, v.By(), m)
	})
}

// handOver draws an invitation and shows its link; the other administrators are
// told.
func (d door) handOver(v *frame.Visit, draw func(context.Context, *store.Tx, *member.Member) (auth.Token, error)) error {
	var p linkPage
	var t auth.Token
	err := v.Update(func(ctx context.Context, tx *store.Tx) error {
		m, err := d.person(ctx, tx, v)
		if err != nil {
			return err
		}
		if m.ID == v.Who.Member.ID {
			return frame.Sorry("door.own.not")
		}
		p.Member = m
		if t, err = draw(ctx, tx, m); err != nil {
			return err
		}
		return d.Treasury.Warn(ctx, tx, v.By(), m, true)
	})
	if err != nil {
		return err
	}
	p.Link = Link(origin(v), t)
	return v.Show("link", p)
}

// Link returns the address of an invitation, beneath an origin such as
// "https://maillon.example".
func Link(origin string, t auth.Token) string {
	return origin + frame.Root + "/invited?" + url.Values{"t": {string(t)}}.Encode()
}

func origin(v *frame.Visit) string {
	if frame.Secure(v.Request) {
		return "https://" + v.Request.Host
	}
	return "http://" + v.Request.Host
}

func (d door) revoke(v *frame.Visit) error {
	err := v.Update(func(ctx context.Context, tx *store.Tx) error {
		m, err := d.person(ctx, tx, v)
		if err != nil {
			return err
		}
		if m.ID == v.Who.Member.ID {
			return frame.Sorry("door.own.not")
		}
		return d.Gate.RevokeSessions(ctx, tx, v.By(), m)
	})
	if err != nil {
		return err
	}
	return v.Done("/staff", "door.revoked")
}

func (d door) showEverybody(v *frame.Visit) error { return v.Show("everybody", nil) }

func (d door) revokeAll(v *frame.Visit) error {
	err := v.Update(func(ctx context.Context, tx *store.Tx) error { return d.Gate.RevokeAll(ctx, tx, v.By()) })
	if err != nil {
		return err
	}
	v.SetToken("")
	return v.Lead("/signin")
}
