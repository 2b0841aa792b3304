package metrics

import (
	"maps"
	"strconv"
	"sync"
	"sync/atomic"

	"ollamamax/gateway/internal/prometheus"
)

// series keeps what a vector gives for some labels. To ask the vector takes a lock and a hash of every label,
// which is too much for every request; here it is one look into a map that never changes.
type series[K comparable, V any] struct {
	known atomic.Pointer[map[K]V]
	mu    sync.Mutex // of the one who adds
}

// of returns the series of key, which find gets from the vector the first time.
func (s *series[K, V]) of(key K, find func(K) V) V {
	if known := s.known.Load(); known != nil {
		if value, ok := (*known)[key]; ok {
			return value
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next := map[K]V{}
	if known := s.known.Load(); known != nil {
		maps.Copy(next, *known)
	}
	next[key] = find(key)
	s.known.Store(&next)
	return next[key]
}

// forget drops the series of the keys that are gone, which gone takes off the vector too: nobody adds one meanwhile.
func (s *series[K, V]) forget(gone func(key K) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.known.Load(); known != nil {
		left := maps.Clone(*known)
		maps.DeleteFunc(left, func(key K, _ V) bool { return gone(key) })
		s.known.Store(&left)
	}
}

// answered is the labels of a request that has been answered.
type answered struct {
	api, model string
	code       int
}

// noted is where it is counted.
type noted struct {
	requests prometheus.Counter
	overhead prometheus.Observer
}

func (m *Metrics) noted(a answered) noted {
	return noted{m.requests.WithLabelValues(a.api, a.model, strconv.Itoa(a.code)), m.overhead.WithLabelValues(a.api)}
}

// spent is the tokens of a model.
type spent struct {
	model, kind string
}

func (m *Metrics) spent(s spent) prometheus.Counter { return m.tokens.WithLabelValues(s.model, s.kind) }
