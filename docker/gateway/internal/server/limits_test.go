package server_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
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

func one(t *testing.T, alter ...func(*config.Config)) (*workertest.Worker, *gateway) {
	t.Helper()
	worker := workertest.Start(t, "tiny:latest")
	return worker, start(t, []*workertest.Worker{worker}, alter...)
}

func TestOnlyTheGreetingNeedsNoKey(t *testing.T) {
	worker, g := one(t)
	for _, c := range []struct {
		method, path, authorization string
		status                      int
	}{
		{"GET", "/", "", 200},
		{"HEAD", "/", "", 200},
		{"POST", "/", "", 401},
		{"GET", "/api/tags", "", 401},
		{"GET", "/api/version", "", 401},
		{"OPTIONS", "/api/chat", "", 401},
		{"POST", "/api/generate", "Bearer wrong", 401},
		{"POST", "/api/generate", "Bearer ", 401},
		{"POST", "/api/generate", "Basic " + key, 401},
		{"GET", "/v1/models", "Bearer wrong", 401},
		{"GET", "/no/such/route", "", 401},
		{"GET", "/api/tags", "Bearer " + key, 200},
		{"GET", "/api/tags", "bearer " + key, 200},
	} {
		header := ""
		if c.authorization != "" {
			header = "Authorization: " + c.authorization + "\r\n"
		}
		request := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: 0\r\nConnection: close\r\n\r\n", c.method, c.path, header)
		response, text := g.raw(t, request)
		if response.StatusCode != c.status {
			t.Errorf("%s %s with %q: %d, want %d", c.method, c.path, c.authorization, response.StatusCode, c.status)
		}
		if c.status != 401 {
			continue
		}
		if response.Header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s %s: no WWW-Authenticate", c.method, c.path)
		}
		if openAI := strings.Contains(text, `"error":{`); openAI != strings.HasPrefix(c.path, "/v1/") {
			t.Errorf("%s %s: an error of the wrong API: %s", c.method, c.path, text)
		}
	}
	if seen := worker.Seen(); len(seen) != 0 {
		t.Errorf("a request without a key reached a worker: %+v", seen)
	}
}

func TestTheGreetingIsOllamas(t *testing.T) {
	_, g := one(t)
	if _, text := g.ask(t, "GET", "/", ""); text != "Ollama is running" {
		t.Errorf("GET / answers %q", text)
	}
}

func TestWhatIsPublicIsReadWithoutAKeyAndNotWritten(t *testing.T) {
	_, g := one(t, func(c *config.Config) { c.Auth.PublicPaths = []string{"/api/version"} })
	for request, status := range map[string]int{
		"GET /api/version": 200, "HEAD /api/version": 200, "POST /api/version": 401,
		"GET /api/version/": 401, "GET /api/tags": 401, "GET /v1/models": 401,
	} {
		response, _ := g.raw(t, request+" HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		if response.StatusCode != status {
			t.Errorf("%s: %d, want %d", request, response.StatusCode, status)
		}
	}
}

// head is a request whose head, up to and with the empty line, has size bytes.
func head(size int) string {
	start := "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Pad: "
	return start + strings.Repeat("a", size-len(start)-4) + "\r\n\r\n"
}

func TestAHeadOf8192BytesPassesAndOneMoreIsRefused(t *testing.T) {
	_, g := one(t)
	for size, status := range map[int]int{8192: 200, 8193: 431, 100_000: 431} {
		if response, _ := g.raw(t, head(size)); response.StatusCode != status {
			t.Errorf("a head of %d bytes: %d, want %d", size, response.StatusCode, status)
		}
	}
}

func TestABodyOverTheLimitIsRefused(t *testing.T) {
	worker, g := one(t, func(c *config.Config) { c.Server.MaxBodyBytes = 1024 })
	prefix, suffix := `{"model":"tiny","stream":false,"prompt":"`, `"}`
	body := func(size int) string {
		return prefix + strings.Repeat("a", size-len(prefix)-len(suffix)) + suffix
	}
	chunked := func(text string) string { return fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(text), text) }
	common := "POST /api/generate HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer " + key + "\r\n"
	for size, status := range map[int]int{1024: 200, 1025: 413} {
		text := body(size)
		for name, request := range map[string]string{
			"length":  common + fmt.Sprintf("Content-Length: %d\r\n\r\n", size) + text,
			"chunked": common + "Transfer-Encoding: chunked\r\n\r\n" + chunked(text),
		} {
			if response, answer := g.raw(t, request); response.StatusCode != status {
				t.Errorf("%d bytes, %s: %d, want %d: %s", size, name, response.StatusCode, status, answer)
			}
		}
	}
	// Refused by its length, before any of it is read.
	if response, _ := g.raw(t, common+"Content-Length: 99999999999\r\n\r\n"); response.StatusCode != 413 {
		t.Errorf("a body announced as 100 GB: %d", response.StatusCode)
	}
	if count := len(worker.Seen()); count != 2 {
		t.Errorf("%d requests reached the worker, 2 were within the limit", count)
	}
}

