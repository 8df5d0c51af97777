package premium_test

import (
	"crypto/md5" //nolint:gosec // the provider signs with it
	"encoding/hex"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"maillon/internal/sms"
	"maillon/internal/sms/premium"
)

var secret = sms.NewSecret("s3cret")

// fortumo signs a call as Fortumo does.
func fortumo(q url.Values) *http.Request {
	text := ""
	for _, k := range slices.Sorted(maps.Keys(q)) {
		text += k + "=" + q.Get(k)
	}
	sum := md5.Sum([]byte(text + secret.Reveal())) //nolint:gosec // the provider signs with it
	signed := maps.Clone(q)
	signed.Set("sig", hex.EncodeToString(sum[:]))
	return httptest.NewRequest(http.MethodGet, "/gateway/f/in?"+signed.Encode(), nil)
}

func sale(changes ...string) url.Values {
	q := url.Values{}
	for k, v := range map[string]string{
		"message": "fatima", "keyword": "SOUK", "sender": "212612345678", "country": "MA", "price": "10.00", "price_wo_vat": "8.33", "currency": "MAD",
		"service_id": "f7fa12b381d290e268f99e382578d64a", "message_id": "m-1", "shortcode": "36000", "operator": "IAM", "billing_type": "MO", "status": "ok",
	} {
		q.Set(k, v)
	}
	for n := 0; n+1 < len(changes); n += 2 {
		if changes[n+1] == "" {
			q.Del(changes[n])
			continue
		}
		q.Set(changes[n], changes[n+1])
	}
	return q
}

