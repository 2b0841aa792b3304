package residency_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/discovery"
	"ollamamax/gateway/internal/eventually"
	"ollamamax/gateway/internal/metrics"
	"ollamamax/gateway/internal/metricstest"
	"ollamamax/gateway/internal/modelname"
	"ollamamax/gateway/internal/nodes"
	"ollamamax/gateway/internal/proxy"
	"ollamamax/gateway/internal/residency"
	"ollamamax/gateway/internal/workertest"
)

// part is a pool over workers, and what loads models on them.
type part struct {
	*residency.Residency
	pool     *nodes.Pool
	metrics  *metrics.Metrics
	database *database
	routes   http.Handler
}

// database is one that can go away.
type database struct {
	mu     sync.Mutex
	away   bool
	pinned map[string][]string
}

func (d *database) SetPinned(_ context.Context, nodes []string, model string, pinned bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.away {
		return errors.New("connection refused")
	}
	for _, node := range nodes {
		d.pinned[node] = slices.DeleteFunc(d.pinned[node], func(other string) bool { return other == model })
		if pinned {
			d.pinned[node] = append(d.pinned[node], model)
		}
	}
	return nil
}

func (d *database) read() map[string][]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.pinned)
}

func start(t *testing.T, workers []*workertest.Worker, change func(*config.Workers)) part {
	t.Helper()
	cfg := config.Default()
	cfg.Name = "gateway-under-test"
	settings := &cfg.Workers
	settings.HealthInterval, settings.SpreadAfter = 20*time.Millisecond, 50*time.Millisecond
	for _, worker := range workers {
		settings.Hosts = append(settings.Hosts, worker.Address)
	}
	change(settings)
	log, m := slog.New(slog.DiscardHandler), metrics.New("test")
	var r *residency.Residency
	pool := nodes.NewPool(*settings, m, log, discovery.NewNames(*settings, net.DefaultResolver, log), func() { r.Wake() })
	d := &database{pinned: map[string][]string{}}
	r = residency.New(cfg, pool, proxy.New(pool, log, time.Minute), d, m, log, residency.Told{
		Pulled: func() {}, Pinned: func(context.Context) { pool.SetPinned(d.read()) },
	})
	mux := http.NewServeMux()
	r.Routes(func(pattern string, handler http.HandlerFunc) { mux.HandleFunc(pattern, handler) })
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { pool.Run(ctx) })
	running.Go(func() { r.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	eventually.True(t, "all workers are up", func() bool { return len(pool.Healthy()) == len(workers) })
	return part{r, pool, m, d, mux}
}

// becomes waits for what a node says of a model that is to be in its memory.
func (p part) becomes(t *testing.T, node *workertest.Worker, model, want string) {
	t.Helper()
	eventually.True(t, model+" is "+want, func() bool {
		for _, state := range p.pool.Snapshot() {
			if state.Address == node.Address {
				return state.Pinned[model] == want
			}
		}
		return false
	})
}

func (p part) count(t *testing.T, result string) float64 {
	t.Helper()
	return metricstest.Sum(t, p.metrics.Handler(), "ollamamax_preload_total", "result="+result)
}

// ask sends a request for a model to a node that takes it.
func (p part) ask(t *testing.T, model, body string) {
	t.Helper()
	lease, err := p.pool.Acquire(t.Context(), nodes.Want{Model: modelname.Canonical(model)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Release()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, lease.Node.URL()+"/api/generate", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	lease.Answered(response.StatusCode)
}

func wants(models ...string) func(*config.Workers) {
	return func(w *config.Workers) { w.Preload = models }
}

func one(t *testing.T, room int, models ...string) (*workertest.Worker, []*workertest.Worker) {
	t.Helper()
	worker := workertest.Start(t, models...)
	worker.Remember(room, 0)
	return worker, []*workertest.Worker{worker}
}

func TestAWorkerHasItsModelsInMemoryFromTheStartAndAgainAfterItHasRestarted(t *testing.T) {
	worker, all := one(t, 3, "a:latest", "b:latest", "c:latest")
	p := start(t, all, wants("a", "b"))
	p.becomes(t, worker, "a:latest", "resident")
	p.becomes(t, worker, "b:latest", "resident")
	worker.Stop()
	worker.Remember(3, 0)
	worker.Restart(t)
	eventually.True(t, "both are in memory again", func() bool {
		return slices.Equal(worker.Loaded(), []string{"a:latest", "b:latest"})
	})
}

func TestAPreloadThatFailsIsSeenAndTriedAgain(t *testing.T) {
	worker, all := one(t, 1, "a:latest")
	worker.Fail(workertest.Broken)
	p := start(t, all, wants("a"))
	p.becomes(t, worker, "a:latest", "failed: llama runner process has terminated")
	if p.count(t, "failed") == 0 {
		t.Error("it is not counted")
	}
	worker.Fail(workertest.None)
	p.becomes(t, worker, "a:latest", "resident")
	if p.count(t, "loaded") != 1 {
		t.Errorf("%v loads are counted, not 1", p.count(t, "loaded"))
	}
}

func TestAModelThatANodeLacksIsPulledWhereWorkersMay(t *testing.T) {
	worker, all := one(t, 1, "a:latest")
	may := start(t, all, func(w *config.Workers) { w.Preload, w.Pull = []string{"org/B:7b"}, true })
	may.becomes(t, worker, "org/b:7b", "resident")
	if pull := string(worker.Seen()[0].Body); pull != `{"model":"org/B:7b"}` {
		t.Errorf("the registry was asked for %s", pull)
	}
	other, all := one(t, 1, "a:latest")
	mayNot := start(t, all, wants("b"))
	mayNot.becomes(t, other, "b:latest", "failed: the node does not hold the model")
	if len(other.Seen()) != 0 {
		t.Error("a worker was asked to pull")
	}
}

func TestAModelThatAClientHasLetGoIsLoadedAndKeptAgain(t *testing.T) {
	worker, all := one(t, 1, "a:latest")
	p := start(t, all, wants("a"))
	p.becomes(t, worker, "a:latest", "resident")
	for _, body := range []string{`{"model":"a","keep_alive":0}`, `{"model":"a","prompt":"x","keep_alive":300}`} {
		loads := p.count(t, "loaded")
		p.ask(t, "a", body)
		eventually.True(t, "it is loaded again after "+body, func() bool { return p.count(t, "loaded") > loads && len(worker.Loaded()) == 1 })
	}
}

func TestAPinnedModelThatHadToMakeWayComesBackOnceTheOtherHasBeenIdleForAWhile(t *testing.T) {
	worker, all := one(t, 1, "a:latest", "b:latest")
	p := start(t, all, func(w *config.Workers) {
		w.Preload, w.LoadedModels, w.SpreadAfter = []string{"a"}, 1, 300*time.Millisecond
	})
	p.becomes(t, worker, "a:latest", "resident")
	p.ask(t, "b", `{"model":"b"}`)
	used := time.Now()
	p.becomes(t, worker, "a:latest", "failed: the node's memory is taken by models that are in use")
	p.becomes(t, worker, "a:latest", "resident")
	if after := time.Since(used); after < 300*time.Millisecond {
		t.Errorf("the other was driven out after %s", after)
	}
}

func TestPreloadReturnsOnceAModelIsInMemory(t *testing.T) {
	first, second := workertest.Start(t, "a:latest", "b:latest"), workertest.Start(t, "a:latest", "b:latest")
	workers := []*workertest.Worker{first, second}
	for _, worker := range workers {
		worker.Remember(2, 50*time.Millisecond)
	}
	p := start(t, workers, wants("a"))
	p.becomes(t, first, "a:latest", "resident")
	for range 2 {
		if err := p.Preload(t.Context(), "b"); err != nil {
			t.Fatal(err)
		}
	}
	if loads := first.Loads() + second.Loads(); loads != 3 {
		t.Errorf("%d loads: a on both and b on one are 3", loads)
	}
	first.Fail(workertest.Broken)
	if err := p.Preload(t.Context(), "a"); err != nil {
		t.Errorf("it is in memory of the other: %v", err)
	}
	if err := p.Preload(t.Context(), "c"); err == nil || !strings.Contains(err.Error(), "does not hold the model") {
		t.Errorf("a model that is nowhere: %v", err)
	}
}
