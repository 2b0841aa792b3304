package breaker_test

import (
	"testing"
	"time"

	"ollamamax/gateway/internal/breaker"
)

var settings = breaker.Settings{Window: 10 * time.Second, MinRequests: 10, Failures: 0.5, OpenFor: 5 * time.Second}

// after records outcomes at one moment and returns the state then.
func after(b *breaker.Breaker, now time.Duration, good, bad int) breaker.State {
	for range good {
		b.Record(&settings, now, true, false)
	}
	for range bad {
		b.Record(&settings, now, false, false)
	}
	return b.State(&settings, now)
}

func TestItOpensAtTheShareOfFailuresAndNotBefore(t *testing.T) {
	for name, c := range map[string]struct {
		good, bad int
		want      breaker.State
	}{
		"too few to judge by": {0, 9, breaker.Closed},
		"all of enough":       {0, 10, breaker.Open},
		"half of enough":      {5, 5, breaker.Open},
		"less than half":      {6, 5, breaker.Closed},
	} {
		var b breaker.Breaker
		if got := after(&b, time.Hour, c.good, c.bad); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestFailuresThatLeftTheWindowAreForgotten(t *testing.T) {
	var b breaker.Breaker
	after(&b, 0, 0, 9)
	if got := after(&b, 11*time.Second, 0, 9); got != breaker.Closed {
		t.Fatalf("9 failures and 9 more after the window: %s", got)
	}
	if got := after(&b, 15*time.Second, 0, 1); got != breaker.Open {
		t.Errorf("10 failures within the window: %s", got)
	}
}

func TestOneTrialDecidesAfterTheOpenTime(t *testing.T) {
	var b breaker.Breaker
	after(&b, 0, 0, 10)
	if got := b.State(&settings, 5*time.Second-1); got != breaker.Open {
		t.Fatalf("before its time: %s", got)
	}
	if left := b.Opens(&settings, 2*time.Second); left != 3*time.Second {
		t.Errorf("%s left, not 3 s", left)
	}
	now := 5 * time.Second
	if got := b.State(&settings, now); got != breaker.HalfOpen || b.Trying() {
		t.Fatalf("after its time: %s, trying: %v", got, b.Trying())
	}
	b.Try()
	b.Abandon()
	b.Try()
	if !b.Trying() || !b.Record(&settings, now, false, true) {
		t.Error("a failed trial changes nothing")
	}
	if got := b.State(&settings, now+time.Second); got != breaker.Open || b.Trying() {
		t.Fatalf("after a failed trial: %s, trying: %v", got, b.Trying())
	}
	now += 6 * time.Second
	b.Try()
	if !b.Record(&settings, now, true, true) {
		t.Error("a good trial changes nothing")
	}
	if got := after(&b, now, 0, 9); got != breaker.Closed {
		t.Errorf("what failed before the good trial still counts: %s", got)
	}
}

func TestAnOutcomeFromBeforeItOpenedDoesNotCloseIt(t *testing.T) {
	var b breaker.Breaker
	after(&b, 0, 0, 10)
	if after(&b, 6*time.Second, 3, 0) != breaker.HalfOpen {
		t.Error("it closed without a trial")
	}
}
