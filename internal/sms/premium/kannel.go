package premium

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/encoding/unicode"

	"maillon/internal/sms"
)

// Kannel reads the calls of a get-url of Kannel, which sends the body of the
// answer to the sender:
//
//	get-url = "https://HOST:PORT/gw/v1/kannel?from=%p&to=%P&text=%b&id=%I&smsc=%i&time=%T&coding=%c"
type Kannel struct{}

// Read implements Adapter.
func (Kannel) Read(r *http.Request, _ []byte) (Call, error) {
	q := r.URL.Query()
	text := q.Get("text")
	switch q.Get("coding") {
	case "1":
		return Call{Body: true}, nil // data, not a text for people
	case "2":
		decoded, err := unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM).NewDecoder().String(text)
		if err == nil && !strings.ContainsRune(decoded, '\uFFFD') && len(text)%2 == 0 {
			text = decoded
		}
	}
	text, fits := clean(text)
	if !fits || !address(q.Get("from")) || !address(q.Get("to")) || !address(q.Get("smsc")) || q.Get("from") == "" {
		return Call{}, ErrForm
	}
	m := &sms.Incoming{Key: q.Get("id"), From: q.Get("from"), To: q.Get("to"), Text: text, SentAt: seconds(q.Get("time"))}
	if m.Key == "" {
		if m.SentAt.IsZero() {
			return Call{}, ErrForm
		}
		m.Key = unnamed(m)
	}
	if !name(m.Key) {
		return Call{}, ErrForm
	}
	return Call{Message: m, Body: true}, nil
}

// unnamed names an SMS that has no name by what the network says of it.
func unnamed(m *sms.Incoming) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{m.From, m.To, m.Text, strconv.FormatInt(m.SentAt.Unix(), 10)}, "\x00")))
	return hex.EncodeToString(sum[:])
}

func seconds(s string) time.Time {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}

// KannelReport reads a delivery report of Kannel:
//
//	dlr-url = "https://HOST:PORT/gw/v1/kannel/report?id=ID&st=%d"
type KannelReport struct{}

// kannelStates are the kinds of Kannel's reports: delivered, failed, buffered by
// the SMSC, accepted by it, refused by it.
var kannelStates = map[string]sms.ReportState{"1": sms.Delivered, "2": sms.Failed, "4": sms.Accepted, "8": sms.Accepted, "16": sms.Failed}

// Read implements Adapter.
func (KannelReport) Read(r *http.Request, _ []byte) (Call, error) {
	q := r.URL.Query()
	state, known := kannelStates[q.Get("st")]
	if !name(q.Get("id")) {
		return Call{}, ErrForm
	}
	if !known {
		return Call{}, nil
	}
	return Call{Report: &sms.Report{ID: q.Get("id"), State: state, Detail: "st " + q.Get("st")}}, nil
}
