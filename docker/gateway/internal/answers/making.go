package answers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"ollamamax/gateway/internal/auth"
	"ollamamax/gateway/internal/batch"
	"ollamamax/gateway/internal/cache"
	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/flight"
	"ollamamax/gateway/internal/http1"
	"ollamamax/gateway/internal/inference"
	"ollamamax/gateway/internal/reply"
	"ollamamax/gateway/internal/scan"
	"ollamamax/gateway/internal/stream"
	"ollamamax/gateway/internal/tracing"
	"ollamamax/gateway/internal/upstream"
)

var errPanic = errors.New("the gateway failed while it had the request answered")

// making is an answer to be made for all who follow it. It has nothing of the request that it began with,
// whose memory is used again once its client has been answered or has left.
type making struct {
	log       *slog.Logger
	forward   Forward
	request   inference.Request // without Exchange and Life: those are of each time that it is sent
	requestID string
	api       string
	model     string
	account   *auth.Key
	trace     *tracing.Trace // of the request that it began with; what is done for others is found there

	key    cache.Key
	digest string
	keep   bool // the answer may be kept
	read   bool // and may have been

	group *batchKey // of requests that may be sent with it, or nil
	texts scan.Texts
}

func (a *Answers) newMaking(r *inference.Request, forward Forward, key cache.Key, digest string) *making {
	x := r.Exchange
	return &making{
		log: a.log, forward: forward, requestID: x.RequestID, api: x.API, model: x.Model, account: x.Key, trace: x.Trace, key: key, digest: digest,
		request: inference.Request{Want: r.Want, Path: r.Path, Request: upstream.Request{
			Method: r.Method, Target: r.Target, Fields: slices.Clone(r.Fields), Body: slices.Clone(r.Body),
		}},
	}
}

// gather finds out with which requests for embeddings this one may be sent. It is a matter of Ollama's own
// route: an answer of OpenAI's must say how many tokens it took.
func (m *making) gather(question cache.Question) {
	texts, ok := scan.CutTexts(m.request.Body)
	if !ok {
		return
	}
	question.Body = slices.Concat(texts.Before, []byte{0}, texts.After)
	m.texts, m.group = texts, &batchKey{key: question.Key()}
	if m.account != nil {
		m.group.account = m.account.ID
	}
}

// make finds the answer in Redis or has a worker make it. It is kept before the flight ends: whoever asks then
// finds the one or the other.
func (a *Answers) make(ctx context.Context, m *making, f *flight.Flight[*shared]) error {
	if m.keep && m.read {
		answer := a.cache.Peek(m.key) // another flight may have kept it after this request looked
		if answer == nil {
			answer = look(m.trace, "redis", func() *cache.Answer { return a.cache.LookupShared(ctx, m.key, m.digest) })
		}
		if answer != nil {
			return found(f, answer)
		}
	}
	sink := &flightSink{sink: sink{keep: m.keep}, to: f}
	var err error
	if m.group != nil {
		err = a.together(ctx, m, f, &sink.sink)
	} else {
		err = m.send(ctx, m.request.Body, sink, &sink.sink)
	}
	if err != nil {
		return err
	}
	head := sink.head
	body, whole := f.Whole()
	if m.keep && whole && head.Status == http.StatusOK && cache.Complete(head.contentType, body) &&
		// An answer is kept under the digest that gave it, or not at all: the model may have changed meanwhile.
		a.models.Holds(head.node, m.request.Want.Model, m.digest) {
		a.cache.Store(m.key, m.digest, head.contentType, body)
	}
	return nil
}

// found gives those who follow what was in Redis.
func found(f *flight.Flight[*shared], answer *cache.Answer) error {
	head := inference.Head{
		Status: http.StatusOK, Fields: []byte("Content-Type: " + answer.ContentType + "\r\n"), Length: int64(len(answer.Body)),
	}
	if answer.Format != stream.Whole {
		head.Stream, head.Length = true, -1
	}
	f.Head(&shared{Head: head, contentType: answer.ContentType, cache: cache.Hit, tokens: &tokens{}})
	_, err := f.Write(answer.Body)
	return err
}

