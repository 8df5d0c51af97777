package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"maillon/internal/member"
	"maillon/internal/sms"
)

const (
	strangerKeyLife = 24 * time.Hour // how long what strangers sent can be read
	strangerKeyUse  = time.Hour      // how long one such key seals
	maxNear         = 8              // neighbours looked at for one pseudo
	maxBlocks       = 500            // people blocked by one member
)

const memberColumns = `m.id, m.key, m.state, m.secret, m.language, m.chosen, m.muted, m.role, m.ceiling, m.line,
	m.opened_at, m.seen_at, m.frozen_at, m.frozen_by, m.lost_at, m.locked_till, m.look_till, m.ask_till, m.doubt_till, m.proved_at,
	m.waiting, m.flood_till, m.grp, k.sealed`

const fromMember = ` FROM member m LEFT JOIN key k ON k.id = m.key `

func (tx *Tx) scanMember(scan func(...any) error) (*member.Member, error) {
	var m member.Member
	var secret, wrapped []byte
	err := scan(&m.ID, &m.Key, &m.State, &secret, &m.Language, &m.Chosen, &m.Muted, &m.Role, &m.Ceiling, &m.Line,
		moment{&m.OpenedAt}, moment{&m.SeenAt}, moment{&m.FrozenAt}, &m.FrozenBy, moment{&m.LostAt}, moment{&m.LockedTill},
		moment{&m.LookTill}, moment{&m.AskTill}, moment{&m.DoubtTill}, moment{&m.ProvedAt},
		&m.Waiting, moment{&m.FloodTill}, &m.Group, &wrapped)
	if err != nil {
		return nil, found(err)
	}
	return &m, tx.unsealMember(&m, secret, wrapped)
}

// unsealMember fills what is personal; an erased member has nothing left.
func (tx *Tx) unsealMember(m *member.Member, secret, wrapped []byte) error {
	if len(wrapped) == 0 || len(secret) == 0 {
		return nil
	}
	key, err := tx.unwrap(m.Key, wrapped)
	if err != nil {
		return err
	}
	text, err := key.open("member", secret)
	if err != nil {
		return fmt.Errorf("member %d: %w", m.ID, err)
	}
	parts := strings.SplitN(text, "\x00", 3)
	if len(parts) != 3 {
		return fmt.Errorf("member %d: malformed secret", m.ID)
	}
	m.Nick, m.Word = parts[1], parts[2]
	if parts[0] == "" {
		return nil
	}
	m.Number, err = sms.FromE164(parts[0])
	if err != nil {
		return fmt.Errorf("member %d: malformed secret", m.ID)
	}
	return nil
}

// Member returns a member by ID, or ErrNotFound.
func (tx *Tx) Member(ctx context.Context, id member.ID) (*member.Member, error) {
	return tx.scanMember(tx.row(ctx, `SELECT `+memberColumns+fromMember+`WHERE m.id = $1`, int64(id)).Scan)
}

// MemberByNumber returns who has a number, or ErrNotFound.
func (tx *Tx) MemberByNumber(ctx context.Context, n sms.Number) (*member.Member, error) {
	return tx.scanMember(tx.row(ctx, `SELECT `+memberColumns+fromMember+`WHERE m.number_hash = $1`,
		keyedHash(tx.db.keys.number, n.E164())).Scan)
}

// MemberByNick returns who has a pseudo now, or ErrNotFound.
func (tx *Tx) MemberByNick(ctx context.Context, nick string) (*member.Member, error) {
	return tx.scanMember(tx.row(ctx, `SELECT `+memberColumns+fromMember+
		`JOIN nick n ON n.member = m.id WHERE n.hash = $1 AND n.free_at = 0`, tx.nickHash("is", nick)).Scan)
}

// MembersWhere are the lists of members that somebody may want.
type MembersWhere int

// The lists.
const (
	Everyone MembersWhere = iota
	Administrators
	WaitingForResume
)

