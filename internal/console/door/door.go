// Package door is the pages by which people who work here come in: sign in with
// both factors or a passkey, the first visit, an invitation, one's own account,
// and who else works here.
//
// What opens something, a password, a code, an invitation, is in the body of a
// request or in a cookie that scripts cannot read; only an invitation comes by
// an address, once, and leaves it at once.
package door

import (
	"embed"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"maillon/internal/auth"
	"maillon/internal/console/frame"
	"maillon/internal/server"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

//go:embed *.html *.toml *.js
var files embed.FS

type door struct {
	*server.Server
}

// New returns the room of the pages by which people come in.
func New(s *server.Server) frame.Room {
	d := door{s}
	anybody := func(route string, serve func(*frame.Visit) error) frame.Page {
		return frame.Page{Route: route, Right: frame.Anybody, Serve: serve}
	}
	own := func(route string, serve func(*frame.Visit) error) frame.Page {
		return frame.Page{Route: route, Right: frame.Somebody, Serve: serve}
	}
	proved := func(route string, serve func(*frame.Visit) error) frame.Page {
		return frame.Page{Route: route, Right: frame.Somebody, Fresh: true, Serve: serve}
	}
	staff := func(route string, fresh bool, serve func(*frame.Visit) error) frame.Page {
		return frame.Page{Route: route, Right: auth.Staff, Fresh: fresh, Serve: serve}
	}
	return frame.Room{
		Name: "door", Files: files, Static: []string{"door.js"},
		Pages: []frame.Page{
			anybody("GET /signin", d.showSignIn),
			anybody("POST /signin", d.signIn),
			anybody("GET /signin/code", d.showCode),
			anybody("POST /signin/code", d.code),
			anybody("POST /passkey/ask", d.askPasskey),
			anybody("POST /signin/passkey", d.passkey),
			anybody("POST /signout", d.signOut),
			anybody("GET /invited", d.invited),
			anybody("GET /welcome", d.showWelcome),
			anybody("POST /welcome", d.welcome),

			own("GET /confirm", d.showConfirm),
			own("POST /confirm", d.confirm),
			own("POST /confirm/passkey", d.confirmPasskey),
			own("GET /account", d.showAccount),
			own("POST /account/sessions/end", d.endSession),
			own("POST /account/sessions/others", d.endOthers),
			proved("GET /account/password", d.showPassword),
			proved("POST /account/password", d.changePassword),
			proved("GET /account/totp", d.showTOTP),
			proved("POST /account/totp", d.changeTOTP),
			proved("GET /account/recovery", d.showRecovery),
			proved("POST /account/recovery", d.newRecovery),
			proved("GET /account/passkeys", d.showPasskeys),
			proved("POST /account/passkeys/offer", d.offerPasskey),
			proved("POST /account/passkeys", d.addPasskey),
			proved("POST /account/passkeys/end", d.endPasskey),

			staff("GET /staff", false, d.showStaff),
			staff("GET /staff/new", false, d.showNew),
			staff("POST /staff/new", true, d.propose),
			staff("GET /staff/everybody", false, d.showEverybody),
			staff("POST /staff/everybody", true, d.revokeAll),
			{Route: "GET /staff/proposals/{id}", Right: auth.Approve, Serve: d.showProposal},
			staff("GET /staff/{id}", false, d.showPerson),
			staff("POST /staff/{id}/role", true, d.changeRole),
			staff("POST /staff/{id}/invite", true, d.invite),
			staff("POST /staff/{id}/renew", true, d.renew),
			staff("POST /staff/{id}/revoke", true, d.revoke),
		},
		Approvals: map[string]frame.Approval{
			treasury.ChangeRole: {Word: "door.approval.role", Path: "/staff/proposals/%d", Right: auth.Approve},
		},
		Menu: []frame.Entry{{Path: "/staff", Word: "door.staff", Right: auth.Staff, Group: "house", Order: 40}},
	}
}

// Names of the cookie that holds what somebody has shown who is not in yet.
const (
	stepCookie       = "maillon-door"
	secureStepCookie = "__Host-maillon-door"
	stepLife         = 3600 // seconds; how long it counts is the gate's to say
)

// step returns what the visitor has shown before.
func step(v *frame.Visit) auth.Token {
	c, err := v.Request.Cookie(stepName(v))
	if err != nil {
		return ""
	}
	return auth.Token(c.Value)
}

func stepName(v *frame.Visit) string {
	if frame.Secure(v.Request) {
		return secureStepCookie
	}
	return stepCookie
}

// setStep lets the browser keep what was shown, or forget it with "". It is sent
// also when a link from elsewhere leads here, for an invitation comes so.
func setStep(v *frame.Visit, t auth.Token) {
	c := &http.Cookie{ //nolint:gosec // G124: Secure wherever there is HTTPS
		Name: stepName(v), Value: string(t), Path: "/", MaxAge: stepLife,
		HttpOnly: true, Secure: frame.Secure(v.Request), SameSite: http.SameSiteLaxMode,
	}
	if t == "" {
		c.MaxAge = -1
	}
	http.SetCookie(v.Writer, c)
}

// address returns from where a request comes, for counting.
func address(r *http.Request) string {
	return auth.Address(r.RemoteAddr, r.Header.Get("X-Forwarded-For"))
}

// browser returns the family of a browser and of what it runs on, and no more:
// enough to know one's own sessions apart.
func browser(r *http.Request) string {
	agent := r.UserAgent()
	found := func(pairs ...string) string {
		for n := 0; n+1 < len(pairs); n += 2 {
			if strings.Contains(agent, pairs[n]) {
				return pairs[n+1]
			}
		}
		return "?"
	}
	return found("Firefox/", "Firefox", "Edg/", "Edge", "OPR/", "Opera", "Chrom", "Chrome", "Safari/", "Safari") + ", " +
		found("Android", "Android", "iPhone", "iPhone", "iPad", "iPad", "Windows", "Windows", "Mac OS", "macOS", "CrOS", "ChromeOS", "Linux", "Linux")
}

// site returns where passkeys are good, as the browser reached the page; false
// where browsers know none, which is for an address without a name.
func (d door) site(r *http.Request) (auth.Site, bool) {
	host := r.Host
	if h, port, ok := strings.Cut(host, ":"); ok && !strings.Contains(port, ":") {
		host = h
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil || strings.Contains(host, ":") || host == "" {
		return auth.Site{}, false
	}
	s := auth.Site{Host: host, Origin: "http://" + r.Host, Name: d.Settings.Association}
	if frame.Secure(r) {
		s.Origin = "https://" + r.Host
	}
	return s, frame.Secure(r) || host == "localhost"
}

// sorry is the table from what the gate says to what its visitor reads.
var sorry = []struct {
	err  error
	word string
}{
	{auth.ErrNo, "door.no"},
	{auth.ErrRenew, "door.renew.first"},
	{auth.ErrInvitation, "door.invitation.bad"},
	{auth.ErrNoRole, "door.norole"},
	{auth.ErrShort, "door.short"},
	{auth.ErrLong, "door.long"},
	{auth.ErrCommon, "door.common"},
	{auth.ErrOwnName, "door.ownname"},
	{store.ErrManyKeys, "door.manykeys"},
	{store.ErrBusy, "door.busy"},
	{treasury.ErrLastAdmin, "door.lastadmin"},
	{treasury.ErrTaken, "frame.taken"},
}

// apology returns what the visitor reads of an error, "" for one that nobody can
// cause.
func apology(v *frame.Visit, err error) string {
	if slow, ok := errors.AsType[*auth.SlowError](err); ok {
		return v.Say("door.slow", int64(time.Until(slow.Till)/time.Minute)+1)
	}
	for _, s := range sorry {
		if errors.Is(err, s.err) {
			return v.Say(s.word)
		}
	}
	text, _ := v.Sentence(err)
	return text
}

// back returns the page to which the visitor wants to go on, "/" if none.
func back(v *frame.Visit) string {
	to := frame.Local(v.Value("back"))
	if to == "" || strings.HasPrefix(to, "/signin") || strings.HasPrefix(to, "/confirm") || strings.HasPrefix(to, "/signout") {
		return "/"
	}
	return to
}
