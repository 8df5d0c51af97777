package kannel_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"maillon/internal/sms"
	"maillon/internal/sms/kannel"
	"maillon/internal/sms/kannel/kanneltest"
	"maillon/internal/sms/smstest"
)

// real is our gateway on a real Kannel.
type real struct {
	*kannel.Gateway
	boxes  *kanneltest.Boxes
	inbox  *smstest.Inbox
	stop   func()
	broken atomic.Int64 // how many posts are still answered 500
}

func startReal(t *testing.T) *real {
	t.Helper()
	r := &real{inbox: new(smstest.Inbox)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if r.broken.Add(-1) >= 0 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		r.Handler().ServeHTTP(w, req)
	}))
	t.Cleanup(server.Close)
	r.boxes = kanneltest.Start(t, server.URL)
	g, err := kannel.New(r.boxes.Config())
	if err != nil {
		t.Fatal(err)
	}
	r.Gateway = g
	r.stop = smstest.Start(t, g, r.inbox)
	return r
}

func (r *real) hasTexts(want ...string) func() bool {
	return func() bool {
		var got []string
		for _, m := range r.inbox.Messages() {
			got = append(got, m.Text)
		}
		slices.Sort(got)
		slices.Sort(want)
		return slices.Equal(got, want)
	}
}

func outgoing(t *testing.T, id, text string) sms.Outgoing {
	t.Helper()
	to, err := sms.FromE164(smstest.Member)
	if err != nil {
		t.Fatal(err)
	}
	return sms.Outgoing{ID: id, To: to, Text: text, Validity: 10 * time.Minute}
}

func TestRealKannelCarriesBothWays(t *testing.T) {
	r := startReal(t)
	network := r.boxes.RunFakeSMSC()
	network.Inject(smstest.Member, "vir 20 @lena")
	smstest.Eventually(t, "the SMS is in", r.hasTexts("vir 20 @lena"))
	m := r.inbox.Messages()[0]
	if m.From != smstest.Member[1:] || m.To != kanneltest.Line || time.Since(m.SentAt).Abs() > time.Minute {
		t.Errorf("came in: %+v", m)
	}
	if from, err := sms.ParseNumber(m.From, "FR"); err != nil || from.E164() != smstest.Member {
		t.Errorf("its sender: %v, %v", from, err)
	}
	if _, err := r.Send(t.Context(), outgoing(t, "K7F2", "Payé 12,50 € à Zoé")); err != nil {
		t.Fatal(err)
	}
	smstest.Eventually(t, "the telephone shows the answer", func() bool {
		sent := network.Sent()
		return len(sent) == 1 && sent[0].Text == "Payé 12,50 € à Zoé" && sent[0].To == smstest.Member
	})
	smstest.Eventually(t, "it is reported delivered", func() bool {
		// Kannel reports "accepted" and "delivered" at once, in any order.
		return slices.ContainsFunc(r.inbox.Reports(), func(r sms.Report) bool { return r.ID == "K7F2" && r.State == sms.Delivered })
	})
	if !r.Health().Up {
		t.Errorf("health: %+v", r.Health())
	}
}

func TestRealKannelKeepsEveryAlphabet(t *testing.T) {
	r := startReal(t)
	network := r.boxes.Connect()
	texts := []string{"vir 20 @lena", "Reçu — « trugarez » 👍", "Перевод 10 м"}
	for i, text := range texts {
		network.Inject(smstest.Member, text)
		smstest.Eventually(t, "in: "+text, r.hasTexts(slices.Clone(texts[:i+1])...))
		if _, err := r.Send(t.Context(), outgoing(t, "a1", text)); err != nil {
			t.Fatal(err)
		}
		smstest.Eventually(t, "out: "+text, func() bool {
			sent := network.Sent()
			return len(sent) == i+1 && sent[i].Text == text && sent[i].To == smstest.Member
		})
	}
}

// Three times 500, three times 503, then 200: one effect, and Kannel writes
// nothing of its own to the member.
func TestRealKannelRepeatsUntilWeHaveCommitted(t *testing.T) {
	r := startReal(t)
	network := r.boxes.Connect()
	r.broken.Store(3)
	r.inbox.Refuse(2)
	r.inbox.Lose(1)
	network.Inject(smstest.Member, "vir 20 @lena")
	smstest.Eventually(t, "the SMS is committed, and came once more", func() bool {
		return len(r.inbox.Messages()) == 1 && r.inbox.Repeated() == 1
	})
	if sent := network.Sent(); len(sent) != 0 {
		t.Errorf("Kannel wrote to the member: %v", sent)
	}
}

func TestRealKannelKeepsWhatComesWhileWeAreDown(t *testing.T) {
	r := startReal(t)
	network := r.boxes.Connect()
	r.stop()
	texts := []string{"un", "deux", "trois", "quatre"}
	for _, text := range texts {
		network.Inject(smstest.Member, text)
	}
	time.Sleep(3 * time.Second)
	if got := r.inbox.Messages(); len(got) != 0 {
		t.Fatalf("came in while down: %v", got)
	}
	smstest.Start(t, r.Gateway, r.inbox)
	smstest.Eventually(t, "all are in", r.hasTexts(texts...))
}

func TestRealKannelWithoutSMSBoxIsBusy(t *testing.T) {
	r := startReal(t)
	network := r.boxes.Connect()
	r.boxes.StopSMSBox()
	if _, err := r.Send(t.Context(), outgoing(t, "a1", "code 482 913")); !errors.Is(err, sms.ErrBusy) {
		t.Errorf("Send = %v, want ErrBusy", err)
	}
	network.Inject(smstest.Member, "vir 20 @lena")
	r.boxes.StartSMSBox()
	smstest.Eventually(t, "the SMS is in", r.hasTexts("vir 20 @lena"))
	if _, err := r.Send(t.Context(), outgoing(t, "a2", "code 482 913")); err != nil {
		t.Errorf("Send = %v", err)
	}
	smstest.Eventually(t, "the code is out", func() bool { return len(network.Sent()) == 1 })
}
