// Package premium reads the calls of those who carry SMS and bill for them:
// aggregators, a Kannel that asks for its reply, telephones that forward. All
// become the same: an SMS, a bill, a report. It sends by those that have an API
// for it, and keeps nothing.
package premium

import (
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"maillon/internal/sms"
)

// Bounds of a call.
const (
	MaxBody     = 64 << 10 // octets
	maxText     = 8 << 10  // octets of an SMS, joined
	maxName     = 128      // octets of what a provider calls something
	maxAmount   = 1 << 50  // smallest units: no premium SMS costs more
	maxFraction = 4        // digits after the point of a price
)

var (
	// ErrSignature means that a call is not signed by whoever has the key, or
	// was signed too long ago.
	ErrSignature = errors.New("the signature does not hold")
	// ErrForm means that a call lacks something, or that something in it cannot be read.
	ErrForm = errors.New("the call cannot be read")
)

// A Call is what one call says; whose gateway it came by is for the caller to
// fill in.
type Call struct {
	Message *sms.Incoming // nil: no SMS came
	Bill    *sms.Bill     // nil: no bill
	Report  *sms.Report   // nil: no delivery report
	// Body tells that the provider sends the body of the answer to the sender.
	Body bool
	// MaxReply bounds such a body, in characters; 0: it is not bounded.
	MaxReply int
	// Said is the body if there is no reply.
	Said string
}

// An Adapter reads the calls of one kind of provider. Read gets the body apart;
// its error is ErrSignature or ErrForm and repeats nothing of the call.
type Adapter interface {
	Read(r *http.Request, body []byte) (Call, error)
}

// clean returns text that is UTF-8 and not too long, or no.
func clean(text string) (string, bool) {
	text = strings.ToValidUTF8(text, "\uFFFD")
	return text, len(text) <= maxText
}

// name reports whether a provider may call something by s.
func name(s string) bool { return s != "" && len(s) <= maxName && utf8.ValidString(s) }

// address reports whether s may be a sender or a line; "" may.
func address(s string) bool { return len(s) <= maxName && utf8.ValidString(s) }

// currencyCode are codes of ISO 4217 and those of local units.
var currencyCode = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]{0,15}$`)

// models are the ways in which operators bill.
var models = []string{"MO", "MT", "DCB"}

// states are those of charges, as our own protocol writes them.
var states = []sms.ChargeState{sms.ChargePending, sms.ChargeConfirmed, sms.ChargeFailed, sms.ChargeClawedBack}

// CheckCharge says whether a charge can be one, or ErrForm.
func CheckCharge(c sms.Charge) error {
	if !currencyCode.MatchString(c.Currency) || c.Gross < 0 || c.Gross > maxAmount || c.Net < 0 || c.Net > c.Gross ||
		!slices.Contains(models, c.Model) || !slices.Contains(states, c.State) {
		return ErrForm
	}
	return nil
}

// exponents are the digits after the point of currencies that have not two, ISO
// 4217.
var exponents = map[string]int{
	"BIF": 0, "CLP": 0, "DJF": 0, "GNF": 0, "ISK": 0, "JPY": 0, "KMF": 0, "KRW": 0, "PYG": 0, "RWF": 0, "UGX": 0, "VND": 0, "VUV": 0,
	"XAF": 0, "XOF": 0, "XPF": 0, "BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3,
}

// smallest reads a price such as 1.50 in the smallest units of a currency. What
// is finer than them is refused unless it is nought.
func smallest(price, currency string) (int64, error) {
	digits, known := exponents[currency]
	if !known {
		digits = 2
	}
	whole, fraction, _ := strings.Cut(strings.TrimSpace(price), ".")
	if whole == "" || len(fraction) > maxFraction {
		return 0, ErrForm
	}
	for len(fraction) > digits && fraction[len(fraction)-1] == '0' {
		fraction = fraction[:len(fraction)-1]
	}
	if len(fraction) > digits {
		return 0, ErrForm
	}
	n := int64(0)
	for _, d := range whole + fraction + strings.Repeat("0", digits-len(fraction)) {
		if d < '0' || d > '9' || n > maxAmount {
			return 0, ErrForm
		}
		n = n*10 + int64(d-'0')
	}
	return n, nil
}

// decode reads JSON that is one object and has nothing after it.
func decode(body []byte, to any) error {
	if len(body) > MaxBody || json.Unmarshal(body, to) != nil {
		return ErrForm
	}
	return nil
}

// instant reads a time of RFC 3339; zero if s is none.
func instant(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}
	}
	return t
}
