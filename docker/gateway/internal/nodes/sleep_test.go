package nodes_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/discovery"
	"ollamamax/gateway/internal/eventually"
	"ollamamax/gateway/internal/metrics"
	"ollamamax/gateway/internal/nodes"
	"ollamamax/gateway/internal/workertest"
)

const sleeps = "registry.ollama.ai/library/large:latest"

var nobody = &net.DNSError{Err: "no such host", IsNotFound: true}

// sleeping is a pool of a worker that is there, and of the host "sleeper", which has none.
type sleeping struct {
	*nodes.Pool
	metrics *metrics.Metrics
	dns     *names
	worker  *workertest.Worker // that is to be started
}

// wake starts the worker.
func (s *sleeping) wake(t *testing.T) {
	t.Helper()
	host, _, err := net.SplitHostPort(s.worker.Address)
	if err != nil {
		t.Fatal(err)
	}
	s.dns.set(nil, map[string][]netip.Addr{"sleeper": {netip.MustParseAddr(host)}})
}

// gauge returns a metric of the pool of that worker.
func (s *sleeping) gauge(t *testing.T, name, label string) float64 {
	t.Helper()
	return gathered(t, s.metrics, name, label).GetGauge().GetValue()
}

func asleep(t *testing.T, change func(*config.Workers)) *sleeping {
	t.Helper()
	dns := &names{}
	dns.set(nobody, nil)
	worker := workertest.Start(t, "large:latest")
	_, port, err := net.SplitHostPort(worker.Address)
	if err != nil {
		t.Fatal(err)
	}
	there := workertest.Start(t, "tiny:latest").Address
	settings := config.Default().Workers
	settings.ResolveInterval, settings.HealthInterval = 10*time.Millisecond, 10*time.Millisecond
	sleeper := "sleeper:" + port
	settings.Hosts = []string{there, sleeper}
	settings.Limits = []config.Limit{
		{Host: there, Pool: "small", Slots: 1, LoadedModels: 1, Preload: []string{"tiny"}},
		{Host: sleeper, Pool: "large", Slots: 1, LoadedModels: 1, Preload: []string{"large"}, ColdStart: time.Minute},
	}
	if change != nil {
		change(&settings)
	}
	m := metrics.New("test")
	log := slog.New(slog.DiscardHandler)
	source := discovery.NewNames(settings, either{dns}, log)
	pool := nodes.NewPool(settings, m, log, source, nil)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); pool.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	eventually.True(t, "the worker that is there", func() bool { return len(pool.Holding(tiny)) == 1 })
	return &sleeping{pool, m, dns, worker}
}

// either looks addresses up as ever, and names in dns.
type either struct{ dns *names }

func (e either) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if _, err := netip.ParseAddr(host); err == nil {
		return net.DefaultResolver.LookupNetIP(ctx, network, host)
	}
	found, err := e.dns.LookupNetIP(ctx, network, host)
	if half := (halfError{}); errors.As(err, &half) && network == "ip6" {
		return nil, nobody
	}
	return found, err
}

// halfError is an error of a DNS server that still says, truly, that a name has no address of IPv6.
type halfError struct{ error }

func TestAGatewayIsReadyWithoutAWorkerOnlyWhereOneComesOnceItIsAskedFor(t *testing.T) {
	for _, coldStart := range []time.Duration{0, time.Minute} {
		settings := config.Default().Workers
		settings.Limits = []config.Limit{{Host: "sleeper:1", Preload: []string{"large"}, ColdStart: coldStart}}
		log := slog.New(slog.DiscardHandler)
		pool := nodes.NewPool(settings, metrics.New("test"), log, discovery.NewNames(settings, &names{}, log), nil)
		if ready := pool.Ready(); ready != (coldStart > 0) {
			t.Errorf("with a cold start of %s: %v", coldStart, ready)
		}
	}
	if s := asleep(t, func(w *config.Workers) { w.Limits[1].ColdStart = 0 }); !s.Ready() {
		t.Error("it has a worker, and is not ready")
	}
}

func TestARequestForAModelWithoutAWorkerWaitsUntilOneIsStarted(t *testing.T) {
	s := asleep(t, func(w *config.Workers) { w.WaitForNode = time.Millisecond })
	got, _ := line2(t, s.Pool, nodes.Want{Model: sleeps, Key: "a"}, 1)
	if load := s.gauge(t, "ollamamax_pool_load", "large"); load != 1 {
		t.Errorf("the pool that nobody is in has a load of %v", load)
	}
	if asked := gathered(t, s.metrics, "ollamamax_pool_requests_total", "large").GetCounter().GetValue(); asked != 1 {
		t.Errorf("%v requests asked for it", asked)
	}
	if depth := s.gauge(t, "ollamamax_queue_depth", "large:latest"); depth != 1 {
		t.Errorf("%v wait", depth)
	}
	s.wake(t)
	if err := <-got; err != "<nil>" {
		t.Errorf("once a worker is there: %s", err)
	}
	eventually.True(t, "nothing to do", func() bool {
		return s.gauge(t, "ollamamax_pool_load", "large") == 0
	})
	if wait := gathered(t, s.metrics, "ollamamax_slot_wait_seconds", "large:latest").GetHistogram().GetSampleCount(); wait != 0 {
		t.Error("the start of a worker counts as a wait for a slot, which asks for more workers")
	}
}

func TestARequestThatIsTriedAgainAsksAPoolOnce(t *testing.T) {
	s := asleep(t, nil)
	want := nodes.Want{Model: tiny}
	lease := claim(t, s.Pool, want)
	gone, leave := context.WithCancel(t.Context())
	leave()
	if _, err := s.Acquire(gone, want, lease); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if asked := gathered(t, s.metrics, "ollamamax_pool_requests_total", "small").GetCounter().GetValue(); asked != 1 {
		t.Errorf("%v requests asked for it", asked)
	}
}

