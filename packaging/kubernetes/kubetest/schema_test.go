package kubetest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/yannh/kubeconform/pkg/validator"
)

// kubernetes are the versions that the manifests are for, the oldest and the
// newest, each with the checksum of its module.
var kubernetes = map[string]string{
	"v1.34.0": "h1:NvUrwPAVB4W3mSOpJ/RtNGHWWYyUP/xPaX5rUSpzA0w=",
	"v1.37.2": "h1:A2VDEiObzkYqFTKhSsn0ZEb0RlLEXpHWj93gi2HqEwE=",
}

// published returns the file in which a version of Kubernetes publishes its
// schemas. The module is read, not built: it cannot be required.
func published(t *testing.T, version string) string {
	t.Helper()
	c := exec.Command("go", "mod", "download", "-json", "k8s.io/kubernetes@"+version)
	c.Dir = t.TempDir() // outside of any module
	out, err := c.Output()
	var module struct{ Dir, Sum, Error string }
	if e := json.Unmarshal(out, &module); err != nil || e != nil || module.Dir == "" {
		if os.Getenv("MAILLON_REAL") == "" {
			t.Skipf("the schemas of Kubernetes are not here: %v %s", err, module.Error)
		}
		t.Fatalf("download k8s.io/kubernetes %s: %v %s", version, err, module.Error)
	}
	if module.Sum != kubernetes[version] {
		t.Fatalf("k8s.io/kubernetes %s has the sum %s, want %s", version, module.Sum, kubernetes[version])
	}
	return filepath.Join(module.Dir, "api", "openapi-spec", "swagger.json")
}

type schema = map[string]any

const toDefinition = "#/definitions/"

// judge makes a validator of a version's schemas: one file for each kind, with
// all that the kind is made of.
func judge(t *testing.T, version string) validator.Validator {
	t.Helper()
	text, err := os.ReadFile(published(t, version))
	if err != nil {
		t.Fatal(err)
	}
	var spec struct {
		Definitions map[string]schema `json:"definitions"`
	}
	if err := json.Unmarshal(text, &spec); err != nil {
		t.Fatal(err)
	}
	for _, d := range spec.Definitions {
		tighten(d)
	}
	dir := t.TempDir()
	for name, d := range spec.Definitions {
		kinds, _ := d["x-kubernetes-group-version-kind"].([]any)
		if len(kinds) != 1 {
			continue
		}
		kind := kinds[0].(map[string]any)
		file := strings.ToLower(fmt.Sprintf("%s-%s-%s.json", kind["group"], kind["version"], kind["kind"]))
		whole := schema{"$ref": toDefinition + name, "definitions": needed(spec.Definitions, name)}
		text, err := json.Marshal(whole)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// The core group has no name: kubeconform gives its version in its stead.
	named := dir + `/{{ if eq .Group .ResourceAPIVersion }}{{ else }}{{ .Group }}{{ end }}-{{ .ResourceAPIVersion }}-{{ .ResourceKind }}.json`
	v, err := validator.New([]string{named}, validator.Opts{Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// tighten refuses what a schema does not name, as a server with strict fields
// does, and says of the two types that are written either way that they are.
func tighten(s schema) {
	switch {
	case s["format"] == "int-or-string":
		delete(s, "format")
		s["type"] = []any{"string", "integer"}
	case s["properties"] != nil && s["additionalProperties"] == nil:
		s["additionalProperties"] = false
	}
	if items, ok := s["items"].(schema); ok {
		tighten(items)
	}
	if more, ok := s["additionalProperties"].(schema); ok {
		tighten(more)
	}
	properties, _ := s["properties"].(schema)
	for _, p := range properties {
		tighten(p.(schema))
	}
}

// needed returns a definition and all that it refers to.
func needed(all map[string]schema, name string) map[string]schema {
	found, left := map[string]schema{}, []string{name}
	for len(left) > 0 {
		next := left[len(left)-1]
		left = left[:len(left)-1]
		if _, done := found[next]; done {
			continue
		}
		found[next] = all[next]
		left = append(left, references(all[next])...)
	}
	return found
}

func references(value any) (names []string) {
	switch v := value.(type) {
	case schema:
		if ref, ok := v["$ref"].(string); ok {
			names = append(names, strings.TrimPrefix(ref, toDefinition))
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			names = append(names, references(v[key])...)
		}
	case []any:
		for _, one := range v {
			names = append(names, references(one)...)
		}
	}
	return names
}

// wrong returns what the judge has against some resources.
func wrong(t *testing.T, v validator.Validator, resources []byte) (faults []string) {
	t.Helper()
	results := v.Validate("manifests", io.NopCloser(bytes.NewReader(resources)))
	if len(results) == 0 {
		t.Fatal("there was nothing to judge")
	}
	for _, r := range results {
		if r.Status != validator.Valid && r.Status != validator.Empty {
			faults = append(faults, fmt.Sprintf("%v", r.Err))
		}
	}
	return faults
}
