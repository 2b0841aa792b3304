package metrics

import "ollamamax/gateway/internal/prometheus"

// results is what is counted of answers that are used more than once, and of requests sent as one.
type results struct {
	CacheRequests *prometheus.CounterVec // by level and result
	CacheWrites   *prometheus.CounterVec // to Redis, by result
	Joined        prometheus.Counter     // requests answered with what was being made for another
	BatchSize     prometheus.Histogram   // requests for embeddings that were sent as one
	Inflated      *prometheus.CounterVec // compressed request bodies, by encoding
}

func newResults(registry *prometheus.Registry) results {
	r := results{
		CacheRequests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ollamamax_cache_requests_total",
			Help: "Look-ups of kept answers, by level (memory, then redis; query: of the database) and result (hit, miss, error, skipped: Redis is away).",
		}, []string{"level", "result"}),
		CacheWrites: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ollamamax_cache_writes_total",
			Help: "Answers written to Redis, by result (stored, dropped: too many at once or Redis is away, failed).",
		}, []string{"result"}),
		Joined: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ollamamax_joined_requests_total",
			Help: "Requests answered with what was being made for the same request of another client.",
		}),
		BatchSize: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "ollamamax_embed_batch_requests",
			Help:    "Requests for embeddings that were sent to a worker as one.",
			Buckets: []float64{1, 2, 4, 8, 16, 32, 64},
		}),
		Inflated: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ollamamax_compressed_requests_total",
			Help: "Requests whose body came compressed, by encoding.",
		}, []string{"encoding"}),
	}
	registry.Register(r.CacheRequests, r.CacheWrites, r.Joined, r.BatchSize, r.Inflated)
	return r
}
