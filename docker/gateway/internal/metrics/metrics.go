// Package metrics holds what the gateway counts. Names and labels are a contract with autoscaling,
// alerts, dashboards and the console: add, never rename.
package metrics

import (
	"net/http"
	"runtime"
	"sync/atomic"
	"time"

	"ollamamax/gateway/internal/prometheus"
)

// Metrics is the gateway's registry.
type Metrics struct {
	registry   *prometheus.Registry
	requests   *prometheus.CounterVec
	overhead   *prometheus.HistogramVec
	firstToken *prometheus.HistogramVec
	speed      *prometheus.HistogramVec
	tokens     *prometheus.CounterVec
	retries    prometheus.Counter
	slotWait   *prometheus.HistogramVec
	refused    *prometheus.CounterVec
	Dependency *prometheus.GaugeVec // 1 where database or redis answers
	limited    *prometheus.CounterVec
	sharers    prometheus.Gauge
	parts      prometheus.Gauge
	usageRows  prometheus.Gauge
	usageLost  prometheus.Counter

	TraceSpans *prometheus.CounterVec // by result

	results
	aliases *aliases

	AffinityKept, AffinityMoved prometheus.Counter

	answers series[answered, noted]
	spends  series[spent, prometheus.Counter]
	speeds  series[string, prometheus.Observer]

	sample Sample // totals for the database's metrics table

	overheads, firstTokens spread // the same as the histograms, for those who follow
}

// Sample is a set of running totals since the process started.
type Sample struct {
	Requests         atomic.Int64
	Failures         atomic.Int64 // answered 5xx
	Retries          atomic.Int64
	PromptTokens     atomic.Int64
	CompletionTokens atomic.Int64
}

var (
	overheadBuckets   = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5, 15}
	firstTokenBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300}
)

// New registers everything under the prefix ollamamax_.
func New(version string) *Metrics {
	m := &Metrics{
		overheads: newSpread(overheadBuckets), firstTokens: newSpread(firstTokenBuckets),
		registry: &prometheus.Registry{},
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ollamamax_requests_total",
			Help: "Requests answered, by route, model and HTTP status (499: the client left).",
		}, []string{"api", "model", "code"}),
		overhead: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "ollamamax_overhead_seconds",
			Help:    "Time that the gateway adds: all of a request less the waits for client and worker.",
			Buckets: overheadBuckets,
		}, []string{"api"}),
		firstToken: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "ollamamax_time_to_first_token_seconds",
			Help:    "From the arrival of a streamed request to the first byte of its answer.",
			Buckets: firstTokenBuckets,
		}, []string{"api", "model"}),
		speed: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "ollamamax_tokens_per_second",
			Help:    "Tokens of a streamed answer over the time from its first byte to its end: how fast a client sees them come.",
			Buckets: []float64{1, 2.5, 5, 10, 20, 30, 50, 75, 100, 150, 250, 500, 1000},
		}, []string{"model"}),
		tokens: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ollamamax_tokens_total",
			Help: "Tokens of finished requests as the workers report them, and those sent to a client that left; kind is prompt or completion.",
		}, []string{"model", "kind"}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ollamamax_retries_total",
			Help: "Requests sent to a second node because the first failed before its first byte.",
		}),
		slotWait: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "ollamamax_slot_wait_seconds",
			Help:    "Time that a request waited for a slot of a worker, 0 where one was free.",
			Buckets: []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"model"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ollamamax_queue_refused_total",
			Help: "Requests answered 503 for want of a slot; reason is full, key, timeout, cold or breaker.",
		}, []string{"reason"}),
		Dependency: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "ollamamax_dependency_up",
			Help: "1 where the database or Redis answers; the gateway goes on without either.",
		}, []string{"dependency"}),
		limited: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ollamamax_limited_total",
			Help: "Requests answered 429 because their key had nothing left of a limit: requests, tokens or insufficient_quota (the month's budget).",
		}, []string{"limit"}),
		sharers: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ollamamax_limit_gateways",
			Help: "Gateways, this one included, that tell each other what keys use. While Redis is away, the last number known.",
		}),
		parts: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ollamamax_limit_parts",
			Help: "Parts that every limit is divided into, one of which is this gateway's: 1 unless Redis is away.",
		}),
		usageRows: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "ollamamax_usage_pending_rows",
			Help: "Rows of usage, one a key, model and day, that could not be written to the database yet.",
		}),
		usageLost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ollamamax_usage_lost_total",
			Help: "Requests whose usage was dropped because more rows waited for the database than usage.bufferRows.",
		}),
	}
	m.TraceSpans = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ollamamax_trace_spans_total",
		Help: "Spans of traces, by result (exported, failed: the receiver did not take them, dropped: too many waited for it).",
	}, []string{"result"})
	m.results = newResults(m.registry)
	m.aliases = newAliases(m.registry)
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "ollamamax_build_info",
		Help: "Always 1; the labels say what runs.",
	}, []string{"version", "goversion"})
	build.WithLabelValues(version, runtime.Version()).Set(1)
	affinity := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ollamamax_affinity_total",
		Help: "Requests with a prefix, by whether they went to its own node (kept) or, to spread the load, to another (moved).",
	}, []string{"result"})
	m.AffinityKept, m.AffinityMoved = affinity.WithLabelValues("kept"), affinity.WithLabelValues("moved")
	m.registry.Register(m.requests, m.overhead, m.firstToken, m.speed, m.tokens, m.retries,
		m.slotWait, m.refused, m.TraceSpans, affinity, m.Dependency, build, m.limited, m.sharers, m.parts, m.usageRows, m.usageLost)
	// From 0 on: Prometheus does not see a series grow that begins with its first count.
	for _, reason := range []string{"full", "key", "timeout", "cold", "breaker"} {
		m.refused.WithLabelValues(reason)
	}
	for _, limit := range []string{"requests", "tokens", "insufficient_quota"} {
		m.limited.WithLabelValues(limit)
	}
	return m
}

