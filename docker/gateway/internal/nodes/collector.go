package nodes

import (
	"ollamamax/gateway/internal/breaker"
	"ollamamax/gateway/internal/modelname"
	"ollamamax/gateway/internal/prometheus"
)

var (
	upDesc       = describe("node_up", "1 where the node passes its health check.", "node")
	inFlightDesc = describe("in_flight", "Requests under way at a node.", "node")
	slotsDesc    = describe("node_slots", "Requests that a node is given at once of each model; 0: no limit.", "node")
	drainingDesc = describe("node_draining", "1 where the node is drained, or leaves: it takes no new requests.", "node")
	ejectedDesc  = describe("node_ejected", "1 where the node is left out because it does worse than the others.", "node")
	breakerDesc  = describe("breaker_state", "The worst state of the breakers of a node's models: 0 closed, 1 half-open, 2 open.", "node")
	openedDesc   = describe("breaker_opened_total", "How often a breaker of the node has opened.", "node")
	ejectionDesc = describe("ejections_total", "How often the node was left out because it did worse than the others.", "node")
	evictedDesc  = describe("evictions_total", "Models that made way for others in the node's memory.", "node")
	pinnedDesc   = describe("model_pinned", "1 for each model that is always to be in the node's memory and is, 0 while it is not.", "node", "model")
	loadedDesc   = describe("model_loaded", "1 for each model that a node has in memory.", "node", "model")
	depthDesc    = describe("queue_depth", "Requests that wait for a slot, by model.", "model")
	poolDesc     = describe("pool_load", "Requests that hold a slot of a pool's workers, or wait for one, by model.", "pool", "model")
	askedDesc    = describe("pool_requests_total", "Requests for a model that a pool's workers serve, whether any is there or not.", "pool", "model")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("ollamamax_"+name, help, labels...)
}

// collector reads the pool where it is scraped, so that nothing is counted twice and a request pays for
// none of it.
type collector struct{ pool *Pool }

// Collect implements prometheus.Collector.
func (c collector) Collect() []prometheus.Metric {
	p := c.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	var all []prometheus.Metric
	add := func(desc *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		all = append(all, prometheus.NewConstMetric(desc, kind, value, labels...))
	}
	for _, node := range p.nodes {
		worst := breaker.Closed
		for model, l := range node.lanes {
			worst = max(worst, l.breaker.State(&p.breaking, now))
			if l.loaded {
				add(loadedDesc, prometheus.GaugeValue, 1, node.Name, modelname.Short(model))
			}
		}
		add(upDesc, prometheus.GaugeValue, boolean(node.up), node.Name)
		add(inFlightDesc, prometheus.GaugeValue, float64(node.outstanding), node.Name)
		add(slotsDesc, prometheus.GaugeValue, float64(node.slots), node.Name)
		add(drainingDesc, prometheus.GaugeValue, boolean(node.drained || node.leaving), node.Name)
		add(ejectedDesc, prometheus.GaugeValue, boolean(node.record.Ejected(now)), node.Name)
		add(breakerDesc, prometheus.GaugeValue, float64(worst), node.Name)
		add(openedDesc, prometheus.CounterValue, float64(node.opened), node.Name)
		add(ejectionDesc, prometheus.CounterValue, float64(node.ejections), node.Name)
		add(evictedDesc, prometheus.CounterValue, float64(node.evictions), node.Name)
		for _, pin := range node.pins {
			l := node.lanes[pin.model]
			add(pinnedDesc, prometheus.GaugeValue, boolean(l != nil && l.hot()), node.Name, modelname.Short(pin.model))
		}
	}
	for key, load := range p.loads() {
		model := modelname.Short(key.model)
		add(poolDesc, prometheus.GaugeValue, float64(load.requests), key.pool, model)
		add(askedDesc, prometheus.CounterValue, float64(load.asked), key.pool, model)
	}
	unknown := 0
	for _, place := range p.places {
		if place.slotWait == nil {
			unknown += place.waiting.Len()
		} else {
			add(depthDesc, prometheus.GaugeValue, float64(place.waiting.Len()), modelname.Short(place.model))
		}
	}
	add(depthDesc, prometheus.GaugeValue, float64(unknown), "unknown")
	return all
}

// pooled is a model of a pool.
type pooled struct{ pool, model string }

type load struct{ requests, asked int }

// loads returns what is asked of each pool, of those models that its workers hold or would hold if there were any.
// The caller holds mu.
func (p *Pool) loads() map[pooled]load {
	all := map[pooled]load{}
	for _, limit := range p.settings.Limits {
		for _, model := range limit.Preload {
			all[pooled{limit.Pool, modelname.Canonical(model)}] = load{}
		}
	}
	for _, node := range p.nodes {
		for model, l := range node.lanes {
			key := pooled{node.pool, model}
			all[key] = load{requests: all[key].requests + l.inUse - l.loads}
		}
	}
	for key, load := range all {
		if place := p.places[key.model]; place != nil {
			load.requests += place.waiting.Len()
			load.asked = place.asked
			all[key] = load
		}
		if key.pool == "" {
			delete(all, key)
		}
	}
	return all
}

func boolean(holds bool) float64 {
	if holds {
		return 1
	}
	return 0
}
