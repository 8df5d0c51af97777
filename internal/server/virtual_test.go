package server_test

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"maillon/internal/courier"
	"maillon/internal/sms"
	"maillon/internal/sms/smstest"
	"maillon/internal/sms/virtual"
	"maillon/internal/story"
)

func TestVirtualPhonesCarryAPayment(t *testing.T) {
	g := virtual.New("phones")
	playStory(t, network{
		line: courier.Line{Name: "phones", Gateway: g, Number: story.ServerNumber().E164()},
		write: func(from sms.Number, text string) {
			at := time.Now()
			for range 2 { // the network stutters
				if err := g.Text(t.Context(), from, text, at); err != nil {
					t.Errorf("an SMS was not taken: %v", err)
				}
			}
		},
		got:    func() []smstest.Message { return onPhones(g) },
		times:  2,
		refuse: func() { g.Break(sms.ErrRefused) },
	})
}

// onPhones returns what reached the phones, in its order.
func onPhones(g *virtual.Gateway) (got []smstest.Message) {
	for _, number := range story.Phones() {
		for _, b := range g.Thread(number) {
			if !b.Mine {
				got = append(got, smstest.Message{To: number.E164(), Text: b.Text, SentAt: b.At})
			}
		}
	}
	slices.SortFunc(got, func(a, b smstest.Message) int { return cmp.Or(a.SentAt.Compare(b.SentAt), cmp.Compare(a.To, b.To)) })
	return got
}
