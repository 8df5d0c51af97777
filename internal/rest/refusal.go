package rest

import (
	"errors"
	"net/http"

	"maillon/internal/merchant"
	"maillon/internal/trade"
)

// The problems of what merchants have.
var (
	problemNoPolicy        = problemOf(http.StatusNotFound, "policy_not_found", "there is no such policy of this merchant")
	problemNoAuthorization = problemOf(http.StatusNotFound, "authorization_not_found", "there is no such authorization of this merchant")
	problemNoClaim         = problemOf(http.StatusNotFound, "claim_not_found", "there is no such claim of this merchant")
	problemNoDispute       = problemOf(http.StatusNotFound, "dispute_not_found", "there is no such dispute of this merchant")
	problemClock           = problemOf(http.StatusUnprocessableEntity, "clock", "the clock of test mode is moved by 1 to 31622400 seconds, forward")
	problemTries           = later(problemOf(http.StatusTooManyRequests, "too_many_attempts", "too many codes were tried: wait a quarter of an hour"), triesAfter)
	problemState           = problemOf(http.StatusConflict, "wrong_state", "another outcome came first")
	problemPolicy          = problemOf(http.StatusUnprocessableEntity, "policy_invalid", "the policy cannot be so")
)

// triesAfter is when codes may be tried again, in seconds.
const triesAfter = 15 * 60

// later says when somebody may ask again, in seconds.
func later(p *problem, after int) *problem {
	p.after = after
	return p
}

// shopKnown is the table of the errors of the merchants' room.
var shopKnown = []known{
	{merchant.ErrTooManyTries, problemTries},
	{merchant.ErrReference, problemOf(http.StatusUnprocessableEntity, "order_ref", "an order_ref has 1 to 64 printable characters of ASCII, without spaces")},
	{merchant.ErrAmount, problemOf(http.StatusUnprocessableEntity, "amount", "the sum is not positive, or more than there is")},
	{merchant.ErrNotRefundable, problemOf(http.StatusConflict, "not_refundable", "nothing can go back now: the authorization is in use, or there is nothing left")},
	{merchant.ErrDestination, problemOf(http.StatusUnprocessableEntity, "destination", "the money cannot go there: to the wallet of a client who is a member, in the policy's currency; or in test mode as cash")},
	{merchant.ErrReasonNeeded, problemOf(http.StatusUnprocessableEntity, "reason", "a reason and evidence are needed, 1 to 10 pieces, of at most 200 octets each")},
	{merchant.ErrBraked, problemOf(http.StatusConflict, "merchant_braked", "too many orders were forfeited: an administrator of the association must look first")},
	{merchant.ErrKeyword, problemOf(http.StatusConflict, "keyword_taken", "the keyword is another policy's, or a word of the SMS commands: choose another")},
	{merchant.ErrSuspended, problemOf(http.StatusForbidden, "merchant_suspended", "an administrator of the association has stopped this merchant")},
	{merchant.ErrTestOnly, problemOf(http.StatusForbidden, "test_only", "this is for the keys of test mode, sk_test_…")},
	{merchant.ErrPhone, problemOf(http.StatusUnprocessableEntity, "phone", "this is no telephone number: write it with + and the country")},
	{merchant.ErrUsername, problemOf(http.StatusUnprocessableEntity, "username", "a username has 1 to 32 letters, digits, dots, dashes and underscores")},
	{merchant.ErrAsk, problemOf(http.StatusUnprocessableEntity, "whom", "exactly one of code, phone, username and authorization says who orders, as the policy's flow wants it")},
}

// refusals say of each reason what can be done about it.
var refusals = map[trade.Reason]string{
	trade.NotFound:        "there is no such client: the code, the name or the number is wrong, or nothing was sent yet",
	trade.IsPending:       "some of the client's messages are still missing",
	trade.IsExhausted:     "all orders of the authorization were let through: the client sends anew",
	trade.IsExpired:       "the authorization has expired: the client sends anew",
	trade.IsRevoked:       "the merchant has revoked the authorization",
	trade.IsForfeited:     "an order of the authorization was not honoured",
	trade.IsClosed:        "the authorization is over: the client sends anew",
	trade.OrderLimit:      "as many orders as the policy allows were let through",
	trade.TooManyOpen:     "as many orders as the policy allows are on their way: one must have its outcome first",
	trade.AdvanceRequired: "the advance is spent: the client sends one more message",
	trade.TotalTooHigh:    "the order is greater than the policy allows",
	trade.WrongCurrency:   "the order is not in the currency of the policy",
	trade.NotDelivered:    "the policy is not for orders that are delivered like this",
	trade.RefConflict:     "this order_ref has a claim with another total or currency",
}

// shopProblem finds the problem of what the rules of trade refuse, nil if it is
// none of theirs.
func shopProblem(err error) *problem {
	if r, is := errors.AsType[*trade.Refusal](err); is {
		return problemOf(http.StatusConflict, string(r.Reason), refusals[r.Reason])
	}
	if s, is := errors.AsType[*trade.StateError](err); is {
		p := problemState.because("another outcome came first: it is " + string(s.Is))
		p.State = string(s.Is)
		return p
	}
	if f, is := errors.AsType[*trade.PolicyError](err); is {
		p := problemPolicy.because(f.Error())
		p.Field = f.Field
		return p
	}
	return nil
}
