package rest

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"maillon/internal/auth"
	"maillon/internal/store"
)

// What is kept of requests that must not be done twice.
const (
	onceKind  = "idempotency"
	onceFor   = 24 * time.Hour
	onceSweep = 2 // that are over are forgotten with each new one, so that they end
)

// running are the requests that are at work, by who asks and under which key.
type running struct{ all sync.Map }

// begin notes a request, false if it is at work already.
func (r *running) begin(name string) bool {
	_, at := r.all.LoadOrStore(name, struct{}{})
	return !at
}

func (r *running) end(name string) { r.all.Delete(name) }

// An answer is what a request comes to.
type answer struct {
	status   int
	location string // where it can be read; "" if it was not made now
	body     any
}

// A deed is what a request does, in the transaction in which its key is kept.
type deed func(ctx context.Context, tx *store.Tx) (answer, error)

// done is what is kept of a request: its fingerprint, and what was answered,
// sealed so that only the key under which it was asked opens it.
type done struct {
	Print  string `json:"print"`
	Answer []byte `json:"answer"`
}

// kept is an answer as it was given.
type kept struct {
	Status   int             `json:"status"`
	Location string          `json:"location,omitempty"`
	Body     json.RawMessage `json:"body"`
}

// once does what a merchant asks once for its Idempotency-Key. Asked again
// within a day, it answers as it did then. What was refused is not remembered:
// it may be let through after the client's next SMS.
func (h *Handler) once(w http.ResponseWriter, r *http.Request, who *auth.Key, asked any, do deed) error {
	key := strings.Join(r.Header["Idempotency-Key"], " ") // two of them are none
	if key == "" {
		return problemNoKey
	}
	if err := checkKey(key); err != nil {
		return err
	}
	body, err := json.Marshal(asked)
	if err != nil {
		return err
	}
	name := h.hide("name", who.ID, key)
	if !h.running.begin(name) {
		return problemKeyRunning
	}
	defer h.running.end(name)
	print := h.hide("print", r.Method, r.URL.Path, string(body))
	seal, err := h.seal(who.ID, key)
	if err != nil {
		return err
	}
	var now kept
	var again bool
	err = h.db.Update(r.Context(), func(tx *store.Tx) error {
		now, again, err = onceIn(r.Context(), tx, seal, &store.Record{Kind: onceKind, Owner: who.Merchant, Ref: name, Loose: true}, print, do)
		return err
	})
	if err != nil {
		return err
	}
	if again {
		w.Header().Set("Idempotent-Replayed", "true")
	}
	if now.Location != "" {
		w.Header().Set("Location", now.Location)
	}
	return write(w, now.Status, now.Body)
}

// onceIn is once within its transaction: row names the request.
func onceIn(ctx context.Context, tx *store.Tx, seal cipher.AEAD, row *store.Record, print string, do deed) (now kept, again bool, err error) {
	before, err := tx.RecordByRef(ctx, row.Kind, row.Owner, row.Ref)
	switch {
	case err == nil && before.Due.After(tx.Now()):
		now, err = replay(seal, before, print)
		return now, true, err
	case err == nil:
		row.ID, row.Created = before.ID, before.Created
	case !errors.Is(err, store.ErrNotFound):
		return now, false, err
	}
	a, err := do(ctx, tx)
	if err != nil {
		return now, false, err
	}
	now = kept{Status: a.status, Location: a.location}
	if now.Body, err = json.Marshal(a.body); err != nil {
		return now, false, err
	}
	text, err := json.Marshal(now)
	if err != nil {
		return now, false, err
	}
	if row.Body, err = json.Marshal(done{print, seal.Seal(nil, nil, text, nil)}); err != nil {
		return now, false, err
	}
	row.Due = tx.Now().Add(onceFor)
	if err := tx.SaveRecord(ctx, row); err != nil {
		return now, false, err
	}
	return now, false, sweepOnce(ctx, tx)
}

// replay returns what was answered before, if the same was asked.
func replay(seal cipher.AEAD, row store.Record, print string) (now kept, err error) {
	var d done
	if err := json.Unmarshal(row.Body, &d); err != nil {
		return now, err
	}
	if d.Print != print {
		return now, problemKeyReused
	}
	text, err := seal.Open(nil, nil, d.Answer, nil)
	if err != nil {
		return now, err
	}
	return now, json.Unmarshal(text, &now)
}

// sweepOnce forgets some of the requests whose day is over.
func sweepOnce(ctx context.Context, tx *store.Tx) error {
	over, err := tx.Records(ctx, store.RecordsWhere{Kind: onceKind, DueBy: tx.Now()}, onceSweep)
	if err != nil {
		return err
	}
	for _, r := range over {
		if err := tx.EndRecord(ctx, onceKind, r.ID); err != nil {
			return err
		}
	}
	return nil
}

// hide returns a keyed hash of what a program wrote, for names may say who.
func (h *Handler) hide(what string, words ...string) string {
	return hex.EncodeToString(h.mac(what, words...))
}

// seal returns what opens the answer to a request, which needs its key: nothing
// else that is kept does.
func (h *Handler) seal(who, key string) (cipher.AEAD, error) {
	block, err := aes.NewCipher(h.mac("seal", who, key))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func (h *Handler) mac(what string, words ...string) []byte {
	mac := hmac.New(sha256.New, h.db.CodeKey())
	_, _ = mac.Write([]byte("once\x00" + what + "\x00" + strings.Join(words, "\x00")))
	return mac.Sum(nil)
}
