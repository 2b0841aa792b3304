package server_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ollamamax/gateway/internal/access"
	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/eventually"
	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/front"
	"ollamamax/gateway/internal/server"
	"ollamamax/gateway/internal/workertest"
)

// plain is an inference request that the front answers by itself.
func plain(path, body string, fields ...string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n%s\r\n%s",
		path, key, len(body), strings.Join(append(fields, ""), "\r\n"), body)
}

// next reads an answer off a connection.
func next(t *testing.T, in *bufio.Reader) (*http.Response, string) {
	t.Helper()
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(text)
}

func send(t *testing.T, connection net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(connection, text); err != nil {
		t.Fatal(err)
	}
}

func TestAConnectionCarriesOneRequestAfterAnother(t *testing.T) {
	worker, g := one(t)
	connection := g.dial(t)
	in := bufio.NewReader(connection)
	bodies := []string{generate, `{"model":"tiny","stream":false}`, `{"model":`, `{"model":"tiny","prompt":"` + strings.Repeat("long ", 200_000) + `"}`, generate}
	for i, body := range bodies {
		send(t, connection, plain("/api/generate", body))
		response, text := next(t, in)
		if response.Close || (i != 2 && !strings.Contains(text, `"done":true`)) {
			t.Fatalf("request %d: close %v, %s", i, response.Close, text)
		}
	}
	seen := worker.Seen()
	if len(seen) != 4 || string(seen[2].Body) != bodies[3] {
		t.Errorf("the worker got %d requests, the third with %d bytes of %d", len(seen), len(seen[2].Body), len(bodies[3]))
	}
}

func TestRequestsMayComeBeforeTheAnswersToThoseBefore(t *testing.T) {
	_, g := one(t)
	connection := g.dial(t)
	send(t, connection, strings.Repeat(plain("/v1/chat/completions", generate), 40)+plain("/api/chat", generate, "Connection: close"))
	in := bufio.NewReader(connection)
	for i := range 41 {
		response, text := next(t, in)
		if !strings.Contains(text, `"done":true`) || response.Close != (i == 40) {
			t.Fatalf("request %d: close %v, %s", i, response.Close, text)
		}
	}
	if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last: %v", err)
	}
}

func TestARequestMayArriveByteByByte(t *testing.T) {
	_, g := one(t)
	connection := g.dial(t)
	for _, b := range []byte(plain("/api/generate", generate)) {
		send(t, connection, string(b))
	}
	if _, text := next(t, bufio.NewReader(connection)); !strings.Contains(text, `"done":true`) {
		t.Errorf("answered %s", text)
	}
}

func TestARequestThatIsNotPlainIsAnsweredOnTheSameConnection(t *testing.T) {
	chunked := "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(generate), generate)
	head := "POST /api/generate HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + key + "\r\n"
	for name, c := range map[string]struct{ request, answer string }{
		"another route": {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "Ollama is running"},
		"chunks":        {head + chunked, `"done":true`},
		"query":         {plain("/api/generate?a=b", generate), `"done":true`},
		"HTTP/1.0":      {strings.Replace(plain("/api/generate", generate), "HTTP/1.1", "HTTP/1.0", 1), `"done":true`},
		"odd path":      {plain("//api/generate", generate), "empty or relative"},
		"large head":    {plain("/api/generate", generate, "X-Pad: "+strings.Repeat("x", 8192)), "header too large"},
		"larger head":   {plain("/api/generate", generate, "X-Pad: "+strings.Repeat("x", 20_000)), "header too large"},
		"edge's share":  {plain("/api/generate", generate, "X-Forwarded-For: "+strings.Repeat("x", 8192)), `"done":true`},
		"large body":    {head + "Content-Length: 99999999999\r\n\r\n", "larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			_, g := one(t)
			connection := g.dial(t)
			in := bufio.NewReader(connection)
			send(t, connection, plain("/api/generate", generate))
			if _, text := next(t, in); !strings.Contains(text, `"done":true`) {
				t.Fatalf("the plain request before was answered %s", text)
			}
			send(t, connection, c.request)
			response, text := next(t, in)
			if !strings.Contains(text, c.answer) || !response.Close {
				t.Errorf("close %v, %d %s", response.Close, response.StatusCode, text)
			}
		})
	}
}

