// Package prometheus gives VictoriaMetrics' small library, which counts and writes Prometheus' text format, what it
// has not: help texts, labels by their values, and series that are read when Prometheus asks. Its words are those
// of client_golang, which would bring two megabytes: see decision 19.
package prometheus

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/VictoriaMetrics/metrics"
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

func (d *Desc) mustFit(values []string) {
	if len(values) != len(d.labels) {
		panic(fmt.Sprintf("metric %s has the labels %q, not %d", d.name, d.labels, len(values)))
	}
}

var labelEscapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)

// series is the name of the series of these values, in the order of the labels.
func (d *Desc) series(values []string) string {
	if len(values) == 0 {
		return d.name
	}
	pairs := make([]string, len(values))
	for i, value := range values {
		pairs[i] = d.labels[i] + `="` + labelEscapes.Replace(value) + `"`
	}
	return d.name + "{" + strings.Join(pairs, ",") + "}"
}

// ValueType is a metric's type, as Prometheus spells it.
type ValueType string

// The types of metrics.
const (
	CounterValue   ValueType = "counter"
	GaugeValue     ValueType = "gauge"
	histogramValue ValueType = "histogram"
)

// Metric is some of a metric's series at the moment of being read.
type Metric struct {
	desc  *Desc
	kind  ValueType
	lines string
}

// NewConstMetric is a series whose value is kept elsewhere. The number of label values has to be the description's.
func NewConstMetric(desc *Desc, kind ValueType, value float64, values ...string) Metric {
	desc.mustFit(values)
	return Metric{desc, kind, desc.series(values) + " " + strconv.FormatFloat(value, 'g', -1, 64) + "\n"}
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
	Get() float64
}

// Gauge goes up and down.
type Gauge interface {
	Collector
	Set(value float64)
	Add(delta float64)
	Get() float64
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

// family is all series of a metric.
type family struct {
	desc *Desc
	kind ValueType
	set  *metrics.Set
}

func newFamily(opts Opts, kind ValueType, labels ...string) family {
	return family{NewDesc(opts.Name, opts.Help, labels...), kind, metrics.NewSet()}
}

// Collect implements Collector. A metric without a series is named all the same: so it is seen what there is.
func (f family) Collect() []Metric {
	var lines bytes.Buffer
	f.set.WritePrometheus(&lines)
	return []Metric{{f.desc, f.kind, lines.String()}}
}

// scalar is a counter or a gauge: the library's gauge adds fractions without a lock, which its counter does not.
type scalar struct {
	family
	*metrics.Gauge
}

func newScalar(f family, values ...string) scalar {
	return scalar{f, f.set.NewGauge(f.desc.series(values), nil)}
}

// NewCounter makes a counter without labels.
func NewCounter(opts CounterOpts) Counter { return newScalar(newFamily(opts, CounterValue)) }

// NewGauge makes a gauge without labels.
func NewGauge(opts GaugeOpts) Gauge { return newScalar(newFamily(opts, GaugeValue)) }

// NewGaugeFunc makes a gauge that is asked for its value when it is read.
func NewGaugeFunc(opts GaugeOpts, value func() float64) Collector {
	f := newFamily(opts, GaugeValue)
	f.set.NewGauge(opts.Name, value)
	return f
}

type histogram struct {
	family
	counts *metrics.PrometheusHistogram
}

func newHistogram(f family, bounds []float64, values ...string) histogram {
	return histogram{f, f.set.NewPrometheusHistogramExt(f.desc.series(values), bounds)}
}

func (h histogram) Observe(value float64) { h.counts.Update(value) }

// NewHistogram makes a histogram without labels.
func NewHistogram(opts HistogramOpts) Histogram {
	return newHistogram(newFamily(Opts{opts.Name, opts.Help}, histogramValue), opts.Buckets)
}

// Vec is a metric's series, one for each combination of its labels' values that was asked for.
type Vec[S Collector] struct {
	family
	begin  func(f family, values []string) S
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
	return newVec(newFamily(opts, CounterValue, labels...), func(f family, values []string) Counter { return newScalar(f, values...) })
}

// NewGaugeVec makes a gauge with labels.
func NewGaugeVec(opts GaugeOpts, labels []string) *GaugeVec {
	return newVec(newFamily(opts, GaugeValue, labels...), func(f family, values []string) Gauge { return newScalar(f, values...) })
}

// NewHistogramVec makes a histogram with labels.
func NewHistogramVec(opts HistogramOpts, labels []string) *HistogramVec {
	return newVec(newFamily(Opts{opts.Name, opts.Help}, histogramValue, labels...),
		func(f family, values []string) Histogram { return newHistogram(f, opts.Buckets, values...) })
}

func newVec[S Collector](f family, begin func(family, []string) S) *Vec[S] {
	return &Vec[S]{family: f, begin: begin, series: map[string]S{}}
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
		known = v.begin(v.family, slices.Clone(values))
		v.series[string(name)] = known
	}
	return known
}

// DeleteLabelValues forgets a series.
func (v *Vec[S]) DeleteLabelValues(values ...string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.series, string(key(nil, values)))
	v.set.UnregisterMetric(v.desc.series(values))
}
