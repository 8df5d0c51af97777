package story

import (
	"slices"

	"maillon/internal/sms"
)

// ServerNumber returns the number that phones write to.
func ServerNumber() sms.Number { return number("+33639980000") }

// Phones returns the number of every phone, by its name in stories. All are of
// the range 06 39 98, set aside in France for fiction.
func Phones() map[string]sms.Number {
	return map[string]sms.Number{
		"yann":     number("+33639980012"),
		"gwen":     number("+33639980023"),
		"lena":     number("+33639980034"),
		"lena2":    number("+33639980035"),
		"soazig":   number("+33639980056"),
		"atelier":  number("+33639980078"),
		"malo":     number("+33639980090"),
		"inconnu1": number("+33639980091"),
		"inconnu2": number("+33639980092"),
		"vieux":    number("+33639980093"),
		"inconnu3": number("+33639980094"),
		"annaig":   number("+33639980101"),
		"treso":    number("+33639980102"),
		"mallory":  number("+33639980666"),
		"mallory2": number("+33639980667"),
		"complice": number("+33639980668"),
	}
}

// Administrators returns the phones whose owners may act on the web page.
func Administrators() []string { return []string{"annaig", "treso"} }

// The association's accounts.
const (
	Emission = "emission" // where credits come from
	Losses   = "pertes"   // what good faith keeps of stolen money
	Pot      = "pot"      // the common pot
)

// mayOwe reports whether an account's balance may be negative.
func mayOwe(account string) bool { return account == Emission || account == Losses }

func ofAssociation(account string) bool {
	return slices.Contains([]string{Emission, Losses, Pot}, account)
}

func number(e164 string) sms.Number {
	n, err := sms.FromE164(e164)
	if err != nil {
		panic("story: a phone's " + err.Error())
	}
	return n
}
