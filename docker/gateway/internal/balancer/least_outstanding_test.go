package balancer_test

import (
	"testing"

	"ollamamax/gateway/internal/balancer"
)

type load int64

func (l load) Outstanding() int64 { return int64(l) }

func TestTheLeastBusyIsChosenWhereverTheSearchStarts(t *testing.T) {
	candidates := []load{4, 2, 7, 1, 3}
	for turn := range 10 {
		if chosen := balancer.LeastOutstanding(candidates, turn); chosen != 1 {
			t.Errorf("turn %d: chose one with %d under way", turn, chosen)
		}
	}
}

func TestEquallyBusyOnesTakeTurns(t *testing.T) {
	type named struct {
		load
		name string
	}
	candidates := []named{{0, "a"}, {0, "b"}, {5, "c"}}
	chosen := map[string]int{}
	for turn := range 30 {
		chosen[balancer.LeastOutstanding(candidates, turn).name]++
	}
	if chosen["a"] == 0 || chosen["b"] == 0 || chosen["c"] != 0 {
		t.Errorf("30 turns went to %v", chosen)
	}
}
