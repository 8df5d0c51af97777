package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
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
	Address    sms.Address // instead of To, if it is not zero: by an e-mail gateway
	Text       string
	Member     member.ID // 0: a stranger, or somebody just erased
	Gateway    string
	Priority   sms.Priority
	At         time.Time
	Expires    time.Time
	Next       time.Time
	State      string
	Tries      int       // times it was handed over
	Doubts     int       // times nobody knew whether it left
	Handed     time.Time // when it left, or may have; zero: it surely did not
	Segments   int       // as counted by Enqueue
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

// Enqueue puts an SMS into the outbox, to leave at once or at its Next. It is
// sealed for the member it goes to, nil for a stranger or for somebody whose key
// is about to be destroyed.
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
	recipient := o.To.E164()
	if !o.Address.IsZero() {
		recipient = o.Address.Text()
	}
	_, segments := sms.Segments(o.Text)
	next := tx.now
	if o.Next.After(next) {
		next = o.Next
	}
	id, err := tx.nextID(ctx, "outbox")
	if err != nil {
		return err
	}
	tx.behind.add(outboxSheet, id, micros(tx.now), int64(o.Member), key.id, key.seal("outbox", recipient+"\x00"+o.Text), o.Gateway,
		int64(o.Priority), micros(o.Expires), micros(next), Queued, int64(segments))
	tx.touch(Outgoing)
	return nil
}

const outColumns = `o.id, o.member, o.gateway, o.priority, o.at, o.expires_at, o.next_at, o.state, o.tries, o.doubts,
	o.handed_at, o.segments, o.provider_id, o.detail, o.key, o.sealed, k.sealed`

const fromOut = ` FROM outbox o LEFT JOIN key k ON k.id = o.key `

