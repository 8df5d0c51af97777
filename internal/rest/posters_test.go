package rest_test

import (
	"bytes"
	"context"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3filter"

	"maillon/internal/phrase"
	"maillon/internal/sms"
	"maillon/internal/store"
)

// What a merchant's program is given to print is a picture and a document, the
// same each time; the contract says so too.
func TestAMerchantPrintsHerPoster(t *testing.T) {
	for _, kind := range []string{"image/svg+xml", "application/pdf"} {
		openapi3filter.RegisterBodyDecoder(kind, openapi3filter.FileBodyDecoder)
		defer openapi3filter.UnregisterBodyDecoder(kind)
	}
	book, err := phrase.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	d := openDesk(t, store.Memory, book, readContract(t))
	if d.server.Posters.Number, err = sms.FromE164("+33639980000"); err != nil {
		t.Fatal(err)
	}
	d.update(func(ctx context.Context, tx *store.Tx) error { return d.openMerchant(ctx, tx, "souk") })
	key := func() http.Header { return http.Header{"Authorization": {"Bearer " + string(d.tokens["souk-test"])}} }
	header := key()
	header.Set("Idempotency-Key", "honey")
	header.Set("Content-Type", "application/json")
	if a := d.ask(http.MethodPost, "/v1/templates", header, `{"description": "Pot de miel", "amount": 5, "short_id": "7KQ2"}`); a.Code != http.StatusCreated {
		t.Fatalf("%d %s", a.Code, a.Body)
	}
	at := regexp.MustCompile(`tpl_\d+`).FindString(d.ask(http.MethodGet, "/v1/templates", key(), "").Body.String())
	for path, begins := range map[string]string{"poster.svg": "<svg ", "poster.pdf?size=3x8&lang=fr,ar,zgh": "%PDF-"} {
		first := d.ask(http.MethodGet, "/v1/templates/"+at+"/"+path, key(), "")
		if first.Code != http.StatusOK || !strings.HasPrefix(first.Body.String(), begins) {
			t.Fatalf("%s: %d %.80s", path, first.Code, first.Body)
		}
		if name := first.Header().Get("Content-Disposition"); !strings.HasPrefix(name, `inline; filename="7KQ2-`) {
			t.Errorf("%s is called %s", path, name)
		}
		if again := d.ask(http.MethodGet, "/v1/templates/"+at+"/"+path, key(), ""); !bytes.Equal(first.Body.Bytes(), again.Body.Bytes()) {
			t.Errorf("%s is another file", path)
		}
	}
}
