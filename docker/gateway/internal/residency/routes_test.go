package residency_test

import (
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/eventually"
	"ollamamax/gateway/internal/workertest"
)

type answer struct {
	Status string
	Error  string
	Nodes  []struct {
		Node     string
		Resident bool
		Error    string
	}
}

// call sends a request to the routes.
func (p part) call(t *testing.T, method, path, body string) (status int, a answer, text string) {
	t.Helper()
	w := httptest.NewRecorder()
	p.routes.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
	lines := strings.Split(strings.TrimSpace(w.Body.String()), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &a); err != nil {
		t.Fatalf("%s %s: %s", method, path, w.Body)
	}
	return w.Code, a, w.Body.String()
}

// several starts workers that hold models, none of which is loaded yet.
func several(t *testing.T, count int, models ...string) []*workertest.Worker {
	t.Helper()
	var workers []*workertest.Worker
	for range count {
		worker := workertest.Start(t, models...)
		worker.Remember(2, 0)
		workers = append(workers, worker)
	}
	return workers
}

func TestAModelIsPreloadedOnSoManyNodesAsAreAskedFor(t *testing.T) {
	workers := several(t, 3, "org/a:7b", "b:latest")
	p := start(t, workers, wants())
	for _, step := range []struct {
		body  string
		loads int
	}{{"", 1}, {`{"copies":1}`, 1}, {`{"copies":2}`, 2}} {
		status, a, text := p.call(t, "POST", "/api/v1/models/org/A:7b/preload", step.body)
		loads := 0
		for _, worker := range workers {
			loads += worker.Loads()
		}
		if status != 200 || a.Status != "success" || len(a.Nodes) != step.loads || !a.Nodes[0].Resident || loads != step.loads {
			t.Errorf("%q: %d %s, %d loads", step.body, status, text, loads)
		}
	}
	if status, _, text := p.call(t, "POST", "/api/v1/models/org/a:7b/preload", `{"copies":4}`); status != 503 || !strings.Contains(text, "3 of 4 nodes can load the model now") {
		t.Errorf("more than there are: %d %s", status, text)
	}
}

func TestWhatIsPreloadedToBeKeptIsPinnedUntilItIsUnloaded(t *testing.T) {
	workers := several(t, 2, "a:latest", "b:latest")
	p := start(t, workers, wants("b"))
	node := p.pool.Snapshot()[0]
	worker := workers[slices.IndexFunc(workers, func(w *workertest.Worker) bool { return w.Address == node.Address })]
	order := `{"nodes":["` + node.Name + `"],"keep":true}`
	if status, _, text := p.call(t, "POST", "/api/v1/models/a/preload", order); status != 200 {
		t.Fatalf("%d %s", status, text)
	}
	p.becomes(t, worker, "a:latest", "resident")
	worker.Stop()
	worker.Remember(2, 0)
	worker.Restart(t)
	eventually.True(t, "the worker has the model again", func() bool { return slices.Contains(worker.Loaded(), "a:latest") })
	p.becomes(t, worker, "a:latest", "resident") // it was, while nobody had noticed that the worker was another

	p.database.mu.Lock()
	p.database.away = true
	p.database.mu.Unlock()
	for _, command := range []string{"preload", "unload"} {
		body := map[string]string{"preload": order}[command]
		if status, a, text := p.call(t, "POST", "/api/v1/models/a/"+command, body); status != 503 || a.Error != "the database does not answer" {
			t.Errorf("%s without the database: %d %s", command, status, text)
		}
	}
	p.database.mu.Lock()
	p.database.away = false
	p.database.mu.Unlock()
	if status, a, text := p.call(t, "POST", "/api/v1/models/a/unload", ""); status != 200 || len(a.Nodes) != 1 {
		t.Errorf("unload: %d %s", status, text)
	}
	if pinned := p.pool.Snapshot()[0].Pinned; len(pinned) != 1 || slices.Contains(worker.Loaded(), "a:latest") {
		t.Errorf("it is still pinned: %v, or loaded: %v", pinned, worker.Loaded())
	}
	if status, _, text := p.call(t, "POST", "/api/v1/models/b/unload", ""); status != 409 || !strings.Contains(text, "the settings keep the model in memory of "+node.Name) {
		t.Errorf("what the settings pin: %d %s", status, text)
	}
}

func TestAModelIsUnpinnedFromANodeThatIsNotThereToo(t *testing.T) {
	p := start(t, several(t, 1, "a:latest"), wants())
	p.database.pinned["left"] = []string{"a"}
	p.pool.SetPinned(p.database.read())
	if status, a, text := p.call(t, "POST", "/api/v1/models/a/unload", ""); status != 200 || len(a.Nodes) != 0 {
		t.Errorf("%d %s", status, text)
	}
	if pinned := p.database.read()["left"]; len(pinned) != 0 {
		t.Errorf("once it comes back it loads %v", pinned)
	}
}

func TestANodeThatIsNamedTwiceIsAskedOnce(t *testing.T) {
	worker := several(t, 1, "a:latest")[0]
	p := start(t, []*workertest.Worker{worker}, wants())
	name := p.pool.Snapshot()[0].Name
	status, a, text := p.call(t, "POST", "/api/v1/models/a/preload", `{"nodes":["`+name+`","`+name+`"]}`)
	if status != 200 || len(a.Nodes) != 1 || worker.Loads() != 1 {
		t.Errorf("%d %s: %d loads", status, text, worker.Loads())
	}
}

