package fleet_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/discovery"
	"ollamamax/gateway/internal/eventually"
	"ollamamax/gateway/internal/fleet"
	"ollamamax/gateway/internal/metrics"
	"ollamamax/gateway/internal/nodes"
	"ollamamax/gateway/internal/openapitest"
	"ollamamax/gateway/internal/store"
	"ollamamax/gateway/internal/workertest"
)

// database is one that can go away.
type database struct {
	mu      sync.Mutex
	away    bool
	names   []string
	drained []string
	pinned  map[string][]string
}

var errAway = errors.New("connection refused")

func (d *database) ListNodes(context.Context) ([]store.Node, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.away {
		return nil, errAway
	}
	var list []store.Node
	for _, name := range d.names {
		list = append(list, store.Node{Name: name, Healthy: true, Drained: slices.Contains(d.drained, name), Models: []string{"tiny:latest"}})
	}
	return list, nil
}

func (d *database) Told(context.Context) ([]string, map[string][]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.away {
		return nil, nil, errAway
	}
	return slices.Clone(d.drained), d.pinned, nil
}

func (d *database) SetDrained(_ context.Context, name string, drained bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.away:
		return errAway
	case !slices.Contains(d.names, name):
		return store.ErrNotFound
	}
	d.drained = slices.DeleteFunc(d.drained, func(other string) bool { return other == name })
	if drained {
		d.drained = append(d.drained, name)
	}
	return nil
}

func (d *database) set(away bool, drained ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.away, d.drained = away, drained
}

// source has the same endpoints all the time.
type source []discovery.Endpoint

func (s source) Run(ctx context.Context, update func(string, []discovery.Endpoint)) {
	update("workers", s)
	<-ctx.Done()
}

type answer struct {
	Name    string
	Gateway string
	Nodes   []struct {
		Name     string
		Healthy  bool
		Drained  bool
		LastSeen *time.Time `json:"last_seen"`
		Models   []string
		Here     *struct {
			Takes  bool `json:"takes_requests"`
			Slots  int
			Loaded []string
		}
	}
}

// build runs a fleet over two workers, of which the database knows a third.
func build(t *testing.T) (*fleet.Fleet, *nodes.Pool, *database, func(method, path string) (int, answer, string)) {
	t.Helper()
	d := &database{names: []string{"pods/a", "pods/b", "pods/elsewhere"}}
	endpoints := source{
		{Name: "pods/a", Address: workertest.Start(t, "tiny:latest").Address},
		{Name: "pods/b", Address: workertest.Start(t, "tiny:latest").Address},
	}
	log := slog.New(slog.DiscardHandler)
	pool := nodes.NewPool(config.Default().Workers, metrics.New("test"), log, endpoints, nil)
	f := fleet.New("gateway-under-test", pool, d, log, func() {})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { pool.Run(ctx) })
	running.Go(func() { f.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	eventually.True(t, "both workers are up", func() bool { return len(pool.Taking()) == 2 })
	mux := http.NewServeMux()
	f.Routes(func(pattern string, handler http.HandlerFunc) { mux.HandleFunc(pattern, handler) })
	return f, pool, d, func(method, path string) (int, answer, string) {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
		openapitest.Check(t, method, path, w.Code, w.Body.Bytes())
		var a answer
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
			t.Fatalf("%s: %v", w.Body, err)
		}
		return w.Code, a, w.Body.String()
	}
}

func TestNodesAreListedAsTheDatabaseAndThisGatewayKnowThem(t *testing.T) {
	_, _, _, ask := build(t)
	status, list, text := ask("GET", "/api/v1/nodes")
	if status != 200 || list.Gateway != "gateway-under-test" || len(list.Nodes) != 3 {
		t.Fatalf("%d %s", status, text)
	}
	first, elsewhere := list.Nodes[0], list.Nodes[2]
	if first.Here == nil || !first.Here.Takes || first.Here.Slots != 4 || !slices.Equal(first.Here.Loaded, []string{"tiny:latest"}) || first.LastSeen == nil {
		t.Errorf("a node that this gateway knows: %s", text)
	}
	if elsewhere.Name != "pods/elsewhere" || elsewhere.Here != nil {
		t.Errorf("a node that it does not know: %s", text)
	}
}

func TestADrainedNodeTakesNothingUntilItIsTakenInAgain(t *testing.T) {
	_, pool, d, ask := build(t)
	status, node, text := ask("POST", "/api/v1/nodes/pods/a/drain")
	if taking := pool.Taking(); status != 200 || node.Name != "pods/a" || !strings.Contains(text, `"drained":true`) || len(taking) != 1 || taking[0].Name != "pods/b" {
		t.Fatalf("drain: %d %s", status, text)
	}
	d.set(true, "pods/a")
	if status, _, text := ask("POST", "/api/v1/nodes/pods/a/undrain"); status != 503 || text != `{"error":"the database does not answer"}` {
		t.Errorf("undrain without the database: %d %s", status, text)
	}
	d.set(false, "pods/a")
	if status, _, text := ask("POST", "/api/v1/nodes/pods/a/undrain"); status != 200 || len(pool.Taking()) != 2 {
		t.Errorf("undrain: %d %s", status, text)
	}
	for path, want := range map[string]string{
		"/api/v1/nodes/pods/c/drain": `{"error":"node 'pods/c' not found"}`,
		"/api/v1/nodes/pods/a/stop":  `{"error":"no such command: a node can be told to drain or to undrain"}`,
	} {
		if status, _, text := ask("POST", path); status != 404 || text != want {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
}

func TestWhatAnotherGatewayDrainsIsDrainedHereAndStaysSoWhileTheDatabaseIsAway(t *testing.T) {
	f, pool, d, ask := build(t)
	d.set(false, "pods/b")
	f.Invalidate()
	eventually.True(t, "the other gateway's drain is known", func() bool { return len(pool.Taking()) == 1 })
	d.set(true)
	if err := f.Read(t.Context()); !errors.Is(err, errAway) {
		t.Fatal(err)
	}
	status, list, text := ask("GET", "/api/v1/nodes")
	if status != 200 || len(list.Nodes) != 2 || !list.Nodes[1].Drained || list.Nodes[1].LastSeen != nil || !slices.Equal(list.Nodes[0].Models, []string{"tiny:latest"}) {
		t.Errorf("without the database: %d %s", status, text)
	}
	if len(pool.Taking()) != 1 {
		t.Error("a drained node is taken in again because the database is away")
	}
}

func TestWhatNodesAreToKeepInMemoryIsReadAndListed(t *testing.T) {
	f, _, d, ask := build(t)
	d.mu.Lock()
	d.pinned = map[string][]string{"pods/a": {"tiny:latest", "big:7b"}}
	d.mu.Unlock()
	f.Changed(t.Context())
	_, _, text := ask("GET", "/api/v1/nodes")
	if want := `"pinned":{"big:7b":"loading","tiny:latest":"loading"}`; !strings.Contains(text, want) {
		t.Errorf("%s is not in %s", want, text)
	}
	d.set(true)
	if err := f.Read(t.Context()); !errors.Is(err, errAway) {
		t.Fatal(err)
	}
	if _, _, text := ask("GET", "/api/v1/nodes"); !strings.Contains(text, `"big:7b":"loading"`) {
		t.Errorf("without the database: %s", text)
	}
}
