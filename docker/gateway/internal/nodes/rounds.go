package nodes

import (
	"context"
	"sync"
)

// rounds does a job again and again, never twice at a time. Who asks while it is under way waits for the next round,
// which begins after they asked and is shared by all that wait: however many ask, nobody waits for more than two.
type rounds struct {
	job func()

	mu    sync.Mutex
	going bool
	next  chan struct{} // closed at the end of the round that has not begun; nil where nobody waits for it
}

// wait returns after a round that began after the call, or once ctx ends; the round goes on then.
func (r *rounds) wait(ctx context.Context) {
	r.mu.Lock()
	if r.next == nil {
		r.next = make(chan struct{})
	}
	done := r.next
	if !r.going {
		r.going = true
		go r.run()
	}
	r.mu.Unlock()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

func (r *rounds) run() {
	for {
		r.mu.Lock()
		done := r.next
		r.next, r.going = nil, done != nil
		r.mu.Unlock()
		if done == nil {
			return
		}
		r.job()
		close(done)
	}
}
