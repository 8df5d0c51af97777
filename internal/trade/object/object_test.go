package object_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"maillon/internal/money"
	"maillon/internal/trade"
	"maillon/internal/trade/object"
)

var mad = money.Currency{Code: "MAD", Decimals: 2}

func contract(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromFile("../../../api/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// What programs read is what the contract says, of an object that has next to
// nothing and of one that has everything.
func TestObjectsAreWhatTheContractSays(t *testing.T) {
	doc := contract(t)
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	bare := &trade.Policy{ID: 3, Keyword: "SOUK", Kind: trade.Advance, Currency: mad, MaxOpen: 1}
	if err := bare.Check(); err != nil {
		t.Fatal(err)
	}
	full := &trade.Policy{
		ID: 3, Keyword: "SOUK", ShortCode: "2121", Kind: trade.Both, Messages: 3, Price: 1000, Currency: mad, PerOrder: 500, Deposit: 2000, Forfeit: 1000,
		MaxOrders: 3, MaxOpen: 2, MaxTotal: 50000, Validity: time.Hour, Pickups: []string{"gare"}, Ended: true, Created: now,
	}
	if err := full.Check(); err != nil {
		t.Fatal(err)
	}
	for name, all := range map[string][]any{
		"Merchant": {
			object.OfMerchant(&trade.Merchant{ID: 1, Name: "Souk", Test: true}),
			object.OfMerchant(&trade.Merchant{ID: 1, Name: "Souk", Member: 4, HoldDays: 14, Created: now}),
		},
		"Policy": {object.OfPolicy(bare), object.OfPolicy(full)},
		"Claim": {
			object.OfClaim(true, &trade.Claim{ID: 12, Policy: 3, OrderRef: "1042", Currency: "MAD", State: trade.Requested}),
			object.OfClaim(false, &trade.Claim{
				ID: 12, Policy: 3, Authorization: 9, OrderRef: "1042", Total: 18900, Currency: "MAD", Delivery: trade.Home, Point: "gare",
				State: trade.NotHonoured, Advance: 500, AtRisk: 2000, Reason: "absent", Evidence: []string{"8812"}, Dispute: 14, Due: now, Done: now,
			}),
		},
		"Dispute": {
			object.OfDispute(true, &trade.Dispute{ID: 14, Claim: 12, State: trade.DisputeOpen, Due: now}),
			object.OfDispute(false, &trade.Dispute{ID: 14, Claim: 12, State: trade.DisputeWon, Answer: "no", Reason: "yes", Evidence: []string{"8812"}}),
		},
		"Charge": {
			object.OfCharge(true, &trade.Charge{ID: 10, Rail: trade.Cash, State: trade.ChargePending, Currency: "MAD"}),
			object.OfCharge(false, &trade.Charge{
				ID: 10, Authorization: 9, Rail: trade.Premium, Gateway: "kannel", Gross: 1000, Net: 417, Credited: 1000, Currency: "MAD", Model: "MO",
				State: trade.ChargeSettled,
			}),
		},
		"Refund": {object.OfRefund(full, &trade.Refund{ID: 15, Authorization: 9, Amount: 1000, To: "wallet", Transaction: 7})},
		"Payout": {object.OfPayout(false, &trade.Payout{ID: 16, Amount: 1000, Currency: "MAD", To: "bank", Transaction: 7})},
	} {
		for _, v := range all {
			hold(t, doc, name, v)
		}
	}
	for _, s := range []trade.State{trade.Pending, trade.Active, trade.Exhausted, trade.Over, trade.Expired, trade.Revoked, trade.Forfeited} {
		for _, d := range []trade.State{trade.NoDeposit, trade.Held, trade.Disputed, trade.Releasable, trade.Refunded, trade.Lost} {
			hold(t, doc, "Authorization", object.OfAuthorization(full, &trade.Authorization{ID: 9, State: s, Deposited: d, Deposit: 2000, Dies: now, Expires: now}))
		}
	}
}

func hold(t *testing.T, doc *openapi3.T, name string, v any) {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var read any
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	if err := doc.Components.Schemas[name].Value.VisitJSON(read, openapi3.VisitAsResponse()); err != nil {
		t.Errorf("%s: %v\n%s", name, err, text)
	}
}

// What is sealed or hashed of a client stays inside, though it stands in what
// the books keep.
func TestNothingOfTheClientIsShown(t *testing.T) {
	a := &trade.Authorization{ID: 9, State: trade.Active, Who: []byte("secret"), Contact: []byte("secret"), Username: []byte("secret"), User: "secret", Code: "secret", Challenge: "secret"}
	c := &trade.Claim{ID: 12, Who: []byte("secret"), Contact: []byte("secret")}
	h := &trade.Charge{ID: 10, Key: "secret"}
	for _, v := range []any{object.OfAuthorization(&trade.Policy{ID: 3}, a), object.OfClaim(false, c), object.OfCharge(false, h)} {
		text, err := json.Marshal(v)
		if err != nil || strings.Contains(string(text), "secret") || strings.Contains(string(text), "c2VjcmV0") {
			t.Errorf("%s, %v", text, err)
		}
	}
}

func TestTheContractNamesEachRefusal(t *testing.T) {
	doc := contract(t)
	for name, want := range map[string][]any{
		"Refusal": doc.Components.Schemas["Refusal"].Value.Enum,
		"Problem": doc.Components.Schemas["Problem"].Value.Properties["code"].Value.Enum,
	} {
		for _, r := range trade.Reasons() {
			if !slices.Contains(want, any(string(r))) {
				t.Errorf("%s does not name %s", name, r)
			}
		}
	}
}

func TestAnIDHasOneSpelling(t *testing.T) {
	for id, want := range map[string]int64{"clm_12": 12, "clm_012": 0, "clm_": 0, "clm_-1": 0, "clm_0": 0, "pol_12": 0, "clm_12 ": 0, "clm_99999999999999999999": 0, "": 0} {
		if n, ok := object.ClaimID.Number(id); n != want && ok || ok != (want != 0) {
			t.Errorf("Number(%q) = %d, %v", id, n, ok)
		}
	}
}