// Members returns at most limit members of a list after one, by ID.
func (tx *Tx) Members(ctx context.Context, where MembersWhere, after member.ID, limit int) ([]*member.Member, error) {
	text := map[MembersWhere]string{
		Everyone:         `SELECT ` + memberColumns + fromMember + `WHERE m.id > $1 ORDER BY m.id LIMIT $2 + 0`,
		Administrators:   `SELECT ` + memberColumns + fromMember + `WHERE m.id > $1 AND m.role <> '' ORDER BY m.id LIMIT $2 + 0`,
		WaitingForResume: `SELECT ` + memberColumns + fromMember + `WHERE m.id > $1 AND m.waiting <> 0 ORDER BY m.id LIMIT $2 + 0`,
	}[where]
	var all []*member.Member
	err := tx.each(ctx, func(scan func(...any) error) error {
		m, err := tx.scanMember(scan)
		all = append(all, m)
		return err
	}, text, int64(after), limit)
	return all, err
}

// CountMembers returns how many members have accepted.
func (tx *Tx) CountMembers(ctx context.Context) (n int64, err error) {
	err = tx.row(ctx, `SELECT count(*) FROM member WHERE state = 'active'`).Scan(&n)
	return n, err
}

// CreateMember adds a member with a key of its own, and sets its ID and key.
func (tx *Tx) CreateMember(ctx context.Context, m *member.Member) error {
	id, _, err := tx.newKey(ctx, time.Time{})
	if err != nil {
		return err
	}
	m.Key = id
	row, err := tx.nextID(ctx, "member")
	if err != nil {
		return err
	}
	if err := tx.later(ctx, `INSERT INTO member (id, key, state, language) VALUES ($1, $2, $3, $4)`, row, m.Key, string(m.State), m.Language); err != nil {
		return err
	}
	m.ID = member.ID(row)
	return tx.SaveMember(ctx, m)
}

// SaveMember writes a member whole.
func (tx *Tx) SaveMember(ctx context.Context, m *member.Member) error {
	var secret, hash []byte
	if m.State != member.Closed {
		key, err := tx.key(ctx, m.Key)
		if err != nil {
			return err
		}
		secret = key.seal("member", m.Number.E164()+"\x00"+m.Nick+"\x00"+m.Word)
		hash = keyedHash(tx.db.keys.number, m.Number.E164())
	}
	tx.changeStanding()
	err := tx.later(ctx, `UPDATE member SET key = $2, state = $3, secret = $4, number_hash = $5, language = $6, chosen = $7, muted = $8,
		role = $9, ceiling = $10, line = $11, opened_at = $12, seen_at = $13, frozen_at = $14, lost_at = $15, locked_till = $16,
		look_till = $17, ask_till = $18, doubt_till = $19, proved_at = $20, waiting = $21, flood_till = $22, frozen_by = $23,
		grp = $24 WHERE id = $1`,
		int64(m.ID), m.Key, string(m.State), secret, hash, m.Language, bit(m.Chosen), bit(m.Muted),
		string(m.Role), m.Ceiling, m.Line, micros(m.OpenedAt), micros(m.SeenAt), micros(m.FrozenAt), micros(m.LostAt), micros(m.LockedTill),
		micros(m.LookTill), micros(m.AskTill), micros(m.DoubtTill), micros(m.ProvedAt), bit(m.Waiting), micros(m.FloodTill), string(m.FrozenBy),
		m.Group)
	if err != nil {
		return err
	}
	tx.record(event{Member: &memberEvent{
		ID: int64(m.ID), Key: m.Key, State: string(m.State), Secret: secret, Language: m.Language, Chosen: m.Chosen, Muted: m.Muted,
		Role: string(m.Role), Ceiling: m.Ceiling, Opened: micros(m.OpenedAt), Seen: micros(m.SeenAt), Frozen: micros(m.FrozenAt), FrozenBy: string(m.FrozenBy),
		Lost: micros(m.LostAt), Locked: micros(m.LockedTill), Look: micros(m.LookTill), Ask: micros(m.AskTill),
		Doubt: micros(m.DoubtTill), Proved: micros(m.ProvedAt), Group: m.Group,
	}})
	return nil
}

