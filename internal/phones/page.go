package phones

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"regexp"
	"strings"
	"time"

	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/sms"
)

// A draft is a form that was sent, and why it was refused.
type draft struct{ Phone, Text, Number, Problem string }

// A view is the page for one reader.
type view struct {
	W           words
	Others      []words
	Association string
	Service     string
	Boot        string // another after each start of the program
	Handsets    []handset
	Books       books
	Draft       draft
}

type handset struct {
	W                      words
	ID, Name, Number, Note string
	Bubbles                []bubble
	Chips                  []chip
	Draft                  draft
	MaxText                int
}

type bubble struct {
	Key, Text, Clock string
	Mine, Failed     bool
}

// A chip is a text that can be sent by one tap.
type chip struct {
	Text, Label string
	Answer      bool // to a question on the screen
}

type books struct {
	W         words
	Transfers []transfer
	Accounts  []account
	Sums      []string
}

type transfer struct{ Key, Clock, Ref, Kind, From, To, Amount, Note string }

type account struct {
	Name, Balance string
	House         bool
}

// maxText bounds what the text box takes, in characters: six segments.
const maxText = maxSegments * 153

// show serves the page.
func (p *Page) show(w http.ResponseWriter, r *http.Request) { p.render(w, r, http.StatusOK, draft{}) }

func (p *Page) render(w http.ResponseWriter, r *http.Request, status int, d draft) {
	ctx, cancel := context.WithTimeout(r.Context(), readTime)
	defer cancel()
	var html bytes.Buffer
	v, err := p.view(ctx, p.language.of(r), d)
	if err == nil {
		err = pages.ExecuteTemplate(&html, "page", v)
	}
	if err != nil {
		status, text := p.apology(ctx, p.language.of(r), fmt.Errorf("show the page of phones: %w", err))
		http.Error(w, text, status)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Vary", "Accept-Language")
	w.WriteHeader(status)
	_, _ = html.WriteTo(w) // whoever left does not wait for an answer
}

var pages = template.Must(template.ParseFS(files, "page.html"))

func (p *Page) view(ctx context.Context, w words, d draft) (*view, error) {
	v := &view{
		W: w, Others: p.language.others(w), Association: p.options.Association, Service: spaced(p.options.Service),
		Boot: p.name("boot"), Draft: d,
	}
	var err error
	if v.Handsets, err = p.handsets(ctx, w, d); err != nil {
		return nil, err
	}
	v.Books, err = p.books(ctx, w)
	return v, err
}

func (p *Page) handsets(ctx context.Context, w words, d draft) ([]handset, error) {
	numbers, err := p.numbers(ctx)
	if err != nil {
		return nil, err
	}
	known := make([]Phone, len(numbers))
	for i, n := range numbers {
		if known[i], err = p.village.Phone(ctx, n); err != nil {
			return nil, err
		}
	}
	all := make([]handset, len(numbers))
	for i, n := range numbers {
		all[i] = p.handset(w, n, known[i])
		all[i].Chips = chips(w, i, numbers, known)
		if d.Phone == all[i].ID {
			all[i].Draft = d
		}
	}
	return all, nil
}

func (p *Page) handset(w words, n sms.Number, known Phone) handset {
	h := handset{W: w, ID: p.id(n), Name: known.Name, Number: spaced(n), Note: w.State[known.State], MaxText: maxText}
	if h.Name == "" {
		h.Name = h.Number
	}
	if known.State == member.New || known.State == member.Active {
		h.Note += " · " + p.amount(w, known.Balance)
	}
	thread := known.Thread[max(0, len(known.Thread)-MaxBubbles):]
	seen := make(map[string]int, len(thread))
	for _, b := range thread {
		key := fmt.Sprintf("%d-%t-%t", b.At.UnixNano(), b.Mine, b.Failed)
		seen[key]++
		h.Bubbles = append(h.Bubbles, bubble{fmt.Sprintf("%s-%d", key, seen[key]), b.Text, p.clock(w, b.At), b.Mine, b.Failed})
	}
	return h
}

// asked finds the code that a message asks to be sent back, whole or in two
// halves.
var asked = regexp.MustCompile(`(?i)(?:répondre|reply) (\d{4,5}|\d{3,5} \d{3,5})\b`)

// chips returns what may be sent next from phone i: the answers to the question
// that is last on its screen, or examples.
func chips(w words, i int, numbers []sms.Number, known []Phone) []chip {
	if code, ok := lastCode(known[i].Thread); ok {
		return []chip{{code, named(w.Answer, code), true}, {w.No, w.No, true}, {w.Balance, w.Balance, false}}
	}
	var all []chip
	for _, text := range examples(w, i, numbers, known) {
		all = append(all, chip{Text: text, Label: text})
	}
	return all
}

func examples(w words, i int, numbers []sms.Number, known []Phone) []string {
	payee, stranger := other(i, known, member.Active), other(i, known, "")
	var texts []string
	switch known[i].State {
	case member.New:
		return []string{w.Join, w.No}
	case member.Active:
		texts = append(texts, w.Balance)
		if payee >= 0 {
			texts = append(texts, named(w.Pay, known[payee].Name))
		}
		if stranger >= 0 {
			texts = append(texts, named(w.PayNumber, numbers[stranger].National()))
		}
	case member.Staff:
		texts = append(texts, w.Status)
		if payee >= 0 {
			texts = append(texts, named(w.Credit, known[payee].Name))
		}
	default:
		texts = append(texts, w.Balance, w.Help)
	}
	return texts
}

// lastCode returns the code that the newest message asks for.
func lastCode(thread []Bubble) (string, bool) {
	if len(thread) == 0 || thread[len(thread)-1].Mine {
		return "", false
	}
	found := asked.FindStringSubmatch(thread[len(thread)-1].Text)
	if found == nil {
		return "", false
	}
	return found[1], true
}

// other returns the next phone after i whose owner is in that state, or -1.
func other(i int, known []Phone, s member.State) int {
	for step := 1; step < len(known); step++ {
		if j := (i + step) % len(known); known[j].State == s && (s == "" || known[j].Name != "") {
			return j
		}
	}
	return -1
}

func (p *Page) books(ctx context.Context, w words) (books, error) {
	b, err := p.village.Books(ctx)
	if err != nil {
		return books{}, err
	}
	out := books{W: w}
	for _, t := range b.Transfers[:min(len(b.Transfers), MaxTransfers)] {
		out.Transfers = append(out.Transfers, transfer{
			Key: fmt.Sprint(t.ID), Clock: p.clock(w, t.At), Ref: t.Ref, Kind: w.Kind[t.Kind],
			From: w.account(t.From), To: w.account(t.To), Amount: p.amount(w, t.Amount), Note: t.Note,
		})
	}
	for _, a := range b.Accounts[:min(len(b.Accounts), MaxAccounts)] {
		_, house := w.House[a.Name]
		out.Accounts = append(out.Accounts, account{w.account(a.Name), p.amount(w, a.Balance), house})
	}
	sums, err := sumsOf(b.Accounts)
	for _, sum := range sums {
		out.Sums = append(out.Sums, p.amount(w, sum))
	}
	return out, err
}

// sumsOf returns the sum of all balances of each currency.
func sumsOf(accounts []Account) ([]money.Amount, error) {
	var sums []money.Amount
	place := make(map[money.Currency]int)
	for _, a := range accounts {
		i, ok := place[a.Balance.Currency()]
		if !ok {
			place[a.Balance.Currency()] = len(sums)
			sums = append(sums, a.Balance)
			continue
		}
		sum, err := sums[i].Add(a.Balance)
		if err != nil {
			return nil, fmt.Errorf("sum of the balances: %w", err)
		}
		sums[i] = sum
	}
	return sums, nil
}

// account returns how an account is called in this language.
func (w words) account(name string) string {
	if house, ok := w.House[name]; ok {
		return house
	}
	return name
}

// amount writes an amount for people: "1 234,50 m".
func (p *Page) amount(w words, a money.Amount) string {
	plain, sign := strings.CutPrefix(a.Plain(), "-")
	whole, part, point := strings.Cut(plain, ".")
	var b strings.Builder
	if sign {
		b.WriteString("\u2212")
	}
	for i, digit := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteString(w.thousands)
		}
		b.WriteRune(digit)
	}
	if point {
		b.WriteString(w.decimal + part)
	}
	return b.String() + "\u00a0" + p.options.Symbol(a.Currency())
}

