package door

import (
	"encoding/json"
	"errors"
	"net/url"

	"maillon/internal/auth"
	"maillon/internal/console/frame"
)

// maxForm bounds what somebody who is not signed in can send, in octets.
const maxForm = 48 << 10

// A signIn is what the pages of signing in know.
type signInPage struct {
	Name    string
	Back    string
	Why     bool // a session has ended meanwhile
	Problem string
	Passkey bool // the browser may have one for this place
}

func (d door) page(v *frame.Visit) signInPage {
	_, passkey := d.site(v.Request)
	return signInPage{Back: back(v), Why: v.Value("why") == "expired", Passkey: passkey}
}

func (d door) showSignIn(v *frame.Visit) error {
	if v.Who != nil {
		return v.Lead(back(v))
	}
	return v.Show("signin", d.page(v))
}

func (d door) signIn(v *frame.Visit) error {
	if err := v.Form(maxForm); err != nil {
		return err
	}
	p := d.page(v)
	p.Name = v.Value("name")
	t, err := d.Gate.Password(v.Context(), address(v.Request), p.Name, v.Request.PostFormValue("password"))
	if err != nil {
		if p.Problem = apology(v, err); p.Problem == "" {
			return err
		}
		return v.Refuse("signin", p)
	}
	setStep(v, t)
	return v.Lead(withBack("/signin/code", p.Back))
}

func withBack(path, back string) string {
	if back == "/" {
		return path
	}
	return path + "?" + url.Values{"back": {back}}.Encode()
}

func (d door) showCode(v *frame.Visit) error {
	if step(v) == "" {
		return v.Lead(withBack("/signin", back(v)))
	}
	return v.Show("code", d.page(v))
}

func (d door) code(v *frame.Visit) error {
	if err := v.Form(maxForm); err != nil {
		return err
	}
	p := d.page(v)
	t, err := d.Gate.Code(v.Context(), address(v.Request), step(v), v.Value("code"), browser(v.Request))
	if errors.Is(err, auth.ErrExpired) {
		setStep(v, "")
		return v.Lead(withBack("/signin", p.Back))
	}
	if err != nil {
		if p.Problem = apology(v, err); p.Problem == "" {
			return err
		}
		return v.Refuse("code", p)
	}
	return d.enter(v, t, p.Back)
}

// enter gives the browser its session. Another one that it had ends.
func (d door) enter(v *frame.Visit, t auth.Token, to string) error {
	if err := d.Gate.SignOut(v.Context(), frame.Token(v.Request)); err != nil {
		return err
	}
	setStep(v, "")
	v.SetToken(string(t))
	return v.Lead(to)
}

func (d door) signOut(v *frame.Visit) error {
	if err := d.Gate.SignOut(v.Context(), frame.Token(v.Request)); err != nil {
		return err
	}
	setStep(v, "")
	v.SetToken("")
	v.Writer.Header().Set("Clear-Site-Data", `"cache"`)
	return v.Lead("/signin")
}

func (d door) showConfirm(v *frame.Visit) error { return v.Show("confirm", d.page(v)) }

func (d door) confirm(v *frame.Visit) error {
	if err := v.Form(maxForm); err != nil {
		return err
	}
	p := d.page(v)
	t, err := d.Gate.Confirm(v.Context(), address(v.Request), frame.Token(v.Request), v.Value("code"))
	if err != nil {
		if p.Problem = apology(v, err); p.Problem == "" {
			return err
		}
		return v.Refuse("confirm", p)
	}
	v.SetToken(string(t))
	return v.Lead(p.Back)
}

// askPasskey answers the script with what the authenticator is asked.
func (d door) askPasskey(v *frame.Visit) error {
	site, ok := d.site(v.Request)
	if !ok {
		return frame.Sorry("door.nopasskeys")
	}
	ask, t, err := d.Gate.AskPasskey(v.Context(), address(v.Request), site)
	if err != nil {
		if text := apology(v, err); text != "" {
			return &frame.Apology{Word: "door.busy", Err: err}
		}
		return err
	}
	setStep(v, t)
	return answer(v, ask)
}

func answer(v *frame.Visit, value any) error {
	v.Writer.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(v.Writer).Encode(value)
}

func (d door) passkey(v *frame.Visit) error {
	site, _ := d.site(v.Request)
	p, to, err := d.shown(v, "signin", func(raw []byte) (auth.Token, error) {
		return d.Gate.Passkey(v.Context(), site, step(v), raw, browser(v.Request))
	})
	if to == "" {
		return err
	}
	return d.enter(v, to, p.Back)
}

func (d door) confirmPasskey(v *frame.Visit) error {
	site, _ := d.site(v.Request)
	p, to, err := d.shown(v, "confirm", func(raw []byte) (auth.Token, error) {
		return d.Gate.ConfirmPasskey(v.Context(), site, frame.Token(v.Request), step(v), raw)
	})
	if to == "" {
		return err
	}
	setStep(v, "")
	v.SetToken(string(to))
	return v.Lead(p.Back)
}

// shown takes what an authenticator answered. Without a token the visit is over.
func (d door) shown(v *frame.Visit, page string, take func([]byte) (auth.Token, error)) (signInPage, auth.Token, error) {
	if err := v.Form(maxForm); err != nil {
		return signInPage{}, "", err
	}
	p := d.page(v)
	raw := v.Request.PostFormValue("answer")
	if len(raw) > auth.MaxAnswer {
		return p, "", frame.ErrForm
	}
	t, err := take([]byte(raw))
	if errors.Is(err, auth.ErrExpired) {
		err = auth.ErrNo
	}
	if err == nil {
		return p, t, nil
	}
	if p.Problem = apology(v, err); p.Problem == "" {
		return p, "", err
	}
	return p, "", v.Refuse(page, p)
}
