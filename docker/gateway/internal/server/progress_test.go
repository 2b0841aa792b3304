package server_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/workertest"
)

func TestAByteNowAndThenIsNoProgress(t *testing.T) {
	g := start(t, []*workertest.Worker{workertest.Start(t, "tiny:latest")}, func(c *config.Config) {
		c.Server.ReadTimeout = 300 * time.Millisecond
	})
	connection := g.dial(t)
	if _, err := fmt.Fprintf(connection, "POST /api/chat HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 1000\r\n\r\n", key); err != nil {
		t.Fatal(err)
	}
	closed := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(connection) // how it was closed does not matter
		closed <- string(text)
	}()
	began := time.Now()
	for time.Since(began) < 10*time.Second {
		select {
		case text := <-closed:
			if !strings.HasPrefix(text, "HTTP/1.1 408 ") {
				t.Errorf("closed with %.80q", text)
			}
			return
		case <-time.After(50 * time.Millisecond):
			_, _ = io.WriteString(connection, "x") // fails once it is closed
		}
	}
	t.Fatal("a client that sends a byte now and then holds its connection")
}

func TestAStreamThatOutlastsTheDrainIsToldSo(t *testing.T) {
	worker := workertest.Start(t, "tiny:latest")
	g := start(t, []*workertest.Worker{worker}, func(c *config.Config) {
		c.Server.DrainDelay = 10 * time.Millisecond
		c.Server.DrainTimeout = time.Second
	})
	worker.Fail(workertest.SilentMidStream)
	response := g.do(t, http.MethodPost, "/api/generate", `{"model":"tiny"}`)
	g.stop()
	text, err := io.ReadAll(response.Body)
	if err == nil {
		t.Error("the connection was not aborted")
	}
	if !strings.HasSuffix(string(text), "{\"error\":\"the gateway is stopping\"}\n") {
		t.Errorf("the stream ends with %q", text)
	}
	if err := <-g.stopped; err != nil {
		t.Errorf("the drain failed: %v", err)
	}
}
