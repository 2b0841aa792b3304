package nodes

import (
	"math"
	"slices"
	"time"

	"ollamamax/gateway/internal/balancer"
	"ollamamax/gateway/internal/breaker"
)

// verdict is why a request can go to a node now, or can't.
type verdict int8

const (
	found    verdict = iota
	full             // every node that could take it has no slot free
	refusing         // what has the model keeps failing, and is given a rest
	absent           // no node that could take it is there
)

// leastRamp is the share of its load that a node gets at the beginning of its slow start.
const leastRamp = 0.1

// avoided is the node on which an earlier attempt failed, as it was then. Its zero value is none.
type avoided struct {
	node  *Node
	epoch int
}

func avoidedBy(failed *Lease) avoided {
	if failed == nil {
		return avoided{}
	}
	return avoided{failed.Node, failed.epoch}
}

// choice is where a request goes.
type choice struct {
	node     *Node
	lane     *lane // nil: it takes no slot
	affinity int8  // 1: the node that its prefix belongs to; 2: another one
}

// scratch is what one choice is made from, kept so that none allocates. Guarded by Pool.mu.
type scratch struct {
	hot       []balancer.Candidate // nodes that have the model loaded
	hotLanes  []*lane
	warm      []balancer.Candidate // nodes on which it is on its way there
	warmLanes []*lane
	cold      []balancer.Host // nodes that would load it first
	coldLanes []*lane
	way       []*lane
	nodes     []*Node
}

// choose finds the node for a request: one that has its model loaded and a slot free, its prefix's own
// where that one is not overloaded; where those are all full, one on which it is on its way, or one with room
// to load it as well; and where it is loaded nowhere, or spread says that it has been waited for long enough,
// one where an idle model makes way. The caller holds mu.
func (p *Pool) choose(want *Want, place *placement, avoid avoided, spread bool, now time.Duration) (choice, verdict) {
	if place != nil && place.sleeps() {
		return choice{}, absent // no other node would know it
	}
	if place == nil || len(place.lanes) == 0 || want.Light {
		return p.chooseLight(place, avoid)
	}
	s := &p.scratch
	refused := p.gather(place, avoid, false, now)
	if s.empty() {
		// Rather a node that did badly than none.
		refused = p.gather(place, avoid, true, now)
	}
	if s.empty() {
		if refused {
			return choice{}, refusing
		}
		return choice{}, absent
	}
	if len(s.hot) == 0 { // rather wait for a load under way than begin another
		s.hot, s.warm = s.warm, s.hot
		s.hotLanes, s.warmLanes = s.warmLanes, s.hotLanes
	}
	p.turn++
	if want.Prefix != 0 {
		if i, first := balancer.Affinity(s.hot, want.Prefix, p.settings.AffinityLoad); i != balancer.None {
			affinity := int8(2)
			if first {
				affinity = 1
			}
			return choice{s.hotLanes[i].node, s.hotLanes[i], affinity}, found
		}
	}
	if i := balancer.LeastOutstanding(s.hot, p.turn); i != balancer.None {
		return choice{node: s.hotLanes[i].node, lane: s.hotLanes[i]}, found
	}
	if i := balancer.LeastOutstanding(s.warm, p.turn); i != balancer.None {
		return choice{node: s.warmLanes[i].node, lane: s.warmLanes[i]}, found
	}
	for i := range s.cold {
		if host := &s.cold[i]; len(s.hot) > 0 && !spread && !host.Room {
			host.Full = true
		}
	}
	if i := balancer.Placement(s.cold, place.hash); i != balancer.None {
		return choice{node: s.coldLanes[i].node, lane: s.coldLanes[i]}, found
	}
	return choice{}, full
}

// empty tells whether no lane may be used.
func (s *scratch) empty() bool { return len(s.hot)+len(s.warm)+len(s.cold) == 0 }

// gather fills the scratch with the lanes that a request may use. The node that it failed on is one where
// no other is, and only after it went down and came back. refused tells that a breaker keeps a lane shut.
func (p *Pool) gather(place *placement, avoid avoided, ejected bool, now time.Duration) (refused bool) {
	s := &p.scratch
	s.hot, s.hotLanes, s.warm, s.warmLanes = s.hot[:0], s.hotLanes[:0], s.warm[:0], s.warmLanes[:0]
	s.cold, s.coldLanes = s.cold[:0], s.coldLanes[:0]
	var again *lane
	others := false
	for _, l := range place.lanes {
		switch {
		case !l.node.takes() || (!ejected && l.node.record.Ejected(now)):
		case l.node == avoid.node:
			if l.node.epoch != avoid.epoch {
				again = l
			}
		default:
			others = true
			refused = p.offer(l, now) || refused
		}
	}
	if again != nil && !others {
		refused = p.offer(again, now)
	}
	return refused
}

