package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/alexedwards/argon2id"

	"maillon/internal/member"
	"maillon/internal/store"
)

// How long a session lasts.
const (
	SessionIdle = 30 * time.Minute // without a request
	SessionLife = 12 * time.Hour   // in all
	seenEvery   = time.Minute      // how exactly is known when somebody was there
)

// ErrRenew means that a person's sessions were revoked, so that password and
// second factor must be renewed at the desk first.
var ErrRenew = errors.New("password and second factor must be renewed at the desk")

// A Find looks somebody up by what they type as their name: a pseudo or a
// number. It returns an error that is store.ErrNotFound if there is nobody.
type Find func(ctx context.Context, tx *store.Tx, who string) (*member.Member, error)

// A Gate lets in the people who work here. It is safe for concurrent use.
type Gate struct {
	db      *store.DB
	find    Find
	cost    argon2id.Params
	hashing chan struct{} // holds one for each password that is being hashed
	nobody  func() string // the hash that the password of a name that is not there is compared with
}

// NewGate returns a gate to the books.
func NewGate(db *store.DB, find Find) *Gate { return NewGateAt(db, find, Cost()) }

// NewGateAt is NewGate with another cost of a password, for tests that sign in
// often.
func NewGateAt(db *store.DB, find Find, cost argon2id.Params) *Gate {
	return &Gate{
		db: db, find: find, cost: cost, hashing: make(chan struct{}, maxHashing),
		nobody: sync.OnceValue(func() string { return hashOfNobody(cost) }),
	}
}

// draw returns 256 random bits as a Token.
func draw() Token {
	var b [secretLen]byte
	_, _ = rand.Read(b[:]) // it never fails
	return Token(base64.RawURLEncoding.EncodeToString(b[:]))
}

// drawn reports whether a token has the form of those that draw returns, so that
// nothing else is looked up.
func (t Token) drawn() bool {
	return len(t) == base64.RawURLEncoding.EncodedLen(secretLen) && !strings.ContainsFunc(string(t), func(r rune) bool { return r <= ' ' || r > '~' })
}

func (t Token) key() []byte { h := t.hash(); return h[:] }

// keyed hides what should not stand in the books, and cannot be guessed back.
func (g *Gate) keyed(what, text string) []byte {
	mac := hmac.New(sha256.New, g.db.CodeKey())
	_, _ = mac.Write([]byte("staff\x00" + what + "\x00" + text))
	return mac.Sum(nil)
}

// sessionID names a session for people: it opens nothing.
func sessionID(hash []byte) string { return hex.EncodeToString(hash[:8]) }

// by names a person in the journal.
func by(id member.ID) string { return fmt.Sprintf("member:%d", id) }

// Open begins a session of a person in a browser, of which only the family is
// kept. What the browser carried before is worth nothing for it: the token is
// always new.
func (g *Gate) Open(ctx context.Context, tx *store.Tx, m *member.Member, browser string) (Token, error) {
	if m.Role == "" {
		return "", ErrUnknown
	}
	t := draw()
	return t, tx.AddSession(ctx, &store.Session{
		Hash: t.key(), Member: m.ID, Role: m.Role, Till: tx.Now().Add(SessionLife), Browser: browser,
	})
}

// Enter returns whose session a token is. It returns ErrUnknown for none, and
// for one that somebody has ended; ErrExpired for one that has ended by itself.
func (g *Gate) Enter(ctx context.Context, token string) (*Visitor, error) {
	t := Token(token)
	if !t.drawn() {
		return nil, ErrUnknown
	}
	var v *Visitor
	var seen time.Time
	err := g.db.View(ctx, func(tx *store.Tx) (err error) {
		v, seen, err = enter(ctx, tx, t)
		return err
	})
	if err != nil {
		return nil, err
	}
	if time.Since(seen) < seenEvery {
		return v, nil
	}
	err = g.db.Update(ctx, func(tx *store.Tx) error { return tx.SeeSession(ctx, t.key()) })
	if err != nil { // pages can be read while nothing can be written, and the session ends the sooner
		slog.WarnContext(ctx, "visit not noted", "error", err)
	}
	return v, nil
}

func enter(ctx context.Context, tx *store.Tx, t Token) (*Visitor, time.Time, error) {
	row, err := tx.Session(ctx, t.key())
	switch {
	case errors.Is(err, store.ErrNotFound) || err == nil && !row.Ended.IsZero():
		return nil, row.Seen, ErrUnknown
	case err != nil:
		return nil, row.Seen, fmt.Errorf("look up a session: %w", err)
	case !tx.Now().Before(row.Till) || tx.Now().Sub(row.Seen) >= SessionIdle:
		return nil, row.Seen, ErrExpired
	}
	m, err := tx.Member(ctx, row.Member)
	if errors.Is(err, store.ErrNotFound) {
		return nil, row.Seen, ErrUnknown
	}
	if err != nil {
		return nil, row.Seen, fmt.Errorf("look up who is signed in: %w", err)
	}
	if m.Role == "" || m.Role != row.Role {
		return nil, row.Seen, ErrExpired
	}
	return &Visitor{Member: m, Session: sessionID(row.Hash), Proved: row.Proved}, row.Seen, nil
}

