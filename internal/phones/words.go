package phones

import (
	"net/http"
	"strings"

	"golang.org/x/text/language"

	"maillon/internal/ledger"
	"maillon/internal/member"
)

// words are what the page says in one language. In the examples, a name or a
// number takes the place of %s.
type words struct {
	Tag   string // BCP 47
	Name  string // of the language, in itself
	Title string
	Lead  string // how to begin
	To    string // before the number of the service

	Phones, Ledger                 string // headings and tabs
	Write, Send, Thread, Try       string // labels; %s is the name of the phone
	Hint                           string // in an empty text box
	Answer                         string // label of a suggested code
	Empty                          string // a thread without messages
	Failed                         string // a message that the server did not take
	Other, OtherHint, Number, Open string // the box for another phone
	Transfers, Accounts, Sum, Zero string
	Nothing                        string // a ledger without transfers
	Live, Still                    string // whether the page follows what happens

	State map[member.State]string
	Kind  map[ledger.Kind]string
	House map[string]string // the association's accounts

	Balance, Pay, PayNumber, Join, No, Help, Status, Credit string // examples of texts

	TooLong, EmptyText, NotMobile, NoPhone, Later, TooBig, Unreadable, Internal string
	TooManyStreams                                                              string

	decimal, thousands string
	day                string // layout of a date
}

// languages are those that the page speaks, the default first.
type languages struct {
	all     []words
	matcher language.Matcher
}

func spoken() languages {
	l := languages{all: []words{french(), english()}}
	tags := make([]language.Tag, 0, len(l.all))
	for _, w := range l.all {
		tags = append(tags, language.MustParse(w.Tag))
	}
	l.matcher = language.NewMatcher(tags)
	return l
}

// of returns the words for a reader: as the address asks, else as the browser
// does, else in French.
func (l languages) of(r *http.Request) words {
	asked := r.URL.Query().Get("lang")
	for _, w := range l.all {
		if w.Tag == asked {
			return w
		}
	}
	tags, _, err := language.ParseAcceptLanguage(r.Header.Get("Accept-Language"))
	if err != nil {
		return l.all[0]
	}
	_, i, _ := l.matcher.Match(tags...)
	return l.all[i]
}

// others returns the languages beside that of w.
func (l languages) others(w words) []words {
	var others []words
	for _, o := range l.all {
		if o.Tag != w.Tag {
			others = append(others, o)
		}
	}
	return others
}

// named puts a name into a text.
func named(text, name string) string { return strings.ReplaceAll(text, "%s", name) }

func french() words {
	return words{
		Tag: "fr", Name: "Français",
		Title: "Les téléphones du village",
		Lead:  "Payez par SMS, sans téléphone\u00a0: touchez «\u00a0solde\u00a0», puis un exemple de paiement, et répondez avec le code reçu.",
		To:    "Ils écrivent au",

		Phones: "Téléphones", Ledger: "Le grand livre",
		Write: "SMS à écrire sur le téléphone de %s", Send: "Envoyer", Thread: "Messages sur le téléphone de %s", Try: "Exemples pour %s",
		Answer: "Répondre %s", Hint: "Écrire un SMS",
		Empty:  "Aucun message. Essayez «\u00a0solde\u00a0».",
		Failed: "non envoyé",
		Other:  "Un autre téléphone", OtherHint: "N'importe quel 06 ou 07. Rien n'est envoyé au vrai numéro.", Number: "Numéro", Open: "Poser sur la table",
		Transfers: "Mouvements", Accounts: "Soldes", Sum: "Somme", Zero: "La somme est toujours zéro\u00a0: rien ne se perd.",
		Nothing: "Rien encore. Le premier paiement s'écrira ici.",
		Live:    "en direct", Still: "hors ligne, nouvel essai…",

		State: map[member.State]string{
			"": "sans compte", member.New: "nouveau", member.Active: "membre", member.Staff: "administration", member.Closed: "compte fermé",
		},
		Kind: map[ledger.Kind]string{
			ledger.Opening: "ouverture", ledger.Payment: "paiement", ledger.Credit: "crédit", ledger.Return: "retour", ledger.Correction: "correction", ledger.Closing: "clôture", ledger.Demurrage: "fonte", ledger.Share: "pot", ledger.Trade: "commerce",
		},
		House: map[string]string{"emission": "émission", "pertes": "pertes", "pot": "pot commun"},

		Balance: "solde", Pay: "vir 5 @%s", PayNumber: "vir=10 num=%s", Join: "pseudo zoe", No: "NON", Help: "aide",
		Status: "état", Credit: "crédite 20 @%s atelier",

		TooLong: "Ce message est trop long pour un SMS.", EmptyText: "Écrivez d'abord un message.",
		NotMobile: "Ce n'est pas un numéro de mobile. Exemple\u00a0: 06 39 98 00 77.",
		NoPhone:   "Ce téléphone n'est plus sur la table. Rechargez la page.",
		Later:     "Le serveur ne peut pas enregistrer ce message maintenant\u00a0: rien n'a été fait. Réessayez.",
		TooBig:    "C'est trop pour un SMS.", Unreadable: "Ce formulaire est illisible.", Internal: "Une erreur du serveur. Référence %s.",
		TooManyStreams: "Trop de pages ouvertes.",
		decimal:        ",", thousands: "\u202f", day: "02/01",
	}
}

func english() words {
	return words{
		Tag: "en", Name: "English",
		Title: "The phones of the village",
		Lead:  "Pay by text message, without a phone: tap “balance”, then an example of a payment, and answer with the code you get.",
		To:    "They write to",

		Phones: "Phones", Ledger: "The ledger",
		Write: "Text to write on the phone of %s", Send: "Send", Thread: "Messages on the phone of %s", Try: "Examples for %s",
		Answer: "Answer %s", Hint: "Write a text",
		Empty:  "No messages. Try “balance”.",
		Failed: "not sent",
		Other:  "Another phone", OtherHint: "Any French mobile, 06 or 07. Nothing is sent to the real number.", Number: "Number", Open: "Put on the table",
		Transfers: "Transfers", Accounts: "Balances", Sum: "Sum", Zero: "The sum is always zero: nothing gets lost.",
		Nothing: "Nothing yet. The first payment will be written here.",
		Live:    "live", Still: "offline, trying again…",

		State: map[member.State]string{
			"": "no account", member.New: "new", member.Active: "member", member.Staff: "administration", member.Closed: "account closed",
		},
		Kind: map[ledger.Kind]string{
			ledger.Opening: "opening", ledger.Payment: "payment", ledger.Credit: "credit", ledger.Return: "return", ledger.Correction: "correction", ledger.Closing: "closing", ledger.Demurrage: "demurrage", ledger.Share: "pot", ledger.Trade: "trade",
		},
		House: map[string]string{"emission": "issued", "pertes": "losses", "pot": "common pot"},

		Balance: "balance", Pay: "pay 5 @%s", PayNumber: "pay=10 to=%s", Join: "nick zoe", No: "NO", Help: "help",
		Status: "state", Credit: "credit 20 @%s workshop",

		TooLong: "This message is too long for an SMS.", EmptyText: "Write a message first.",
		NotMobile: "This is no mobile number. Example: 06 39 98 00 77.",
		NoPhone:   "This phone is no longer on the table. Reload the page.",
		Later:     "The server cannot keep this message now: nothing was done. Try again.",
		TooBig:    "This is too much for an SMS.", Unreadable: "This form cannot be read.", Internal: "An error of the server. Reference %s.",
		TooManyStreams: "Too many pages are open.",
		decimal:        ".", thousands: ",", day: "2 Jan",
	}
}
