package sms_test

import (
	"fmt"
	"strings"
	"testing"

	"maillon/internal/sms"
)

func TestAddressesAreReadAsPeopleWriteThem(t *testing.T) {
	for text, want := range map[string]string{
		"lena@example.org":                       "lena@example.org",
		" Lena.B+x@Example.ORG ":                 "lena.b+x@example.org",
		"lena@bücher.example":                    "lena@xn--bcher-kva.example",
		"_lena-5%@a.b-c.example":                 "_lena-5%@a.b-c.example",
		"lena":                                   "",
		"@yann":                                  "",
		"lena@":                                  "",
		"lena@localhost":                         "",
		"lena@example.org.":                      "",
		"lena@[127.0.0.1]":                       "",
		"Lena <lena@example.org>":                "",
		`"le na"@example.org`:                    "",
		"léna@example.org":                       "",
		"le na@example.org":                      "",
		"lena@example.org,b@c.org":               "",
		"lena@exa\r\nmple.org":                   "",
		"lena..b@example.org":                    "",
		strings.Repeat("l", 300):                 "",
		"l@" + strings.Repeat("e.", 150) + "org": "",
	} {
		a, err := sms.ParseAddress(text)
		if a.Text() != want || (err == nil) != (want != "") {
			t.Errorf("ParseAddress(%q) = %q, %v; want %q", text, a.Text(), err, want)
		}
		if err != nil && text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("the error tells the text: %v", err)
		}
	}
}

func TestAnAddressHidesItself(t *testing.T) {
	a, err := sms.ParseAddress("lena@example.org")
	if err != nil {
		t.Fatal(err)
	}
	m := sms.Outgoing{Address: a}
	if shown := fmt.Sprintf("%v %+v %#v %s %x %q %v", a, a, a, a, a, a, m); strings.Contains(shown, "lena") || strings.Contains(shown, "6c656e61") {
		t.Errorf("an address shows: %s", shown)
	}
	if a.Masked() != "l**@example.org" || a.LogValue().String() != "l**@example.org" {
		t.Errorf("masked: %s", a.Masked())
	}
}
