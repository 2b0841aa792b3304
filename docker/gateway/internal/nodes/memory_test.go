package nodes_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/eventually"
	"ollamamax/gateway/internal/modelname"
	"ollamamax/gateway/internal/nodes"
	"ollamamax/gateway/internal/workertest"
)

// scarce is one node with room for some of the models a, b, c and d.
func scarce(t *testing.T, room int, change func(*config.Workers)) (*workertest.Worker, *nodes.Pool) {
	t.Helper()
	worker := workertest.Start(t, "a:latest", "b:latest", "c:latest", "d:latest")
	worker.Remember(room, 0)
	return worker, fleet(t, []*workertest.Worker{worker}, func(w *config.Workers) {
		w.LoadedModels = room
		if change != nil {
			change(w)
		}
	})
}

// use asks for models, one after the other.
func use(t *testing.T, pool *nodes.Pool, models string) {
	t.Helper()
	for model := range strings.FieldsSeq(models) {
		if err := ask(claim(t, pool, nodes.Want{Model: modelname.Canonical(model)}), model); err != nil {
			t.Fatal(err)
		}
	}
}

func expectLoaded(t *testing.T, worker *workertest.Worker, models string) {
	t.Helper()
	if loaded := strings.ReplaceAll(strings.Join(worker.Loaded(), " "), ":latest", ""); loaded != models {
		t.Errorf("%q are in memory, not %q", loaded, models)
	}
}

// pinned has a model loaded that the settings want in memory.
func pinned(t *testing.T, pool *nodes.Pool) {
	t.Helper()
	eventually.True(t, "what is pinned is loaded", func() bool {
		for _, job := range pool.Due() {
			job.Done(pool.Load(t.Context(), job.Node, modelname.Canonical(job.Model), true, 0))
		}
		return pool.Snapshot()[0].Pinned["a:latest"] == "resident"
	})
}

func TestTheModelThatIdledForLongestMakesWayThoughTheWorkerWouldTakeAnother(t *testing.T) {
	worker, pool := scarce(t, 2, nil)
	use(t, pool, "b a c")
	expectLoaded(t, worker, "a c")
	use(t, pool, "a d")
	expectLoaded(t, worker, "a d")
}

func TestAModelThatIsUsedThroughAnotherGatewayIsNotTheIdlest(t *testing.T) {
	worker, pool := scarce(t, 2, nil)
	other := fleet(t, []*workertest.Worker{worker}, nil)
	use(t, pool, "a b")
	pool.Refresh(t.Context())
	use(t, other, "a")
	pool.Refresh(t.Context())
	use(t, pool, "c")
	expectLoaded(t, worker, "a c")
}

func TestAPinnedModelStaysUnderPressureWhileAnyOtherCanMakeWay(t *testing.T) {
	worker, pool := scarce(t, 2, func(w *config.Workers) { w.Preload = []string{"a"} })
	pinned(t, pool)
	use(t, pool, "b c d b c")
	expectLoaded(t, worker, "a c")

	// Nor does it make way for one that could wait for what works now.
	working := claim(t, pool, nodes.Want{Model: modelname.Canonical("c")})
	answer := make(chan *nodes.Lease, 1)
	go func() { answer <- claim(t, pool, nodes.Want{Model: modelname.Canonical("d")}) }()
	eventually.True(t, "d waits", func() bool { return pool.Waiting() == 1 })
	working.Release()
	if err := ask(<-answer, "d"); err != nil {
		t.Fatal(err)
	}
	expectLoaded(t, worker, "a d")
}

func TestWhereAllIsPinnedARequestIsNotRefusedForIt(t *testing.T) {
	worker, pool := scarce(t, 1, func(w *config.Workers) { w.Preload = []string{"a"} })
	pinned(t, pool)
	use(t, pool, "b")
	expectLoaded(t, worker, "b")
}

