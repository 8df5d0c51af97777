package story

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"maillon/internal/money"
)

func (p *parser) set(args []string) error {
	all, err := pairs(args)
	if err != nil {
		return err
	}
	for _, one := range all {
		if _, ok := p.story.Setup.Settings[one.key]; ok {
			return fmt.Errorf("%s is set twice", one.key)
		}
		if err := p.settings.Set(one.key, one.value); err != nil {
			return err
		}
		p.story.Setup.Settings[one.key] = one.value
	}
	return nil
}

func (p *parser) give(args []string) error {
	all, err := p.holdings(args)
	if err != nil {
		return err
	}
	for _, b := range all {
		if p.given[b.Account] {
			return fmt.Errorf("%s is given twice", b.Account)
		}
		if b.Amount < 0 && !mayOwe(b.Account) {
			return fmt.Errorf("%s may not be below zero", b.Account)
		}
		p.given[b.Account] = true
	}
	p.story.Setup.Given = append(p.story.Setup.Given, all...)
	p.balanced = p.line
	return nil
}

func (p *parser) renew(args []string) error {
	for _, name := range args {
		if err := p.owner(name); err != nil {
			return err
		}
		if p.fresh[name] {
			return fmt.Errorf("%s is there twice", name)
		}
		p.fresh[name] = true
		p.story.Setup.New = append(p.story.Setup.New, name)
	}
	return nil
}

func (p *parser) past(args []string) error {
	if len(args) != 4 {
		return errors.New("YYYY-MM-DD from to amount is expected")
	}
	at, err := before(args[0], p.story.Setup.At)
	if err != nil {
		return err
	}
	amount, err := p.transfer(args[1], args[2], args[3])
	if err != nil {
		return err
	}
	for _, account := range args[1:3] {
		if !ofAssociation(account) {
			p.owners = append(p.owners, use{p.line, account})
		}
	}
	p.story.Setup.Past = append(p.story.Setup.Past, Past{At: at, From: args[1], To: args[2], Amount: amount})
	return nil
}

var (
	cellName  = regexp.MustCompile(`^[A-Z][1-9]$`)
	cellValue = regexp.MustCompile(`^[0-9]{4}$`)
)

func (p *parser) card(args []string) error {
	name := args[0]
	if err := p.owner(name); err != nil {
		return err
	}
	if p.story.Setup.Cards[name] != nil {
		return fmt.Errorf("%s has a card already", name)
	}
	cells, err := pairs(args[1:])
	if err != nil {
		return err
	}
	if len(cells) == 0 {
		return errors.New("a card has cells")
	}
	card := make(map[string]string, len(cells))
	for _, c := range cells {
		if !cellName.MatchString(c.key) || !cellValue.MatchString(c.value) {
			return fmt.Errorf("%q is not a cell such as B3=7304", c.key+"="+c.value)
		}
		card[c.key] = c.value
	}
	p.story.Setup.Cards[name] = card
	return nil
}

// openPrice is the price of what the buyer says.
const openPrice = "open"

var shortID = regexp.MustCompile(`^[2-9][A-Z]{2}[2-9]$`)

func (p *parser) stall(args []string) error {
	s := Stall{Name: args[0]}
	if err := p.owner(s.Name); err != nil {
		return err
	}
	if slices.ContainsFunc(p.story.Setup.Stalls, func(other Stall) bool { return other.Name == s.Name }) {
		return fmt.Errorf("%s has a stall already", s.Name)
	}
	items, err := pairs(args[1:])
	if err != nil {
		return err
	}
	for _, i := range items {
		item := Item{Short: i.key}
		if !shortID.MatchString(i.key) {
			return fmt.Errorf("%q is not a short id such as 7KQ2", i.key)
		}
		if i.value != openPrice {
			if item.Amount, err = p.positive(i.value); err != nil {
				return err
			}
		}
		s.Items = append(s.Items, item)
	}
	p.story.Setup.Stalls = append(p.story.Setup.Stalls, s)
	return nil
}

func (p *parser) seen(args []string) error {
	if len(args) != 2 {
		return errors.New("name YYYY-MM-DD is expected")
	}
	if err := p.phone(args[0]); err != nil {
		return err
	}
	if _, ok := p.story.Setup.Seen[args[0]]; ok {
		return fmt.Errorf("%s is there twice", args[0])
	}
	at, err := before(args[1], p.story.Setup.At)
	if err != nil {
		return err
	}
	p.story.Setup.Seen[args[0]] = at
	return nil
}

// settled checks what only a whole header shows.
func (p *parser) settled() error {
	sum := money.New(0, p.settings.Currency())
	for _, b := range p.story.Setup.Given {
		total, err := sum.Add(money.New(b.Amount, sum.Currency()))
		if err != nil {
			return p.fault(p.balanced, fmt.Errorf("@given: %w", err))
		}
		sum = total
	}
	if !sum.IsZero() {
		return p.fault(p.balanced, fmt.Errorf("@given: the sum is %s, not zero", sum.Plain()))
	}
	for _, u := range p.owners {
		if !p.given[u.account] {
			return p.fault(u.line, fmt.Errorf("%s is not in @given", u.account))
		}
	}
	return nil
}

// owner checks a phone that must have an account at the start.
func (p *parser) owner(name string) error {
	p.owners = append(p.owners, use{p.line, name})
	return p.phone(name)
}