func TestFortumosSMSComesWithWhatItCost(t *testing.T) {
	call, err := premium.Fortumo{Secret: secret}.Read(fortumo(sale()), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := sms.Incoming{Key: "m-1", From: "+212612345678", To: "36000", Text: "SOUK fatima"}
	charge := sms.Charge{Currency: "MAD", Gross: 1000, Model: "MO", State: sms.ChargeConfirmed}
	got := *call.Message
	if got.Charge == nil || *got.Charge != charge {
		t.Errorf("the charge is %+v, want %+v", got.Charge, charge)
	}
	if got.Charge = nil; got != want || !call.Body || call.MaxReply != 120 || call.Bill != nil {
		t.Errorf("the call is %+v with %+v", call, got)
	}
}

// Where the answer is billed, nothing is paid until a second call says so.
func TestFortumosPendingSMSIsPaidByALaterCall(t *testing.T) {
	f := premium.Fortumo{Secret: secret}
	call, err := f.Read(fortumo(sale("billing_type", "MT", "status", "pending")), nil)
	if err != nil || call.Message.Charge.State != sms.ChargePending || call.Bill != nil {
		t.Errorf("pending: %+v, %v", call, err)
	}
	for status, state := range map[string]sms.ChargeState{"ok": sms.ChargeConfirmed, "failed": sms.ChargeFailed} {
		for _, message := range []string{"fatima", ""} { // with the text once more, or without
			call, err := f.Read(fortumo(sale("billing_type", "MT", "status", status, "message", message)), nil)
			if err != nil || call.Bill == nil || *call.Bill != (sms.Bill{Key: "m-1", State: state}) || (call.Message != nil) != (message != "") {
				t.Errorf("%s: %+v, %v", status, call, err)
			}
		}
	}
}

func TestFortumosTestPaysNothing(t *testing.T) {
	call, err := premium.Fortumo{Secret: secret}.Read(fortumo(sale("test", "true")), nil)
	if err != nil || call.Message != nil || call.Bill != nil || call.Said == "" {
		t.Errorf("a test: %+v, %v", call, err)
	}
}

func TestAForgedCallOfFortumoIsRefused(t *testing.T) {
	f := premium.Fortumo{Secret: secret}
	forged := fortumo(sale())
	forged.URL.RawQuery = strings.Replace(forged.URL.RawQuery, "10.00", "99.00", 1)
	doubled := fortumo(sale())
	doubled.URL.RawQuery += "&price=99.00"
	for name, r := range map[string]*http.Request{
		"another price": forged, "two prices": doubled, "no signature": httptest.NewRequest(http.MethodGet, "/?"+sale().Encode(), nil),
	} {
		if call, err := f.Read(r, nil); !errors.Is(err, premium.ErrSignature) || call.Message != nil {
			t.Errorf("%s: %+v, %v, want ErrSignature", name, call, err)
		}
	}
	if _, err := (premium.Fortumo{}).Read(fortumo(sale()), nil); !errors.Is(err, premium.ErrSignature) {
		t.Errorf("without a secret: %v, want ErrSignature", err)
	}
	for name, q := range map[string]url.Values{
		"no name": sale("message_id", ""), "a price in words": sale("price", "dix"), "a fraction of a centime": sale("price", "1.005"),
		"less than nothing": sale("price", "-1"), "an unknown status": sale("status", "maybe"), "no text and no bill": sale("message", ""),
	} {
		if call, err := f.Read(fortumo(q), nil); !errors.Is(err, premium.ErrForm) || call.Message != nil {
			t.Errorf("%s: %+v, %v, want ErrForm", name, call, err)
		}
	}
}

func TestPricesAreReadInTheirSmallestUnits(t *testing.T) {
	f := premium.Fortumo{Secret: secret}
	for _, test := range []struct {
		price, currency string
		want            int64
	}{{"10", "MAD", 1000}, {"0.5", "EUR", 50}, {"1.5000", "EUR", 150}, {"200", "XOF", 200}, {"200.00", "XOF", 200}, {"1.234", "TND", 1234}, {"0", "EUR", 0}} {
		call, err := f.Read(fortumo(sale("price", test.price, "currency", test.currency)), nil)
		if err != nil || call.Message.Charge.Gross != test.want {
			t.Errorf("%s %s: %+v, %v, want %d", test.price, test.currency, call.Message, err, test.want)
		}
	}
}

func txtnation(charge *sms.Charge) premium.TxtNation {
	return premium.TxtNation{From: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Charge: charge} // where httptest calls from
}

func form(q ...string) (*http.Request, []byte) {
	v := url.Values{}
	for n := 0; n+1 < len(q); n += 2 {
		v.Set(q[n], q[n+1])
	}
	return httptest.NewRequest(http.MethodPost, "/gateway/t/in", nil), []byte(v.Encode())
}

func TestTxtNationsSMSCostsWhatTheLineCosts(t *testing.T) {
	tariff := &sms.Charge{Currency: "EUR", Gross: 200, Net: 90, Model: "MO", State: sms.ChargeConfirmed}
	for billing, want := range map[string]sms.ChargeState{"MO": sms.ChargeConfirmed, "MT": sms.ChargePending} {
		r, body := form("action", "mpush_ir_message", "id", "7", "number", "33639980012", "network", "ORANGEFR", "message", "SOUK", "shortcode", "36000",
			"country", "FR", "billing", billing)
		call, err := txtnation(tariff).Read(r, body)
		if err != nil || call.Said != "OK" || call.Body || call.Message.From != "+33639980012" || call.Message.Charge.State != want || call.Message.Charge.Gross != 200 {
			t.Errorf("%s: %+v, %v", billing, call, err)
		}
	}
	r, body := form("action", "mpush_ir_message", "id", "7", "number", "#208106351234567", "message", "SOUK", "shortcode", "36000", "billing", "MO")
	if call, err := txtnation(nil).Read(r, body); err != nil || call.Message.From != "#208106351234567" || call.Message.Charge != nil {
		t.Errorf("an alias: %+v, %v", call, err)
	}
	for report, want := range map[string]sms.ChargeState{"DELIVERED": sms.ChargeConfirmed, "REJECTED": sms.ChargeFailed} {
		r, body := form("action", "mp_report", "id", "7", "report", report)
		if call, err := txtnation(tariff).Read(r, body); err != nil || call.Bill == nil || call.Bill.State != want || call.Report == nil {
			t.Errorf("%s: %+v, %v", report, call, err)
		}
	}
	r, body = form("action", "mp_report", "id", "7", "report", "ACKNOWLEDGED")
	if call, err := txtnation(tariff).Read(r, body); err != nil || call.Bill != nil {
		t.Errorf("on its way: %+v, %v", call, err)
	}
}

func TestTxtNationIsKnownByItsAddressAlone(t *testing.T) {
	r, body := form("action", "mpush_ir_message", "id", "7", "number", "33639980012", "message", "SOUK")
	r.RemoteAddr = "198.51.100.7:1234"
	if _, err := txtnation(nil).Read(r, body); !errors.Is(err, premium.ErrSignature) {
		t.Errorf("from elsewhere: %v, want ErrSignature", err)
	}
	r, body = form("action", "mpush_ir_message", "id", "7")
	if _, err := (premium.TxtNation{}).Read(r, body); !errors.Is(err, premium.ErrSignature) {
		t.Errorf("without addresses: %v, want ErrSignature", err)
	}
}

const event = `{"deviceId":"d","event":"sms:received","id":"Ey6ECg","payload":{"messageId":"abc","message":"vir 5 @lena","phoneNumber":"0639980012",
	"simNumber":1,"receivedAt":"2026-06-22T15:46:11.000+02:00"},"webhookId":"w"}`

func phone(body string, at time.Time) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/gateway/p/in", nil)
	premium.Sign(r.Header, secret, []byte(body), at)
	return r
}

