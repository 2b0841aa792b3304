// Package prometheus counts, and tells Prometheus what was counted, in its text format. It is the part of
// client_golang's interface that the gateway needs, in client_golang's words, without the protobuf runtime
// that comes with those: see decision 19.
package prometheus

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
)

// Opts names a metric.
type Opts struct {
	Name string
	Help string
}

type (
	// CounterOpts names a counter.
	CounterOpts = Opts
	// GaugeOpts names a gauge.
	GaugeOpts = Opts
)

// HistogramOpts names a histogram and its buckets' upper bounds, in ascending order, without +Inf.
type HistogramOpts struct {
	Name    string
	Help    string
	Buckets []float64
}

// Desc is what a metric's series have in common.
type Desc struct {
	name, help string
	labels     []string
}

// NewDesc describes a metric whose series differ by labels.
func NewDesc(name, help string, labels ...string) *Desc {
	return &Desc{name: name, help: help, labels: labels}
}

// ValueType is a metric's type, as Prometheus spells it.
type ValueType string

// The types of metrics.
const (
	CounterValue   ValueType = "counter"
	GaugeValue     ValueType = "gauge"
	histogramValue ValueType = "histogram"
	summaryValue   ValueType = "summary"
)

// Metric is one series at the moment of being read.
type Metric struct {
	desc    *Desc
	kind    ValueType
	values  []string // of the labels
	samples []sample
}

// sample is one line of a metric: most have one, a histogram has one for each bucket.
type sample struct {
	suffix       string
	label, bound string // le or quantile
	value        float64
}

// NewConstMetric is a series whose value is kept elsewhere. The number of label values has to be the description's.
func NewConstMetric(desc *Desc, kind ValueType, value float64, values ...string) Metric {
	desc.mustFit(values)
	return Metric{desc, kind, values, []sample{{value: value}}}
}

func (d *Desc) mustFit(values []string) {
	if len(values) != len(d.labels) {
		panic(fmt.Sprintf("metric %s has the labels %q, not %d", d.name, d.labels, len(values)))
	}
}

// Collector is read whenever Prometheus asks.
type Collector interface {
	Collect() []Metric
}

// Counter only grows.
type Counter interface {
	Collector
	Inc()
	Add(delta float64)
}

// Gauge goes up and down.
type Gauge interface {
	Collector
	Set(value float64)
	Add(delta float64)
}

// Observer takes values one by one.
type Observer interface {
	Observe(value float64)
}

// Histogram counts values by size.
type Histogram interface {
	Collector
	Observer
}

// number is a float64 that is added to without a lock.
type number struct{ bits atomic.Uint64 }

func (n *number) Inc() { n.Add(1) }

func (n *number) Add(delta float64) {
	for {
		old := n.bits.Load()
		if n.bits.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+delta)) {
			return
		}
	}
}

func (n *number) Set(value float64) { n.bits.Store(math.Float64bits(value)) }

func (n *number) get() float64 { return math.Float64frombits(n.bits.Load()) }

// scalar is a counter or a gauge.
type scalar struct {
	number
	desc   *Desc
	kind   ValueType
	values []string
}

func (s *scalar) Collect() []Metric {
	return []Metric{NewConstMetric(s.desc, s.kind, s.get(), s.values...)}
}

// NewCounter makes a counter without labels.
func NewCounter(opts CounterOpts) Counter {
	return &scalar{desc: NewDesc(opts.Name, opts.Help), kind: CounterValue}
}

// NewGauge makes a gauge without labels.
func NewGauge(opts GaugeOpts) Gauge {
	return &scalar{desc: NewDesc(opts.Name, opts.Help), kind: GaugeValue}
}

type gaugeFunc struct {
	desc  *Desc
	value func() float64
}

func (g gaugeFunc) Collect() []Metric {
	return []Metric{NewConstMetric(g.desc, GaugeValue, g.value())}
}

// NewGaugeFunc makes a gauge that is asked for its value when it is read.
func NewGaugeFunc(opts GaugeOpts, value func() float64) Collector {
	return gaugeFunc{NewDesc(opts.Name, opts.Help), value}
}

type histogram struct {
	desc   *Desc
	values []string
	bounds []float64
	counts []atomic.Uint64 // one more than bounds: +Inf
	sum    number
}

