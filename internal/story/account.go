package story

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"maillon/internal/money"
)

func (p *parser) phone(name string) error {
	if _, ok := p.phones[name]; !ok {
		return fmt.Errorf("unknown phone %q", name)
	}
	return nil
}

func (p *parser) account(name string) error {
	if ofAssociation(name) {
		return nil
	}
	if err := p.phone(name); err != nil {
		return fmt.Errorf("unknown account %q", name)
	}
	return nil
}

// transfer reads the accounts and the amount of a transfer.
func (p *parser) transfer(from, to, amount string) (int64, error) {
	if err := errors.Join(p.account(from), p.account(to)); err != nil {
		return 0, err
	}
	if from == to {
		return 0, errors.New("from an account to itself")
	}
	return p.positive(amount)
}

func (p *parser) positive(text string) (int64, error) {
	n, err := p.signed(text)
	if err == nil && n <= 0 {
		return 0, fmt.Errorf("%q is not more than zero", text)
	}
	return n, err
}

// signed reads an amount in units: "50", "-12.5" where there are decimals.
func (p *parser) signed(text string) (int64, error) {
	digits, negative := strings.CutPrefix(text, "-")
	d, err := money.ParseDecimal(digits)
	if err != nil {
		return 0, fmt.Errorf("%q: %w", text, err)
	}
	amount, err := d.In(p.settings.Currency())
	if err != nil {
		return 0, fmt.Errorf("%q: %w", text, err)
	}
	if negative {
		return -amount.Minor(), nil
	}
	return amount.Minor(), nil
}

func (p *parser) administrator(name string) error {
	if err := p.phone(name); err != nil {
		return err
	}
	if !slices.Contains(Administrators(), name) {
		return fmt.Errorf("%s is no administrator", name)
	}
	return nil
}

// holdings reads account=balance words.
func (p *parser) holdings(args []string) ([]Balance, error) {
	given, err := pairs(args)
	if err != nil {
		return nil, err
	}
	all := make([]Balance, 0, len(given))
	for _, g := range given {
		if err := p.account(g.key); err != nil {
			return nil, err
		}
		amount, err := p.signed(g.value)
		if err != nil {
			return nil, err
		}
		all = append(all, Balance{g.key, amount})
	}
	return all, nil
}
