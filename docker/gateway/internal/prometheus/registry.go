package prometheus

import (
	"bytes"
	"cmp"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/VictoriaMetrics/metrics"
)

// Registry is what Prometheus is told, and what it asks of every program: its own and its Go runtime's numbers.
type Registry struct {
	mu         sync.Mutex
	collectors []Collector
}

// Register adds what is read from now on.
func (r *Registry) Register(collectors ...Collector) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.collectors = append(r.collectors, collectors...)
}

// ServeHTTP answers a scrape.
func (r *Registry) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write(r.text()) // a scraper that has left needs nothing
}

var helpEscapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`)

// text is everything in Prometheus' text format, each metric's series together and in order.
func (r *Registry) text() []byte {
	r.mu.Lock()
	collectors := slices.Clone(r.collectors)
	r.mu.Unlock()
	var all []Metric
	for _, collector := range collectors {
		all = append(all, collector.Collect()...)
	}
	slices.SortFunc(all, func(a, b Metric) int {
		return cmp.Or(strings.Compare(a.desc.name, b.desc.name), strings.Compare(a.lines, b.lines))
	})
	var out bytes.Buffer
	last := ""
	for _, metric := range all {
		if metric.desc.name != last {
			last = metric.desc.name
			out.WriteString("# HELP " + last + " " + helpEscapes.Replace(metric.desc.help) + "\n")
			out.WriteString("# TYPE " + last + " " + string(metric.kind) + "\n")
		}
		out.WriteString(metric.lines)
	}
	metrics.WriteProcessMetrics(&out)
	metrics.WriteFDMetrics(&out)
	return out.Bytes()
}
