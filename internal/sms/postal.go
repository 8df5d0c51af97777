package sms

import (
	"context"
	"errors"
)

// ErrNoAddress means that somebody has no e-mail address, or has it no more.
var ErrNoAddress = errors.New("no e-mail address")

// A Heading is what an answer by e-mail must know of the letter it answers, to
// stand beneath it.
type Heading struct {
	ID         string   // its Message-ID, with angle brackets
	References []string // the Message-IDs of what it answers itself, the oldest first
	Subject    string
}

// A Correspondent is somebody an e-mail goes to.
type Correspondent struct {
	Address Address
	Last    Heading // of what she wrote last; the zero Heading: nothing lately
}

// An AddressBook is what the books know of correspondents.
type AddressBook interface {
	// Correspondent returns who reads what goes to a number, or to an address if
	// that is not zero. It returns ErrNoAddress if nobody does.
	Correspondent(ctx context.Context, to Number, at Address) (Correspondent, error)
	// Note keeps the heading of what came last from an address, for a while.
	Note(ctx context.Context, from Address, h Heading) error
}

// A Postal gateway writes to e-mail addresses. It asks the book that it was
// given, before it runs, for those of members.
type Postal interface {
	Gateway
	Consult(book AddressBook)
}