func newHistogram(desc *Desc, bounds []float64, values []string) *histogram {
	return &histogram{desc: desc, values: values, bounds: bounds, counts: make([]atomic.Uint64, len(bounds)+1)}
}

// NewHistogram makes a histogram without labels.
func NewHistogram(opts HistogramOpts) Histogram {
	return newHistogram(NewDesc(opts.Name, opts.Help), opts.Buckets, nil)
}

func (h *histogram) Observe(value float64) {
	i := 0
	for i < len(h.bounds) && value > h.bounds[i] { // so few that halving them is slower
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(value)
}

// Collect gives buckets and count that agree; the sum may have a value more or less that was observed meanwhile.
func (h *histogram) Collect() []Metric {
	samples := make([]sample, 0, len(h.counts)+2)
	count := uint64(0)
	for i := range h.counts {
		count += h.counts[i].Load()
		bound := "+Inf"
		if i < len(h.bounds) {
			bound = format(h.bounds[i])
		}
		samples = append(samples, sample{"_bucket", "le", bound, float64(count)})
	}
	samples = append(samples, sample{suffix: "_sum", value: h.sum.get()}, sample{suffix: "_count", value: float64(count)})
	return []Metric{{h.desc, histogramValue, h.values, samples}}
}

func format(value float64) string { return strconv.FormatFloat(value, 'g', -1, 64) }

// Vec is a metric's series, one for each combination of its labels' values that was asked for.
type Vec[S Collector] struct {
	desc   *Desc
	begin  func(values []string) S
	mu     sync.RWMutex
	series map[string]S
}

type (
	// CounterVec is a counter with labels.
	CounterVec = Vec[Counter]
	// GaugeVec is a gauge with labels.
	GaugeVec = Vec[Gauge]
	// HistogramVec is a histogram with labels.
	HistogramVec = Vec[Histogram]
)

// NewCounterVec makes a counter with labels.
func NewCounterVec(opts CounterOpts, labels []string) *CounterVec {
	desc := NewDesc(opts.Name, opts.Help, labels...)
	return newVec(desc, func(values []string) Counter { return &scalar{desc: desc, kind: CounterValue, values: values} })
}

// NewGaugeVec makes a gauge with labels.
func NewGaugeVec(opts GaugeOpts, labels []string) *GaugeVec {
	desc := NewDesc(opts.Name, opts.Help, labels...)
	return newVec(desc, func(values []string) Gauge { return &scalar{desc: desc, kind: GaugeValue, values: values} })
}

// NewHistogramVec makes a histogram with labels.
func NewHistogramVec(opts HistogramOpts, labels []string) *HistogramVec {
	desc := NewDesc(opts.Name, opts.Help, labels...)
	return newVec(desc, func(values []string) Histogram { return newHistogram(desc, opts.Buckets, values) })
}

func newVec[S Collector](desc *Desc, begin func([]string) S) *Vec[S] {
	return &Vec[S]{desc: desc, begin: begin, series: map[string]S{}}
}

// key appends what the series of these values is filed under.
func key(to []byte, values []string) []byte {
	for _, value := range values {
		to = append(append(to, value...), 0xff) // which is in no text
	}
	return to
}

// WithLabelValues returns the series of these values, in the order of the labels. Who needs it often keeps it.
func (v *Vec[S]) WithLabelValues(values ...string) S {
	v.desc.mustFit(values)
	var room [128]byte
	name := key(room[:0], values)
	v.mu.RLock()
	known, ok := v.series[string(name)]
	v.mu.RUnlock()
	if ok {
		return known
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if known, ok = v.series[string(name)]; !ok {
		known = v.begin(slices.Clone(values))
		v.series[string(name)] = known
	}
	return known
}

// DeleteLabelValues forgets a series.
func (v *Vec[S]) DeleteLabelValues(values ...string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.series, string(key(nil, values)))
}

// Collect reads all series.
func (v *Vec[S]) Collect() []Metric {
	v.mu.RLock()
	defer v.mu.RUnlock()
	var all []Metric
	for _, series := range v.series {
		all = append(all, series.Collect()...)
	}
	return all
}
