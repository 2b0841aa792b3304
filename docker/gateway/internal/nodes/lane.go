package nodes

import (
	"hash/fnv"
	"time"

	"ollamamax/gateway/internal/breaker"
	"ollamamax/gateway/internal/modelname"
	"ollamamax/gateway/internal/prometheus"
	"ollamamax/gateway/internal/queue"
)

// lane is one model on one node: what slots belong to, since a worker serves so many requests of each
// model that it has loaded. Guarded by Pool.mu.
type lane struct {
	node    *Node
	place   *placement
	loaded  bool          // in memory, or on its way there
	pinned  bool          // it is to be in memory always
	ready   bool          // and is known to be: an own request to load it has been answered
	kept    bool          // the node keeps it there for good
	inUse   int           // slots
	loads   int           // of those, what no request has but the gateway itself, to load it
	bytes   int64         // that it took when it was last in memory; 0: not known
	expires time.Time     // when the node said last that it would go
	evicted time.Duration // when it last made way
	noted   time.Duration // when the node was last asked and said that it is there
	used    time.Duration
	breaker breaker.Breaker
}

// placement is one model on all nodes. Guarded by Pool.mu.
type placement struct {
	model    string
	hash     uint64
	lanes    []*lane // of the nodes that hold it, up or not, in the order of their names
	waiting  queue.Queue[*waiter]
	bytes    int64               // that it took in memory where it was seen last
	service  time.Duration       // how long a slot was held of late
	asked    int                 // requests for it, so far
	cold     time.Duration       // how long to wait for a worker to be started that serves it; 0: there always is one
	last     Model               // as a node had it last, where cold is not 0
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

// sleeps tells whether the model is on no node until one is started for it.
func (p *placement) sleeps() bool { return len(p.lanes) == 0 && p.cold > 0 }

// drop forgets a placement that nothing is left of, but for a model that comes back when it is asked for.
func (p *Pool) drop(place *placement) {
	if len(place.lanes) > 0 || place.waiting.Len() > 0 || place.cold > 0 {
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
			if l.place.cold > 0 {
				l.place.last = node.models[model]
			}
		}
		node.lanes = lanes
		p.pin(node)
		node.countLoaded()
	}
	for _, place := range p.places {
		if len(place.lanes) > 0 && place.slotWait == nil {
			place.slotWait = p.metrics.SlotWait(modelname.Short(place.model))
		}
		p.drop(place)
	}
}

// hot tells whether a request need not wait for the model to be loaded, as far as is known.
func (l *lane) hot() bool { return (l.loaded && (l.ready || !l.pinned)) || l.remote() }

func hash(text string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text)) // never fails
	return h.Sum64()
}
