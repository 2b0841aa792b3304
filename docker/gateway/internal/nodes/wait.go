package nodes

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ollamamax/gateway/internal/modelname"
	"ollamamax/gateway/internal/queue"
)

// longestRetry bounds what a refused client is told to wait.
const longestRetry = time.Minute

// waiter is a request in the queue. Guarded by Pool.mu but for answer.
type waiter struct {
	want   Want
	avoid  avoided
	place  *placement
	began  time.Duration
	spread bool // it has waited for long enough to have its model loaded in another's place
	item   *queue.Item[*waiter]
	cold   bool       // it waits, among other things, for a worker to be started
	left   bool       // the queue: answer has what came of it
	answer chan ended // of one
}

type ended struct {
	lease Lease
	err   error
}

// Acquire claims a node for a request, and a slot of it unless the request is light. failed is the lease
// on which an earlier attempt failed, or nil: that node is taken again only where no other can, and only
// after it went down and came back.
//
// Where all slots are taken the request waits in a queue that is fair between keys, up to
// settings.Queue.MaxWait; beyond that, or where the queue is full, the error is a BusyError. Where the
// model is only on nodes that are down, it waits for one to come back, up to settings.WaitForNode, and
// then gets ErrNoNode; where workers are started for it when it is asked for, up to the ColdStart of these, and then
// gets a BusyError. A model that is on no node gets any node: that one words the error as Ollama does.
func (p *Pool) Acquire(ctx context.Context, want Want, failed *Lease) (Lease, error) {
	avoid := avoidedBy(failed)
	p.mu.Lock()
	now := p.now()
	place := p.places[want.Model]
	if place != nil && failed == nil {
		place.asked++
	}
	c, why := p.choose(&want, place, avoid, false, now)
	if why == found {
		lease := p.grant(c, now)
		p.mu.Unlock()
		if c.lane != nil {
			place.slotWait.Observe(0)
		}
		p.prepare(ctx, &lease)
		return lease, nil
	}
	w, err := p.enqueue(want, avoid, why, now)
	p.mu.Unlock()
	if err != nil {
		return Lease{}, err
	}
	lease, err := p.wait(ctx, w, why)
	p.prepare(ctx, &lease)
	return lease, err
}

// prepare has its node make way for what a lease is about to have loaded there.
func (p *Pool) prepare(ctx context.Context, lease *Lease) {
	if len(lease.evicted) > 0 {
		began := p.now()
		p.makeWay(ctx, lease.Node, lease.evicted)
		lease.Waited += p.now() - began
	}
}

// AcquireOther claims another node than failed's, without waiting for a slot, or returns false.
func (p *Pool) AcquireOther(ctx context.Context, want Want, failed *Lease) (Lease, bool) {
	p.mu.Lock()
	now := p.now()
	c, why := p.choose(&want, p.places[want.Model], avoidedBy(failed), true, now)
	if why != found || c.node == failed.Node {
		p.mu.Unlock()
		return Lease{}, false
	}
	lease := p.grant(c, now)
	p.mu.Unlock()
	p.prepare(ctx, &lease)
	return lease, true
}

// Claim counts a request that is sent to a node chosen by the caller.
func (p *Pool) Claim(node *Node) Lease {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.grant(choice{node: node}, p.now())
}

// enqueue gives a request its place in the queue. One that is tried again has had its turn: it is not
// refused for the queue's length and waits in front. The caller holds mu.
func (p *Pool) enqueue(want Want, avoid avoided, why verdict, now time.Duration) (*waiter, error) {
	place := p.place(want.Model)
	again := avoid.node != nil
	reason := ""
	switch limits := &p.settings.Queue; {
	case why == refusing:
		p.metrics.QueueRefused("breaker").Inc()
		return nil, p.refusal(place, now)
	case p.patience(&want, place, why) <= 0:
		p.drop(place)
		return nil, ErrNoNode
	case again:
	case p.queued >= limits.Total:
		p.metrics.QueueRefused("full").Inc()
		reason = fmt.Sprintf("the workers are busy and the queue is full: %d requests wait", p.queued)
	case p.queuedOf[want.Key] >= limits.PerKey:
		p.metrics.QueueRefused("key").Inc()
		reason = fmt.Sprintf("the workers are busy and %d requests of this key wait already", p.queuedOf[want.Key])
	}
	if reason != "" {
		retry := p.estimate(place)
		p.drop(place)
		return nil, &BusyError{reason, retry}
	}
	w := &waiter{want: want, avoid: avoid, place: place, began: now, answer: make(chan ended, 1)}
	w.cold = why == absent && place.cold > 0
	if place.waiting.Len() == 0 {
		p.queues = append(p.queues, place)
	}
	class := min(max(want.Priority, Low), High) - Low
	if again {
		w.item = place.waiting.PushFront(w, want.Key, class)
	} else {
		w.item = place.waiting.Push(w, want.Key, class)
	}
	p.queued++
	p.queuedOf[want.Key]++
	return w, nil
}

// wait returns what comes of a request in the queue. One whose client leaves frees its place at once.
func (p *Pool) wait(ctx context.Context, w *waiter, why verdict) (Lease, error) {
	timer := time.NewTimer(min(p.patience(&w.want, w.place, why), p.settings.SpreadAfter))
	defer timer.Stop()
	for {
		select {
		case e := <-w.answer:
			return e.lease, e.err
		case <-ctx.Done():
			p.mu.Lock()
			p.leave(w, ended{err: ctx.Err()})
			p.mu.Unlock()
			e := <-w.answer
			e.lease.Release() // it may have got one in the same moment
			return Lease{}, ctx.Err()
		case <-timer.C:
			timer.Reset(p.look(w))
		}
	}
}

