// Package proxy carries requests to workers and their answers back: unbuffered, byte for byte, with one
// retry while nothing has been answered yet.
package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/metrics"
	"ollamamax/gateway/internal/nodes"
	"ollamamax/gateway/internal/reply"
)

// NodeHeader names the worker, or the workers, that answered.
const NodeHeader = "X-Ollamamax-Node"

// StatusClientGone is what metrics and logs call a request whose client left; it is never sent.
const StatusClientGone = 499

// maxLost bounds how often a request may lose its node beyond the one retry: to a refused connection,
// which the request never reached, or to a worker that has died. A node that lives and drops the request
// is never given a third chance.
const maxLost = 3

// ErrStopping is the cause that a request's context ends with when the gateway can wait no longer for it.
var ErrStopping = errors.New("the gateway is stopping")

var (
	errSilent = errors.New("the worker fell silent for longer than workers.responseTimeout")
	buffers   = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}
)

// Proxy sends requests to the workers of a pool.
type Proxy struct {
	pool    *nodes.Pool
	metrics *metrics.Metrics
	log     *slog.Logger
	silence time.Duration // longest wait for a worker's next byte
}

// New returns a proxy over pool.
func New(pool *nodes.Pool, m *metrics.Metrics, log *slog.Logger, responseTimeout time.Duration) *Proxy {
	return &Proxy{pool: pool, metrics: m, log: log, silence: responseTimeout}
}

// Call is a request that can be sent more than once.
type Call struct {
	Want nodes.Want
	Body []byte // whole
}

// answer is a worker's response, of which the first bytes have been read.
type answer struct {
	response *http.Response
	lease    nodes.Lease
	ctx      context.Context
	cancel   context.CancelCauseFunc
	timer    *time.Timer
	buffer   *[]byte
	first    int   // bytes of buffer that are filled
	readErr  error // what the first read ended with, io.EOF included
}

func (a *answer) close() {
	a.timer.Stop()
	a.cancel(nil)
	_ = a.response.Body.Close()
	buffers.Put(a.buffer)
	a.lease.Release()
}

// Forward sends call to a node and streams the answer to the client.
func (p *Proxy) Forward(w http.ResponseWriter, r *http.Request, call Call) {
	x := exchange.From(r.Context())
	a, err := p.open(r, call)
	if err != nil {
		p.refuse(w, r, x, err)
		return
	}
	defer a.close()
	x.Node = a.lease.Node.Name
	p.deliver(w, r, x, a)
}

// open finds a node that begins to answer. It tries a second one where the first failed without a byte.
func (p *Proxy) open(r *http.Request, call Call) (*answer, error) {
	x := exchange.From(r.Context())
	lease, err := p.acquire(r, x, call, nil)
	if err != nil {
		return nil, err
	}
	retried, lost := false, 0
	for {
		a, err := p.attempt(r, x, lease, call)
		switch {
		case err == nil && (retried || !overloaded(a.response.StatusCode)):
			return a, nil
		case err == nil:
			other, found := p.pool.AcquireOther(call.Want, &lease)
			if !found {
				return a, nil
			}
			a.close()
			lease, retried = other, true
		default:
			silent := errors.Is(err, errSilent)
			switch {
			case silent:
				lease.TimedOut()
			case r.Context().Err() == nil:
				p.pool.ReportFailure(&lease, err)
			}
			lease.Release()
			if r.Context().Err() != nil || silent {
				return nil, err
			}
			p.log.Warn("worker failed before it answered", "node", lease.Node.Name, "request", x.RequestID, "error", err)
			if !retried && !notSent(err) {
				retried = true
			} else if lost++; lost > maxLost || (!notSent(err) && !p.pool.Died(r.Context(), &lease)) {
				return nil, fmt.Errorf("worker %s failed before it answered: %w", lease.Node.Name, err)
			}
			if lease, err = p.acquire(r, x, call, &lease); err != nil {
				return nil, err
			}
		}
		x.Retries++
		p.metrics.Retry()
	}
}

// acquire claims a node. The wait for a slot is not the gateway's own time.
func (p *Proxy) acquire(r *http.Request, x *exchange.Exchange, call Call, failed *nodes.Lease) (nodes.Lease, error) {
	began := time.Now()
	lease, err := p.pool.Acquire(r.Context(), call.Want, failed)
	if err != nil || lease.Waited > 0 {
		x.Waited(began)
	}
	return lease, err
}

func overloaded(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusServiceUnavailable
}

func notSent(err error) bool {
	var operation *net.OpError
	return errors.As(err, &operation) && operation.Op == "dial"
}

// attempt sends the request to one node and waits for the first bytes of the answer's body, so that a
// worker that dies between its headers and its body still leaves the retry open.
func (p *Proxy) attempt(r *http.Request, x *exchange.Exchange, lease nodes.Lease, call Call) (*answer, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	timer := time.AfterFunc(p.silence, func() { cancel(errSilent) })
	fail := func(err error) (*answer, error) {
		timer.Stop()
		if errors.Is(context.Cause(ctx), errSilent) {
			err = errSilent
		}
		cancel(nil)
		return nil, err
	}
	request, err := upstream(ctx, r, lease.Node, r.Method, bytes.NewReader(call.Body))
	if err != nil {
		return fail(err)
	}
	began := time.Now()
	response, err := lease.Node.Transport.RoundTrip(request)
	if err != nil {
		x.Waited(began)
		return fail(err)
	}
	buffer := buffers.Get().(*[]byte)
	n, err := response.Body.Read(*buffer)
	x.Waited(began)
	if n == 0 && err != nil && !errors.Is(err, io.EOF) {
		buffers.Put(buffer)
		_ = response.Body.Close()
		return fail(err)
	}
	timer.Reset(p.silence)
	lease.Answered(response.StatusCode)
	return &answer{
		response: response, lease: lease, ctx: ctx, cancel: cancel, timer: timer,
		buffer: buffer, first: n, readErr: err,
	}, nil
}

