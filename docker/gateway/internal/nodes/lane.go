package nodes

import (
	"hash/fnv"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ollamamax/gateway/internal/breaker"
	"ollamamax/gateway/internal/modelname"
	"ollamamax/gateway/internal/queue"
)

// lane is one model on one node: what slots belong to, since a worker serves so many requests of each
// model that it has loaded. Guarded by Pool.mu.
type lane struct {
	node    *Node
	place   *placement
	loaded  bool // in memory, or on its way there
	inUse   int  // slots
	used    time.Duration
	breaker breaker.Breaker
}

// placement is one model on all nodes. Guarded by Pool.mu.
type placement struct {
	model    string
	hash     uint64
	lanes    []*lane // of the nodes that hold it, up or not, in the order of their names
	waiting  queue.Queue[*waiter]
	service  time.Duration       // how long a slot was held of late
	slotWait prometheus.Observer // nil where no node holds the model: it must not become a label
}

// place returns the placement of a model, which is a new one where nothing is known of it.
func (p *Pool) place(model string) *placement {
	place := p.places[model]
	if place == nil {
		place = &placement{model: model, hash: hash(model)}
		p.places[model] = place
	}
	return place
}

// drop forgets a placement that nothing is left of.
func (p *Pool) drop(place *placement) {
	if len(place.lanes) > 0 || place.waiting.Len() > 0 {
		return
	}
	delete(p.places, place.model)
	if place.slotWait != nil {
		p.metrics.ForgetSlotWait(modelname.Short(place.model))
	}
}

// reindex brings the lanes in line with what the nodes hold.
func (p *Pool) reindex() {
	for _, place := range p.places {
		place.lanes = place.lanes[:0]
	}
	for _, node := range p.nodes {
		lanes := make(map[string]*lane, len(node.models))
		for model := range node.models {
			l := node.lanes[model]
			if l == nil {
				l = &lane{node: node, place: p.place(model), used: p.now()}
			}
			lanes[model] = l
			l.place.lanes = append(l.place.lanes, l)
		}
		node.lanes = lanes
		node.countLoaded()
	}
	for _, place := range p.places {
		if len(place.lanes) > 0 && place.slotWait == nil {
			place.slotWait = p.metrics.SlotWait(modelname.Short(place.model))
		}
		p.drop(place)
	}
}

// setLoaded records which models a node had in memory when it was asked. One that was used since counts as
// well, and one that a request is under way for: it is there, or about to be.
func (n *Node) setLoaded(models []string, asked time.Duration) {
	for model, l := range n.lanes {
		l.loaded = l.inUse > 0 || (l.loaded && l.used >= asked) || slices.Contains(models, model)
	}
	n.countLoaded()
}

func (n *Node) countLoaded() {
	n.loaded = 0
	for _, l := range n.lanes {
		if l.loaded {
			n.loaded++
		}
	}
}

// idlest returns the loaded lane without a request that was used the longest ago, or nil: what a worker
// unloads first.
func (n *Node) idlest() *lane {
	var found *lane
	for _, l := range n.lanes {
		if l.loaded && l.inUse == 0 && (found == nil || l.used < found.used) {
			found = l
		}
	}
	return found
}

func hash(text string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text)) // never fails
	return h.Sum64()
}
