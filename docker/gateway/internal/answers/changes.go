package answers

import (
	"context"

	"ollamamax/gateway/internal/nodes"
)

// changes has what is kept of a model forgotten when the model's digest changes.
type changes struct {
	snapshot func() []nodes.State
	drop     func(digest string)
	wake     chan struct{}
	digests  map[string]map[string]bool // by model; belongs to run
}

// newChanges returns what compares snapshots of the nodes and calls drop for each digest that is gone.
func newChanges(snapshot func() []nodes.State, drop func(digest string)) *changes {
	return &changes{snapshot: snapshot, drop: drop, wake: make(chan struct{}, 1), digests: map[string]map[string]bool{}}
}

// changed says that the nodes may hold other models now. It does not block.
func (c *changes) changed() {
	select {
	case c.wake <- struct{}{}:
	default: // run is about to look anyway
	}
}

// run compares until ctx ends.
func (c *changes) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
			c.compare(c.snapshot())
		}
	}
}

// compare drops the digests that stood behind a model and do so no more. A model that is nowhere may only be
// away, with its node: it is compared once it is back.
func (c *changes) compare(states []nodes.State) {
	now := map[string]map[string]bool{}
	held := map[string]bool{}
	for _, state := range states {
		for _, model := range state.Models {
			if now[model.Canonical] == nil {
				now[model.Canonical] = map[string]bool{}
			}
			now[model.Canonical][model.Digest] = true
			held[model.Digest] = true
		}
	}
	for model, digests := range now {
		for digest := range c.digests[model] {
			if !held[digest] {
				c.drop(digest)
			}
		}
		c.digests[model] = digests
	}
}
