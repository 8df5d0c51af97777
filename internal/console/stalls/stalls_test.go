package stalls_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"maillon/internal/console/frame"
	"maillon/internal/console/frame/frametest"
	"maillon/internal/console/stalls"
	"maillon/internal/server"
	"maillon/internal/sms"
)

func open(t *testing.T) (c *frametest.Console, stall string) {
	t.Helper()
	c = frametest.Open(t, func(s *server.Server) []frame.Room { return []frame.Room{stalls.New(s)} })
	a := c.Post("tess", "/stalls", "who", "@soazig")
	stall = a.Location
	if a.Status != http.StatusSeeOther || stall != fmt.Sprintf("/stalls/%d", c.Member("soazig").ID) {
		t.Fatalf("who is looked for: %d %s %s", a.Status, a.Location, a.Text)
	}
	return c, stall
}

var (
	link   = regexp.MustCompile(`href="https?://[^"/]+/stall/#([A-Z2-7]{26})"`)
	device = regexp.MustCompile(`name="device" value="([0-9]+)"`)
	offer  = regexp.MustCompile(`name="template" value="([0-9]+)"`)
)

func TestAStallByTheConsoleAlone(t *testing.T) {
	c, stall := open(t)
	if a := c.Get("tess", stall); !a.Says("Nothing yet") || !a.Says("No device yet") || !a.Says("Nothing was sold") {
		t.Errorf("an empty stall: %d %s", a.Status, a.Text)
	}
	if a := c.Post("tess", stall, "what", "add", "description", "Pot de miel", "price", "5"); a.Status != http.StatusSeeOther {
		t.Fatalf("honey: %d %s", a.Status, a.Text)
	}
	c.Post("tess", stall, "what", "add", "description", "Légumes, au poids")
	a := c.Post("tess", stall, "what", "device", "description", "The van", "algorithm", "numbered")
	token := link.FindStringSubmatch(a.Body)
	if a.Status != http.StatusOK || token == nil || !strings.Contains(a.Body, "<svg") {
		t.Fatalf("the link: %d %s", a.Status, a.Text)
	}
	if a := c.Get("tess", stall); strings.Contains(a.Body, token[1]) || !a.Says("link not opened yet") || !a.Says("VIR ") || !a.Says("Légumes") {
		t.Errorf("afterwards: %s", a.Text)
	}
	e, err := c.Stalls.Enrol(t.Context(), token[1])
	if err != nil || len(e.Templates) != 2 {
		t.Fatalf("the telephone learns %+v, %v", e, err)
	}
	if a := c.Get("tess", stall); !a.Says("at work") {
		t.Errorf("enrolled: %s", a.Text)
	}
	if a := c.Get("tess", "/stalls"); !a.Says("soazig") {
		t.Errorf("the list: %s", a.Text)
	}
	sheet := c.Get("tess", stall).Body
	c.Post("tess", stall, "what", "revoke", "device", device.FindStringSubmatch(sheet)[1])
	c.Post("tess", stall, "what", "end", "template", offer.FindStringSubmatch(sheet)[1])
	if a := c.Get("tess", stall); !a.Says("revoked") || a.Says("Pot de miel") {
		t.Errorf("in the end: %s", a.Text)
	}
}

func TestAnAuthenticatorScansItsKey(t *testing.T) {
	c, stall := open(t)
	c.Post("tess", stall, "what", "device", "description", "Token", "algorithm", "totp")
	id := device.FindStringSubmatch(c.Get("tess", stall).Body)[1]
	if a := c.Post("tess", stall, "what", "authenticator", "device", id); a.Status != http.StatusOK || !strings.Contains(a.Body, `href="otpauth://totp/`) {
		t.Errorf("%d %s", a.Status, a.Text)
	}
}

func TestWhatWouldNotDoIsSaid(t *testing.T) {
	c, stall := open(t)
	for want, form := range map[string][]string{
		"1 to 40 letters":    {"what", "add", "description", " "},
		"above zero":         {"what", "add", "description", "Pain", "price", "x"},
		"has this reference": {"what", "refund", "ref", "Z9Z9"},
		"no such codes":      {"what", "device", "description", "Stand", "algorithm", "rot13"},
	} {
		if a := c.Post("tess", stall, form...); a.Status != http.StatusUnprocessableEntity || !a.Says(want) {
			t.Errorf("%v: %d %s", form, a.Status, a.Text)
		}
	}
	if a := c.Get("tess", stall+"?day=yesterday"); a.Status != http.StatusNotFound {
		t.Errorf("a day that is none: %d", a.Status)
	}
	if a := c.Get("tess", "/stalls/999"); a.Status != http.StatusNotFound {
		t.Errorf("a member who is none: %d", a.Status)
	}
}

// The front desk sees what is sold; who keeps the books changes it.
func TestWhoMayDoWhat(t *testing.T) {
	c, stall := open(t)
	if a := c.Get("fay", stall); a.Status != http.StatusOK || strings.Contains(a.Body, `name="what"`) {
		t.Errorf("the front desk: %d %s", a.Status, a.Text)
	}
	if a := c.Post("fay", stall, "what", "add", "description", "Pain"); a.Status != http.StatusForbidden {
		t.Errorf("the front desk sells: %d", a.Status)
	}
}

func TestADayForASpreadsheet(t *testing.T) {
	c, stall := open(t)
	a := c.Get("tess", stall+"/day.csv")
	if a.Status != http.StatusOK || !strings.HasPrefix(a.Body, "time,reference,item,") {
		t.Errorf("%d %s", a.Status, a.Text)
	}
}

// What is sold is printed by whoever may see the stall, and nobody prints what
// another stall sells.
func TestAPosterIsPrinted(t *testing.T) {
	c, stall := open(t)
	c.Post("tess", stall, "what", "add", "description", "Pot de miel", "price", "5")
	short := regexp.MustCompile(`href="/t/([0-9A-Z]{4})"`).FindStringSubmatch(c.Get("tess", stall).Body)[1]
	path := stall + "/poster.pdf?size=3x8&lang=fr&lang=ar&template=" + short
	c.Posters.Number = sms.Number{}
	if a := c.Get("fay", path); a.Status != http.StatusUnprocessableEntity || !a.Says("Aucune passerelle") {
		t.Errorf("without a number: %d %s", a.Status, a.Text)
	}
	var err error
	if c.Posters.Number, err = sms.FromE164("+33639980000"); err != nil {
		t.Fatal(err)
	}
	if a := c.Get("fay", path); a.Status != http.StatusOK || !strings.HasPrefix(a.Body, "%PDF-") {
		t.Errorf("%d %.200s", a.Status, a.Text)
	}
	for path, want := range map[string]int{
		stall + "/poster.pdf?size=A5&template=" + short:                                              http.StatusUnprocessableEntity, // no language
		stall + "/poster.pdf?size=A0&lang=fr&template=" + short:                                      http.StatusNotFound,
		stall + "/poster.pdf?size=A5&lang=fr&template=9ZZ9":                                          http.StatusNotFound,
		fmt.Sprintf("/stalls/%d/poster.pdf?size=A5&lang=fr&template=%s", c.Member("yann").ID, short): http.StatusNotFound,
	} {
		if a := c.Get("tess", path); a.Status != want {
			t.Errorf("%s: %d, want %d", path, a.Status, want)
		}
	}
}