// look does what a request's time in the queue calls for, and returns when to look again.
func (p *Pool) look(w *waiter) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.left {
		return time.Hour // its answer is there
	}
	now := p.now()
	waited := now - w.began
	w.spread = waited >= p.settings.SpreadAfter
	c, why := p.choose(&w.want, w.place, w.avoid, w.spread, now)
	left := p.patience(&w.want, w.place, why) - waited
	switch {
	case why == found:
		p.leave(w, ended{lease: p.grant(c, now)})
	case why == refusing:
		p.metrics.QueueRefused("breaker").Inc()
		p.leave(w, ended{err: p.refusal(w.place, now)})
	case left > 0 && w.spread:
		return left
	case left > 0:
		return min(left, p.settings.SpreadAfter-waited)
	case why == absent && w.cold:
		p.metrics.QueueRefused("cold").Inc()
		reason := fmt.Sprintf("no worker that has %s was started within %s", modelname.Short(w.place.model), w.place.cold)
		p.leave(w, ended{err: &BusyError{reason, longestRetry}})
	case why == absent:
		p.leave(w, ended{err: ErrNoNode})
	default:
		p.metrics.QueueRefused("timeout").Inc()
		reason := fmt.Sprintf("the workers are busy: no slot became free within %s", p.settings.Queue.MaxWait)
		p.leave(w, ended{err: &BusyError{reason, p.estimate(w.place)}})
	}
	return time.Hour
}

// patience is how long a request waits for what it lacks.
func (p *Pool) patience(want *Want, place *placement, why verdict) time.Duration {
	switch {
	case why != absent:
		return p.settings.Queue.MaxWait
	case want.Elsewhere:
		return 0
	}
	return max(p.settings.WaitForNode, place.cold)
}

// serve gives the next that waits for a model a slot, where one is free, and tells whether it did. The
// caller holds mu.
func (p *Pool) serve(place *placement, now time.Duration) bool {
	if place.waiting.Len() == 0 {
		return false
	}
	var hopeless [4]bool // what fits one of a kind fits all: the queue can be long
	var lease Lease
	w, some := place.waiting.Take(func(w *waiter) bool {
		kind := 0
		if w.spread {
			kind++
		}
		if w.want.Light {
			kind += 2
		}
		if hopeless[kind] && w.avoid.node == nil {
			return false
		}
		c, why := p.choose(&w.want, place, w.avoid, w.spread, now)
		if why != found {
			hopeless[kind] = hopeless[kind] || w.avoid.node == nil
			return false
		}
		lease = p.grant(c, now)
		return true
	})
	if some {
		p.leave(w, ended{lease: lease})
	}
	return some
}

// serveAll gives all that wait what has become free. The caller holds mu.
func (p *Pool) serveAll() {
	if p.queued == 0 {
		return
	}
	now := p.now()
	for _, place := range slices.Clone(p.queues) {
		for p.serve(place, now) {
		}
	}
}

// turnAway refuses all that wait for a model that keeps failing wherever it is. The caller holds mu.
func (p *Pool) turnAway(place *placement, now time.Duration) {
	for {
		w, some := place.waiting.Take(func(w *waiter) bool {
			_, why := p.choose(&w.want, place, w.avoid, true, now)
			return why == refusing
		})
		if !some {
			return
		}
		p.metrics.QueueRefused("breaker").Inc()
		p.leave(w, ended{err: p.refusal(place, now)})
	}
}

// leave takes a waiter out of the queue, with what came of it. The caller holds mu.
func (p *Pool) leave(w *waiter, e ended) {
	if w.left {
		return
	}
	w.left = true
	place := w.place
	place.waiting.Remove(w.item)
	p.queued--
	if p.queuedOf[w.want.Key]--; p.queuedOf[w.want.Key] == 0 {
		delete(p.queuedOf, w.want.Key)
	}
	e.lease.Waited = p.now() - w.began
	// A start is no want of slots, which more workers would end.
	if place.slotWait != nil && !w.want.Light && !w.cold {
		place.slotWait.Observe(e.lease.Waited.Seconds())
	}
	if place.waiting.Len() == 0 {
		p.queues = slices.DeleteFunc(p.queues, func(other *placement) bool { return other == place })
		p.drop(place)
	}
	w.answer <- e
}

// refusal is the answer where every node that has the model keeps failing it.
func (p *Pool) refusal(place *placement, now time.Duration) error {
	opens := p.breaking.OpenFor
	for _, l := range place.lanes {
		if l.node.takes() {
			opens = min(opens, l.breaker.Opens(&p.breaking, now))
		}
	}
	return &BusyError{fmt.Sprintf("every worker that has %s keeps failing it", modelname.Short(place.model)), opens}
}

// estimate is when a request that came now could have a slot: as those before it are served at the pace of
// late.
func (p *Pool) estimate(place *placement) time.Duration {
	slots := 0
	for _, l := range place.lanes {
		if l.node.takes() && l.loaded {
			slots += l.node.slots
		}
	}
	if slots == 0 && place.cold > 0 {
		return longestRetry
	}
	ahead := time.Duration(place.waiting.Len() + 1)
	return min(place.service*ahead/time.Duration(max(1, slots)), longestRetry)
}
