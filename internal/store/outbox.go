package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"maillon/internal/member"
	"maillon/internal/sms"
)

// The states of a message in the outbox.
const (
	Queued    = "queued"
	Handing   = "handing"   // committed before the first octet leaves
	Accepted  = "accepted"  // the network has it
	Delivered = "delivered" // the phone has it
	Failed    = "failed"
	Unknown   = "unknown" // it may have left: nobody knows
	Expired   = "expired"
)

// An Out is one SMS in the outbox.
type Out struct {
	ID         int64
	To         sms.Number
	Text       string
	Member     member.ID // 0: a stranger, or somebody just erased
	Gateway    string
	Priority   sms.Priority
	At         time.Time
	Expires    time.Time
	Next       time.Time
	State      string
	Tries      int
	ProviderID string
	Detail     string
}

// OutID returns the name of a message towards a gateway.
func OutID(id int64) string { return "m" + strconv.FormatInt(id, 10) }

// ParseOutID reads what OutID returned.
func ParseOutID(s string) (int64, bool) {
	if len(s) < 2 || s[0] != 'm' {
		return 0, false
	}
	id, err := strconv.ParseInt(s[1:], 10, 64)
	return id, err == nil
}

// Enqueue puts an SMS into the outbox. It is sealed for the member it goes to,
// nil for a stranger or for somebody whose key is about to be destroyed.
func (tx *Tx) Enqueue(ctx context.Context, o Out, to *member.Member) (err error) {
	var key sealKey
	if to != nil {
		o.Member = to.ID
		key, err = tx.key(ctx, to.Key)
	} else {
		key, err = tx.strangerKey(ctx)
	}
	if err != nil {
		return err
	}
	_, err = tx.exec(ctx, `INSERT INTO outbox (at, member, key, sealed, gateway, priority, expires_at, next_at, state)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $1, 'queued')`,
		micros(tx.now), int64(o.Member), key.id, key.seal("outbox", o.To.E164()+"\x00"+o.Text), o.Gateway, int(o.Priority), micros(o.Expires))
	tx.touch(Outgoing)
	return err
}

const outColumns = `o.id, o.member, o.gateway, o.priority, o.at, o.expires_at, o.next_at, o.state, o.tries, o.provider_id, o.detail, o.key, o.sealed, coalesce(k.sealed, x'')`

const fromOut = ` FROM outbox o LEFT JOIN key k ON k.id = o.key `

func (tx *Tx) scanOut(scan func(...any) error) (Out, error) {
	var o Out
	var keyID int64
	var sealed, wrapped []byte
	if err := scan(&o.ID, &o.Member, &o.Gateway, &o.Priority, moment{&o.At}, moment{&o.Expires}, moment{&o.Next}, &o.State, &o.Tries,
		&o.ProviderID, &o.Detail, &keyID, &sealed, &wrapped); err != nil {
		return o, found(err)
	}
	key, err := tx.db.keys.unwrap(keyID, wrapped)
	if err != nil {
		return o, err
	}
	text, err := key.open("outbox", sealed)
	if errors.Is(err, ErrErased) {
		return o, nil
	}
	if err != nil {
		return o, fmt.Errorf("message %d: %w", o.ID, err)
	}
	number, text := cutLetter(text)
	o.Text = text
	o.To, err = sms.FromE164(number)
	return o, err
}

func (tx *Tx) outs(ctx context.Context, text string, args ...any) ([]Out, error) {
	var all []Out
	err := tx.each(ctx, func(scan func(...any) error) error {
		o, err := tx.scanOut(scan)
		all = append(all, o)
		return err
	}, text, args...)
	return all, err
}

// Outbox returns at most limit messages after one, whatever their state, in
// the order in which they were written.
func (tx *Tx) Outbox(ctx context.Context, after int64, limit int) ([]Out, error) {
	return tx.outs(ctx, `SELECT `+outColumns+fromOut+`WHERE o.id > $1 ORDER BY o.id LIMIT $2`, after, limit)
}

