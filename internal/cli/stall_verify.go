package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"maillon/internal/money"
	"maillon/internal/otp"
	"maillon/internal/stall"
)

// maxTill bounds the file of a machine that sells, in octets.
const maxTill = 4 << 20

// A till is what a machine that sells without network knows: its device, and
// which codes it let through.
type till struct {
	stall.Enrolment
	otp.Memory
}

// write writes a till so that it is there whole, whatever happens, and readable
// to its owner alone.
func (t *till) write(path string) error {
	text, err := json.Marshal(t)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".till-*")
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = errors.Join(os.Rename(f.Name(), path), syncFolder(filepath.Dir(path)))
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the one before is whole still
	}
	return err
}

func readTill(path string) (*till, error) {
	info, err := os.Stat(path)
	if err != nil || info.Size() > maxTill {
		return nil, errors.Join(err, errors.New("no file of maillon stall device --to"))
	}
	text, err := os.ReadFile(path) //nolint:gosec // the file that was named
	if err != nil {
		return nil, err
	}
	var t till
	if err := json.Unmarshal(text, &t); err != nil {
		return nil, err
	}
	if !otp.Algorithm(t.Algorithm).Known() || t.Decimals < 0 || t.Decimals > money.MaxDecimals || len(t.Key) < otp.MinKeyLen {
		return nil, errors.New("no file of maillon stall device --to")
	}
	return &t, nil
}

type stallVerify struct {
	File   string   `arg:"" help:"The file that maillon stall device --to wrote."`
	Amount string   `arg:"" help:"What the buyer was to pay: 5, 2,50; or a short id that has a price."`
	Code   []string `arg:"" help:"The code in the buyer's SMS; blanks do not matter."`
}

// Run tells whether a code is good, and remembers it before it says so.
func (c stallVerify) Run(io *Streams) error {
	lock, err := os.OpenFile(c.File+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return exitf(ExitUsage, "%s: %w", c.File, err)
	}
	defer lock.Close() //nolint:errcheck // only locked
	if err := lockFile(lock); err != nil {
		return exitf(ExitTrouble, "%s: another maillon stall verify is at work: again", c.File)
	}
	t, err := readTill(c.File)
	if err != nil {
		return exitf(ExitUsage, "%s: %w", c.File, err)
	}
	price, err := t.price(c.Amount)
	if err != nil {
		return err
	}
	algorithm, now := otp.Algorithm(t.Algorithm), time.Now()
	mark, good := algorithm.Verify(t.Key, strings.Join(c.Code, ""), now, price)
	if !good {
		return exitf(ExitNo, "REFUSED: this is no code of %s that was paid just now", price)
	}
	t.Forget(otp.StepOf(now) - 2*algorithm.Window())
	if !t.Use(mark) {
		return exitf(ExitNo, "REFUSED: this code was shown before")
	}
	if err := t.write(c.File); err != nil {
		return err
	}
	_, err = fmt.Fprintf(io.Out, "PAID: %s\n", price)
	return err
}

// price reads an amount, or the short id of what has one.
func (t *till) price(text string) (money.Amount, error) {
	currency := money.Currency{Code: t.Currency, Decimals: uint8(t.Decimals)} //nolint:gosec // within MaxDecimals
	for _, o := range t.Templates {
		if !strings.EqualFold(o.ID, text) {
			continue
		}
		if o.Amount == nil {
			return money.Amount{}, exitf(ExitUsage, "%s has no price of its own: give the amount", o.ID)
		}
		return money.New(*o.Amount, currency), nil
	}
	price, err := parseSum(text, currency)
	if err != nil || price.Sign() <= 0 {
		return price, exitf(ExitUsage, "%s: %w", text, errSum)
	}
	return price, nil
}
