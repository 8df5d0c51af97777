package door_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"

	"maillon/internal/auth"
	"maillon/internal/browsertest"
	"maillon/internal/console/frame"
	"maillon/internal/store"
)

// patience is how long the browser may take for all of one test.
const patience = 2 * time.Minute

// fill writes into fields of the page, by name, and sends its form.
func fill(b *browsertest.Browser, pairs ...string) {
	for n := 0; n+1 < len(pairs); n += 2 {
		b.Do(chromedp.SendKeys(chromedp.CSS("main [name="+pairs[n]+"]"), pairs[n+1]))
	}
	b.Do(chromedp.Click(chromedp.CSS("main button.primary")))
}

// again signs in with one answer of the authenticator, sends it a second time to
// another question, and then sends no answer at all.
const again = `(async () => {
	const ask = async () => (await (await fetch("/console/passkey/ask", {method: "POST"})).json()).publicKey;
	const send = async (answer) => (await fetch("/console/signin/passkey", {method: "POST", body: new URLSearchParams({answer})})).status;
	const made = await navigator.credentials.get({publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(await ask())});
	const answer = JSON.stringify(made.toJSON()), first = await send(answer);
	await ask();
	const second = await send(answer);
	await ask();
	return first + " " + second + " " + await send("{}");
})()`

// The first visit and a passkey, in a real browser with an authenticator: made
// on the account's page, it opens the door with nothing typed, and confirms what
// is dangerous; another host's, or one that was removed, opens nothing.
func TestAPasskeyOpensTheDoor(t *testing.T) {
	h := newHouse(t)
	origin := strings.Replace(h.url, "127.0.0.1", "localhost", 1)
	b := browsertest.Open(t, origin, patience)
	yes := true
	b.Do(
		browsertest.Call(webauthn.Enable, webauthn.EnableParams{}),
		browsertest.Call(webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
			Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal,
			HasResidentKey: yes, HasUserVerification: yes, IsUserVerified: yes, AutomaticPresenceSimulation: yes,
		}}),
	)
	at := func(path string) string { return origin + frame.Root + path }

	// The first visit.
	link := h.link(func(ctx context.Context, tx *store.Tx) (auth.Token, error) {
		return h.Gate.InviteFirst(ctx, tx, "operator")
	})
	b.Do(chromedp.Navigate(strings.Replace(link, h.url, origin, 1)), chromedp.WaitVisible(chromedp.CSS("#secret")))
	if strings.Contains(browsertest.Run(b, chromedp.Evaluate[string](`location.href`)), "t=") {
		t.Error("the address still holds the invitation")
	}
	ada := h.browser()
	ada.secret = browsertest.Run(b, chromedp.Evaluate[string](`document.querySelector("#secret").textContent`))
	fill(b, "nick", "ada", "number", "0639980205", "password", good, "again", good, "code", ada.now(0))
	b.Until(`document.querySelectorAll("ul.card code").length == 10`)

	// A passkey is made.
	b.Do(chromedp.Navigate(at("/account/passkeys")), chromedp.WaitVisible(chromedp.CSS("[data-ask]")), chromedp.Click(chromedp.CSS("[data-ask]")))
	b.Until(`document.querySelector("table tbody tr") && document.body.textContent.match(/prête|ready/)`)

	// It opens the door.
	b.Do(chromedp.Click(chromedp.CSS(".out button")))
	b.Until(`location.pathname == "/console/signin"`)
	b.Do(chromedp.Navigate(at("/signin?back=%2Faccount")), chromedp.WaitVisible(chromedp.CSS("[data-ask]")), chromedp.Click(chromedp.CSS("[data-ask]")))
	b.Until(`location.pathname == "/console/account"`)
	b.Do(chromedp.Navigate(at("/confirm?back=%2Fstaff")), chromedp.WaitVisible(chromedp.CSS("[data-ask]")), chromedp.Click(chromedp.CSS("[data-ask]")))
	b.Until(`location.pathname == "/console/staff"`)

	// An answer is good for what was asked, once; and what is none opens nothing.
	if got := browsertest.Run(b, chromedp.Evaluate[string](again, chromedp.EvalAwaitPromise)); got != "200 422 422" {
		t.Errorf("an answer, the same answer, and none are %s", got)
	}

	// What was removed opens nothing.
	b.Do(chromedp.Navigate(at("/account/passkeys")), chromedp.Click(chromedp.CSS("main table button")))
	b.Until(`!document.querySelector("main table")`)
	b.Do(chromedp.Click(chromedp.CSS(".out button")))
	b.Until(`location.pathname == "/console/signin"`)
	b.Do(chromedp.WaitVisible(chromedp.CSS("[data-ask]")), chromedp.Click(chromedp.CSS("[data-ask]")))
	b.Until(`document.querySelector(".notice.bad")`)
	b.Do(chromedp.Navigate(at("/account")))
	b.Until(`location.pathname == "/console/signin"`)
}

// Without scripts nothing is offered that needs one, and the rest works.
func TestTheDoorOpensWithoutScripts(t *testing.T) {
	h := newHouse(t)
	b := browsertest.Open(t, h.url, patience)
	b.WithoutScripts()
	link := h.link(func(ctx context.Context, tx *store.Tx) (auth.Token, error) {
		return h.Gate.InviteFirst(ctx, tx, "operator")
	})
	b.Do(chromedp.Navigate(link), chromedp.WaitVisible(chromedp.CSS("#secret")))
	ada := h.browser()
	ada.secret = browsertest.Run(b, chromedp.Evaluate[string](`document.querySelector("#secret").textContent`))
	fill(b, "nick", "ada", "number", "0639980205", "password", good, "again", good, "code", ada.now(0))
	b.Until(`document.querySelectorAll("ul.card code").length == 10`)
	b.Do(chromedp.Navigate(h.url+frame.Root+"/account"), chromedp.Click(chromedp.CSS(".out button")))
	b.Until(`location.pathname == "/console/signin"`)
	b.Do(chromedp.Navigate(strings.Replace(h.url, "127.0.0.1", "localhost", 1) + frame.Root + "/signin"))
	for _, hidden := range []string{"[data-show]", "[data-ask]"} {
		if browsertest.Run(b, chromedp.Evaluate[bool](`document.querySelector("`+hidden+`").checkVisibility()`)) {
			t.Errorf("%s can be seen, and does nothing", hidden)
		}
	}
}
