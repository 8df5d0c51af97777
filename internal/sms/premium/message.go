package premium

import (
	"net/http"

	"maillon/internal/sms"
)

// Message reads our own protocol: one SMS, with what it costs if it does.
type Message struct{}

// charged is a charge as our protocol writes it.
type charged struct {
	Currency string          `json:"currency"`
	Gross    int64           `json:"gross"`
	Net      int64           `json:"net"`
	Model    string          `json:"model"`
	Status   sms.ChargeState `json:"status"`
}

// Read implements Adapter.
func (Message) Read(_ *http.Request, body []byte) (Call, error) {
	var m struct {
		ID         string   `json:"id"`
		From       string   `json:"from"`
		To         string   `json:"to"`
		Text       string   `json:"text"`
		Media      bool     `json:"media"`
		ReceivedAt string   `json:"received_at"`
		Charge     *charged `json:"charge"`
	}
	if err := decode(body, &m); err != nil {
		return Call{}, err
	}
	text, fits := clean(m.Text)
	if !name(m.ID) || !fits || m.From == "" || !address(m.From) || !address(m.To) {
		return Call{}, ErrForm
	}
	in := &sms.Incoming{Key: m.ID, From: m.From, To: m.To, Text: text, Media: m.Media, SentAt: instant(m.ReceivedAt)}
	if c := m.Charge; c != nil {
		in.Charge = &sms.Charge{Currency: c.Currency, Gross: c.Gross, Net: c.Net, Model: c.Model, State: c.Status}
		if err := CheckCharge(*in.Charge); err != nil {
			return Call{}, err
		}
	}
	return Call{Message: in, Body: true}, nil
}

// ReadBill reads what our protocol says later of the charge of an SMS.
func ReadBill(key string, body []byte) (sms.Bill, error) {
	var b struct {
		Status sms.ChargeState `json:"status"`
		Net    int64           `json:"net"`
	}
	if err := decode(body, &b); err != nil {
		return sms.Bill{}, err
	}
	bill := sms.Bill{Key: key, State: b.Status, Net: b.Net}
	if !name(key) || b.Net < 0 || CheckCharge(sms.Charge{Currency: "XXX", Gross: b.Net, Net: b.Net, Model: models[0], State: b.Status}) != nil {
		return sms.Bill{}, ErrForm
	}
	return bill, nil
}
