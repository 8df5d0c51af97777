package setting

// Tick is the word under which the books keep who ticked off what.
const Tick = "tick"

// Checklist returns what an association makes sure of before it lets people pay:
// of telecoms, of law, of the house. Each is ticked off by a person.
func Checklist() []string {
	return []string{
		"sim", "modem", "cost", // telecoms
		"register", "notice", "lawyer", "euros", // law
		"secret", "restored", "desk", "cards", // the house
	}
}
