package sms

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"unicode"

	"github.com/nyaruka/phonenumbers"
)

// ErrNotNumber means that a sender or a text is not a telephone number that an
// SMS can be written to: letters, a short code, too few digits.
var ErrNotNumber = errors.New("not a telephone number")

// A Number is an MSISDN in E.164 form (ITU-T E.164: "+" and at most 15
// digits). The zero Number is no number. Printed or logged, it masks itself;
// only E164 and National give it whole.
type Number struct{ e164 string }

// maxNumberText bounds what is looked at as a number, in octets: fifteen
// full-width digits with a separator after each fit.
const maxNumberText = 64

// France's plan (ARCEP): after +33 come nine digits, and those of people's
// telephones begin with 6 or 7. The numbers for stories, 06 39 98, are in it.
const (
	franceCode   = "+33"
	franceDigits = 9
	franceMobile = "67"
)

// ParseNumber reads a number as people and gateways write it: in E.164, in the
// manner of region (such as "FR"), with 00 or the country's code in front, with
// dots, spaces, brackets and full-width digits. Anything else is ErrNotNumber,
// as are the senders that nobody can answer; the error does not repeat text.
//
// A number need not be assigned to anybody: only its length is checked, for
// lists of assigned numbers are older than the numbers.
func ParseNumber(text, region string) (Number, error) {
	if len(text) > maxNumberText || strings.ContainsFunc(text, unicode.IsLetter) || digits(text) < minDigits {
		return Number{}, fmt.Errorf("parse number: %w", ErrNotNumber)
	}
	parsed, err := phonenumbers.Parse(text, region)
	if err != nil || phonenumbers.IsPossibleNumberWithReason(parsed) != phonenumbers.IS_POSSIBLE || keptTrunkZero(parsed) {
		return Number{}, fmt.Errorf("parse number: %w", ErrNotNumber)
	}
	return FromE164(phonenumbers.Format(parsed, phonenumbers.E164))
}

// keptTrunkZero reports whether n still begins with the 0 that its country puts
// before national numbers: 063998001 lacks a digit, and is no +33063998001.
func keptTrunkZero(n *phonenumbers.PhoneNumber) bool {
	region := phonenumbers.GetRegionCodeForCountryCode(int(n.GetCountryCode()))
	return n.GetItalianLeadingZero() && phonenumbers.GetNddPrefixForRegion(region, true) == "0"
}

func digits(text string) int {
	n := 0
	for _, r := range text {
		if unicode.IsDigit(r) {
			n++
		}
	}
	return n
}

// E164 returns the whole number: "+33639980012".
func (n Number) E164() string { return n.e164 }

// National returns the whole number as people of its country write it if that
// is France, "0639980012", and as E164 otherwise.
func (n Number) National() string {
	if n.french() {
		return "0" + n.e164[len(franceCode):]
	}
	return n.e164
}

// Masked returns what another person may see of n: "06**12" for a French
// number, the first two and last two digits of any other.
func (n Number) Masked() string {
	if n.IsZero() {
		return ""
	}
	s := strings.TrimPrefix(n.National(), "+")
	return s[:2] + "**" + s[len(s)-2:]
}

// IsZero reports whether n is no number.
func (n Number) IsZero() bool { return n.e164 == "" }

// String returns the masked number, so that none is printed by accident.
func (n Number) String() string { return n.Masked() }

// Format prints the masked number whatever the verb, so that none is printed
// by accident: without it %x and %#v would reach the digits.
func (n Number) Format(f fmt.State, _ rune) { fmt.Fprint(f, n.Masked()) }

// LogValue returns the masked number, so that none is logged by accident.
func (n Number) LogValue() slog.Value { return slog.StringValue(n.Masked()) }

// Country returns the region that n belongs to, as in ISO 3166-1: "FR", or "RE"
// for a Réunion number. It is "" if no region has such numbers.
func (n Number) Country() string {
	if n.french() {
		return "FR"
	}
	parsed, err := phonenumbers.Parse(n.e164, "")
	if err != nil {
		return ""
	}
	if region := phonenumbers.GetRegionCodeForNumber(parsed); region != "" {
		return region
	}
	region := phonenumbers.GetRegionCodeForCountryCode(int(parsed.GetCountryCode()))
	if region == phonenumbers.UNKNOWN_REGION {
		return ""
	}
	return region
}

// Mobile reports whether n is in a range that its country gives to mobile
// telephones: from our own table for France, from the library's elsewhere.
func (n Number) Mobile() bool {
	if n.french() {
		return strings.IndexByte(franceMobile, n.e164[len(franceCode)]) >= 0
	}
	parsed, err := phonenumbers.Parse(n.e164, "")
	if err != nil {
		return false
	}
	mobile := []phonenumbers.PhoneNumberType{phonenumbers.MOBILE, phonenumbers.FIXED_LINE_OR_MOBILE}
	return slices.Contains(mobile, phonenumbers.GetNumberType(parsed))
}

func (n Number) french() bool {
	return strings.HasPrefix(n.e164, franceCode) && len(n.e164) == len(franceCode)+franceDigits
}
