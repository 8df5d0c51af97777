package object

import "strconv"

// A Prefix begins the IDs of one kind of object.
type Prefix string

// The prefixes.
const (
	MerchantID      Prefix = "mer_"
	PolicyID        Prefix = "pol_"
	AuthorizationID Prefix = "auth_"
	ClaimID         Prefix = "clm_"
	ChargeID        Prefix = "chg_"
	DisputeID       Prefix = "dsp_"
	RefundID        Prefix = "rfd_"
	PayoutID        Prefix = "pay_"
	TransferID      Prefix = "txn_"
	MemberID        Prefix = "mem_"
)

// Of returns the ID with a number.
func (p Prefix) Of(n int64) string { return string(p) + strconv.FormatInt(n, 10) }

// Maybe returns the ID with a number, nil for 0.
func (p Prefix) Maybe(n int64) *string {
	if n == 0 {
		return nil
	}
	id := p.Of(n)
	return &id
}

// Number reads an ID as Of writes it, and in no other spelling.
func (p Prefix) Number(id string) (n int64, ok bool) {
	if len(id) <= len(p) || id[:len(p)] != string(p) || id[len(p)] < '1' || id[len(p)] > '9' {
		return 0, false
	}
	n, err := strconv.ParseInt(id[len(p):], 10, 64)
	return n, err == nil
}
