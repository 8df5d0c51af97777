package auth

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/alexedwards/argon2id"
	"golang.org/x/text/unicode/norm"
)

// Bounds of a password, in characters. Nothing is said of what it is made of:
// length is what counts (NIST SP 800-63B, 5.1.1.2).
const (
	MinPassword = 12
	MaxPassword = 128
)

// maxHashing bounds how many passwords are hashed at the same time, and so the
// memory that whoever knocks at the door can make the server use.
const maxHashing = 2

// Cost returns what the hash of a password costs: the second choice of RFC 9106
// (Argon2id, 64 MiB, 3 passes), which a small machine still bears, and one lane,
// because two signing in at once should not wait for each other. It takes a
// fifth of a second of one core of a small server, and more on a Raspberry Pi;
// who has stolen the books pays as much for each guess.
func Cost() argon2id.Params {
	return argon2id.Params{Memory: 64 << 10, Iterations: 3, Parallelism: 1, SaltLength: 16, KeyLength: 32}
}

var (
	// ErrShort means that a password has less than MinPassword characters.
	ErrShort = errors.New("the password is too short")
	// ErrLong means that a password has more than MaxPassword characters.
	ErrLong = errors.New("the password is too long")
	// ErrCommon means that a password is one of those that are tried first.
	ErrCommon = errors.New("the password is one that many people use")
	// ErrOwnName means that a password is no more than the person's name or number.
	ErrOwnName = errors.New("the password is the person's own name or number")
)

//go:embed common.txt
var commonText string

// tidy makes one text of those that look the same: an accent is one character
// or two, as the keyboard likes.
func tidy(password string) string { return norm.NFC.String(password) }

// CheckPassword returns what is wrong with a password that somebody chooses: ErrShort,
// ErrLong, ErrCommon or ErrOwnName. own are the person's names and numbers, and
// the association's.
func CheckPassword(password string, own ...string) error {
	password = tidy(password)
	switch n := utf8.RuneCountInString(password); {
	case n < MinPassword:
		return ErrShort
	case n > MaxPassword:
		return ErrLong
	}
	for word := range strings.FieldsSeq(commonText) {
		if dressed(password, word) {
			return ErrCommon
		}
	}
	if monotonous(password) {
		return ErrCommon
	}
	for _, name := range own {
		if dressed(password, name) {
			return ErrOwnName
		}
	}
	return nil
}

// dressed reports whether a password is a word, once or again and again, with
// nothing but digits and signs around: motdepasse2026!, marie-marie-35. A word
// that is a number counts with nothing but signs around.
func dressed(password, word string) bool {
	bare, core := only(word, unicode.IsLetter), only(password, unicode.IsLetter)
	if bare == "" && core == "" {
		bare, core = only(word, unicode.IsDigit), only(password, unicode.IsDigit)
	}
	return bare != "" && core != "" && core == strings.Repeat(bare, len(core)/len(bare))
}

func only(text string, keep func(rune) bool) string {
	return strings.Map(func(r rune) rune {
		if !keep(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, text)
}

// monotonous reports whether a password is a run along the alphabet or the
// digits, up or down, or has hardly two different characters.
func monotonous(password string) bool {
	all := []rune(password)
	different := map[rune]bool{}
	up, down := true, true
	for n, r := range all {
		different[r] = true
		if n > 0 {
			up = up && follows(all[n-1], r)
			down = down && follows(r, all[n-1])
		}
	}
	return up || down || len(different) <= 2
}

func follows(a, b rune) bool { return b == a+1 || a == '9' && b == '0' }

// hash hashes a password, when it is its turn.
func (g *Gate) hash(ctx context.Context, password string) (hash string, err error) {
	err = g.turn(ctx, func() (err error) {
		hash, err = argon2id.CreateHash(tidy(password), &g.cost)
		return err
	})
	return hash, err
}

// matches compares a password with a hash, when it is its turn. Without a hash
// it takes as long and says no.
func (g *Gate) matches(ctx context.Context, password, hash string) (same bool, err error) {
	compared := hash
	if compared == "" || utf8.RuneCountInString(password) > MaxPassword {
		compared = g.nobody()
	}
	err = g.turn(ctx, func() (err error) {
		same, err = argon2id.ComparePasswordAndHash(tidy(short(password)), compared)
		return err
	})
	return same && compared == hash, err
}

// short bounds what is hashed.
func short(password string) string { return password[:min(len(password), MaxPassword*utf8.UTFMax)] }

func (g *Gate) turn(ctx context.Context, do func() error) error {
	select {
	case g.hashing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-g.hashing }()
	if err := do(); err != nil {
		return fmt.Errorf("hash a password: %w", err)
	}
	return nil
}

// hashOfNobody returns a hash of what nobody has chosen.
func hashOfNobody(cost argon2id.Params) string {
	hash, err := argon2id.CreateHash(string(draw()), &cost)
	if err != nil {
		panic(err) // chance never fails
	}
	return hash
}
