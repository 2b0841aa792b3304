package nodes_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"

	"ollamamax/gateway/internal/eventually"
	"ollamamax/gateway/internal/nodes"
)

// A worker that leaves a cluster waits for its last connection, so a connection kept open would keep it.
func TestANodeThatLeavesKeepsItsAnswersUnderWayAndNoConnectionAfterThem(t *testing.T) {
	var connections atomic.Int64
	finish := make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/tags" || r.URL.Path == "/api/ps" {
			_, _ = fmt.Fprint(w, `{"models": []}`)
			return
		}
		_, _ = fmt.Fprint(w, "begun, ")
		_ = http.NewResponseController(w).Flush()
		<-finish
		_, _ = fmt.Fprint(w, "ended")
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			connections.Add(1)
		case http.StateClosed, http.StateHijacked:
			connections.Add(-1)
		case http.StateActive, http.StateIdle:
		}
	}
	server.Start()
	defer server.Close()

	dns := &names{}
	dns.set(nil, map[string][]netip.Addr{"worker": {loopback(1)}})
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	pool := start(t, dns, "worker:"+port)
	eventually.True(t, "up", func() bool { return len(pool.Healthy()) == 1 })
	lease, err := pool.Acquire(t.Context(), nodes.Want{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Release()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, lease.Node.URL()+"/api/generate", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := lease.Node.Transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()

	dns.set(nil, map[string][]netip.Addr{"worker": {loopback(2)}})
	eventually.True(t, "the idle connection of the health checks is closed", func() bool { return connections.Load() == 1 })
	close(finish)
	answer, err := io.ReadAll(response.Body)
	if err != nil || string(answer) != "begun, ended" {
		t.Fatalf("the answer under way ended as %q: %v", answer, err)
	}
	eventually.True(t, "the last connection is closed with its answer", func() bool { return connections.Load() == 0 })
}