func TestMalformedBodiesAreRefusedInOllamasWords(t *testing.T) {
	worker, g := one(t)
	for _, c := range []struct{ path, body, answer string }{
		{"/api/chat", "", `{"error":"missing request body"}`},
		{"/api/generate", "{", `{"error":"unexpected EOF"}`},
		{"/api/generate", "nonsense", `{"error":"invalid character 'o' in literal null (expecting 'u')"}`},
		{"/api/pull", `{"model":}`, `{"error":"invalid character '}' looking for beginning of value"}`},
		{"/v1/chat/completions", "", `{"error":{"message":"EOF","type":"invalid_request_error","param":null,"code":null}}`},
		{"/v1/embeddings", "{", `{"error":{"message":"unexpected EOF","type":"invalid_request_error","param":null,"code":null}}`},
	} {
		if status, text := g.ask(t, "POST", c.path, c.body); status != 400 || text != c.answer {
			t.Errorf("POST %s %q: %d %s, want 400 %s", c.path, c.body, status, text, c.answer)
		}
	}
	if len(worker.Seen()) != 0 {
		t.Error("a malformed body reached the worker")
	}
}

func TestPathTricksAndOddMethodsNeverReachAWorker(t *testing.T) {
	worker, g := one(t)
	for _, line := range []string{
		"GET /api/../api/version HTTP/1.1",
		"GET /api/..%2fversion HTTP/1.1",
		"GET /api/%2e%2e/version HTTP/1.1",
		"GET /api/./version HTTP/1.1",
		"GET //api/version HTTP/1.1",
		"GET /api//version HTTP/1.1",
		"GET /api%2fversion HTTP/1.1",
		"GET /api%5cversion HTTP/1.1",
		`GET /api\version HTTP/1.1`,
		"GET /api/version%00 HTTP/1.1",
		"GET /api/version%0d%0a HTTP/1.1",
		"GET /api/%252e%252e/version HTTP/1.1",
		"GET /api/version;x=1 HTTP/1.1",
		"GET /api/version%3fx HTTP/1.1",
		"GET /.. HTTP/1.1",
		"GET http://elsewhere/api/version HTTP/1.1",
		"GET * HTTP/1.1",
		"OPTIONS * HTTP/1.1",
		"CONNECT elsewhere:443 HTTP/1.1",
		"TRACE /api/version HTTP/1.1",
		"PROPFIND /api/version HTTP/1.1",
		"get /api/version HTTP/1.1",
		"GET api/version HTTP/1.1",
	} {
		response, _ := g.raw(t, line+"\r\nHost: x\r\nAuthorization: Bearer "+key+"\r\nConnection: close\r\n\r\n")
		if response.StatusCode != 400 && response.StatusCode != 404 {
			t.Errorf("%s: %d", line, response.StatusCode)
		}
	}
	if seen := worker.Seen(); len(seen) != 0 {
		t.Errorf("the worker saw %s %s", seen[0].Method, seen[0].URI)
	}
}

func TestMessagesThatTwoServersCouldReadDifferentlyAreRefused(t *testing.T) {
	worker, g := one(t)
	common := "POST /api/generate HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer " + key + "\r\n"
	for name, request := range map[string]string{
		"two lengths":       common + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
		"negative length":   common + "Content-Length: -1\r\n\r\n{}",
		"unknown encoding":  common + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"space before ':'":  common + "Content-Length : 2\r\n\r\n{}",
		"two hosts":         common + "Host: y\r\nContent-Length: 0\r\n\r\n",
		"broken chunk size": common + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
	} {
		if response, _ := g.raw(t, request); response.StatusCode < 400 || response.StatusCode >= 600 {
			t.Errorf("%s: %d", name, response.StatusCode)
		}
	}
	if seen := worker.Seen(); len(seen) != 0 {
		t.Errorf("the worker saw %d of them", len(seen))
	}
}

// closed returns how long the server takes to close the connection, reading what it says meanwhile.
func closed(t *testing.T, connection net.Conn) time.Duration {
	t.Helper()
	began := time.Now()
	if _, err := io.Copy(io.Discard, connection); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("still open after %s", time.Since(began))
	}
	return time.Since(began)
}

func TestAClientThatSendsItsHeadSlowlyIsCutOff(t *testing.T) {
	_, g := one(t, func(c *config.Config) { c.Server.ReadHeaderTimeout = 300 * time.Millisecond })
	connection := g.dial(t)
	stop := make(chan struct{})
	go func() {
		_, _ = io.WriteString(connection, "GET / HTTP/1.1\r\nHost: x\r\n")
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
				_, _ = fmt.Fprintf(connection, "X-%d: y\r\n", i)
			}
		}
	}()
	defer close(stop)
	if took := closed(t, connection); took > 1500*time.Millisecond {
		t.Errorf("closed after %s", took)
	}
}

