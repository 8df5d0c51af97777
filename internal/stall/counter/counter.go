// Package counter is what stands on the counter of a stall: for each template
// what its poster says, and to what address its QR code leads. The same is told
// by the page at that address. It promises that what is printed is what the
// server understands: the line to text is one that pays this template.
package counter

import (
	"context"
	"errors"
	"strings"
	"sync"

	"maillon/internal/phrase"
	"maillon/internal/poster"
	"maillon/internal/setting"
	"maillon/internal/sms"
	"maillon/internal/stall"
	"maillon/internal/store"
)

// Root is where the pages of templates are, by their short id.
const Root = "/t/"

// maxDraws is how many posters are drawn at once; who comes then waits.
const maxDraws = 2

// ErrNumber means that no gateway has a number that buyers could text.
var ErrNumber = errors.New("no gateway has a number to text: give one in the configuration")

// A Counter tells of the templates of one association.
type Counter struct {
	Stalls *stall.Service
	Set    *setting.Settings
	Book   *phrase.Book
	Number sms.Number // that buyers text; none: there are no posters

	press func() *poster.Press
	draws chan struct{}
}

// New returns a counter.
func New(stalls *stall.Service, set *setting.Settings, book *phrase.Book, number sms.Number) *Counter {
	return &Counter{Stalls: stalls, Set: set, Book: book, Number: number, press: sync.OnceValue(poster.NewPress), draws: make(chan struct{}, maxDraws)}
}

// Page returns the address of a template's page at an origin, such as
// https://maillon.example.
func Page(origin string, t *stall.Template) string { return origin + Root + t.Short }

// Origin returns where a request came to: a plain host is this machine's, or
// one that is tried.
func Origin(host string, secure bool) string {
	if secure {
		return "https://" + host
	}
	return "http://" + host
}

// Line returns what a buyer texts to pay a template, in a language that members
// write: "VIR 7KQ2". If the price is not fixed, it follows.
func (c *Counter) Line(t *stall.Template, language string) string {
	verbs := c.Book.Words(language).Verbs["pay"]
	if len(verbs) == 0 {
		verbs = c.Book.Words("fr").Verbs["pay"]
	}
	return strings.ToUpper(verbs[0]) + " " + t.Short
}

// Price returns what a template costs, as it is read in a language; "" if the
// buyer says it.
func (c *Counter) Price(t *stall.Template, language string) string {
	if t.Amount == 0 {
		return ""
	}
	return c.Book.Amount(language, t.Price()) + " " + c.Set.Symbol(t.Currency)
}

// Poster returns what the poster of a template says, with its page at an origin.
func (c *Counter) Poster(ctx context.Context, tx *store.Tx, t *stall.Template, origin string, languages []poster.Language) (poster.Poster, error) {
	if c.Number.IsZero() {
		return poster.Poster{}, ErrNumber
	}
	name, err := c.Stalls.Name(ctx, tx, t.Stall)
	if err != nil {
		return poster.Poster{}, err
	}
	first := "fr"
	if len(languages) > 0 {
		first = string(languages[0])
	}
	return poster.Poster{
		Stall: name, Description: t.Description, Price: c.Price(t, first), Short: t.Short, Text: c.Line(t, first),
		Numbers: []string{Spaced(c.Number)}, URL: Page(origin, t), Languages: languages,
	}, nil
}

// Spaced returns a number as it is printed: the digits of a French one two by
// two.
func Spaced(n sms.Number) string {
	text := n.National()
	if !strings.HasPrefix(text, "0") {
		return text
	}
	var b strings.Builder
	for i, digit := range text {
		if i > 0 && i%2 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(digit)
	}
	return b.String()
}

// Draw draws a poster. Drawing is work: few are drawn at once.
func (c *Counter) Draw(ctx context.Context, p poster.Poster, size poster.Size) (*poster.Scene, error) {
	select {
	case c.draws <- struct{}{}:
		defer func() { <-c.draws }()
		return c.press().Draw(p, size)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
