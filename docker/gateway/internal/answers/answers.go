// Package answers answers requests without a worker of their own where it can: with an answer that is kept,
// with one that is being made for another client, or, for embeddings, as part of a batch.
package answers

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"ollamamax/gateway/internal/batch"
	"ollamamax/gateway/internal/cache"
	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/flight"
	"ollamamax/gateway/internal/metrics"
	"ollamamax/gateway/internal/scan"
)

// Request is what is known of a request once its body has been read.
type Request struct {
	API      scan.API
	Fields   scan.Fields
	Model    string // canonical
	Question cache.Question
	// CacheControl and Option are the client's headers Cache-Control and cache.Header.
	CacheControl, Option string
}

// Head is what comes before an answer's first byte.
type Head struct {
	Status int
	Header http.Header // the worker's; of an answer that was kept, its Content-Type alone
	Node   string      // empty where the answer was kept
	Cache  string      // the answer's cache.Header: Hit, Miss, Joined, or empty
}

// Sink takes an answer as it comes.
type Sink interface {
	Head(Head) error
	Write([]byte) error
}

// Worker has a worker answer a body. It may be called on another goroutine, for others' requests too, and
// outlive the request that it came with: it must not use anything of that request's own. Its context ends
// when nobody waits for the answer any more. An answer that breaks off is an error.
type Worker func(ctx context.Context, body []byte, to Sink) error

// Models knows which digests stand behind the names of models.
type Models interface {
	// Holds tells whether, as far as is known at this moment, a node's model has a digest.
	Holds(node, model, digest string) bool
}

// Answers serves requests.
type Answers struct {
	cache         *cache.Cache // nil: answers are not kept
	acrossTenants bool
	models        Models
	flights       *flight.Group[flightKey, *Head]
	batches       *batch.Batcher[cache.Key, Head]
	joined        prometheus.Counter
	alone         atomic.Uint64
}

// flightKey has a number of its own for a request that must not be answered together with others.
type flightKey struct {
	key   cache.Key
	alone uint64
}

// New returns answers over a cache, which may be nil.
func New(settings config.Config, kept *cache.Cache, models Models, m *metrics.Metrics) *Answers {
	return &Answers{
		cache: kept, acrossTenants: settings.ResultCache.AcrossTenants, models: models,
		flights: flight.New[flightKey, *Head](settings.ResultCache.MaxAnswerBytes),
		batches: batch.New[cache.Key, Head](settings.EmbedBatch.MaxWait, settings.EmbedBatch.MaxInputs, m.BatchSize),
		joined:  m.Joined,
	}
}

// Serve answers a request, or returns false where that takes a worker of its own. The error is worker's, the
// client's or the cause of ctx; nothing has been written to client unless it got a head.
func (a *Answers) Serve(ctx context.Context, r *Request, client Sink, worker Worker) (served bool, err error) {
	policy := cache.Decide(r.Fields.Deterministic, r.Fields.Commands, r.CacheControl, r.Option)
	batched := a.batched(r, worker)
	switch {
	case policy == cache.Policy{} && batched == nil:
		return false, nil
	case policy == cache.Policy{}:
		return true, batched(ctx, r.Question.Body, client)
	case batched != nil:
		worker = batched
	}
	return true, a.share(ctx, r, policy, client, worker)
}

// share answers with what is kept or being made, or has it made for everyone who asks the same.
func (a *Answers) share(ctx context.Context, r *Request, policy cache.Policy, client Sink, worker Worker) error {
	question := r.Question
	if a.acrossTenants && !policy.Private {
		question.Tenant = ""
	}
	key := question.Key()
	if policy.Read && a.cache != nil && question.Digest != "" {
		if answer := a.cache.Lookup(key); answer != nil {
			return replay(client, answer)
		}
	}
	return a.join(ctx, r, key, policy, client, worker)
}

// join is a function of its own so that what it shares with other goroutines is not allocated for a hit.
func (a *Answers) join(ctx context.Context, r *Request, key cache.Key, policy cache.Policy, client Sink, worker Worker) error {
	m := making{
		key: key, digest: r.Question.Digest, model: r.Model, body: r.Question.Body,
		keep: a.cache != nil && r.Question.Digest != "", read: policy.Read,
	}
	id := flightKey{key: key}
	if !policy.Read {
		id.alone = a.alone.Add(1)
	}
	reader, joined := a.flights.Join(id, func(ctx context.Context, f *flight.Flight[*Head]) error {
		m.Flight = f
		return a.make(ctx, &m, worker)
	})
	defer reader.Leave()
	if joined {
		a.joined.Inc()
	}
	return follow(ctx, reader, client, joined)
}

