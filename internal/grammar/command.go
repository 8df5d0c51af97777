// Package grammar reads a text as people write it and returns the one command
// it means, or a typed misunderstanding. It does no I/O, knows no member and
// no balance, and never guesses with money.
package grammar

import (
	"maillon/internal/money"
	"maillon/internal/sms"
)

// A Verb is what a command asks for, in the notation of grammar.tsv.
type Verb string

// The verbs.
const (
	Balance  Verb = "balance"
	Pay      Verb = "pay"
	Ask      Verb = "ask"
	Yes      Verb = "yes"
	No       Verb = "no"
	Cancel   Verb = "cancel"
	Refund   Verb = "refund"
	History  Verb = "history"
	Nick     Verb = "nick"
	Help     Verb = "help"
	Lang     Verb = "lang"
	Word     Verb = "word"
	Mail     Verb = "mail"
	Fraud    Verb = "fraud"
	Lost     Verb = "lost"
	Card     Verb = "card"
	Block    Verb = "block"
	Unblock  Verb = "unblock"
	Verify   Verb = "verify"
	Till     Verb = "till"
	Stop     Verb = "stop"
	Start    Verb = "start"
	Close    Verb = "close"
	Voucher  Verb = "voucher"
	Redeem   Verb = "redeem"
	Credit   Verb = "admin.credit"
	Freeze   Verb = "admin.freeze"
	Unfreeze Verb = "admin.unfreeze"
	Pause    Verb = "admin.pause"
	State    Verb = "admin.state"
	Silence  Verb = "silence"
)

// known reports whether v is one of the verbs.
func known(v Verb) bool {
	switch v {
	case Balance, Pay, Ask, Yes, No, Cancel, Refund, History, Nick, Help, Lang, Word, Mail, Fraud, Lost, Card, Block, Unblock, Verify,
		Till, Stop, Start, Close, Voucher, Redeem, Credit, Freeze, Unfreeze, Pause, State, Silence:
		return true
	}
	return false
}

// A Payee is whom a command names: by pseudo or by number, never both.
type Payee struct {
	Nick   string     // lower case, without @; may be a word for oneself
	Number sms.Number // zero if Nick is set
	Typed  string     // the digits as typed, "0639980012"; for a pseudo, the pseudo
}

// A Command is one text understood. Fields that the verb does not take are zero.
type Command struct {
	Verb     Verb
	Language string        // tag of the language whose verb was used; "" if every language has it, or there was no verb
	Amount   money.Decimal // Pay, Ask, Credit, Voucher, Redeem (there it may be zero: the whole voucher)
	Unit     string        // symbol as configured; "" if not given
	To       Payee         // Pay, Ask, Credit
	Item     string        // Pay: upper case, what a stall sells; then To is empty, and Amount may be zero
	Who      string        // pseudo, lower case: Lost, Block, Unblock, Freeze, Unfreeze
	Memo     string        // folded to GSM-7, otherwise as typed, whole
	Bare     bool          // Pay without a verb
	Code     string        // digits only: Yes
	Ref      string        // upper case: No, Cancel, Refund, Verify
	Page     int           // History; 0 if not given
	Nick     string        // Nick: as typed but in lower case and without accents; may be invalid, the conversation says so
	About    Verb          // Help; Mail: Stop, or "" for an address
	Lang     string        // Lang: lower case; "" if not given
	Word     string        // Word: lower case; may be invalid
	Address  string        // Mail: as typed; may be invalid; "" if not given
	Cell     string        // Lost, Card: digits
	Day      int           // Till: day of the month; 0 if not given
	Month    int           // Till
	Voucher  string        // Redeem: upper case, without hyphen
	Guessed  bool          // a misspelt verb was read as its only neighbour; only verbs that read
	Plain    string        // if the text is one single word, that word as typed, for a pseudo that is sent alone
}

// A Misunderstanding is a text that is no command. Its key names the reply
// that tells the sender what to do.
type Misunderstanding struct {
	Key      string // "incompris", "zero", "num.fixe"…
	Verb     Verb   // the verb that was understood, "" if none: money verbs are refused first when the service is paused
	Language string // as in Command
	Typed    string // the piece of text in question, as typed: at most 8 characters for {txt}, the digits for {num}
	N, N2    string // the numbers to choose from, plain digits
	Plain    string // as in Command
}

func (m *Misunderstanding) Error() string { return "not understood: " + m.Key }
