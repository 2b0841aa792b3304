package metrics

import (
	"math"
	"sync/atomic"
)

// spread counts requests by their overhead, as the histogram does, which tells nobody but Prometheus.
type spread [len(overheadBuckets) + 1]atomic.Uint64

func (s *spread) add(seconds float64) {
	i := 0
	for i < len(overheadBuckets) && seconds > overheadBuckets[i] {
		i++
	}
	s[i].Add(1)
}

// Reading is what has been counted so far.
type Reading struct {
	Requests, Errors               int64
	PromptTokens, CompletionTokens int64
	CacheHits                      int64
	overhead                       [len(overheadBuckets) + 1]uint64
}

// Read returns what has been counted so far.
func (m *Metrics) Read() Reading {
	r := Reading{
		Requests: m.sample.Requests.Load(), Errors: m.sample.Failures.Load(),
		PromptTokens: m.sample.PromptTokens.Load(), CompletionTokens: m.sample.CompletionTokens.Load(),
	}
	for _, level := range []string{"memory", "redis"} {
		r.CacheHits += int64(m.CacheRequests.WithLabelValues(level, "hit").Get())
	}
	for i := range m.spread {
		r.overhead[i] = m.spread[i].Load()
	}
	return r
}

// Up tells whether a dependency answered last.
func (m *Metrics) Up(dependency string) bool {
	return m.Dependency.WithLabelValues(dependency).Get() == 1
}

// Gateways is how many gateways there are, as far as this one knows.
func (m *Metrics) Gateways() int { return int(m.sharers.Get()) }

// Quantile estimates the time in seconds within which a share of the requests between two readings stayed: as if
// those of a bucket were spread evenly over it. It is NaN where there were none.
func Quantile(share float64, before, after Reading) float64 {
	counts, total := after.overhead, uint64(0)
	for i := range counts {
		counts[i] -= before.overhead[i]
		total += counts[i]
	}
	rank, below := share*float64(total), 0.0
	for i, bound := range overheadBuckets {
		count := float64(counts[i])
		if count > 0 && below+count >= rank {
			lower := 0.0
			if i > 0 {
				lower = overheadBuckets[i-1]
			}
			return lower + (bound-lower)*(rank-below)/count
		}
		below += count
	}
	if total == 0 {
		return math.NaN()
	}
	return overheadBuckets[len(overheadBuckets)-1] // no more is known than that it was beyond
}
