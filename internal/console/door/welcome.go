package door

import (
	"context"
	"errors"
	"html/template"
	"slices"
	"strconv"
	"strings"

	"rsc.io/qr"

	"maillon/internal/auth"
	"maillon/internal/console/frame"
	"maillon/internal/grammar"
	"maillon/internal/member"
	"maillon/internal/setting"
	"maillon/internal/sms"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

// firstCeiling is what the first administrator may credit a day, in units, as
// any administrator may without another word.
const firstCeiling = 200

// A secret is a second factor as it is shown: to be scanned, or typed.
type secret struct {
	Picture picture
	Text    string // in groups of four
	Address template.URL
}

// A picture is a QR code: its dark squares as one path.
type picture struct {
	Size int
	Path string
}

// quiet is the white margin that a reader of QR codes wants, in squares.
const quiet = 4

func (d door) secret(name, text string) (secret, error) {
	address := auth.EnrolmentAddress(d.Settings.Association, name, text)
	s := secret{Address: template.URL(address)} //nolint:gosec // G203: its scheme is otpauth, and all in it is escaped
	code, err := qr.Encode(address, qr.M)
	if err != nil {
		return s, err
	}
	s.Picture = draw(code)
	for n := 0; n < len(text); n += 4 {
		s.Text += text[n:min(n+4, len(text))] + " "
	}
	s.Text = strings.TrimSpace(s.Text)
	return s, nil
}

func draw(code *qr.Code) picture {
	var b strings.Builder
	for y := range code.Size {
		for x := range code.Size {
			if code.Black(x, y) {
				b.WriteString("M" + strconv.Itoa(x+quiet) + " " + strconv.Itoa(y+quiet) + "h1v1h-1z")
			}
		}
	}
	return picture{code.Size + 2*quiet, b.String()}
}

// invited takes an invitation from the address into a cookie, so that it stands
// in no list of visited pages and no log of what follows.
func (d door) invited(v *frame.Visit) error {
	setStep(v, auth.Token(v.Value("t")))
	return v.Lead("/welcome")
}

// A welcomePage is what somebody chooses who was invited.
type welcomePage struct {
	First     bool   // nobody is there yet: who is it?
	Who       string // who is meant, else
	Nick      string
	Number    string
	Language  string
	Languages []string
	Secret    secret
	Least     int

	NickProblem, NumberProblem, PasswordProblem, AgainProblem, CodeProblem, Problem string
}

func (d door) showWelcome(v *frame.Visit) error {
	p, _, err := d.host(v)
	if err != nil {
		return err
	}
	return v.Show("welcome", p)
}

// host finds who is invited, nil for whoever comes first.
func (d door) host(v *frame.Visit) (p welcomePage, m *member.Member, err error) {
	t := step(v)
	err = v.View(func(ctx context.Context, tx *store.Tx) (err error) {
		m, err = d.Gate.Invited(ctx, tx, t)
		return err
	})
	if errors.Is(err, auth.ErrInvitation) {
		return p, nil, &frame.Apology{Word: "door.invitation.bad", Err: err}
	}
	if err != nil {
		return p, nil, err
	}
	p = welcomePage{First: m == nil, Languages: d.Book.Languages(), Language: v.Language(), Least: auth.MinPassword}
	name := d.Settings.Association
	if m != nil {
		p.Who = called(m)
		name = p.Who
	}
	p.Secret, err = d.secret(name, d.Gate.Enrolment(string(t)))
	return p, m, err
}

func (d door) welcome(v *frame.Visit) error {
	if err := v.Form(maxForm); err != nil {
		return err
	}
	p, m, err := d.host(v)
	if err != nil {
		return err
	}
	p.Nick, p.Number = grammar.Fold(strings.TrimPrefix(v.Value("nick"), "@")), v.Value("number")
	if l := v.Value("language"); slices.Contains(p.Languages, l) {
		p.Language = l
	}
	number, own := d.readFirst(v, &p, m)
	password := v.Request.PostFormValue("password")
	if password != v.Request.PostFormValue("again") {
		p.AgainProblem = v.Say("door.again.differs")
	}
	var draft *auth.Draft
	if p.NickProblem+p.NumberProblem+p.AgainProblem == "" {
		draft, err = d.Gate.Prepare(v.Context(), step(v), password, v.Value("code"), own...)
		switch text := apology(v, err); {
		case err == nil:
		case errors.Is(err, auth.ErrNo):
			p.CodeProblem = v.Say("door.code.wrong")
		case text != "":
			p.PasswordProblem = text
		default:
			return err
		}
	}
	if draft == nil {
		return v.Refuse("welcome", p)
	}
	return d.accept(v, p, m, number, draft)
}

// readFirst reads who the first administrator is, and returns what a password
// may not be.
func (d door) readFirst(v *frame.Visit, p *welcomePage, m *member.Member) (number sms.Number, own []string) {
	if m != nil {
		return m.Number, []string{m.Nick, m.Number.National(), m.Number.E164(), d.Settings.Association}
	}
	if !member.ValidNick(p.Nick) || d.Teller.Reserved(p.Nick) {
		p.NickProblem = v.Say("door.nick.bad", member.MinNick, member.MaxNick)
	}
	number, err := sms.ParseNumber(p.Number, d.Settings.Region())
	if err != nil || !number.Mobile() || !slices.Contains(d.Settings.Countries, number.Country()) {
		p.NumberProblem = v.Say("door.number.bad")
		return number, nil
	}
	return number, []string{p.Nick, number.National(), number.E164(), d.Settings.Association}
}

// accept makes what was chosen hold, and shows the recovery codes, this once.
func (d door) accept(v *frame.Visit, p welcomePage, m *member.Member, number sms.Number, draft *auth.Draft) error {
	var codes []string
	var session auth.Token
	err := v.Update(func(ctx context.Context, tx *store.Tx) (err error) {
		if m == nil {
			m, err = d.first(ctx, tx, p, number)
		} else {
			m, err = tx.Member(ctx, m.ID)
		}
		if err != nil {
			return err
		}
		if codes, err = d.Gate.Accept(ctx, tx, step(v), m, draft); err != nil {
			return err
		}
		if p.First { // of an invitation the others were told when it was drawn
			if err := d.Treasury.Warn(ctx, tx, treasury.By(m), m, false); err != nil {
				return err
			}
		}
		session, err = d.Gate.Open(ctx, tx, m, browser(v.Request))
		return err
	})
	if err != nil {
		if p.Problem = apology(v, err); p.Problem == "" {
			return err
		}
		return v.Refuse("welcome", p)
	}
	if err := d.Gate.SignOut(v.Context(), frame.Token(v.Request)); err != nil {
		return err
	}
	setStep(v, "")
	v.SetToken(string(session))
	return v.Show("codes", codesPage{Codes: codes, Next: "/"})
}

// A codesPage shows recovery codes.
type codesPage struct {
	Codes []string
	Next  string
}

// first finds or registers the first administrator. Whoever holds the machine
// let them in, so that no second person is asked.
func (d door) first(ctx context.Context, tx *store.Tx, p welcomePage, number sms.Number) (*member.Member, error) {
	ceiling := setting.Whole(firstCeiling, d.Settings.Currency())
	m, err := tx.MemberByNumber(ctx, number)
	if errors.Is(err, store.ErrNotFound) {
		return d.Treasury.Add(ctx, tx, treasury.Operator, treasury.NewMember{
			Number: number, Nick: p.Nick, Language: p.Language, Role: member.Admin, Ceiling: ceiling, NoMember: true,
		})
	}
	if err != nil || m.Role == member.Admin {
		return m, err
	}
	return m, d.Treasury.SetRole(ctx, tx, treasury.Operator, m, member.Admin, ceiling)
}
