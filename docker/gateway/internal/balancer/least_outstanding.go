package balancer

// LeastOutstanding returns the candidate that the next request would load least for its size. The search
// starts at turn, which the caller advances, so that equal nodes take turns instead of the first taking
// all.
func LeastOutstanding(candidates []Candidate, turn int) int {
	if len(candidates) == 0 {
		return None
	}
	best := None
	i := turn % len(candidates)
	for range candidates {
		c := &candidates[i]
		if !c.Full && (best == None || float64(c.Load+1)*candidates[best].Size < float64(candidates[best].Load+1)*c.Size) {
			best = i
		}
		if i++; i == len(candidates) {
			i = 0
		}
	}
	return best
}
