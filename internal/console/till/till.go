// Package till is the pages that credit: one account, or all those of a file.
package till

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"embed"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"time"

	"maillon/internal/auth"
	"maillon/internal/console/frame"
	"maillon/internal/member"
	"maillon/internal/money"
	"maillon/internal/notice"
	"maillon/internal/order"
	"maillon/internal/server"
	"maillon/internal/sheet"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

//go:embed *.html *.toml
var files embed.FS

// maxUpload bounds a form with a file, in octets: what is carried from the dry
// run to the confirmation is longer than the file by a third, unless it packs.
const maxUpload = sheet.MaxOctets + sheet.MaxOctets/2

// New returns the room.
func New(s *server.Server) frame.Room {
	r := room{s}
	return frame.Room{
		Name: "till", Files: files,
		Pages: []frame.Page{
			{Route: "GET /credit", Right: auth.Credit, Serve: r.form},
			{Route: "POST /credit", Right: auth.Credit, Serve: r.credit},
			{Route: "GET /credit/many", Right: auth.Many, Serve: r.upload},
			{Route: "POST /credit/many", Right: auth.Many, Serve: r.many},
			{Route: "GET /credit/many/{id}", Right: auth.Many, Serve: r.proposed},
		},
		Menu: []frame.Entry{
			{Path: "/credit", Word: "credit.menu", Right: auth.Credit, Group: "money", Order: 1},
			{Path: "/credit/many", Word: "many.menu", Right: auth.Many, Group: "money", Order: 2},
		},
		Approvals: map[string]frame.Approval{
			treasury.ManyKind: {Word: "many.kind", Path: "/credit/many/%d", Right: auth.Many},
		},
	}
}

type room struct{ server *server.Server }

// A draft is one credit as it was typed, and what it would do.
type draft struct {
	Who, Sum, Reason, Key string
	WhoWrong, SumWrong    string
	ReasonWrong           string

	Sure    bool // all is understood: this is the page that asks for confirmation
	Called  string
	Member  member.ID
	Opens   bool // an account, for a number that has none
	Amount  money.Amount
	After   money.Amount
	Left    money.Amount // of the ceiling of the day, before
	Second  bool         // above it: another person must release it
	Message string       // the SMS that the member gets
	Night   bool         // held at first, rule ADM2

	payee  *member.Member
	number sms.Number
}

func (r room) form(v *frame.Visit) error {
	d := draft{Key: rand.Text()}
	err := v.View(func(ctx context.Context, tx *store.Tx) (err error) {
		if id, err := v.QueryID("to"); err == nil {
			m, err := tx.Member(ctx, member.ID(id))
			if err != nil {
				return err
			}
			if d.Who = m.Nick; d.Who == "" {
				d.Who = m.Number.National()
			}
		}
		d.Left, err = r.left(ctx, tx, v)
		return err
	})
	if err != nil {
		return err
	}
	return v.Show("credit", d)
}

func (r room) left(ctx context.Context, tx *store.Tx, v *frame.Visit) (money.Amount, error) {
	m, err := tx.Member(ctx, v.Who.Member.ID)
	if err != nil {
		return money.Amount{}, err
	}
	return r.server.Desk.CeilingLeft(ctx, tx, m, r.server.Settings.Currency())
}

// credit shows what a credit would do, and does it once that is confirmed.
func (r room) credit(v *frame.Visit) error {
	if err := v.Form(frame.MaxForm); err != nil {
		return err
	}
	d := draft{Who: v.Value("who"), Sum: v.Value("sum"), Reason: v.Value("reason"), Key: v.Value("key")}
	if d.Key == "" {
		return frame.ErrForm
	}
	confirmed := v.Value("confirm") != ""
	var made *order.Order
	read := func(ctx context.Context, tx *store.Tx) error {
		if err := r.understand(ctx, tx, v, &d); err != nil || !d.Sure || !confirmed {
			return err
		}
		admin, err := tx.Member(ctx, v.Who.Member.ID)
		if err != nil {
			return err
		}
		made, err = r.server.Treasury.Credit(ctx, tx, admin, treasury.CreditAsked{
			Payee: d.payee, Number: d.number, Amount: d.Amount, Reason: d.Reason, Name: "page:" + d.Key,
		})
		return err
	}
	look := v.View
	if confirmed {
		look = v.Update
	}
	err := look(read)
	switch {
	case err != nil:
		return err
	case !d.Sure:
		return v.Refuse("credit", d)
	case !confirmed:
		return v.Show("sure", d)
	case made.State == order.Held:
		return v.Done("/credit", "credit.held", made.Amount, made.Ref)
	}
	return v.Done("/credit", "credit.done", made.Amount, made.Ref)
}

