package door

import (
	"context"
	"encoding/hex"
	"errors"

	"maillon/internal/auth"
	"maillon/internal/console/frame"
	"maillon/internal/store"
)

// An accountPage is what people see of how they sign in themselves.
type accountPage struct {
	Name     string
	Role     string // key of its word
	Sessions []auth.SessionInfo
	Here     string // which one this is
	Passkeys []passkeyRow
	Recovery int // codes that are left
}

// A passkeyRow is a passkey as people see it.
type passkeyRow struct {
	store.Passkey
	Text string // its ID
}

func (d door) showAccount(v *frame.Visit) error {
	m := v.Who.Member
	p := accountPage{Name: called(m), Role: roleWord(m.Role), Here: v.Who.Session}
	err := v.View(func(ctx context.Context, tx *store.Tx) (err error) {
		if p.Sessions, err = auth.Sessions(ctx, tx, m.ID); err != nil {
			return err
		}
		if p.Passkeys, err = passkeys(ctx, tx, v); err != nil {
			return err
		}
		c, err := tx.Credential(ctx, m)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		p.Recovery = len(c.Recovery)
		return nil
	})
	if err != nil {
		return err
	}
	return v.Show("account", p)
}

func passkeys(ctx context.Context, tx *store.Tx, v *frame.Visit) (all []passkeyRow, err error) {
	rows, err := tx.Passkeys(ctx, v.Who.Member.ID)
	for _, r := range rows {
		all = append(all, passkeyRow{r, hex.EncodeToString(r.ID)})
	}
	return all, err
}

func (d door) endSession(v *frame.Visit) error {
	if err := v.Form(maxForm); err != nil {
		return err
	}
	id := v.Value("session")
	if id == v.Who.Session {
		return d.signOut(v)
	}
	err := v.Update(func(ctx context.Context, tx *store.Tx) error { return auth.EndSession(ctx, tx, v.Who.Member.ID, id) })
	if err != nil && !errors.Is(err, store.ErrNotFound) { // it has ended meanwhile
		return err
	}
	return v.Done("/account", "door.session.ended")
}

func (d door) endOthers(v *frame.Visit) error {
	err := v.Update(func(ctx context.Context, tx *store.Tx) error {
		return auth.EndOthers(ctx, tx, v.Who.Member.ID, frame.Token(v.Request))
	})
	if err != nil {
		return err
	}
	return v.Done("/account", "door.session.others.ended")
}

// A passwordPage is the form for another password.
type passwordPage struct {
	Least                                     int
	OldProblem, PasswordProblem, AgainProblem string
}

func (d door) showPassword(v *frame.Visit) error {
	return v.Show("password", passwordPage{Least: auth.MinPassword})
}

func (d door) changePassword(v *frame.Visit) error {
	if err := v.Form(maxForm); err != nil {
		return err
	}
	p, m := passwordPage{Least: auth.MinPassword}, v.Who.Member
	old, password := v.Request.PostFormValue("old"), v.Request.PostFormValue("password")
	if password != v.Request.PostFormValue("again") {
		p.AgainProblem = v.Say("door.again.differs")
		return v.Refuse("password", p)
	}
	err := d.Gate.ChangePassword(v.Context(), m, frame.Token(v.Request), old, password,
		m.Nick, m.Number.National(), m.Number.E164(), d.Settings.Association)
	slow, _ := errors.AsType[*auth.SlowError](err)
	switch text := apology(v, err); {
	case err == nil:
		return v.Done("/account", "door.password.changed")
	case errors.Is(err, auth.ErrNo):
		p.OldProblem = v.Say("door.password.wrong")
	case slow != nil:
		p.OldProblem = text
	case text != "":
		p.PasswordProblem = text
	default:
		return err
	}
	return v.Refuse("password", p)
}

// A totpPage is the form for another second factor.
type totpPage struct {
	Seed    string // of the secret that is shown
	Secret  secret
	Problem string
}

