package nodes_test

import (
	"net"
	"testing"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/eventually"
	"ollamamax/gateway/internal/modelname"
	"ollamamax/gateway/internal/nodes"
	"ollamamax/gateway/internal/workertest"
)

// A claim and its release, without contention: 1 µs at most, and no allocation.
func BenchmarkAcquire(b *testing.B) {
	tiny := modelname.Canonical("tiny")
	for name, c := range map[string]struct {
		nodes int
		want  nodes.Want
	}{
		"any of 4":         {4, nodes.Want{Model: tiny, Key: "key"}},
		"by prefix of 4":   {4, nodes.Want{Model: tiny, Key: "key", Prefix: 12345}},
		"by prefix of 50":  {50, nodes.Want{Model: tiny, Key: "key", Prefix: 12345}},
		"light, any of 50": {50, nodes.Want{Light: true}},
	} {
		b.Run(name, func(b *testing.B) {
			var hosts []string
			for range c.nodes {
				hosts = append(hosts, workertest.Start(b, "tiny:latest").Address)
			}
			pool := startWith(b, net.DefaultResolver, func(w *config.Workers) { w.Hosts, w.HealthInterval = hosts, config.Default().Workers.HealthInterval })
			eventually.True(b, "all up", func() bool { return len(pool.Holding(tiny)) == c.nodes })
			b.ReportAllocs()
			for b.Loop() {
				lease, err := pool.Acquire(b.Context(), c.want, nil)
				if err != nil {
					b.Fatal(err)
				}
				lease.Answered(200)
				lease.Release()
			}
		})
	}
}

func TestAClaimAllocatesNothing(t *testing.T) {
	worker := workertest.Start(t, "tiny:latest")
	pool := start(t, net.DefaultResolver, worker.Address)
	tiny := modelname.Canonical("tiny")
	eventually.True(t, "up", func() bool { return len(pool.Holding(tiny)) == 1 })
	allocations := testing.AllocsPerRun(1000, func() {
		lease, err := pool.Acquire(t.Context(), nodes.Want{Model: tiny, Prefix: 7, Key: "key"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		lease.Answered(200)
		lease.Release()
	})
	if allocations >= 1 { // the health checks beside it allocate a little
		t.Errorf("%v allocations a request", allocations)
	}
}