// understand finds out what a draft means, and what is wrong with it.
func (r room) understand(ctx context.Context, tx *store.Tx, v *frame.Visit, d *draft) (err error) {
	if d.Left, err = r.left(ctx, tx, v); err != nil {
		return err
	}
	if d.Amount, err = v.Sum("sum"); err != nil || d.Amount.Sign() <= 0 {
		d.SumWrong = v.Say("frame.sum")
	}
	if d.Reason == "" || len([]rune(d.Reason)) > sheet.MaxReason {
		d.ReasonWrong = v.Say("credit.reason.wrong")
	}
	d.payee, err = r.server.Treasury.Find(ctx, tx, strings.TrimPrefix(d.Who, "@"))
	if errors.Is(err, treasury.ErrUnknown) {
		d.number, err = sms.ParseNumber(d.Who, r.server.Settings.Region())
		if err != nil || !d.number.Mobile() {
			d.WhoWrong, err = v.Say("frame.unknown"), nil
		}
	}
	if err != nil || d.WhoWrong != "" || d.SumWrong != "" || d.ReasonWrong != "" {
		return err
	}
	if err := r.server.Desk.MayCredit(ctx, tx, d.payee, d.number); err != nil {
		text, ok := v.Sentence(err)
		d.WhoWrong = text
		if !ok {
			return err
		}
		return nil
	}
	d.Sure, d.Second = true, d.Amount.Cmp(d.Left) > 0
	return r.effect(ctx, tx, d)
}

// effect says what a draft would do.
func (r room) effect(ctx context.Context, tx *store.Tx, d *draft) (err error) {
	language, balance := r.server.Settings.Language, money.New(0, d.Amount.Currency())
	d.Called, d.Opens = d.number.National(), d.payee == nil || !d.payee.HasAccount()
	if d.payee != nil {
		d.Called, d.Member, language = notice.Name(d.payee, d.payee.Number.National()), d.payee.ID, d.payee.Language
		if balance, err = r.server.Desk.Balance(ctx, tx, d.payee, d.Amount.Currency()); err != nil {
			return err
		}
	}
	if d.After, err = balance.Add(d.Amount); err != nil {
		return err
	}
	key := "credit.admin"
	if d.payee == nil || d.payee.State == member.New {
		key = "bienvenue"
	}
	d.Message, err = r.server.Desk.Voice.Text(language, key, notice.Fields{
		"amt": d.Amount, "memo": d.Reason, "bal": d.After, "ref": "----", "who": r.server.Settings.Association,
	})
	return err
}

// A batchView is what a file would do.
type batchView struct {
	*treasury.Batch
	Faults  []faultView
	Second  bool
	Reason  string
	Packed  string // the file, for the confirmation
	Wrong   string
	Whole   string // what is wrong with the whole file
	Took    time.Duration
	Missing int // faults that are not named
}

// A faultView is what is wrong with a line.
type faultView struct {
	Line int
	Text string
}

func (r room) upload(v *frame.Visit) error { return v.Show("many", batchView{}) }

// many shows what a file would do, and does it, or proposes it, once that is
// confirmed.
func (r room) many(v *frame.Visit) error {
	if err := v.Form(maxUpload); err != nil {
		return err
	}
	raw, err := v.File("file")
	packed := v.Value("packed")
	if err == nil && packed != "" {
		raw, err = unpack(packed)
	}
	if err != nil {
		return err
	}
	d := batchView{Reason: v.Value("reason")}
	lines, err := sheet.Read(raw)
	if f, is := errors.AsType[sheet.Fault](err); is {
		d.Whole = fault(v, f)
		return v.Refuse("many", d)
	}
	if err != nil {
		return err
	}
	d.Batch = r.server.Treasury.Prepare(lines, r.server.Settings.Currency())
	if packed == "" {
		return r.dryRun(v, d, raw)
	}
	return r.commit(v, d)
}

