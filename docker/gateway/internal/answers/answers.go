// Package answers answers requests without a worker of their own where it can: with an answer that is kept,
// with one that is being made for another client, or, for embeddings, as part of a batch.
package answers

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"ollamamax/gateway/internal/batch"
	"ollamamax/gateway/internal/bus"
	"ollamamax/gateway/internal/cache"
	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/flight"
	"ollamamax/gateway/internal/http1"
	"ollamamax/gateway/internal/inference"
	"ollamamax/gateway/internal/metrics"
	"ollamamax/gateway/internal/nodes"
	"ollamamax/gateway/internal/prometheus"
	"ollamamax/gateway/internal/scan"
	"ollamamax/gateway/internal/stream"
	"ollamamax/gateway/internal/tracing"
)

// Models knows which digests stand behind the names of models.
type Models interface {
	// Digest is a model's, or empty while its nodes do not all have the same.
	Digest(model string) string
	// Holds tells whether a node's model has a digest at this moment.
	Holds(node, model, digest string) bool
	Snapshot() []nodes.State
}

// Forward has a worker answer a request.
type Forward = func(*inference.Request, inference.Client) error

// Answers serves requests. It implements inference.Shortcut.
type Answers struct {
	cache         *cache.Cache // nil: answers are not kept,
	changes       *changes     // and then this is nil too
	acrossTenants bool
	batching      bool
	models        Models
	flights       *flight.Group[flightKey, *shared]
	batches       *batch.Batcher[batchKey, *shared]
	joined        prometheus.Counter
	alone         atomic.Uint64
	log           *slog.Logger
}

// flightKey has a number of its own for a request that must not be answered together with others. Who could be
// answered by another model shares no flight with those who wait for this one.
type flightKey struct {
	key       cache.Key
	alone     uint64
	elsewhere bool
}

// batchKey has the key of a client too: it is what tokens are counted for, and a batch has one count.
type batchKey struct {
	key     cache.Key
	account int64
}

// New returns answers about models. Run serves them.
func New(settings config.Config, dial bus.Dial, models Models, m *metrics.Metrics, log *slog.Logger) *Answers {
	a := &Answers{
		acrossTenants: settings.ResultCache.AcrossTenants, batching: settings.EmbedBatch.MaxWait > 0, models: models,
		flights: flight.New[flightKey, *shared](settings.ResultCache.MaxAnswerBytes),
		batches: batch.New[batchKey, *shared](settings.EmbedBatch.MaxWait, settings.EmbedBatch.MaxInputs, m.BatchSize),
		joined:  m.Joined, log: log,
	}
	if settings.ResultCache.MemoryBytes > 0 {
		a.cache = cache.New(settings.ResultCache, dial, m, log)
		a.changes = newChanges(models.Snapshot, a.cache.Drop)
	}
	return a
}

// Run serves what is kept until ctx ends.
func (a *Answers) Run(ctx context.Context) {
	if a.cache == nil {
		return
	}
	var wait sync.WaitGroup
	wait.Go(func() { a.changes.run(ctx) })
	a.cache.Run(ctx)
	wait.Wait()
}

// Changed says that the nodes may hold other models now. It does not block.
func (a *Answers) Changed() {
	if a.cache != nil {
		a.changes.changed()
	}
}

// Shed gives memory back, until what is kept takes no more than share of what it may.
func (a *Answers) Shed(share float64) {
	if a.cache != nil {
		a.cache.Shed(share)
	}
}

// Serve answers a request, or returns false where that takes a worker of its own.
func (a *Answers) Serve(r *inference.Request, fields scan.Fields, c inference.Client, forward Forward) (served bool, err error) {
	api := scan.Of(r.Path)
	policy := decide(r, fields)
	batched := api == scan.Embed && a.batching
	if policy == (cache.Policy{}) && !batched {
		return false, nil
	}
	question := cache.Question{
		Target: r.Target, Digest: a.models.Digest(r.Want.Model), Shared: a.acrossTenants && !policy.Private,
		Body: r.Body,
	}
	question.ContentType, _ = http1.Value(r.Fields, "Content-Type")
	question.Accept, _ = http1.Value(r.Fields, "Accept")
	if r.Exchange.Key != nil {
		question.Tenant = r.Exchange.Key.Tenant
	}
	key := question.Key()
	keep := a.cache != nil && question.Digest != "" && policy.Write
	if keep && policy.Read {
		answer := look(r.Exchange.Trace, "memory", func() *cache.Answer { return a.cache.Lookup(key) })
		if answer != nil {
			return true, replay(r, c, answer)
		}
	}
	id := flightKey{key: key, elsewhere: r.Want.Elsewhere}
	if !policy.Read {
		id.alone = a.alone.Add(1)
	}
	reader := a.flights.Follow(id)
	joined := reader != nil
	if !joined {
		m := a.newMaking(r, forward, key, question.Digest)
		m.keep, m.read = keep, policy.Read
		if batched {
			m.gather(question)
		}
		reader, joined = a.flights.Join(id, func(ctx context.Context, f *flight.Flight[*shared]) error { return a.make(ctx, m, f) })
	}
	if joined {
		a.joined.Inc()
	}
	return true, follow(r, c, reader, joined)
}

// look is a look-up of a cache as a trace shows it.
func look(trace *tracing.Trace, level string, lookup func() *cache.Answer) *cache.Answer {
	if trace == nil {
		return lookup()
	}
	began := time.Now()
	answer := lookup()
	trace.Looked(level, answer != nil, began)
	return answer
}

// decide returns what may be done for a request.
func decide(r *inference.Request, fields scan.Fields) cache.Policy {
	var option []byte
	if !fields.Deterministic {
		if option, _ = http1.Value(r.Fields, cache.Header); option == nil {
			return cache.Policy{}
		}
	}
	var cacheControl string
	for value, rest := http1.Value(r.Fields, "Cache-Control"); value != nil; value, rest = http1.Value(rest, "Cache-Control") {
		cacheControl += string(value) + ","
	}
	return cache.Decide(fields.Deterministic, fields.Commands, cacheControl, string(option))
}

// replay gives an answer that is kept. A stream comes as a stream, each of its messages by itself.
func replay(r *inference.Request, c inference.Client, answer *cache.Answer) error {
	x := r.Exchange
	x.Cache = cache.Hit
	began := time.Now()
	head := inference.Head{Status: http.StatusOK, Fields: answer.Fields, Length: int64(len(answer.Body))}
	if answer.Format != stream.Whole {
		head.Stream, head.Length = true, -1
		x.FirstByte = began.Sub(x.Start)
	}
	c.Begin(head)
	var err error
	for rest := answer.Body; err == nil && len(rest) > 0; {
		var message []byte
		message, rest = cache.Message(answer.Format, rest)
		message, err = putMost(c, message)
		switch {
		case err != nil:
		case len(rest) > 0:
			err = c.Put(message)
		default:
			err = c.Write(message, true)
		}
	}
	x.Waited(began)
	if err != nil {
		return inference.Left(x, err)
	}
	return nil
}

// putMost passes bytes on, but for the last piece, which it returns.
func putMost(c inference.Client, bytes []byte) (last []byte, err error) {
	for len(bytes) > inference.MaxPiece {
		if err := c.Put(bytes[:inference.MaxPiece]); err != nil {
			return nil, err
		}
		bytes = bytes[inference.MaxPiece:]
	}
	return bytes, nil
}
