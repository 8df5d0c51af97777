package server_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"maillon/internal/money"
	"maillon/internal/phrase"
	"maillon/internal/server"
	"maillon/internal/setting"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// Whose order died while the server was away is told so when it is back, once;
// nobody else is.
func TestWhoseOrderDiedMeanwhileIsTold(t *testing.T) {
	book, err := phrase.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	secret, err := store.NewSecret()
	if err != nil {
		t.Fatal(err)
	}
	set := setting.Default()
	set.CodeTTL = 300 * time.Millisecond
	c := server.Config{Path: filepath.Join(t.TempDir(), "books.db"), Secret: secret, Settings: set, Book: book}

	atWork(t, c, func(s *server.Server) {
		err := s.DB.Update(t.Context(), func(tx *store.Tx) error {
			for i, nick := range []string{"yann", "lena", "gwen"} {
				n, err := sms.FromE164("+336399800" + string(rune('1'+i)) + "0")
				if err != nil {
					return err
				}
				m, err := s.Treasury.Add(t.Context(), tx, treasury.Operator, treasury.NewMember{Number: n, Nick: nick})
				if err != nil {
					return err
				}
				if _, err := s.Treasury.Grant(t.Context(), tx, treasury.Operator, nil, m, sms.Number{}, money.New(20, set.Currency()), "atelier"); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		in := sms.Incoming{Gateway: "virtual", Key: "1", From: "+33639980010", Text: "vir 5 @lena", SentAt: time.Now()}
		if err := s.Teller.Receive(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	})
	time.Sleep(2 * set.CodeTTL)
	for start, want := range []int{1, 1} { // in all, after each start
		atWork(t, c, func(s *server.Server) {
			if got := told(t, s); got != want {
				t.Errorf("start %d: %d were told that the service is back, want %d", start+1, got, want)
			}
		})
	}
}

// atWork opens a server, lets it work until do is done, and closes it.
func atWork(t *testing.T, c server.Config, do func(*server.Server)) {
	t.Helper()
	s, err := server.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	time.Sleep(100 * time.Millisecond) // it says what it has to say at the start
	do(s)
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// told counts the SMS to yann that say that the service is back, and fails for
// any to somebody else.
func told(t *testing.T, s *server.Server) (n int) {
	t.Helper()
	err := s.DB.View(t.Context(), func(tx *store.Tx) error {
		out, err := tx.Outbox(t.Context(), 0, 100)
		for _, o := range out {
			if !strings.HasPrefix(o.Text, "Service rétabli") {
				continue
			}
			if n++; o.To.E164() != "+33639980010" {
				t.Errorf("somebody without an order was told")
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
