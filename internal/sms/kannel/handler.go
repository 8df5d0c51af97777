package kannel

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"maillon/internal/sms"
)

// Bounds of what Kannel may ask of us.
const (
	maxBody       = 64 << 10 // octets of an SMS, joined
	maxID         = 128      // octets of Kannel's name for an SMS
	commitTimeout = 10 * time.Second
)

// reportMask asks for every kind of report: 1, 2, 4, 8 and 16.
const reportMask = "31"

// states are Kannel's kinds of reports: delivered, failed, buffered by the
// SMSC, accepted by it, refused by it.
var states = map[string]sms.ReportState{
	"1": sms.Delivered, "2": sms.Failed, "4": sms.Accepted, "8": sms.Accepted, "16": sms.Failed,
}

// kannelTime is how X-Kannel-Time writes an instant, in UTC.
const kannelTime = "2006-01-02 15:04:05"

// A proof is the hash of a user and password, so that comparing takes the same
// time whatever is compared.
type proof [sha256.Size]byte

func newProof(user string, password sms.Secret) proof {
	return sha256.Sum256([]byte(user + ":" + password.Reveal()))
}

func (p proof) holds(r *http.Request) bool {
	user, password, _ := r.BasicAuth()
	given := newProof(user, sms.NewSecret(password))
	return subtle.ConstantTimeCompare(p[:], given[:]) == 1
}

// Handler serves what Kannel calls under /gateway/NAME/: "in" with each SMS and
// "report" with each delivery report. It answers 503 while the gateway does not
// run or the inbox cannot commit: Kannel then calls again.
func (g *Gateway) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		leaf, method := path.Base(r.URL.Path), http.MethodPost
		if leaf == "report" {
			method = http.MethodGet
		}
		switch {
		case leaf != "in" && leaf != "report":
			w.WriteHeader(http.StatusNotFound)
		case !g.proof.holds(r):
			w.WriteHeader(http.StatusUnauthorized)
		case r.Method != method:
			w.WriteHeader(http.StatusMethodNotAllowed)
		case leaf == "in":
			w.WriteHeader(g.receive(w, r))
		default:
			w.WriteHeader(g.report(r))
		}
	})
}

// receive returns the status; the body stays empty, for Kannel would send it to
// the member.
func (g *Gateway) receive(w http.ResponseWriter, r *http.Request) int {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return http.StatusRequestEntityTooLarge
	}
	id := r.URL.Query().Get("id")
	if id == "" || len(id) > maxID {
		return http.StatusBadRequest
	}
	if isData(r.Header) {
		slog.InfoContext(r.Context(), "binary SMS dropped", "gateway", g.config.Name)
		return http.StatusOK
	}
	ctx, cancel := context.WithTimeout(r.Context(), commitTimeout)
	defer cancel()
	return status(g.door.Receive(ctx, sms.Incoming{
		Gateway: g.config.Name,
		Key:     id,
		From:    valid(r.Header.Get("X-Kannel-From")),
		To:      valid(r.Header.Get("X-Kannel-To")),
		Text:    decode(body, r.Header.Get("Content-Type")),
		SentAt:  sentAt(r.Header.Get("X-Kannel-Time")),
	}))
}

func (g *Gateway) report(r *http.Request) int {
	query := r.URL.Query()
	id, st := query.Get("id"), query.Get("st")
	if id == "" || len(id) > maxID {
		return http.StatusBadRequest
	}
	state, known := states[st]
	if !known {
		return http.StatusOK
	}
	ctx, cancel := context.WithTimeout(r.Context(), commitTimeout)
	defer cancel()
	return status(g.door.Report(ctx, sms.Report{Gateway: g.config.Name, ID: id, State: state, Detail: "st " + st}))
}

func status(err error) int {
	if err != nil {
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// sentAt returns the zero time if s is no instant.
func sentAt(s string) time.Time {
	t, err := time.Parse(kannelTime, s)
	if err != nil {
		return time.Time{}
	}
	return t
}

// decode returns the text of body in the charset of contentType; UTF-8 if it
// has none, or one that Kannel does not use. What is wrong becomes U+FFFD.
func decode(body []byte, contentType string) string {
	_, params, _ := mime.ParseMediaType(contentType)
	var from encoding.Encoding
	switch strings.ToUpper(params["charset"]) {
	case "UTF-16BE", "UCS-2":
		from = unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
	case "ISO-8859-1", "LATIN1":
		from = charmap.ISO8859_1
	default:
		return valid(string(body))
	}
	text, err := from.NewDecoder().Bytes(body)
	if err != nil {
		return valid(string(body))
	}
	return valid(string(text))
}

// isData reports whether an SMS is not a text for people: 8-bit data, or sent to
// a port.
func isData(h http.Header) bool {
	if h.Get("X-Kannel-Coding") == "1" {
		return true
	}
	udh, err := hex.DecodeString(h.Get("X-Kannel-UDH"))
	return err == nil && len(udh) > 0 && hasPort(udh[1:])
}

// hasPort reports whether the elements of a user data header (3GPP TS 23.040,
// 9.2.3.24) hold a port, of 8 or of 16 bits.
func hasPort(elements []byte) bool {
	const port8, port16 = 0x04, 0x05
	for len(elements) >= 2 {
		if elements[0] == port8 || elements[0] == port16 {
			return true
		}
		next := 2 + int(elements[1])
		if next > len(elements) {
			return false
		}
		elements = elements[next:]
	}
	return false
}