func TestATelephoneForwardsWhatItGets(t *testing.T) {
	call, err := premium.Phone{Key: secret}.Read(phone(event, time.Now()), []byte(event))
	if err != nil || call.Message.Key != "Ey6ECg" || call.Message.From != "0639980012" || call.Message.Text != "vir 5 @lena" || call.Message.SentAt.IsZero() {
		t.Errorf("a text: %+v, %v", call.Message, err)
	}
	newer := strings.Replace(event, "phoneNumber", "sender", 1)
	if call, err := (premium.Phone{Key: secret}).Read(phone(newer, time.Now()), []byte(newer)); err != nil || call.Message.From != "0639980012" {
		t.Errorf("of a newer telephone: %+v, %v", call.Message, err)
	}
	for name, state := range map[string]sms.ReportState{"sms:sent": sms.Accepted, "sms:delivered": sms.Delivered, "sms:failed": sms.Failed} {
		body := `{"id":"x","event":"` + name + `","payload":{"messageId":"m7"}}`
		if call, err := (premium.Phone{Key: secret}).Read(phone(body, time.Now()), []byte(body)); err != nil || call.Report.ID != "m7" || call.Report.State != state {
			t.Errorf("%s: %+v, %v", name, call.Report, err)
		}
	}
	ping := `{"id":"x","event":"system:ping","payload":{}}`
	if call, err := (premium.Phone{Key: secret}).Read(phone(ping, time.Now()), []byte(ping)); err != nil || call.Message != nil || call.Report != nil {
		t.Errorf("a ping: %+v, %v", call, err)
	}
}

func TestASignatureHoldsForItsBodyItsKeyAndItsTime(t *testing.T) {
	now := time.Now()
	good := phone(event, now).Header
	if err := premium.CheckSignature(good, secret, []byte(event), now); err != nil {
		t.Errorf("a good one: %v", err)
	}
	none := http.Header{}
	none.Set(premium.TimeHeader, good.Get(premium.TimeHeader))
	for name, err := range map[string]error{
		"another body": premium.CheckSignature(good, secret, []byte(event+" "), now),
		"another key":  premium.CheckSignature(good, sms.NewSecret("other"), []byte(event), now),
		"no key":       premium.CheckSignature(good, sms.Secret{}, []byte(event), now),
		"too late":     premium.CheckSignature(good, secret, []byte(event), now.Add(premium.MaxSkew+2*time.Second)),
		"too early":    premium.CheckSignature(good, secret, []byte(event), now.Add(-premium.MaxSkew-2*time.Second)),
		"no signature": premium.CheckSignature(none, secret, []byte(event), now),
		"nothing":      premium.CheckSignature(http.Header{}, secret, []byte(event), now),
	} {
		if !errors.Is(err, premium.ErrSignature) {
			t.Errorf("%s: %v, want ErrSignature", name, err)
		}
	}
}

func TestKannelAsksForItsReply(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/gw/v1/kannel?from=%2B33639980012&to=36000&text=vir+5+%40zo%C3%A9&id=7f&smsc=line&time=1700000000", nil)
	call, err := premium.Kannel{}.Read(r, nil)
	want := sms.Incoming{Key: "7f", From: "+33639980012", To: "36000", Text: "vir 5 @zoé", SentAt: time.Unix(1700000000, 0).UTC()}
	if err != nil || *call.Message != want || !call.Body {
		t.Errorf("%+v, %v, want %+v", call.Message, err, want)
	}
	// Without a name, what the network says names it: the same for the same SMS.
	unnamed := httptest.NewRequest(http.MethodGet, "/gw/v1/kannel?from=%2B33639980012&to=36000&text=a&time=1700000000", nil)
	one, err1 := premium.Kannel{}.Read(unnamed, nil)
	two, err2 := premium.Kannel{}.Read(unnamed, nil)
	if err1 != nil || err2 != nil || one.Message.Key != two.Message.Key || len(one.Message.Key) != 64 {
		t.Errorf("without a name: %v, %v", err1, err2)
	}
	for _, query := range []string{"", "from=%2B33639980012&text=a", "text=a&id=7", "from=1&id=" + strings.Repeat("x", 200)} {
		if _, err := (premium.Kannel{}).Read(httptest.NewRequest(http.MethodGet, "/gw/v1/kannel?"+query, nil), nil); !errors.Is(err, premium.ErrForm) {
			t.Errorf("%q: %v, want ErrForm", query, err)
		}
	}
}

