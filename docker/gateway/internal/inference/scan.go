package inference

import (
	"errors"
	"io"

	"ollamamax/gateway/internal/reply"
	"ollamamax/gateway/internal/scan"
)

// Scan reads what routing needs to know of a body. Malformed JSON is a problem in Ollama's words; what is
// JSON and yet not what the API expects is left to the worker.
func Scan(path string, body []byte) (fields scan.Fields, problem string) {
	fields, err := scan.Body(scan.Of(path), body)
	switch {
	case err == nil:
		return fields, ""
	case errors.Is(err, io.EOF) && !reply.IsOpenAI(path):
		return fields, "missing request body"
	default:
		return fields, err.Error()
	}
}
