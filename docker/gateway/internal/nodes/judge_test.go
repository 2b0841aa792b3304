package nodes_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/eventually"
	"ollamamax/gateway/internal/nodes"
	"ollamamax/gateway/internal/workertest"
)

// answer has the node of a new lease answer with these statuses, one after the other.
func answer(t *testing.T, pool *nodes.Pool, want nodes.Want, statuses ...int) {
	t.Helper()
	for _, status := range statuses {
		lease := claim(t, pool, want)
		lease.Answered(status)
		lease.Release()
	}
}

// quick makes breakers open after four requests, for longer than a test takes, and keeps ejection out of the
// way.
func quick(w *config.Workers) {
	w.Breaker = config.Breaker{Window: time.Minute, MinRequests: 4, Failures: 50, OpenFor: time.Minute}
	w.Ejection.Consecutive = 1000
}

const failing = "every worker that has tiny:latest keeps failing it"

func TestAModelThatKeepsFailingIsRefusedAtOnce(t *testing.T) {
	worker := workertest.Start(t, "tiny:latest", "big:latest")
	pool := fleet(t, []*workertest.Worker{worker}, quick)
	want := nodes.Want{Model: tiny}
	answer(t, pool, want, 500, 502, 200, 504)
	soon, cancel := context.WithTimeout(t.Context(), time.Second) // counts for one that waits alone
	defer cancel()
	_, err := pool.Acquire(soon, want, nil)
	var busy *nodes.BusyError
	if !errors.As(err, &busy) || busy.Reason != failing {
		t.Fatal(err)
	}
	if state := pool.Snapshot()[0].Breakers; len(state) != 1 || state["tiny:latest"] != "open" {
		t.Errorf("breakers that are not closed: %v", state)
	}
	answer(t, pool, nodes.Want{Model: big}, 200) // another model goes on
}

func TestAModelThatKeptFailingIsTriedAgainWithOneRequest(t *testing.T) {
	pool := fleet(t, []*workertest.Worker{workertest.Start(t, "tiny:latest")}, func(w *config.Workers) {
		quick(w)
		w.Breaker.OpenFor = 50 * time.Millisecond
	})
	want := nodes.Want{Model: tiny}
	answer(t, pool, want, 500, 502, 200, 504)
	eventually.True(t, "half-open", func() bool { return pool.Snapshot()[0].Breakers["tiny:latest"] == "half-open" })
	trial := claim(t, pool, want)
	served, _ := line(t, pool, want, want) // others wait for what the trial finds
	trial.Answered(500)
	trial.Release()
	for range 2 {
		if text := <-served; text != failing {
			t.Errorf("one that waited for a trial that failed: %q", text)
		}
	}
	eventually.True(t, "half-open again", func() bool { return pool.Snapshot()[0].Breakers["tiny:latest"] == "half-open" })
	left := claim(t, pool, want)
	left.Release() // its client left: it says nothing
	trial = claim(t, pool, want)
	served, release := line(t, pool, want, want)
	trial.Answered(200) // the answer goes on, but those that wait need not
	for range 2 {
		if text := <-served; text != "" {
			t.Errorf("one that waited for a trial that succeeded: %q", text)
		}
		release <- struct{}{}
	}
	if state := pool.Snapshot()[0].Breakers; len(state) != 0 {
		t.Errorf("breakers that are not closed after a good trial: %v", state)
	}
}

func TestSilenceAndBrokenAnswersCountAsFailures(t *testing.T) {
	worker := workertest.Start(t, "tiny:latest")
	pool := fleet(t, []*workertest.Worker{worker}, quick)
	want := nodes.Want{Model: tiny}
	for range 2 {
		silent := claim(t, pool, want)
		silent.TimedOut()
		silent.Release()
	}
	for range 2 {
		broken := claim(t, pool, want)
		broken.Answered(200)
		pool.ReportFailure(broken, errors.New("reset"))
		broken.Release()
		eventually.True(t, "up again", func() bool { return len(pool.Healthy()) == 1 })
	}
	if state := pool.Snapshot()[0].Breakers["tiny:latest"]; state != "open" {
		t.Errorf("the breaker is %q", state)
	}
}

