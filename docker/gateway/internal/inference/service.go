// Package inference carries a request for a model to a worker and its answer back: byte for byte, unbuffered,
// with one retry while nothing has been answered yet. It knows neither of the two ways in which requests
// arrive: what a request is and where its answer goes are its own types.
package inference

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/metrics"
	"ollamamax/gateway/internal/modelname"
	"ollamamax/gateway/internal/models"
	"ollamamax/gateway/internal/nodes"
	"ollamamax/gateway/internal/reply"
	"ollamamax/gateway/internal/scan"
	"ollamamax/gateway/internal/stream"
	"ollamamax/gateway/internal/tracing"
	"ollamamax/gateway/internal/upstream"
)

// maxLost bounds how often a request may lose its node beyond the one retry: to a refused connection,
// which the request never reached, or to a worker that has died. A node that lives and drops the request
// is never given a third chance.
const maxLost = 3

// ErrCut is returned where an answer can't be finished: the client's connection must not be used again.
var ErrCut = errors.New("the answer was cut off")

// Shortcut answers requests for which no worker of their own is needed.
type Shortcut interface {
	// Serve answers r, whose body says fields, or returns false. Where it needs a worker for several requests,
	// forward is called with a request of its own.
	Serve(r *Request, fields scan.Fields, c Client, forward func(*Request, Client) error) (served bool, err error)
}

// Service sends requests to the workers of a pool.
type Service struct {
	shortcut Shortcut
	forward  func(*Request, Client) error // Forward, bound once
	pool     *nodes.Pool
	names    *models.Names
	metrics  *metrics.Metrics
	log      *slog.Logger
	silence  time.Duration // longest wait for a worker's next byte
}

// New returns a service over pool, for its models and what names stand for them, that takes a shortcut where there
// is one.
func New(pool *nodes.Pool, names *models.Names, shortcut Shortcut, m *metrics.Metrics, log *slog.Logger, responseTimeout time.Duration) *Service {
	s := &Service{shortcut: shortcut, pool: pool, names: names, metrics: m, log: log, silence: responseTimeout}
	s.forward = s.Forward
	return s
}

// Routes are the paths of inference requests, all of them POSTs, each by itself.
var Routes = func() map[string]string {
	routes := map[string]string{}
	for _, path := range []string{
		"/api/generate", "/api/chat", "/api/embed", "/api/embeddings",
		"/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/messages",
	} {
		routes[path] = path
	}
	return routes
}()

// Request is what a client asks for. It can be sent more than once.
type Request struct {
	Exchange *exchange.Exchange
	Life     *exchange.Life
	Want     nodes.Want
	Path     string
	upstream.Request
}

// Head is what an answer begins with.
type Head struct {
	Status int
	Fields []byte // header lines, each with its end; no length, no framing
	Dated  bool   // one of them is a Date
	Length int64  // -1: unknown
	Stream bool   // of messages, each of which is to reach the client at once
}

// MaxPiece is the largest piece that an answer comes in, bytes.
const MaxPiece = 32 << 10

// Client is where an answer goes: Refuse alone, or Begin, Write up to the last piece, and Abort where that
// does not come. An error means that the client has gone.
type Client interface {
	// Begin takes the head, which need not go out before the first piece. It keeps nothing of it.
	Begin(head Head)
	// Put takes a piece of the body, of MaxPiece at most, that may wait for the next one.
	Put(piece []byte) error
	// Write takes such a piece and passes it on at once.
	Write(piece []byte, last bool) error
	// Abort passes on ending, which may be nil, and breaks the connection off, so that no client takes a
	// fragment for the whole.
	Abort(ending []byte)
	// Refuse answers with an error in the shape of the API that was asked.
	Refuse(refusal *reply.Refusal)
}

// answer is a worker's response that has begun.
type answer struct {
	conn    *upstream.Conn
	lease   nodes.Lease
	piece   []byte // the first
	done    bool   // it is the last too
	counter stream.Counter
	span    *tracing.Attempt // nil: not traced
}

var answers = sync.Pool{New: func() any { return new(answer) }}

func (a *answer) close(r *Request) {
	if x := r.Exchange; a.span != nil {
		a.span.End(tracing.Outcome{Route: x.API, Model: x.Model, Prompt: x.PromptTokens, Answered: x.CompletionTokens, Cause: x.Cause})
	}
	r.Life.Guard(nil)
	a.conn.Release()
	a.lease.Release()
	a.conn, a.lease, a.piece, a.span = nil, nodes.Lease{}, nil, nil
	a.counter.Reset()
	answers.Put(a)
}