func TestAClientThatAsksBeforeItSendsIsToldToGoOn(t *testing.T) {
	_, g := one(t)
	connection := g.dial(t)
	head, body, _ := strings.Cut(plain("/api/generate", generate, "Expect: 100-continue"), "\r\n\r\n")
	send(t, connection, head+"\r\n\r\n")
	in := bufio.NewReader(connection)
	if line, err := in.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("%q, %v", line, err)
	}
	_, _ = in.ReadString('\n')
	send(t, connection, body)
	if _, text := next(t, in); !strings.Contains(text, `"done":true`) {
		t.Errorf("answered %s", text)
	}
}

func TestBothWaysInGiveTheSameAnswers(t *testing.T) {
	undated := custom(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Date"] = nil
		_, _ = io.WriteString(w, `{"done":true}`)
	})
	g := start(t, []*workertest.Worker{workertest.Start(t, "small:latest", "tiny:latest"), undated})
	for name, c := range map[string]struct{ path, body, authorization string }{
		"whole":         {"/api/generate", `{"model":"small","stream":false}`, key},
		"lines":         {"/api/chat", `{"model":"small"}`, key},
		"events":        {"/v1/completions", `{"model":"small"}`, key},
		"undated":       {"/api/generate", `{"model":"plain"}`, key},
		"malformed":     {"/api/generate", `{`, key},
		"no body":       {"/v1/chat/completions", ``, key},
		"key not valid": {"/v1/embeddings", generate, "another"},
	} {
		t.Run(name, func(t *testing.T) {
			request := strings.Replace(plain(c.path, c.body, "X-Request-Id: r-1"), key, c.authorization, 1)
			response, text := g.raw(t, request)
			other, otherText := g.raw(t, strings.Replace(request, c.path+" ", c.path+"?x=y ", 1))
			for _, header := range []http.Header{response.Header, other.Header} {
				if _, err := http.ParseTime(header.Get("Date")); err != nil {
					t.Errorf("the date is %q", header.Get("Date"))
				}
				header.Del("Date")
				header.Del("Connection")
			}
			if response.StatusCode != other.StatusCode || text != otherText || !maps.EqualFunc(response.Header, other.Header, slices.Equal[[]string]) {
				t.Errorf("the front answers %d %v %s\nnet/http %d %v %s", response.StatusCode, response.Header, text, other.StatusCode, other.Header, otherText)
			}
			if response.ContentLength != other.ContentLength || !slices.Equal(response.TransferEncoding, other.TransferEncoding) {
				t.Errorf("framed as %d %v and %d %v", response.ContentLength, response.TransferEncoding, other.ContentLength, other.TransferEncoding)
			}
		})
	}
}

func TestAPlainHeadThatComesSlowlyIsCutOff(t *testing.T) {
	_, g := one(t, func(c *config.Config) { c.Server.ReadHeaderTimeout = 300 * time.Millisecond })
	for name, sent := range map[string]string{"nothing": "", "half a head": "POST /api/generate HTTP/1.1\r\nHost", "half a second one": "POST "} {
		connection := g.dial(t)
		if name == "half a second one" {
			send(t, connection, plain("/api/generate", generate))
			_, _ = next(t, bufio.NewReader(connection))
		}
		send(t, connection, sent)
		if took := closed(t, connection); took > 1500*time.Millisecond {
			t.Errorf("%s: closed after %s", name, took)
		}
	}
}

func TestAnIdlePlainConnectionIsClosed(t *testing.T) {
	_, g := one(t, func(c *config.Config) { c.Server.IdleTimeout = 200 * time.Millisecond })
	connection := g.dial(t)
	send(t, connection, plain("/api/generate", generate))
	if took := closed(t, connection); took > 2*time.Second {
		t.Errorf("closed after %s", took)
	}
}

