// Package reply writes the gateway's own answers, in the shape of the API that was asked.
package reply

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
)

const (
	// GatewayHeader names the gateway that handled a request.
	GatewayHeader = "X-Ollamamax-Gateway"
	// NodeHeader names the worker, or the workers, that answered.
	NodeHeader = "X-Ollamamax-Node"
	// ModelHeader names the model that answered for an alias.
	ModelHeader = "X-Ollamamax-Model"
	// RequestIDHeader carries the identity that the edge gave a request, or else this gateway.
	RequestIDHeader = "X-Request-Id"

	// ContentType is that of every answer of the gateway's own that has no other.
	ContentType = "application/json; charset=utf-8"
	// CacheControl is too.
	CacheControl = "no-store"
	// RetryAfter is that of a 503, in seconds.
	RetryAfter = "1"
)

// RequestID returns the identity that a request came with, or another one where it has none or an odd one.
func RequestID(shown string) string {
	if len(shown) > 0 && len(shown) <= 64 && isID(shown) {
		return shown
	}
	var random [16]byte
	binary.NativeEndian.PutUint64(random[:8], rand.Uint64()) // no secret
	binary.NativeEndian.PutUint64(random[8:], rand.Uint64())
	return hex.EncodeToString(random[:])
}

func isID(text string) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// openAIError is the error object of the OpenAI API.
type openAIError struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`
}

// IsOpenAI tells whether a path belongs to the OpenAI API.
func IsOpenAI(path string) bool { return path == "/v1" || strings.HasPrefix(path, "/v1/") }

// ErrorBody returns the error object for the API that path belongs to.
func ErrorBody(path string, status int, message string) []byte {
	kind, code := "api_error", ""
	switch status {
	case http.StatusUnauthorized:
		kind, code = "invalid_request_error", "invalid_api_key"
	case http.StatusForbidden:
		kind, code = "invalid_request_error", "insufficient_permissions"
	case http.StatusNotFound:
		kind = "not_found_error"
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusRequestTimeout:
		kind = "invalid_request_error"
	}
	return errorBody(path, message, kind, code)
}

// errorBody takes the words that OpenAI's clients tell errors apart by.
func errorBody(path, message, kind, code string) []byte {
	var body any = map[string]string{"error": message}
	if IsOpenAI(path) {
		detail := openAIError{Message: message, Type: kind}
		if code != "" {
			detail.Code = &code
		}
		body = map[string]any{"error": detail}
	}
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // texts and numbers alone always encode
	}
	return text
}

// Error answers with an error in the shape of the API that was asked.
func Error(w http.ResponseWriter, r *http.Request, status int, message string) {
	if status == http.StatusServiceUnavailable && w.Header().Get("Retry-After") == "" {
		w.Header().Set("Retry-After", RetryAfter)
	}
	Bytes(w, status, ErrorBody(r.URL.Path, status, message))
}

// JSON answers with value as JSON.
func JSON(w http.ResponseWriter, status int, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // values are the gateway's own types
	}
	Bytes(w, status, text)
}

// Bytes answers with a finished JSON text.
func Bytes(w http.ResponseWriter, status int, text []byte) {
	h := w.Header()
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", ContentType)
	}
	h.Set("Cache-Control", CacheControl)
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text) // a client that has gone can't be told
}
