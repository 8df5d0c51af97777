package premium

import (
	"crypto/md5" //nolint:gosec // the provider signs with it
	"crypto/subtle"
	"encoding/hex"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"maillon/internal/sms"
)

// maxFortumo is how much of a reply Fortumo passes on, in characters.
const maxFortumo = 120

// Fortumo reads the calls of Fortumo's premium SMS. Where the answer is what is
// billed (MT), a call says pending first, and a later one whether it was paid.
type Fortumo struct{ Secret sms.Secret }

// Read implements Adapter.
func (f Fortumo) Read(r *http.Request, _ []byte) (Call, error) {
	q := r.URL.Query()
	if !f.signed(q) {
		return Call{}, ErrSignature
	}
	id, status := q.Get("message_id"), strings.ToLower(q.Get("status"))
	state, known := map[string]sms.ChargeState{
		"": sms.ChargeConfirmed, "ok": sms.ChargeConfirmed, "pending": sms.ChargePending, "failed": sms.ChargeFailed,
	}[status]
	if !name(id) || !known {
		return Call{}, ErrForm
	}
	call := Call{Body: true, MaxReply: maxFortumo}
	if q.Get("test") != "" { // somebody tries the service at Fortumo's: nobody pays
		call.Said = "TEST OK"
		return call, nil
	}
	model := strings.ToUpper(q.Get("billing_type"))
	if model == "MT" && state != sms.ChargePending {
		call.Bill = &sms.Bill{Key: id, State: state}
	}
	if !q.Has("message") {
		if call.Bill == nil {
			return Call{}, ErrForm
		}
		return call, nil
	}
	charge, err := f.charge(q, model, state)
	if err != nil {
		return Call{}, err
	}
	text, fits := clean(strings.TrimSpace(q.Get("keyword") + " " + q.Get("message")))
	if !fits || !address(q.Get("sender")) || !address(q.Get("shortcode")) {
		return Call{}, ErrForm
	}
	call.Message = &sms.Incoming{Key: id, From: international(q.Get("sender")), To: q.Get("shortcode"), Text: text, Charge: charge}
	return call, nil
}

func (Fortumo) charge(q url.Values, model string, state sms.ChargeState) (*sms.Charge, error) {
	currency := strings.ToUpper(q.Get("currency"))
	gross, err := smallest(q.Get("price"), currency)
	if err != nil {
		return nil, err
	}
	if model == "" {
		model = "MO"
	}
	c := sms.Charge{Currency: currency, Gross: gross, Model: model, State: state}
	return &c, CheckCharge(c)
}

// signed checks sig: MD5 of all other parameters, sorted and written together,
// and the secret.
func (f Fortumo) signed(q url.Values) bool {
	if f.Secret.IsZero() {
		return false
	}
	var text strings.Builder
	for _, k := range slices.Sorted(maps.Keys(q)) {
		if len(q[k]) != 1 { // which one was signed?
			return false
		}
		if k != "sig" {
			text.WriteString(k + "=" + q[k][0])
		}
	}
	sum := md5.Sum([]byte(text.String() + f.Secret.Reveal())) //nolint:gosec // the provider signs with it
	want := hex.EncodeToString(sum[:])
	return subtle.ConstantTimeCompare([]byte(want), []byte(strings.ToLower(q.Get("sig")))) == 1
}

// international puts the + before a number that is written in full without it.
// Aliases and short codes stay as they are.
func international(s string) string {
	const least, most = 8, 15
	if len(s) < least || len(s) > most || s[0] == '0' || strings.Trim(s, "0123456789") != "" {
		return s
	}
	return "+" + s
}
