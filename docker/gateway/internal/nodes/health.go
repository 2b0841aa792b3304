package nodes

import (
	"context"
	"sync"
	"time"
)

// downInterval is how often a node that is down is asked again, so that a restart is noticed in less
// time than it takes.
const downInterval = 250 * time.Millisecond

// watch checks a node until ctx ends.
func (p *Pool) watch(ctx context.Context, node *Node) {
	defer node.Transport.CloseIdleConnections()
	for {
		_ = p.check(ctx, node) // recorded
		wait := p.settings.HealthInterval
		p.mu.Lock()
		if !node.up {
			wait = min(wait, downInterval)
		}
		p.mu.Unlock()
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
		p.markUp(node, models, epoch)
		return nil
	}
	node.timeouts++
	if unreachable(err) || node.timeouts >= timeoutsBeforeDown {
		p.markDown(node, err)
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
func (p *Pool) markUp(node *Node, models map[string]Model, seenEpoch int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if seenEpoch != node.epoch {
		return // asked before the node went down: the next check will tell
	}
	changed := !node.up || !sameModels(node.models, models)
	if !node.up {
		node.epoch++
		p.log.Info("worker up", "node", node.Name, "models", len(models))
	}
	node.up, node.seen, node.models = true, true, models
	p.metrics.SetNodeUp(node.Name, true)
	if changed {
		node.generation++
		p.notify()
	}
}

func (p *Pool) markDown(node *Node, cause error) {
	p.mu.Lock()
	wasUp := node.up
	if wasUp {
		node.up = false
		node.epoch++
		p.metrics.SetNodeUp(node.Name, false)
		p.log.Warn("worker down", "node", node.Name, "error", cause)
		p.notify()
	}
	p.mu.Unlock()
	if wasUp {
		node.Transport.CloseIdleConnections()
	}
}

// ReportFailure records that a request failed on the node without an answer. The node counts as down
// until a check, which starts at once, succeeds. A report about a node that has been down since the
// request began says nothing new.
func (p *Pool) ReportFailure(lease *Lease, cause error) {
	p.mu.Lock()
	current := lease.Node.epoch == lease.epoch
	p.mu.Unlock()
	if current {
		p.markDown(lease.Node, cause)
	}
	p.kick(lease.Node)
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

// Refresh asks every healthy node for its models now and waits for the answers, each within the health
// timeout. A node that fails keeps its last known models.
func (p *Pool) Refresh(ctx context.Context) {
	var wait sync.WaitGroup
	for _, node := range p.Healthy() {
		wait.Go(func() { _ = p.check(ctx, node) }) // recorded
	}
	wait.Wait()
}