// SeeMember writes only what every SMS changes: when, on which line, how fast.
// It is not of record: the journal has the SMS.
func (tx *Tx) SeeMember(ctx context.Context, m *member.Member) error {
	return tx.later(ctx, `UPDATE member SET seen_at = $2, line = $3, flood_till = $4, language = $5, waiting = $6 WHERE id = $1`,
		int64(m.ID), micros(m.SeenAt), m.Line, micros(m.FloodTill), m.Language, bit(m.Waiting))
}

// Erase forgets a member for ever: name and number go, and the key that sealed
// them and their texts is destroyed. The entries stay, without a name.
func (tx *Tx) Erase(ctx context.Context, m *member.Member, nickFree time.Time) error {
	if err := tx.GiveUpNick(ctx, m, nickFree); err != nil {
		return err
	}
	m.State, m.Number, m.Nick, m.Word, m.Role, m.Group = member.Closed, sms.Number{}, "", "", "", ""
	if err := tx.SaveMember(ctx, m); err != nil {
		return err
	}
	if err := tx.clearMember(ctx, int64(m.ID)); err != nil {
		return err
	}
	if err := tx.EndMailboxes(ctx, m.ID); err != nil {
		return err
	}
	return tx.eraseKey(ctx, m.Key)
}

// clearMember deletes what only a member has.
func (tx *Tx) clearMember(ctx context.Context, id int64) error {
	for _, text := range []string{
		`DELETE FROM card WHERE member = $1`, `DELETE FROM block WHERE member = $1`, `DELETE FROM lookup WHERE member = $1`,
	} {
		if _, err := tx.exec(ctx, text, id); err != nil {
			return err
		}
	}
	return tx.clearStaff(ctx, id)
}

func (tx *Tx) eraseKey(ctx context.Context, id int64) error {
	delete(tx.keys, id)
	tx.record(event{Erase: &eraseEvent{id}})
	tx.erased = true
	_, err := tx.exec(ctx, `DELETE FROM key WHERE id = $1`, id)
	return err
}

func (tx *Tx) newKey(ctx context.Context, dies time.Time) (int64, sealKey, error) {
	raw, wrapped, err := tx.db.keys.newKey()
	if err != nil {
		return 0, sealKey{}, err
	}
	if !tx.writes {
		return 0, sealKey{}, ErrReadOnly
	}
	var id int64
	if err := tx.row(ctx, `INSERT INTO key (sealed, dies_at) VALUES ($1, $2) RETURNING id`, wrapped, micros(dies)).Scan(&id); err != nil {
		return 0, sealKey{}, err
	}
	aead, err := newAEAD(raw)
	return id, sealKey{id, aead}, err
}

// unwrap opens a key once for the whole transaction.
func (tx *Tx) unwrap(id int64, wrapped []byte) (sealKey, error) {
	if k, ok := tx.keys[id]; ok {
		return k, nil
	}
	k, err := tx.db.keys.unwrap(id, wrapped)
	if err == nil && k.aead != nil {
		if tx.keys == nil {
			tx.keys = map[int64]sealKey{}
		}
		tx.keys[id] = k
	}
	return k, err
}

// key returns a key; one that was destroyed opens nothing.
func (tx *Tx) key(ctx context.Context, id int64) (sealKey, error) {
	if k, ok := tx.keys[id]; ok {
		return k, nil
	}
	var wrapped []byte
	err := tx.row(ctx, `SELECT sealed FROM key WHERE id = $1`, id).Scan(&wrapped)
	if errors.Is(found(err), ErrNotFound) {
		return sealKey{id: id}, ErrErased
	}
	if err != nil {
		return sealKey{}, err
	}
	return tx.unwrap(id, wrapped)
}

// strangerKey returns the key that seals what strangers send now.
func (tx *Tx) strangerKey(ctx context.Context) (sealKey, error) {
	var id int64
	var wrapped []byte
	err := tx.row(ctx, `SELECT id, sealed FROM key WHERE dies_at > $1 AND dies_at <= $2 ORDER BY id DESC LIMIT 1`,
		micros(tx.now.Add(strangerKeyLife-strangerKeyUse)), micros(tx.now.Add(strangerKeyLife))).Scan(&id, &wrapped)
	if err == nil {
		return tx.db.keys.unwrap(id, wrapped)
	}
	if !errors.Is(found(err), ErrNotFound) {
		return sealKey{}, err
	}
	_, key, err := tx.newKey(ctx, tx.now.Add(strangerKeyLife))
	tx.touch(Due)
	return key, err
}

