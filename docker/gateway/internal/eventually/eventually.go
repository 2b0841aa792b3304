// Package eventually lets tests wait for what other goroutines bring about.
package eventually

import (
	"testing"
	"time"
)

// patience is far beyond what anything takes, on a busy machine too: only a test that fails waits so long.
const patience = 15 * time.Second

// True waits until a condition holds, or fails the test.
func True(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}
