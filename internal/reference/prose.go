package reference

import "strings"

// A block is a paragraph, or a list of which each line is one item.
type block struct {
	Lines [][]span // of a paragraph, one
	List  bool
}

// A span is some words, or some code.
type span struct {
	Text string
	Code bool
}

// prose reads the little markdown that the contract is written in: paragraphs,
// lists with dashes, and `code`.
func prose(text string) (all []block) {
	for part := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		items, list := strings.CutPrefix(part, "- ")
		if !list {
			all = append(all, block{Lines: [][]span{spans(part)}})
			continue
		}
		b := block{List: true}
		for item := range strings.SplitSeq(items, "\n- ") {
			b.Lines = append(b.Lines, spans(item))
		}
		all = append(all, b)
	}
	return all
}

func spans(text string) (all []span) {
	for n, part := range strings.Split(strings.Join(strings.Fields(text), " "), "`") {
		if part != "" {
			all = append(all, span{part, n%2 == 1})
		}
	}
	return all
}