// SignOut ends the session of a token, if there is one.
func (g *Gate) SignOut(ctx context.Context, token string) error {
	t := Token(token)
	if !t.drawn() {
		return nil
	}
	return g.db.Update(ctx, func(tx *store.Tx) error { return tx.EndSession(ctx, t.key()) })
}

// A SessionInfo is a session as people see it.
type SessionInfo struct {
	ID      string
	Browser string
	Created time.Time
	Seen    time.Time
	Till    time.Time
}

// Sessions returns where a person is signed in, the newest first.
func Sessions(ctx context.Context, tx *store.Tx, m member.ID) ([]SessionInfo, error) {
	rows, err := tx.Sessions(ctx, m, tx.Now().Add(-SessionIdle))
	if err != nil {
		return nil, err
	}
	all := make([]SessionInfo, len(rows))
	for n, r := range rows {
		all[n] = SessionInfo{ID: sessionID(r.Hash), Browser: r.Browser, Created: r.Created, Seen: r.Seen, Till: r.Till}
	}
	return all, nil
}

// EndSession ends one session of a person, by its ID. It returns
// store.ErrNotFound if there is no such one.
func EndSession(ctx context.Context, tx *store.Tx, m member.ID, id string) error {
	rows, err := tx.Sessions(ctx, m, tx.Now().Add(-SessionIdle))
	if err != nil {
		return err
	}
	for _, r := range rows {
		if sessionID(r.Hash) == id {
			tx.Act(by(m), "session.end", by(m), "")
			return tx.EndSession(ctx, r.Hash)
		}
	}
	return store.ErrNotFound
}

// EndOthers ends all sessions of a person but the one of a token.
func EndOthers(ctx context.Context, tx *store.Tx, m member.ID, token string) error {
	tx.Act(by(m), "session.others", by(m), "")
	return tx.EndSessions(ctx, m, Token(token).key())
}

// Revoked is the act of ending the sessions of somebody else.
const Revoked = "session.revoke"

// RevokeSessions ends all sessions of a person at once, as somebody else does
// who fears that they are stolen, and voids the invitations that the person gave
// or was given. Until password and second factor are renewed
// at the desk, the person signs in nowhere and approves nothing.
func (g *Gate) RevokeSessions(ctx context.Context, tx *store.Tx, who string, m *member.Member) error {
	tx.Act(who, Revoked, by(m.ID), "")
	if err := tx.EndSessions(ctx, m.ID, nil); err != nil {
		return err
	}
	if err := tx.DropInvitations(ctx, m.ID, by(m.ID)); err != nil {
		return err
	}
	c, err := credential(ctx, tx, m)
	if err != nil || !c.Renew.IsZero() {
		return err
	}
	c.Renew = tx.Now()
	return tx.SaveCredential(ctx, m, c)
}

// maxStaff bounds how many people work here.
const maxStaff = 1000

// RevokeAll is RevokeSessions for everybody. Whoever does it must sign in again
// too, but renews nothing: somebody has to open the desk.
func (g *Gate) RevokeAll(ctx context.Context, tx *store.Tx, who string) error {
	all, err := tx.Members(ctx, store.Administrators, 0, maxStaff)
	if err != nil {
		return err
	}
	for _, m := range all {
		if by(m.ID) == who {
			err = tx.EndSessions(ctx, m.ID, nil)
		} else {
			err = g.RevokeSessions(ctx, tx, who, m)
		}
		if err != nil {
			return err
		}
	}
	tx.Act(who, "session.revoke.all", "", "")
	return nil
}

// credential returns how a person signs in, which may be not at all.
func credential(ctx context.Context, tx *store.Tx, m *member.Member) (*store.Credential, error) {
	c, err := tx.Credential(ctx, m)
	if errors.Is(err, store.ErrNotFound) {
		return &store.Credential{Member: m.ID}, nil
	}
	return c, err
}

// MayApprove returns ErrRenew for a person whose sessions were revoked and who
// has not renewed password and second factor since.
func MayApprove(ctx context.Context, tx *store.Tx, m *member.Member) error {
	c, err := credential(ctx, tx, m)
	if err != nil {
		return err
	}
	if !c.Renew.IsZero() {
		return ErrRenew
	}
	return nil
}

// Dismiss takes from a person who works here no more every way to sign in.
func Dismiss(ctx context.Context, tx *store.Tx, m *member.Member) error {
	return tx.ForgetCredential(ctx, m.ID)
}
