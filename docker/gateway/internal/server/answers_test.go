package server_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/eventually"
	"ollamamax/gateway/internal/workertest"
)

const cold = `{"model":"tiny","prompt":"x","options":{"temperature":0}}`

// ways are the two ways in which requests come in: what has a query is for net/http.
var ways = map[string]string{"plain": "", "net/http": "?by=net/http"}

const kept = "X-Ollamamax-Cache"

func read(t *testing.T, response *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAnAnswerThatIsKeptComesAsItCame(t *testing.T) {
	for way, query := range ways {
		for path, body := range map[string]string{
			"/api/generate":        cold,
			"/api/chat":            `{"model":"tiny","messages":[{"role":"user","content":"x"}],"options":{"seed":1},"stream":false}`,
			"/v1/chat/completions": `{"model":"tiny","messages":[{"role":"user","content":"x"}],"temperature":0,"stream":true}`,
			"/api/embed":           `{"model":"tiny","input":["one","two"]}`,
		} {
			t.Run(way+path, func(t *testing.T) {
				worker := workertest.Start(t, "tiny:latest")
				g := start(t, []*workertest.Worker{worker})
				first := g.do(t, "POST", path+query, body)
				text := read(t, first)
				again := g.do(t, "POST", path+query, body)
				if got := read(t, again); got != text || again.StatusCode != 200 {
					t.Errorf("%d %q, not %q", again.StatusCode, got, text)
				}
				if first.Header.Get(kept) != "miss" || again.Header.Get(kept) != "hit" || again.Header.Values("X-Ollamamax-Node") != nil {
					t.Errorf("%v, then %v", first.Header, again.Header)
				}
				for _, name := range []string{"Content-Type", "X-Accel-Buffering"} {
					if first.Header.Get(name) != again.Header.Get(name) {
						t.Errorf("%s: %q became %q", name, first.Header.Get(name), again.Header.Get(name))
					}
				}
				if again.ContentLength != first.ContentLength {
					t.Errorf("length %d became %d", first.ContentLength, again.ContentLength)
				}
				if seen := worker.Seen(); len(seen) != 1 {
					t.Errorf("the worker was asked %d times", len(seen))
				}
				if tokens := g.value(t, "ollamamax_tokens_total", "kind=prompt"); tokens > 5 {
					t.Errorf("tokens that nobody made are counted: %v", tokens)
				}
				if hits := g.value(t, "ollamamax_cache_requests_total", "level=memory", "result=hit"); hits != 1 {
					t.Errorf("%v hits", hits)
				}
				eventually.True(t, "the log tells them apart", func() bool {
					return strings.Contains(g.log.String(), `"cache":"miss"`) && strings.Contains(g.log.String(), `"cache":"hit"`)
				})
			})
		}
	}
}

func TestEachMessageOfAKeptStreamIsAChunk(t *testing.T) {
	g := start(t, []*workertest.Worker{workertest.Start(t, "tiny:latest")})
	_ = read(t, g.do(t, "POST", "/api/generate", cold))
	connection := g.dial(t)
	send(t, connection, plain("/api/generate", cold))
	reader := bufio.NewReader(connection)
	for line := ""; line != "\r\n"; { // the head
		var err error
		if line, err = reader.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	size, err := reader.ReadString('\n')
	if err != nil || size != fmt.Sprintf("%x\r\n", len(`{"response":"one","done":false}`+"\n")) {
		t.Errorf("the first chunk has %q bytes, %v", size, err)
	}
	rest := httputil.NewChunkedReader(io.MultiReader(strings.NewReader(size), reader))
	if text, err := io.ReadAll(rest); err != nil || strings.Count(string(text), "\n") != 3 {
		t.Errorf("%q, %v", text, err)
	}
}

func TestAHundredIdenticalRequestsAreOneAtTheWorker(t *testing.T) {
	worker := workertest.Start(t, "tiny:latest")
	g := start(t, []*workertest.Worker{worker})
	release := worker.Hold()
	defer release()
	var wait sync.WaitGroup
	var same atomic.Int64
	for range 100 {
		wait.Go(func() {
			status, text := g.tolerant(t.Context(), "/api/generate", cold)
			if status == 200 && strings.HasPrefix(text, `{"response":"one"`) && strings.HasSuffix(text, "\"eval_count\":3}\n") {
				same.Add(1)
			}
		})
	}
	eventually.True(t, "all wait for the one", func() bool { return g.value(t, "ollamamax_joined_requests_total") == 99 })
	release()
	wait.Wait()
	if len(worker.Seen()) != 1 || same.Load() != 100 {
		t.Errorf("the worker was asked %d times, %d got the answer", len(worker.Seen()), same.Load())
	}
	eventually.True(t, "its tokens count once", func() bool { return g.value(t, "ollamamax_tokens_total", "kind=completion") == 3 })
}

func TestAModelThatChangesIsAskedAnew(t *testing.T) {
	worker := workertest.Start(t, "tiny:latest")
	g := start(t, []*workertest.Worker{worker})
	_ = read(t, g.do(t, "POST", "/api/generate", cold))
	worker.SetDigest("new")
	eventually.True(t, "the change is known", func() bool { return g.pool.Digest("registry.ollama.ai/library/tiny:latest") == "new" })
	again := g.do(t, "POST", "/api/generate", cold)
	_ = read(t, again)
	if len(worker.Seen()) != 2 || again.Header.Get(kept) != "miss" {
		t.Errorf("%d requests, %v", len(worker.Seen()), again.Header)
	}
}

func TestTheLastClientToLeaveASharedAnswerCancelsItWithinATenthOfASecond(t *testing.T) {
	withinATenthOfASecond(t, func() time.Duration { return leaveShared(t) })
}

// leaveShared has two clients leave the answer that they share, and returns how long it takes to tell the worker of
// the second.
func leaveShared(t *testing.T) time.Duration {
	t.Helper()
	worker := workertest.Start(t, "tiny:latest")
	g := start(t, []*workertest.Worker{worker})
	worker.Fail(workertest.SilentMidStream)
	var leave []context.CancelFunc
	for range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		leave = append(leave, cancel)
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url+"/api/generate", strings.NewReader(cold))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+key)
		response, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		first := make([]byte, 1024)
		if n, err := response.Body.Read(first); err != nil || !bytes.Contains(first[:n], []byte("one")) {
			t.Fatalf("%q, %v", first[:n], err)
		}
		defer func() { _ = response.Body.Close() }()
	}
	leave[0]()
	eventually.True(t, "the first has been noticed", func() bool { return g.value(t, "ollamamax_requests_total", "code=499") == 1 })
	select {
	case <-worker.ClientGone():
		t.Fatal("cancelled though a client waits")
	default:
	}
	left := time.Now()
	leave[1]()
	<-worker.ClientGone()
	return time.Since(left)
}