// Label names the model in metrics. Only models that exist become labels: a client must not be able to
// fill the metrics with names of its own.
func (s *Service) Label(x *exchange.Exchange, canonical string) {
	if canonical == "" {
		return
	}
	x.Model = "unknown"
	if _, known := s.pool.Known(canonical); known {
		x.Model = modelname.Short(canonical)
	}
}

// Infer finds out which model a request means and sends it to a node that holds it.
func (s *Service) Infer(r *Request, c Client) error {
	fields, problem := Scan(r.Path, r.Body)
	if problem != "" {
		c.Refuse(&reply.Refusal{Status: http.StatusBadRequest, Message: problem})
		return nil
	}
	r.Want = nodes.Want{Model: modelname.Canonical(string(fields.Model)), Prefix: cmp.Or(fields.Prefix, fields.System)}
	if key := r.Exchange.Key; key != nil {
		r.Want.Key, r.Want.Priority = key.Account, int(key.Priority)
	}
	if alias := s.names.Find(r.Want.Model); alias != nil {
		return s.inName(r, alias, fields, c, s.answer)
	}
	return s.answer(r, fields, c)
}

// answer answers a request for a model.
func (s *Service) answer(r *Request, fields scan.Fields, c Client) error {
	s.Label(r.Exchange, r.Want.Model)
	if served, err := s.shortcut.Serve(r, fields, c, s.forward); served {
		return err
	}
	return s.Forward(r, c)
}

// Named returns what sends a request whose body says fields to a node that holds its model, or one that its
// alias stands for.
func (s *Service) Named(fields scan.Fields) func(*Request, Client) error {
	forward := func(r *Request, _ scan.Fields, c Client) error {
		s.Label(r.Exchange, r.Want.Model)
		return s.Forward(r, c)
	}
	return func(r *Request, c Client) error {
		if alias := s.names.Find(r.Want.Model); alias != nil {
			return s.inName(r, alias, fields, c, forward)
		}
		return forward(r, fields, c)
	}
}

// Forward sends a request to a node that holds its model and streams the answer to the client.
func (s *Service) Forward(r *Request, c Client) error {
	a, err := s.open(r)
	if err != nil {
		return s.refuse(r, c, err)
	}
	defer a.close(r)
	r.Exchange.Node = a.lease.Node.Name
	return s.deliver(r, c, a)
}

// open finds a node that begins to answer. It tries a second one where the first failed without a byte.
func (s *Service) open(r *Request) (*answer, error) {
	x := r.Exchange
	lease, err := s.acquire(r, nil)
	if err != nil {
		return nil, err
	}
	retried, lost := false, 0
	for {
		a, err := s.attempt(r, lease)
		switch {
		case err == nil && (retried || !overloaded(a.conn.Status)):
			return a, nil
		case err == nil:
			other, found := s.pool.AcquireOther(r.Life, r.Want, &lease)
			if !found {
				return a, nil
			}
			a.close(r)
			lease, retried = other, true
		default:
			silent := errors.Is(err, exchange.ErrSilent)
			switch {
			case silent:
				lease.TimedOut()
			case r.Life.Err() == nil:
				s.pool.ReportFailure(&lease, err)
			}
			lease.Release()
			if r.Life.Err() != nil || silent {
				return nil, err
			}
			s.log.Warn("worker failed before it answered", "node", lease.Node.Name, "request", x.RequestID, "error", err)
			if !retried && !notSent(err) {
				retried = true
			} else if lost++; lost > maxLost || (!notSent(err) && !s.pool.Died(r.Life, &lease)) {
				return nil, fmt.Errorf("worker %s failed before it answered: %w", lease.Node.Name, err)
			}
			if lease, err = s.acquire(r, &lease); err != nil {
				return nil, err
			}
		}
		x.Retries++
		s.metrics.Retry()
	}
}

// acquire claims a node. The wait for a slot is not the gateway's own time.
func (s *Service) acquire(r *Request, failed *nodes.Lease) (nodes.Lease, error) {
	began := time.Now()
	lease, err := s.pool.Acquire(r.Life, r.Want, failed)
	if err != nil || lease.Waited > 0 {
		r.Exchange.Waited(began)
		if trace := r.Exchange.Trace; trace != nil {
			trace.Waited(began)
		}
	}
	return lease, err
}

func overloaded(status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusBadGateway || status == http.StatusServiceUnavailable
}

func notSent(err error) bool {
	var operation *net.OpError
	return errors.As(err, &operation) && operation.Op == "dial"
}