func (tx *Tx) nickHash(what, nick string) []byte { return keyedHash(tx.db.keys.nick, what+":"+nick) }

// lookalike folds what the eye confuses: l and 1, o and 0.
func lookalike(nick string) string { return strings.NewReplacer("l", "1", "o", "0").Replace(nick) }

// NickTaken reports whether a pseudo, or one that can be confused with it, is
// used by somebody else or still reserved.
func (tx *Tx) NickTaken(ctx context.Context, nick string, by member.ID) (bool, error) {
	var n int64
	err := tx.row(ctx, `SELECT count(*) FROM nick WHERE lookalike = $1 AND member <> $2 AND (free_at = 0 OR free_at > $3)`,
		tx.nickHash("like", lookalike(nick)), int64(by), micros(tx.now)).Scan(&n)
	return n > 0, err
}

// TakeNick gives a member a pseudo, which must be free, and reserves the one
// given up until nickFree. It saves the member.
func (tx *Tx) TakeNick(ctx context.Context, m *member.Member, nick string, nickFree time.Time) error {
	if err := tx.GiveUpNick(ctx, m, nickFree); err != nil {
		return err
	}
	m.Nick = nick
	if nick == "" {
		return tx.SaveMember(ctx, m)
	}
	e := nickEvent{Hash: tx.nickHash("is", nick), Lookalike: tx.nickHash("like", lookalike(nick)), Member: int64(m.ID)}
	if err := tx.saveNick(ctx, e); err != nil {
		return err
	}
	if err := tx.indexNick(ctx, m.ID, nick); err != nil {
		return err
	}
	return tx.SaveMember(ctx, m)
}

// GiveUpNick reserves the pseudo of a member until a time, and gives it to
// nobody before.
func (tx *Tx) GiveUpNick(ctx context.Context, m *member.Member, nickFree time.Time) error {
	if m.Nick == "" {
		return nil
	}
	e := nickEvent{
		Hash: tx.nickHash("is", m.Nick), Lookalike: tx.nickHash("like", lookalike(m.Nick)),
		Member: int64(m.ID), Free: micros(nickFree),
	}
	if err := tx.saveNick(ctx, e); err != nil {
		return err
	}
	_, err := tx.exec(ctx, `DELETE FROM nick_near WHERE member = $1`, int64(m.ID))
	return err
}

func (tx *Tx) saveNick(ctx context.Context, e nickEvent) error {
	tx.record(event{Nick: &e})
	return tx.later(ctx, `INSERT INTO nick (hash, lookalike, member, free_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (hash) DO UPDATE SET lookalike = excluded.lookalike, member = excluded.member, free_at = excluded.free_at`,
		e.Hash, e.Lookalike, e.Member, e.Free)
}

// indexNick files a pseudo under itself and under each of its spellings with
// one letter less: two pseudos at distance 1 share one of them.
func (tx *Tx) indexNick(ctx context.Context, id member.ID, nick string) error {
	for _, v := range spellings(nick) {
		if err := tx.later(ctx, `INSERT INTO nick_near (hash, member) VALUES ($1, $2) ON CONFLICT DO NOTHING`,
			tx.nickHash("near", v), int64(id)); err != nil {
			return err
		}
	}
	return nil
}

func spellings(nick string) []string {
	all := []string{nick}
	for i := range len(nick) {
		all = append(all, nick[:i]+nick[i+1:])
	}
	return all
}

// Neighbour returns the pseudo at distance 1 from a misspelt one, if there is
// exactly one, and its member; else "".
func (tx *Tx) Neighbour(ctx context.Context, nick string) (string, member.ID, error) {
	seen, err := tx.near(ctx, nick)
	if err != nil {
		return "", 0, err
	}
	var near *member.Member
	for id := range seen {
		m, err := tx.Member(ctx, id)
		if err != nil {
			return "", 0, err
		}
		if m.Nick == "" || !oneApart(nick, m.Nick) {
			continue
		}
		if near != nil {
			return "", 0, nil
		}
		near = m
	}
	if near == nil {
		return "", 0, nil
	}
	return near.Nick, near.ID, nil
}

