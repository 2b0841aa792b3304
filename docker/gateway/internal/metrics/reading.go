package metrics

import (
	"math"
	"slices"
	"sync/atomic"
)

// spread counts requests by how long something took, as a histogram does, which tells nobody but Prometheus.
type spread struct {
	bounds []float64       // seconds
	counts []atomic.Uint64 // one more
}

func newSpread(bounds []float64) spread {
	return spread{bounds, make([]atomic.Uint64, len(bounds)+1)}
}

func (s *spread) add(seconds float64) {
	i, _ := slices.BinarySearch(s.bounds, seconds)
	s.counts[i].Add(1)
}

func (s *spread) read() Times {
	t := Times{s.bounds, make([]uint64, len(s.counts))}
	for i := range s.counts {
		t.counts[i] = s.counts[i].Load()
	}
	return t
}

// Reading is what has been counted so far.
type Reading struct {
	Requests, Errors               int64
	PromptTokens, CompletionTokens int64
	CacheHits                      int64
	Overhead, FirstToken           Times
}

// Times is how long requests took so far.
type Times struct {
	bounds []float64
	counts []uint64
}

// Read returns what has been counted so far.
func (m *Metrics) Read() Reading {
	r := Reading{
		Requests: m.sample.Requests.Load(), Errors: m.sample.Failures.Load(),
		PromptTokens: m.sample.PromptTokens.Load(), CompletionTokens: m.sample.CompletionTokens.Load(),
		Overhead: m.overheads.read(), FirstToken: m.firstTokens.read(),
	}
	for _, level := range []string{"memory", "redis"} {
		r.CacheHits += int64(m.CacheRequests.WithLabelValues(level, "hit").Get())
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
func Quantile(share float64, before, after Times) float64 {
	counts, total := slices.Clone(after.counts), uint64(0)
	for i := range counts {
		counts[i] -= before.counts[i]
		total += counts[i]
	}
	if total == 0 {
		return math.NaN()
	}
	rank, below := share*float64(total), 0.0
	for i, bound := range after.bounds {
		count := float64(counts[i])
		if count > 0 && below+count >= rank {
			lower := 0.0
			if i > 0 {
				lower = after.bounds[i-1]
			}
			return lower + (bound-lower)*(rank-below)/count
		}
		below += count
	}
	return after.bounds[len(after.bounds)-1] // no more is known than that it was beyond
}
