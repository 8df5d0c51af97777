package twiliogo_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/twilio/twilio-go/client"

	"maillon/internal/sms"
	"maillon/internal/sms/smstest"
	"maillon/internal/sms/twilio"
)

const requests = 1000

// A request is a webhook as Twilio would call it.
type request struct {
	public    string // our public_url
	token     string
	query     string
	body      []byte
	signature string
}

func (r request) target() string {
	target := "/gateway/tw/in"
	if r.query != "" {
		target += "?" + r.query
	}
	return target
}

// Ours and Twilio's verifier say the same of a thousand random requests, and
// both refuse each of them with one octet changed.
func TestWeAgreeWithTwilio(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"messages": []}`)
	}))
	defer api.Close()
	random := rand.New(rand.NewPCG(1, 2))
	for range requests {
		r := randomForm(random)
		if random.IntN(2) == 0 {
			r = randomJSON(random)
		}
		if theirs, ours := theirs(r), ours(t, api.URL, r); !theirs || !ours {
			t.Fatalf("%+v: theirs %v, ours %v, want both", r, theirs, ours)
		}
		bad := changed(random, r)
		if theirs, ours := theirs(bad), ours(t, api.URL, bad); theirs || ours {
			t.Fatalf("%+v, changed from %+v: theirs %v, ours %v, want neither", bad, r, theirs, ours)
		}
	}
}

func theirs(r request) bool {
	validator := client.NewRequestValidator(r.token)
	return validator.ValidateBody(r.public+r.target(), r.body, r.signature)
}

func ours(t *testing.T, api string, r request) bool {
	t.Helper()
	g, err := twilio.New(twilio.Config{
		Name: "tw", AccountSID: "AC1", AuthToken: sms.NewSecret(r.token), From: "+33937000000",
		PublicURL: r.public, BaseURL: api,
	})
	if err != nil {
		t.Fatal(err)
	}
	stop := smstest.Start(t, g, new(smstest.Inbox))
	defer stop()
	req := httptest.NewRequest(http.MethodPost, r.target(), bytes.NewReader(r.body))
	req.Header.Set("X-Twilio-Signature", r.signature)
	w := httptest.NewRecorder()
	g.Handler().ServeHTTP(w, req)
	if w.Code != http.StatusOK && w.Code != http.StatusForbidden {
		t.Fatalf("%+v: status %d", r, w.Code)
	}
	return w.Code == http.StatusOK
}

func randomForm(random *rand.Rand) request {
	r := randomRequest(random)
	r.query = randomQuery(random)
	form := url.Values{"MessageSid": {"SM" + word(random)}, "Body": {text(random)}, "From": {"+33639980012"}}
	for range random.IntN(10) {
		form.Set(word(random), text(random))
	}
	signed := r.public + r.target()
	for _, name := range slices.Sorted(maps.Keys(form)) {
		signed += name + form.Get(name)
	}
	r.body, r.signature = []byte(form.Encode()), sign(r.token, signed)
	return r
}

func randomJSON(random *rand.Rand) request {
	r := randomRequest(random)
	r.body, _ = json.Marshal(map[string]any{"MessageSid": "SM" + word(random), "Body": text(random), "NumMedia": random.IntN(3)})
	sum := sha256.Sum256(r.body)
	r.query = strings.TrimPrefix(randomQuery(random)+"&bodySHA256="+hex.EncodeToString(sum[:]), "&")
	r.signature = sign(r.token, r.public+r.target())
	return r
}

func randomRequest(random *rand.Rand) request {
	r := request{public: "https://" + word(random) + ".example.org", token: word(random)}
	if random.IntN(3) == 0 {
		r.public += ":" + strconv.Itoa(1024+random.IntN(60000))
	}
	return r
}

func randomQuery(random *rand.Rand) string {
	query := url.Values{}
	for range random.IntN(3) {
		query.Set(word(random), text(random))
	}
	return query.Encode()
}

func sign(token, signed string) string {
	mac := hmac.New(sha1.New, []byte(token))
	_, _ = io.WriteString(mac, signed)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// changed returns r with one letter or digit replaced by another of its kind,
// so that what is encoded stays well encoded.
func changed(random *rand.Rand, r request) request {
	r.body = bytes.Clone(r.body)
	switch random.IntN(4) {
	case 0:
		r.token = replace(random, r.token)
	case 1:
		r.signature = replace(random, r.signature)
	case 2:
		r.public = "https://" + replace(random, strings.TrimPrefix(r.public, "https://"))
	case 3:
		r.body = []byte(replace(random, string(r.body)))
	}
	return r
}

// replace changes one lower-case letter of s that is no part of an escape.
func replace(random *rand.Rand, s string) string {
	octets := []byte(s)
	for {
		i := random.IntN(len(octets))
		if octets[i] >= 'g' && octets[i] <= 'y' && octets[i] != 'u' {
			octets[i]++
			return string(octets)
		}
	}
}

func word(random *rand.Rand) string { return "w" + strconv.FormatUint(random.Uint64(), 36) + "w" }

func text(random *rand.Rand) string {
	letters := []rune("abc 123 àéù€[]{}&=+%;@?/#'\"\\\n👍")
	s := "t"
	for range random.IntN(40) {
		s += string(letters[random.IntN(len(letters))])
	}
	return s
}
