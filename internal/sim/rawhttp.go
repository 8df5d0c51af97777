package sim

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"maillon/internal/rest"
)

// rawHTTPRecord is how many octets the log keeps of a transfer, as in Raw.
const rawHTTPRecord = 128

// A RawHTTP is the limit of any API on this machine: balances in memory, a
// record in a RawLog before the answer, and the same JSON in and out. It looks
// at no key and remembers none.
type RawHTTP struct {
	log *RawLog
	mux http.ServeMux

	mu       sync.Mutex
	balances map[string]int64 // held by mu
	last     int64            // transfer; held by mu
}

// NewRawHTTP returns a server of accounts that have funds each.
func NewRawHTTP(log *RawLog, accounts []string, funds int64) *RawHTTP {
	h := &RawHTTP{log: log, balances: make(map[string]int64, len(accounts))}
	for _, a := range accounts {
		h.balances[a] = funds
	}
	h.mux.HandleFunc("POST /v1/transfers", h.transfer)
	h.mux.HandleFunc("POST /v1/transfers/bulk", h.bulk)
	return h
}

// ServeHTTP implements http.Handler.
func (h *RawHTTP) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

var errRaw = errors.New("refused")

// move does a transfer in memory, and adds its record to those that are to be
// written.
func (h *RawHTTP) move(t rest.TransferRequest, records []byte) (rest.Transfer, []byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t.Amount <= 0 || h.balances[t.From] < t.Amount {
		return rest.Transfer{}, records, errRaw
	}
	h.balances[t.From] -= t.Amount
	h.balances[t.To] += t.Amount
	h.last++
	at := time.Now().UTC().Truncate(time.Microsecond)
	var record [rawHTTPRecord]byte
	binary.BigEndian.PutUint64(record[:], uint64(h.last)) //nolint:gosec // counts up from 1
	copy(record[8:], t.From+" "+t.To)
	return rest.Transfer{
		ID: "txn_" + strconv.FormatInt(h.last, 10), Kind: "payment", From: t.From, To: t.To, Amount: t.Amount, Currency: t.Currency, CreatedAt: at,
	}, append(records, record[:]...), nil
}

func (h *RawHTTP) transfer(w http.ResponseWriter, r *http.Request) {
	var asked rest.TransferRequest
	err := json.NewDecoder(r.Body).Decode(&asked)
	var done rest.Transfer
	var records []byte
	if err == nil {
		done, records, err = h.move(asked, nil)
	}
	if err == nil {
		err = h.log.Append(records)
	}
	w.Header().Set("Location", "/v1/transfers/"+done.ID)
	answerRaw(w, http.StatusCreated, done, err)
}

func (h *RawHTTP) bulk(w http.ResponseWriter, r *http.Request) {
	var asked rest.BulkRequest
	err := json.NewDecoder(r.Body).Decode(&asked)
	var answer rest.BulkAnswer
	var records []byte
	for _, t := range asked.Transfers {
		result := rest.BulkResult{Status: http.StatusUnprocessableEntity}
		done, more, failed := h.move(t.TransferRequest, records)
		if failed == nil {
			result, records = rest.BulkResult{Status: http.StatusCreated, Transfer: &done}, more
		}
		answer.Results = append(answer.Results, result)
	}
	if err == nil {
		err = h.log.Append(records)
	}
	answerRaw(w, http.StatusOK, answer, err)
}

func answerRaw(w http.ResponseWriter, status int, v any, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}
