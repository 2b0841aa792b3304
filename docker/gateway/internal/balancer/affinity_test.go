package balancer_test

import (
	"testing"

	"ollamamax/gateway/internal/balancer"
)

func TestAPrefixAlwaysMeetsTheSameNodeAndPrefixesSpread(t *testing.T) {
	candidates := loads(0, 0, 0, 0)
	share := map[int]int{}
	for prefix := range uint64(4000) {
		chosen, first := balancer.Affinity(candidates, prefix+1, 1.25)
		if again, _ := balancer.Affinity(candidates, prefix+1, 1.25); again != chosen || !first {
			t.Fatalf("prefix %d meets %d, then %d; first choice: %v", prefix, chosen, again, first)
		}
		share[chosen]++
	}
	for node, prefixes := range share {
		if prefixes < 800 || prefixes > 1200 {
			t.Errorf("node %d has %d of 4000 prefixes", node, prefixes)
		}
	}
}

func TestANodeThatLeavesMovesItsOwnPrefixesAlone(t *testing.T) {
	all := loads(0, 0, 0, 0)
	fewer := all[:3]
	for prefix := range uint64(1000) {
		before, _ := balancer.Affinity(all, prefix+1, 1.25)
		after, _ := balancer.Affinity(fewer, prefix+1, 1.25)
		if before != 3 && before != after {
			t.Fatalf("prefix %d moved from %d to %d though its node stayed", prefix, before, after)
		}
	}
}

func TestOneHotPrefixNeverLoadsANodeBeyondTheBound(t *testing.T) {
	const bound = 1.25
	candidates := loads(0, 0, 0, 0)
	firsts := 0
	for n := 1; n <= 400; n++ {
		chosen, first := balancer.Affinity(candidates, 42, bound)
		if chosen == balancer.None {
			t.Fatalf("request %d finds no node within the bound", n)
		}
		candidates[chosen].Load++
		if most := bound*float64(n)/4 + 1; float64(candidates[chosen].Load) > most {
			t.Fatalf("after %d requests a node has %d, more than %v", n, candidates[chosen].Load, most)
		}
		if first {
			firsts++
		}
	}
	if firsts < 100 || firsts == 400 {
		t.Errorf("%d of 400 requests went to the prefix's own node", firsts)
	}
}

func TestTheNextInThePrefixsOrderStandsInForAFullNode(t *testing.T) {
	candidates := loads(0, 0, 0)
	own, _ := balancer.Affinity(candidates, 7, 1.25)
	candidates[own].Full = true
	second, first := balancer.Affinity(candidates, 7, 1.25)
	if second == own || first {
		t.Fatalf("chose %d after %d, as its first choice: %v", second, own, first)
	}
	candidates[second].Full = true
	third, _ := balancer.Affinity(candidates, 7, 1.25)
	candidates[third].Full = true
	if third == own || third == second {
		t.Errorf("the order is %d, %d, %d", own, second, third)
	}
	if none, first := balancer.Affinity(candidates, 7, 1.25); none != balancer.None || first {
		t.Errorf("chose %d of full ones", none)
	}
}
