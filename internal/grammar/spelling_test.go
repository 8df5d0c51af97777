package grammar_test

import "testing"

// spellings are texts that the table of the specification does not show.
var spellings = []struct{ text, want string }{
	// The line and its characters.
	{"", "silence"}, {" \n\r\n\u00a0\u200b\n", "silence"}, {"👍", "silence"}, {"!!!", "silence"}, {"... 🙏🏽 !", "silence"}, {"\xff\xfe", "silence"},
	{"\n\n  solde\nvir 50 @yann", "balance"}, {"\u200b\nsolde", "balance"}, {"solde\r\nLena", "balance"}, {" ? ", "help"}, {"?\n--\nLena", "help"},
	{"vir\u00a050\u202f@yann", "pay amount=50 to=@yann"}, {"\ufeffsolde\u200e", "balance"}, {"vir 50\u200b@yann", "pay amount=50 to=@yann"},
	{"Combien ?", "balance"}, {"SOLDE.", "balance"}, {"«solde»", "balance"}, {"“solde”", "balance"}, {"(solde)", "balance"}, {"ＳＯＬＤＥ", "balance"},
	{"RELEVE\u0301", "history"}, {"relevé", "history"}, {"relevé", "history"}, {"Arrêt", "stop"}, {"ARRET", "stop"},
	{"vir ５０ ＠yann", "pay amount=50 to=@yann"}, {"¡", "silence"}, {"bloque ¡gwen", "block who=@gwen"},

	// Thanks, and words that nobody knows.
	{"merci 👍", "silence"}, {"Super, à demain", "silence"}, {"trugarez", "silence"}, {"thanks!", "silence"}, {"bonjour", "error incompris"},
	{"مرحبا", "error incompris"}, {"bonjour vir 50 @yann", "error incompris"}, {"50", "error incompris"}, {"@yann", "error incompris"}, {"0639980012", "error incompris"},

	// A verb of any language, glued, or as a key.
	{"bal", "balance"}, {"vir50 @yann", "pay amount=50 to=@yann"}, {"pay5 @lena", "pay amount=5 to=@lena"}, {"v12,50 @lena", "pay amount=12.5 to=@lena"},
	{"VIR50m à Lena", "pay amount=50 unit=m to=@lena"}, {"d20 @lena pneu", `ask amount=20 to=@lena memo="pneu"`}, {"pay5O @lena", "error lettre"},
	{"oui482913", "yes code=482913"}, {"vir0 @yann", "error zero"}, {"bon20", "voucher amount=20"}, {"pay5€ @lena", "error devise"},
	{"paye 5 @yann lesson", `pay amount=5 to=@yann memo="lesson"`}, {"send 5 to the garage", "pay amount=5 to=@garage"},
	{"credite=20 num=0639980012 motif=atelier", `admin.credit amount=20 to=+33639980012 memo="atelier"`}, {"langue=en", "lang to=en"},
	{"d1e2", "error incompris"}, {"s29", "error incompris"},

	// Keys.
	{"vir = 50 num = 06 39 98 00 12", "pay amount=50 to=+33639980012"}, {"vir:50 num:0639980012", "pay amount=50 to=+33639980012"},
	{"num=06 39 98 00 12 vir=50", "pay amount=50 to=+33639980012"}, {"vir=33 num=0639980012", "pay amount=33 to=+33639980012"},
	{"motif=Selle rouge vir=50 à=Yann", `pay amount=50 to=@yann memo="Selle rouge"`}, {"vir=50 pour=yann motif=\"pneu, chaîne\"", `pay amount=50 to=@yann memo="pneu, chaine"`},
	{"pay=5 to=lena note=see you at 5", `pay amount=5 to=@lena memo="see you at 5"`}, {"ask=40 num=0639980012", "ask amount=40 to=+33639980012"},
	{"vir montant=50 tel=0639980012 merci", `pay amount=50 to=+33639980012 memo="merci"`}, {"vir=50 pseudo=yann", "pay amount=50 to=@yann"},
	{"vir=1 000 @yann", "pay amount=1000 to=@yann"}, {"vir=20 m num=0639980012", "pay amount=20 unit=m to=+33639980012"},
	{"vir=50 motif=appelle 0639980034 à=yann", `pay amount=50 to=@yann memo="appelle 0639980034"`}, {"vir 50 @yann rdv : 14h", `pay amount=50 to=@yann memo="rdv : 14h"`},
	{"vir 50 @yann http://mal.ex 482913", `pay amount=50 to=@yann memo="http://mal.ex 482913"`}, {"vir 50 @yann code: 1234", `pay amount=50 to=@yann memo="code: 1234"`},
	{"code:482 913", "yes code=482913"}, {"code 482913", "yes code=482913"}, {"nick=Zoe", "nick name=zoe"}, {"annule ref=k7f2", "cancel ref=K7F2"}, {"verif ref : K7F2", "verify ref=K7F2"},
	{"vir=50", "error aide.vir"}, {"vir=50 num=", "error aide.vir"}, {"vir= num=0639980012", "error aide.vir"}, {"demande=20", "error aide.demande"},
	{"num=0639980012", "error incompris"}, {"vir=50 montant=20 @yann", "error aide.vir"}, {"vir=50 à=yann pour=lena", "error aide.vir"}, {"vir 50 @yann montant=20", "error aide.vir"},
	{"vir=50 num=063998001", "error num.court"}, {"vir=50 num=0639980012 à=yann", "error aide.vir"}, {"vir=5 demande=5 @yann", "error aide.vir"},
	{"ref=K7F2", "error incompris"},

	// Amounts.
	{"vir 50m @yann", "pay amount=50 unit=m to=@yann"}, {"vir 50 Maillons @yann", "pay amount=50 unit=m to=@yann"}, {"vir 1 maillon yann", "pay amount=1 unit=m to=@yann"},
	{"vir 2,5 heures @yann", "pay amount=2.5 unit=h to=@yann"}, {"vir 2h @yann", "pay amount=2 unit=h to=@yann"}, {"vir 12.50 @yann", "pay amount=12.5 to=@yann"},
	{"vir 50,- @yann", "pay amount=50 to=@yann"}, {"vir 50.- @yann", "pay amount=50 to=@yann"}, {"vir 50,00 @yann", "pay amount=50 to=@yann"}, {"vir 50, @yann", "pay amount=50 to=@yann"},
	{"vir 1 000 m @yann", "pay amount=1000 unit=m to=@yann"}, {"vir 1 000,50 @yann", "pay amount=1000.5 to=@yann"}, {"vir 1 234 567 @yann", "pay amount=1234567 to=@yann"},
	{"vir 1\u202f000m @yann", "pay amount=1000 unit=m to=@yann"}, {"vir 1.000,50 @yann", "pay amount=1000.5 to=@yann"}, {"vir 1,000.50 @yann", "pay amount=1000.5 to=@yann"},
	{"vir 05 @yann", "pay amount=5 to=@yann"}, {"vir 0,5 @yann", "pay amount=0.5 to=@yann"}, {"vir @yann 50", "pay amount=50 to=@yann"}, {"vir yann 50", "pay amount=50 to=@yann"},
	{"vir 1,000 @yann", "error ambigu.montant"}, {"vir 12.500 @yann", "error ambigu.montant"}, {"vir 1.000 m @yann", "error ambigu.montant"}, {"demande 1,000 @yann", "error ambigu.montant"},
	{"vir 0,00 @yann", "error zero"}, {"vir -5 m @yann", "error zero"}, {"vir - 5 @yann", "error zero"}, {"vir −5 @yann", "error zero"}, {"vir 000 @yann", "error zero"}, {"bon 0", "error zero"},
	{"vir 1OO @yann", "error lettre"}, {"vir 1l @yann", "error lettre"}, {"vir 5o @yann", "error lettre"}, {"credite 5O @yann atelier", "error lettre"},
	{"vir 20€ @yann", "error devise"}, {"vir 20 € @yann", "error devise"}, {"vir €20 @yann", "error devise"}, {"vir 20 eur @yann", "error devise"}, {"vir £5 @yann", "error devise"},
	{"pay 5 dollar @yann", "error devise"}, {"vir 20 Euro", "error devise"}, {"bon 20 euros", "error devise"}, {"vir 5kg @yann", "error devise"},
	{"vir 5½ @yann", "error aide.vir"}, {"vir 1.2.3 @yann", "error aide.vir"}, {"vir 9999999999999999 @yann", "error aide.vir"}, {"vir 2h30 @yann", "error aide.vir"},

	{"vir 12, 50 @yann", "error aide.vir"}, {"vir 12 ,50 @yann", "error aide.vir"}, {"vir 10 00 @yann", "error aide.vir"}, {"vir 5 0 @yann", "error aide.vir"},
	{"vir 50@yann", "pay amount=50 to=@yann"}, {"vir50@yann", "pay amount=50 to=@yann"}, {"50m@yann", "pay amount=50 unit=m to=@yann bare=yes"},
	{"vir 5 @yann lena29@exemple.fr", `pay amount=5 to=@yann memo="lena29@exemple.fr"`},

	// Numbers.
	{"vir 50 06 39 98 00 12", "pay amount=50 to=+33639980012"}, {"vir 50 06-39-98-00-12", "pay amount=50 to=+33639980012"}, {"vir 50 06/39/98/00/12", "pay amount=50 to=+33639980012"},
	{"vir 50 +33 (0)6 39 98 00 12", "pay amount=50 to=+33639980012"}, {"vir 50 +33(0)639980012", "pay amount=50 to=+33639980012"}, {"vir 50 +33 6 39 98 00 12", "pay amount=50 to=+33639980012"},
	{"vir 50 33639980012", "pay amount=50 to=+33639980012"}, {"vir 33 6 39 98 00 12 50", "pay amount=50 to=+33639980012"}, {"vir 50 00 33 6 39 98 00 12", "pay amount=50 to=+33639980012"},
	{"vir 33 0639980012", "pay amount=33 to=+33639980012"}, {"vir 1 000 06 39 98 00 12", "pay amount=1000 to=+33639980012"}, {"vir 0639980012 50", "pay amount=50 to=+33639980012"},
	{"vir 50 à 06.39.98.00.12, merci", `pay amount=50 to=+33639980012 memo="merci"`}, {"vir 50 0639980012 2 pneus", `pay amount=50 to=+33639980012 memo="2 pneus"`},
	{"vir 06 39 98 00 12 50 m selle", `pay amount=50 unit=m to=+33639980012 memo="selle"`}, {"vir 50 \u202a+33 6 39 98 00 12\u202c", "pay amount=50 to=+33639980012"},
	{"vir 50 0712345678", "pay amount=50 to=+33712345678"}, {"vir 50 +44 7700 900123", "pay amount=50 to=+447700900123"}, {"vir 50 0044 7700 900123", "pay amount=50 to=+447700900123"},
	{"vir 50 ０６３９９８００１２", "pay amount=50 to=+33639980012"},
	{"vir 10 0102030405", "error num.fixe"}, {"vir 10 +33 2 61 91 00 12", "error num.fixe"}, {"vir 10 09 72 00 00 00", "error num.fixe"}, {"vir 10 0 805 10 10 10", "error num.special"},
	{"vir 10 063998001", "error num.court"}, {"vir 10 06 39 98 00 1", "error num.court"}, {"vir 063998001 10", "error num.court"}, {"vir 50 639980012", "error num.court"},
	{"vir 10 06399800123", "error num.court"}, {"vir 50 3639", "error num.court"}, {"vir 10 063998001 merci", "error num.court"}, {"vir 0 0261910012", "error zero"},
	{"vir 5 06399800120639980034", "error ambigu.num"}, {"vir 5 06 39 98 00 12 06 39 98 00 34", "error ambigu.num"}, {"vir 06 06 39 98 00 12", "error ambigu.num"},
	{"vir 5 0639980012 ou 0639980034", "error ambigu.num"}, {"vir 5 0639980012 @yann", "error ambigu.num"}, {"vir 5 @yann 0639980012", "error ambigu.num"},
	{"vir 50 O639980012", "error lettre"}, {"vir 0639980012", "error aide.vir"},

	// Payee, small words, memo.
	{"virement de 50 pour Yann", "pay amount=50 to=@yann"}, {"vir 50 à yann, svp", "pay amount=50 to=@yann"}, {"vir 50 @Yann pour la selle", `pay amount=50 to=@yann memo="la selle"`},
	{"vir 50 yann chambre à air", `pay amount=50 to=@yann memo="chambre à air"`}, {"vir 50 @yann Réparer LE vélo !", `pay amount=50 to=@yann memo="Réparer LE vélo"`},
	{"vir 50 @yann œuvre d’Anaïs 👍", `pay amount=50 to=@yann memo="oeuvre d'Anais"`}, {"vir 50 @yann dit \"oui\" à tout", `pay amount=50 to=@yann memo="dit \"oui\" à tout"`},
	{"vir 50 @yann de la part de @lena", `pay amount=50 to=@yann memo="la part de @lena"`}, {"vir 50 @yann.", "pay amount=50 to=@yann"}, {"vir 5 moi", "pay amount=5 to=@moi"},
	{"vir selle 50 @yann", `pay amount=50 to=@yann memo="selle"`}, {"vir 50 @léna", "pay amount=50 to=@lena"}, {"vir 50 @yann Łódź", `pay amount=50 to=@yann memo="odz"`},
	{"vir", "error aide.vir"}, {"virement stp", "error aide.vir"}, {"vir @yann", "error aide.vir"}, {"vir à yann", "error aide.vir"}, {"vir ?", "error aide.vir"},
	{"demande", "error aide.demande"}, {"demande 20", "error aide.demande"}, {"ask @yann", "error aide.demande"}, {"credite", "error aide.credite"},
	{"credite 20 @yann", "error aide.credite"}, {"credit 20 0639980012 workshop", `admin.credit amount=20 to=+33639980012 memo="workshop"`},

	// Without a verb.
	{"20 0639980034", "pay amount=20 to=+33639980034 bare=yes"}, {"50 06 39 98 00 12", "pay amount=50 to=+33639980012 bare=yes"}, {"50 m @yann", "pay amount=50 unit=m to=@yann bare=yes"},
	{"50m @Yann !", "pay amount=50 unit=m to=@yann bare=yes"}, {"50 0639980012", "pay amount=50 to=+33639980012 bare=yes"}, {"1 000 @yann", "pay amount=1000 to=@yann bare=yes"},
	{"50 @yann selle", "error incompris"}, {"50 yann", "error incompris"}, {"0 @yann", "error zero"}, {"5O @yann", "error lettre"}, {"1.000 @yann", "error ambigu.montant"},
	{"50 0261910012", "error num.fixe"}, {"50 € @yann", "error devise"}, {"@yann selle", "error incompris"},

	// Codes.
	{"482-913", "yes code=482913"}, {"482.913", "yes code=482913"}, {"48 29 13", "yes code=482913"}, {"4829", "yes code=4829"}, {"48291300", "yes code=48291300"}, {"082 337", "yes code=082337"},
	{"482913.", "yes code=482913"}, {"OUI 482 913", "yes code=482913"}, {"oui le code est 482 913 merci", "yes code=482913"}, {"ok: 482913", "yes code=482913"}, {"482913 oui", "yes code=482913"},
	{"482913 merci", "yes code=482913"}, {"yes 482913", "yes code=482913"}, {"oui 482 913 50", "yes code=482913"}, {"OK", "error code.manque"}, {"oui merci", "error code.manque"},
	{"oui 12", "error code.manque"}, {"oui 123456789", "error code.manque"}, {"482", "error incompris"}, {"123456789", "error incompris"}, {"1.000", "error incompris"},

	// The other arguments.
	{"non k7f2.", "no ref=K7F2"}, {"non merci", "no"}, {"n", "no"}, {"annule la K7F2", "cancel ref=K7F2"}, {"annule svp", "cancel"}, {"erreur K7F2L", "cancel ref=K7F2L"}, {"non K0F2", "no"},
	{"verif", "error incompris"}, {"rends 20 @yann", "error incompris"}, {"check k7f2", "verify ref=K7F2"}, {"histo page 2", "history page=2"}, {"histo 0", "history"}, {"histo 99999999", "history"},
	{"pseudo : Yann", "nick name=yann"}, {"PSEUDO @Zoé", "nick name=zoe"}, {"pseudo", "error pseudo.invalide"}, {"pseudo Jean Luc", "nick name=jean"}, {"surnom zo", "nick name=zo"},
	{"aide solde", "help about=balance"}, {"aide truc", "help"}, {"? vir", "help about=pay"}, {"menu", "help"}, {"Langue", "error langue.inconnue"}, {"langue Anglais", "lang to=anglais"},
	{"mot", "error mot.invalide"}, {"MOT Tulipe", "word word=tulipe"}, {"mot été", "word word=été"}, {"perdu", "lost"}, {"perdu 7304", "lost cell=7304"}, {"perdu lena B3 7304", "lost who=@lena cell=7304"},
	{"PERDU @Lena B3: 73 04", "lost who=@lena cell=7304"}, {"volé", "lost"}, {"vol !", "fraud"}, {"carte B3 7304", "card cell=7304"}, {"carte", "error incompris"}, {"perdu 0639980012", "error incompris"}, {"perdu 06 39 98 00 12", "error incompris"}, {"card 73 04", "card cell=7304"},
	{"bloque gwen stp", "block who=@gwen"}, {"debloque @gwen", "unblock who=@gwen"}, {"bloque", "error incompris"}, {"GELE mallory", "admin.freeze who=@mallory"}, {"dégèle @mallory", "admin.unfreeze who=@mallory"},
	{"caisse", "till"}, {"caisse 28/03", "till date=28/03"}, {"caisse du 28.3", "till date=28/03"}, {"till 28/03/2026", "till date=28/03"}, {"caisse 31/02", "till"}, {"caisse 99/99", "till"},
	{"reprendre", "start"}, {"pause", "admin.pause"}, {"ETAT ?", "admin.state"}, {"bon", "error incompris"}, {"bon 10 00", "error incompris"}, {"encaisse H7K2-94QX", "redeem voucher=H7K294QX"},
	{"encaisse b2c3d4e5 5", "redeem voucher=B2C3D4E5 amount=5"}, {"redeem H7K2 94QX 12,5", "redeem voucher=H7K294QX amount=12.5"}, {"encaisse 5", "error incompris"}, {"encaisse b2c3d4e5 0", "error zero"},

	// Slips of the thumb: only what reads.
	{"soldee", "balance guessed=yes"}, {"sode", "balance guessed=yes"}, {"hsito 2", "history page=2 guessed=yes"}, {"aiide", "help guessed=yes"}, {"vreif K7F2", "verify ref=K7F2 guessed=yes"},
	{"caise", "till guessed=yes"}, {"balnace", "balance guessed=yes"}, {"vri 10 @yann", "error incompris"}, {"payr 10 @yann", "error incompris"}, {"virr 50 @yann", "error incompris"},
	{"anule", "error incompris"}, {"demnade 5 @yann", "error incompris"}, {"sld", "error incompris"}, {"sldoee", "error incompris"}, {"perrdu", "error incompris"},
}

func TestSpellings(t *testing.T) {
	p := shipped(t)
	for _, s := range spellings {
		if got := read(p, s.text); got != s.want {
			t.Errorf("%q is read as %s, want %s", s.text, got, s.want)
		}
	}
}
