package nodes

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"ollamamax/gateway/internal/breaker"
	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/discovery"
	"ollamamax/gateway/internal/metrics"
	"ollamamax/gateway/internal/modelname"
	"ollamamax/gateway/internal/outlier"
	"ollamamax/gateway/internal/upstream"
)

// Pool is the set of workers.
type Pool struct {
	settings config.Workers
	breaking breaker.Settings
	ejecting outlier.Settings
	metrics  *metrics.Metrics
	log      *slog.Logger
	source   discovery.Source
	onChange func() // models, health or drains changed; must not block
	started  time.Time
	sleeps   bool // some models' workers may all be away until they are asked for

	mu       sync.Mutex
	nodes    []*Node               // sorted by name
	places   map[string]*placement // by canonical model: what some node holds, or would once it is started, or somebody waits for
	queues   []*placement          // those that somebody waits for, the next to be served first
	queued   int                   // who waits, in all
	queuedOf map[string]int        // and of each key
	drained  map[string]bool       // names of nodes that are to take nothing new
	pinned   map[string][]string   // by node's name: models that it is to have in memory, beside those of the settings
	gateways int                   // that share the slots
	turn     int
	scratch  scratch
	running  context.Context
	checks   sync.WaitGroup

	questions singleflight.Group // of Died
	refreshes rounds
}

// NewPool returns a pool that knows no node until Run has the source look for them. onChange is called
// after every change of health, models or drains.
func NewPool(settings config.Workers, m *metrics.Metrics, log *slog.Logger, source discovery.Source, onChange func()) *Pool {
	p := &Pool{
		settings: settings, metrics: m, log: log, source: source, onChange: onChange, started: time.Now(),
		breaking: breaker.Settings{
			Window: settings.Breaker.Window, MinRequests: settings.Breaker.MinRequests,
			Failures: float64(settings.Breaker.Failures) / 100, OpenFor: settings.Breaker.OpenFor,
		},
		ejecting: outlier.Settings{
			Consecutive: settings.Ejection.Consecutive, MinRequests: settings.Ejection.MinRequests,
			Margin: float64(settings.Ejection.Margin) / 100, Base: settings.Ejection.Base,
			Longest: settings.Ejection.Longest, MaxShare: float64(settings.Ejection.MaxPercent) / 100,
		},
		places: map[string]*placement{}, queuedOf: map[string]int{}, drained: map[string]bool{}, gateways: 1,
	}
	for _, limit := range settings.Limits {
		if limit.ColdStart > 0 {
			p.sleeps = true
			for _, model := range limit.Preload {
				place := p.place(modelname.Canonical(model))
				place.cold = max(place.cold, limit.ColdStart)
				place.last = Model{Name: model, Canonical: place.model}
				place.slotWait = m.SlotWait(modelname.Short(model))
			}
		}
	}
	p.refreshes.job = p.askAll
	m.Register(collector{p})
	return p
}

// now is the time on the pool's own clock, which only goes forward.
func (p *Pool) now() time.Duration { return time.Since(p.started) }

// Run finds and checks workers until ctx ends.
func (p *Pool) Run(ctx context.Context) {
	p.mu.Lock()
	p.running = ctx
	p.mu.Unlock()
	p.checks.Go(func() { p.compare(ctx) })
	p.source.Run(ctx, p.update)
	p.checks.Wait()
}

// update brings the nodes in line with what a source knows of a host.
func (p *Pool) update(host string, endpoints []discovery.Endpoint) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running.Err() != nil {
		return
	}
	listed := map[string]discovery.Endpoint{}
	for _, endpoint := range endpoints {
		listed[endpoint.Address] = endpoint
	}
	kept := p.nodes[:0:0]
	altered := false
	for _, node := range p.nodes {
		endpoint, stays := listed[node.Address]
		if node.Host != host {
			kept = append(kept, node)
			continue
		}
		if !stays {
			node.stop()
			p.log.Info("worker left", "node", node.Name, "address", node.Address)
			altered = true
			continue
		}
		delete(listed, node.Address)
		if node.leaving != endpoint.Leaving {
			node.leaving = endpoint.Leaving
			p.log.Info("worker is leaving", "node", node.Name, "leaving", node.leaving)
			p.kick(node) // to close its connections, or to be asked again
			altered = true
		}
		kept = append(kept, node)
	}
	for _, endpoint := range endpoints {
		if _, missing := listed[endpoint.Address]; !missing {
			continue
		}
		delete(listed, endpoint.Address)
		node := p.newNode(host, endpoint)
		kept = append(kept, node)
		altered = true
	}
	if !altered {
		return
	}
	slices.SortFunc(kept, func(a, b *Node) int { return strings.Compare(a.Name, b.Name) })
	p.nodes = kept
	p.reindex()
	p.notify()
}

func (p *Pool) newNode(host string, endpoint discovery.Endpoint) *Node {
	ctx, stop := context.WithCancel(p.running)
	node := &Node{
		Name: endpoint.Name, Host: host, Address: endpoint.Address,
		Conns:     upstream.NewPool(endpoint.Address, p.settings.ConnectTimeout),
		Transport: newTransport(p.settings.ConnectTimeout), kick: make(chan struct{}, 1), stop: stop,
		hash: hash(endpoint.Name), limit: p.settings.Slots, maxLoaded: p.settings.LoadedModels,
		memory: p.settings.Memory, preload: p.settings.Preload,
		leaving: endpoint.Leaving, drained: p.drained[endpoint.Name],
	}
	for _, limit := range p.settings.Limits {
		if limit.Host == host {
			node.limit, node.maxLoaded = limit.Slots, limit.LoadedModels
			node.memory, node.preload, node.pool = limit.Memory, limit.Preload, limit.Pool
		}
	}
	node.slots = part(node.limit, p.gateways)
	p.log.Info("worker found", "node", node.Name, "address", node.Address)
	p.checks.Go(func() { p.watch(ctx, node) })
	return node
}

// notify gives everyone who waits what a change has made possible. The caller holds mu.
func (p *Pool) notify() {
	p.serveAll()
	if p.onChange != nil {
		p.onChange()
	}
}

// reconsider gives everyone who waits what time has made possible.
func (p *Pool) reconsider() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serveAll()
}

// SetDrained says which nodes, by name, are to take nothing new. What they are doing they finish.
func (p *Pool) SetDrained(names []string) {
	drained := map[string]bool{}
	for _, name := range names {
		drained[name] = true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if maps.Equal(drained, p.drained) {
		return
	}
	p.drained = drained
	for _, node := range p.nodes {
		if node.drained != drained[node.Name] {
			node.drained = drained[node.Name]
			p.log.Info("worker drained or taken in again", "node", node.Name, "drained", node.drained)
		}
	}
	p.notify()
}

// SetGateways says how many gateways share the slots of the nodes: each keeps to its part of them.
func (p *Pool) SetGateways(gateways int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if gateways == p.gateways {
		return
	}
	p.gateways = gateways
	for _, node := range p.nodes {
		node.slots = part(node.limit, gateways)
	}
	p.serveAll()
}

// part is a gateway's share of a limit, rounded up: no slot may lie idle because nobody has the whole of it.
func part(limit, gateways int) int { return (limit + gateways - 1) / gateways }
