package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"maillon/internal/member"
	"maillon/internal/store"
)

// MaxAnswer bounds what an authenticator answers, in octets.
const MaxAnswer = 32 << 10

// A Site is where a passkey is good: a host by its name, never a bare address,
// and how the browser reached it.
type Site struct {
	Host   string // without port
	Origin string // "https://maillon.example"
	Name   string // of the association
}

func (s Site) webauthn() (*webauthn.WebAuthn, error) {
	yes := true
	return webauthn.New(&webauthn.Config{
		RPID: s.Host, RPDisplayName: s.Name, RPOrigins: []string{s.Origin}, AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, RequireResidentKey: &yes,
			UserVerification: protocol.VerificationRequired, // the passkey is both factors: it must know its owner
		},
	})
}

// A person is somebody as an authenticator knows them.
type person struct {
	*member.Member
	handle []byte
	keys   []webauthn.Credential
}

// WebAuthnID implements webauthn.User.
func (p person) WebAuthnID() []byte { return p.handle }

// WebAuthnName implements webauthn.User.
func (p person) WebAuthnName() string {
	if p.Nick == "" {
		return p.Number.Masked()
	}
	return p.Nick
}

// WebAuthnDisplayName implements webauthn.User.
func (p person) WebAuthnDisplayName() string { return p.WebAuthnName() }

// WebAuthnCredentials implements webauthn.User.
func (p person) WebAuthnCredentials() []webauthn.Credential { return p.keys }

func (g *Gate) person(ctx context.Context, tx *store.Tx, m *member.Member) (person, error) {
	p := person{Member: m, handle: g.keyed("passkey", by(m.ID))}
	rows, err := tx.Passkeys(ctx, m.ID)
	if err != nil {
		return p, err
	}
	for _, r := range rows {
		var c webauthn.Credential
		if err := json.Unmarshal(r.Public, &c); err != nil {
			return p, fmt.Errorf("passkey of member %d: %w", m.ID, err)
		}
		p.keys = append(p.keys, c)
	}
	return p, nil
}

// AskPasskey returns what a browser must ask an authenticator so that somebody,
// whoever it is, can show a passkey, and what its answer is shown with.
func (g *Gate) AskPasskey(ctx context.Context, address string, site Site) (*protocol.CredentialAssertion, Token, error) {
	w, err := site.webauthn()
	if err != nil {
		return nil, "", err
	}
	ask, data, err := w.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return nil, "", err
	}
	t, err := g.remember(ctx, toEnter, 0, data, func(tx *store.Tx) error { return g.slow(ctx, tx, address) })
	return ask, t, wrap("ask for a passkey", err)
}

// remember keeps what a browser was asked until it answers.
func (g *Gate) remember(ctx context.Context, kind string, m member.ID, data *webauthn.SessionData, first func(*store.Tx) error) (Token, error) {
	raw, err := json.Marshal(data)
	if err != nil {
		return "", err
	}
	t := draw()
	return t, g.db.Update(ctx, func(tx *store.Tx) error {
		if err := first(tx); err != nil {
			return err
		}
		return tx.AddDoorstep(ctx, &store.Doorstep{Hash: t.key(), Kind: kind, Member: m, Data: raw, Till: tx.Now().Add(stepLife)})
	})
}

// recall takes what a browser was asked, once.
func recall(ctx context.Context, tx *store.Tx, asked Token, kind string) (store.Doorstep, webauthn.SessionData, error) {
	var data webauthn.SessionData
	d, err := tx.TryDoorstep(ctx, asked.key(), kind)
	if errors.Is(err, store.ErrNotFound) {
		return d, data, ErrExpired
	}
	if err != nil {
		return d, data, err
	}
	if err := tx.DropDoorstep(ctx, asked.key()); err != nil {
		return d, data, err
	}
	return d, data, json.Unmarshal(d.Data, &data)
}

// Passkey takes the answer of an authenticator and begins a session of whoever
// it speaks for. It returns ErrExpired, ErrNo or ErrRenew.
func (g *Gate) Passkey(ctx context.Context, site Site, asked Token, answer []byte, browser string) (session Token, err error) {
	verdict, err := g.shown(ctx, site, asked, answer, func(tx *store.Tx, m *member.Member) (err error) {
		session, err = g.admit(ctx, tx, m, browser, "passkey")
		return err
	})
	if err != nil {
		return "", wrap("sign in", err)
	}
	return session, verdict
}

