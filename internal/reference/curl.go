package reference

import (
	"encoding/json"
	"net/url"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxDepth bounds how deep an example is made up.
const maxDepth = 6

// curl returns the line that tries an operation, with the examples of the
// contract.
func (c contract) curl(method, path string, o *yaml.Node) string {
	var headers []string
	query := url.Values{}
	for _, p := range at(o, "parameters").Content {
		p, _ = c.follow(p)
		name, example := at(p, "name").Value, c.sample(p)
		switch at(p, "in").Value {
		case "path":
			if example == "" {
				example = c.named(path, name)
			}
			path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(example))
		case "query":
			if at(p, "required").Value == "true" {
				query.Set(name, example)
			}
		case "header":
			headers = append(headers, name+": "+example)
		}
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	line := `curl "$MAILLON` + path + `"`
	if method != "get" {
		line += " -X " + strings.ToUpper(method)
	}
	parts := []string{line, `-H "Authorization: Bearer $KEY"`}
	for _, h := range headers {
		parts = append(parts, `-H "`+h+`"`)
	}
	if content := at(o, "requestBody", "content", "application/json"); content.Kind != 0 {
		example := at(content, "example")
		body := c.show(example)
		if example.Kind == 0 {
			body = c.make(at(content, "schema"), 0)
		}
		parts = append(parts, "--json '"+strings.ReplaceAll(body, "'", `'\''`)+"'")
	}
	return strings.Join(parts, " \\\n  ")
}

// sample returns the example of a parameter.
func (c contract) sample(p *yaml.Node) string {
	s, _ := c.follow(at(p, "schema"))
	for _, n := range []*yaml.Node{at(p, "example"), at(s, "example")} {
		if n.Kind == yaml.ScalarNode {
			return n.Value
		}
	}
	return ""
}

// named returns the example of what a parameter of a path names: the ID of what is
// read at that place.
func (c contract) named(path, parameter string) string {
	place, _, _ := strings.Cut(path, "{"+parameter+"}")
	s, _ := c.follow(at(c.root, "paths", place+"{"+parameter+"}", "get", "responses", "200", "content", "application/json", "schema"))
	id, _ := c.follow(at(s, "properties", "id"))
	return at(id, "example").Value
}

// show writes an example as JSON, in the order of the contract.
func (c contract) show(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		var fields []string
		for k, v := range pairs(n) {
			fields = append(fields, quote(k)+": "+c.show(v))
		}
		return "{" + strings.Join(fields, ", ") + "}"
	case yaml.SequenceNode:
		var items []string
		for _, v := range n.Content {
			items = append(items, c.show(v))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case yaml.ScalarNode:
		if n.Tag == "!!str" || n.Tag == "!!timestamp" {
			return quote(n.Value)
		}
		return n.Value
	}
	return "null"
}

// make makes an example of a schema: what it needs, and nothing more.
func (c contract) make(s *yaml.Node, depth int) string {
	s, _ = c.follow(s)
	if depth > maxDepth {
		return "null"
	}
	for _, key := range []string{"example", "default"} {
		if n := at(s, key); n.Kind != 0 {
			return c.show(n)
		}
	}
	if one := at(s, "enum"); len(one.Content) > 0 {
		return c.show(one.Content[0])
	}
	switch at(s, "type").Value {
	case "object":
		var fields []string
		for _, name := range words(at(s, "required")) {
			fields = append(fields, quote(name)+": "+c.make(at(s, "properties", name), depth+1))
		}
		return "{" + strings.Join(fields, ", ") + "}"
	case "array":
		return "[" + c.make(at(s, "items"), depth+1) + "]"
	case "integer":
		return "1"
	case "boolean":
		return "true"
	}
	return `"text"`
}

func quote(s string) string {
	var out strings.Builder
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err) // a string
	}
	return strings.TrimSuffix(out.String(), "\n")
}
