package reference

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A page is the contract as it is shown.
type page struct {
	Title, Version string
	Intro          []block
	Groups         []*group
	Schemas        []schema
	Codes          []value // of problems
}

// A group is the operations with one tag.
type group struct {
	Name, Text string
	Operations []operation
}

// An operation is something that can be asked.
type operation struct {
	ID, Method, Path, Summary string
	Text                      []block
	Parameters                []field
	Body                      *schema
	Limit                     string // of the body
	Answers                   []answer
	Curl                      string
}

// An answer is one of those that an operation has, or several that say the same.
type answer struct {
	Status  []string
	Text    []block
	Schema  string
	Headers []field

	of *yaml.Node
}

// A schema is what a body holds.
type schema struct {
	Name   string
	Text   []block
	Kind   kind // of one that has no fields
	Fields []field
}

// A field is one of a schema, or a parameter.
type field struct {
	Name, Where string
	Kind        kind
	Required    bool
	Text        []block
}

// A kind says what a value is: a word, a schema that has its own place on the
// page, and what else it must hold to.
type kind struct {
	Word, Schema string
	Rules        []string
}

// A value is one of a list, and what it means.
type value struct{ Name, Text string }

// methods in the order in which a path shows them.
var methods = []string{"get", "post", "put", "patch", "delete"}

// errContract means that the contract is not of the form that this room knows.
var errContract = errors.New("not the contract that is expected")

// A contract reads one document.
type contract struct{ root *yaml.Node }

// read makes the page of a contract.
func read(text []byte) (*page, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	if len(doc.Content) != 1 {
		return nil, errContract
	}
	c := contract{doc.Content[0]}
	p := &page{
		Title: at(c.root, "info", "title").Value, Version: at(c.root, "info", "version").Value,
		Intro: prose(at(c.root, "info", "description").Value),
	}
	groups := map[string]*group{}
	for _, t := range at(c.root, "tags").Content {
		g := &group{Name: at(t, "name").Value, Text: at(t, "description").Value}
		groups[g.Name] = g
		p.Groups = append(p.Groups, g)
	}
	for path, item := range pairs(at(c.root, "paths")) {
		for _, m := range methods {
			o := at(item, m)
			if o.Kind == 0 {
				continue
			}
			tag := at(o, "tags")
			if len(tag.Content) != 1 || groups[tag.Content[0].Value] == nil {
				return nil, fmt.Errorf("%s %s has not one of the tags: %w", m, path, errContract)
			}
			g := groups[tag.Content[0].Value]
			g.Operations = append(g.Operations, c.operation(m, path, o))
		}
	}
	for name, s := range pairs(at(c.root, "components", "schemas")) {
		p.Schemas = append(p.Schemas, c.schema(name, s))
	}
	slices.SortFunc(p.Schemas, func(a, b schema) int { return cmp.Compare(a.Name, b.Name) })
	p.Codes = remarks(at(c.root, "components", "schemas", "Problem", "properties", "code", "enum"))
	return p, nil
}

func (c contract) operation(method, path string, o *yaml.Node) operation {
	v := operation{
		ID: at(o, "operationId").Value, Method: strings.ToUpper(method), Path: path, Summary: at(o, "summary").Value,
		Text: prose(at(o, "description").Value),
	}
	for _, p := range at(o, "parameters").Content {
		p, _ = c.follow(p)
		v.Parameters = append(v.Parameters, field{
			Name: at(p, "name").Value, Where: at(p, "in").Value, Kind: c.kind(at(p, "schema")),
			Required: at(p, "required").Value == "true", Text: prose(at(p, "description").Value),
		})
	}
	if body := at(o, "requestBody"); body.Kind != 0 {
		s, name := c.follow(at(body, "content", "application/json", "schema"))
		b := c.schema(name, s)
		v.Body, v.Limit = &b, at(body, "description").Value
	}
	for status, a := range pairs(at(o, "responses")) {
		a, _ = c.follow(a)
		if n := slices.IndexFunc(v.Answers, func(same answer) bool { return same.of == a }); n >= 0 {
			v.Answers[n].Status = append(v.Answers[n].Status, status)
			continue
		}
		r := answer{Status: []string{status}, Text: prose(at(a, "description").Value), of: a}
		for _, content := range pairs(at(a, "content")) {
			r.Schema = c.kind(at(content, "schema")).Schema
		}
		for name, h := range pairs(at(a, "headers")) {
			r.Headers = append(r.Headers, field{Name: name, Text: prose(at(h, "description").Value)})
		}
		v.Answers = append(v.Answers, r)
	}
	v.Curl = c.curl(method, path, o)
	return v
}

