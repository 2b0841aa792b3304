// Package residency has models in the memory of the nodes that are to have them there: those of the settings
// from the start, and others on request.
package residency

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/metrics"
	"ollamamax/gateway/internal/modelname"
	"ollamamax/gateway/internal/nodes"
	"ollamamax/gateway/internal/prometheus"
	"ollamamax/gateway/internal/proxy"
)

// Database remembers what is pinned on request.
type Database interface {
	SetPinned(ctx context.Context, nodes []string, model string, pinned bool) error
}

// Told is called to tell this and the other gateways what has changed.
type Told struct {
	Pulled func()                // a node has got a model that it did not hold
	Pinned func(context.Context) // the database's pins are others
}

// Residency loads models.
type Residency struct {
	gateway  string
	pool     *nodes.Pool
	proxy    *proxy.Proxy
	settings config.Workers
	database Database
	log      *slog.Logger
	told     Told
	kick     chan struct{}
	results  *prometheus.CounterVec
}

// New returns what loads models on the nodes of a pool, for the gateway of this configuration.
func New(cfg config.Config, pool *nodes.Pool, p *proxy.Proxy, database Database, m *metrics.Metrics, log *slog.Logger, told Told) *Residency {
	r := &Residency{
		gateway: cfg.Name, pool: pool, proxy: p, settings: cfg.Workers, database: database, log: log, told: told,
		kick: make(chan struct{}, 1),
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
	o := r.bringAll(ctx, load{[]*nodes.Node{job.Node}, job.Model, true, r.settings.SpreadAfter}, func([]byte) {})[0]
	news := job.Done(o.err)
	switch {
	case ctx.Err() != nil || !news:
	case o.err == nil:
		r.log.Info("model preloaded", "node", o.Node, "model", job.Model, "seconds", o.Seconds)
	default:
		r.log.Warn("model not preloaded: it is tried again", "node", o.Node, "model", job.Model, "error", o.err)
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
	var problems []string
	for _, o := range r.bringAll(ctx, load{targets, model, keep, 0}, func([]byte) {}) {
		if o.err == nil {
			return nil
		}
		problems = append(problems, o.Node+": "+o.err.Error())
	}
	return errors.New(strings.Join(problems, "; "))
}

// load is a model that nodes are to have in memory, for which others that have been idle for so long make way.
type load struct {
	nodes []*nodes.Node
	model string // as it was given
	keep  bool
	idle  time.Duration
}

// outcome is how that ended on one node.
type outcome struct {
	Node     string  `json:"node"`
	Resident bool    `json:"resident"`
	Seconds  float64 `json:"seconds"`
	Error    string  `json:"error,omitempty"`

	err error
}

// bringAll loads a model on several nodes, after those that lack it have pulled it. It calls show with each line
// of the progress, one at a time.
func (r *Residency) bringAll(ctx context.Context, l load, show func(line []byte)) []outcome {
	began, canonical := time.Now(), modelname.Canonical(l.model)
	var lacking []*nodes.Node
	held := r.pool.Holding(canonical)
	for _, node := range l.nodes {
		if r.settings.Pull && !slices.Contains(held, node) {
			lacking = append(lacking, node)
		}
	}
	notPulled := map[string]error{}
	if len(lacking) > 0 {
		notPulled = r.proxy.Pull(ctx, lacking, l.model, show)
		r.pool.Refresh(ctx)
		r.told.Pulled()
	}
	show([]byte(`{"status":"loading model"}`))
	outcomes := make([]outcome, len(l.nodes))
	var wait sync.WaitGroup
	for i, node := range l.nodes {
		wait.Go(func() {
			err := notPulled[node.Name]
			if err == nil {
				err = r.pool.Load(ctx, node, canonical, l.keep, l.idle)
			}
			outcomes[i] = r.count(node, began, err)
		})
	}
	wait.Wait()
	return outcomes
}

func (r *Residency) count(node *nodes.Node, began time.Time, err error) outcome {
	o, result := outcome{Node: node.Name, Resident: err == nil, Seconds: time.Since(began).Seconds(), err: err}, "loaded"
	if err != nil {
		o.Error, result = err.Error(), "failed"
	}
	r.results.WithLabelValues(result).Inc()
	return o
}
