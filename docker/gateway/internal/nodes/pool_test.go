package nodes_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/discovery"
	"ollamamax/gateway/internal/eventually"
	"ollamamax/gateway/internal/metrics"
	"ollamamax/gateway/internal/modelname"
	"ollamamax/gateway/internal/nodes"
	"ollamamax/gateway/internal/workertest"
)

// names is a DNS server whose answers change.
type names struct {
	mu        sync.Mutex
	addresses map[string][]netip.Addr
	err       error
}

func (n *names) LookupNetIP(_ context.Context, network, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.err != nil {
		return nil, n.err
	}
	if network != "ip4" {
		return nil, errors.New("no such host")
	}
	return n.addresses[host], nil
}

func (n *names) set(err error, addresses map[string][]netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.err, n.addresses = err, addresses
}

func loopback(last byte) netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 0, last}) }

// start runs a pool over hosts. Go's own resolver asks nobody for those that are addresses.
func start(t testing.TB, resolver discovery.Resolver, hosts ...string) *nodes.Pool {
	t.Helper()
	return startWith(t, resolver, func(w *config.Workers) { w.Hosts = hosts })
}

// startWith runs a pool with quick checks until the test ends.
func startWith(t testing.TB, resolver discovery.Resolver, change func(*config.Workers)) *nodes.Pool {
	t.Helper()
	settings := config.Default().Workers
	settings.ResolveInterval = 20 * time.Millisecond
	settings.HealthInterval = 20 * time.Millisecond
	settings.WaitForNode = 200 * time.Millisecond
	change(&settings)
	return startFrom(t, discovery.NewNames(settings, resolver, slog.New(slog.DiscardHandler)), settings)
}

// startFrom runs a pool over what a source knows until the test ends.
func startFrom(t testing.TB, source discovery.Source, settings config.Workers) *nodes.Pool {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	pool := nodes.NewPool(settings, metrics.New("test"), log, source, nil)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); pool.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return pool
}

func nodeNames(pool *nodes.Pool) string {
	text := ""
	for _, state := range pool.Snapshot() {
		text += state.Name + " "
	}
	return text
}

func TestANameWithSeveralAddressesIsSeveralNodesAndFollowsItsAnswers(t *testing.T) {
	dns := &names{}
	dns.set(nil, map[string][]netip.Addr{"worker": {loopback(1)}})
	pool := start(t, dns, "worker:1")
	eventually.True(t, "one node by its host's name", func() bool { return nodeNames(pool) == "worker " })
	dns.set(nil, map[string][]netip.Addr{"worker": {loopback(3), loopback(2), loopback(3)}})
	eventually.True(t, "two nodes, each address once", func() bool { return nodeNames(pool) == "worker/127.0.0.2 worker/127.0.0.3 " })
	dns.set(nil, map[string][]netip.Addr{"worker": {loopback(3)}})
	eventually.True(t, "the node that left is gone", func() bool { return nodeNames(pool) == "worker/127.0.0.3 " })
}

func TestANameThatIsNotResolvedKeepsItsNodes(t *testing.T) {
	dns := &names{}
	dns.set(nil, map[string][]netip.Addr{"worker": {loopback(1)}})
	pool := start(t, dns, "worker:1")
	eventually.True(t, "a node", func() bool { return len(pool.Snapshot()) == 1 })
	dns.set(errors.New("no such host"), nil)
	for range 20 {
		if len(pool.Snapshot()) != 1 {
			t.Fatal("the node was dropped because DNS failed")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestHostsThatDifferByTheirPortHaveDifferentNames(t *testing.T) {
	dns := &names{}
	dns.set(nil, map[string][]netip.Addr{"worker": {loopback(1)}})
	pool := start(t, dns, "worker:1", "worker:2")
	eventually.True(t, "two names", func() bool { return nodeNames(pool) == "worker:1 worker:2 " })
}

func TestTheFailedNodeIsAvoidedWhileAnotherHoldsTheModelAndTakenOnlyAfterItCameBack(t *testing.T) {
	first, second := workertest.Start(t, "tiny:latest"), workertest.Start(t, "tiny:latest")
	pool := start(t, net.DefaultResolver, first.Address, second.Address)
	tiny := modelname.Canonical("tiny")
	eventually.True(t, "both up", func() bool { return len(pool.Holding(tiny)) == 2 })

	failed, err := pool.Acquire(t.Context(), nodes.Want{Model: tiny}, nil)
	if err != nil {
		t.Fatal(err)
	}
	failed.Release()
	for range 10 {
		lease, err := pool.Acquire(t.Context(), nodes.Want{Model: tiny}, &failed)
		if err != nil || lease.Node == failed.Node {
			t.Fatalf("the node that failed was chosen again: %v", err)
		}
		lease.Release()
	}

	other := second
	if failed.Node.Address == second.Address {
		other = first
	}
	other.Stop()
	eventually.True(t, "one node left", func() bool { return len(pool.Healthy()) == 1 })
	if _, err := pool.Acquire(t.Context(), nodes.Want{Model: tiny}, &failed); !errors.Is(err, nodes.ErrNoNode) {
		t.Fatalf("a node that failed and was never down is chosen again: %v", err)
	}
	pool.ReportFailure(&failed, errors.New("reset"))
	eventually.True(t, "it came back", func() bool { return len(pool.Healthy()) == 1 })
	lease, err := pool.Acquire(t.Context(), nodes.Want{Model: tiny}, &failed)
	if err != nil || lease.Node != failed.Node {
		t.Fatalf("a node that came back is not chosen: %v", err)
	}
	lease.Release()
}

func TestAModelOnNoNodeGetsAnyNodeAtOnceSoThatItWordsTheError(t *testing.T) {
	worker := workertest.Start(t, "tiny:latest")
	pool := start(t, net.DefaultResolver, worker.Address)
	eventually.True(t, "up", func() bool { return len(pool.Healthy()) == 1 })
	lease, err := pool.Acquire(t.Context(), nodes.Want{Model: modelname.Canonical("unheard-of")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	lease.Release()
}

func TestOutstandingRequestsAreCountedOnceReleasedOnce(t *testing.T) {
	worker := workertest.Start(t, "tiny:latest")
	pool := start(t, net.DefaultResolver, worker.Address)
	eventually.True(t, "up", func() bool { return len(pool.Healthy()) == 1 })
	lease, err := pool.Acquire(t.Context(), nodes.Want{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := pool.Snapshot()[0].InFlight; n != 1 {
		t.Errorf("%d outstanding, not 1", n)
	}
	lease.Release()
	lease.Release()
	if n := pool.Snapshot()[0].InFlight; n != 0 {
		t.Errorf("%d outstanding after the release, not 0", n)
	}
}

func TestAWaitEndsWithTheRequest(t *testing.T) {
	pool := start(t, net.DefaultResolver, "127.0.0.1:1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := pool.Acquire(ctx, nodes.Want{}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, not canceled", err)
	}
}
