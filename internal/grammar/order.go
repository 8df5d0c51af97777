package grammar

import "strings"

// An order is the slots of a text that moves money, while they are filled.
type order struct {
	p       *Parser
	c       Command
	words   []word
	regions []int  // of each word; grows at every key, and no number or amount goes across
	used    []bool // the word fills a slot
	payee   int    // word after a key that announces the payee, or -1
	figure  int    // figure after a key that announces the amount, or -1
	memo    string // after a key that announces the memo
	have    bool   // there is an amount
	named   bool   // there is a payee with an "@", a number or a key
	short   string // digits that lack some to be a number
	wrong   *Misunderstanding
}

// helpKeys name the reply that shows how a verb is written.
var helpKeys = map[Verb]string{Pay: "aide.vir", Ask: "aide.demande", Credit: "aide.credite"}

// The keys of replies that are named more than once.
const (
	notUnderstood   = "incompris"
	ambiguousNumber = "ambigu.num"
	shortNumber     = "num.court"
)

func help(v Verb) *Misunderstanding {
	if key, ok := helpKeys[v]; ok {
		return &Misunderstanding{Key: key}
	}
	return &Misunderstanding{Key: notUnderstood}
}

// transfer reads the words of a verb that moves money between two people.
func (p *Parser) transfer(c Command, words []word) (Command, *Misunderstanding) {
	if c.Verb == Pay {
		if c, wrong, is := p.item(c, words); is {
			return c, wrong
		}
	}
	o, ok := p.order(c, words)
	if !ok {
		return c, help(c.Verb)
	}
	o.fill()
	o.name()
	if wrong := o.complete(); wrong != nil {
		return c, wrong
	}
	o.c.Memo = memo(strings.TrimSpace(o.memo + " " + o.rest()))
	if c.Verb == Credit && o.c.Memo == "" {
		return c, help(Credit)
	}
	return o.c, nil
}

// bare reads an amount and a payee without a verb: no other word may stand
// there, or it is no order.
func (p *Parser) bare(words []word) (c Command, wrong *Misunderstanding, is bool) {
	o, ok := p.order(Command{Verb: Pay, Bare: true}, words)
	if !ok {
		return c, nil, false
	}
	o.fill()
	for i, w := range words {
		if _, at := w.name(); !o.used[i] && w.says() && (o.wrong == nil || !at && !w.isFigure()) {
			return c, nil, false
		}
	}
	if !o.have && o.wrong == nil || !o.named && (o.wrong == nil || o.wrong.Key != ambiguousNumber) {
		return c, nil, false
	}
	return o.c, o.complete(), true
}

// order prepares the slots: it takes the keys out and notes what they announce.
// Two keys that announce the same are not understood.
func (p *Parser) order(c Command, words []word) (*order, bool) {
	o := &order{p: p, c: c, words: words, payee: -1, figure: -1}
	o.regions, o.used = make([]int, len(words)), make([]bool, len(words))
	region, memos := 0, false
	for i, w := range words {
		ok := true
		switch w.key {
		case slotMemo:
			ok, memos = !memos, true
			o.takeMemo(i)
		case slotTo, slotNumber, slotNick:
			ok = o.announce(&o.payee, i)
		case slotPay, slotAsk, slotAmount:
			if i+1 < len(words) && words[i+1].isFigure() {
				ok = o.announce(&o.figure, i)
			}
		default: // no key, or one that means nothing here
			o.regions[i] = region
			continue
		}
		if !ok {
			return nil, false
		}
		region++
		o.regions[i], o.used[i] = region, true
	}
	return o, o.figure < 0 || o.figure < 2 || !words[0].isFigure()
}

// announce notes that the key at word i announces what comes next.
func (o *order) announce(slot *int, i int) bool {
	next := i + 1
	for next < len(o.words)-1 && o.p.small[o.words[next].text] && o.words[next].key == "" {
		next++
	}
	if *slot >= 0 || next == len(o.words) || o.words[next].key != "" {
		return false
	}
	*slot = next
	return true
}

// takeMemo takes the words after the key at word i, up to the next key, as they
// were typed.
func (o *order) takeMemo(i int) {
	var raw []string
	for j := i + 1; j < len(o.words) && !o.p.inOrder(o.words[j].key); j++ {
		raw, o.used[j] = append(raw, o.words[j].raw), true
	}
	o.memo = strings.Join(raw, " ")
	if n := len(o.memo); n > 1 && o.memo[0] == o.memo[n-1] && strings.ContainsAny(o.memo[:1], `"'`) {
		o.memo = o.memo[1 : n-1]
	}
}

// inOrder reports whether a key announces a slot of an order.
func (p *Parser) inOrder(key string) bool { return key != "" && key != slotCode && key != slotRef }

// free reports whether word j is unused and in the region of word i.
func (o *order) free(i, j int) bool { return !o.used[j] && o.regions[i] == o.regions[j] }

func (o *order) use(from, to int) {
	for i := from; i < to; i++ {
		o.used[i] = true
	}
	for i := from - 1; i >= 0 && o.free(from, i) && o.p.small[o.words[i].text] && !o.c.Bare; i-- {
		o.used[i] = true
	}
}

// fill looks for the number, the name with "@" and the amount, in this order.
func (o *order) fill() {
	found, any, ok := o.phones()
	if !ok {
		o.wrong = &Misunderstanding{Key: ambiguousNumber}
		return
	}
	if any {
		o.use(found.from, found.to)
		o.c.To = Payee{Number: found.number, Typed: found.typed}
		o.named = true
	}
	o.announced()
	for i, w := range o.words {
		nick, at := w.name()
		if !at || nick == "" || o.used[i] {
			continue
		}
		if any { // a number and a name: who is meant?
			o.wrong = &Misunderstanding{Key: ambiguousNumber}
			return
		}
		if !o.named {
			o.pay(i, nick)
		}
	}
	o.amount()
}

