// Package api is the contract of the API for programs, openapi.yaml, as the
// program carries it: internal/rest is held to it by its tests, and
// internal/reference shows it.
package api

import _ "embed" // the contract

//go:embed openapi.yaml
var contract string

// Contract returns the contract, in YAML.
func Contract() string { return contract }