func TestAClientThatStallsInItsBodyIsCutOffWhateverTheRoute(t *testing.T) {
	_, g := one(t, func(c *config.Config) { c.Server.ReadTimeout = 300 * time.Millisecond })
	for name, lines := range map[string]string{
		"json":        "POST /api/generate HTTP/1.1\r\nAuthorization: Bearer " + key,
		"blob":        "POST /api/blobs/sha256:abc HTTP/1.1\r\nAuthorization: Bearer " + key,
		"unknown":     "POST /api/other HTTP/1.1\r\nAuthorization: Bearer " + key,
		"without key": "POST /api/generate HTTP/1.1",
		"bad path":    "POST //api HTTP/1.1",
	} {
		t.Run(name, func(t *testing.T) {
			connection := g.dial(t)
			_, err := io.WriteString(connection, lines+"\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{\"model\":")
			if err != nil {
				t.Fatal(err)
			}
			if took := closed(t, connection); took > 2*time.Second {
				t.Errorf("closed after %s", took)
			}
		})
	}
}

func TestAnUploadThatGoesOnMayTakeManyTimesTheReadTimeout(t *testing.T) {
	worker, g := one(t, func(c *config.Config) { c.Server.ReadTimeout = time.Second })
	connection := g.dial(t)
	const pieces, size = 8, 4096
	_, err := fmt.Fprintf(connection, "POST /api/blobs/sha256:abc HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n", key, pieces*size)
	if err != nil {
		t.Fatal(err)
	}
	for range pieces {
		time.Sleep(300 * time.Millisecond) // the pace is what is tested
		if _, err := io.WriteString(connection, strings.Repeat("a", size)); err != nil {
			t.Fatal(err)
		}
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != 201 {
		t.Errorf("status %d", response.StatusCode)
	}
	seen := worker.Seen()
	if got := len(seen[len(seen)-1].Body); got != pieces*size {
		t.Errorf("the worker got %d bytes", got)
	}
}

// endless answers with chunks for as long as they are taken.
func endless(stopped chan<- error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		chunk := make([]byte, 64<<10)
		for {
			if _, err := w.Write(chunk); err != nil {
				stopped <- err
				return
			}
		}
	})
}

func TestAClientThatStopsTakingItsAnswerIsCutOff(t *testing.T) {
	_, g := one(t)
	cfg := config.Default().Server
	cfg.WriteTimeout = 200 * time.Millisecond
	stopped := make(chan error, 1)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	recorder := access.NewRecorder(g.metrics, io.Discard, slog.LevelInfo, "x", func(*exchange.Exchange, int) {})
	s := server.New("x", cfg, front.New("x", cfg, nil, nil, recorder, nil, discard()), recorder, nil, discard(), endless(stopped))
	go func() { _ = s.Serve(t.Context(), listener) }()
	g.address = listener.Addr().String()
	connection := g.dial(t)
	if _, err := io.WriteString(connection, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-stopped:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the answer ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the answer was still being written to a client that takes nothing")
	}
}

func TestAStreamMayLastManyTimesTheWriteTimeout(t *testing.T) {
	const limit = 400 * time.Millisecond
	worker, g := one(t, func(c *config.Config) {
		c.Server.WriteTimeout, c.Server.ReadTimeout, c.Server.ReadHeaderTimeout = limit, limit, limit
	})
	release := worker.Hold()
	defer release()
	answer := make(chan string, 1)
	go func() {
		_, text := g.tolerant(t.Context(), "/api/generate", generate)
		answer <- text
	}()
	eventually.True(t, "the request is at the worker", func() bool { return len(worker.Seen()) == 1 })
	select {
	case text := <-answer:
		t.Fatalf("ended early with %q", text)
	case <-time.After(5 * limit):
	}
	release()
	if text := <-answer; !strings.Contains(text, `"done":true`) {
		t.Errorf("the answer is %q", text)
	}
}

func TestAnIdleConnectionIsClosed(t *testing.T) {
	_, g := one(t, func(c *config.Config) { c.Server.IdleTimeout = 200 * time.Millisecond })
	connection := g.dial(t)
	if _, err := io.WriteString(connection, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if took := closed(t, connection); took > 2*time.Second {
		t.Errorf("closed after %s", took)
	}
}

func TestReadinessNamesWhatIsMissing(t *testing.T) {
	holds := false
	admin := server.NewAdmin(http.NotFoundHandler(), []server.Readiness{
		{Missing: "no worker is healthy", Holds: func() bool { return holds }},
		{Missing: "never shown", Holds: func() bool { return true }},
	})
	ask := func(path string) (int, string) {
		recorder := httptest.NewRecorder()
		admin.Handler.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		return recorder.Code, recorder.Body.String()
	}
	if status, text := ask("/readyz"); status != 503 || !strings.Contains(text, "no worker is healthy") || strings.Contains(text, "never shown") {
		t.Errorf("/readyz: %d %s", status, text)
	}
	if status, _ := ask("/livez"); status != 200 {
		t.Errorf("/livez: %d while not ready", status)
	}
	holds = true
	if status, _ := ask("/readyz"); status != 200 {
		t.Errorf("/readyz: %d", status)
	}
}

func TestWhatHasToHoldOnceIsNotMissedLater(t *testing.T) {
	holds := false
	once := server.Once(func() bool { return holds })
	for step, want := range []bool{false, true, true} {
		holds = step == 1
		if once() != want {
			t.Errorf("step %d: %v, want %v", step, !want, want)
		}
	}
}
