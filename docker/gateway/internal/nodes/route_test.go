package nodes_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/eventually"
	"ollamamax/gateway/internal/metrics"
	"ollamamax/gateway/internal/modelname"
	"ollamamax/gateway/internal/nodes"
	"ollamamax/gateway/internal/workertest"
)

var tiny, big = modelname.Canonical("tiny"), modelname.Canonical("big")

// fleet runs a pool over workers, once it knows that they are up.
func fleet(t testing.TB, workers []*workertest.Worker, change func(*config.Workers)) *nodes.Pool {
	t.Helper()
	pool := startWith(t, net.DefaultResolver, func(w *config.Workers) {
		for _, worker := range workers {
			w.Hosts = append(w.Hosts, worker.Address)
		}
		w.SlowStart = 0
		if change != nil {
			change(w)
		}
	})
	eventually.True(t, "all up", func() bool { return len(pool.Healthy()) == len(workers) })
	return pool
}

func claim(t testing.TB, pool *nodes.Pool, want nodes.Want) *nodes.Lease {
	t.Helper()
	lease, err := pool.Acquire(t.Context(), want, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(lease.Release)
	return &lease
}

// ask sends a request for a model to the node of a lease, and ends it.
func ask(lease *nodes.Lease, model string) error {
	defer lease.Release()
	request, err := http.NewRequest(http.MethodPost, lease.Node.URL()+"/api/generate", //nolint:noctx // a test's own worker
		bytes.NewReader(fmt.Appendf(nil, `{"model":%q,"stream":false}`, model)))
	if err != nil {
		return err
	}
	response, err := lease.Node.Transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	lease.Answered(response.StatusCode)
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

func TestARequestGoesWhereItsModelIsLoaded(t *testing.T) {
	loaded, cold := workertest.Start(t, "tiny:latest"), workertest.Start(t, "tiny:latest")
	cold.Remember(1, 0)
	pool := fleet(t, []*workertest.Worker{loaded, cold}, nil)
	for range 20 {
		lease := claim(t, pool, nodes.Want{Model: tiny})
		if lease.Node.Address != loaded.Address {
			t.Fatal("a request went to a node that has to load its model first")
		}
		lease.Release()
	}
}

func TestWhereAllSlotsAreTakenANodeWithRoomLoadsTheModelAsWell(t *testing.T) {
	loaded, cold := workertest.Start(t, "tiny:latest"), workertest.Start(t, "tiny:latest")
	cold.Remember(1, 0)
	pool := fleet(t, []*workertest.Worker{loaded, cold}, func(w *config.Workers) { w.Slots = 2 })
	for i, want := range []string{loaded.Address, loaded.Address, cold.Address, cold.Address} {
		if lease := claim(t, pool, nodes.Want{Model: tiny}); lease.Node.Address != want {
			t.Errorf("request %d went to %s, not %s", i+1, lease.Node.Address, want)
		}
	}
}

func TestAModelMakesWayForAnotherOnlyAfterAWaitAndNeverWhileItWorks(t *testing.T) {
	first, second := workertest.Start(t, "tiny:latest"), workertest.Start(t, "tiny:latest", "big:latest")
	second.Remember(1, 0)
	const spreadAfter = 150 * time.Millisecond
	pool := fleet(t, []*workertest.Worker{first, second}, func(w *config.Workers) {
		w.Slots, w.LoadedModels, w.SpreadAfter, w.WaitForNode = 1, 1, spreadAfter, time.Second
	})
	ours := claim(t, pool, nodes.Want{Model: tiny}) // the slot of the node that has it loaded
	theirs := claim(t, pool, nodes.Want{Model: big})
	if theirs.Node.Address != second.Address {
		t.Fatal("big is on the second node alone")
	}

	answer := make(chan *nodes.Lease, 1)
	go func() { answer <- claim(t, pool, nodes.Want{Model: tiny}) }()
	select {
	case <-answer:
		t.Fatal("a model that works was made to make way")
	case <-time.After(2 * spreadAfter):
	}
	theirs.Release() // big is idle now, and the other has waited for long enough
	if lease := <-answer; lease.Node.Address != second.Address || lease.Waited < spreadAfter {
		t.Errorf("went to %s after %s", lease.Node.Address, lease.Waited)
	}

	began := time.Now()
	pool2 := fleet(t, []*workertest.Worker{first, second}, func(w *config.Workers) {
		w.Slots, w.LoadedModels, w.SpreadAfter, w.WaitForNode = 1, 1, spreadAfter, time.Second
	})
	if err := ask(claim(t, pool2, nodes.Want{Model: big}), "big"); err != nil {
		t.Fatal(err)
	}
	_ = claim(t, pool2, nodes.Want{Model: tiny})
	if lease := claim(t, pool2, nodes.Want{Model: tiny}); lease.Node.Address != second.Address || time.Since(began) < spreadAfter {
		t.Errorf("an idle model made way at once: %s after %s", lease.Node.Address, lease.Waited)
	}
	ours.Release()
}

func TestTwentyModelsOverFourNodesAreLoadedOnceEach(t *testing.T) {
	var models []string
	for i := range 20 {
		models = append(models, fmt.Sprintf("model-%d:latest", i))
	}
	var workers []*workertest.Worker
	for range 4 {
		worker := workertest.Start(t, models...)
		worker.Remember(5, 30*time.Millisecond)
		workers = append(workers, worker)
	}
	pool := fleet(t, workers, func(w *config.Workers) { w.LoadedModels, w.Slots = 5, 16 })
	var wait sync.WaitGroup
	for client := range 16 {
		wait.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(client)))
			for range 40 {
				model := models[random.IntN(len(models))]
				lease, err := pool.Acquire(t.Context(), nodes.Want{Model: modelname.Canonical(model)}, nil)
				if err == nil {
					err = ask(&lease, model)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
	loads := 0
	for _, worker := range workers {
		loads += worker.Loads()
	}
	if loads != 20 {
		t.Errorf("640 requests for 20 models, which fit, made the workers load %d times", loads)
	}
}

func TestThePrefixDecidesOnTheNodeUntilThatOneHasMoreThanItsShare(t *testing.T) {
	var workers []*workertest.Worker
	for range 3 {
		workers = append(workers, workertest.Start(t, "tiny:latest"))
	}
	pool := fleet(t, workers, func(w *config.Workers) { w.Slots = 100 })
	own := claim(t, pool, nodes.Want{Model: tiny, Prefix: 77})
	own.Release()
	for range 10 {
		lease := claim(t, pool, nodes.Want{Model: tiny, Prefix: 77})
		if lease.Node != own.Node {
			t.Fatal("one conversation went to two nodes")
		}
		lease.Release()
	}
	taken := map[*nodes.Node]int{}
	for range 30 {
		taken[claim(t, pool, nodes.Want{Model: tiny, Prefix: 77}).Node]++
	}
	if taken[own.Node] < 10 || taken[own.Node] > 13 || len(taken) != 3 {
		t.Errorf("of 30 at once the prefix's own node has %d, all: %v", taken[own.Node], taken)
	}
}

func TestGatewaysAgreeOnTheNodeOfAPrefix(t *testing.T) {
	var workers []*workertest.Worker
	for range 3 {
		workers = append(workers, workertest.Start(t, "tiny:latest"))
	}
	one, other := fleet(t, workers, nil), fleet(t, workers, nil)
	for prefix := range uint64(20) {
		a, b := claim(t, one, nodes.Want{Model: tiny, Prefix: prefix + 1}), claim(t, other, nodes.Want{Model: tiny, Prefix: prefix + 1})
		if a.Node.Name != b.Node.Name {
			t.Fatalf("prefix %d: %s and %s", prefix, a.Node.Name, b.Node.Name)
		}
		a.Release()
		b.Release()
	}
}

func TestWhoFollowsThePoolIsToldOfADrainOnce(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	told := 0
	pool := nodes.NewPool(config.Default().Workers, metrics.New("test"), log, nil, func() { told++ })
	for _, drained := range [][]string{{"a"}, {"a"}, nil} {
		pool.SetDrained(drained)
	}
	if told != 2 {
		t.Errorf("told of two changes %d times", told)
	}
}

func TestADrainedNodeFinishesWhatItHasAndTakesNothingNew(t *testing.T) {
	first, second := workertest.Start(t, "tiny:latest"), workertest.Start(t, "tiny:latest")
	pool := fleet(t, []*workertest.Worker{first, second}, func(w *config.Workers) { w.WaitForNode = time.Minute })
	before := claim(t, pool, nodes.Want{Model: tiny})
	pool.SetDrained([]string{before.Node.Name, "unheard-of"})
	for range 10 {
		lease := claim(t, pool, nodes.Want{Model: tiny})
		light := claim(t, pool, nodes.Want{Light: true})
		if lease.Node == before.Node || light.Node == before.Node {
			t.Fatal("a drained node got a request")
		}
		lease.Release()
	}
	if taking := pool.Taking(); len(taking) != 1 || len(pool.Healthy()) != 2 || len(pool.Holding(tiny)) != 1 {
		t.Errorf("%d nodes take requests", len(taking))
	}
	before.Answered(200)
	before.Release()

	both := []string{first.Address, second.Address}
	for _, state := range pool.Snapshot() {
		both = append(both, state.Name)
	}
	pool.SetDrained(both)
	answer := make(chan error, 1)
	go func() {
		lease, err := pool.Acquire(t.Context(), nodes.Want{Model: tiny}, nil)
		lease.Release()
		answer <- err
	}()
	eventually.True(t, "a request waits while both are drained", func() bool { return pool.Waiting() == 1 })
	pool.SetDrained(nil)
	if err := <-answer; err != nil {
		t.Errorf("a request that waited while nodes were taken in again: %v", err)
	}
}

func TestANodeThatComesUpGetsItsShareByAndBy(t *testing.T) {
	first, second := workertest.Start(t, "tiny:latest"), workertest.Start(t, "tiny:latest")
	const slowStart = time.Second
	pool := fleet(t, []*workertest.Worker{first, second}, func(w *config.Workers) { w.SlowStart, w.Slots = slowStart, 100 })
	began := time.Now()
	second.Stop()
	eventually.True(t, "one down", func() bool { return len(pool.Healthy()) == 1 })
	time.Sleep(time.Until(began.Add(slowStart))) // a pool that is younger than that can't tell who has just come up
	second.Restart(t)
	eventually.True(t, "the model is loaded there again", func() bool {
		return len(pool.Healthy()) == 2 && len(pool.Snapshot()[0].Loaded)+len(pool.Snapshot()[1].Loaded) == 2
	})
	share := func() (restarted int) {
		var leases []*nodes.Lease
		for range 22 {
			lease := claim(t, pool, nodes.Want{Model: tiny})
			if leases = append(leases, lease); lease.Node.Address == second.Address {
				restarted++
			}
		}
		for _, lease := range leases {
			lease.Release()
		}
		return restarted
	}
	if early := share(); early > 8 {
		t.Errorf("of 22 requests the node that has just come up got %d", early)
	}
	eventually.True(t, "its full share", func() bool { return share() == 11 })
}

func TestAKilledWorkerHasNothingLoadedWhenItIsBack(t *testing.T) {
	first, second := workertest.Start(t, "tiny:latest"), workertest.Start(t, "tiny:latest")
	pool := fleet(t, []*workertest.Worker{first, second}, nil)
	loaded := func() (count int) {
		for _, state := range pool.Snapshot() {
			count += len(state.Loaded)
		}
		return count
	}
	eventually.True(t, "loaded on both", func() bool { return loaded() == 2 })
	second.Stop()
	eventually.True(t, "loaded on one", func() bool { return loaded() == 1 })
	second.Remember(1, 0)
	second.Restart(t)
	eventually.True(t, "both up", func() bool { return len(pool.Healthy()) == 2 })
	if loaded() != 1 {
		t.Error("a new process is taken to have loaded what the old one had")
	}
}