func TestAWorkerThatDiesIsToldToAllWhoShareItsAnswer(t *testing.T) {
	worker := workertest.Start(t, "tiny:latest")
	g := start(t, []*workertest.Worker{worker})
	worker.Fail(workertest.MidStream)
	release := worker.Hold()
	defer release()
	var wait sync.WaitGroup
	for range 3 {
		wait.Go(func() {
			_, text := g.tolerant(t.Context(), "/api/generate", cold)
			if !strings.Contains(text, `"one"`) || !strings.HasSuffix(text, "{\"error\":\"worker worker-1 failed while it was answering\"}\n") {
				t.Errorf("%q", text)
			}
		})
	}
	eventually.True(t, "all wait for the one", func() bool { return g.value(t, "ollamamax_joined_requests_total") == 2 })
	release()
	wait.Wait()
}

func TestEmbeddingsAskedForAtTheSameTimeAreOneRequest(t *testing.T) {
	worker := workertest.Start(t, "tiny:latest")
	g := start(t, []*workertest.Worker{worker}, func(c *config.Config) { c.EmbedBatch.MaxWait = 500 * time.Millisecond })
	release := worker.Hold()
	defer release()
	var wait sync.WaitGroup
	embed := func(text, want string) {
		wait.Go(func() {
			if _, answer := g.tolerant(t.Context(), "/api/embed", `{"model":"tiny","input":"`+text+`"}`); !strings.Contains(answer, want) {
				t.Errorf("%s: %s", text, answer)
			}
		})
	}
	embed("first", `{"embeddings":[[5]],"prompt_eval_count":1}`)
	eventually.True(t, "the first is at the worker", func() bool { return len(worker.Seen()) == 1 })
	for i := range 10 {
		embed(strings.Repeat("x", i+1), fmt.Sprintf(`{"embeddings":[[%d]]}`, i+1))
	}
	eventually.True(t, "the others are too", func() bool { return len(worker.Seen()) > 1 })
	release()
	wait.Wait()
	if seen := worker.Seen(); len(seen) > 4 {
		t.Errorf("11 requests are %d at the worker", len(seen))
	}
	if sizes := g.value(t, "ollamamax_embed_batch_requests"); sizes != float64(len(worker.Seen())) {
		t.Errorf("%v batches are counted of %d", sizes, len(worker.Seen()))
	}
	before := len(worker.Seen())
	embed("a good one", `{"embeddings":[[10]]`)
	embed("bad", `{"error":"bad text"}`)
	embed("another", `{"embeddings":[[7]]`)
	wait.Wait()
	if len(worker.Seen()) == before {
		t.Error("nothing was asked")
	}
}

