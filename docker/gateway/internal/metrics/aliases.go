package metrics

import (
	"strconv"
	"time"

	"ollamamax/gateway/internal/prometheus"
)

// aliases is what is counted of requests for a name that stands for models: each model apart, so that they can
// be compared.
type aliases struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	known    series[variant, timed]
}

// variant is the labels of an answer in the name of an alias.
type variant struct {
	alias, name string
	code        int
}

// timed is where it is counted.
type timed struct {
	requests prometheus.Counter
	duration prometheus.Observer
}

func newAliases(registry *prometheus.Registry) *aliases {
	a := &aliases{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ollamamax_alias_requests_total",
			Help: "Requests for an alias, by the variant that answered and HTTP status (499: the client left).",
		}, []string{"alias", "variant", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "ollamamax_alias_request_seconds",
			Help:    "Whole time of requests for an alias, by the variant that answered.",
			Buckets: []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300},
		}, []string{"alias", "variant"}),
	}
	registry.Register(a.requests, a.duration)
	return a
}

// Alias counts a request for an alias.
func (m *Metrics) Alias(alias, name string, code int, took time.Duration) {
	to := m.aliases.known.of(variant{alias, name, code}, func(v variant) timed {
		return timed{m.aliases.requests.WithLabelValues(v.alias, v.name, strconv.Itoa(v.code)), m.aliases.duration.WithLabelValues(v.alias, v.name)}
	})
	to.requests.Inc()
	to.duration.Observe(took.Seconds())
}

// ForgetAlias removes what was counted for an alias that is gone.
func (m *Metrics) ForgetAlias(alias string) {
	m.aliases.known.forget(func(v variant) bool {
		if v.alias != alias {
			return false
		}
		m.aliases.requests.DeleteLabelValues(v.alias, v.name, strconv.Itoa(v.code))
		m.aliases.duration.DeleteLabelValues(v.alias, v.name)
		return true
	})
}
