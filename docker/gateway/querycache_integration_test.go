//go:build integration

package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"ollamamax/gateway/internal/realparts"
)

// What docs/gateway.md says of how old an answer of the database may be.
const (
	told   = time.Second     // a change by another gateway
	untold = 3 * time.Second // while Redis hangs, and nobody has noticed yet
)

func TestTheDatabasesAnswersAreKeptAndNoGatewayGivesAnOldOneAfterAnotherHasWritten(t *testing.T) {
	one, two, _, cable := pair(t)
	redis := realparts.ContainerOf(t, "redis")
	drained := func(p place) string {
		_, text := ask(t, firstKey, "GET", p.url+"/api/v1/nodes", "")
		_, text, _ = strings.Cut(text, `"name":"worker-1"`)
		_, text, _ = strings.Cut(text, `"drained":`)
		is, _, _ := strings.Cut(text, ",")
		return is
	}
	within(t, "both know the worker", func() error {
		for _, p := range []place{one, two} {
			if is := drained(p); is != "false" {
				return fmt.Errorf("%s: drained %q", p.name, is)
			}
		}
		return nil
	})
	write := func(when, command, want string, limit time.Duration) {
		t.Helper()
		_ = drained(two) // which keeps the answer
		if status, text := ask(t, firstKey, "POST", one.url+"/api/v1/nodes/worker-1/"+command, "{}"); status != 200 {
			t.Fatalf("%s: %s: %d %s", when, command, status, text)
		}
		began := time.Now()
		within(t, "the other gateway knows", func() error {
			if is := drained(two); is != want {
				return errors.New(is)
			}
			return nil
		})
		took := time.Since(began)
		t.Logf("%s: known to the other gateway after %v", when, took)
		if took > limit {
			t.Errorf("%s: the other gateway gave the old answer for %v", when, took)
		}
	}
	write("with Redis", "drain", "true", told)
	write("with Redis", "undrain", "false", told)
	for range 3 {
		_ = drained(two)
	}
	if _, text := ask(t, firstKey, "GET", two.admin+"/metrics", ""); strings.Contains(text, `ollamamax_cache_requests_total{level="query",result="hit"} 0`) ||
		!strings.Contains(text, `ollamamax_cache_requests_total{level="query",result="hit"}`) {
		t.Error("no answer of the database was kept")
	}
	cable.Pull()
	says(t, `ollamamax_dependency_up{dependency="redis"} 0`, two)
	write("without Redis", "drain", "true", told)
	cable.Plug()
	says(t, `ollamamax_dependency_up{dependency="redis"} 1`, one, two)
	redis.Order(t, "pause")
	write("as soon as Redis hangs", "undrain", "false", untold+time.Second)
	write("while Redis hangs", "drain", "true", told)
	redis.Order(t, "unpause")
	says(t, `ollamamax_dependency_up{dependency="redis"} 1`, one, two)
	write("once it is back", "undrain", "false", told)
}
