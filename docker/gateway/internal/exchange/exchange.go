// Package exchange carries what is noted about one request, for its metrics and its log line.
package exchange

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"ollamamax/gateway/internal/auth"
	"ollamamax/gateway/internal/models"
	"ollamamax/gateway/internal/tracing"
)

var (
	// ErrStopping ends the lives of requests that the gateway can wait no longer for.
	ErrStopping = errors.New("the gateway is stopping")
	// ErrLeft ends the life of a request whose client has closed the connection.
	ErrLeft = errors.New("the client left")
	// ErrSilent ends the wait for a worker.
	ErrSilent = errors.New("the worker fell silent for longer than workers.responseTimeout")
)

// Exchange is one request and its answer. Fields without atomics belong to the request's goroutine.
type Exchange struct {
	Start     time.Time
	RequestID string
	TraceID   string          // empty: neither the client nor the gateway traces the request
	Trace     *tracing.Trace  // nil: the gateway does not
	API       string          // route template, the label of metrics
	Model     string          // as listed, or "" where none is meant, or "unknown"
	Variant   *models.Variant // that answers for the alias that was asked for; nil: a model was
	Key       *auth.Key       // whose request it is; nil where none was needed or none was let in
	Node      string          // that answered
	Cache     string          // what the cache of answers had to do with it; empty: nothing
	Retries   int
	Failed    bool  // the answer broke off after it had begun
	Left      bool  // the client did not wait for the end
	Cause     error // why the request failed

	PromptTokens     int64
	CompletionTokens int64
	FirstByte        time.Duration // zero where the answer is not a stream

	Claimed int64 // memory for the body, bytes
	// Became takes the length of a body that came compressed, once that is known: what was claimed beyond it is
	// given back. It is nil where the body came plain.
	Became func(length int64)

	waited atomic.Int64 // nanoseconds spent on the client or the worker
}

type contextKey struct{}

// With attaches an exchange to a context.
func With(ctx context.Context, x *Exchange) context.Context {
	return context.WithValue(ctx, contextKey{}, x)
}

// From returns the exchange of a request. A context without one gets an exchange that nobody reads.
func From(ctx context.Context) *Exchange {
	if x, ok := ctx.Value(contextKey{}).(*Exchange); ok {
		return x
	}
	return &Exchange{Start: time.Now()}
}

// Abandon notes that the client has gone.
func (x *Exchange) Abandon(cause error) { x.Failed, x.Left, x.Cause = true, true, cause }

// Waited adds time that was not the gateway's own: a client's upload or a worker's silence.
func (x *Exchange) Waited(since time.Time) { x.waited.Add(int64(time.Since(since))) }

// Times returns the whole time so far, and the same less the waits.
func (x *Exchange) Times() (total, overhead time.Duration) {
	total = time.Since(x.Start)
	return total, max(0, total-time.Duration(x.waited.Load()))
}
