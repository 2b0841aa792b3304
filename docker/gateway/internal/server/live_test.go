package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"ollamamax/gateway/internal/auth"
	"ollamamax/gateway/internal/eventually"
	"ollamamax/gateway/internal/openapitest"
	"ollamamax/gateway/internal/workertest"
)

// page is a client whose messages are read one by one.
type page struct {
	*websocket.Conn
	queue []told
}

type told struct {
	Topic, Key string
	Value      map[string]any
}

// watch connects as a page in a browser does, which has no header for its key.
func (g *gateway) watch(t *testing.T, protocols ...string) (*page, int) {
	t.Helper()
	conn, response, err := websocket.Dial(t.Context(), g.url+"/ws", &websocket.DialOptions{Subprotocols: protocols})
	if err != nil {
		if response == nil {
			t.Fatal(err)
		}
		return nil, response.StatusCode
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return &page{Conn: conn}, response.StatusCode
}

// until reads messages until one is as wanted.
func (p *page) until(t *testing.T, what string, wanted func(topic, name string, value map[string]any) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		for len(p.queue) == 0 {
			_, text, err := p.Read(ctx)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			openapitest.CheckSchema(t, "LiveFrame", text)
			if err := json.Unmarshal(text, &p.queue); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
		}
		m := p.queue[0]
		p.queue = p.queue[1:]
		if wanted(m.Topic, m.Key, m.Value) {
			return
		}
	}
}

func closedWith(t *testing.T, conn *websocket.Conn) websocket.StatusCode {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		if _, _, err := conn.Read(ctx); err != nil {
			if websocket.CloseStatus(err) < 0 {
				t.Fatalf("not closed: %v", err)
			}
			return websocket.CloseStatus(err)
		}
	}
}

func TestAPageFollowsWhatGoesOn(t *testing.T) {
	worker := workertest.Start(t, "tiny:latest")
	g := start(t, []*workertest.Worker{worker})
	page, _ := g.watch(t, auth.LiveProtocol, "bearer."+key)
	if page == nil || page.Subprotocol() != auth.LiveProtocol {
		t.Fatal("not connected")
	}
	page.until(t, "the cluster", func(topic, name string, value map[string]any) bool {
		nodes, _ := value["nodes"].(map[string]any)
		return topic == "cluster" && name == "gateway-under-test" && value["version"] == "test" && nodes["up"] == 1.0
	})
	page.until(t, "the model", func(topic, name string, value map[string]any) bool {
		return topic == "models" && name == "tiny:latest" && value["nodes"] == 1.0
	})
	release := worker.Hold()
	answered := make(chan int, 1)
	go func() {
		status, _ := g.tolerant(t.Context(), "/api/generate", generate)
		answered <- status
	}()
	page.until(t, "a request under way", func(topic, name string, value map[string]any) bool {
		return topic == "nodes" && name == "worker-1" && value["in_flight"] == 1.0 && value["up"] == true
	})
	release()
	<-answered
	page.until(t, "and ended", func(topic, name string, value map[string]any) bool {
		return topic == "nodes" && name == "worker-1" && value["in_flight"] == 0.0
	})
	for range 5 {
		_, _ = g.tolerant(t.Context(), "/api/generate", generate)
	}
	page.until(t, "rates", func(topic, _ string, value map[string]any) bool {
		requests, _ := value["requests"].(float64)
		tokens, _ := value["completion_tokens"].(float64)
		return topic == "rates" && requests > 0 && tokens > requests && value["overhead_p99_seconds"] != nil && value["first_token_p99_seconds"] != nil
	})
	g.pool.SetDrained([]string{"worker-1"})
	page.until(t, "a drained worker", func(topic, _ string, value map[string]any) bool {
		return topic == "nodes" && value["drained"] == true && value["takes_requests"] == false
	})
	worker.Stop()
	page.until(t, "a worker that is down", func(topic, _ string, value map[string]any) bool {
		return topic == "nodes" && value["up"] == false
	})
	_ = page.Close(websocket.StatusNormalClosure, "")
	eventually.True(t, "the request is noted", func() bool {
		return g.value(t, "ollamamax_requests_total", "api=/ws", "code=101") == 1 && strings.Contains(g.log.String(), `"path":"/ws"`)
	})
	if strings.Contains(g.log.String(), key) {
		t.Error("the key is in the log")
	}
	if spread := g.value(t, "ollamamax_overhead_seconds", "api=/ws"); spread != 1 {
		t.Errorf("%v overheads", spread)
	}
}

func TestAPageNeedsAKeyThatIsGood(t *testing.T) {
	_, g := one(t)
	for name, protocols := range map[string][]string{
		"none": nil, "no key": {auth.LiveProtocol}, "another": {auth.LiveProtocol, "bearer.another"}, "empty": {"bearer."},
	} {
		if _, status := g.watch(t, protocols...); status != 401 {
			t.Errorf("%s: %d", name, status)
		}
	}
	if status, _ := g.ask(t, "GET", "/ws?key="+key, ""); status != 426 { // with its header, but no WebSocket
		t.Errorf("not a WebSocket: %d", status)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.url+"/api/tags", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Sec-WebSocket-Protocol", "bearer."+key)
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != 401 {
		t.Errorf("a key among protocols of another route: %d", response.StatusCode)
	}
}

func TestAPageWhoseKeyLosesItsScopeIsTurnedOut(t *testing.T) {
	_, g := one(t)
	page, _ := g.watch(t, auth.LiveProtocol, "bearer."+key)
	g.keys.fail(errors.New("the database is away"))
	page.until(t, "rates, without the database", func(topic, _ string, _ map[string]any) bool { return topic == "rates" })
	g.keys.limit(auth.Inference)
	g.keys.fail(nil)
	if code := closedWith(t, page.Conn); code != websocket.StatusPolicyViolation {
		t.Errorf("closed with %d", code)
	}
	if _, status := g.watch(t, auth.LiveProtocol, "bearer."+key); status != 403 {
		t.Errorf("then: %d", status)
	}
}

func TestAPageIsToldThatTheGatewayStops(t *testing.T) {
	_, g := one(t)
	page, _ := g.watch(t, auth.LiveProtocol, "bearer."+key)
	page.until(t, "the gateway", func(topic, _ string, value map[string]any) bool {
		return topic == "cluster" && value["draining"] == false
	})
	g.stop()
	if code := closedWith(t, page.Conn); code != websocket.StatusGoingAway {
		t.Errorf("closed with %d", code)
	}
	if err := <-g.stopped; err != nil {
		t.Error(err)
	}
}

func TestTheClusterIsSummedUp(t *testing.T) {
	_, g := one(t)
	status, text := g.ask(t, "GET", "/api/v1/cluster", "")
	if status != 200 || !strings.Contains(text, `"nodes":{"total":1,"up":1,"drained":0,"taking":1}`) ||
		!strings.Contains(text, `"models":{"total":1,"loaded":1}`) || strings.Contains(text, `"memory_bytes":0`) {
		t.Errorf("%d %s", status, text)
	}
}
