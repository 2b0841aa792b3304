package answers

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"ollamamax/gateway/internal/nodes"
)

func TestADigestIsDroppedOnceNoNodeHasItAndItsModelHasAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var states []nodes.State
		var dropped []string
		c := newChanges(func() []nodes.State { return states }, func(digest string) { dropped = append(dropped, digest) })
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go c.run(ctx)
		holds := func(models ...string) nodes.State { // pairs of name and digest
			var state nodes.State
			for pair := range slices.Chunk(models, 2) {
				state.Models = append(state.Models, nodes.Model{Canonical: pair[0], Digest: pair[1]})
			}
			return state
		}
		for _, step := range []struct {
			states  []nodes.State
			dropped []string
		}{
			{[]nodes.State{holds("a", "1", "b", "2"), holds("a", "1")}, nil},
			{[]nodes.State{holds("a", "3", "b", "2"), holds("a", "1")}, nil}, // one node after the other
			{[]nodes.State{holds("a", "3", "b", "2"), holds("a", "3")}, []string{"1"}},
			{nil, nil}, // all away
			{[]nodes.State{holds("a", "3")}, nil},
			{[]nodes.State{holds("a", "4", "copy", "3")}, nil}, // still there under another name
			{[]nodes.State{holds("a", "4", "copy", "4")}, []string{"3"}},
			{[]nodes.State{holds("b", "5")}, []string{"2"}},
		} {
			states, dropped = step.states, nil
			c.changed()
			synctest.Wait()
			if !slices.Equal(dropped, step.dropped) {
				t.Errorf("%+v: %v were dropped, not %v", step.states, dropped, step.dropped)
			}
		}
	})
}
