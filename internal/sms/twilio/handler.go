package twilio

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"maillon/internal/sms"
)

// Bounds of what Twilio may ask of us. It waits 15 seconds for an answer.
const (
	maxBody       = 64 << 10
	maxID         = 128
	commitTimeout = 10 * time.Second
)

// errProof means that a request is not Twilio's.
var errProof = errors.New("no valid signature")

// states are Twilio's statuses of a message.
var states = map[string]sms.ReportState{
	"accepted": sms.Accepted, "scheduled": sms.Accepted, "queued": sms.Accepted, "sending": sms.Accepted, "sent": sms.Accepted,
	"delivered": sms.Delivered, "read": sms.Delivered,
	"undelivered": sms.Failed, "failed": sms.Failed, "canceled": sms.Failed,
}

// Handler serves the webhooks under /gateway/NAME/: "in" for messages and
// "status" for what becomes of ours. It answers 403 without a valid signature,
// and 503 while the gateway does not run or the inbox cannot commit.
func (g *Gateway) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch status := g.serve(w, r); status {
		case http.StatusOK:
			w.Header().Set("Content-Type", "text/xml; charset=utf-8")
			_, _ = io.WriteString(w, "<Response/>")
		default:
			w.WriteHeader(status)
		}
	})
}

func (g *Gateway) serve(w http.ResponseWriter, r *http.Request) (status int) {
	leaf := path.Base(r.URL.Path)
	if leaf != "in" && leaf != "status" {
		return http.StatusNotFound
	}
	if r.Method != http.MethodPost {
		return http.StatusMethodNotAllowed
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return http.StatusRequestEntityTooLarge
	}
	params, err := g.verify(leaf, r, body)
	if errors.Is(err, errProof) {
		return http.StatusForbidden
	}
	if err != nil || params["MessageSid"] == "" || len(params["MessageSid"]) > maxID {
		return http.StatusBadRequest
	}
	ctx, cancel := context.WithTimeout(r.Context(), commitTimeout)
	defer cancel()
	if leaf == "in" {
		err = g.receive(ctx, incoming(g.config.Name, params))
	} else {
		err = g.report(ctx, r.URL.Query().Get("id"), params)
	}
	if err != nil {
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

// verify returns the parameters of a request that Twilio signed: those of its
// form, or those of its JSON body, whose hash then stands in the signed URL.
// The URL is the one that we are configured with; Host says nothing.
func (g *Gateway) verify(leaf string, r *http.Request, body []byte) (map[string]string, error) {
	signed := g.public.JoinPath(leaf).String()
	if r.URL.RawQuery != "" {
		signed += "?" + r.URL.RawQuery
	}
	signature := r.Header.Get("X-Twilio-Signature")
	if sum := r.URL.Query().Get("bodySHA256"); sum != "" {
		want := sha256.Sum256(body)
		if !equal(hex.EncodeToString(want[:]), sum) || !equal(g.sign(signed, nil), signature) {
			return nil, errProof
		}
		return fromJSON(body)
	}
	form, err := fromForm(body)
	if err != nil || !equal(g.sign(signed, form), signature) {
		return nil, errProof
	}
	return form, nil
}

func (g *Gateway) sign(signed string, params map[string]string) string {
	mac := hmac.New(sha1.New, []byte(g.config.AuthToken.Reveal()))
	_, _ = io.WriteString(mac, signed)
	for _, name := range slices.Sorted(maps.Keys(params)) {
		_, _ = io.WriteString(mac, name+params[name])
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// fromForm refuses a name that stands twice: Twilio has none, and its signature
// would not say which value it covers.
func fromForm(body []byte) (map[string]string, error) {
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, errors.New("body is not a form")
	}
	params := make(map[string]string, len(form))
	for name, values := range form {
		if len(values) > 1 {
			return nil, errors.New("a name stands twice in the form")
		}
		params[name] = values[0]
	}
	return params, nil
}

// fromJSON takes the strings and numbers of an object, and leaves the rest.
func fromJSON(body []byte) (map[string]string, error) {
	var object map[string]any
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.UseNumber()
	if err := decoder.Decode(&object); err != nil {
		return nil, errors.New("body is not a JSON object")
	}
	params := make(map[string]string, len(object))
	for name, value := range object {
		switch value := value.(type) {
		case string, json.Number:
			params[name] = fmt.Sprint(value)
		}
	}
	return params, nil
}

func incoming(gateway string, params map[string]string) sms.Incoming {
	return sms.Incoming{
		Gateway: gateway,
		Key:     params["MessageSid"],
		From:    valid(params["From"]),
		To:      valid(params["To"]),
		Text:    valid(params["Body"]),
		Media:   hasMedia(params["NumMedia"]),
	}
}

func hasMedia(count string) bool {
	n, err := strconv.Atoi(count)
	return err == nil && n > 0
}

func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// receive commits m and remembers it, so that catch-up leaves it alone.
func (g *Gateway) receive(ctx context.Context, m sms.Incoming) error {
	if err := g.door.Receive(ctx, m); err != nil {
		return err
	}
	g.known.add(m.Key)
	return nil
}

// report passes on what became of our message; an unknown status is no news.
func (g *Gateway) report(ctx context.Context, id string, params map[string]string) error {
	state, ok := states[params["MessageStatus"]]
	if !ok || len(id) > maxID {
		return nil
	}
	return g.door.Report(ctx, sms.Report{
		Gateway:    g.config.Name,
		ID:         id,
		ProviderID: params["MessageSid"],
		State:      state,
		Detail:     detail(params["ErrorCode"]),
	})
}

// detail takes a code for what it should be, a number of Twilio's.
func detail(code string) string {
	n, err := strconv.Atoi(code)
	if err != nil || n <= 0 {
		return ""
	}
	return "error " + strconv.Itoa(n)
}
