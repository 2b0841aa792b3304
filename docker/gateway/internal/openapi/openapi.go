// Package openapi serves the description of the gateway's routes.
package openapi

import (
	_ "embed" // the document
	"encoding/json"
	"net/http"
	"sync"

	"go.yaml.in/yaml/v3"

	"ollamamax/gateway/internal/reply"
)

//go:embed openapi.yaml
var source []byte

// Document is the OpenAPI document as JSON.
var Document = sync.OnceValue(func() []byte {
	var document any
	err := yaml.Unmarshal(source, &document)
	if err == nil {
		var text []byte
		if text, err = json.Marshal(document); err == nil {
			return text
		}
	}
	panic(err) // the tests read the same document
})

// Routes serves it.
type Routes struct{}

// Routes names all routes.
func (Routes) Routes(route func(pattern string, handler http.HandlerFunc)) {
	route("GET /api/v1/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		reply.Bytes(w, http.StatusOK, Document())
	})
}
