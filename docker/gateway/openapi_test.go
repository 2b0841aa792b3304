package main

import (
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"ollamamax/gateway/internal/auth"
	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/openapitest"
)

// sample is a path that a template of the document stands for.
func sample(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if strings.HasPrefix(part, "{") {
			parts[i] = "x"
		}
	}
	return strings.Join(parts, "/")
}

func TestTheDocumentHasEveryRouteAndNoOther(t *testing.T) {
	g := assemble(config.Default(), config.Secrets{}, nil, nil, nil, slog.New(slog.DiscardHandler), io.Discard)
	served, mux := map[string]bool{}, http.NewServeMux()
	g.routes.Routes(func(pattern string, _ http.HandlerFunc) {
		served[pattern] = false
		mux.HandleFunc(pattern, func(http.ResponseWriter, *http.Request) {})
	})
	for _, operation := range openapitest.Operations() {
		request, err := http.NewRequestWithContext(t.Context(), operation.Method, sample(operation.Path), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, pattern := mux.Handler(request)
		// What is said of the path must be said by the pattern: one of any name there would take it otherwise.
		said, _, _ := strings.Cut(operation.Path, "{")
		if fixed, _, _ := strings.Cut(pattern, "{"); fixed != operation.Method+" "+said {
			t.Errorf("the router has no %s %s, but %q", operation.Method, operation.Path, pattern)
		}
		served[pattern] = true
	}
	for pattern, described := range served {
		if !described {
			t.Errorf("internal/openapi/openapi.yaml has no %s", pattern)
		}
	}
}

func TestTheDocumentSaysWhichScopeARouteTakes(t *testing.T) {
	for _, operation := range openapitest.Operations() {
		needed := auth.Needs(operation.Method, sample(operation.Path)).Names()
		if !slices.Equal(operation.Scopes, needed) && len(operation.Scopes)+len(needed) > 0 {
			t.Errorf("%s %s takes %v, the document says %v", operation.Method, operation.Path, needed, operation.Scopes)
		}
		if operation.Public != (operation.Path == "/") {
			t.Errorf("%s %s: public %v", operation.Method, operation.Path, operation.Public)
		}
	}
}
