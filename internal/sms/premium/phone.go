package premium

import (
	"net/http"
	"time"

	"maillon/internal/sms"
)

// Phone reads the calls of "SMS Gateway for Android": signed, for it presents no
// certificate. What it forwards may come from anybody.
type Phone struct{ Key sms.Secret }

type phoneEvent struct {
	ID      string
	Event   string
	Payload struct {
		MessageID   string
		Sender      string
		PhoneNumber string // what old versions call the sender
		Recipient   *string
		Message     string
		ReceivedAt  string
	}
}

// Read implements Adapter.
func (p Phone) Read(r *http.Request, body []byte) (Call, error) {
	if err := CheckSignature(r.Header, p.Key, body, time.Now()); err != nil {
		return Call{}, err
	}
	var e phoneEvent
	if err := decode(body, &e); err != nil {
		return Call{}, err
	}
	if !name(e.ID) {
		return Call{}, ErrForm
	}
	switch e.Event {
	case "sms:received", "mms:received", "mms:downloaded":
		return e.message()
	case "sms:sent":
		return e.report(sms.Accepted)
	case "sms:delivered":
		return e.report(sms.Delivered)
	case "sms:failed":
		return e.report(sms.Failed)
	}
	return Call{}, nil // it lives, or tells what nobody asked
}

// message is known by the event, which stays the same when it comes again:
// messageId is made of the text, and two alike have one.
func (e phoneEvent) message() (Call, error) {
	from := e.Payload.Sender
	if from == "" {
		from = e.Payload.PhoneNumber
	}
	to := ""
	if e.Payload.Recipient != nil {
		to = *e.Payload.Recipient
	}
	text, fits := clean(e.Payload.Message)
	if !fits || !address(from) || !address(to) {
		return Call{}, ErrForm
	}
	return Call{Message: &sms.Incoming{
		Key: e.ID, From: from, To: to, Text: text, SentAt: instant(e.Payload.ReceivedAt), Media: e.Event != "sms:received" && text == "",
	}}, nil
}

func (e phoneEvent) report(state sms.ReportState) (Call, error) {
	if !name(e.Payload.MessageID) {
		return Call{}, ErrForm
	}
	return Call{Report: &sms.Report{ID: e.Payload.MessageID, State: state, Detail: e.Event}}, nil
}