func TestAModelThatRunsElsewhereIsNoneThatCouldMakeWay(t *testing.T) {
	worker := workertest.Start(t, "a:latest", "b:latest", "big-cloud")
	worker.Remember(1, 0)
	pool := fleet(t, []*workertest.Worker{worker}, func(w *config.Workers) { w.LoadedModels, w.Preload = 1, []string{"a"} })
	pinned(t, pool)
	elsewhere := claim(t, pool, nodes.Want{Model: modelname.Canonical("big-cloud")})
	defer elsewhere.Release()
	soon, cancel := context.WithTimeout(t.Context(), time.Second) // counts for one that waits for it
	defer cancel()
	lease, err := pool.Acquire(soon, nodes.Want{Model: modelname.Canonical("b")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := ask(&lease, "b"); err != nil {
		t.Fatal(err)
	}
	expectLoaded(t, worker, "b")
}

func TestAModelThatRunsElsewhereHasNothingToLoad(t *testing.T) {
	worker := workertest.Start(t, "big-cloud")
	pool := fleet(t, []*workertest.Worker{worker}, func(w *config.Workers) { w.Preload = []string{"big-cloud"} })
	worker.Fail(workertest.Broken) // as one that may not ask for it without need
	model := modelname.Canonical("big-cloud")
	if jobs := pool.Due(); len(jobs) != 0 || !pool.Resident(model) {
		t.Errorf("%d loads are due", len(jobs))
	}
	if err := pool.Load(t.Context(), pool.Healthy()[0], model, true, 0); err != nil || len(worker.Seen()) != 0 {
		t.Errorf("%v, after %d requests", err, len(worker.Seen()))
	}
	if state := pool.Snapshot()[0].Pinned["big-cloud:latest"]; state != "resident" {
		t.Errorf("its state is %q", state)
	}
}

func TestModelsMakeWayForWhatWouldNotFitTheNodesMemory(t *testing.T) {
	worker, pool := scarce(t, 4, func(w *config.Workers) {
		w.LoadedModels = 0
		w.Memory = 2*workertest.Size + workertest.Size/20 // a model counts with its file's size until it has been seen
	})
	use(t, pool, "b a")
	pool.Refresh(t.Context())
	use(t, pool, "c")
	expectLoaded(t, worker, "a c")
	pool.Refresh(t.Context())
	use(t, pool, "b") // as large as it was when it was last there
	expectLoaded(t, worker, "b c")
}

func TestANodeIsReadyForAPinnedModelOnceItHasLoadedIt(t *testing.T) {
	first, second := workertest.Start(t, "a:latest"), workertest.Start(t, "a:latest")
	for _, worker := range []*workertest.Worker{first, second} {
		worker.Remember(1, 0)
	}
	pool := fleet(t, []*workertest.Worker{first, second}, func(w *config.Workers) { w.Preload = []string{"a"}; w.Slots = 2 })
	model := modelname.Canonical("a")
	jobs := pool.Due()
	if len(jobs) != 2 {
		t.Fatalf("%d loads are due", len(jobs))
	}
	ready, loading := jobs[0], jobs[1]
	ready.Done(pool.Load(t.Context(), ready.Node, model, true, 0))
	release := map[string]*workertest.Worker{first.Address: first, second.Address: second}[loading.Node.Address].Hold()
	done := make(chan error)
	go func() { done <- pool.Load(t.Context(), loading.Node, model, true, 0) }()
	eventually.True(t, "the second load is under way", func() bool { return len(first.Seen())+len(second.Seen()) == 2 })
	for range 2 {
		if lease := claim(t, pool, nodes.Want{Model: model, Prefix: 1}); lease.Node != ready.Node {
			t.Error("a request went to a node that is still loading")
		}
	}
	if lease := claim(t, pool, nodes.Want{Model: model}); lease.Node != loading.Node {
		t.Error("all slots are taken, and a request does not wait where the model is on its way")
	}
	release()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	loading.Done(nil)
	if jobs := pool.Due(); len(jobs) != 0 {
		t.Errorf("%d more loads are due", len(jobs))
	}
	if states := pool.Snapshot(); states[0].Pinned["a:latest"] != "resident" || states[1].Pinned["a:latest"] != "resident" {
		t.Errorf("%+v", states)
	}
}

func TestTheBestNodesForAModelAreThoseThatHaveItThenThoseThatHoldItThenOthers(t *testing.T) {
	loaded, holding, other := workertest.Start(t, "a:latest"), workertest.Start(t, "a:latest"), workertest.Start(t, "b:latest")
	holding.Remember(1, 0)
	pool := fleet(t, []*workertest.Worker{other, holding, loaded}, nil)
	eventually.True(t, "it is known what is loaded", func() bool {
		return len(pool.Best(modelname.Canonical("a"), 1)) == 1 && pool.Resident(modelname.Canonical("a"))
	})
	var addresses []string
	for _, node := range pool.Best(modelname.Canonical("a"), 5) {
		addresses = append(addresses, node.Address)
	}
	if !slices.Equal(addresses, []string{loaded.Address, holding.Address, other.Address}) {
		t.Errorf("%v, of loaded %s, holding %s and other %s", addresses, loaded.Address, holding.Address, other.Address)
	}
}

func TestWhatCanNotBeLoadedIsTriedAgainLater(t *testing.T) {
	worker, pool := scarce(t, 1, func(w *config.Workers) { w.Preload = []string{"a"} })
	job := pool.Due()[0]
	worker.Fail(workertest.Broken)
	err := pool.Load(t.Context(), job.Node, modelname.Canonical("a"), true, 0)
	if err == nil || err.Error() != "llama runner process has terminated" {
		t.Fatalf("%v", err)
	}
	job.Done(err)
	if state := pool.Snapshot()[0].Pinned["a:latest"]; state != "failed: llama runner process has terminated" {
		t.Errorf("the node's state says %q", state)
	}
	if len(pool.Due()) != 0 {
		t.Error("it is tried again at once")
	}
	worker.Fail(workertest.None)
	failed := time.Now()
	pinned(t, pool)
	if after := time.Since(failed); after < 500*time.Millisecond {
		t.Errorf("it was tried again after %s", after)
	}
}

func TestAModelOfTwoNamesIsInMemoryUnderBoth(t *testing.T) {
	worker, pool := scarce(t, 2, func(w *config.Workers) { w.Preload = []string{"a", "b"} })
	worker.SetDigest("one")
	pool.Refresh(t.Context())
	for range 2 {
		for _, job := range pool.Due() {
			job.Done(pool.Load(t.Context(), job.Node, modelname.Canonical(job.Model), true, 0))
		}
	}
	if err := pool.Unload(t.Context(), pool.Healthy()[0], modelname.Canonical("b")); err != nil { // as Ollama, which lists one name
		t.Fatal(err)
	}
	pool.Refresh(t.Context())
	if pinned := pool.Snapshot()[0].Pinned; pinned["a:latest"] != "resident" || !slices.Contains(pool.Snapshot()[0].Loaded, "b:latest") {
		t.Errorf("%v", pool.Snapshot()[0])
	}
}

func TestARequestGoesWhereItsModelIsInMemoryUnderTheNameOfACopy(t *testing.T) {
	first, second := workertest.Start(t, "a:latest", "copy:latest"), workertest.Start(t, "a:latest", "copy:latest")
	for _, worker := range []*workertest.Worker{first, second} {
		worker.Remember(1, 0)
		worker.SetDigest("one")
	}
	pool := fleet(t, []*workertest.Worker{first, second}, nil)
	use(t, fleet(t, []*workertest.Worker{second}, nil), "copy")
	pool.Refresh(t.Context())
	model := modelname.Canonical("a")
	if !pool.Resident(model) {
		t.Error("it is not known to be in memory")
	}
	for range 5 {
		lease := claim(t, pool, nodes.Want{Model: model})
		if lease.Node.Address != second.Address {
			t.Error("a request went where it would have to be loaded")
		}
		lease.Release()
	}
}
