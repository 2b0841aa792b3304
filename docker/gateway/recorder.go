package main

import (
	"context"
	"log/slog"
	"time"

	"ollamamax/gateway/internal/metrics"
	"ollamamax/gateway/internal/nodes"
	"ollamamax/gateway/internal/store"
)

const (
	inventoryInterval = 30 * time.Second // rewritten at least this often: it carries last_seen
	inventoryRetry    = 2 * time.Second
	sampleInterval    = time.Minute
	writeTimeout      = 5 * time.Second
)

// recorder writes the inventory and the metrics to the database, in the background. While the database
// is away nothing is lost but time: the inventory is written whole, and metrics are differences to the
// last sample that was written.
type recorder struct {
	name     string
	database *store.Store
	metrics  *metrics.Metrics
	log      *slog.Logger
	written  func() // the inventory in the database has changed
	snapshot func() []nodes.State
	kick     chan struct{}
	last     store.Sample // totals at the last sample written
}

func newRecorder(name string, database *store.Store, m *metrics.Metrics, log *slog.Logger, written func()) *recorder {
	return &recorder{name: name, database: database, metrics: m, log: log, written: written, kick: make(chan struct{}, 1)}
}

// Changed asks for the inventory to be written soon.
func (r *recorder) Changed() {
	select {
	case r.kick <- struct{}{}:
	default: // it is due anyway
	}
}

// Run writes until ctx ends, and a last sample then.
func (r *recorder) Run(ctx context.Context) {
	samples := time.NewTicker(sampleInterval)
	defer samples.Stop()
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			r.sample(context.WithoutCancel(ctx))
			return
		case <-samples.C:
			r.sample(ctx)
		case <-r.kick:
			next.Reset(0)
		case <-next.C:
			next.Reset(r.save(ctx))
		}
	}
}

func (r *recorder) save(ctx context.Context) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	changed, err := r.database.SaveInventory(ctx, r.snapshot())
	if err != nil {
		r.log.Debug("inventory not written", "error", err)
		return inventoryRetry
	}
	if changed {
		r.written()
	}
	return inventoryInterval
}

func (r *recorder) sample(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	totals := r.metrics.Totals()
	now := store.Sample{
		Gateway: r.name, At: time.Now(), Requests: totals.Requests.Load(), Failures: totals.Failures.Load(),
		Retries: totals.Retries.Load(), PromptTokens: totals.PromptTokens.Load(), CompletionTokens: totals.CompletionTokens.Load(),
	}
	difference := now
	difference.Requests -= r.last.Requests
	difference.Failures -= r.last.Failures
	difference.Retries -= r.last.Retries
	difference.PromptTokens -= r.last.PromptTokens
	difference.CompletionTokens -= r.last.CompletionTokens
	if err := r.database.AddSample(ctx, difference); err != nil {
		r.log.Debug("metrics not written", "error", err)
		return
	}
	r.last = now
}
