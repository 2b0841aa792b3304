package prometheus_test

import (
	"math"
	"net/http"
	"sync"
	"testing"

	client "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"

	"ollamamax/gateway/internal/metricstest"
	"ollamamax/gateway/internal/prometheus"
)

var bounds = []float64{.001, .25, 1, 30}

// ours and theirs count the same with this package and with client_golang, whose text Prometheus' own parser
// must find to be the same.
func ours() http.Handler {
	registry := &prometheus.Registry{}
	plain := prometheus.NewCounter(prometheus.CounterOpts{Name: "plain_total", Help: `A back\slash and` + "\na second line."})
	plain.Inc()
	plain.Add(1e21)
	level := prometheus.NewGauge(prometheus.GaugeOpts{Name: "level", Help: "A level."})
	level.Set(12)
	level.Add(-0.5)
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests_total", Help: "Requests."}, []string{"model", "code"})
	requests.WithLabelValues(`a "model"\`+"\n", "200").Add(3)
	requests.WithLabelValues("grün", "500").Inc()
	requests.WithLabelValues("gone", "200").Inc()
	requests.DeleteLabelValues("gone", "200")
	empty := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "empty", Help: "Without series."}, []string{"node"})
	sizes := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "sizes", Help: "Sizes.", Buckets: bounds})
	waits := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "waits_seconds", Help: "Waits.", Buckets: bounds}, []string{"model"})
	for _, value := range values {
		sizes.Observe(value)
		waits.WithLabelValues("tiny").Observe(value)
	}
	asked := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "asked", Help: "Asked."}, func() float64 { return math.Inf(1) })
	registry.Register(plain, level, requests, empty, sizes, waits, asked)
	return registry
}

var values = []float64{0, .001, .0011, .25, 1.5, 30, 31, math.Inf(1)}

func theirs() http.Handler {
	registry := client.NewRegistry()
	plain := client.NewCounter(client.CounterOpts{Name: "plain_total", Help: `A back\slash and` + "\na second line."})
	plain.Inc()
	plain.Add(1e21)
	level := client.NewGauge(client.GaugeOpts{Name: "level", Help: "A level."})
	level.Set(12)
	level.Add(-0.5)
	requests := client.NewCounterVec(client.CounterOpts{Name: "requests_total", Help: "Requests."}, []string{"model", "code"})
	requests.WithLabelValues(`a "model"\`+"\n", "200").Add(3)
	requests.WithLabelValues("grün", "500").Inc()
	empty := client.NewGaugeVec(client.GaugeOpts{Name: "empty", Help: "Without series."}, []string{"node"})
	sizes := client.NewHistogram(client.HistogramOpts{Name: "sizes", Help: "Sizes.", Buckets: bounds})
	waits := client.NewHistogramVec(client.HistogramOpts{Name: "waits_seconds", Help: "Waits.", Buckets: bounds}, []string{"model"})
	for _, value := range values {
		sizes.Observe(value)
		waits.WithLabelValues("tiny").Observe(value)
	}
	asked := client.NewGaugeFunc(client.GaugeOpts{Name: "asked", Help: "Asked."}, func() float64 { return math.Inf(1) })
	registry.MustRegister(plain, level, requests, empty, sizes, waits, asked)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

func TestPrometheusReadsTheSameAsFromClientGolang(t *testing.T) {
	got, want := metricstest.Read(t, ours()), metricstest.Read(t, theirs())
	if _, there := got["empty"]; there {
		t.Error("a metric without series is told")
	}
	for name, family := range want {
		if !proto.Equal(sorted(got[name]), sorted(family)) {
			t.Errorf("%s is\n%v, not\n%v", name, got[name], family)
		}
	}
}

// sorted puts labels in client_golang's order.
func sorted(family *dto.MetricFamily) *dto.MetricFamily {
	for _, metric := range family.GetMetric() {
		if labels := metric.GetLabel(); len(labels) == 2 && labels[0].GetName() > labels[1].GetName() {
			labels[0], labels[1] = labels[1], labels[0]
		}
	}
	return family
}

func TestGoAndTheProcessAreAmongIt(t *testing.T) {
	found := metricstest.Read(t, &prometheus.Registry{})
	for _, name := range []string{
		"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_max_fds", "process_start_time_seconds",
		"go_goroutines", "go_threads", "go_memstats_sys_bytes", "go_gc_duration_seconds_count",
	} {
		if len(found[name].GetMetric()) != 1 {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestCountingIsExactAndAllocatesNothing(t *testing.T) {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests_total"}, []string{"api", "model"})
	waits := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "waits_seconds", Buckets: bounds}, []string{"model"})
	registry := &prometheus.Registry{}
	registry.Register(requests, waits)
	var counting sync.WaitGroup
	for range 8 {
		counting.Go(func() {
			for range 1000 {
				requests.WithLabelValues("/api/chat", "tiny").Inc()
				waits.WithLabelValues("tiny").Observe(.5)
			}
		})
	}
	counting.Wait()
	if requests := metricstest.Sum(t, registry, "requests_total", "model=tiny"); requests != 8000 {
		t.Errorf("%v of 8000 are counted", requests)
	}
	if wait := metricstest.Read(t, registry)["waits_seconds"].GetMetric()[0].GetHistogram(); wait.GetSampleCount() != 8000 || wait.GetSampleSum() != 4000 {
		t.Errorf("%v", wait)
	}
	if allocated := testing.AllocsPerRun(100, func() {
		requests.WithLabelValues("/api/chat", "tiny").Inc()
		waits.WithLabelValues("tiny").Observe(.5)
	}); allocated != 0 {
		t.Errorf("%v allocations", allocated)
	}
}

func TestASeriesWithTheWrongNumberOfLabelsIsAMistakeOfThePrograms(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("it is taken")
		}
	}()
	prometheus.NewCounterVec(prometheus.CounterOpts{Name: "requests_total"}, []string{"api", "model"}).WithLabelValues("/api/chat")
}