func replay(client Sink, answer *cache.Answer) error {
	if err := client.Head(Head{Status: http.StatusOK, Header: answer.Header, Cache: cache.Hit}); err != nil {
		return err
	}
	return client.Write(answer.Body)
}

func follow(ctx context.Context, reader *flight.Reader[*Head], client Sink, joined bool) error {
	shared, err := reader.Head(ctx)
	if err != nil {
		return err
	}
	head := *shared
	if joined && head.Cache != cache.Hit {
		head.Cache = cache.Joined
	}
	if err := client.Head(head); err != nil {
		return err
	}
	for {
		chunk, err := reader.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := client.Write(chunk); err != nil {
			return err
		}
	}
}

// making is an answer that is made for all who follow it, and is the sink that a worker writes it to.
type making struct {
	*flight.Flight[*Head]
	key    cache.Key
	digest string
	model  string
	body   []byte // of the request
	keep   bool   // the answer may be kept
	read   bool   // and may have been
}

func (m *making) Head(head Head) error {
	m.Flight.Head(&head)
	return nil
}

func (m *making) Write(p []byte) error {
	_, err := m.Flight.Write(p)
	return err
}

// make finds the answer in Redis or has worker make it. The answer is kept before the flight ends: whoever
// asks then finds the one or the other.
func (a *Answers) make(ctx context.Context, m *making, worker Worker) error {
	if m.keep && m.read {
		// Another flight may have kept it after this request looked.
		answer := a.cache.Peek(m.key)
		if answer == nil {
			answer = a.cache.LookupShared(ctx, m.key, m.digest)
		}
		if answer != nil {
			return replay(m, answer)
		}
	}
	watched := &watch{making: m}
	if err := worker(ctx, m.body, watched); err != nil {
		return err
	}
	head := watched.head
	contentType := head.Header.Get("Content-Type")
	body, whole := m.Whole()
	if m.keep && whole && head.Status == http.StatusOK && cache.Complete(contentType, body) &&
		// An answer is kept under the digest that gave it, or not at all: the model may have changed meanwhile.
		a.models.Holds(head.Node, m.model, m.digest) {
		a.cache.Store(m.key, m.digest, contentType, body)
	}
	return nil
}

// watch keeps the head that a worker gives.
type watch struct {
	*making
	head Head
}

func (w *watch) Head(head Head) error {
	w.head = head
	if w.keep && head.Status == http.StatusOK {
		head.Cache = cache.Miss
	}
	return w.making.Head(head)
}

// batched returns a worker that answers a request for embeddings together with others, or nil where the
// request cannot be. Ollama's own route alone: OpenAI's must say how many tokens each request has.
func (a *Answers) batched(r *Request, worker Worker) Worker {
	if r.API != scan.Embed {
		return nil
	}
	texts, ok := scan.CutTexts(r.Question.Body)
	if !ok {
		return nil
	}
	group := r.Question // of one tenant, even where answers are shared: what it costs is counted a tenant
	group.Body = slices.Concat(texts.Before, []byte{0}, texts.After)
	key := group.Key()
	return func(ctx context.Context, body []byte, to Sink) error {
		reply, err := a.batches.Do(ctx, key, body, texts, func(ctx context.Context, body []byte) (batch.Reply[Head], error) {
			var whole collector
			err := worker(ctx, body, &whole)
			return batch.Reply[Head]{Status: whole.head.Status, Body: whole.body, Head: whole.head}, err
		})
		if err != nil {
			return err
		}
		reply.Head.Header = reply.Head.Header.Clone()
		reply.Head.Header.Del("Content-Length") // of the whole batch
		if err := to.Head(reply.Head); err != nil {
			return err
		}
		return to.Write(reply.Body)
	}
}

// collector is a sink that waits for the whole answer.
type collector struct {
	head Head
	body []byte
}

func (c *collector) Head(head Head) error {
	c.head = head
	return nil
}

func (c *collector) Write(p []byte) error {
	c.body = append(c.body, p...)
	return nil
}