// dryRun shows what a file would do.
func (r room) dryRun(v *frame.Visit, d batchView, raw []byte) error {
	began := time.Now()
	err := v.View(func(ctx context.Context, tx *store.Tx) error {
		if err := d.Survey(ctx, tx); err != nil {
			return err
		}
		admin, err := tx.Member(ctx, v.Who.Member.ID)
		if err != nil {
			return err
		}
		d.Second, err = r.server.Treasury.NeedsSecond(ctx, tx, admin, d.Batch)
		return err
	})
	if err != nil {
		return err
	}
	d.Took = time.Since(began)
	for _, f := range d.Batch.Faults {
		d.Faults = append(d.Faults, faultView{f.Line, fault(v, f)})
	}
	d.Missing = d.Faulty - len(d.Faults)
	if d.Faulty > 0 || d.New == 0 {
		return v.Refuse("dry", d)
	}
	if d.Packed, err = pack(raw); err != nil {
		return err
	}
	return v.Show("dry", d)
}

// commit credits a file, or proposes it to a second person.
func (r room) commit(v *frame.Visit, d batchView) error {
	if d.Reason == "" || len([]rune(d.Reason)) > sheet.MaxReason {
		return treasury.ErrReason
	}
	proposed := false
	err := v.Update(func(ctx context.Context, tx *store.Tx) error {
		admin, err := tx.Member(ctx, v.Who.Member.ID)
		if err == nil {
			err = d.Survey(ctx, tx)
		}
		if err != nil {
			return err
		}
		if proposed, err = r.server.Treasury.NeedsSecond(ctx, tx, admin, d.Batch); err != nil {
			return err
		}
		if proposed {
			_, err = r.server.Treasury.ProposeMany(ctx, tx, admin, d.Batch, d.Reason)
		} else {
			_, err = r.server.Treasury.GrantMany(ctx, tx, v.By(), admin, d.Batch, d.Reason)
		}
		return err
	})
	switch {
	case errors.Is(err, treasury.ErrFaults):
		return frame.Sorry("many.changed")
	case err != nil:
		return err
	case proposed:
		return v.Done("/approvals", "many.proposed", d.New, d.Total)
	}
	return v.Done("/credit/many", "many.done", d.New, d.Total)
}

// proposed shows a file that waits for a second person.
func (r room) proposed(v *frame.Visit) error {
	id, err := v.PathID("id")
	if err != nil {
		return err
	}
	var p struct {
		store.Proposal
		New, Opened int
		Total       money.Amount
	}
	err = v.View(func(ctx context.Context, tx *store.Tx) (err error) {
		if p.Proposal, err = tx.Proposal(ctx, id); err != nil {
			return err
		}
		if p.Kind != treasury.ManyKind {
			return store.ErrNotFound
		}
		p.New, p.Opened, p.Total, err = treasury.ProposedMany(p.Proposal)
		return err
	})
	if err != nil {
		return err
	}
	return v.Show("proposed", p)
}

// fault says what is wrong with a line, in the language of the visit.
func fault(v *frame.Visit, f sheet.Fault) string {
	switch f.What {
	case sheet.Large:
		return v.Say("sheet.large", sheet.MaxOctets>>20)
	case sheet.Long:
		return v.Say("sheet.long", sheet.MaxLines)
	case sheet.Wide:
		return v.Say("sheet.wide", sheet.MaxReason)
	}
	return v.Say("sheet."+string(f.What), f.Arg)
}

// pack makes of a file what fits into a form.
func pack(raw []byte) (string, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(raw); err != nil {
		return "", err
	}
	if err := z.Close(); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(b.Bytes()), nil
}

func unpack(packed string) ([]byte, error) {
	z, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(packed)))
	if err != nil {
		return nil, frame.ErrForm
	}
	raw, err := io.ReadAll(io.LimitReader(z, sheet.MaxOctets+1))
	if err != nil {
		return nil, frame.ErrForm
	}
	return raw, nil
}
