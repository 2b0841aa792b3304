package nodes_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/discovery"
	"ollamamax/gateway/internal/eventually"
	"ollamamax/gateway/internal/nodes"
)

// counted is a worker that knows how many connections it has, and how often it was asked for its models. Its
// answers to all else end with finish.
type counted struct {
	*httptest.Server
	connections, questions atomic.Int64
	finish                 func()
}

func startCounted(t *testing.T) *counted {
	t.Helper()
	finish := make(chan struct{})
	c := &counted{finish: sync.OnceFunc(func() { close(finish) })}
	c.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/tags" || r.URL.Path == "/api/ps" {
			if r.URL.Path == "/api/tags" {
				c.questions.Add(1)
			}
			_, _ = fmt.Fprint(w, `{"models": []}`)
			return
		}
		_, _ = fmt.Fprint(w, "begun, ")
		_ = http.NewResponseController(w).Flush()
		<-finish
		_, _ = fmt.Fprint(w, "ended")
	}))
	c.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			c.connections.Add(1)
		case http.StateClosed, http.StateHijacked:
			c.connections.Add(-1)
		case http.StateActive, http.StateIdle:
		}
	}
	c.Start()
	t.Cleanup(func() { c.finish(); c.Close() })
	return c
}

// begin has a worker begin an answer.
func begin(t *testing.T, lease *nodes.Lease) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, lease.Node.URL()+"/api/generate", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := lease.Node.Transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

// A worker that leaves a cluster waits for its last connection, so a connection kept open would keep it.
func TestANodeThatLeavesKeepsItsAnswersUnderWayAndNoConnectionAfterThem(t *testing.T) {
	server := startCounted(t)
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
	response := begin(t, &lease)

	dns.set(nil, map[string][]netip.Addr{"worker": {loopback(2)}})
	eventually.True(t, "the idle connection of the health checks is closed", func() bool { return server.connections.Load() == 1 })
	server.finish()
	answer, err := io.ReadAll(response.Body)
	if err != nil || string(answer) != "begun, ended" {
		t.Fatalf("the answer under way ended as %q: %v", answer, err)
	}
	eventually.True(t, "the last connection is closed with its answer", func() bool { return server.connections.Load() == 0 })
}

// told is a source that knows what it is told.
type told chan []discovery.Endpoint

func (s told) Run(ctx context.Context, update func(host string, endpoints []discovery.Endpoint)) {
	for {
		select {
		case <-ctx.Done():
			return
		case endpoints := <-s:
			update("worker", endpoints)
		}
	}
}

func TestANodeThatIsListedAsLeavingIsAskedWhileItAnswersAndLeftAloneAfterThat(t *testing.T) {
	server := startCounted(t)
	settings := config.Default().Workers
	settings.HealthInterval = 20 * time.Millisecond
	source := told(make(chan []discovery.Endpoint))
	pool := startFrom(t, source, settings)
	tell := func(leaving bool) {
		source <- []discovery.Endpoint{{Name: "worker-0", Address: server.Listener.Addr().String(), Leaving: leaving}}
	}
	tell(false)
	eventually.True(t, "up", func() bool { return len(pool.Healthy()) == 1 })
	lease, err := pool.Acquire(t.Context(), nodes.Want{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	idle, err := lease.Node.Conns.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	idle.Release()
	response := begin(t, &lease)

	tell(true)
	before := server.questions.Load()
	eventually.True(t, "it is asked while it answers", func() bool { return server.questions.Load() > before+3 })
	eventually.True(t, "no connection but that of the answer is kept", func() bool { return server.connections.Load() == 1 })
	server.finish()
	if answer, err := io.ReadAll(response.Body); err != nil || string(answer) != "begun, ended" {
		t.Fatalf("the answer under way ended as %q: %v", answer, err)
	}
	lease.Release()
	most := server.questions.Load() + 1 // a check may have begun while it still answered
	for range 20 {
		pool.Refresh(t.Context())
		pool.Recheck()
		time.Sleep(5 * time.Millisecond)
	}
	asked := server.questions.Load()
	if asked > most {
		t.Errorf("it is asked %d times more once it is done", asked-most)
	}
	eventually.True(t, "nothing is connected", func() bool { return server.connections.Load() == 0 })
	if states := pool.Snapshot(); !states[0].Up || !states[0].Leaving {
		t.Errorf("once it is done it is taken for %+v", states[0])
	}
	tell(false)
	eventually.True(t, "it is asked again when it stays", func() bool { return server.questions.Load() > asked })
}

func TestANodeThatWasLeavingWhenItWasFoundIsAskedOnce(t *testing.T) {
	server := startCounted(t)
	settings := config.Default().Workers
	settings.HealthInterval = time.Millisecond
	source := told(make(chan []discovery.Endpoint))
	pool := startFrom(t, source, settings)
	source <- []discovery.Endpoint{{Name: "worker-0", Address: server.Listener.Addr().String(), Leaving: true}}
	eventually.True(t, "up", func() bool { return len(pool.Healthy()) == 1 })
	eventually.True(t, "its connection is closed", func() bool { return server.connections.Load() == 0 })
	time.Sleep(50 * time.Millisecond)
	if n := server.questions.Load(); n != 1 {
		t.Errorf("it was asked %d times", n)
	}
}
