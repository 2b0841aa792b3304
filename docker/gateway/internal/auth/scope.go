package auth

import (
	"fmt"
	"net/http"
	"strings"
)

// Scope is a set of things that a key may do.
type Scope uint8

// What a key may do. Each route needs one of these at most.
const (
	Inference   Scope = 1 << iota // generate, chat, embed
	ModelsRead                    // list and describe models
	ModelsWrite                   // pull, create, copy, delete, push
	Nodes                         // the platform's nodes and what they do
	Keys                          // make, change and revoke keys
	UsageRead                     // what keys have used
	Admin                         // all of it, of every tenant, and routes that the gateway does not know
)

var scopeNames = []string{"inference", "models:read", "models:write", "nodes", "keys", "usage:read", "admin"}

// ScopeNames lists every scope.
func ScopeNames() []string { return append([]string(nil), scopeNames...) }

// ParseScopes returns the set of the named scopes.
func ParseScopes(names []string) (Scope, error) {
	var set Scope
next:
	for _, name := range names {
		for i, known := range scopeNames {
			if name == known {
				set |= 1 << i
				continue next
			}
		}
		return 0, fmt.Errorf("%q is no scope: there are %s", name, strings.Join(scopeNames, ", "))
	}
	return set, nil
}

// Names lists the scopes of a set, in the order of ScopeNames.
func (s Scope) Names() []string {
	names := make([]string, 0, len(scopeNames))
	for i, name := range scopeNames {
		if s&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// Allows tells whether a set holds all of needed.
func (s Scope) Allows(needed Scope) bool { return s&Admin != 0 || s&needed == needed }

// Needs returns the scope that a route needs; none where any key will do. What is not listed passes through
// to a worker, and takes an admin.
func Needs(method, path string) Scope {
	switch method {
	case http.MethodPost:
		switch path {
		case "/api/generate", "/api/chat", "/api/embed", "/api/embeddings",
			"/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/messages",
			"/v1/images/generations", "/v1/images/edits":
			return Inference
		case "/api/show":
			return ModelsRead
		case "/api/pull", "/api/push", "/api/create", "/api/copy":
			return ModelsWrite
		}
	case http.MethodGet, http.MethodHead:
		switch path {
		case "/", "/api/version", "/api/v1/openapi.json":
			return 0
		case "/api/tags", "/api/ps", "/v1/models":
			return ModelsRead
		case "/api/v1/metrics":
			return Nodes
		}
		if under(path, "/v1/models") || under(path, "/api/v1/models") {
			return ModelsRead
		}
	case http.MethodDelete:
		if path == "/api/delete" {
			return ModelsWrite
		}
	}
	switch {
	case under(path, "/api/blobs"), under(path, "/api/v1/models"):
		return ModelsWrite
	case under(path, "/api/v1/nodes"), under(path, "/api/v1/cluster"), path == LivePath:
		return Nodes
	case under(path, "/api/v1/keys"):
		return Keys
	case under(path, "/api/v1/usage"):
		return UsageRead
	}
	return Admin
}

// under tells whether path is folder or in it.
func under(path, folder string) bool {
	return strings.HasPrefix(path, folder) && (len(path) == len(folder) || path[len(folder)] == '/')
}
