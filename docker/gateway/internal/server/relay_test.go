package server_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/eventually"
	"ollamamax/gateway/internal/workertest"
)

func TestAClientThatStopsReadingItsStreamIsCutOffAndItsWorkerToo(t *testing.T) {
	stopped := make(chan error, 1)
	worker := custom(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		for line := bytes.Repeat([]byte("x"), 64<<10); ; {
			if _, err := w.Write(line); err != nil {
				stopped <- err
				return
			}
		}
	})
	g := start(t, []*workertest.Worker{worker}, func(c *config.Config) { c.Server.WriteTimeout = 200 * time.Millisecond })
	connection := g.dial(t)
	send(t, connection, plain("/api/generate", generate))
	select {
	case err := <-stopped:
		t.Logf("the worker's answer ended with %v", err)
	case <-time.After(10 * time.Second):
		t.Fatal("the worker still writes for a client that takes nothing")
	}
	eventually.True(t, "the request is counted as 499", func() bool {
		return g.value(t, "ollamamax_requests_total", "code=499") == 1
	})
}

func TestASlowReaderGetsItsWholeStream(t *testing.T) {
	line := strings.Repeat("x", 32<<10) + "\n"
	worker := custom(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		for range 400 {
			_, _ = io.WriteString(w, line)
		}
	})
	g := start(t, []*workertest.Worker{worker}, func(c *config.Config) { c.Server.WriteTimeout = time.Second })
	connection := g.dial(t)
	send(t, connection, plain("/api/generate", generate))
	in := bufio.NewReader(connection)
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	size := 0
	for chunk := make([]byte, 1<<20); ; {
		n, err := io.ReadFull(response.Body, chunk)
		size += n
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatal(err)
			}
			break
		}
		time.Sleep(150 * time.Millisecond) // slow, and yet within the limit: that is what is tested
	}
	if size != 400*len(line) {
		t.Errorf("%d bytes of %d", size, 400*len(line))
	}
}

func TestAClientThatPausesIsNoSilenceOfItsWorker(t *testing.T) {
	line := strings.Repeat("x", 32<<10) + "\n"
	const lines = 1200 // more than the kernel holds on the way
	worker := custom(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-ndjson")
		for range lines {
			_, _ = io.WriteString(w, line)
		}
	})
	g := start(t, []*workertest.Worker{worker}, func(c *config.Config) {
		c.Workers.ResponseTimeout, c.Server.WriteTimeout = 500*time.Millisecond, 10*time.Second
	})
	connection := g.dial(t)
	send(t, connection, plain("/api/generate", generate))
	time.Sleep(2 * time.Second) // the pause is what is tested
	if _, text := next(t, bufio.NewReader(connection)); len(text) != lines*len(line) {
		t.Errorf("%d bytes of %d", len(text), lines*len(line))
	}
}

// FuzzRelay: a stream arrives as it was sent, however it was cut up on its way; and one that breaks off says
// so, after all that was sent.
func FuzzRelay(f *testing.F) {
	script := make(chan func(net.Conn), 1)
	worker := custom(f, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			f.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		(<-script)(conn)
	})
	g := start(f, []*workertest.Worker{worker}, func(c *config.Config) {
		c.Workers.Breaker.MinRequests, c.Workers.Ejection.Consecutive = 1<<30, 1<<30 // it fails on purpose
	})
	f.Add([]byte("{\"response\":\"a\"}\n{\"done\":true}\n"), []byte{3, 200, 1}, uint16(0), false)
	f.Add([]byte("data: {\"a\":1}\n\ndata: [DONE]\n\n"), []byte{5}, uint16(9), true)
	f.Add(bytes.Repeat([]byte("a long line of words\n"), 5000), []byte{255, 255, 7, 0, 90}, uint16(40_000), false)
	f.Fuzz(func(t *testing.T, payload, cuts []byte, end uint16, events bool) {
		if len(payload) == 0 || len(cuts) > 200 {
			return
		}
		breaks := int(end) > 0 && int(end) < len(payload)
		sent := payload
		if breaks {
			sent = payload[:end]
		}
		contentType, path := "application/x-ndjson", "/api/generate"
		if events {
			contentType, path = "text/event-stream", "/v1/completions"
		}
		script <- func(conn net.Conn) {
			wire := []byte("HTTP/1.1 200 OK\r\nContent-Type: " + contentType + "\r\nTransfer-Encoding: chunked\r\n\r\n")
			rest := sent
			for i := 0; len(rest) > 0; i++ {
				n := len(rest)
				if len(cuts) > 0 {
					n = min(n, 1+int(cuts[i%len(cuts)])*37)
				}
				announced := n
				if breaks && n == len(rest) {
					announced += 5 // it dies in the middle of a chunk
				}
				wire = fmt.Appendf(wire, "%x\r\n%s\r\n", announced, rest[:n])
				rest = rest[n:]
			}
			if breaks {
				wire = wire[:len(wire)-2]
			} else {
				wire = append(wire, "0\r\n\r\n"...)
			}
			for i := 0; len(wire) > 0; i++ {
				n := len(wire)
				if len(cuts) > 0 {
					n = min(n, 1+int(cuts[(i*7)%len(cuts)])*61)
				}
				if _, err := conn.Write(wire[:n]); err != nil {
					return
				}
				wire = wire[n:]
			}
		}
		eventually.True(t, "the worker is up", func() bool { return len(g.pool.Healthy()) == 1 })
		connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", g.address)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = connection.Close() }()
		_ = connection.SetDeadline(time.Now().Add(20 * time.Second))
		send(t, connection, plain(path, generate))
		response, err := http.ReadResponse(bufio.NewReader(connection), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		got, err := io.ReadAll(response.Body)
		if errors.Is(err, os.ErrDeadlineExceeded) || (err != nil) != breaks || !bytes.HasPrefix(got, sent) {
			t.Fatalf("%d bytes of %d arrived, or others, and %v", len(got), len(sent), err)
		}
		ending := string(got[len(sent):])
		if !breaks {
			if ending != "" {
				t.Fatalf("the answer goes on with %q", ending)
			}
			return
		}
		lineEnded := sent[len(sent)-1] == '\n'
		want := `{"error":"worker worker-1 failed while it was answering"}` + "\n"
		if events {
			want = `data: {"error":{"message":"worker worker-1 failed while it was answering","type":"api_error","param":null,"code":null}}` + "\n\n"
		}
		if !lineEnded {
			want = map[bool]string{false: "\n", true: "\n\n"}[events] + want
		}
		if ending != want {
			t.Fatalf("the answer ends with %q, want %q", ending, want)
		}
	})
}
