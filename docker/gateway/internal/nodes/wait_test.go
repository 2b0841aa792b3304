package nodes_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/discovery"
	"ollamamax/gateway/internal/eventually"
	"ollamamax/gateway/internal/metrics"
	"ollamamax/gateway/internal/metricstest"
	"ollamamax/gateway/internal/nodes"
	"ollamamax/gateway/internal/workertest"
)

// oneSlot runs a pool over one worker with one slot a model, and returns the lease that has it.
func oneSlot(t *testing.T, change func(*config.Workers)) (*nodes.Pool, *nodes.Lease) {
	t.Helper()
	pool := fleet(t, []*workertest.Worker{workertest.Start(t, "tiny:latest")}, func(w *config.Workers) {
		w.Slots = 1
		if change != nil {
			change(w)
		}
	})
	return pool, claim(t, pool, nodes.Want{Model: tiny})
}

// line lets requests wait, in this order, and returns the channel on which each says that it has its slot,
// which it gives back once release is read from.
func line(t *testing.T, pool *nodes.Pool, wants ...nodes.Want) (served <-chan string, release chan<- struct{}) {
	t.Helper()
	names, next := make(chan string, len(wants)), make(chan struct{})
	for i, want := range wants {
		go func() {
			lease, err := pool.Acquire(t.Context(), want, nil)
			if err != nil {
				names <- err.Error()
				return
			}
			names <- want.Key
			<-next
			lease.Release()
		}()
		eventually.True(t, "in the queue", func() bool { return pool.Waiting() == i+1 })
	}
	return names, next
}

func key(name string) nodes.Want { return nodes.Want{Model: tiny, Key: name} }

func TestKeysTakeTurnsForASlot(t *testing.T) {
	pool, lease := oneSlot(t, nil)
	served, release := line(t, pool, key("many"), key("many"), key("many"), key("few"))
	lease.Release()
	var order []string
	for range 4 {
		order = append(order, <-served)
		release <- struct{}{}
	}
	if !slices.Equal(order, []string{"many", "few", "many", "many"}) {
		t.Errorf("served %v", order)
	}
}

func TestAHigherPriorityIsServedMoreOften(t *testing.T) {
	pool, lease := oneSlot(t, nil)
	low, high := key("low"), key("high")
	low.Priority, high.Priority = nodes.Low, 99
	served, release := line(t, pool, low, low, high, high, high)
	lease.Release()
	order := ""
	for range 5 {
		order += <-served + " "
		release <- struct{}{}
	}
	if order != "high high low high low " {
		t.Errorf("served %s", order)
	}
}

func TestOneSlotThatIsFreedWakesExactlyOne(t *testing.T) {
	pool, lease := oneSlot(t, nil)
	wants := make([]nodes.Want, 20)
	for i := range wants {
		wants[i] = key("key")
	}
	served, release := line(t, pool, wants...)
	lease.Release()
	<-served
	for range 19 {
		if waiting := pool.Waiting(); waiting+len(served) > 19 || len(served) > 0 {
			t.Fatalf("%d wait, %d more were served", waiting, len(served))
		}
		release <- struct{}{}
		<-served
	}
	release <- struct{}{}
}

func TestTheQueueIsBoundedInAllAndByKey(t *testing.T) {
	pool, lease := oneSlot(t, func(w *config.Workers) { w.Queue = config.Queue{Total: 3, PerKey: 2, MaxWait: time.Minute} })
	served, release := line(t, pool, key("a"), key("a"))
	var busy *nodes.BusyError
	_, err := pool.Acquire(t.Context(), key("a"), nil)
	if !errors.As(err, &busy) || busy.Reason != "the workers are busy and 2 requests of this key wait already" {
		t.Errorf("the third request of a key: %v", err)
	}
	last, _ := line2(t, pool, key("b"), 3)
	_, err = pool.Acquire(t.Context(), key("c"), nil)
	if !errors.As(err, &busy) || busy.Reason != "the workers are busy and the queue is full: 3 requests wait" || busy.RetryAfterSeconds() != "1" {
		t.Errorf("the fourth request: %v", err)
	}
	// One that is tried again has been let in before.
	again, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := pool.Acquire(again, key("a"), &nodes.Lease{Node: &nodes.Node{}}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a repeated request: %v", err)
	}
	lease.Release()
	for range 2 {
		<-served
		release <- struct{}{}
	}
	<-last
}

// line2 lets one more request wait, and end as soon as it has its slot.
func line2(t *testing.T, pool *nodes.Pool, want nodes.Want, waiting int) (<-chan string, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan string, 1)
	go func() {
		lease, err := pool.Acquire(ctx, want, nil)
		lease.Release()
		done <- fmt.Sprint(err)
	}()
	eventually.True(t, "in the queue", func() bool { return pool.Waiting() == waiting })
	return done, cancel
}