func (tx *Tx) scanOut(scan func(...any) error) (Out, error) {
	var o Out
	var keyID int64
	var sealed, wrapped []byte
	if err := scan(&o.ID, &o.Member, &o.Gateway, &o.Priority, moment{&o.At}, moment{&o.Expires}, moment{&o.Next}, &o.State, &o.Tries,
		&o.Doubts, moment{&o.Handed}, &o.Segments, &o.ProviderID, &o.Detail, &keyID, &sealed, &wrapped); err != nil {
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
	recipient, text := cutLetter(text)
	o.Text = text
	switch {
	case strings.Contains(recipient, "@"):
		o.Address, err = sms.ParseAddress(recipient)
	case recipient != "":
		o.To, err = sms.FromE164(recipient)
	}
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
	return tx.outs(ctx, `SELECT `+outColumns+fromOut+`WHERE o.id > $1 ORDER BY o.id LIMIT $2 + 0`, after, limit)
}

// maxGateways bounds the names that may stand in the queue at once.
const maxGateways = 1000

// QueuedGateways returns the gateways for which messages wait, "" for those
// that name none.
func (tx *Tx) QueuedGateways(ctx context.Context) ([]string, error) {
	var names []string
	for from := ""; len(names) < maxGateways; from = names[len(names)-1] + "\x01" {
		var name sql.NullString
		if err := tx.row(ctx, `SELECT min(gateway) FROM outbox WHERE state = 'queued' AND gateway >= $1`, from).Scan(&name); err != nil {
			return nil, err
		}
		if !name.Valid {
			break
		}
		names = append(names, name.String)
	}
	return names, nil
}

// A Ready message waits in the outbox and may leave: what must be known to
// choose among them, without the text.
type Ready struct {
	ID       int64
	Priority sms.Priority
	Segments int
}

// Ready returns at most limit messages that wait for a gateway with a priority
// from first to last, whose next try is not after by and whose time to live has
// not ended: the most urgent first, the oldest first among equals.
func (tx *Tx) Ready(ctx context.Context, gateway string, first, last sms.Priority, by time.Time, limit int) ([]Ready, error) {
	var all []Ready
	err := tx.each(ctx, func(scan func(...any) error) error {
		var r Ready
		err := scan(&r.ID, &r.Priority, &r.Segments)
		all = append(all, r)
		return err
	}, `SELECT id, priority, segments FROM outbox WHERE state = 'queued' AND gateway = $1 AND priority BETWEEN $2 AND $3
		AND next_at <= $4 AND expires_at > $5 ORDER BY priority, id LIMIT $6 + 0`,
		gateway, int(first), int(last), micros(by), micros(tx.now), limit)
	return all, err
}

// NextReady returns when the next of the messages that wait for a gateway with
// a priority from first to last, and that may not leave yet, may; zero if there
// is none.
func (tx *Tx) NextReady(ctx context.Context, gateway string, first, last sms.Priority) (next time.Time, err error) {
	err = tx.row(ctx, `SELECT coalesce(min(next_at), 0) FROM outbox WHERE state = 'queued' AND gateway = $1 AND priority BETWEEN $2 AND $3
		AND next_at > $4`, gateway, int(first), int(last), micros(tx.now)).Scan(moment{&next})
	return next, err
}

// Claim marks a waiting message as being handed over by a gateway until lease.
func (tx *Tx) Claim(ctx context.Context, id int64, gateway string, lease time.Time) (Out, error) {
	n, err := tx.exec(ctx, `UPDATE outbox SET state = 'handing', gateway = $2, lease_till = $3, handed_at = $4, tries = tries + 1
		WHERE id = $1 AND state = 'queued'`, id, gateway, micros(lease), micros(tx.now))
	if err != nil {
		return Out{}, err
	}
	if n == 0 {
		return Out{}, ErrNotFound
	}
	return tx.OutByID(ctx, id)
}

// SaveOut writes what became of a message that was claimed or reported.
func (tx *Tx) SaveOut(ctx context.Context, o Out) error {
	ended := int64(0)
	if o.State != Queued && o.State != Handing {
		ended = micros(tx.now)
	}
	_, err := tx.exec(ctx, `UPDATE outbox SET state = $2, next_at = $3, provider_id = $4, detail = $5, ended_at = $6, gateway = $7,
		doubts = $8, handed_at = $9 WHERE id = $1`,
		o.ID, o.State, micros(o.Next), o.ProviderID, o.Detail, ended, o.Gateway, o.Doubts, micros(o.Handed))
	if o.State == Queued {
		tx.touch(Outgoing)
	}
	return err
}

// Hasten lets all that waits for a gateway be tried at once.
func (tx *Tx) Hasten(ctx context.Context, gateway string) error {
	n, err := tx.exec(ctx, `UPDATE outbox SET next_at = $2 WHERE state = 'queued' AND gateway = $1 AND next_at > $2`, gateway, micros(tx.now))
	if n > 0 {
		tx.touch(Outgoing)
	}
	return err
}

// EndLeases ends the lease of every message that is being handed over, when
// whoever handed it over is known to be gone: no other server may be there.
func (tx *Tx) EndLeases(ctx context.Context) error {
	_, err := tx.exec(ctx, `UPDATE outbox SET lease_till = $1 WHERE state = 'handing' AND lease_till > $1`, micros(tx.now))
	return err
}

// HandingGateways returns the gateways by which messages are being handed over.
func (tx *Tx) HandingGateways(ctx context.Context) ([]string, error) {
	var names []string
	err := tx.each(ctx, func(scan func(...any) error) error {
		var name string
		err := scan(&name)
		names = append(names, name)
		return err
	}, `SELECT DISTINCT gateway FROM outbox WHERE state = 'handing' ORDER BY gateway LIMIT $1 + 0`, maxGateways)
	return names, err
}

// Lapsed returns messages whose lease ended while a gateway handed them over,
// nobody knows whether they left, and leases them once more to the caller, who
// is going to find out.
func (tx *Tx) Lapsed(ctx context.Context, gateway string, lease time.Time, limit int) ([]Out, error) {
	lapsed, err := tx.outs(ctx, `SELECT `+outColumns+fromOut+`WHERE o.state = 'handing' AND o.gateway = $1 AND o.lease_till <= $2
		ORDER BY o.lease_till LIMIT $3 + 0`, gateway, micros(tx.now), limit)
	for _, o := range lapsed {
		if err == nil {
			_, err = tx.exec(ctx, `UPDATE outbox SET lease_till = $2 WHERE id = $1`, o.ID, micros(lease))
		}
	}
	return lapsed, err
}

// NextLapse returns when the first lease ends of what a gateway is handing over;
// zero if that is nothing.
func (tx *Tx) NextLapse(ctx context.Context, gateway string) (next time.Time, err error) {
	err = tx.row(ctx, `SELECT coalesce(min(lease_till), 0) FROM outbox WHERE state = 'handing' AND gateway = $1`, gateway).Scan(moment{&next})
	return next, err
}

// Stale returns queued messages whose time to live has ended.
func (tx *Tx) Stale(ctx context.Context, limit int) ([]Out, error) {
	return tx.outs(ctx, `SELECT `+outColumns+fromOut+`WHERE o.state = 'queued' AND o.expires_at <= $1 ORDER BY o.expires_at LIMIT $2 + 0`, micros(tx.now), limit)
}

// NextStale returns when the first time to live of a queued message ends; zero
// if nothing waits.
func (tx *Tx) NextStale(ctx context.Context) (next time.Time, err error) {
	err = tx.row(ctx, `SELECT coalesce(min(expires_at), 0) FROM outbox WHERE state = 'queued'`).Scan(moment{&next})
	return next, err
}

// OutByID returns a message, or ErrNotFound.
func (tx *Tx) OutByID(ctx context.Context, id int64) (Out, error) {
	return tx.scanOut(tx.row(ctx, `SELECT `+outColumns+fromOut+`WHERE o.id = $1`, id).Scan)
}

// OutByProvider returns the newest message that a gateway knows by a name, or
// ErrNotFound.
func (tx *Tx) OutByProvider(ctx context.Context, gateway, providerID string) (Out, error) {
	return tx.scanOut(tx.row(ctx, `SELECT `+outColumns+fromOut+`WHERE o.provider_id = $2 AND o.provider_id <> '' AND o.gateway = $1
		ORDER BY o.id DESC LIMIT 1`, gateway, providerID).Scan)
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

// A Queue is what waits for one gateway, "" for none in particular, with one
// priority.
type Queue struct {
	Gateway  string
	Priority sms.Priority
	N        int
	Oldest   time.Time
}

// Queues returns what waits in the outbox, by gateway and priority.
func (tx *Tx) Queues(ctx context.Context) ([]Queue, error) {
	var all []Queue
	err := tx.each(ctx, func(scan func(...any) error) error {
		var q Queue
		err := scan(&q.Gateway, &q.Priority, &q.N, moment{&q.Oldest})
		all = append(all, q)
		return err
	}, `SELECT gateway, priority, count(*), min(at) FROM outbox WHERE state = 'queued' GROUP BY gateway, priority ORDER BY gateway, priority`)
	return all, err
}

// SegmentsSince counts the segments that left by a gateway, or may have, since
// a time.
func (tx *Tx) SegmentsSince(ctx context.Context, gateway string, since time.Time) (n int, err error) {
	err = tx.row(ctx, `SELECT coalesce(sum(segments), 0) FROM outbox WHERE gateway = $1 AND handed_at > 0 AND handed_at >= $2`,
		gateway, micros(since)).Scan(&n)
	return n, err
}

// A Departure is when a message left, or may have, and in how many segments.
type Departure struct {
	At       time.Time
	Segments int
}

// Departures returns the last messages, at most limit, that left by a gateway
// since a time, the oldest first.
func (tx *Tx) Departures(ctx context.Context, gateway string, since time.Time, limit int) ([]Departure, error) {
	var all []Departure
	err := tx.each(ctx, func(scan func(...any) error) error {
		var d Departure
		err := scan(moment{&d.At}, &d.Segments)
		all = append(all, d)
		return err
	}, `SELECT handed_at, segments FROM outbox WHERE gateway = $1 AND handed_at > 0 AND handed_at >= $2 ORDER BY handed_at DESC LIMIT $3 + 0`,
		gateway, micros(since), limit)
	slices.Reverse(all)
	return all, err
}