// Claim takes at most limit messages that a gateway may send now, the most
// urgent first, and marks them as being handed over until lease. With all it
// also takes those that name no gateway. Only messages up to a priority are
// taken.
func (tx *Tx) Claim(ctx context.Context, gateway string, all bool, upTo sms.Priority, lease time.Time, limit int) ([]Out, error) {
	line := gateway
	if all {
		line = ""
	}
	claimed, err := tx.outs(ctx, `SELECT `+outColumns+fromOut+`WHERE o.state = 'queued' AND o.gateway IN ($1, $2) AND o.priority <= $3
		AND o.next_at <= $4 ORDER BY o.priority, o.id LIMIT $5`, gateway, line, int(upTo), micros(tx.now), limit)
	if err != nil {
		return nil, err
	}
	for i := range claimed {
		o := &claimed[i]
		o.State, o.Tries = Handing, o.Tries+1
		if _, err := tx.exec(ctx, `UPDATE outbox SET state = 'handing', lease_till = $2, tries = $3 WHERE id = $1`, o.ID, micros(lease), o.Tries); err != nil {
			return nil, err
		}
	}
	return claimed, nil
}

// SaveOut writes what became of a message that was claimed or reported.
func (tx *Tx) SaveOut(ctx context.Context, o Out) error {
	ended := int64(0)
	if o.State != Queued && o.State != Handing {
		ended = micros(tx.now)
	}
	_, err := tx.exec(ctx, `UPDATE outbox SET state = $2, next_at = $3, provider_id = $4, detail = $5, ended_at = $6, gateway = $7 WHERE id = $1`,
		o.ID, o.State, micros(o.Next), o.ProviderID, o.Detail, ended, o.Gateway)
	if o.State == Queued {
		tx.touch(Outgoing)
	}
	return err
}

// Lapsed returns messages whose lease ended while they were being handed over:
// nobody knows whether they left.
func (tx *Tx) Lapsed(ctx context.Context, limit int) ([]Out, error) {
	return tx.outs(ctx, `SELECT `+outColumns+fromOut+`WHERE o.state = 'handing' AND o.lease_till <= $1 ORDER BY o.id LIMIT $2`, micros(tx.now), limit)
}

// Stale returns queued messages whose time to live has ended.
func (tx *Tx) Stale(ctx context.Context, limit int) ([]Out, error) {
	return tx.outs(ctx, `SELECT `+outColumns+fromOut+`WHERE o.state = 'queued' AND o.expires_at <= $1 ORDER BY o.id LIMIT $2`, micros(tx.now), limit)
}

// OutByID returns a message, or ErrNotFound.
func (tx *Tx) OutByID(ctx context.Context, id int64) (Out, error) {
	return tx.scanOut(tx.row(ctx, `SELECT `+outColumns+fromOut+`WHERE o.id = $1`, id).Scan)
}

// OutByProvider returns the message that a gateway knows by a name, or ErrNotFound.
func (tx *Tx) OutByProvider(ctx context.Context, gateway, providerID string) (Out, error) {
	return tx.scanOut(tx.row(ctx, `SELECT `+outColumns+fromOut+`WHERE o.provider_id = $2 AND o.provider_id <> '' AND o.gateway = $1`, gateway, providerID).Scan)
}

// A Backlog is how much waits in the outbox.
type Backlog struct {
	N      int
	Oldest time.Time // zero if nothing waits
	Next   time.Time // when the first of them may leave
}

// Backlog returns what waits in the outbox.
func (tx *Tx) Backlog(ctx context.Context) (Backlog, error) {
	var b Backlog
	err := tx.row(ctx, `SELECT count(*), coalesce(min(at), 0), coalesce(min(next_at), 0) FROM outbox WHERE state = 'queued'`).
		Scan(&b.N, moment{&b.Oldest}, moment{&b.Next})
	return b, err
}

// SentSince counts the messages that left by a gateway, or may have, since a time.
func (tx *Tx) SentSince(ctx context.Context, gateway string, since time.Time) (n int, err error) {
	err = tx.row(ctx, `SELECT count(*) FROM outbox WHERE at >= $2 AND gateway = $1 AND state IN ('handing', 'accepted', 'delivered', 'unknown', 'failed')`,
		gateway, micros(since)).Scan(&n)
	return n, err
}