func TestAClientThatLeavesFreesItsPlaceAtOnce(t *testing.T) {
	pool, lease := oneSlot(t, func(w *config.Workers) { w.Queue = config.Queue{Total: 1, PerKey: 1, MaxWait: time.Minute} })
	left, leave := line2(t, pool, key("a"), 1)
	leave()
	if err := <-left; err != context.Canceled.Error() {
		t.Errorf("one that left: %s", err)
	}
	stayed, _ := line2(t, pool, key("a"), 1)
	lease.Release()
	if err := <-stayed; err != "<nil>" {
		t.Errorf("the one that took its place: %s", err)
	}
}

func TestASlotGivenToAClientThatLeavesInTheSameMomentIsNotLost(t *testing.T) {
	pool, lease := oneSlot(t, nil)
	for range 200 {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			if got, err := pool.Acquire(ctx, key("a"), nil); err == nil {
				got.Release()
			}
		}()
		eventually.True(t, "in the queue", func() bool { return pool.Waiting() == 1 })
		go cancel()
		lease.Release()
		<-done
		lease = claim(t, pool, key("a"))
	}
}

func TestAWaitForASlotEndsAfterTheLongestWithAnEstimate(t *testing.T) {
	began := time.Now()
	pool, lease := oneSlot(t, func(w *config.Workers) { w.Queue.MaxWait = 50 * time.Millisecond })
	var busy *nodes.BusyError
	_, err := pool.Acquire(t.Context(), key("a"), nil)
	if !errors.As(err, &busy) || busy.Reason != "the workers are busy: no slot became free within 50ms" {
		t.Errorf("after the longest wait: %v", err)
	}
	const least = 600 * time.Millisecond
	time.Sleep(least) // so long the slot is held
	lease.Release()
	most := time.Since(began)
	_ = claim(t, pool, key("a"))
	_, err = pool.Acquire(t.Context(), key("a"), nil)
	if !errors.As(err, &busy) || busy.RetryAfter < 2*least || busy.RetryAfter > 2*most {
		t.Errorf("told to wait %s where a slot is held for %s to %s and one waits: %v", busy.RetryAfter, least, most, err)
	}
	if seconds := (&nodes.BusyError{RetryAfter: 2001 * time.Millisecond}).RetryAfterSeconds(); seconds != "3" {
		t.Errorf("2.001 s are %s s", seconds)
	}
}

func TestALightRequestWaitsForNoSlot(t *testing.T) {
	pool, _ := oneSlot(t, nil)
	for _, want := range []nodes.Want{{Model: tiny, Light: true}, {Light: true}, {Model: "unheard-of"}} {
		lease := claim(t, pool, want)
		if lease.Waited != 0 {
			t.Errorf("%+v waited %s", want, lease.Waited)
		}
	}
}

func TestARequestThatAnotherModelCouldAnswerDoesNotWaitForANodeThatIsDown(t *testing.T) {
	worker := workertest.Start(t, "tiny:latest")
	pool := fleet(t, []*workertest.Worker{worker}, func(w *config.Workers) { w.WaitForNode = time.Minute })
	if !pool.Serves(tiny) || pool.Serves(big) {
		t.Errorf("tiny is served: %v, big, which is nowhere: %v", pool.Serves(tiny), pool.Serves(big))
	}
	worker.Stop()
	eventually.True(t, "down", func() bool { return len(pool.Healthy()) == 0 })
	if pool.Serves(tiny) {
		t.Error("a model is served whose node is down")
	}
	began := time.Now()
	if _, err := pool.Acquire(t.Context(), nodes.Want{Model: tiny, Elsewhere: true}, nil); !errors.Is(err, nodes.ErrNoNode) {
		t.Errorf("%v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it waited %v", took)
	}
}

func TestASlotOfOneModelIsNoSlotOfAnother(t *testing.T) {
	worker := workertest.Start(t, "tiny:latest", "big:latest")
	pool := fleet(t, []*workertest.Worker{worker}, func(w *config.Workers) { w.Slots = 1 })
	_ = claim(t, pool, nodes.Want{Model: tiny})
	_ = claim(t, pool, nodes.Want{Model: big})
	waiting, leave := line2(t, pool, nodes.Want{Model: big}, 1)
	leave()
	<-waiting
}

func TestHostsHaveTheirOwnSlots(t *testing.T) {
	small, large := workertest.Start(t, "tiny:latest"), workertest.Start(t, "tiny:latest")
	pool := fleet(t, []*workertest.Worker{small, large}, func(w *config.Workers) {
		w.Slots, w.Limits = 1, []config.Limit{{Host: large.Address, Slots: 3}}
	})
	taken := map[string]int{}
	for range 4 {
		taken[claim(t, pool, nodes.Want{Model: tiny}).Node.Address]++
	}
	if taken[small.Address] != 1 || taken[large.Address] != 3 {
		t.Errorf("slots taken: %v", taken)
	}
}

