package nodes

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"ollamamax/gateway/internal/balancer"
	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/metrics"
)

// ErrNoNode means that no healthy node came up within the time a request may wait.
var ErrNoNode = errors.New("no healthy worker is available")

// Resolver looks up the addresses of a host name.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Pool is the set of workers.
type Pool struct {
	settings config.Workers
	metrics  *metrics.Metrics
	log      *slog.Logger
	resolver Resolver
	onChange func() // models or health changed; must not block

	mu      sync.Mutex
	nodes   []*Node // sorted by name
	turn    int
	changed chan struct{} // closed and replaced at every change
	running context.Context
	checks  sync.WaitGroup

	questions singleflight.Group // of Died
}

// NewPool returns a pool that knows no node until Run resolves the names. onChange is called after
// every change of health or models.
func NewPool(settings config.Workers, m *metrics.Metrics, log *slog.Logger, resolver Resolver, onChange func()) *Pool {
	return &Pool{
		settings: settings, metrics: m, log: log, resolver: resolver, onChange: onChange,
		changed: make(chan struct{}),
	}
}

// Run resolves and checks until ctx ends.
func (p *Pool) Run(ctx context.Context) {
	p.mu.Lock()
	p.running = ctx
	p.mu.Unlock()
	tick := time.NewTicker(p.settings.ResolveInterval)
	defer tick.Stop()
	for {
		p.resolve(ctx)
		select {
		case <-ctx.Done():
			p.checks.Wait()
			return
		case <-tick.C:
		}
	}
}

// resolve looks every name up again, all at once. A name that can't be resolved keeps its addresses: a
// stopped container has no name in Docker's DNS, and a broken DNS server says nothing about workers.
func (p *Pool) resolve(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, p.settings.ResolveInterval)
	defer cancel()
	var wait sync.WaitGroup
	for _, host := range p.settings.Hosts {
		wait.Go(func() {
			addresses, err := p.lookup(ctx, host)
			if err != nil {
				p.log.Debug("worker name not resolved", "host", host, "error", err)
				return
			}
			p.update(host, addresses)
		})
	}
	wait.Wait()
}

func (p *Pool) lookup(ctx context.Context, hostPort string) ([]string, error) {
	host, port, err := net.SplitHostPort(hostPort)
	if err != nil {
		return nil, err
	}
	// One family only: a dual-stack worker is one node, not two.
	found, err := p.resolver.LookupNetIP(ctx, "ip4", host)
	if err != nil || len(found) == 0 {
		if found, err = p.resolver.LookupNetIP(ctx, "ip6", host); err != nil {
			return nil, err
		}
	}
	addresses := make([]string, 0, len(found))
	for _, ip := range found {
		addresses = append(addresses, net.JoinHostPort(ip.Unmap().String(), port))
	}
	slices.Sort(addresses)
	return slices.Compact(addresses), nil
}

func (p *Pool) update(host string, addresses []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running.Err() != nil || len(addresses) == 0 {
		return
	}
	known := map[string]bool{}
	kept := p.nodes[:0:0]
	altered := false
	for _, node := range p.nodes {
		if node.Host == host && !slices.Contains(addresses, node.Address) {
			node.stop()
			p.metrics.ForgetNode(node.Name)
			p.log.Info("worker left", "node", node.Name, "address", node.Address)
			altered = true
			continue
		}
		if node.Host == host {
			known[node.Address] = true
		}
		kept = append(kept, node)
	}
	for _, address := range addresses {
		if known[address] {
			continue
		}
		ctx, stop := context.WithCancel(p.running)
		node := &Node{
			Name: nodeName(host, address, len(addresses), p.settings.Hosts), Host: host, Address: address,
			Transport: newTransport(p.settings.ConnectTimeout), kick: make(chan struct{}, 1), stop: stop,
		}
		kept = append(kept, node)
		altered = true
		p.metrics.SetNodeUp(node.Name, false)
		p.metrics.InFlight.WithLabelValues(node.Name).Set(0)
		p.log.Info("worker found", "node", node.Name, "address", address)
		p.checks.Go(func() { p.watch(ctx, node) })
	}
	slices.SortFunc(kept, func(a, b *Node) int { return strings.Compare(a.Name, b.Name) })
	p.nodes = kept
	if altered {
		p.notify()
	}
}

// nodeName is the host's name where it stands for one worker, name/ip where it stands for several, and
// has the port too where another configured host differs by its port alone.
func nodeName(hostPort, address string, siblings int, configured []string) string {
	host, port, _ := net.SplitHostPort(hostPort)
	name := host
	if siblings > 1 {
		ip, _, _ := net.SplitHostPort(address)
		name += "/" + ip
	}
	for _, other := range configured {
		if otherHost, _, _ := net.SplitHostPort(other); otherHost == host && other != hostPort {
			return name + ":" + port
		}
	}
	return name
}

// notify wakes everyone who waits for a node. The caller holds mu.
func (p *Pool) notify() {
	close(p.changed)
	p.changed = make(chan struct{})
	if p.onChange != nil {
		p.onChange()
	}
}

// Want says which node a request needs.
type Want struct {
	Model    string // canonical; empty: any node will do
	Prefix   uint64 // hash of what the prompt begins with, so that it meets the same node's cache again; 0: none
	Key      string // whose request it is
	Priority int    // Low, Normal or High
	Light    bool   // answered without the model running: takes no slot
}

// Classes of requests that wait for a slot. A higher one is served more often, a lower one never starves.
const (
	Low    = -1
	Normal = 0
	High   = 1
)

// BusyError means that no slot became free for a request.
type BusyError struct {
	Reason     string
	RetryAfter time.Duration // an estimate of when one will be
}

func (e *BusyError) Error() string { return e.Reason }