func TestAClientThatLeavesInItsBodyIsCountedAndNoWorkerHearsOfIt(t *testing.T) {
	worker, g := one(t)
	connection := g.dial(t)
	send(t, connection, strings.TrimSuffix(plain("/api/generate", generate), "}"))
	_ = connection.Close()
	eventually.True(t, "the request is counted as 499", func() bool {
		return g.value(t, "ollamamax_requests_total", "code=499") == 1
	})
	if len(worker.Seen()) != 0 {
		t.Error("half a request reached the worker")
	}
}

// custom is a worker that answers what handler does, and health checks.
func custom(t testing.TB, handler http.HandlerFunc) *workertest.Worker {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, `{"models":[{"name":"tiny:latest"},{"name":"plain:latest"}]}`)
			return
		}
		handler(w, r)
	}))
	t.Cleanup(server.Close)
	return &workertest.Worker{Address: server.Listener.Addr().String()}
}

func TestAConnectionHoldsNothingOfABodyThatWasAnswered(t *testing.T) {
	worker := custom(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, `{"done":true}`)
	})
	g := start(t, []*workertest.Worker{worker})
	const size = 16 << 20
	request := plain("/api/generate", `{"model":"tiny","prompt":"`+strings.Repeat("x", size)+`"}`)
	held := func() uint64 {
		runtime.GC()
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		return memory.HeapAlloc
	}
	before := held()
	for range 4 {
		connection := g.dial(t)
		send(t, connection, request)
		if response, text := next(t, bufio.NewReader(connection)); response.Close || text != `{"done":true}` {
			t.Fatalf("close %v, %s", response.Close, text)
		}
	}
	eventually.True(t, "what four bodies took is free again", func() bool { return held() < before+size/2 })
}

func TestAPanicEndsItsConnectionAlone(t *testing.T) {
	_, g := one(t)
	var recorded atomic.Int64
	recorder := access.NewRecorder(g.metrics, io.Discard, slog.LevelInfo, "x", func(_ *exchange.Exchange, status int) { recorded.Store(int64(status)) })
	cfg := config.Default().Server
	s := server.New("x", cfg, front.New("x", cfg, nil, nil, recorder, nil, discard()), recorder, nil, discard(), http.NotFoundHandler())
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(t.Context(), listener) }()
	g.address = listener.Addr().String()
	connection := g.dial(t)
	send(t, connection, plain("/api/generate", generate)) // whose gate is nil
	if took := closed(t, connection); took > 2*time.Second || recorded.Load() != 500 {
		t.Errorf("closed after %s, recorded as %d", took, recorded.Load())
	}
	if response, _ := g.raw(t, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); response.StatusCode != 404 {
		t.Errorf("the next connection: %d", response.StatusCode)
	}
}

func TestADrainingGatewayClosesPlainConnectionsWithTheirAnswersAndIdleOnesAfterTheDelay(t *testing.T) {
	const delay = 300 * time.Millisecond // in which idle connections may still be used
	worker, g := one(t, func(c *config.Config) { c.Server.DrainDelay = delay })
	idle, busy := g.dial(t), g.dial(t)
	send(t, idle, plain("/api/generate", generate))
	idleIn := bufio.NewReader(idle)
	if response, _ := next(t, idleIn); response.Close {
		t.Fatal("closed before the drain")
	}
	release := worker.Hold()
	defer release()
	send(t, busy, plain("/api/generate", generate))
	eventually.True(t, "the request is at the worker", func() bool { return len(worker.Seen()) == 2 })
	began := time.Now()
	g.stop()
	if _, err := idleIn.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("the idle connection: %v", err)
	}
	if took := time.Since(began); took < delay || took > 5*time.Second {
		t.Errorf("the idle connection was closed after %s", took)
	}
	release()
	if response, text := next(t, bufio.NewReader(busy)); !response.Close || !strings.Contains(text, `"done":true`) {
		t.Errorf("the request under way: close %v, %s", response.Close, text)
	}
	if err := <-g.stopped; err != nil {
		t.Errorf("stopped with %v", err)
	}
}
