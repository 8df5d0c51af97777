package premium

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"maillon/internal/sms"
)

// TxtNation reads the calls of txtNation, now MessageCloud. It signs nothing, so
// that only its addresses count, and says no price: that is the one of the line.
type TxtNation struct {
	From   []netip.Prefix // where it calls from; none: nobody is let in
	Charge *sms.Charge    // what an SMS to the line costs; nil: the usual rate
}

// reports are what becomes of a message; what is not in here is on its way.
var reports = map[string]sms.ReportState{
	"ACKNOWLEDGED": sms.Accepted, "DELIVERED": sms.Delivered,
	"REJECTED": sms.Failed, "FAILED": sms.Failed, "UNDELIVERED": sms.Failed, "EXPIRED": sms.Failed, "BARRED": sms.Failed,
	"INSUFFICIENT_FUNDS": sms.Failed, "NO_CREDIT": sms.Failed, "VALIDITY_EXPIRED": sms.Failed, "INVALID_NUMBER": sms.Failed, "ERROR": sms.Failed,
}

// Read implements Adapter.
func (n TxtNation) Read(r *http.Request, body []byte) (Call, error) {
	if !n.knows(r.RemoteAddr) {
		return Call{}, ErrSignature
	}
	q := r.URL.Query()
	if r.Method == http.MethodPost {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return Call{}, ErrForm
		}
		q = form
	}
	id := q.Get("id")
	if !name(id) {
		return Call{}, ErrForm
	}
	switch q.Get("action") {
	case "mpush_ir_message":
		return n.message(q, id)
	case "mp_report":
		return n.report(q, id), nil
	}
	return Call{}, ErrForm
}

func (n TxtNation) message(q url.Values, id string) (Call, error) {
	text, fits := clean(q.Get("message"))
	if !fits || !address(q.Get("number")) || !address(q.Get("shortcode")) {
		return Call{}, ErrForm
	}
	m := &sms.Incoming{Key: id, From: international(q.Get("number")), To: q.Get("shortcode"), Text: text}
	if n.Charge != nil {
		c := *n.Charge
		switch c.Model = strings.ToUpper(q.Get("billing")); c.Model {
		case "MO":
		case "MT":
			c.State = sms.ChargePending // until the report of what we send for it
		case "DC":
			c.Model = "DCB"
		default:
			return Call{}, ErrForm
		}
		m.Charge = &c
	}
	return Call{Message: m, Said: "OK"}, nil
}

// report reads what became of a message of ours. Where the answer is billed, its
// end is the bill for the SMS that it answers, whose name it has.
func (n TxtNation) report(q url.Values, id string) Call {
	call := Call{Said: "OK"}
	state, known := reports[strings.ToUpper(q.Get("report"))]
	if !known {
		return call
	}
	call.Report = &sms.Report{ID: id, ProviderID: id, State: state}
	switch {
	case n.Charge == nil || state == sms.Accepted:
	case state == sms.Delivered:
		call.Bill = &sms.Bill{Key: id, State: sms.ChargeConfirmed, Net: n.Charge.Net}
	default:
		call.Bill = &sms.Bill{Key: id, State: sms.ChargeFailed}
	}
	return call
}

func (n TxtNation) knows(remote string) bool {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(n.From, func(p netip.Prefix) bool { return p.Contains(at.Addr().Unmap()) })
}
