package cli

import (
	"context"
	"errors"
	"fmt"

	"maillon/internal/grammar"
	"maillon/internal/server"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// configured names the configuration file in the journal.
const configured = "configuration"

// Register makes administrators of those whom the configuration names: who is
// new is registered under the name, and who has another role or ceiling gets
// that one. Whoever is not named stays as is.
func (c Config) Register(ctx context.Context, s *server.Server) error {
	if len(c.Administrators) == 0 {
		return nil
	}
	return s.DB.Update(ctx, func(tx *store.Tx) error {
		for _, a := range c.Administrators {
			if err := register(ctx, tx, s, a); err != nil {
				return exitf(ExitUsage, "administrator.%s: %w", a.Name, err)
			}
		}
		return nil
	})
}

func register(ctx context.Context, tx *store.Tx, s *server.Server, a AdministratorConfig) error {
	m, err := tx.MemberByNumber(ctx, a.Number)
	if errors.Is(err, store.ErrNotFound) {
		nick, err := checkNick(s, a.Name)
		if err != nil {
			return err
		}
		_, err = s.Treasury.Add(ctx, tx, configured, treasury.NewMember{
			Number: a.Number, Nick: nick, Language: a.Language, Role: a.Role, Ceiling: a.Ceiling, NoMember: !a.Member,
		})
		return err
	}
	if err != nil || m.Role == a.Role && m.Ceiling == a.Ceiling.Minor() {
		return err
	}
	return s.Treasury.SetRole(ctx, tx, configured, m, a.Role, a.Ceiling)
}

// checkNick reads a pseudo by the rules that hold for SMS.
func checkNick(s *server.Server, text string) (string, error) {
	nick := grammar.Fold(text)
	if !nickForm.MatchString(nick) || !hasLetter.MatchString(nick) {
		return "", fmt.Errorf("%q: a pseudo has %d to %d letters or digits, and at least one letter", text, minNick, maxNick)
	}
	if s.Teller.Reserved(nick) {
		return "", fmt.Errorf("%q: this word is a command or stands for the association; choose another one", text)
	}
	return nick, nil
}
