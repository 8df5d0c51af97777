package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"maillon/internal/member"
)

// Bounds of what is kept about who signs in.
const (
	MaxSessions  = 200                 // listed of one person
	MaxPasskeys  = 20                  // of one person
	maxDoorsteps = 10_000              // of all who stand at the door
	staffKept    = 30 * 24 * time.Hour // how long what has ended is still there to be looked at
	attemptKept  = 48 * time.Hour
)

// hashLen is the length of a hash of a recovery code, in octets.
const hashLen = 32

// A Credential is how a person signs in.
type Credential struct {
	Member   member.ID
	Password string    // its hash; "" if there is none
	TOTP     string    // the shared secret of the second factor; "" if there is none
	Recovery [][]byte  // hashes of the recovery codes that are left
	Renew    time.Time // since when all of it must be renewed at the desk; zero: it need not
	Changed  time.Time
}

// Credential returns how a person signs in, or ErrNotFound.
func (tx *Tx) Credential(ctx context.Context, m *member.Member) (*Credential, error) {
	c := Credential{Member: m.ID}
	var keyID int64
	var sealed, recovery []byte
	err := tx.row(ctx, `SELECT password, key, totp, recovery, renew_at, changed_at FROM credential WHERE member = $1`, int64(m.ID)).
		Scan(&c.Password, &keyID, &sealed, &recovery, moment{&c.Renew}, moment{&c.Changed})
	if err != nil {
		return nil, found(err)
	}
	for ; len(recovery) >= hashLen; recovery = recovery[hashLen:] {
		c.Recovery = append(c.Recovery, recovery[:hashLen:hashLen])
	}
	if len(sealed) == 0 {
		return &c, nil
	}
	key, err := tx.key(ctx, keyID)
	if err != nil {
		return nil, err
	}
	c.TOTP, err = key.open("totp", sealed)
	return &c, err
}

// SaveCredential writes how a person signs in, whole. Codes of the second factor
// that were used stay used.
func (tx *Tx) SaveCredential(ctx context.Context, m *member.Member, c *Credential) error {
	var sealed, recovery []byte
	if c.TOTP != "" {
		key, err := tx.key(ctx, m.Key)
		if err != nil {
			return err
		}
		sealed = key.seal("totp", c.TOTP)
	}
	for _, hash := range c.Recovery {
		if len(hash) != hashLen {
			return fmt.Errorf("a hash of %d octets, want %d", len(hash), hashLen)
		}
		recovery = append(recovery, hash...)
	}
	c.Changed = tx.now
	return tx.later(ctx, `INSERT INTO credential (member, password, key, totp, recovery, renew_at, changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (member) DO UPDATE SET password = excluded.password, key = excluded.key, totp = excluded.totp,
			recovery = excluded.recovery, renew_at = excluded.renew_at, changed_at = excluded.changed_at`,
		int64(m.ID), c.Password, m.Key, sealed, recovery, micros(c.Renew), micros(c.Changed))
}

// UseStep notes that the code of a step of time was used. It reports false if
// that one, or a later one, was used before.
func (tx *Tx) UseStep(ctx context.Context, m member.ID, step int64) (bool, error) {
	n, err := tx.exec(ctx, `UPDATE credential SET totp_step = $2 WHERE member = $1 AND totp_step < $2`, int64(m), step)
	return n > 0, err
}

// ForgetCredential takes from a person every way to sign in.
func (tx *Tx) ForgetCredential(ctx context.Context, m member.ID) error {
	return tx.clearStaff(ctx, int64(m))
}

// clearStaff deletes what only somebody who signs in has.
func (tx *Tx) clearStaff(ctx context.Context, id int64) error {
	for _, text := range []string{
		`DELETE FROM credential WHERE member = $1`, `DELETE FROM passkey WHERE member = $1`, `DELETE FROM session WHERE member = $1`,
		`DELETE FROM invitation WHERE member = $1`, `DELETE FROM doorstep WHERE member = $1`,
	} {
		if _, err := tx.exec(ctx, text, id); err != nil {
			return err
		}
	}
	return nil
}

// A StaffState says whether, and how, somebody who works here can sign in.
type StaffState struct {
	Password bool
	Passkeys int
	Renew    time.Time
	Changed  time.Time
	Seen     time.Time // in any session that is kept
}