// near returns the members whose pseudo shares a spelling with one letter less
// with this one; nil if it is too long to be one.
func (tx *Tx) near(ctx context.Context, nick string) (map[member.ID]bool, error) {
	const longest = 20
	if len(nick) > longest {
		return nil, nil
	}
	seen := map[member.ID]bool{}
	for _, v := range spellings(nick) {
		err := tx.each(ctx, func(scan func(...any) error) error {
			var id member.ID
			err := scan(&id)
			seen[id] = true
			return err
		}, `SELECT member FROM nick_near WHERE hash = $1 LIMIT $2 + 0`, tx.nickHash("near", v), maxNear)
		if err != nil {
			return nil, err
		}
	}
	return seen, nil
}

// oneApart reports whether one letter added, dropped, changed or swapped with
// its neighbour makes a into b.
func oneApart(a, b string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b)-len(a) > 1 || a == b {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) < len(b) {
		return a[i:] == b[i+1:]
	}
	if a[i+1:] == b[i+1:] {
		return true
	}
	return i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
}

// Block makes every later request of other to m refused at once, or ends that.
func (tx *Tx) Block(ctx context.Context, m, other member.ID, on bool) error {
	text, args := `DELETE FROM block WHERE member = $1 AND other = $2`, []any{int64(m), int64(other)}
	if on {
		text = `INSERT INTO block (member, other) SELECT CAST($1 AS BIGINT), CAST($2 AS BIGINT) WHERE (SELECT count(*) FROM block WHERE member = $1) < $3
			ON CONFLICT DO NOTHING`
		args = append(args, maxBlocks)
	}
	n, err := tx.exec(ctx, text, args...)
	if n > 0 {
		tx.record(event{Block: &blockEvent{Member: int64(m), Other: int64(other), Ended: !on}})
	}
	return err
}

// Blocked reports whether m wants no requests from other.
func (tx *Tx) Blocked(ctx context.Context, m, other member.ID) (bool, error) {
	var n int64
	err := tx.row(ctx, `SELECT count(*) FROM block WHERE member = $1 AND other = $2`, int64(m), int64(other)).Scan(&n)
	return n > 0, err
}

// Refuse keeps the fingerprint of a number that must never be written to again.
func (tx *Tx) Refuse(ctx context.Context, n sms.Number) error {
	hash := keyedHash(tx.db.keys.refuse, n.E164())
	k, err := tx.exec(ctx, `INSERT INTO refused (hash, at) VALUES ($1, $2) ON CONFLICT DO NOTHING`, hash, micros(tx.now))
	if k > 0 {
		tx.record(event{Refused: &refusedEvent{hash}})
	}
	return err
}

// HasRefused reports whether a number must never be written to.
func (tx *Tx) HasRefused(ctx context.Context, n sms.Number) (bool, error) {
	var k int64
	err := tx.row(ctx, `SELECT count(*) FROM refused WHERE hash = $1`, keyedHash(tx.db.keys.refuse, n.E164())).Scan(&k)
	return k > 0, err
}

// Looked notes that a member was shown the name of another on a local day, and
// returns how many such names were not paid that day by now.
func (tx *Tx) Looked(ctx context.Context, m, other member.ID, midnight time.Time) (int, error) {
	err := tx.later(ctx, `INSERT INTO lookup (member, other, day) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
		int64(m), int64(other), micros(midnight))
	if err != nil {
		return 0, err
	}
	var n int
	err = tx.row(ctx, `SELECT count(*) FROM lookup l WHERE l.member = $1 AND l.day = $2 AND NOT EXISTS
		(SELECT 1 FROM orders o WHERE o.payer = l.member AND o.payee = l.other AND o.paid_at >= $2 AND o.paid_at > 0)`, int64(m), micros(midnight)).Scan(&n)
	return n, err
}