// Handler serves the registry.
func (m *Metrics) Handler() http.Handler { return m.registry }

// Request counts one answered request.
func (m *Metrics) Request(api, model string, code int, overhead time.Duration) {
	to := m.answers.of(answered{api, model, code}, m.noted)
	to.requests.Inc()
	to.overhead.Observe(overhead.Seconds())
	m.overheads.add(overhead.Seconds())
	m.sample.Requests.Add(1)
	if code >= 500 {
		m.sample.Failures.Add(1)
	}
}

// FirstToken records how long a streamed answer took to begin.
func (m *Metrics) FirstToken(api, model string, after time.Duration) {
	m.firstToken.WithLabelValues(api, model).Observe(after.Seconds())
	m.firstTokens.add(after.Seconds())
}

// Speed records how fast a streamed answer came, once it had begun.
func (m *Metrics) Speed(model string, tokens int64, took time.Duration) {
	m.speeds.of(model, func(model string) prometheus.Observer { return m.speed.WithLabelValues(model) }).Observe(float64(tokens) / took.Seconds())
}

// Tokens counts a finished request's tokens.
func (m *Metrics) Tokens(model string, prompt, completion int64) {
	if prompt > 0 {
		m.spends.of(spent{model, "prompt"}, m.spent).Add(float64(prompt))
		m.sample.PromptTokens.Add(prompt)
	}
	if completion > 0 {
		m.spends.of(spent{model, "completion"}, m.spent).Add(float64(completion))
		m.sample.CompletionTokens.Add(completion)
	}
}

// Retry counts a request sent to a second node.
func (m *Metrics) Retry() {
	m.retries.Inc()
	m.sample.Retries.Add(1)
}

// Totals returns the running totals.
func (m *Metrics) Totals() *Sample { return &m.sample }

// SetUp records whether a dependency answers.
func (m *Metrics) SetUp(dependency string, up bool) {
	m.Dependency.WithLabelValues(dependency).Set(boolean(up))
}

// Register adds what another package counts.
func (m *Metrics) Register(collectors ...prometheus.Collector) { m.registry.Register(collectors...) }

// Func registers a gauge, ollamamax_ and name, that is asked for its value when it is read.
func (m *Metrics) Func(name, help string, value func() float64) {
	m.registry.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "ollamamax_" + name, Help: help}, value))
}

// SlotWait is where the waits for a slot of a model are observed.
func (m *Metrics) SlotWait(model string) prometheus.Observer {
	return m.slotWait.WithLabelValues(model)
}

// ForgetSlotWait removes a model that is gone.
func (m *Metrics) ForgetSlotWait(model string) { m.slotWait.DeleteLabelValues(model) }

// QueueRefused counts requests that got no slot.
func (m *Metrics) QueueRefused(reason string) prometheus.Counter {
	return m.refused.WithLabelValues(reason)
}

// Limited counts a request that a limit stopped.
func (m *Metrics) Limited(limit string) { m.limited.WithLabelValues(limit).Inc() }

// Sharers records how many gateways share the limits, and into how many parts these are divided.
func (m *Metrics) Sharers(gateways, parts int) {
	m.sharers.Set(float64(gateways))
	m.parts.Set(float64(parts))
}

// UsagePending records how much usage waits for the database.
func (m *Metrics) UsagePending(rows int) { m.usageRows.Set(float64(rows)) }

// UsageLost counts requests whose usage was dropped.
func (m *Metrics) UsageLost(requests int64) { m.usageLost.Add(float64(requests)) }

func boolean(up bool) float64 {
	if up {
		return 1
	}
	return 0
}
