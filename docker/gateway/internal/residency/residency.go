// Package residency has models in the memory of the nodes that are to have them there: those of the settings
// from the start, and others on request.
package residency

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/metrics"
	"ollamamax/gateway/internal/modelname"
	"ollamamax/gateway/internal/nodes"
	"ollamamax/gateway/internal/prometheus"
	"ollamamax/gateway/internal/proxy"
)

// errNoPull is ErrNotHeld where that is the end of it.
var errNoPull = errors.New("the node does not hold the model, and this stack's workers do not pull")

// Residency loads models.
type Residency struct {
	pool     *nodes.Pool
	proxy    *proxy.Proxy
	settings config.Workers
	log      *slog.Logger
	changed  func() // a node has got a model
	kick     chan struct{}
	results  *prometheus.CounterVec
}

// New returns what loads models on the nodes of a pool. changed is called after a node has got a model that it
// did not hold.
func New(settings config.Workers, pool *nodes.Pool, p *proxy.Proxy, m *metrics.Metrics, log *slog.Logger, changed func()) *Residency {
	r := &Residency{
		pool: pool, proxy: p, settings: settings, log: log, changed: changed, kick: make(chan struct{}, 1),
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ollamamax_preload_total",
			Help: "Loads of models that no request has asked for, by result (loaded or failed).",
		}, []string{"result"}),
	}
	m.Register(r.results)
	return r
}

// Run loads, until ctx ends, what nodes are to have in memory and have not: since they have come up, or because
// somebody else had it unloaded. Every gateway does so by itself. A worker loads a model once whoever asks, and
// downloads it once, and the answer is how a gateway knows that it is there.
func (r *Residency) Run(ctx context.Context) {
	tick := time.NewTicker(r.settings.HealthInterval)
	defer tick.Stop()
	var jobs sync.WaitGroup
	defer jobs.Wait()
	for {
		for _, job := range r.pool.Due() {
			jobs.Go(func() { r.do(ctx, job) })
		}
		select {
		case <-ctx.Done():
			return
		case <-r.kick:
		case <-tick.C:
		}
	}
}

// Wake asks for a look soon. It does not block.
func (r *Residency) Wake() {
	select {
	case r.kick <- struct{}{}:
	default: // one is due anyway
	}
}

func (r *Residency) do(ctx context.Context, job nodes.Job) {
	began := time.Now()
	err := r.bring(ctx, job.Node, job.Model, true, r.settings.SpreadAfter)
	job.Done(err)
	switch {
	case ctx.Err() != nil:
	case err == nil:
		r.log.Info("model preloaded", "node", job.Node.Name, "model", job.Model, "took", time.Since(began).String())
	default:
		r.log.Warn("model not preloaded: it is tried again", "node", job.Node.Name, "model", job.Model, "error", err)
	}
	r.Wake() // its node may lack another
}

// Preload has a model in memory before it returns: on all nodes that are to have it there always and that take
// requests, or else on one. It fails only where that succeeded nowhere.
func (r *Residency) Preload(ctx context.Context, model string) error {
	canonical := modelname.Canonical(model)
	targets, keep := r.pool.Pinned(canonical), true
	if len(targets) == 0 {
		if r.pool.Resident(canonical) {
			return nil
		}
		targets, keep = r.pool.Best(canonical, 1), false
	}
	if len(targets) == 0 {
		return nodes.ErrNoNode
	}
	failed := make([]error, len(targets))
	var wait sync.WaitGroup
	for i, node := range targets {
		wait.Go(func() { failed[i] = r.bring(ctx, node, model, keep, 0) })
	}
	wait.Wait()
	for _, err := range failed {
		if err == nil {
			return nil
		}
	}
	return errors.Join(failed...)
}

// bring has a model in a node's memory, where others that have been idle for so long make way for it.
func (r *Residency) bring(ctx context.Context, node *nodes.Node, model string, keep bool, idle time.Duration) error {
	canonical := modelname.Canonical(model)
	err := r.pool.Load(ctx, node, canonical, keep, idle)
	if errors.Is(err, nodes.ErrNotHeld) {
		if err = r.pull(ctx, node, model); err == nil {
			err = r.pool.Load(ctx, node, canonical, keep, idle)
		}
	}
	result := "loaded"
	if err != nil {
		result = "failed"
	}
	r.results.WithLabelValues(result).Inc()
	return err
}

func (r *Residency) pull(ctx context.Context, node *nodes.Node, model string) error {
	if !r.settings.Pull {
		return errNoPull
	}
	failed, err := r.proxy.Pull(ctx, []*nodes.Node{node}, model, func([]byte) {})
	if err != nil {
		return err
	}
	r.pool.Refresh(ctx)
	r.changed()
	return failed[node.Name]
}
