package balancer

import "math"

// Affinity returns the candidate that prefix belongs to, so that requests that begin alike meet the same
// node's cache, unless that one is full or has more than bound times its share of the load: then the next
// in the prefix's own order. Where a node joins or leaves, only the prefixes that are its own move
// (rendezvous hashing with bounded loads). first tells that the choice is the first of that order.
func Affinity(candidates []Candidate, prefix uint64, bound float64) (chosen int, first bool) {
	load, size := 1, 0.0 // the request itself counts
	for i := range candidates {
		load += candidates[i].Load
		size += candidates[i].Size
	}
	share := bound * float64(load) / size
	chosen = None
	var best, top uint64
	for i := range candidates {
		c := &candidates[i]
		score := mix(c.Hash ^ prefix)
		top = max(top, score)
		if c.Full || float64(c.Load+1) > math.Ceil(share*c.Size) {
			continue
		}
		if chosen == None || score > best {
			chosen, best = i, score
		}
	}
	return chosen, chosen != None && best == top
}

// mix spreads a number over all 64 bits (the finaliser of SplitMix64).
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
