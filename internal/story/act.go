package story

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"maillon/internal/sms"
)

// A reader checks one argument or attribute of an act that happens at a moment,
// and returns what it means.
type reader func(p *parser, text string, at time.Time) (string, error)

// A form is how an act is written.
type form struct {
	args     []reader
	required map[string]reader
	optional map[string]reader
}

// forms returns every act of an administrator, by name.
func forms() map[string]form {
	why := map[string]reader{"motif": anything}
	one := func(r reader) form { return form{args: []reader{r}} }
	return map[string]form{
		"credit":            {args: []reader{anyAccount, anyAmount}, required: why},
		"reverse":           {args: []reader{anyRef}, required: why},
		"dispute":           {args: []reader{anyRef, choice("return", "keep")}},
		"release":           one(anyRef),
		"reject":            one(anyRef),
		"freeze":            one(anyPhone),
		"unfreeze":          one(anyPhone),
		"renumber":          {args: []reader{anyPhone, anyNumber}, required: map[string]reader{"proof": choice("carte", "parrains", "desk")}},
		"pause":             {},
		"resume":            {},
		"revoke-sessions":   one(anyAdministrator),
		"renew-credentials": one(anyAdministrator),
		"restore preview": {
			required: map[string]reader{"t0": earlier, "scope": choice("tainted", "accounts", "all", "undo")},
			optional: map[string]reader{"accounts": accountList, "keep": accountList},
		},
		"restore approve": {},
		"demurrage run":   one(period),
	}
}

// act reads what an administrator does at a moment.
func (p *parser) act(line string, at time.Time) (Act, error) {
	all, err := words(line)
	if err != nil {
		return Act{}, err
	}
	name, args := all[0], all[1:]
	if (name == "restore" || name == "demurrage") && len(args) > 0 {
		name, args = name+" "+args[0], args[1:]
	}
	form, ok := forms()[name]
	if !ok {
		return Act{}, fmt.Errorf("unknown act %q", name)
	}
	act, err := form.read(p, args, at)
	if err != nil {
		return Act{}, fmt.Errorf("%s: %w", name, err)
	}
	act.Name = name
	return act, nil
}

func (f form) read(p *parser, args []string, at time.Time) (Act, error) {
	if len(args) < len(f.args) {
		return Act{}, fmt.Errorf("%d words are expected after the act", len(f.args))
	}
	act := Act{Args: make([]string, 0, len(f.args)), Attributes: map[string]string{}}
	for i, read := range f.args {
		value, err := read(p, args[i], at)
		if err != nil {
			return Act{}, err
		}
		act.Args = append(act.Args, value)
	}
	given, err := pairs(args[len(f.args):])
	if err != nil {
		return Act{}, err
	}
	for _, g := range given {
		read := f.required[g.key]
		if read == nil {
			read = f.optional[g.key]
		}
		if read == nil {
			return Act{}, fmt.Errorf("unknown attribute %q", g.key)
		}
		value, err := read(p, g.value, at)
		if err != nil {
			return Act{}, fmt.Errorf("%s: %w", g.key, err)
		}
		act.Attributes[g.key] = value
	}
	return act, f.complete(act)
}

// complete checks that nothing is missing.
func (f form) complete(a Act) error {
	for key := range f.required {
		if a.Attributes[key] == "" {
			return fmt.Errorf("%s= is missing", key)
		}
	}
	if a.Attributes["scope"] == "accounts" && a.Attributes["accounts"] == "" {
		return errors.New("scope=accounts needs accounts=")
	}
	return nil
}

func anything(_ *parser, text string, _ time.Time) (string, error) { return text, nil }

func anyRef(_ *parser, text string, _ time.Time) (string, error) { return text, checkRef(text) }

func anyPhone(p *parser, text string, _ time.Time) (string, error) { return text, p.phone(text) }

func anyAccount(p *parser, text string, _ time.Time) (string, error) { return text, p.account(text) }

func anyAdministrator(p *parser, text string, _ time.Time) (string, error) {
	return text, p.administrator(text)
}

func anyAmount(p *parser, text string, _ time.Time) (string, error) {
	_, err := p.positive(text)
	return text, err
}

// anyNumber reads the number of a phone of the table, or its name, and returns
// it in E.164.
func anyNumber(p *parser, text string, _ time.Time) (string, error) {
	if n, ok := p.phones[text]; ok {
		return n.E164(), nil
	}
	n, err := sms.ParseNumber(text, "FR")
	if err != nil {
		return "", fmt.Errorf("%q: %w", text, err)
	}
	for _, known := range p.phones {
		if known == n {
			return n.E164(), nil
		}
	}
	return "", fmt.Errorf("%q is the number of no phone of stories", text)
}

// earlier reads a local time that is not after the act.
func earlier(_ *parser, text string, at time.Time) (string, error) {
	t, err := Moment(text)
	if err == nil && t.After(at) {
		err = fmt.Errorf("%s is after the act", text)
	}
	return text, err
}

func period(_ *parser, text string, _ time.Time) (string, error) {
	if _, err := read(monthLayout, text); err != nil {
		return "", fmt.Errorf("%q is not a period such as 2026-03", text)
	}
	return text, nil
}

func accountList(p *parser, text string, _ time.Time) (string, error) {
	for name := range strings.SplitSeq(text, ",") {
		if err := p.account(name); err != nil {
			return "", err
		}
	}
	return text, nil
}

func choice(all ...string) reader {
	return func(_ *parser, text string, _ time.Time) (string, error) {
		if !slices.Contains(all, text) {
			return "", fmt.Errorf("%q is not one of %s", text, strings.Join(all, ", "))
		}
		return text, nil
	}
}
