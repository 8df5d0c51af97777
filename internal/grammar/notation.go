package grammar

import (
	"fmt"
	"strconv"
	"strings"
)

// String returns c in the notation of grammar.tsv, on one line. It holds the
// payee's number in full: it is for tests and for "maillon parse", not for logs.
func (c Command) String() string {
	n := notation{}
	n.WriteString(string(c.Verb))
	switch c.Verb {
	case Pay, Ask, Credit:
		if c.Item != "" {
			n.field("item", c.Item)
			if !c.Amount.IsZero() {
				n.field("amount", c.Amount.String())
			}
			n.field("unit", c.Unit)
			break
		}
		n.field("amount", c.Amount.String())
		n.field("unit", c.Unit)
		n.field("to", c.To.String())
		if c.Memo != "" {
			n.field("memo", strconv.Quote(c.Memo))
		}
		if c.Bare {
			n.field("bare", "yes")
		}
	case Voucher:
		n.field("amount", c.Amount.String())
	case Redeem:
		n.field("voucher", c.Voucher)
		if !c.Amount.IsZero() {
			n.field("amount", c.Amount.String())
		}
	case Yes:
		n.field("code", c.Code)
	case No, Cancel, Refund, Verify:
		n.field("ref", c.Ref)
	case Lost, Block, Unblock, Freeze, Unfreeze, Card:
		n.nick("who", c.Who)
		n.field("cell", c.Cell)
	default:
		n.rest(c)
	}
	if c.Guessed {
		n.field("guessed", "yes")
	}
	return n.String()
}

// Notation returns m in the notation of grammar.tsv.
func (m *Misunderstanding) Notation() string { return "error " + m.Key }

// String returns "@yann" or the number in full.
func (p Payee) String() string {
	if p.Nick != "" {
		return "@" + p.Nick
	}
	return p.Number.E164()
}

type notation struct{ strings.Builder }

func (n *notation) rest(c Command) {
	switch c.Verb {
	case History:
		if c.Page > 0 {
			n.field("page", strconv.Itoa(c.Page))
		}
	case Nick:
		n.field("name", c.Nick)
	case Help:
		n.field("about", string(c.About))
	case Lang:
		n.field("to", c.Lang)
	case Word:
		n.field("word", c.Word)
	case Mail:
		n.field("address", c.Address)
		n.field("about", string(c.About))
	case Till:
		if c.Day > 0 {
			n.field("date", fmt.Sprintf("%02d/%02d", c.Day, c.Month))
		}
	}
}

func (n *notation) field(key, value string) {
	if value != "" {
		n.WriteString(" " + key + "=" + value)
	}
}

func (n *notation) nick(key, value string) {
	if value != "" {
		n.field(key, "@"+value)
	}
}
