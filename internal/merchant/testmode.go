package merchant

import (
	"context"
	"fmt"
	"time"

	"maillon/internal/notice"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/trade"
)

// testGateway is where the messages of test mode come from.
const testGateway = "test"

// testKey names a message, which two merchants may name alike.
func testKey(m *trade.Merchant, key string) string { return fmt.Sprintf("%d:%s", m.ID, key) }

// A Message is an SMS that a merchant injects in test mode.
type Message struct {
	From, Text string
	Key        string // the same for a repeated delivery; it is done once
	Proof      sms.Proof
	Charge     *sms.Charge
}

// Inject does what an SMS would do, and returns the answer, which goes nowhere; ""
// if nobody would be answered. A repeated one returns the first answer.
func (s *Service) Inject(ctx context.Context, tx *store.Tx, m *trade.Merchant, msg Message) (string, error) {
	if !m.Test {
		return "", ErrTestOnly
	}
	n, err := s.number(msg.From)
	if err != nil {
		return "", err
	}
	ref := tx.Mac("injected", msg.Key)
	if r, err := tx.RecordByRef(ctx, kindInjected, m.ID, ref); err == nil {
		return string(r.Body), nil
	}
	answer := ""
	t := &talk{
		Service: s, tx: tx, from: address{Number: n.E164(), Language: s.Set.Language},
		in: sms.Incoming{Gateway: testGateway, Key: testKey(m, msg.Key), From: msg.From, Text: msg.Text, Proof: msg.Proof, Charge: msg.Charge, SentAt: tx.Now()},
	}
	t.reply = func(_ context.Context, key string, f notice.Fields) (err error) {
		answer, err = s.Voice.Text(t.from.language(s), key, f)
		return err
	}
	if _, err := s.hear(ctx, t, m); err != nil {
		return "", err
	}
	if msg.Key == "" {
		return answer, nil
	}
	return answer, tx.SaveRecord(ctx, &store.Record{Kind: kindInjected, Owner: m.ID, Ref: ref, Loose: true, Body: []byte(answer)})
}

// kindInjected are the messages of test mode that came, with their answers.
const kindInjected = "injected"

// InjectBill does what an operator's bill for an injected message would do.
func (s *Service) InjectBill(ctx context.Context, tx *store.Tx, m *trade.Merchant, key string, state sms.ChargeState) error {
	if !m.Test {
		return ErrTestOnly
	}
	return s.bill(ctx, tx, sms.Bill{Gateway: testGateway, Key: testKey(m, key), State: state})
}

// maxClock bounds how far a clock of test mode is set.
const maxClock = 10 * 366 * 24 * time.Hour

// SetClock sets the clock of a merchant's test mode forward: what falls due until
// then happens at once, in its order.
func (s *Service) SetClock(ctx context.Context, tx *store.Tx, m *trade.Merchant, at time.Time) error {
	if !m.Test {
		return ErrTestOnly
	}
	now := s.Now(tx, m)
	ahead := at.Sub(tx.Now())
	if at.Before(now) || ahead > maxClock {
		return ErrAmount
	}
	m.Clock = ahead
	if err := s.saveMerchant(ctx, tx, m); err != nil {
		return err
	}
	for more := true; more; {
		var err error
		if more, err = s.fall(ctx, tx, m, at); err != nil {
			return err
		}
	}
	fresh, err := s.Merchant(ctx, tx, m.ID)
	if err == nil {
		*m = *fresh
	}
	return err
}
