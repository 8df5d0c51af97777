package rest_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"maillon/internal/auth"
	"maillon/internal/phrase"
	"maillon/internal/store"
	"maillon/internal/treasury"
)

var (
	needsScope  = regexp.MustCompile("^Needs the scope `([a-z:_]+)`")
	inBraces    = regexp.MustCompile(`\{[a-z_]+\}`)
	missingText = regexp.MustCompile(`"code":"scope_missing","detail":"this needs the scope ([a-z:_]+)"`)
)

// Whatever the contract has is served, to whoever has a key, and to no key that
// lacks the scope that the contract names.
func TestEachOperationNeedsTheScopeThatTheContractNames(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromFile("../../api/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	book, err := phrase.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	d := openDesk(t, store.Memory, book, readContract(t))
	d.act("merchant souk")
	keys := map[bool]map[string]auth.Token{false: {}, true: {}} // of merchants or not, by the one scope that they lack
	d.update(func(ctx context.Context, tx *store.Tx) error {
		for _, lacks := range append(auth.Scopes(), auth.MerchantScopes()...) {
			merchants := strings.Contains(string(lacks), ":")
			var token auth.Token
			var err error
			if merchants {
				_, token, err = auth.IssueMerchant(ctx, tx, treasury.Operator, auth.MerchantKey{
					Merchant: d.merchants["souk-test"], Test: true, Name: "key", Scopes: without(auth.MerchantScopes(), lacks),
				})
			} else {
				_, token, err = auth.Issue(ctx, tx, treasury.Operator, "key", without(auth.Scopes(), lacks))
			}
			if err != nil {
				return err
			}
			keys[merchants][string(lacks)] = token
		}
		return nil
	})
	asked := 0
	for path, item := range doc.Paths.Map() {
		for method, o := range item.Operations() {
			asked++
			url := inBraces.ReplaceAllString(path, "x_1")
			if w := send(d, method, url, ""); w.Code != http.StatusUnauthorized {
				t.Errorf("%s %s is answered %d without a key", method, path, w.Code)
			}
			found := needsScope.FindStringSubmatch(o.Description)
			if found == nil {
				if !strings.HasPrefix(o.Description, "Any key of a merchant") {
					t.Errorf("the contract does not say what scope %s %s needs", method, path)
				}
				continue
			}
			token, is := keys[strings.Contains(found[1], ":")][found[1]]
			if !is {
				t.Errorf("%s %s: there is no scope %s", method, path, found[1])
				continue
			}
			w := send(d, method, url, token)
			if got := missingText.FindStringSubmatch(w.Body.String()); w.Code != http.StatusForbidden || got == nil || got[1] != found[1] {
				t.Errorf("%s %s without %s is answered %d %s", method, path, found[1], w.Code, w.Body)
			}
		}
	}
	if asked < 40 {
		t.Errorf("only %d operations were asked", asked)
	}
}

// without returns the scopes but for one, and for those that include it.
func without(all []auth.Scope, lacks auth.Scope) (some []auth.Scope) {
	area, _, _ := strings.Cut(string(lacks), ":")
	for _, s := range all {
		if s != lacks && !strings.HasPrefix(string(s), area+":") {
			some = append(some, s)
		}
	}
	return some
}

func send(d *desk, method, url string, token auth.Token) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, url, nil)
	r.RemoteAddr = fmt.Sprintf("192.0.2.%d:1", len(url)) // none of them asks too often
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+string(token))
	}
	w := httptest.NewRecorder()
	d.api.ServeHTTP(w, r)
	return w
}
