package nodes

import (
	"context"
	"errors"
	"slices"
	"time"

	"ollamamax/gateway/internal/balancer"
	"ollamamax/gateway/internal/modelname"
)

const (
	// firstRetry and lastRetry bound the time after which a model that could not be loaded is tried again.
	firstRetry = time.Second
	lastRetry  = time.Minute
)

var (
	// ErrNotHeld means that a node does not hold a model.
	ErrNotHeld = errors.New("the node does not hold the model")
	// ErrNoMemory means that nothing on a node can make way for a model.
	ErrNoMemory = errors.New("the node's memory is taken by models that are in use")
	// ErrNotTaking means that a node takes nothing new.
	ErrNotTaking = errors.New("the node is down, drained or about to leave")
)

// pin is a model that a node is to have in memory. Guarded by Pool.mu.
type pin struct {
	name     string        // as it was given
	model    string        // the same, canonical
	failures int           // in a row
	due      time.Duration // not tried before
	problem  string        // of the last try; empty: none, or it worked
}

// SetPinned says which models nodes are to have in memory, by the nodes' names, beside those of the settings.
func (p *Pool) SetPinned(models map[string][]string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pinned = models
	for _, node := range p.nodes {
		p.pin(node)
	}
}

// pin brings a node's pins in line with the settings and what else was said. The caller holds mu.
func (p *Pool) pin(node *Node) {
	var pins []*pin
	for _, model := range slices.Concat(node.preload, p.pinned[node.Name]) {
		canonical := modelname.Canonical(model)
		same := func(other *pin) bool { return other.model == canonical }
		if slices.ContainsFunc(pins, same) {
			continue
		}
		if i := slices.IndexFunc(node.pins, same); i >= 0 {
			pins = append(pins, node.pins[i])
		} else {
			pins = append(pins, &pin{name: model, model: canonical})
		}
	}
	node.pins = pins
	for model, l := range node.lanes {
		l.pinned = slices.ContainsFunc(pins, func(pin *pin) bool { return pin.model == model })
	}
}

// Job is a model that a node is to have in memory and has not.
type Job struct {
	Node  *Node
	Model string // as whoever wants it there calls it

	pool *Pool
	pin  *pin
}

// Due returns what is to be loaded now, one model of each node at most. Each job that is returned has to be
// Done before the next of its node.
//
// A model that is listed as loaded is loaded once more: only the answer to that tells that loading has ended,
// and whether it will stay.
func (p *Pool) Due() []Job {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	var jobs []Job
	for _, node := range p.nodes {
		if !node.takes() || node.bringing {
			continue
		}
		for _, pin := range node.pins {
			if l := node.lanes[pin.model]; pin.due <= now && (l == nil || (!l.remote() && (!l.ready || !l.kept))) {
				node.bringing = true
				jobs = append(jobs, Job{node, pin.name, p, pin})
				break
			}
		}
	}
	return jobs
}

// Done says what came of a job, with its error or nil, and returns whether that is another outcome than last time.
func (j Job) Done(err error) (news bool) {
	p := j.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	j.Node.bringing = false
	if err == nil {
		j.pin.failures, j.pin.problem = 0, ""
		return true
	}
	j.pin.due = p.now() + min(lastRetry, firstRetry<<min(j.pin.failures, 10))
	j.pin.failures++
	news = j.pin.problem != err.Error()
	j.pin.problem = err.Error()
	return news
}

// Load has a node load a model that it holds, for good or for as long as it keeps an unused one, and returns
// once it is in memory. Models that have been idle for so long make way for it.
func (p *Pool) Load(ctx context.Context, node *Node, model string, keep bool, idle time.Duration) error {
	p.mu.Lock()
	now := p.now()
	l := node.lanes[model]
	switch {
	case !node.takes():
		p.mu.Unlock()
		return ErrNotTaking
	case l == nil:
		p.mu.Unlock()
		return ErrNotHeld
	case l.remote():
		p.mu.Unlock()
		return nil // there is nothing to load
	}
	way, open := node.way(l, nil)
	if l.loaded {
		way, open = nil, true
	}
	if !open || slices.ContainsFunc(way, func(l *lane) bool { return now-l.used < idle }) {
		p.mu.Unlock()
		return ErrNoMemory
	}
	gone := node.evict(way, now)
	was, name, epoch := l.loaded, node.models[model].Name, node.epoch
	l.loaded, l.used = true, now
	l.inUse++ // it is no slot that is used, but a model that must not make way
	l.loads++
	node.countLoaded()
	p.mu.Unlock()

	p.makeWay(ctx, node, gone)
	ctx, cancel := context.WithTimeout(ctx, p.settings.ResponseTimeout)
	defer cancel()
	err := node.load(ctx, name, keep)

	p.mu.Lock()
	defer p.mu.Unlock()
	l.inUse--
	l.loads--
	switch {
	case node.epoch != epoch: // it is another process that is asked next
	case err == nil:
		l.used, l.ready, l.kept = p.now(), true, keep
	default:
		l.loaded = was
		node.countLoaded()
	}
	p.serveAll()
	return err
}