func TestGatewaysDivideTheSlots(t *testing.T) {
	pool := fleet(t, []*workertest.Worker{workertest.Start(t, "tiny:latest")}, func(w *config.Workers) { w.Slots = 4 })
	for _, c := range []struct{ gateways, slots int }{{2, 2}, {3, 2}, {50, 1}, {1, 4}} {
		pool.SetGateways(c.gateways)
		if slots := pool.Snapshot()[0].Slots; slots != c.slots {
			t.Errorf("each of %d gateways has %d slots of 4", c.gateways, slots)
		}
	}
	pool.SetGateways(2)
	_, _ = claim(t, pool, key("a")), claim(t, pool, key("a"))
	waits, _ := line2(t, pool, key("a"), 1)
	pool.SetGateways(1) // the other one left: its slots are ours
	if err := <-waits; err != "<nil>" {
		t.Errorf("one that waited for a slot of the gateway that left: %s", err)
	}
}

// measured runs a pool over one worker with one slot, which is taken, and returns its metrics.
func measured(t *testing.T, maxWait time.Duration) (*nodes.Pool, *metrics.Metrics) {
	t.Helper()
	settings := config.Default().Workers
	settings.Hosts, settings.Slots, settings.Queue.MaxWait = []string{workertest.Start(t, "tiny:latest").Address}, 1, maxWait
	m := metrics.New("test")
	log := slog.New(slog.DiscardHandler)
	pool := nodes.NewPool(settings, m, log, discovery.NewNames(settings, net.DefaultResolver, log), nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); pool.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	eventually.True(t, "up", func() bool { return len(pool.Holding(tiny)) == 1 })
	_ = claim(t, pool, nodes.Want{Model: tiny})
	return pool, m
}

func TestEveryWaitForASlotIsObserved(t *testing.T) {
	const maxWait = 60 * time.Millisecond
	pool, m := measured(t, maxWait)
	_, _ = pool.Acquire(t.Context(), key("late"), nil)
	_ = claim(t, pool, nodes.Want{Model: tiny, Light: true})
	wait := gathered(t, m, "ollamamax_slot_wait_seconds", "tiny:latest").GetHistogram()
	if wait.GetSampleCount() != 2 || wait.GetBucket()[0].GetCumulativeCount() != 1 || wait.GetSampleSum() < maxWait.Seconds() {
		t.Errorf("observed %v", wait)
	}
	if refused := gathered(t, m, "ollamamax_queue_refused_total", "timeout").GetCounter().GetValue(); refused != 1 {
		t.Errorf("%v refused after the longest wait", refused)
	}
	if inFlight := gathered(t, m, "ollamamax_in_flight", "127.0.0.1").GetGauge().GetValue(); inFlight != 2 {
		t.Errorf("%v in flight", inFlight)
	}
}

func TestTheDepthOfTheQueueIsShownAndTheWaitOfOneThatLeavesIsObserved(t *testing.T) {
	pool, m := measured(t, time.Minute)
	left, leave := line2(t, pool, key("left"), 1)
	depth := func() float64 {
		return gathered(t, m, "ollamamax_queue_depth", "tiny:latest").GetGauge().GetValue()
	}
	if waiting := depth(); waiting != 1 {
		t.Errorf("depth of the queue: %v", waiting)
	}
	leave()
	<-left
	if count := gathered(t, m, "ollamamax_slot_wait_seconds", "tiny:latest").GetHistogram().GetSampleCount(); count != 2 || depth() != 0 {
		t.Errorf("%d waits are observed, %v wait", count, depth())
	}
}

// gathered returns a metric that has this value among its labels.
func gathered(t *testing.T, m *metrics.Metrics, name, label string) *dto.Metric {
	t.Helper()
	for _, metric := range metricstest.Read(t, m.Handler())[name].GetMetric() {
		for _, pair := range metric.GetLabel() {
			if pair.GetValue() == label {
				return metric
			}
		}
	}
	t.Fatalf("no %s of %s", name, label)
	return nil
}

func TestManyClientsShareFewSlotsWithoutLosingOne(t *testing.T) {
	worker := workertest.Start(t, "tiny:latest")
	pool := fleet(t, []*workertest.Worker{worker}, func(w *config.Workers) { w.Slots = 3 })
	var under, most, done atomic.Int64
	finished := make(chan struct{})
	for range 30 {
		go func() {
			for range 50 {
				lease, err := pool.Acquire(t.Context(), key("key"), nil)
				if err != nil {
					t.Error(err)
					break
				}
				if n := under.Add(1); n > most.Load() {
					most.Store(n)
				}
				under.Add(-1)
				lease.Answered(200)
				lease.Release()
			}
			if done.Add(1) == 30 {
				close(finished)
			}
		}()
	}
	<-finished
	if most.Load() > 3 || pool.Waiting() != 0 || pool.Snapshot()[0].InFlight != 0 {
		t.Errorf("%d at once, %d wait, %d in flight", most.Load(), pool.Waiting(), pool.Snapshot()[0].InFlight)
	}
}
