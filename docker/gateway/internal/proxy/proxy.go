// Package proxy carries requests that are for several workers, or are too large to be held: what they answer
// is merged into one answer.
package proxy

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/http1"
	"ollamamax/gateway/internal/nodes"
)

var buffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// Proxy sends requests to the workers of a pool.
type Proxy struct {
	pool    *nodes.Pool
	log     *slog.Logger
	silence time.Duration // longest wait for a worker's next byte
}

// New returns a proxy over pool.
func New(pool *nodes.Pool, log *slog.Logger, responseTimeout time.Duration) *Proxy {
	return &Proxy{pool: pool, log: log, silence: responseTimeout}
}

// upstream builds the request to a node: the client's path, query and headers, without its credentials.
func upstream(ctx context.Context, r *http.Request, node *nodes.Node, method string, body io.Reader) (*http.Request, error) {
	target := *r.URL
	target.Scheme, target.Host = "http", node.Address
	request, err := http.NewRequestWithContext(ctx, method, target.String(), body)
	if err != nil {
		return nil, err
	}
	http1.ToWorker(r.Header, request.Header.Add)
	if trace := exchange.From(r.Context()).Trace; trace != nil {
		trace.Headers(request.Header)
	}
	return request, nil
}
