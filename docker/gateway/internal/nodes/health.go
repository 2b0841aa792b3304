package nodes

import (
	"context"
	"sync"
	"time"

	"ollamamax/gateway/internal/breaker"
)

// downInterval is how often a node that is down is asked again, so that a restart is noticed in less
// time than it takes.
const downInterval = 250 * time.Millisecond

// watch checks a node until ctx ends. A worker that leaves ends once nobody has been connected to it for a while:
// no connection is kept to it between two uses, and once it is done it is left alone.
func (p *Pool) watch(ctx context.Context, node *Node) {
	defer node.Transport.CloseIdleConnections()
	defer node.Conns.Close()
	for {
		p.mu.Lock()
		done := node.done()
		p.mu.Unlock()
		if !done {
			_ = p.check(ctx, node) // recorded
		}
		wait := p.settings.HealthInterval
		p.mu.Lock()
		if !node.up {
			wait = min(wait, downInterval)
		}
		leaving := node.leaving
		p.mu.Unlock()
		if leaving {
			node.Transport.CloseIdleConnections()
			node.Conns.CloseIdle()
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-node.kick:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// check asks the node for its models and records the outcome.
func (p *Pool) check(ctx context.Context, node *Node) error {
	node.checking.Lock()
	defer node.checking.Unlock()
	p.mu.Lock()
	epoch := node.epoch
	p.mu.Unlock()
	checkContext, cancel := context.WithTimeout(ctx, p.settings.HealthTimeout)
	defer cancel()
	models, err := node.fetchModels(checkContext)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil {
		node.timeouts = 0
		asked := p.now()
		loaded, loadedErr := node.fetchLoaded(checkContext)
		p.markUp(node, models, epoch, func() {
			if loadedErr == nil { // what it says nothing about stays as it was
				node.setLoaded(loaded, asked)
			}
		})
		return nil
	}
	node.timeouts++
	if gone := unreachable(err); gone || node.timeouts >= timeoutsBeforeDown {
		p.markDown(node, err)
		if gone {
			p.forget(node)
		}
	}
	return err
}

// Died tells, by asking it, whether the node on which a request failed no longer answers. Requests that
// failed together share one question.
func (p *Pool) Died(ctx context.Context, lease *Lease) bool {
	answer := p.questions.DoChan(lease.Node.Address, func() (any, error) {
		return nil, p.check(context.WithoutCancel(ctx), lease.Node)
	})
	select {
	case result := <-answer:
		return result.Err != nil
	case <-ctx.Done():
		return false
	}
}

// markUp records an answer. seenEpoch is the node's epoch when the question was asked.
func (p *Pool) markUp(node *Node, models map[string]Model, seenEpoch int, residency func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if seenEpoch != node.epoch {
		return // asked before the node went down: the next check will tell
	}
	cameUp, changed := !node.up, !node.up || !sameModels(node.models, models)
	node.up, node.seen, node.models = true, true, models
	if cameUp {
		node.epoch++
		p.startSlowly(node)
		p.log.Info("worker up", "node", node.Name, "models", len(models))
	}
	if changed {
		p.reindex()
	}
	residency()
	if changed {
		p.notify()
	} else {
		p.serveAll() // another model may be in memory now
	}
}

// startSlowly gives a node that came up its full share of the load by and by, unless the gateway has just
// started itself and can't tell, or there is no other node to carry the rest.
func (p *Pool) startSlowly(node *Node) {
	now := p.now()
	if now < p.settings.SlowStart {
		return
	}
	for _, other := range p.nodes {
		if other != node && other.takes() {
			node.ramping, node.ramp = true, now
			return
		}
	}
}

func (p *Pool) markDown(node *Node, cause error) {
	p.mu.Lock()
	wasUp := node.up
	if wasUp {
		node.up = false
		node.epoch++
		p.log.Warn("worker down", "node", node.Name, "error", cause)
		p.notify()
	}
	p.mu.Unlock()
	if wasUp {
		node.Transport.CloseIdleConnections()
		node.Conns.CloseIdle()
	}
}

// forget drops what was known of a process that is no more: nothing is loaded in the next one, and what
// the last one failed says nothing about it.
func (p *Pool) forget(node *Node) {
	p.mu.Lock()
	defer p.mu.Unlock()
	node.record.Forgive()
	for _, l := range node.lanes {
		l.loaded, l.ready, l.breaker = false, false, breaker.Breaker{}
	}
	node.countLoaded()
}

func (p *Pool) kick(node *Node) {
	select {
	case node.kick <- struct{}{}:
	default: // a check is due anyway
	}
}

// Recheck asks for a check of every node soon, without waiting.
func (p *Pool) Recheck() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, node := range p.nodes {
		p.kick(node)
	}
}

// Refresh has every healthy node asked for its models, after the call, and waits for the answers, each within the
// health timeout. A node that fails keeps its last known models, and so does one that leaves and is done.
func (p *Pool) Refresh(ctx context.Context) { p.refreshes.wait(ctx) }

// askAll is one round of Refresh.
func (p *Pool) askAll() {
	var wait sync.WaitGroup
	for _, node := range p.where(func(n *Node) bool { return n.up && !n.done() }) {
		wait.Go(func() { _ = p.check(context.Background(), node) }) // recorded
	}
	wait.Wait()
}