// offer adds a lane to the scratch, or tells that its breaker refuses.
func (p *Pool) offer(l *lane, now time.Duration) (refused bool) {
	s, node := &p.scratch, l.node
	state := l.breaker.State(&p.breaking, now)
	if state == breaker.Open {
		return true
	}
	noSlot := (node.slots > 0 && l.inUse >= node.slots) || (state == breaker.HalfOpen && l.breaker.Trying())
	if l.loaded {
		candidate := balancer.Candidate{Hash: node.hash, Load: node.outstanding, Size: p.size(node, now), Full: noSlot}
		if l.hot() {
			s.hot, s.hotLanes = append(s.hot, candidate), append(s.hotLanes, l)
		} else {
			s.warm, s.warmLanes = append(s.warm, candidate), append(s.warmLanes, l)
		}
		return false
	}
	host := p.host(node, l)
	host.Full = host.Full || noSlot
	s.cold = append(s.cold, host)
	s.coldLanes = append(s.coldLanes, l)
	return false
}

// host is a node as one on which a model would be loaded, which it holds unless l is nil.
func (p *Pool) host(node *Node, l *lane) balancer.Host {
	host := balancer.Host{Hash: node.hash, Models: node.loaded}
	if l == nil || l.loaded {
		host.Room = l != nil || node.maxLoaded == 0 || node.loaded < node.maxLoaded
		return host
	}
	way, open := node.way(l, p.scratch.way[:0])
	p.scratch.way = way
	switch last := len(way) - 1; {
	case !open:
		host.Full = true // too few can make way
	case last < 0:
		host.Room = true
	case way[last].pinned:
		host.Idle = math.MaxInt64 // before that, anything else
	default:
		host.Idle = int64(way[last].used)
	}
	return host
}

// size is a node's share of the load: its slots, fewer while it starts slowly.
func (p *Pool) size(node *Node, now time.Duration) float64 {
	size := float64(max(1, node.slots))
	if !node.ramping {
		return size
	}
	ramp := float64(now-node.ramp) / float64(p.settings.SlowStart)
	if ramp >= 1 {
		node.ramping = false
		return size
	}
	return size * max(leastRamp, ramp)
}

// chooseLight finds a node for a request that takes no slot: one that holds its model, or, where none
// does, any, which then words the error.
func (p *Pool) chooseLight(place *placement, avoid avoided) (choice, verdict) {
	s := &p.scratch
	s.hot, s.nodes = s.hot[:0], s.nodes[:0]
	var again *Node
	add := func(node *Node) {
		switch {
		case !node.takes():
		case node == avoid.node:
			if node.epoch != avoid.epoch {
				again = node
			}
		default:
			s.hot = append(s.hot, balancer.Candidate{Load: node.outstanding, Size: 1})
			s.nodes = append(s.nodes, node)
		}
	}
	if place != nil && len(place.lanes) > 0 {
		for _, l := range place.lanes {
			add(l.node)
		}
	} else {
		for _, node := range p.nodes {
			add(node)
		}
	}
	p.turn++
	if i := balancer.LeastOutstanding(s.hot, p.turn); i != balancer.None {
		return choice{node: s.nodes[i]}, found
	}
	if again != nil {
		return choice{node: again}, found
	}
	return choice{}, absent
}

// grant claims what was chosen. The caller has held mu since, so that two requests never both see the same
// slot as free.
func (p *Pool) grant(c choice, now time.Duration) Lease {
	node, l := c.node, c.lane
	node.outstanding++
	lease := Lease{Node: node, epoch: node.epoch, pool: p, lane: l, began: now}
	if l == nil {
		return lease
	}
	l.inUse++
	l.used = now
	if l.breaker.State(&p.breaking, now) == breaker.HalfOpen {
		l.breaker.Try()
		lease.trial = true
	}
	if !l.loaded {
		lease.cold = true
		if way, _ := node.way(l, nil); len(way) > 0 {
			lease.evicted = node.evict(way, now)
		}
		l.loaded = true
		node.countLoaded()
	}
	switch c.affinity {
	case 1:
		p.metrics.AffinityKept.Inc()
	case 2:
		p.metrics.AffinityMoved.Inc()
	}
	return lease
}

// release gives a lease's slot to exactly one that waits for it.
func (p *Pool) release(l *Lease) {
	now := p.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	l.Node.outstanding--
	if l.lane == nil {
		return
	}
	l.lane.inUse--
	l.lane.used = now
	place := l.lane.place
	if held := now - l.began; place.service == 0 {
		place.service = held
	} else {
		place.service += (held - place.service) / 8
	}
	p.judge(l, now)
	if p.queued == 0 || p.serve(place, now) || l.lane.inUse > 0 {
		return
	}
	// Nobody waits for this model here: it can make way for another.
	for i, other := range p.queues {
		if p.serve(other, now) {
			if other.waiting.Len() > 0 { // the next time, another model comes first
				p.queues = append(slices.Delete(p.queues, i, i+1), other)
			}
			return
		}
	}
}
