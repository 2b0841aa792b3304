package prometheus

import (
	"bytes"
	"cmp"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// Registry is what Prometheus is told.
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
		return cmp.Or(strings.Compare(a.desc.name, b.desc.name), slices.Compare(a.values, b.values))
	})
	var out bytes.Buffer
	last := ""
	for _, metric := range all {
		if metric.desc.name != last {
			last = metric.desc.name
			out.WriteString("# HELP " + last + " " + helpEscapes.Replace(metric.desc.help) + "\n")
			out.WriteString("# TYPE " + last + " " + string(metric.kind) + "\n")
		}
		metric.write(&out)
	}
	return out.Bytes()
}

var (
	helpEscapes  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	labelEscapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
)

func (m Metric) write(out *bytes.Buffer) {
	for _, sample := range m.samples {
		out.WriteString(m.desc.name + sample.suffix)
		opening := byte('{')
		label := func(name, value string) {
			out.WriteByte(opening)
			out.WriteString(name + `="` + labelEscapes.Replace(value) + `"`)
			opening = ','
		}
		for i, name := range m.desc.labels {
			label(name, m.values[i])
		}
		if sample.label != "" {
			label(sample.label, sample.bound)
		}
		if opening == ',' {
			out.WriteByte('}')
		}
		out.WriteString(" " + format(sample.value) + "\n")
	}
}
