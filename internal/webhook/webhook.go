// Package webhook tells merchants' programs what happens: an event is written in
// the transaction of what it tells of, can be read for KeepEvents, and is carried
// to the endpoints that the merchant has registered, signed as Standard Webhooks
// 1.0.0 says.
//
// An event is carried at least once. The same one has the same ID wherever and
// however often it comes; a receiver that keeps the IDs does nothing twice. Each
// endpoint has a queue of its own, in the order in which things happened but for
// what is tried again, and is asked one thing at a time: one that is slow or
// never answers keeps nobody else waiting.
//
// Only public addresses are called, over HTTPS. A name is looked up once for each
// call, and what is connected to is what was checked: a name that means this
// machine or its neighbours a moment later reaches nothing.
package webhook

import (
	"strings"
	"time"
)

// Bounds of events and endpoints.
const (
	KeepEvents     = 30 * 24 * time.Hour // and what became of them
	MaxEndpoints   = 16                  // of one merchant
	MaxURL         = 500                 // octets
	MaxDescription = 200                 // octets
	maxData        = 48 << 10            // octets of an event's object
	maxType        = 64                  // octets
	maxQueue       = 10_000              // events that wait for one endpoint; what is beyond can still be read
	maxAttempts    = 20                  // that are remembered of one delivery, the newest
)

// The kinds of records.
const (
	kindEvent    = "event"    // owner: the merchant; state: the type
	kindEndpoint = "endpoint" // owner: the merchant
	kindDelivery = "delivery" // owner: the endpoint, as is parent while it waits; ref: the event; loose
	kindLine     = "line"     // owner: the endpoint; due: when it is asked next; loose
)

// Any is the type of all events, for an endpoint.
const Any = "*"

// Types returns the types of events.
func Types() []string {
	return []string{
		"authorization.created", "authorization.activated", "authorization.topped_up", "authorization.exhausted", "authorization.expiring",
		"authorization.expired", "authorization.revoked", "authorization.forfeited", "authorization.refunded",
		"claim.requested", "claim.reserved", "claim.opened", "claim.honoured", "claim.released", "claim.withdrawn", "claim.not_honoured",
		"claim.forfeited", "claim.reinstated",
		"dispute.opened", "dispute.won", "dispute.lost",
		"charge.confirmed", "charge.failed", "charge.clawed_back",
		"payout.paid", "payout.reconciled",
		"gateway.degraded",
		"test.sms",
	}
}

// Typed reports whether a text has the form of a type.
func Typed(text string) bool {
	area, what, ok := strings.Cut(text, ".")
	word := func(s string) bool {
		return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_") == ""
	}
	return ok && len(text) <= maxType && word(area) && word(what)
}