// RetryAfterSeconds is the estimate as the header Retry-After says it, 1 at least.
func (e *BusyError) RetryAfterSeconds() string {
	return strconv.Itoa(max(1, int(math.Ceil(e.RetryAfter.Seconds()))))
}

// Lease is a request's claim on a node, without which its zero value is. It belongs to one goroutine, and
// of all copies one alone is released.
type Lease struct {
	Node    *Node
	epoch   int
	pool    *Pool
	outcome outcome
}

// outcome is what a node made of a request.
type outcome int8

const (
	unjudged outcome = iota // the client left first, or nobody said
	good
	bad // the node answered 5xx, fell silent or broke off
)

// Answered notes the status that the node answered with: a 5xx speaks against it.
func (l *Lease) Answered(status int) {
	l.outcome = good
	if status >= 500 {
		l.outcome = bad
	}
}

// TimedOut notes that the node was silent for too long.
func (l *Lease) TimedOut() { l.outcome = bad }

// Release ends the claim. A second call does nothing.
func (l *Lease) Release() {
	if l.pool == nil {
		return
	}
	l.Node.outstanding.Add(-1)
	l.pool.metrics.InFlight.WithLabelValues(l.Node.Name).Dec()
	l.pool = nil
}

// Acquire claims the least busy healthy node that holds the model. failed is the lease on which an
// earlier attempt failed, or nil: that node is taken again only where no other can, and only after it
// went down and came back.
//
// Where the model is only on nodes that are down, Acquire waits for one to come back, up to
// settings.WaitForNode, and then returns ErrNoNode. A model that is on no node gets any healthy node:
// that one words the error as Ollama does.
func (p *Pool) Acquire(ctx context.Context, want Want, failed *Lease) (Lease, error) {
	deadline := time.NewTimer(p.settings.WaitForNode)
	defer deadline.Stop()
	for {
		lease, changed := p.tryAcquire(want.Model, failed)
		if lease.Node != nil {
			return lease, nil
		}
		select {
		case <-changed:
		case <-deadline.C:
			return Lease{}, ErrNoNode
		case <-ctx.Done():
			return Lease{}, ctx.Err()
		}
	}
}

// AcquireOther claims another node than failed's, without waiting, or returns false.
func (p *Pool) AcquireOther(want Want, failed *Lease) (Lease, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var candidates []*Node
	for _, node := range p.nodes {
		if _, holds := node.models[want.Model]; node.up && node != failed.Node && (want.Model == "" || holds) {
			candidates = append(candidates, node)
		}
	}
	lease := p.lease(candidates)
	return lease, lease.Node != nil
}

func (p *Pool) tryAcquire(model string, failed *Lease) (Lease, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var holders, others []*Node // healthy
	var again *Node             // the failed node, back after a restart
	known, held := false, false // some node has been asked; some node, up or not, holds the model
	for _, node := range p.nodes {
		_, holds := node.models[model]
		known = known || (node.seen && node.up)
		held = held || holds
		switch {
		case !node.up:
		case failed != nil && node == failed.Node:
			if node.epoch != failed.epoch && (holds || model == "") {
				again = node
			}
		case holds:
			holders = append(holders, node)
		default:
			others = append(others, node)
		}
	}
	switch {
	case len(holders) > 0:
		return p.lease(holders), p.changed
	case again != nil:
		return p.lease([]*Node{again}), p.changed
	case (model == "" || !held) && known:
		return p.lease(others), p.changed
	}
	return Lease{}, p.changed
}

// lease claims one of candidates. The caller holds mu, so that two requests never both see the same
// node as the idle one.
func (p *Pool) lease(candidates []*Node) Lease {
	if len(candidates) == 0 {
		return Lease{}
	}
	p.turn++
	node := balancer.LeastOutstanding(candidates, p.turn)
	node.outstanding.Add(1)
	p.metrics.InFlight.WithLabelValues(node.Name).Inc()
	return Lease{Node: node, epoch: node.epoch, pool: p}
}

// Claim counts a request that is sent to a node chosen by the caller.
func (p *Pool) Claim(node *Node) Lease {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lease([]*Node{node})
}

// Healthy returns the nodes that answer, sorted by name.
func (p *Pool) Healthy() []*Node {
	p.mu.Lock()
	defer p.mu.Unlock()
	var healthy []*Node
	for _, node := range p.nodes {
		if node.up {
			healthy = append(healthy, node)
		}
	}
	return healthy
}

// Holding returns the healthy nodes that hold the model, sorted by name.
func (p *Pool) Holding(model string) []*Node {
	p.mu.Lock()
	defer p.mu.Unlock()
	var holders []*Node
	for _, node := range p.nodes {
		if _, holds := node.models[model]; node.up && holds {
			holders = append(holders, node)
		}
	}
	return holders
}

// Known tells whether any node holds the model.
func (p *Pool) Known(model string) (Model, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, node := range p.nodes {
		if found, ok := node.models[model]; ok {
			return found, true
		}
	}
	return Model{}, false
}

// State is what is known of a node at one moment.
type State struct {
	Name    string
	Address string
	Up      bool
	Seen    bool // Models is what the node said, not merely nothing
	Models  []Model
}

// Snapshot returns every node, sorted by name, its models sorted too.
func (p *Pool) Snapshot() []State {
	p.mu.Lock()
	defer p.mu.Unlock()
	states := make([]State, 0, len(p.nodes))
	for _, node := range p.nodes {
		state := State{Name: node.Name, Address: node.Address, Up: node.up, Seen: node.seen}
		for _, model := range node.models {
			state.Models = append(state.Models, model)
		}
		slices.SortFunc(state.Models, func(a, b Model) int { return strings.Compare(a.Canonical, b.Canonical) })
		states = append(states, state)
	}
	return states
}
