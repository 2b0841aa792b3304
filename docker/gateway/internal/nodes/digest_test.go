package nodes_test

import (
	"net/netip"
	"testing"

	"ollamamax/gateway/internal/eventually"
	"ollamamax/gateway/internal/modelname"
	"ollamamax/gateway/internal/workertest"
)

func TestAModelsDigestIsKnownWhileAllNodesThatHoldItAgree(t *testing.T) {
	one, two, bare := workertest.Start(t, "tiny"), workertest.Start(t, "tiny"), workertest.Start(t, "big:7b-cloud")
	dns := &names{}
	dns.set(nil, map[string][]netip.Addr{"127.0.0.1": {loopback(1)}})
	pool := start(t, dns, one.Address, two.Address, bare.Address)
	tiny := modelname.Canonical("tiny")
	eventually.True(t, "all are up", func() bool { return len(pool.Healthy()) == 3 })
	if digest := pool.Digest(tiny); digest != "digest-of-tiny" || pool.Digest(modelname.Canonical("other")) != "" {
		t.Errorf("digest %q", digest)
	}
	if digest := pool.Digest(modelname.Canonical("big:7b-cloud")); digest != "" {
		t.Errorf("of a model that runs elsewhere: %q", digest)
	}
	one.SetDigest("new")
	eventually.True(t, "it is not known while they differ", func() bool { return pool.Digest(tiny) == "" })
	holding := map[string]int{}
	for _, state := range pool.Snapshot() {
		for _, digest := range []string{"new", "digest-of-tiny"} {
			if pool.Holds(state.Name, tiny, digest) {
				holding[digest]++
			}
		}
	}
	if holding["new"] != 1 || holding["digest-of-tiny"] != 1 || pool.Holds("nobody", tiny, "") {
		t.Errorf("%v", holding)
	}
	two.SetDigest("new")
	eventually.True(t, "it is known again", func() bool { return pool.Digest(tiny) == "new" })
	one.Stop()
	two.Stop()
	eventually.True(t, "it is not known while all are down", func() bool { return pool.Digest(tiny) == "" })
}
