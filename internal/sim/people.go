package sim

import (
	"context"
	"fmt"
	"time"

	"maillon/internal/member"
	"maillon/internal/sms"
	"maillon/internal/store"
)

const (
	peopleTogether = 250 // members registered in one transaction
	peopleSince    = 365 * 24 * time.Hour
	peopleNumbers  = 33_600_000_000 // the number before the first member's
)

// FillTown makes large books for measuring pages: members with numbers and
// pseudos, and as many transfers, each with the order that it was, as
// FillBooks would make. The file must be new.
func FillTown(ctx context.Context, path string, secret store.Secret, members, transfers int64, progress func(done, total int64)) error {
	f := filling(members, transfers, progress)
	f.Orders = true
	if err := store.Fill(ctx, path, secret, f); err != nil {
		return err
	}
	db, err := store.Open(ctx, path, secret)
	if err != nil {
		return err
	}
	for first := int64(1); first <= members && err == nil; first += peopleTogether {
		err = db.Update(ctx, func(tx *store.Tx) error {
			for n := first; n < min(first+peopleTogether, members+1); n++ {
				if err := register(ctx, tx, n, members); err != nil {
					return fmt.Errorf("register member %d: %w", n, err)
				}
			}
			return nil
		})
	}
	if closing := db.Close(); err == nil {
		err = closing
	}
	return err
}

// register opens the account of the member with a number, who came as long ago
// as the others came before.
func register(ctx context.Context, tx *store.Tx, n, members int64) error {
	number, err := sms.FromE164(fmt.Sprintf("+%d", peopleNumbers+n))
	if err != nil {
		return err
	}
	since := tx.Now().Add(-peopleSince * time.Duration(members-n) / time.Duration(members))
	m := &member.Member{State: member.Active, Number: number, Language: "fr", OpenedAt: since, SeenAt: tx.Now()}
	if err := tx.CreateMember(ctx, m); err != nil {
		return err
	}
	if int64(m.ID) != n {
		return fmt.Errorf("it is member %d: the books are not new", m.ID)
	}
	return tx.TakeNick(ctx, m, fmt.Sprintf("m%d", 100_000+n), time.Time{})
}