// together has the request answered with others, if there are any.
func (a *Answers) together(ctx context.Context, m *making, f *flight.Flight[*shared], to *sink) error {
	r, err := a.batches.Do(ctx, *m.group, m.request.Body, m.texts, func(ctx context.Context, body []byte) (batch.Reply[*shared], error) {
		var whole collector
		if err := m.send(ctx, body, &whole, &whole.sink); err != nil {
			return batch.Reply[*shared]{}, err
		}
		return batch.Reply[*shared]{Status: whole.head.Status, Body: whole.body, Head: whole.head}, nil
	})
	if err != nil {
		return err
	}
	head := *r.Head
	head.Length = int64(len(r.Body))
	if m.keep && head.Status == http.StatusOK {
		head.cache = cache.Miss
	}
	to.head = &head
	f.Head(&head)
	_, err = f.Write(r.Body)
	return err
}

// send has a worker answer body. It runs on goroutines of its own, where a panic would end the gateway.
func (m *making) send(ctx context.Context, body []byte, client inference.Client, s *sink) (err error) {
	defer func() {
		if problem := recover(); problem != nil {
			m.log.Error("handler panicked", "request", m.requestID, "path", m.api, "panic", fmt.Sprint(problem))
			err = errPanic
		}
	}()
	x := &exchange.Exchange{Start: time.Now(), RequestID: m.requestID, API: m.api, Model: m.model, Key: m.account, Trace: m.trace}
	life := new(exchange.Life)
	life.Begin(x)
	defer context.AfterFunc(ctx, func() { life.End(context.Cause(ctx)) })()
	r := m.request
	r.Exchange, r.Life, r.Body = x, life, body
	s.exchange = x
	switch err = m.forward(&r, client); {
	case s.err != nil:
		return s.err
	case err != nil:
		return &cutError{cause: x.Cause}
	}
	s.head.tokens.prompt, s.head.tokens.completion = x.PromptTokens, x.CompletionTokens
	return nil
}

// sink is what a worker's answer goes to in place of a client.
type sink struct {
	keep     bool
	exchange *exchange.Exchange
	head     *shared
	err      error // in place of an answer, or of its end
}

func (s *sink) begin(head inference.Head) {
	contentType, _ := http1.Value(head.Fields, "Content-Type")
	s.head = &shared{
		Head: head, contentType: string(contentType), node: s.exchange.Node, retries: s.exchange.Retries, tokens: &tokens{},
	}
	s.head.Fields = slices.Clone(head.Fields)
	if s.keep && head.Status == http.StatusOK {
		s.head.cache = cache.Miss
	}
}

// Abort implements inference.Client.
func (s *sink) Abort(ending []byte) { s.err = &cutError{ending: ending, cause: s.exchange.Cause} }

// Refuse implements inference.Client.
func (s *sink) Refuse(refusal *reply.Refusal) {
	s.err = &refusedError{refusal: refusal, cause: s.exchange.Cause}
}

// flightSink passes an answer on to those who follow it.
type flightSink struct {
	sink
	to *flight.Flight[*shared]
}

// Begin implements inference.Client.
func (s *flightSink) Begin(head inference.Head) {
	s.begin(head)
	s.to.Head(s.head)
}

// Put implements inference.Client.
func (s *flightSink) Put(piece []byte) error { return s.Write(piece, false) }

// Write implements inference.Client.
func (s *flightSink) Write(piece []byte, _ bool) error {
	_, err := s.to.Write(piece)
	return err
}

// collector waits for the whole answer.
type collector struct {
	sink
	body []byte
}

// Begin implements inference.Client.
func (c *collector) Begin(head inference.Head) { c.begin(head) }

// Put implements inference.Client.
func (c *collector) Put(piece []byte) error { return c.Write(piece, false) }

// Write implements inference.Client.
func (c *collector) Write(piece []byte, _ bool) error {
	c.body = append(c.body, piece...)
	return nil
}
