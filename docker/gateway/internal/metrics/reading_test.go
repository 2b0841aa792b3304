package metrics_test

import (
	"math"
	"testing"
	"time"

	"ollamamax/gateway/internal/metrics"
)

func TestQuantilesAreOfWhatWasCountedBetweenTwoReadings(t *testing.T) {
	m := metrics.New("test")
	for range 100 {
		m.Request("/api/chat", "tiny", 200, time.Minute) // long ago
	}
	before := m.Read()
	if got := metrics.Quantile(.5, before.Overhead, m.Read().Overhead); !math.IsNaN(got) {
		t.Errorf("of nothing: %v", got)
	}
	for range 90 {
		m.Request("/api/chat", "tiny", 200, 300*time.Microsecond) // between .00025 and .0005
	}
	for range 10 {
		m.Request("/api/generate", "tiny", 502, 3*time.Millisecond) // between .0025 and .005
	}
	after := m.Read()
	for share, want := range map[float64]float64{.45: .000375, .9: .0005, .95: .00375, .99: .00475, 1: .005} {
		if got := metrics.Quantile(share, before.Overhead, after.Overhead); math.Abs(got-want) > 1e-9 {
			t.Errorf("%v: %v, not %v", share, got, want)
		}
	}
	if after.Requests-before.Requests != 100 || after.Errors-before.Errors != 10 {
		t.Errorf("%+v after %+v", after, before)
	}
	m.Request("/api/chat", "tiny", 200, time.Hour)
	if got := metrics.Quantile(1, after.Overhead, m.Read().Overhead); got != 15 {
		t.Errorf("beyond the last bucket: %v", got)
	}
}

func TestTimesToTheFirstTokenAreReadApart(t *testing.T) {
	m := metrics.New("test")
	before := m.Read()
	m.FirstToken("/api/chat", "tiny", 200*time.Millisecond) // between .1 and .25
	after := m.Read()
	if got := metrics.Quantile(1, before.FirstToken, after.FirstToken); got != .25 {
		t.Errorf("%v", got)
	}
	if got := metrics.Quantile(1, before.Overhead, after.Overhead); !math.IsNaN(got) {
		t.Errorf("of requests that have not ended: %v", got)
	}
}
