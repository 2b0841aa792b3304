package server_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/eventually"
	"ollamamax/gateway/internal/workertest"
)

func TestFallbacksAnswerWhereNoTargetCan(t *testing.T) {
	big, small := workertest.Start(t, "big:latest"), workertest.Start(t, "small:latest")
	g := start(t, []*workertest.Worker{big, small})
	g.put(t, "chat", `{"targets":[{"model":"big"}],"fallbacks":["nowhere","small"]}`)
	g.put(t, "big", `{"fallbacks":["small"]}`)
	answered := func(model string) string {
		response := g.do(t, "POST", "/api/generate", `{"model":"`+model+`"}`)
		return fmt.Sprint(response.StatusCode, " ", response.Header.Get("X-Ollamamax-Model"))
	}
	for _, name := range []string{"chat", "big"} {
		if got := answered(name); got != "200 big:latest" {
			t.Errorf("%s: %s", name, got)
		}
	}
	big.Stop()
	eventually.True(t, "the worker is known to be down", func() bool { return len(g.pool.Healthy()) == 1 })
	for _, name := range []string{"chat", "big"} {
		if got := answered(name); got != "200 small:latest" {
			t.Errorf("%s without its worker: %s", name, got)
		}
	}
	big.Restart(t)
	eventually.True(t, "the worker is back", func() bool { return answered("chat") == "200 big:latest" })
	big.Fail(workertest.Broken)
	eventually.True(t, "where the model keeps failing, the fallback answers", func() bool { return answered("big") == "200 small:latest" })
}

func TestUnderLoadNoRequestFailsWhereAFallbackTakesOverFromAWorkerThatDies(t *testing.T) {
	big, small := workertest.Start(t, "big:latest"), workertest.Start(t, "small:latest")
	// The gateway learns of it from its requests alone.
	g := start(t, []*workertest.Worker{big, small}, func(c *config.Config) { c.Workers.HealthInterval = time.Minute })
	g.put(t, "chat", `{"targets":[{"model":"big"}],"fallbacks":["small"]}`)
	ctx, stop := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	var answered atomic.Int64
	for i := range 8 {
		wait.Go(func() {
			for ctx.Err() == nil {
				// Half of them are deterministic: they share what is being made.
				began := time.Now()
				status, text := g.ask(t, "POST", "/api/generate", fmt.Sprintf(`{"model":"chat","prompt":"x","stream":false,"options":{"temperature":%d}}`, i%2))
				if status != 200 || !strings.Contains(text, `"done":true`) {
					t.Errorf("%d %s", status, text)
				}
				if took := time.Since(began); took > 3*time.Second {
					t.Errorf("one waited %v for the worker", took)
				}
				answered.Add(1)
			}
		})
	}
	goOn := func() {
		before := answered.Load()
		eventually.True(t, "requests go on", func() bool { return answered.Load() > before+100 })
	}
	goOn()
	big.Fail(workertest.Reset) // so that a request under way at the end has answered nothing
	big.Stop()
	goOn()
	stop()
	wait.Wait()
	if g.value(t, "ollamamax_alias_requests_total", "variant=small:latest", "code=200") == 0 {
		t.Error("the fallback was never asked")
	}
}