// upstream builds the request to a node: the client's path, query and headers, without its credentials.
func upstream(ctx context.Context, r *http.Request, node *nodes.Node, method string, body io.Reader) (*http.Request, error) {
	target := *r.URL
	target.Scheme, target.Host = "http", node.Address
	request, err := http.NewRequestWithContext(ctx, method, target.String(), body)
	if err != nil {
		return nil, err
	}
	copyHeader(request.Header, r.Header)
	for _, name := range []string{
		"Authorization", "X-Api-Key", "Cookie", // secrets end here
		"Origin",                                      // the gateway decides who may ask; Ollama would refuse all but localhost
		"Accept-Encoding", "Content-Length", "Expect", // of this hop
	} {
		request.Header.Del(name)
	}
	return request, nil
}

var hopByHop = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Authenticate": true, "Proxy-Authorization": true,
	"Proxy-Connection": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
}

func copyHeader(to, from http.Header) {
	named := map[string]bool{}
	for _, value := range from["Connection"] {
		for name := range strings.SplitSeq(value, ",") {
			named[http.CanonicalHeaderKey(strings.TrimSpace(name))] = true
		}
	}
	for name, values := range from {
		if !hopByHop[name] && !named[name] {
			to[name] = append(to[name], values...)
		}
	}
}

// deliver streams an answer to the client.
func (p *Proxy) deliver(w http.ResponseWriter, r *http.Request, x *exchange.Exchange, a *answer) {
	copyHeader(w.Header(), a.response.Header)
	w.Header().Set(NodeHeader, x.Node)
	format := formatOf(a.response.Header.Get("Content-Type"))
	if format != whole {
		w.Header().Set("X-Accel-Buffering", "no")
	}
	w.WriteHeader(a.response.StatusCode)

	var count counter
	flush := flusher(w, a.response)
	n, err := a.first, a.readErr
	for {
		if n > 0 {
			if format != whole && x.FirstByte == 0 {
				x.FirstByte = time.Since(x.Start)
			}
			chunk := (*a.buffer)[:n]
			count.add(chunk, format)
			began := time.Now()
			_, writeErr := w.Write(chunk)
			if writeErr == nil {
				writeErr = flush()
			}
			x.Waited(began)
			if writeErr != nil {
				p.clientGone(x, writeErr)
			}
		}
		if err != nil {
			break
		}
		a.timer.Reset(p.silence)
		began := time.Now()
		n, err = a.response.Body.Read(*a.buffer)
		x.Waited(began)
	}
	if !errors.Is(err, io.EOF) {
		p.breakOff(w, r, x, a, format, count.endsLine(), err)
	}
	if a.response.StatusCode == http.StatusOK {
		x.PromptTokens, x.CompletionTokens = count.tokens()
	}
}

// flusher returns what pushes written bytes out. An answer of known length goes out by itself.
func flusher(w http.ResponseWriter, response *http.Response) func() error {
	if response.ContentLength >= 0 {
		return func() error { return nil }
	}
	return http.NewResponseController(w).Flush
}

func (p *Proxy) clientGone(x *exchange.Exchange, cause error) {
	x.Failed, x.Cause = true, cause
	panic(http.ErrAbortHandler)
}

// breakOff ends a stream whose worker died: an explicit error in the stream's own format, then an
// aborted connection, so that no client takes the fragment for the whole.
func (p *Proxy) breakOff(w http.ResponseWriter, r *http.Request, x *exchange.Exchange, a *answer, f format, lineEnded bool, err error) {
	message := fmt.Sprintf("worker %s failed while it was answering", x.Node)
	cause := context.Cause(a.ctx)
	switch {
	case errors.Is(cause, ErrStopping):
		message, err = ErrStopping.Error(), ErrStopping
	case r.Context().Err() != nil:
		p.clientGone(x, r.Context().Err())
	case errors.Is(cause, errSilent):
		a.lease.TimedOut()
		message = fmt.Sprintf("worker %s fell silent while it was answering", x.Node)
	default:
		p.pool.ReportFailure(&a.lease, err)
	}
	x.Failed, x.Cause = true, err
	p.log.Warn("answer broke off", "node", x.Node, "request", x.RequestID, "error", err)
	if ending := f.errorEnding(r.URL.Path, message, lineEnded); ending != nil {
		_, _ = w.Write(ending) // the connection is aborted whether or not this arrives
		_ = http.NewResponseController(w).Flush()
	}
	panic(http.ErrAbortHandler)
}

// refuse answers a request that no worker began to answer.
func (p *Proxy) refuse(w http.ResponseWriter, r *http.Request, x *exchange.Exchange, err error) {
	x.Cause = err
	var busy *nodes.BusyError
	switch {
	case errors.As(err, &busy):
		w.Header().Set("Retry-After", busy.RetryAfterSeconds())
		reply.Error(w, r, http.StatusServiceUnavailable, busy.Reason)
	case errors.Is(context.Cause(r.Context()), ErrStopping):
		reply.Error(w, r, http.StatusServiceUnavailable, ErrStopping.Error())
	case r.Context().Err() != nil:
		p.clientGone(x, r.Context().Err())
	case errors.Is(err, nodes.ErrNoNode):
		reply.Error(w, r, http.StatusServiceUnavailable, err.Error())
	case errors.Is(err, errSilent):
		reply.Error(w, r, http.StatusGatewayTimeout, err.Error())
	default:
		reply.Error(w, r, http.StatusBadGateway, "the worker failed before it answered, and so did the one tried after it")
	}
}
