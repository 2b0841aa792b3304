package nodes

import "ollamamax/gateway/internal/breaker"

// Sleeps tells whether there may be no worker until one is asked for.
func (p *Pool) Sleeps() bool { return p.sleeps }

// Ready tells whether requests find a worker: one that is there, or comes once it is asked for.
func (p *Pool) Ready() bool { return p.sleeps || len(p.Healthy()) > 0 }

// Healthy returns the nodes that answer, sorted by name.
func (p *Pool) Healthy() []*Node { return p.where(func(n *Node) bool { return n.up }) }

// Taking returns the nodes that answer and may be given something to do, sorted by name.
func (p *Pool) Taking() []*Node { return p.where((*Node).takes) }

// Holding returns those of them that hold the model, sorted by name.
func (p *Pool) Holding(model string) []*Node {
	return p.where(func(n *Node) bool {
		_, holds := n.models[model]
		return holds && n.takes()
	})
}

func (p *Pool) where(holds func(*Node) bool) []*Node {
	p.mu.Lock()
	defer p.mu.Unlock()
	var some []*Node
	for _, node := range p.nodes {
		if holds(node) {
			some = append(some, node)
		}
	}
	return some
}

// Known tells whether any node holds the model, or would once it is started.
func (p *Pool) Known(model string) (Model, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch place := p.places[model]; {
	case place == nil:
		return Model{}, false
	case len(place.lanes) > 0:
		return place.lanes[0].node.models[model], true
	default:
		return place.last, place.cold > 0
	}
}

// Asleep returns the models that no node holds until they are asked for, as far as one has been seen to.
func (p *Pool) Asleep() []Model {
	p.mu.Lock()
	defer p.mu.Unlock()
	var some []Model
	for _, place := range p.places {
		if len(place.lanes) == 0 && place.last.Raw != nil {
			some = append(some, place.last)
		}
	}
	return some
}

// Serves tells whether a request for the model would find a node: one that has it and may be given something to
// do, where it does not keep failing. It may have to wait there.
func (p *Pool) Serves(model string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	place := p.places[model]
	if place == nil {
		return false
	}
	now := p.now()
	for _, l := range place.lanes {
		if l.node.takes() && l.breaker.State(&p.breaking, now) != breaker.Open {
			return true
		}
	}
	return false
}

// Digest is that of a model on the healthy nodes that hold it, or empty where there is none, where they differ
// and where it says nothing of what runs.
func (p *Pool) Digest(model string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	digest := ""
	for _, node := range p.nodes {
		found, holds := node.models[model]
		if !node.up || !holds {
			continue
		}
		if found.Remote || (digest != "" && found.Digest != digest) {
			return ""
		}
		digest = found.Digest
	}
	return digest
}

// Holds tells whether a node's model has a digest.
func (p *Pool) Holds(node, model, digest string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, candidate := range p.nodes {
		if candidate.Name == node {
			return candidate.models[model].Digest == digest
		}
	}
	return false
}

// Waiting is how many requests wait for a slot.
func (p *Pool) Waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.queued
}
