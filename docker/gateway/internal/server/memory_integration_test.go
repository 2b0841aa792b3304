//go:build integration

package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/eventually"
	"ollamamax/gateway/internal/workertest"
)

// It takes a container whose memory is limited, which tests/gateway starts.
func TestBodiesThatWouldTakeTwiceTheContainersMemoryAreRefusedBeforeTheKernelKills(t *testing.T) {
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
	// What the answered requests held is given back with the next collections.
	eventually.True(t, "afterwards requests are served again", func() bool {
		status, _ := g.ask(t, "POST", "/api/generate", generate)
		return status == http.StatusOK
	})
}