// StaffStates returns whether and how people can sign in, of those with a role.
func (tx *Tx) StaffStates(ctx context.Context) (map[member.ID]StaffState, error) {
	all := map[member.ID]StaffState{}
	err := tx.each(ctx, func(scan scan) error {
		var id, passkeys int64
		var password string
		var s StaffState
		if err := scan(&id, &password, moment{&s.Renew}, moment{&s.Changed}, &passkeys, moment{&s.Seen}); err != nil {
			return err
		}
		s.Password, s.Passkeys = password != "", int(passkeys)
		all[member.ID(id)] = s
		return nil
	}, `SELECT c.member, c.password, c.renew_at, c.changed_at, (SELECT count(*) FROM passkey p WHERE p.member = c.member),
			(SELECT coalesce(max(s.seen_at), 0) FROM session s WHERE s.member = c.member)
		FROM credential c JOIN member m ON m.id = c.member WHERE m.role <> '' ORDER BY c.member`)
	return all, err
}

// A Passkey is what is kept of a key that an authenticator holds.
type Passkey struct {
	ID      []byte
	Member  member.ID
	Public  []byte
	Browser string
	Created time.Time
	Used    time.Time
}

const passkeyColumns = `id, member, public, browser, created_at, used_at`

func scanPasskey(scan scan) (p Passkey, err error) {
	var id int64
	err = scan(&p.ID, &id, &p.Public, &p.Browser, moment{&p.Created}, moment{&p.Used})
	p.Member = member.ID(id)
	return p, found(err)
}

// ErrManyKeys means that somebody has as many passkeys as there may be.
var ErrManyKeys = errors.New("there are too many passkeys")

// AddPasskey writes a new passkey, whose ID nobody may have. It returns
// ErrManyKeys.
func (tx *Tx) AddPasskey(ctx context.Context, p *Passkey) error {
	all, err := tx.Passkeys(ctx, p.Member)
	if err != nil {
		return err
	}
	if len(all) >= MaxPasskeys {
		return ErrManyKeys
	}
	p.Created = tx.now
	return tx.later(ctx, `INSERT INTO passkey (id, member, public, browser, created_at) VALUES ($1, $2, $3, $4, $5)`,
		p.ID, int64(p.Member), p.Public, p.Browser, micros(p.Created))
}

// Passkey returns a passkey by its ID, or ErrNotFound.
func (tx *Tx) Passkey(ctx context.Context, id []byte) (Passkey, error) {
	return scanPasskey(tx.row(ctx, `SELECT `+passkeyColumns+` FROM passkey WHERE id = $1`, id).Scan)
}

// Passkeys returns those of a person, the oldest first.
func (tx *Tx) Passkeys(ctx context.Context, m member.ID) (all []Passkey, err error) {
	err = tx.each(ctx, func(scan scan) error {
		p, err := scanPasskey(scan)
		all = append(all, p)
		return err
	}, `SELECT `+passkeyColumns+` FROM passkey WHERE member = $1 ORDER BY created_at, id LIMIT $2 + 0`, int64(m), MaxPasskeys)
	return all, err
}

// UsePasskey notes that a passkey was used, and what is known of it since.
func (tx *Tx) UsePasskey(ctx context.Context, id, public []byte) error {
	return tx.later(ctx, `UPDATE passkey SET public = $2, used_at = $3 WHERE id = $1`, id, public, micros(tx.now))
}

// DropPasskey ends a passkey of a person; with no ID all of them.
func (tx *Tx) DropPasskey(ctx context.Context, m member.ID, id []byte) error {
	if id == nil {
		_, err := tx.exec(ctx, `DELETE FROM passkey WHERE member = $1`, int64(m))
		return err
	}
	n, err := tx.exec(ctx, `DELETE FROM passkey WHERE member = $1 AND id = $2`, int64(m), id)
	if err == nil && n == 0 {
		return ErrNotFound
	}
	return err
}

// A Session is a browser in which somebody is signed in.
type Session struct {
	Hash    []byte
	Member  member.ID
	Role    member.Role // with which it began
	Created time.Time
	Seen    time.Time
	Proved  time.Time // when the second factor was shown last
	Till    time.Time
	Browser string
	Ended   time.Time // zero: nobody has ended it
}

const sessionColumns = `hash, member, role, created_at, seen_at, proved_at, till, browser, ended_at`

func scanSession(scan scan) (s Session, err error) {
	var id int64
	err = scan(&s.Hash, &id, &s.Role, moment{&s.Created}, moment{&s.Seen}, moment{&s.Proved}, moment{&s.Till}, &s.Browser, moment{&s.Ended})
	s.Member = member.ID(id)
	return s, found(err)
}