// clock writes a moment of today by its time, another with its day.
func (p *Page) clock(w words, at time.Time) string {
	at = at.In(p.options.Location)
	if now := time.Now().In(p.options.Location); at.Format(time.DateOnly) != now.Format(time.DateOnly) {
		return at.Format(w.day + " 15:04")
	}
	return at.Format("15:04")
}

// spaced writes a number for the eye: "06 39 98 00 12", never broken in two lines.
func spaced(n sms.Number) string {
	digits := n.National()
	if strings.HasPrefix(digits, "+") || len(digits)%2 != 0 {
		return digits
	}
	pairs := make([]string, 0, len(digits)/2)
	for i := 0; i < len(digits); i += 2 {
		pairs = append(pairs, digits[i:i+2])
	}
	return strings.Join(pairs, "\u00a0")
}

// id names a phone in pages and forms: from it, nobody reads the number.
func (p *Page) id(n sms.Number) string { return "p" + p.name(n.E164()) }

func (p *Page) name(of string) string {
	mac := hmac.New(sha256.New, p.secret[:])
	mac.Write([]byte(of))
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

// byID returns the phone of that name, if it is or was on the page.
func (p *Page) byID(ctx context.Context, id string) (sms.Number, error) {
	village, err := p.village.Phones(ctx)
	if err != nil {
		return sms.Number{}, fmt.Errorf("phones of the village: %w", err)
	}
	for _, n := range append(p.ringing(), village[:min(len(village), MaxVillage)]...) {
		if p.id(n) == id {
			return n, nil
		}
	}
	return sms.Number{}, ErrNoPhone
}