// attempt sends the request to one node and waits for the first bytes of the answer's body, so that a
// worker that dies between its headers and its body still leaves the retry open.
func (s *Service) attempt(r *Request, lease nodes.Lease) (*answer, error) {
	began := time.Now()
	defer r.Exchange.Waited(began)
	sent, span := &r.Request, (*tracing.Attempt)(nil)
	if trace := r.Exchange.Trace; trace != nil {
		own := r.Request
		span, own.Fields = trace.Attempt(lease.Node.Name, began, r.Fields)
		sent = &own
	}
	conn, err := lease.Node.Conns.Get(r.Life)
	if err != nil {
		span.End(tracing.Outcome{Cause: err})
		return nil, err
	}
	r.Life.Guard(conn.Abort)
	piece, done, err := conn.Ask(sent, began, s.silence)
	if err != nil {
		r.Life.Guard(nil)
		conn.Release()
		span.End(tracing.Outcome{Cause: silent(err)})
		return nil, silent(err)
	}
	a := answers.Get().(*answer)
	if span != nil {
		span.Answered(conn.Status, time.Since(began))
	}
	a.conn, a.lease, a.piece, a.done, a.span = conn, lease, piece, done, span
	a.lease.Answered(conn.Status)
	return a, nil
}

func silent(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return exchange.ErrSilent
	}
	return err
}

// deliver streams an answer to the client.
func (s *Service) deliver(r *Request, c Client, a *answer) error {
	x, conn := r.Exchange, a.conn
	format := conn.Format
	c.Begin(Head{Status: conn.Status, Fields: conn.Fields, Dated: conn.Dated, Length: conn.Length, Stream: format != stream.Whole})
	piece, done := a.piece, a.done
	for {
		if format != stream.Whole && x.FirstByte == 0 && len(piece) > 0 {
			x.FirstByte = time.Since(x.Start)
		}
		a.counter.Add(piece, format)
		// From here until the worker's next bytes the gateway only waits.
		began := time.Now()
		if err := c.Write(piece, done); err != nil {
			x.Waited(began)
			x.CompletionTokens = a.counter.Messages() // who leaves early pays for what was made until then
			return Left(x, err)
		}
		if done {
			x.Waited(began)
			break
		}
		var err error
		piece, done, err = conn.Next(time.Now(), s.silence) // a client that took its time is no silence of the worker's
		x.Waited(began)
		if err != nil {
			return s.breakOff(r, c, a, silent(err))
		}
	}
	if conn.Status == http.StatusOK {
		x.PromptTokens, x.CompletionTokens = a.counter.Tokens()
	}
	return nil
}

// Left notes that the client has gone.
func Left(x *exchange.Exchange, cause error) error {
	x.Abandon(cause)
	return ErrCut
}

// breakOff ends a stream whose worker died: an explicit error in the stream's own format, then an
// aborted connection, so that no client takes the fragment for the whole.
func (s *Service) breakOff(r *Request, c Client, a *answer, err error) error {
	x := r.Exchange
	message := fmt.Sprintf("worker %s failed while it was answering", x.Node)
	switch cause := r.Life.Cause(); {
	case errors.Is(cause, exchange.ErrStopping):
		message, err = cause.Error(), cause
	case cause != nil:
		x.CompletionTokens = a.counter.Messages()
		return Left(x, cause)
	case errors.Is(err, exchange.ErrSilent):
		a.lease.TimedOut()
		message = fmt.Sprintf("worker %s fell silent while it was answering", x.Node)
	default:
		s.pool.ReportFailure(&a.lease, err)
	}
	x.Failed, x.Cause = true, err
	s.log.Warn("answer broke off", "node", x.Node, "request", x.RequestID, "error", err)
	c.Abort(a.conn.Format.ErrorEnding(r.Path, message, a.counter.EndsLine()))
	return ErrCut
}

// refuse answers a request that no worker began to answer.
func (s *Service) refuse(r *Request, c Client, err error) error {
	r.Exchange.Cause = err
	var busy *nodes.BusyError
	switch cause := r.Life.Cause(); {
	case errors.As(err, &busy):
		c.Refuse(&reply.Refusal{Status: http.StatusServiceUnavailable, Message: busy.Reason, RetryAfter: busy.RetryAfter})
	case errors.Is(cause, exchange.ErrStopping):
		c.Refuse(&reply.Refusal{Status: http.StatusServiceUnavailable, Message: cause.Error()})
	case cause != nil:
		return Left(r.Exchange, cause)
	case errors.Is(err, nodes.ErrNoNode):
		c.Refuse(&reply.Refusal{Status: http.StatusServiceUnavailable, Message: err.Error()})
	case errors.Is(err, exchange.ErrSilent):
		c.Refuse(&reply.Refusal{Status: http.StatusGatewayTimeout, Message: err.Error()})
	default:
		c.Refuse(&reply.Refusal{Status: http.StatusBadGateway, Message: "the worker failed before it answered, and so did the one tried after it"})
	}
	return nil
}
