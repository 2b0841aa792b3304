package metrics_test

import (
	"testing"
	"time"

	"ollamamax/gateway/internal/metrics"
	"ollamamax/gateway/internal/metricstest"
)

func TestWhatWasCountedForAnAliasGoesWithIt(t *testing.T) {
	m := metrics.New("test")
	count := func() {
		for _, code := range []int{200, 503} {
			m.Alias("chat:latest", "canary", code, time.Second)
			m.Alias("house:latest", "canary", code, time.Second)
		}
	}
	expect := func(alias string, series int, want float64) {
		t.Helper()
		for _, metric := range []string{"ollamamax_alias_requests_total", "ollamamax_alias_request_seconds"} {
			if got := metricstest.Sum(t, m.Handler(), metric, "alias="+alias); got != want {
				t.Errorf("%s of %s is %v, not %v", metric, alias, got, want)
			}
		}
		if all := metricstest.Read(t, m.Handler())["ollamamax_alias_request_seconds"].GetMetric(); len(all) != series {
			t.Errorf("%d series, not %d: %v", len(all), series, all)
		}
	}
	m.ForgetAlias("never:latest")
	count()
	m.ForgetAlias("chat:latest")
	expect("chat:latest", 1, 0)
	count() // made again, it begins anew
	expect("chat:latest", 2, 2)
	expect("house:latest", 2, 4)
}