func TestTheProgressOfAPreloadIsStreamedWithThePullBeforeIt(t *testing.T) {
	workers := several(t, 2, "b:latest")
	p := start(t, workers, func(w *config.Workers) { w.Pull = true })
	_, a, text := p.call(t, "POST", "/api/v1/models/a/preload", `{"copies":2,"stream":true}`)
	var order []string
	for _, line := range []string{"pulling manifest", `"completed":100`, "loading model", `"status":"success"`} {
		if strings.Count(text, line) != 1 {
			t.Errorf("%q is not there once in %s", line, text)
		}
		order = append(order, line)
	}
	if !slices.IsSortedFunc(order, func(a, b string) int { return strings.Index(text, a) - strings.Index(text, b) }) || len(a.Nodes) != 2 {
		t.Errorf("out of order: %s", text)
	}
	workers[0].Fail(workertest.Broken)
	workers[1].Fail(workertest.Broken)
	if status, a, text := p.call(t, "POST", "/api/v1/models/b/preload", `{"stream":true}`); status != 200 || !strings.HasSuffix(a.Error, "llama runner process has terminated") || a.Status != "" {
		t.Errorf("%d %s", status, text)
	}
}

func TestAnAnswerSaysWhatWentWrongOnWhichNode(t *testing.T) {
	workers := several(t, 2, "a:latest")
	p := start(t, workers, wants())
	states := p.pool.Snapshot()
	broken := workers[slices.IndexFunc(workers, func(w *workertest.Worker) bool { return w.Address == states[1].Address })]
	broken.Fail(workertest.Broken)
	status, a, text := p.call(t, "POST", "/api/v1/models/a/preload", `{"copies":2}`)
	if status != 502 || a.Error != states[1].Name+": llama runner process has terminated" || len(a.Nodes) != 2 {
		t.Errorf("%d %s", status, text)
	}
	for _, test := range []struct {
		path, body string
		status     int
		text       string
	}{
		{"a/preload", `{"nodes":["elsewhere"]}`, 404, "node 'elsewhere' not found"},
		{"c/preload", "", 404, "model 'c' not found"},
		{"c/preload", `{"nodes":["` + states[0].Name + `"]}`, 404, states[0].Name + ": the node does not hold the model"},
		{"a/stop", "", 404, "no such command: a model can be told to preload or to unload"},
		{"a/preload", `{"copy":1}`, 400, `the request body: json: unknown field "copy"`},
		{"a/preload", `{"copies":-1}`, 400, "copies: give a number from 1 on, or name the nodes"},
		{"a/preload", `{"copies":1,"nodes":["` + states[0].Name + `"]}`, 400, "copies: give a number from 1 on, or name the nodes"},
		{"a/unload", `{"keep":true}`, 400, "a model is unloaded from nodes: there is nothing else to say"},
	} {
		if status, a, text := p.call(t, "POST", "/api/v1/models/"+test.path, test.body); status != test.status || a.Error != test.text {
			t.Errorf("%s %s: %d %s", test.path, test.body, status, text)
		}
	}
	p.pool.SetDrained([]string{states[0].Name})
	if status, a, text := p.call(t, "POST", "/api/v1/models/a/preload", `{"nodes":["`+states[0].Name+`"]}`); status != 503 || !strings.Contains(a.Error, "drained") {
		t.Errorf("a drained node: %d %s", status, text)
	}
}

func TestModelsAreListedWithWhereTheyAre(t *testing.T) {
	workers := several(t, 2, "a:latest", "b:latest")
	p := start(t, workers, wants("a"))
	for _, worker := range workers {
		p.becomes(t, worker, "a:latest", "resident")
	}
	p.pool.Refresh(t.Context())
	w := httptest.NewRecorder()
	p.routes.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/api/v1/models", nil))
	var list struct {
		Gateway string
		Models  []struct {
			ID                    string
			Digest                string
			SizeBytes             int64 `json:"size_bytes"`
			MemoryBytes           int64 `json:"memory_bytes"`
			Nodes, Loaded, Pinned []string
			InFlight              *int `json:"in_flight"`
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil {
		t.Fatalf("%s", w.Body)
	}
	if len(list.Models) != 2 || list.Gateway != "gateway-under-test" {
		t.Fatalf("%s", w.Body)
	}
	a, b := list.Models[0], list.Models[1]
	if a.ID != "a:latest" || a.Digest != "digest-of-a:latest" || a.SizeBytes != workertest.Size/10 || a.MemoryBytes != workertest.Size ||
		len(a.Nodes) != 2 || len(a.Loaded) != 2 || len(a.Pinned) != 2 || a.InFlight == nil {
		t.Errorf("a is %+v", a)
	}
	if b.ID != "b:latest" || len(b.Nodes) != 2 || b.Loaded == nil || len(b.Loaded) != 0 || len(b.Pinned) != 0 || b.MemoryBytes != 0 {
		t.Errorf("b is %+v", b)
	}
}