func TestOurProtocolSaysWhatAnSMSCost(t *testing.T) {
	body := `{"id":"7","from":"+33639980012","to":"36000","text":"SOUK","received_at":"2026-06-22T15:46:11Z",
		"charge":{"currency":"MAD","gross":1000,"net":417,"model":"MO","status":"confirmed"}}`
	call, err := premium.Message{}.Read(nil, []byte(body))
	if err != nil || *call.Message.Charge != (sms.Charge{Currency: "MAD", Gross: 1000, Net: 417, Model: "MO", State: sms.ChargeConfirmed}) {
		t.Errorf("%+v, %v", call.Message, err)
	}
	for _, wrong := range []string{
		`{`, `[]`, `{"from":"+33639980012","text":"a"}`, `{"id":"7","text":"a"}`, body + body,
		strings.Replace(body, "1000", "-1", 1), strings.Replace(body, "417", "1001", 1), strings.Replace(body, `"MO"`, `"XX"`, 1),
		strings.Replace(body, "confirmed", "perhaps", 1), strings.Replace(body, "MAD", "", 1), strings.Replace(body, "1000", "10.00", 1),
	} {
		if _, err := (premium.Message{}).Read(nil, []byte(wrong)); !errors.Is(err, premium.ErrForm) {
			t.Errorf("%s: %v, want ErrForm", wrong, err)
		}
	}
	if b, err := premium.ReadBill("7", []byte(`{"status":"clawed_back"}`)); err != nil || b != (sms.Bill{Key: "7", State: sms.ChargeClawedBack}) {
		t.Errorf("a bill: %+v, %v", b, err)
	}
	for _, wrong := range []string{`{}`, `{"status":"perhaps"}`, `{"status":"confirmed","net":-1}`} {
		if _, err := premium.ReadBill("7", []byte(wrong)); !errors.Is(err, premium.ErrForm) {
			t.Errorf("%s: %v, want ErrForm", wrong, err)
		}
	}
}

// Whatever is called, nobody comes in by it without a key, and what comes in is
// whole.
func FuzzAdapters(f *testing.F) {
	f.Add(sale().Encode(), event)
	f.Add("from=%2B33639980012&text=a&id=7&coding=2", `{"id":"7","from":"+33639980012","text":"a","charge":{"currency":"MAD"}}`)
	f.Add("action=mpush_ir_message&id=7&number=%23288&billing=MT", "action=mp_report&id=7&report=DELIVERED")
	f.Fuzz(func(t *testing.T, query, body string) {
		r := httptest.NewRequest(http.MethodPost, "/gateway/x/in", nil)
		r.URL.RawQuery = query
		if call, err := (premium.Fortumo{Secret: secret}).Read(r, []byte(body)); err == nil && !signedBy(r.URL.Query()) {
			t.Errorf("Fortumo: %+v", call)
		}
		if _, err := (premium.Phone{Key: secret}).Read(r, []byte(body)); !errors.Is(err, premium.ErrSignature) {
			t.Errorf("a telephone that does not sign: %v", err)
		}
		signed := phone(body, time.Now())
		signed.URL.RawQuery = query
		tariff := &sms.Charge{Currency: "EUR", Gross: 200, Net: 90, Model: "MO", State: sms.ChargeConfirmed}
		for _, a := range []premium.Adapter{premium.Phone{Key: secret}, premium.Kannel{}, premium.Message{}, txtnation(tariff)} {
			call, err := a.Read(signed, []byte(body))
			if err != nil {
				if !errors.Is(err, premium.ErrForm) || call.Message != nil || call.Bill != nil || call.Report != nil {
					t.Errorf("%T: %+v, %v", a, call, err)
				}
				continue
			}
			if m := call.Message; m != nil && (m.Key == "" || strings.ToValidUTF8(m.Text, "") != m.Text) {
				t.Errorf("%T: %+v", a, m)
			}
			if m := call.Message; m != nil && m.Charge != nil && premium.CheckCharge(*m.Charge) != nil {
				t.Errorf("%T: %+v", a, m.Charge)
			}
		}
	})
}

// signedBy reports whether chance, or the corpus, signed a call.
func signedBy(q url.Values) bool {
	sig := q.Get("sig")
	q.Del("sig")
	return sig != "" && fortumo(q).URL.Query().Get("sig") == strings.ToLower(sig)
}
