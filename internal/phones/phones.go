// Package phones is the page of virtual phones: old handsets side by side, each
// with its number, its thread and a text box, beside what the ledger did. It is
// how somebody tries the service without a telephone.
//
// Whoever sees the page writes in the name of every phone on it: it is for the
// village of demonstration, and answers only under the names of this machine
// unless it is told others. Numbers and texts are in no log and in no address.
package phones

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"maillon/internal/ledger"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/sms"
)

// What is on the page at most; of the rest, the oldest is left out.
const (
	MaxVillage   = 8 // phones of the village
	MaxGuests    = 4 // phones beside them
	MaxBubbles   = 100
	MaxTransfers = 50
	MaxAccounts  = 50
)

// maxRung bounds the numbers that are remembered because they rang or were
// asked for; some of them are of the village.
const maxRung = 64

var (
	// ErrNoPhone means that a phone is not, or no longer, on the page.
	ErrNoPhone = errors.New("no such phone on the page")
	// ErrTooLong means that a text is longer than a phone can write.
	ErrTooLong = errors.New("text too long for an SMS")
	// ErrEmpty means that there is no text.
	ErrEmpty = errors.New("empty text")
	// ErrUnreadable means that what was posted is no form.
	ErrUnreadable = errors.New("unreadable form")
	// ErrNotMobile means that a number is not one of a mobile phone.
	ErrNotMobile = errors.New("not the number of a mobile phone")
)

// A Village is the service behind the page. Its methods are called at once.
type Village interface {
	// Phones returns the phones that are on the page from the start, in order.
	Phones(ctx context.Context) ([]sms.Number, error)
	// Phone returns what is known of a phone, be it of the village or not.
	Phone(ctx context.Context, number sms.Number) (Phone, error)
	// Text sends an SMS from a phone; it returns nil once the SMS is on disk.
	Text(ctx context.Context, from sms.Number, text string) error
	// Books returns what the ledger did last and where the money is.
	Books(ctx context.Context) (Books, error)
}

// A Phone is what is known of a number.
type Phone struct {
	Name    string       // its owner's pseudo; "" if there is none
	State   member.State // "" for a number that nobody has
	Balance money.Amount // of an owner who has an account
	Thread  []Bubble     // the oldest first
}

// A Bubble is one SMS as its phone shows it.
type Bubble struct {
	Mine   bool // written on this phone, not received by it
	Text   string
	At     time.Time
	Failed bool // the server did not take it
}

// Books are a view of the ledger.
type Books struct {
	Transfers []Transfer // the newest first
	Accounts  []Account  // so that each currency sums to zero
}

// A Transfer is one movement of money, its sides named as members see them.
type Transfer struct {
	ID     ledger.TransactionID
	At     time.Time
	Ref    string
	Kind   ledger.Kind
	From   string
	To     string
	Amount money.Amount
	Note   string
}

// An Account is one line of the balances. The association's accounts go by
// their names: emission, pertes, pot.
type Account struct {
	Name    string
	Balance money.Amount
}

// Options are what a page may be told; the zero Options work.
type Options struct {
	Association string                      // in the title
	Service     sms.Number                  // the number that the phones write to
	Symbol      func(money.Currency) string // how a unit is written; nil: by its code
	Region      string                      // how numbers are read; "" is "FR"
	Location    *time.Location              // of the times shown; nil: of this machine
	AllowHosts  []string                    // names to answer to beside those of this machine
	Log         *slog.Logger                // nil: the default
}

// A Page serves the phones. All methods may be called at once.
type Page struct {
	village  Village
	options  Options
	local    map[string]bool // hosts to answer to, beside loopback addresses
	handler  http.Handler
	secret   [32]byte      // names the phones until this program ends
	streams  chan struct{} // holds one for each open stream
	language languages

	mu      sync.Mutex    // held to read or change what follows
	rung    []sms.Number  // that rang or were asked for, the newest last
	changed chan struct{} // closed, and replaced, when something has changed
}

// New returns the page of a village. Streams stay open until their request's
// context ends: a server that stops cancels its BaseContext first.
func New(v Village, o Options) *Page {
	if o.Symbol == nil {
		o.Symbol = func(c money.Currency) string { return c.Code }
	}
	if o.Region == "" {
		o.Region = "FR"
	}
	if o.Location == nil {
		o.Location = time.Local
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	p := &Page{
		village: v, options: o, local: localHosts(o.AllowHosts), streams: make(chan struct{}, maxStreams),
		language: spoken(), changed: make(chan struct{}),
	}
	_, _ = rand.Read(p.secret[:]) // never fails
	p.handler = p.routes()
	return p
}

// Ring tells the page that something came to the thread of a phone. A phone
// that is not on the page is put there.
func (p *Page) Ring(number sms.Number) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Contains(p.rung, number) {
		if len(p.rung) >= maxRung {
			p.rung = slices.Delete(p.rung, 0, 1)
		}
		p.rung = append(p.rung, number)
	}
	p.announce()
}

// Changed tells the page that the ledger, or a name, is no longer what it was.
func (p *Page) Changed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.announce()
}

// announce must be called with mu held.
func (p *Page) announce() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// nextChange returns a channel that is closed at the next change.
func (p *Page) nextChange() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changed
}

// pullUp puts a phone among those shown, also if it had rung long ago.
func (p *Page) pullUp(number sms.Number) {
	p.mu.Lock()
	p.rung = slices.DeleteFunc(p.rung, func(n sms.Number) bool { return n == number })
	p.mu.Unlock()
	p.Ring(number)
}

// numbers returns the phones on the page, in order.
func (p *Page) numbers(ctx context.Context) ([]sms.Number, error) {
	village, err := p.village.Phones(ctx)
	if err != nil {
		return nil, err
	}
	village = village[:min(len(village), MaxVillage)]
	guests := slices.DeleteFunc(p.ringing(), func(n sms.Number) bool { return slices.Contains(village, n) })
	guests = guests[max(0, len(guests)-MaxGuests):]
	return slices.Concat(village, guests), nil
}

func (p *Page) ringing() []sms.Number {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.rung)
}