func (c contract) schema(name string, s *yaml.Node) schema {
	v := schema{Name: name, Text: prose(at(s, "description").Value)}
	required := words(at(s, "required"))
	for field, f := range pairs(at(s, "properties")) {
		v.Fields = append(v.Fields, c.field(field, f, slices.Contains(required, field)))
	}
	if v.Fields == nil {
		v.Kind = c.kind(s)
	}
	return v
}

func (c contract) field(name string, f *yaml.Node, required bool) field {
	return field{Name: name, Kind: c.kind(f), Required: required, Text: prose(at(f, "description").Value)}
}

// kind says what a value is.
func (c contract) kind(s *yaml.Node) kind {
	if all := at(s, "allOf"); len(all.Content) == 1 {
		k := c.kind(all.Content[0])
		k.Rules = append(k.Rules, rules(s)...)
		return k
	}
	if _, name := c.follow(s); name != "" {
		return kind{Word: name, Schema: name}
	}
	k := kind{Word: at(s, "type").Value, Rules: rules(s)}
	if items := at(s, "items"); items.Kind != 0 {
		of := c.kind(items)
		k.Word, k.Schema, k.Rules = "list of "+of.Word, of.Schema, append(k.Rules, of.Rules...)
	}
	return k
}

// rules says what a value must hold to, beside its kind.
func rules(s *yaml.Node) (all []string) {
	for _, r := range []struct{ key, says string }{
		{"format", "%s"},
		{"minimum", "at least %s"},
		{"maximum", "at most %s"},
		{"minLength", "at least %s letters"},
		{"maxLength", "at most %s letters"},
		{"minItems", "at least %s"},
		{"maxItems", "at most %s"},
		{"pattern", "of the form %s"},
		{"default", "%s if left out"},
	} {
		if v := at(s, r.key); v.Kind == yaml.ScalarNode {
			all = append(all, fmt.Sprintf(r.says, v.Value))
		}
	}
	if one := words(at(s, "enum")); len(one) > 0 {
		all = append(all, "one of "+strings.Join(one, ", "))
	}
	if at(s, "nullable").Value == "true" {
		all = append(all, "or null")
	}
	return all
}

// follow returns what a node refers to, and its name; the node itself if it
// refers to nothing.
func (c contract) follow(n *yaml.Node) (*yaml.Node, string) {
	ref := at(n, "$ref").Value
	path, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		return n, ""
	}
	steps := strings.Split(path, "/")
	return at(c.root, steps...), steps[len(steps)-1]
}

// at returns what stands at a path of keys, an empty node if nothing does.
func at(n *yaml.Node, path ...string) *yaml.Node {
	for _, key := range path {
		next := &yaml.Node{}
		for k, v := range pairs(n) {
			if k == key {
				next = v
			}
		}
		n = next
	}
	return n
}

// pairs goes over the keys of a mapping in their order.
func pairs(n *yaml.Node) func(yield func(string, *yaml.Node) bool) {
	return func(yield func(string, *yaml.Node) bool) {
		if n.Kind != yaml.MappingNode {
			return
		}
		for pair := range slices.Chunk(n.Content, 2) {
			if !yield(pair[0].Value, pair[1]) {
				return
			}
		}
	}
}

func words(n *yaml.Node) (all []string) {
	for _, w := range n.Content {
		all = append(all, w.Value)
	}
	return all
}

// remarks returns the values of a list with the remarks behind them.
func remarks(n *yaml.Node) (all []value) {
	for _, v := range n.Content {
		all = append(all, value{v.Value, strings.TrimSpace(strings.TrimPrefix(v.LineComment, "#"))})
	}
	return all
}
