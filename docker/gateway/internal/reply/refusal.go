package reply

import (
	"math"
	"net/http"
	"strconv"
	"time"
)

// Refusal says why a request may not pass, whichever way it came in.
type Refusal struct {
	Status     int
	Message    string
	Kind, Code string        // what OpenAI's clients tell it by; empty: what they expect of the status
	RetryAfter time.Duration // zero: what is usual for the status
}

// Late refuses a request whose body did not come.
var Late = &Refusal{Status: http.StatusRequestTimeout, Message: "the request body did not arrive in time"}

// Body is the error in the shape of the API that path belongs to.
func (f *Refusal) Body(path string) []byte {
	if f.Kind == "" {
		return ErrorBody(path, f.Status, f.Message)
	}
	return errorBody(path, f.Message, f.Kind, f.Code)
}

// Headers calls set with each header that goes with the refusal.
func (f *Refusal) Headers(set func(name, value string)) {
	switch {
	case f.Status == http.StatusUnauthorized:
		set("WWW-Authenticate", `Bearer realm="ollamamax"`)
	case f.RetryAfter > 0:
		set("Retry-After", strconv.Itoa(int(math.Ceil(f.RetryAfter.Seconds()))))
	case f.Status == http.StatusServiceUnavailable:
		set("Retry-After", RetryAfter)
	}
}

// Refuse answers with a refusal.
func Refuse(w http.ResponseWriter, r *http.Request, f *Refusal) {
	f.Headers(w.Header().Set)
	Bytes(w, f.Status, f.Body(r.URL.Path))
}