// AddSession writes a new session, and forgets what ended long ago.
func (tx *Tx) AddSession(ctx context.Context, s *Session) error {
	s.Created, s.Seen, s.Proved = tx.now, tx.now, tx.now
	old, longAgo := micros(tx.now.Add(-staffKept)), micros(tx.now.Add(-attemptKept))
	for _, sweep := range []struct {
		text   string
		before int64
	}{
		{`DELETE FROM session WHERE till < $1`, old},
		{`DELETE FROM invitation WHERE till < $1`, old},
		{`DELETE FROM doorstep WHERE till < $1`, micros(tx.now)},
		{`DELETE FROM attempt WHERE at < $1`, longAgo},
	} {
		if err := tx.later(ctx, sweep.text, sweep.before); err != nil {
			return err
		}
	}
	return tx.later(ctx, `INSERT INTO session (`+sessionColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0)`,
		s.Hash, int64(s.Member), string(s.Role), micros(s.Created), micros(s.Seen), micros(s.Proved), micros(s.Till), s.Browser)
}

// Session returns a session, ended or not, or ErrNotFound.
func (tx *Tx) Session(ctx context.Context, hash []byte) (Session, error) {
	return scanSession(tx.row(ctx, `SELECT `+sessionColumns+` FROM session WHERE hash = $1`, hash).Scan)
}

// Sessions returns those of a person that nobody has ended, seen since a time,
// the newest first.
func (tx *Tx) Sessions(ctx context.Context, m member.ID, seen time.Time) (all []Session, err error) {
	err = tx.each(ctx, func(scan scan) error {
		s, err := scanSession(scan)
		all = append(all, s)
		return err
	}, `SELECT `+sessionColumns+` FROM session WHERE member = $1 AND ended_at = 0 AND till > $2 AND seen_at > $3
		ORDER BY created_at DESC, hash LIMIT $4 + 0`, int64(m), micros(tx.now), micros(seen), MaxSessions)
	return all, err
}

// SeeSession notes that somebody was there.
func (tx *Tx) SeeSession(ctx context.Context, hash []byte) error {
	return tx.later(ctx, `UPDATE session SET seen_at = $2 WHERE hash = $1 AND ended_at = 0`, hash, micros(tx.now))
}

// RenewSession gives a session another hash, for the second factor was shown
// now. It reports false if the session has ended.
func (tx *Tx) RenewSession(ctx context.Context, hash, to []byte) (bool, error) {
	n, err := tx.exec(ctx, `UPDATE session SET hash = $2, proved_at = $3, seen_at = $3 WHERE hash = $1 AND ended_at = 0`, hash, to, micros(tx.now))
	return n > 0, err
}

// EndSession ends a session. Ending it again changes nothing.
func (tx *Tx) EndSession(ctx context.Context, hash []byte) error {
	return tx.later(ctx, `UPDATE session SET ended_at = $2 WHERE hash = $1 AND ended_at = 0`, hash, micros(tx.now))
}

// EndSessions ends those of a person, but for one; nil: all.
func (tx *Tx) EndSessions(ctx context.Context, m member.ID, but []byte) error {
	if but == nil {
		but = []byte{}
	}
	if err := tx.later(ctx, `DELETE FROM doorstep WHERE member = $1`, int64(m)); err != nil {
		return err
	}
	return tx.later(ctx, `UPDATE session SET ended_at = $3 WHERE member = $1 AND ended_at = 0 AND hash <> $2`, int64(m), but, micros(tx.now))
}

// An Invitation lets somebody choose a password and a second factor, once.
type Invitation struct {
	Hash    []byte
	Member  member.ID // 0: whoever comes first
	By      string
	Created time.Time
	Till    time.Time
	Used    time.Time
}

// AddInvitation writes a new invitation. One for the same person that was not
// used is worth nothing any more; those for whoever comes first stay.
func (tx *Tx) AddInvitation(ctx context.Context, i *Invitation) error {
	i.Created = tx.now
	if i.Member != 0 {
		if err := tx.later(ctx, `DELETE FROM invitation WHERE member = $1 AND used_at = 0`, int64(i.Member)); err != nil {
			return err
		}
	}
	return tx.later(ctx, `INSERT INTO invitation (hash, member, actor, created_at, till) VALUES ($1, $2, $3, $4, $5)`,
		i.Hash, int64(i.Member), i.By, micros(i.Created), micros(i.Till))
}

// DropInvitations ends those that were not used, for a person and by that person.
func (tx *Tx) DropInvitations(ctx context.Context, m member.ID, by string) error {
	return tx.later(ctx, `DELETE FROM invitation WHERE (member = $1 OR actor = $2) AND used_at = 0`, int64(m), by)
}

// Invitation returns an invitation, used or not, or ErrNotFound.
func (tx *Tx) Invitation(ctx context.Context, hash []byte) (i Invitation, err error) {
	var id int64
	err = tx.row(ctx, `SELECT hash, member, actor, created_at, till, used_at FROM invitation WHERE hash = $1`, hash).
		Scan(&i.Hash, &id, &i.By, moment{&i.Created}, moment{&i.Till}, moment{&i.Used})
	i.Member = member.ID(id)
	return i, found(err)
}

// UseInvitation ends an invitation. It reports false if it was used, or is too
// old.
func (tx *Tx) UseInvitation(ctx context.Context, hash []byte) (bool, error) {
	n, err := tx.exec(ctx, `UPDATE invitation SET used_at = $2 WHERE hash = $1 AND used_at = 0 AND till > $2`, hash, micros(tx.now))
	return n > 0, err
}

// A Doorstep is what somebody who is not in yet has shown so far.
type Doorstep struct {
	Hash   []byte
	Kind   string
	Member member.ID // 0: nobody knows yet
	Data   []byte
	Tries  int
	Till   time.Time
}

// AddDoorstep lets somebody stand at the door. It returns ErrBusy if there are
// too many.
func (tx *Tx) AddDoorstep(ctx context.Context, d *Doorstep) error {
	if err := tx.later(ctx, `DELETE FROM doorstep WHERE till < $1`, micros(tx.now)); err != nil {
		return err
	}
	var n int64
	if err := tx.row(ctx, `SELECT count(*) FROM doorstep`).Scan(&n); err != nil {
		return err
	}
	if n >= maxDoorsteps {
		return ErrBusy
	}
	return tx.later(ctx, `INSERT INTO doorstep (hash, kind, member, data, till) VALUES ($1, $2, $3, $4, $5)`,
		d.Hash, d.Kind, int64(d.Member), d.Data, micros(d.Till))
}

// TryDoorstep returns what somebody has shown so far, and counts that they have
// come back with more. It returns ErrNotFound for what is too old or not there.
func (tx *Tx) TryDoorstep(ctx context.Context, hash []byte, kind string) (d Doorstep, err error) {
	var id int64
	err = tx.row(ctx, `UPDATE doorstep SET tries = tries + 1 WHERE hash = $1 AND kind = $2 AND till > $3 RETURNING hash, kind, member, data, tries, till`,
		hash, kind, micros(tx.now)).Scan(&d.Hash, &d.Kind, &id, &d.Data, &d.Tries, moment{&d.Till})
	d.Member = member.ID(id)
	return d, found(err)
}

// DropDoorstep forgets what somebody has shown.
func (tx *Tx) DropDoorstep(ctx context.Context, hash []byte) error {
	return tx.later(ctx, `DELETE FROM doorstep WHERE hash = $1`, hash)
}

// An Attempt is how often somebody has tried to get in.
type Attempt struct {
	Fails int
	At    time.Time // the last one
	Till  time.Time // no answer before
}

// Attempt returns how often somebody has tried; the zero value if never.
func (tx *Tx) Attempt(ctx context.Context, who []byte) (a Attempt, err error) {
	err = tx.row(ctx, `SELECT fails, at, till FROM attempt WHERE who = $1`, who).Scan(&a.Fails, moment{&a.At}, moment{&a.Till})
	if errors.Is(found(err), ErrNotFound) {
		return Attempt{}, nil
	}
	return a, err
}

// SaveAttempt writes how often somebody has tried.
func (tx *Tx) SaveAttempt(ctx context.Context, who []byte, a Attempt) error {
	return tx.later(ctx, `INSERT INTO attempt (who, fails, at, till) VALUES ($1, $2, $3, $4)
		ON CONFLICT (who) DO UPDATE SET fails = excluded.fails, at = excluded.at, till = excluded.till`,
		who, a.Fails, micros(tx.now), micros(a.Till))
}

// ForgetAttempt lets somebody who is in begin anew.
func (tx *Tx) ForgetAttempt(ctx context.Context, who []byte) error {
	return tx.later(ctx, `DELETE FROM attempt WHERE who = $1`, who)
}
