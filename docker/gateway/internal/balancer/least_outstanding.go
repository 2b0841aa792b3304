// Package balancer chooses among nodes that can all answer a request. One strategy a file.
package balancer

// Loaded is anything that knows how many requests it is working on.
type Loaded interface {
	Outstanding() int64
}

// LeastOutstanding returns the candidate with the fewest requests under way. The search starts at turn,
// which the caller advances, so that equal nodes take turns instead of the first taking all.
func LeastOutstanding[T Loaded](candidates []T, turn int) T {
	var best T
	least := int64(-1)
	for i := range candidates {
		candidate := candidates[(i+turn)%len(candidates)]
		if load := candidate.Outstanding(); least < 0 || load < least {
			best, least = candidate, load
		}
	}
	return best
}
