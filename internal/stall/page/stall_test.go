package page_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"maillon/internal/money"
	"maillon/internal/otp"
	"maillon/internal/stall"
	"maillon/internal/stall/page"
)

// A market is one stall in memory, quick and real: links good once, devices, sales.
type market struct {
	mu      sync.Mutex
	links   map[string]stall.Enrolment
	revoked map[string]bool // by bearer
	sales   map[string]stall.Passed
	skew    time.Duration // of the server's clock
}

const token = "k3J9-example-of-a-link"

var key = []byte("thirty-two octets of a real key!")

func newMarket() *market {
	five := int64(500)
	return &market{
		links: map[string]stall.Enrolment{token: {
			Device: "otp_7", Stall: "Miel & pain", Algorithm: "numbered", Key: key, Currency: "MAIL", Symbol: "m", Decimals: 2,
			Templates: []stall.Offer{{ID: "7KQ2", Description: "Pot de miel", Amount: &five}, {ID: "3FHX", Description: "Légumes, au poids"}},
		}},
		revoked: map[string]bool{}, sales: map[string]stall.Passed{},
	}
}

// Enrol implements page.Devices.
func (s *market) Enrol(_ context.Context, token string) (*stall.Enrolment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.links[token]
	if !ok {
		return nil, stall.ErrLink
	}
	delete(s.links, token)
	e.Bearer, e.Time = rand.Text(), s.now().UnixMilli()
	s.revoked[e.Bearer] = false
	return &e, nil
}

// Sync implements page.Devices.
func (s *market) Sync(_ context.Context, bearer string, sales []stall.Passed) (*stall.Answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	revoked, ok := s.revoked[bearer]
	if !ok {
		return nil, stall.ErrDevice
	}
	for _, sale := range sales {
		s.sales[fmt.Sprint(sale.Step, ":", sale.Number)] = sale
	}
	five := int64(500)
	return &stall.Answer{
		Time: s.now().UnixMilli(), Revoked: revoked,
		Templates: []stall.Offer{{ID: "7KQ2", Description: "Pot de miel", Amount: &five}, {ID: "3FHX", Description: "Légumes, au poids"}, {ID: "9WTN", Description: "Pain", Amount: &five}},
	}, nil
}

func (s *market) now() time.Time { return time.Now().Add(s.skew) }

func (s *market) revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for bearer := range s.revoked {
		s.revoked[bearer] = true
	}
}

func (s *market) sold() (amounts, back int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sale := range s.sales {
		amounts += sale.Amount
		if sale.GivenBack != nil {
			back += sale.Amount
		}
	}
	return amounts, back
}

// code is what the telephone of a buyer who pays now shows.
func code(t *testing.T, number int, amount int64) string {
	t.Helper()
	mail := money.Currency{Code: "MAIL", Decimals: 2}
	text, err := otp.Numbered.Code(key, otp.StepOf(time.Now()), number, money.New(amount, mail))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func handler(t *testing.T, s page.Devices) http.Handler {
	t.Helper()
	h, err := page.New(s)
	if err != nil {
		t.Fatal(err)
	}
	return h
}