func (d door) totpPage(v *frame.Visit, seed string) (p totpPage, err error) {
	p.Seed = seed
	p.Secret, err = d.secret(called(v.Who.Member), d.Gate.Enrolment(seed))
	return p, err
}

func (d door) showTOTP(v *frame.Visit) error {
	p, err := d.totpPage(v, auth.NewSeed())
	if err != nil {
		return err
	}
	return v.Show("totp", p)
}

func (d door) changeTOTP(v *frame.Visit) error {
	if err := v.Form(maxForm); err != nil {
		return err
	}
	seed := v.Value("seed")
	err := v.Update(func(ctx context.Context, tx *store.Tx) error {
		return d.Gate.ChangeTOTP(ctx, tx, v.Who.Member, frame.Token(v.Request), seed, v.Value("code"))
	})
	if err == nil {
		return v.Done("/account", "door.totp.changed")
	}
	if !errors.Is(err, auth.ErrNo) {
		return err
	}
	p, err := d.totpPage(v, seed)
	if err != nil {
		return err
	}
	p.Problem = v.Say("door.code.wrong")
	return v.Refuse("totp", p)
}

func (d door) showRecovery(v *frame.Visit) error { return v.Show("recovery", nil) }

func (d door) newRecovery(v *frame.Visit) error {
	var codes []string
	err := v.Update(func(ctx context.Context, tx *store.Tx) (err error) {
		codes, err = d.Gate.NewRecovery(ctx, tx, v.Who.Member)
		return err
	})
	if err != nil {
		return err
	}
	return v.Show("codes", codesPage{Codes: codes, Next: "/account"})
}

// A passkeysPage lists passkeys and offers to make one.
type passkeysPage struct {
	Passkeys []passkeyRow
	Here     bool // the browser may make one for this place
	Problem  string
}

func (d door) passkeysPage(v *frame.Visit) (p passkeysPage, err error) {
	_, p.Here = d.site(v.Request)
	err = v.View(func(ctx context.Context, tx *store.Tx) (err error) {
		p.Passkeys, err = passkeys(ctx, tx, v)
		return err
	})
	return p, err
}

func (d door) showPasskeys(v *frame.Visit) error {
	p, err := d.passkeysPage(v)
	if err != nil {
		return err
	}
	return v.Show("passkeys", p)
}

// offerPasskey answers the script with what the authenticator is asked to make.
func (d door) offerPasskey(v *frame.Visit) error {
	site, ok := d.site(v.Request)
	if !ok {
		return frame.Sorry("door.nopasskeys")
	}
	offer, t, err := d.Gate.OfferPasskey(v.Context(), site, v.Who.Member)
	if err != nil {
		return err
	}
	setStep(v, t)
	return answer(v, offer)
}

func (d door) addPasskey(v *frame.Visit) error {
	if err := v.Form(maxForm); err != nil {
		return err
	}
	site, _ := d.site(v.Request)
	raw := v.Request.PostFormValue("answer")
	if len(raw) > auth.MaxAnswer {
		return frame.ErrForm
	}
	err := d.Gate.AddPasskey(v.Context(), site, v.Who.Member, step(v), []byte(raw), browser(v.Request))
	setStep(v, "")
	if err == nil {
		return v.Done("/account/passkeys", "door.passkey.added")
	}
	if errors.Is(err, auth.ErrExpired) {
		err = auth.ErrNo
	}
	text := apology(v, err)
	if text == "" {
		return err
	}
	p, err := d.passkeysPage(v)
	if err != nil {
		return err
	}
	p.Problem = text
	return v.Refuse("passkeys", p)
}

func (d door) endPasskey(v *frame.Visit) error {
	if err := v.Form(maxForm); err != nil {
		return err
	}
	id, err := hex.DecodeString(v.Value("passkey"))
	if err != nil || len(id) == 0 {
		return frame.ErrForm
	}
	err = v.Update(func(ctx context.Context, tx *store.Tx) error { return auth.DropPasskey(ctx, tx, v.Who.Member.ID, id) })
	if err != nil {
		return err
	}
	return v.Done("/account/passkeys", "door.passkey.ended")
}
