package card

// CaptionsIn returns the words on a card in a language, in English if there are
// none in it.
func CaptionsIn(language string) Captions {
	if language == "fr" {
		return Captions{
			Title: "Carte de codes", Issued: "Remise le",
			Rule: "Ne dites une case à personne. Le serveur la demande par SMS quand il le faut: envoyez-lui alors cette case seule.",
			Cut:  "Découpez le cadre, pliez au milieu.",
		}
	}
	return Captions{
		Title: "Code card", Issued: "Issued on",
		Rule: "Tell no cell to anybody. The server asks for one by SMS when it must: then send it that cell alone.",
		Cut:  "Cut along the frame, fold in the middle.",
	}
}