func TestWhileABreakerIsOpenTheOtherNodesServe(t *testing.T) {
	first, second := workertest.Start(t, "tiny:latest"), workertest.Start(t, "tiny:latest")
	pool := fleet(t, []*workertest.Worker{first, second}, quick)
	want := nodes.Want{Model: tiny}
	for range 8 {
		lease := claim(t, pool, want)
		lease.Answered(map[bool]int{true: 500, false: 200}[lease.Node.Address == first.Address])
		lease.Release()
	}
	for range 10 {
		lease := claim(t, pool, want)
		if lease.Node.Address != second.Address {
			t.Fatal("a request went to a node that keeps failing the model")
		}
		lease.Release()
	}
}

func TestANodeThatFailsInARowIsLeftOutForAWhileAndNeverTheLast(t *testing.T) {
	first, second := workertest.Start(t, "tiny:latest"), workertest.Start(t, "tiny:latest", "big:latest")
	pool := fleet(t, []*workertest.Worker{first, second}, func(w *config.Workers) {
		w.Breaker.MinRequests = 1000
		w.Ejection.Consecutive, w.Ejection.Base = 3, time.Second
	})
	fail := func(address string) {
		for range 6 {
			lease := claim(t, pool, nodes.Want{Model: tiny})
			lease.Answered(map[bool]int{true: 500, false: 200}[lease.Node.Address == address])
			lease.Release()
		}
	}
	fail(second.Address)
	for range 10 {
		lease := claim(t, pool, nodes.Want{Model: tiny})
		if lease.Node.Address != first.Address {
			t.Fatal("an ejected node got a request")
		}
		lease.Release()
	}
	// Rather a node that did badly than none: no other has this model.
	lease := claim(t, pool, nodes.Want{Model: big})
	if lease.Node.Address != second.Address {
		t.Error("a request for a model of the ejected node alone went elsewhere")
	}
	lease.Release()
	for range 10 { // the other one can't be left out as well
		answer(t, pool, nodes.Want{Model: tiny}, 500)
	}
	eventually.True(t, "taken in again", func() bool {
		lease := claim(t, pool, nodes.Want{Model: tiny})
		defer lease.Release()
		return lease.Node.Address == second.Address
	})
}

func TestANodeThatDoesWorseThanTheOthersIsLeftOut(t *testing.T) {
	first, second := workertest.Start(t, "tiny:latest"), workertest.Start(t, "tiny:latest")
	pool := fleet(t, []*workertest.Worker{first, second}, func(w *config.Workers) {
		w.Breaker.MinRequests = 1000
		w.Ejection.Interval, w.Ejection.MinRequests = 200*time.Millisecond, 5
	})
	failures := 0
	eventually.True(t, "the one that fails every other request is ejected", func() bool {
		lease := claim(t, pool, nodes.Want{Model: tiny})
		status := 200
		if lease.Node.Address == second.Address {
			if failures++; failures%2 == 0 {
				status = 500
			}
		}
		lease.Answered(status)
		lease.Release()
		for _, state := range pool.Snapshot() {
			if state.Ejected > 0 && state.Address == second.Address {
				return true
			}
		}
		return false
	})
}

func TestAKilledWorkerIsNotLeftOutForWhatItsEndBroke(t *testing.T) {
	first, second := workertest.Start(t, "tiny:latest"), workertest.Start(t, "tiny:latest")
	pool := fleet(t, []*workertest.Worker{first, second}, func(w *config.Workers) { w.Ejection.Consecutive = 2; w.Slots = 50 })
	var broken []*nodes.Lease
	for range 40 {
		if lease := claim(t, pool, nodes.Want{Model: tiny}); lease.Node.Address == second.Address {
			broken = append(broken, lease)
		}
	}
	second.Stop()
	for _, lease := range broken {
		pool.ReportFailure(lease, errors.New("reset"))
		lease.Release()
	}
	eventually.True(t, "down", func() bool { return len(pool.Healthy()) == 1 })
	second.Restart(t)
	eventually.True(t, "up", func() bool { return len(pool.Healthy()) == 2 })
	for _, state := range pool.Snapshot() {
		if state.Ejected > 0 || len(state.Breakers) > 0 {
			t.Errorf("%s is ejected for %s, its breakers: %v", state.Name, state.Ejected, state.Breakers)
		}
	}
}
