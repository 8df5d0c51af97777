package teller_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// Many forged numbers that ask about lost phones cost only so much; an account
// is still protected by whoever has its card.
func TestStrangersAskAboutLostPhones(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCounter(t)
		answered := 0
		for i := range 300 {
			n, err := sms.FromE164(fmt.Sprintf("+336399801%02d", i/10))
			if err != nil {
				t.Fatal(err)
			}
			c.people["stranger"] = n
			if c.says("stranger", "perdu @lena") != "" {
				answered++
			}
		}
		if answered == 0 || answered > 100 {
			t.Errorf("%d answers to strangers who proved nothing, want at most 100", answered)
		}
		cells := map[string]string{}
		asked := ""
		c.update(func(ctx context.Context, tx *store.Tx) error {
			m, err := tx.MemberByNick(ctx, "lena")
			if err != nil {
				return err
			}
			if cells, err = c.Treasury.IssueCard(ctx, tx, treasury.Operator, m); err != nil {
				return err
			}
			asked, err = c.Desk.Cell(ctx, tx, m)
			return err
		})
		n, err := sms.FromE164("+33639980199")
		if err != nil {
			t.Fatal(err)
		}
		c.people["borrowed"] = n
		if got := c.says("borrowed", "perdu @lena "+cells[asked]); !strings.HasPrefix(got, "Noté: compte lena bloqué") {
			t.Errorf("the right cell is answered by %q", got)
		}
	})
}
