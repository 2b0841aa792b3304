package reply

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// maxOrder bounds the body of a request for the gateway itself.
const maxOrder = 64 << 10

// Order returns the body of a request for the gateway itself, which is small.
func Order(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxOrder))
	if err != nil {
		return nil, fmt.Errorf("the request body: %w", err)
	}
	return body, nil
}

// Decode reads such a body into value, strictly. An empty one leaves value as it is.
func Decode(body []byte, value any) error {
	if len(body) == 0 {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(value); err != nil {
		return fmt.Errorf("the request body: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("the request body goes on after its first value")
	}
	return nil
}