// ConfirmPasskey is Confirm by a passkey of the same person.
func (g *Gate) ConfirmPasskey(ctx context.Context, site Site, session string, asked Token, answer []byte) (to Token, err error) {
	verdict, err := g.shown(ctx, site, asked, answer, func(tx *store.Tx, m *member.Member) error {
		v, _, err := enter(ctx, tx, Token(session))
		if err != nil {
			return err
		}
		if v.Member.ID != m.ID {
			return ErrNo
		}
		to, err = g.refresh(ctx, tx, m.ID, session)
		return err
	})
	if err != nil {
		return "", wrap("confirm", err)
	}
	return to, verdict
}

// shown does something as whoever an answer proves, in one transaction with what
// is noted of the passkey.
func (g *Gate) shown(ctx context.Context, site Site, asked Token, answer []byte, do func(*store.Tx, *member.Member) error) (verdict, err error) {
	w, err := site.webauthn()
	if err != nil {
		return nil, err
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return ErrNo, nil //nolint:nilerr // what does not parse is no passkey
	}
	err = g.db.Update(ctx, func(tx *store.Tx) error {
		_, data, err := recall(ctx, tx, asked, toEnter)
		if errors.Is(err, ErrExpired) {
			verdict = err
			return nil
		}
		if err != nil {
			return err
		}
		var who person
		var broken error
		_, key, err := w.ValidatePasskeyLogin(func(id, _ []byte) (webauthn.User, error) {
			who, broken = g.holder(ctx, tx, id)
			return who, broken
		}, data, parsed)
		if broken != nil && !errors.Is(broken, store.ErrNotFound) {
			return broken
		}
		if err != nil || key.Authenticator.CloneWarning || who.Role == "" {
			verdict = ErrNo
			return nil //nolint:nilerr // what was asked is asked no more, though the answer was none
		}
		if err := MayApprove(ctx, tx, who.Member); err != nil {
			return err
		}
		public, err := json.Marshal(key)
		if err != nil {
			return err
		}
		if err := tx.UsePasskey(ctx, key.ID, public); err != nil {
			return err
		}
		return do(tx, who.Member)
	})
	return verdict, err
}

// holder returns whose a passkey is.
func (g *Gate) holder(ctx context.Context, tx *store.Tx, id []byte) (person, error) {
	row, err := tx.Passkey(ctx, id)
	if err != nil {
		return person{}, err
	}
	m, err := tx.Member(ctx, row.Member)
	if err != nil {
		return person{}, err
	}
	return g.person(ctx, tx, m)
}

// OfferPasskey returns what a browser must ask an authenticator so that it makes
// a passkey for a person, and what its answer is shown with.
func (g *Gate) OfferPasskey(ctx context.Context, site Site, m *member.Member) (*protocol.CredentialCreation, Token, error) {
	w, err := site.webauthn()
	if err != nil {
		return nil, "", err
	}
	var p person
	err = g.db.View(ctx, func(tx *store.Tx) (err error) {
		p, err = g.person(ctx, tx, m)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	offer, data, err := w.BeginRegistration(p, webauthn.WithExclusions(webauthn.Credentials(p.keys).CredentialDescriptors()))
	if err != nil {
		return nil, "", err
	}
	t, err := g.remember(ctx, toAdd, m.ID, data, func(*store.Tx) error { return nil })
	return offer, t, wrap("offer a passkey", err)
}

// AddPasskey takes the answer of an authenticator that made a passkey for a
// person. It returns ErrExpired, ErrNo or store.ErrManyKeys.
func (g *Gate) AddPasskey(ctx context.Context, site Site, m *member.Member, asked Token, answer []byte, browser string) error {
	w, err := site.webauthn()
	if err != nil {
		return err
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return ErrNo //nolint:nilerr // what does not parse is no passkey
	}
	return g.db.Update(ctx, func(tx *store.Tx) error {
		d, data, err := recall(ctx, tx, asked, toAdd)
		if err != nil {
			return err
		}
		if d.Member != m.ID {
			return ErrNo
		}
		p, err := g.person(ctx, tx, m)
		if err != nil {
			return err
		}
		key, err := w.CreateCredential(p, data, parsed)
		if err != nil {
			return ErrNo //nolint:nilerr // what does not hold is no passkey
		}
		if _, err := tx.Passkey(ctx, key.ID); !errors.Is(err, store.ErrNotFound) {
			return errors.Join(err, ErrNo)
		}
		public, err := json.Marshal(key)
		if err != nil {
			return err
		}
		tx.Act(by(m.ID), "passkey.add", by(m.ID), "")
		return tx.AddPasskey(ctx, &store.Passkey{ID: key.ID, Member: m.ID, Public: public, Browser: browser})
	})
}

// DropPasskey ends a passkey of a person.
func DropPasskey(ctx context.Context, tx *store.Tx, m member.ID, id []byte) error {
	tx.Act(by(m), "passkey.end", by(m), "")
	return tx.DropPasskey(ctx, m, id)
}