func packed(t *testing.T, encoding, text string) string {
	t.Helper()
	var packed bytes.Buffer
	var writer io.WriteCloser
	switch encoding {
	case "gzip":
		writer = gzip.NewWriter(&packed)
	case "br":
		writer = brotli.NewWriter(&packed)
	case "zstd":
		var err error
		if writer, err = zstd.NewWriter(&packed); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.WriteString(writer, text); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.String()
}

func TestCompressedBodiesReachTheWorkerPlain(t *testing.T) {
	worker := workertest.Start(t, "tiny:latest")
	g := start(t, []*workertest.Worker{worker})
	send := func(path, encoding, body string) *http.Response {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+key)
		request.Header.Set("Content-Encoding", encoding)
		response, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = response.Body.Close() })
		return response
	}
	for _, encoding := range []string{"gzip", "br", "zstd"} {
		for _, path := range []string{"/api/generate", "/api/show"} {
			if response := send(path, encoding, packed(t, encoding, generate)); response.StatusCode != 200 {
				t.Errorf("%s %s: %s", path, encoding, read(t, response))
			}
			seen := worker.Seen()
			last := seen[len(seen)-1]
			if string(last.Body) != generate || last.Header.Get("Content-Encoding") != "" || last.Header.Get("Content-Length") != fmt.Sprint(len(generate)) {
				t.Errorf("%s %s: the worker got %q with %v", path, encoding, last.Body, last.Header)
			}
		}
	}
	for name, c := range map[string]struct {
		encoding, body string
		status         int
		says           string
	}{
		"another encoding": {"deflate", "x", 415, `content encoding is not one of identity, gzip, br, zstd: \"deflate\"`},
		"two encodings":    {"gzip, br", "x", 415, `\"gzip, br\"`},
		"not gzip":         {"gzip", generate, 400, "the body is not gzip"},
		"too large":        {"gzip", packed(t, "gzip", strings.Repeat("a", 33<<20)), 413, "grows more than 100 times"},
		"not JSON inside":  {"gzip", packed(t, "gzip", "nonsense"), 400, "invalid character 'o' in literal null (expecting 'u')"},
	} {
		response := send("/v1/chat/completions", c.encoding, c.body)
		if text := read(t, response); response.StatusCode != c.status || !strings.Contains(text, c.says) || !strings.Contains(text, `"type":"invalid_request_error"`) {
			t.Errorf("%s: %d %s", name, response.StatusCode, text)
		}
		if want := map[bool]string{true: "gzip, br, zstd"}[c.status == 415]; response.Header.Get("Accept-Encoding") != want {
			t.Errorf("%s: accepted %q", name, response.Header.Get("Accept-Encoding"))
		}
	}
	if counted := g.value(t, "ollamamax_compressed_requests_total", "encoding=other"); counted != 2 {
		t.Errorf("%v of other encodings", counted)
	}
}