// announced takes the payee that a key announces.
func (o *order) announced() {
	i := o.payee
	if i < 0 || o.used[i] {
		return
	}
	if s, end := o.row(i); end > i {
		o.use(i, end)
		o.short = s
		return
	}
	nick, _ := o.words[i].name()
	switch {
	case o.named:
		o.wrong = &Misunderstanding{Key: ambiguousNumber}
	case nick != "":
		o.pay(i, nick)
	}
}

func (o *order) pay(i int, nick string) {
	o.use(i, i+1)
	o.c.To = Payee{Nick: nick, Typed: nick}
	o.named = true
}

// amount takes the figure that a key announces, else the first that is left,
// with its unit.
func (o *order) amount() {
	i := o.figure
	if i < 0 || o.used[i] {
		for i = 0; i < len(o.words) && (o.used[i] || !o.words[i].isFigure()); i++ {
		}
	}
	if i == len(o.words) {
		return
	}
	if typed, ok := o.attempt(i); ok {
		if o.named {
			o.wrong = help(o.c.Verb)
			return
		}
		o.short = typed
		return
	}
	s, end := o.grouped(i)
	if (o.named || helpKeys[o.c.Verb] == "") && o.goesOn(end) { // else they may be a number that is too short
		o.wrong = help(o.c.Verb)
		return
	}
	if i > 0 && o.free(i-1, i) && o.words[i-1].raw == "-" {
		s = "-" + s
	}
	f := o.p.figure(s)
	typed := o.words[i].typed()
	o.use(i, end)
	if unit := end; f.unit == "" && unit < len(o.words) && o.free(i, unit) {
		symbol, ours := o.p.units[o.words[unit].text]
		switch {
		case ours:
			f.unit = symbol
			o.use(unit, unit+1)
		case isCurrency(o.words[unit].text):
			o.use(unit, unit+1)
			if f.key == "" {
				f.key, typed = foreignUnit, o.words[unit].typed()
			}
		}
	}
	o.settle(f, typed)
}

// goesOn reports whether more digits follow the figure that ends before word i,
// as in "12, 50" or "10 00": nobody can tell what was meant.
func (o *order) goesOn(i int) bool {
	if i == len(o.words) || !o.free(i-1, i) {
		return false
	}
	next := strings.TrimLeft(figureText(o.words[i]), ".,")
	return next != "" && strings.Trim(next, "0123456789.,-") == "" && isDigit(rune(next[0]))
}

func (o *order) settle(f figure, typed string) {
	switch f.key {
	case "":
		o.c.Amount, o.c.Unit, o.have = f.value, f.unit, true
	case malformed:
		o.wrong = help(o.c.Verb)
	default:
		o.wrong = &Misunderstanding{Key: f.key, Typed: first(typed, maxTyped), N: f.n, N2: f.n2}
	}
}

// maxTyped bounds the piece of text that a reply repeats, in characters.
const maxTyped = 8

// grouped returns the figure at word i, with the groups of three digits that
// follow: "1 000".
func (o *order) grouped(i int) (s string, end int) {
	s, end = figureText(o.words[i]), i+1
	if !digits(s) || len(s) > 3 || s[0] == '0' {
		return s, end
	}
	for ; digits(s) && end < len(o.words) && o.free(i, end); end++ {
		next := figureText(o.words[end])
		if len(next) < 3 || !digits(next[:3]) || len(next) > 3 && digits(next[3:4]) {
			break
		}
		s += next
	}
	return s, end
}

// name takes the first plain word that is left as the payee.
func (o *order) name() {
	if o.named || o.short != "" || o.wrong != nil {
		return
	}
	for i, w := range o.words {
		if o.used[i] || !w.says() || o.p.small[w.text] {
			continue
		}
		if w.isFigure() {
			o.short, _ = o.row(i)
			if o.short == "" {
				o.wrong = help(o.c.Verb)
			}
			return
		}
		if s := toDigits.Replace(w.text); len(s) > minAttempt && digits(s) {
			if _, ok := o.p.number(s); ok {
				o.wrong = &Misunderstanding{Key: letter, Typed: first(w.typed(), maxTyped), N: s}
				return
			}
		}
		nick, _ := w.name()
		o.pay(i, nick)
		return
	}
}

// complete returns what is wrong with the order, in the order of the checks:
// amount, unit, payee.
func (o *order) complete() *Misunderstanding {
	switch {
	case o.wrong != nil:
		return o.wrong
	case o.short != "" && (o.have || len(o.short) >= minAttempt):
		return &Misunderstanding{Key: shortNumber, Typed: first(o.short, maxNumTyped)}
	case !o.have, !o.named:
		return help(o.c.Verb)
	case !o.c.To.Number.IsZero():
		if key := refused(o.c.To.Number); key != "" {
			return &Misunderstanding{Key: key, Typed: first(o.c.To.Typed, maxNumTyped)}
		}
	}
	return nil
}

// rest returns the words that filled no slot, as typed, from the first that is
// not a small one.
func (o *order) rest() string {
	var raw []string
	for i, w := range o.words {
		if !o.used[i] && (len(raw) > 0 || w.says() && !o.p.small[w.text]) {
			raw = append(raw, w.raw)
		}
	}
	return strings.Join(raw, " ")
}
