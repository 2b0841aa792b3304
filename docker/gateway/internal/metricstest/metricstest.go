// Package metricstest lets tests read metrics as Prometheus does.
package metricstest

import (
	"net/http"
	"net/http/httptest"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Read scrapes a handler and returns its metrics by name.
func Read(t testing.TB, handler http.Handler) map[string]*dto.MetricFamily {
	t.Helper()
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(answer.Body)
	if err != nil {
		t.Fatalf("%v in\n%s", err, answer.Body)
	}
	return families
}

// Sum adds up a metric's series that have all of the labels, written as "name=value"; of a histogram, its count.
func Sum(t testing.TB, handler http.Handler, name string, labels ...string) float64 {
	t.Helper()
	sum := 0.0
	for _, series := range Read(t, handler)[name].GetMetric() {
		if hasLabels(series, labels) {
			sum += series.GetCounter().GetValue() + series.GetGauge().GetValue() + float64(series.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

func hasLabels(series *dto.Metric, wanted []string) bool {
	found := map[string]bool{}
	for _, pair := range series.GetLabel() {
		found[pair.GetName()+"="+pair.GetValue()] = true
	}
	for _, label := range wanted {
		if !found[label] {
			return false
		}
	}
	return true
}
