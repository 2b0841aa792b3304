package nodes

import (
	"context"
	"time"

	"ollamamax/gateway/internal/breaker"
	"ollamamax/gateway/internal/modelname"
	"ollamamax/gateway/internal/outlier"
)

// judge counts what a node made of a request, against its model there and against the node. An outcome
// from before the node went down says nothing about what came back. The caller holds mu.
func (p *Pool) judge(l *Lease, now time.Duration) {
	trial, outcome := l.trial, l.outcome
	l.trial = false
	switch {
	case outcome == counted:
	case outcome == unjudged || l.epoch != l.Node.epoch:
		if trial {
			l.lane.breaker.Abandon()
		}
	default:
		l.outcome = counted
		p.count(l, outcome == good, trial, now)
	}
}

func (p *Pool) count(l *Lease, good, trial bool, now time.Duration) {
	node, place := l.Node, l.lane.place
	if l.lane.breaker.Record(&p.breaking, now, good, trial) {
		model := modelname.Short(place.model)
		if state := l.lane.breaker.State(&p.breaking, now); state == breaker.Open {
			node.opened++
			p.log.Warn("breaker open: the model keeps failing", "node", node.Name, "model", model, "for", p.breaking.OpenFor.String())
			p.turnAway(place, now)
			time.AfterFunc(p.breaking.OpenFor, p.reconsider)
		} else {
			p.log.Info("breaker closed", "node", node.Name, "model", model)
			for p.serve(place, now) {
			}
		}
	}
	if node.record.Count(&p.ejecting, good) {
		p.eject(node, "failures in a row", now)
	}
}

// decide counts the outcome of a half-open breaker's trial before its lease ends.
func (p *Pool) decide(l *Lease) {
	now := p.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.judge(l, now)
}

// ReportFailure records that a request failed on the node without an answer, or in the middle of one. The
// node counts as down until a check, which starts at once, succeeds. A report about a node that has been
// down since the request began says nothing new.
func (p *Pool) ReportFailure(lease *Lease, cause error) {
	node := lease.Node
	p.mu.Lock()
	current := node.epoch == lease.epoch
	if current && lease.lane != nil {
		p.count(lease, false, lease.trial, p.now())
		lease.trial, lease.outcome = false, counted
	}
	p.mu.Unlock()
	if current {
		p.markDown(node, cause)
	}
	p.kick(node)
}

// eject leaves a node out for a while, unless too many are or it is the last. The caller holds mu.
func (p *Pool) eject(node *Node, why string, now time.Duration) {
	ejected := 0
	for _, other := range p.nodes {
		if other.record.Ejected(now) {
			ejected++
		}
	}
	if node.record.Ejected(now) || !outlier.MayEject(&p.ejecting, len(p.nodes), ejected) {
		return
	}
	until := node.record.Eject(&p.ejecting, now)
	node.ejections++
	p.log.Warn("worker ejected", "node", node.Name, "why", why, "for", (until - now).String())
	time.AfterFunc(until-now, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !node.record.Ejected(p.now()) {
			p.log.Info("worker taken in again", "node", node.Name)
			p.startSlowly(node)
			p.serveAll()
		}
	})
}

// compare ejects, after each interval, nodes that do worse than the others.
func (p *Pool) compare(ctx context.Context) {
	tick := time.NewTicker(p.settings.Ejection.Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		p.mu.Lock()
		now := p.now()
		records := make([]*outlier.Record, len(p.nodes))
		for i, node := range p.nodes {
			records[i] = &node.record
		}
		worse := outlier.Judge(&p.ejecting, now, records)
		for i, node := range p.nodes {
			for _, record := range worse {
				if record == records[i] {
					p.eject(node, "worse than the other workers", now)
				}
			}
		}
		p.mu.Unlock()
	}
}
