package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/eventually"
	"ollamamax/gateway/internal/workertest"
)

// limited is set where the container of the tests has 256 MiB: see tests/gateway.
const limited = "OLLAMAMAX_TEST_LIMITED"

func TestWithoutMemoryRequestsForModelsAreRefusedInTheirOwnShapeAndNothingElseIs(t *testing.T) {
	worker, g := one(t)
	g.memory.full.Store(true)
	for path, want := range map[string]string{
		"/api/generate":            `{"error":"the gateway is short of memory"}`,
		"/api/generate?x=y":        `{"error":"the gateway is short of memory"}`,
		"/v1/chat/completions":     `{"error":{"message":"the gateway is short of memory","type":"api_error"`,
		"/v1/chat/completions?x=y": `{"error":{"message":"the gateway is short of memory","type":"api_error"`,
	} {
		response, text := g.raw(t, plain(path, generate))
		if response.StatusCode != 503 || response.Header.Get("Retry-After") != "5" || !strings.HasPrefix(text, want) {
			t.Errorf("%s: %d %v %s", path, response.StatusCode, response.Header, text)
		}
	}
	for _, path := range []string{"/api/tags", "/api/ps", "/api/v1/metrics"} {
		if status, text := g.ask(t, "GET", path, ""); status != 200 {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	g.memory.full.Store(false)
	if status, text := g.ask(t, "POST", "/api/generate", generate); status != 200 || len(worker.Seen()) == 0 {
		t.Errorf("%d %s", status, text)
	}
	eventually.True(t, "what was claimed is given back", func() bool { return g.memory.taken.Load() == 0 })
}

func TestBodiesThatWouldTakeTwiceTheContainersMemoryAreRefusedBeforeTheKernelKills(t *testing.T) {
	if os.Getenv(limited) == "" {
		t.Skip(limited + " is not set: tests/gateway sets it in a container that is small enough")
	}
	const clients, size = 64, 16 << 20
	answer := make(chan struct{})
	worker := custom(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-answer
		_, _ = io.WriteString(w, `{"done":true}`)
	})
	g := start(t, []*workertest.Worker{worker}, func(c *config.Config) { c.Workers.Slots = clients })
	eventually.True(t, "the limit is known", func() bool { return g.value(t, "ollamamax_memory_bytes", "kind=container_limit") > 0 })

	head := fmt.Sprintf("POST /api/generate HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n", key, size)
	prompt := strings.Repeat("x", 64<<10)
	send := func(to io.Writer) {
		start, end := `{"model":"tiny","prompt":"`, `"}`
		_, _ = io.WriteString(to, head+start)
		for left := size - len(start) - len(end); left > 0; {
			n, err := io.WriteString(to, prompt[:min(left, len(prompt))])
			if left -= n; err != nil {
				return // refused, which the answer says
			}
		}
		_, _ = io.WriteString(to, end)
	}
	var served, refused atomic.Int64
	var asking sync.WaitGroup
	for range clients {
		connection := g.dial(t)
		// The client's own share of the container: what the kernel holds for it.
		if err := connection.(*net.TCPConn).SetWriteBuffer(64 << 10); err != nil {
			t.Fatal(err)
		}
		go send(connection)
		asking.Go(func() {
			response, err := http.ReadResponse(bufio.NewReader(connection), nil)
			if err != nil {
				t.Error(err)
				return
			}
			switch response.StatusCode {
			case http.StatusOK:
				served.Add(1)
			case http.StatusServiceUnavailable:
				refused.Add(1)
			default:
				t.Errorf("answered %s", response.Status)
			}
		})
	}
	eventually.True(t, "what there is no room for is refused, and the rest is asked", func() bool {
		return g.value(t, "ollamamax_in_flight")+float64(refused.Load()) == clients
	})
	close(answer)
	asking.Wait()
	if served.Load() == 0 || refused.Load() == 0 {
		t.Errorf("%d are served, %d refused", served.Load(), refused.Load())
	}
	t.Logf("%d are served, %d refused", served.Load(), refused.Load())
	if status, text := g.ask(t, "POST", "/api/generate", generate); status != 200 {
		t.Errorf("afterwards: %d %s", status, text)
	}
}
