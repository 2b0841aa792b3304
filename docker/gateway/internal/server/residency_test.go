package server_test

import (
	"strings"
	"testing"
	"time"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/eventually"
	"ollamamax/gateway/internal/workertest"
)

func TestAWorkerThatRestartsGetsRequestsForAPinnedModelOnceItHasLoadedIt(t *testing.T) {
	first, second, workers := two(t)
	for _, worker := range workers {
		worker.Remember(1, 0)
	}
	g := start(t, workers, func(c *config.Config) {
		c.Workers.Preload, c.Workers.SlowStart = []string{"tiny"}, 0
	})
	resident := func(nodes float64) func() bool {
		return func() bool { return g.value(t, "ollamamax_model_pinned", "model=tiny:latest") == nodes }
	}
	eventually.True(t, "the model is in memory of both", resident(2))
	second.Stop()
	eventually.True(t, "and of one", resident(1))
	second.Remember(1, time.Second) // in which a request is sent, on a busy machine too
	second.Restart(t)
	eventually.True(t, "the worker that has come up loads it", func() bool { return len(second.Loaded()) == 1 })
	for resident(1)() {
		response := g.do(t, "POST", "/api/generate", `{"model":"tiny","stream":false}`)
		if node := response.Header.Get("X-Ollamamax-Node"); response.StatusCode != 200 || (node != "worker-1" && resident(1)()) {
			t.Fatalf("%s answered with %d while it was loading", node, response.StatusCode)
		}
	}
	if !resident(2)() {
		t.Error("it is lost again")
	}
	if len(first.Seen()) < 2 {
		t.Error("no request came while the other was loading")
	}
}

func TestModelsAreListedPreloadedAndUnloadedByTheAPI(t *testing.T) {
	worker := workertest.Start(t, "org/tiny:7b")
	worker.Remember(1, 0)
	g := start(t, []*workertest.Worker{worker})
	for _, step := range []struct{ method, path, want string }{
		{"POST", "/api/v1/models/org/tiny:7b/preload", `"status":"success"`},
		{"GET", "/api/v1/models", `"loaded":["worker-1"]`},
		{"POST", "/api/v1/models/org/tiny:7b/unload", `"status":"success"`},
		{"GET", "/api/v1/models", `"loaded":[]`},
	} {
		if status, text := g.ask(t, step.method, step.path, ""); status != 200 || !strings.Contains(text, step.want) {
			t.Errorf("%s %s: %d %s", step.method, step.path, status, text)
		}
	}
	if kept, text := g.ask(t, "POST", "/api/v1/models/org/tiny:7b/preload", `{"keep":true}`); kept != 503 {
		t.Errorf("without a database: %d %s", kept, text)
	}
	if status, text := g.ask(t, "GET", "/api/v1/models/org/tiny:7b", ""); status != 404 {
		t.Errorf("a model that the database does not have: %d %s", status, text)
	}
}