func TestOneThatOnlyAsksWhatAModelIsWaitsForItsWorkerTooAndIsSentToNoOther(t *testing.T) {
	s := asleep(t, nil)
	got, _ := line2(t, s.Pool, nodes.Want{Model: sleeps, Light: true}, 1)
	s.wake(t)
	if err := <-got; err != "<nil>" {
		t.Error(err)
	}
}

func TestAWorkerThatDoesNotStartInTimeIsWaitedForNoLonger(t *testing.T) {
	s := asleep(t, func(w *config.Workers) {
		w.WaitForNode, w.SpreadAfter = time.Millisecond, time.Millisecond
		w.Limits[1].ColdStart = 20 * time.Millisecond
	})
	_, err := s.Acquire(t.Context(), nodes.Want{Model: sleeps}, nil)
	var busy *nodes.BusyError
	if !errors.As(err, &busy) || busy.Reason != "no worker that has large:latest was started within 20ms" || busy.RetryAfterSeconds() != "60" {
		t.Errorf("%v", err)
	}
	if refused := gathered(t, s.metrics, "ollamamax_queue_refused_total", "cold").GetCounter().GetValue(); refused != 1 || s.Waiting() != 0 {
		t.Errorf("%v refused, %d still wait", refused, s.Waiting())
	}
}

func TestWhoWaitsForAWorkerKeepsToTheQueuesBoundsAndLeavesItAtOnce(t *testing.T) {
	s := asleep(t, func(w *config.Workers) { w.Queue = config.Queue{Total: 1, PerKey: 1, MaxWait: time.Minute} })
	got, leave := line2(t, s.Pool, nodes.Want{Model: sleeps, Key: "a"}, 1)
	_, err := s.Acquire(t.Context(), nodes.Want{Model: sleeps, Key: "b"}, nil)
	var busy *nodes.BusyError
	if !errors.As(err, &busy) || !strings.Contains(busy.Reason, "the queue is full") || busy.RetryAfterSeconds() != "60" {
		t.Errorf("beyond the queue: %v", err)
	}
	leave()
	if err := <-got; err != context.Canceled.Error() || s.Waiting() != 0 {
		t.Errorf("%s, %d still wait", err, s.Waiting())
	}
	if load := s.gauge(t, "ollamamax_pool_load", "large"); load != 0 {
		t.Errorf("a client that has left is a load of %v", load)
	}
}

func TestAModelThatIsAwayIsKnownAndListedAsItWasLast(t *testing.T) {
	s := asleep(t, nil)
	if model, known := s.Known(sleeps); !known || model.Canonical != sleeps || len(s.Asleep()) != 0 {
		t.Errorf("before any worker was there it is %v, %v", model, known)
	}
	s.wake(t)
	eventually.True(t, "awake", func() bool { return len(s.Holding(sleeps)) == 1 })
	if len(s.Asleep()) != 0 {
		t.Error("it is asleep while a worker has it")
	}
	s.dns.set(nobody, nil)
	eventually.True(t, "asleep", func() bool { return len(s.Asleep()) == 1 })
	if last := s.Asleep()[0]; last.Digest == "" || last.Raw == nil {
		t.Errorf("nothing is known of it but %v", last)
	}
	if names := nodeNames(s.Pool); strings.Contains(names, "sleeper") {
		t.Errorf("another pod can have its address now, and it is still among %s", names)
	}
}

func TestABrokenDNSServerTakesNoWorkerAway(t *testing.T) {
	s := asleep(t, nil)
	s.wake(t)
	eventually.True(t, "awake", func() bool { return len(s.Holding(sleeps)) == 1 })
	misbehaving := &net.DNSError{Err: "server misbehaving", IsTemporary: true}
	for _, broken := range []error{errors.New("refused"), misbehaving, halfError{misbehaving}} {
		s.dns.set(broken, nil)
		for range 10 {
			if len(s.Holding(sleeps)) != 1 {
				t.Fatalf("the worker was dropped: %v", broken)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
}

func TestARequestThatAnotherModelCanAnswerDoesNotWaitForAStart(t *testing.T) {
	s := asleep(t, nil)
	if _, err := s.Acquire(t.Context(), nodes.Want{Model: sleeps, Elsewhere: true}, nil); !errors.Is(err, nodes.ErrNoNode) {
		t.Errorf("%v", err)
	}
}

func TestWhatTheGatewayLoadsItselfIsNoLoadOfThePool(t *testing.T) {
	s := asleep(t, nil)
	release := s.worker.Hold()
	defer release()
	s.wake(t)
	eventually.True(t, "awake", func() bool { return len(s.Holding(sleeps)) == 1 })
	node := s.Holding(sleeps)[0]
	loaded := make(chan error, 1)
	go func() { loaded <- s.Load(t.Context(), node, sleeps, true, 0) }()
	eventually.True(t, "it is asked to load", func() bool { return len(s.worker.Seen()) == 1 })
	if load := s.gauge(t, "ollamamax_pool_load", "large"); load != 0 {
		t.Errorf("a load of %v while a model is loaded that nobody asks for", load)
	}
	release()
	if err := <-loaded; err != nil {
		t.Fatal(err)
	}
	lease := claim(t, s.Pool, nodes.Want{Model: sleeps})
	if load := s.gauge(t, "ollamamax_pool_load", "large"); load != 1 {
		t.Errorf("one request is a load of %v", load)
	}
	lease.Release()
	if load := s.gauge(t, "ollamamax_pool_load", "large"); load != 0 {
		t.Errorf("nothing to do is a load of %v", load)
	}
}
