package grammar_test

import "testing"

func TestAnAddressIsReadAsTyped(t *testing.T) {
	p := shipped(t)
	for text, want := range map[string]string{
		"mail lena@example.org":              "mail address=lena@example.org",
		"MAIL Lena.B_x-2@Example.org.":       "mail address=Lena.B_x-2@Example.org",
		"mail: <lena@example.org>":           "mail address=lena@example.org",
		"courriel 5lena@example.org":         "mail address=5lena@example.org",
		"mail mon adresse lena@example.org!": "mail address=lena@example.org",
		"Mél _lena@example.org merci":        "mail address=_lena@example.org",
		"mail":                               "mail",
		"mail?":                              "mail",
		"mail stop":                          "mail about=stop",
		"mail arrêt":                         "mail about=stop",
		"mail lena":                          "mail address=lena",
	} {
		if got := read(p, text); got != want {
			t.Errorf("%q is read as %q, want %q", text, got, want)
		}
	}
}
