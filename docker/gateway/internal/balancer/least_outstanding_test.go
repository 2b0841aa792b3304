package balancer_test

import (
	"testing"

	"ollamamax/gateway/internal/balancer"
)

// loads returns candidates of one size with these requests under way.
func loads(under ...int) []balancer.Candidate {
	candidates := make([]balancer.Candidate, len(under))
	for i, load := range under {
		candidates[i] = balancer.Candidate{Hash: uint64(i+1) * 0x1234567, Load: load, Size: 4}
	}
	return candidates
}

func TestTheLeastBusyIsChosenWhereverTheSearchStarts(t *testing.T) {
	candidates := loads(4, 2, 7, 1, 3)
	for turn := range 10 {
		if chosen := balancer.LeastOutstanding(candidates, turn); chosen != 3 {
			t.Errorf("turn %d: chose one with %d under way", turn, candidates[chosen].Load)
		}
	}
}

func TestEquallyBusyOnesTakeTurns(t *testing.T) {
	candidates := loads(0, 0, 5)
	chosen := map[int]int{}
	for turn := range 30 {
		chosen[balancer.LeastOutstanding(candidates, turn)]++
	}
	if chosen[0] == 0 || chosen[1] == 0 || chosen[2] != 0 {
		t.Errorf("30 turns went to %v", chosen)
	}
}

func TestALargerNodeTakesMoreAndASmallerOneIsNotPreferredForBeingEmpty(t *testing.T) {
	candidates := loads(0, 0)
	candidates[0].Size, candidates[1].Size = 8, 2
	for range 10 {
		candidates[balancer.LeastOutstanding(candidates, 1)].Load++
	}
	if candidates[0].Load != 8 || candidates[1].Load != 2 {
		t.Errorf("10 requests went %d to the one of size 8 and %d to the one of size 2", candidates[0].Load, candidates[1].Load)
	}
}

func TestAFullOneIsNeverChosen(t *testing.T) {
	candidates := loads(0, 3)
	candidates[0].Full = true
	if chosen := balancer.LeastOutstanding(candidates, 0); chosen != 1 {
		t.Errorf("chose %d", chosen)
	}
	candidates[1].Full = true
	if chosen := balancer.LeastOutstanding(candidates, 0); chosen != balancer.None {
		t.Errorf("chose %d of full ones", chosen)
	}
	if chosen := balancer.LeastOutstanding(nil, 7); chosen != balancer.None {
		t.Errorf("chose %d of none", chosen)
	}
}
