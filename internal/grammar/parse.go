package grammar

import (
	"slices"
	"strings"
)

// Parse returns the command that text means. Its error is always a
// *Misunderstanding.
func (p *Parser) Parse(text string) (Command, error) {
	line := firstLine(text)
	all := p.words(line)
	begin, says := 0, 0
	var single word
	for i, w := range all {
		if !w.says() {
			continue
		}
		if says == 0 {
			begin, single = i, w
		}
		says++
	}
	plain := ""
	if says == 1 && single.text != "?" && single.key == "" {
		plain = single.typed()
	}
	if says == 0 {
		if line == "?" {
			return Command{Verb: Help}, nil
		}
		return Command{Verb: Silence, Plain: plain}, nil
	}
	c, wrong := p.read(all[begin:])
	if wrong != nil {
		wrong.Verb, wrong.Language, wrong.Plain = c.Verb, c.Language, plain
		return Command{}, wrong
	}
	c.Plain = plain
	return c, nil
}

// read tells what kind of text it is by its first word.
func (p *Parser) read(words []word) (Command, *Misunderstanding) {
	first := words[0]
	if first.key != "" {
		return p.keyed(words)
	}
	if m, ok := p.verbs[first.text]; ok {
		return p.command(Command{Verb: m.is, Language: m.language}, words[1:])
	}
	if p.keys[first.text].is == slotCode {
		if code := code(words[1:]); code != "" {
			return Command{Verb: Yes, Code: code}, nil
		}
	}
	if c, rest, ok := p.glued(words); ok {
		return p.command(c, rest)
	}
	if code, ok := p.bareCode(words); ok {
		return Command{Verb: Yes, Code: code}, nil
	}
	if c, wrong, ok := p.bare(words); ok {
		return c, wrong
	}
	if m, ok := p.guess(first.text); ok {
		return p.command(Command{Verb: m.is, Language: m.language, Guessed: true}, words[1:])
	}
	return Command{}, &Misunderstanding{Key: notUnderstood}
}

// keyed reads a text that begins with a key; the verb is the key that is one.
func (p *Parser) keyed(words []word) (Command, *Misunderstanding) {
	verbs := map[string]Verb{slotPay: Pay, slotAsk: Ask, slotNick: Nick, slotCode: Yes}
	for _, slots := range [][]string{{slotPay, slotAsk}, {slotNick, slotCode}} {
		for i, w := range words {
			if !slices.Contains(slots, w.key) {
				continue
			}
			c := Command{Verb: verbs[w.key], Language: p.keys[w.text].language}
			if helpKeys[c.Verb] == "" {
				return p.command(c, words[i+1:])
			}
			return p.command(c, words)
		}
	}
	return Command{}, &Misunderstanding{Key: notUnderstood}
}

// glued reads a verb that is glued to its amount or code: "pay5", "vir50".
func (p *Parser) glued(words []word) (c Command, rest []word, ok bool) {
	text := figureText(words[0])
	at := strings.IndexFunc(text, isDigit)
	if at <= 0 {
		return c, nil, false
	}
	m, ok := p.verbs[strings.Trim(text[:at], around)]
	if !ok {
		return c, nil, false
	}
	switch m.is {
	case Pay, Ask, Credit, Voucher:
		if f := p.figure(text[at:]); f.key == malformed || f.key == foreignUnit && !isCurrency(strings.Trim(text[at:], "0123456789.,")) {
			return c, nil, false
		}
	case Yes, History:
		if !digits(text[at:]) {
			return c, nil, false
		}
	default:
		return c, nil, false
	}
	raw := words[0].raw
	head := newWord(raw[strings.IndexFunc(raw, isDigit):])
	return Command{Verb: m.is, Language: m.language}, append([]word{head}, words[1:]...), true
}

// minGuess is the number of letters from which a misspelt verb may be read.
const minGuess = 4

// guess returns the verb that text is one slip away from, if there is one alone
// and it only reads.
func (p *Parser) guess(text string) (found meaning[Verb], ok bool) {
	if n := len([]rune(text)); n < minGuess || n > maxGuess {
		return found, false
	}
	near := map[Verb]meaning[Verb]{}
	long := false
	for verb, m := range p.verbs {
		if !oneSlip([]rune(text), []rune(verb)) {
			continue
		}
		long = long || len([]rune(verb)) >= minGuess
		if other, ok := near[m.is]; ok && other.language != m.language {
			m.language = ""
		}
		near[m.is] = m
	}
	if len(near) != 1 || !long {
		return found, false
	}
	for _, m := range near {
		found = m
	}
	switch found.is {
	case Balance, History, Help, Verify, Till, State:
		return found, true
	}
	return found, false
}

// maxGuess bounds the words that are compared with verbs, in letters.
const maxGuess = 24

// oneSlip reports whether a becomes b by one letter too many, too few, wrong,
// or exchanged with its neighbour.
func oneSlip(a, b []rune) bool {
	if len(a) < len(b) {
		a, b = b, a
	}
	if len(a)-len(b) > 1 {
		return false
	}
	i := 0
	for i < len(b) && a[i] == b[i] {
		i++
	}
	if len(a) > len(b) {
		return string(a[i+1:]) == string(b[i:])
	}
	if i == len(a) || string(a[i+1:]) == string(b[i+1:]) {
		return i < len(a)
	}
	return i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && string(a[i+2:]) == string(b[i+2:])
}
