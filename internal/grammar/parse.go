package grammar

// Parse returns the command that text means. Its error is always a
// *Misunderstanding.
func (p *Parser) Parse(text string) (Command, error) {
	return Command{}, &Misunderstanding{Key: "incompris"}
}