// Unload has a node let go of a model once it has answered what it is asked.
func (p *Pool) Unload(ctx context.Context, node *Node, model string) error {
	p.mu.Lock()
	l := node.lanes[model]
	if l == nil {
		p.mu.Unlock()
		return ErrNotHeld
	}
	name := node.models[model].Name
	l.loaded, l.ready, l.evicted = l.inUse > 0, false, p.now()
	node.countLoaded()
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, p.settings.HealthTimeout)
	defer cancel()
	return node.unload(ctx, name)
}

// Best returns the nodes that take requests on which a model is best loaded, the best one first and so many at
// most: those that have it in memory, then those that hold it, then others, but for a model whose own workers come once
// it is asked for.
func (p *Pool) Best(model string, most int) []*Node {
	p.mu.Lock()
	defer p.mu.Unlock()
	if place := p.places[model]; place != nil && place.sleeps() {
		return nil
	}
	var best []*Node
	for _, suits := range []func(l *lane) bool{
		func(l *lane) bool { return l != nil && l.loaded },
		func(l *lane) bool { return l != nil && !l.loaded },
		func(l *lane) bool { return l == nil },
	} {
		var hosts []balancer.Host
		var of []*Node
		for _, node := range p.nodes {
			if l := node.lanes[model]; node.takes() && suits(l) {
				hosts, of = append(hosts, p.host(node, l)), append(of, node)
			}
		}
		for len(best) < most {
			i := balancer.Placement(hosts, hash(model))
			if i == balancer.None {
				break
			}
			best = append(best, of[i])
			hosts[i].Full = true
		}
	}
	return best
}

// Resident tells whether a node that takes requests has a model in memory, and is known to have loaded it.
func (p *Pool) Resident(model string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	place := p.places[model]
	return place != nil && slices.ContainsFunc(place.lanes, func(l *lane) bool { return l.node.takes() && l.hot() })
}

// Named returns the nodes of these names, and the first name that is no node's.
func (p *Pool) Named(names []string) (some []*Node, unknown string) {
	for _, name := range names {
		found := p.where(func(n *Node) bool { return n.Name == name })
		if len(found) == 0 {
			return nil, name
		}
		if !slices.Contains(some, found[0]) { // or else it is named twice
			some = append(some, found...)
		}
	}
	return some, ""
}

// Having returns the nodes that have a model in memory, sorted by name.
func (p *Pool) Having(model string) []*Node {
	return p.where(func(n *Node) bool { return n.lanes[model] != nil && n.lanes[model].loaded })
}

// Pinned returns the nodes that are to have a model in memory and take requests, sorted by name.
func (p *Pool) Pinned(model string) []*Node {
	return p.where(func(n *Node) bool {
		return n.takes() && slices.ContainsFunc(n.pins, func(pin *pin) bool { return pin.model == model })
	})
}

// PinnedBy returns the names of the nodes on which a model is pinned by the settings, and by SetPinned.
func (p *Pool) PinnedBy(model string) (settings, others []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	is := func(name string) bool { return modelname.Canonical(name) == model }
	for _, node := range p.nodes {
		if slices.ContainsFunc(node.preload, is) {
			settings = append(settings, node.Name)
		}
	}
	for name, models := range p.pinned { // of nodes that are not there now too: they may come back
		if slices.ContainsFunc(models, is) {
			others = append(others, name)
		}
	}
	slices.Sort(others)
	return settings, others
}

// state says of a pin what there is to know.
func (n *Node) state(pin *pin) string {
	switch l := n.lanes[pin.model]; {
	case l != nil && l.hot():
		return "resident"
	case pin.problem != "":
		return "failed: " + pin.problem
	}
	return "loading"
}
