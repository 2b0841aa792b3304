package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/eventually"
	"ollamamax/gateway/internal/workertest"
)

const generate = `{"model":"tiny","prompt":"x"}`

func two(t *testing.T) (*workertest.Worker, *workertest.Worker, []*workertest.Worker) {
	t.Helper()
	first, second := workertest.Start(t, "tiny:latest"), workertest.Start(t, "tiny:latest")
	return first, second, []*workertest.Worker{first, second}
}

func TestBodiesPathsAndQueriesReachTheWorkerByteForByte(t *testing.T) {
	worker := workertest.Start(t, "tiny:latest")
	g := start(t, []*workertest.Worker{worker})
	body := " {\"model\" :\t\"tiny\",\n\"prompt\":\"\\u00e9\", \"stream\":false} "
	if status, text := g.ask(t, "POST", "/api/generate?a=1&b=%20", body); status != 200 {
		t.Fatalf("status %d: %s", status, text)
	}
	seen := worker.Seen()[0]
	if string(seen.Body) != body {
		t.Errorf("body became %q", seen.Body)
	}
	if seen.URI != "/api/generate?a=1&b=%20" {
		t.Errorf("target became %q", seen.URI)
	}
	if seen.Header.Get("Authorization") != "" {
		t.Error("the API key reached the worker")
	}
}

func TestEverySpellingOfAModelFindsTheNodeThatHoldsIt(t *testing.T) {
	other, holder := workertest.Start(t, "big:7b"), workertest.Start(t, "tiny:latest")
	g := start(t, []*workertest.Worker{other, holder})
	for _, name := range []string{"tiny", "tiny:latest", "Tiny", "library/tiny", "registry.ollama.ai/library/tiny:latest"} {
		for range 4 {
			response := g.do(t, "POST", "/api/chat", `{"model":"`+name+`"}`)
			if node := response.Header.Get("X-Ollamamax-Node"); node != "worker-2" {
				t.Errorf("model %q was answered by %q", name, node)
			}
		}
	}
}

func TestRequestsGoToTheNodeWithTheFewestUnderWay(t *testing.T) {
	first, second, workers := two(t)
	g := start(t, workers)
	releaseFirst, releaseSecond := first.Hold(), second.Hold()
	var wait sync.WaitGroup
	defer wait.Wait()
	defer releaseFirst()
	defer releaseSecond()
	for i := range 6 {
		// Without a prompt there is no node whose cache could have its beginning.
		wait.Go(func() { _, _ = g.tolerant(t.Context(), "/api/generate", `{"model":"tiny"}`) })
		eventually.True(t, "the request is at a worker", func() bool { return len(first.Seen())+len(second.Seen()) == i+1 })
	}
	if a, b := len(first.Seen()), len(second.Seen()); a != 3 || b != 3 {
		t.Errorf("6 requests at the same time were spread %d to %d", a, b)
	}
	if inFlight := g.value(t, "ollamamax_in_flight"); inFlight != 6 {
		t.Errorf("ollamamax_in_flight says %v, 6 are", inFlight)
	}
}

func TestTheTurnsOfAConversationGoToOneNodeAndConversationsToAll(t *testing.T) {
	first, second, workers := two(t)
	g := start(t, workers)
	for conversation := range 12 {
		opening := fmt.Sprintf(`{"role":"user","content":"conversation %d"}`, conversation)
		node := ""
		for turn := range 3 {
			more := strings.Repeat(`,{"role":"assistant","content":"yes"},{"role":"user","content":"and then?"}`, turn)
			response := g.do(t, "POST", "/api/chat", `{"model":"tiny","stream":false,"messages":[`+opening+more+`]}`)
			if name := response.Header.Get("X-Ollamamax-Node"); node != "" && name != node {
				t.Errorf("turn %d of conversation %d went to %s, those before to %s", turn+1, conversation, name, node)
			} else {
				node = name
			}
		}
	}
	if len(first.Seen()) == 0 || len(second.Seen()) == 0 {
		t.Errorf("12 conversations are %d and %d requests at the nodes", len(first.Seen()), len(second.Seen()))
	}
	if kept := g.value(t, "ollamamax_affinity_total", "result=kept"); kept != 36 {
		t.Errorf("%v of 36 requests count as kept with their node", kept)
	}
}

func TestStreamedWordsArriveAsTheyAreMade(t *testing.T) {
	worker := workertest.Start(t, "tiny:latest")
	g := start(t, []*workertest.Worker{worker})
	worker.Fail(workertest.SilentMidStream)
	response := g.do(t, "POST", "/api/generate", generate)
	first := make([]byte, 1024)
	n, err := response.Body.Read(first)
	if err != nil || !strings.Contains(string(first[:n]), `"one"`) {
		t.Fatalf("the first word did not arrive while the stream was open: %q, %v", first[:n], err)
	}
}

func TestAClientThatLeavesCancelsItsGenerationWithinATenthOfASecond(t *testing.T) {
	for _, fault := range []workertest.Fault{workertest.Silent, workertest.SilentMidStream} {
		withinATenthOfASecond(t, func() time.Duration { return leave(t, fault) })
	}
}

// withinATenthOfASecond repeats what tells how long a worker takes to hear that its client has left: a busy
// machine is late now and then, and not every time.
func withinATenthOfASecond(t *testing.T, measure func() time.Duration) {
	t.Helper()
	took := time.Hour
	for try := 0; try < 5 && took > 100*time.Millisecond; try++ {
		took = measure()
	}
	if took > 100*time.Millisecond {
		t.Errorf("the worker was told after %s", took)
	}
}

// leave sends a request, leaves while its worker is silent, and returns how long it takes to tell the worker.
func leave(t *testing.T, fault workertest.Fault) time.Duration {
	t.Helper()
	worker := workertest.Start(t, "tiny:latest")
	g := start(t, []*workertest.Worker{worker})
	worker.Fail(fault)
	ctx, cancel := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url+"/api/generate", strings.NewReader(generate))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+key)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if response, err := http.DefaultTransport.RoundTrip(request); err == nil {
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
		}
	}()
	eventually.True(t, "the request is at the worker", func() bool { return len(worker.Seen()) == 1 })
	left := time.Now()
	cancel()
	<-worker.ClientGone()
	took := time.Since(left)
	<-done
	eventually.True(t, "the request is counted as 499", func() bool {
		return g.value(t, "ollamamax_requests_total", "code=499") == 1
	})
	if g.value(t, "ollamamax_retries_total") != 0 || len(worker.Seen()) != 1 {
		t.Error("a request whose client had left was repeated")
	}
	return took
}

func TestAClientThatLeavesPaysForWhatItGotOnEitherAPI(t *testing.T) {
	for path, body := range map[string]string{
		"/api/generate":        generate,
		"/v1/chat/completions": `{"model":"tiny","stream":true,"messages":[]}`,
	} {
		worker := workertest.Start(t, "tiny:latest")
		g := start(t, []*workertest.Worker{worker})
		worker.Fail(workertest.SilentMidStream)
		response := g.do(t, "POST", path, body)
		if _, err := response.Body.Read(make([]byte, 16)); err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		eventually.True(t, path+": the one token that was sent is counted", func() bool {
			return g.value(t, "ollamamax_tokens_total", "model=tiny:latest", "kind=completion") == 1
		})
	}
}

func TestModelsOfAllNodesAreListedOnceNewestFirst(t *testing.T) {
	g := start(t, []*workertest.Worker{workertest.Start(t, "tiny:latest", "big:7b"), workertest.Start(t, "tiny:latest")})
	_, text := g.ask(t, "GET", "/api/tags", "")
	var list struct{ Models []struct{ Name string } }
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, model := range list.Models {
		names = append(names, model.Name)
	}
	if !slices.Equal(names, []string{"big:7b", "tiny:latest"}) {
		t.Errorf("/api/tags lists %v", names)
	}
	_, text = g.ask(t, "GET", "/v1/models", "")
	var open struct {
		Object string
		Data   []struct{ ID string }
	}
	if err := json.Unmarshal([]byte(text), &open); err != nil {
		t.Fatal(err)
	}
	if open.Object != "list" || len(open.Data) != 2 {
		t.Errorf("/v1/models answers %s", text)
	}
}

func TestRunningModelsOfAllNodesAreListed(t *testing.T) {
	first, second, workers := two(t)
	g := start(t, workers)
	_, text := g.ask(t, "GET", "/api/ps", "")
	if !strings.Contains(text, first.Address) || !strings.Contains(text, second.Address) {
		t.Errorf("/api/ps answers %s", text)
	}
}

func TestAPullReachesEveryNodeAndEndsOnce(t *testing.T) {
	first, second, workers := two(t)
	g := start(t, workers)
	_, text := g.ask(t, "POST", "/api/pull", `{"model":"tiny"}`)
	if strings.Count(text, "success") != 1 || strings.Count(text, "pulling manifest") != 1 {
		t.Errorf("progress is %s", text)
	}
	if len(first.Seen()) != 1 || len(second.Seen()) != 1 {
		t.Error("a node was left out")
	}
}

func TestAPullThatFailsOnOneNodeIsNoSuccess(t *testing.T) {
	_, second, workers := two(t)
	g := start(t, workers)
	second.Fail(workertest.MidStream)
	_, text := g.ask(t, "POST", "/api/pull", `{"model":"tiny"}`)
	if strings.Contains(text, "success") || !strings.Contains(text, `"error":"worker-2: no space left on device"`) {
		t.Errorf("progress is %s", text)
	}
}

func TestABlobReachesEveryNodeUnbuffered(t *testing.T) {
	first, second, workers := two(t)
	g := start(t, workers, func(c *config.Config) { c.Server.MaxBodyBytes = 1024 })
	blob := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB: over the limit of other bodies
	path := "/api/blobs/sha256:abc"
	if status, _ := g.ask(t, "HEAD", path, ""); status != 404 {
		t.Errorf("HEAD of a blob that no node has: %d", status)
	}
	if status, text := g.ask(t, "POST", path, string(blob)); status != 201 {
		t.Fatalf("upload: %d %s", status, text)
	}
	for _, worker := range []*workertest.Worker{first, second} {
		seen := worker.Seen()
		if last := seen[len(seen)-1]; last.Method != "POST" || !bytes.Equal(last.Body, blob) {
			t.Errorf("a node got %s with %d bytes", last.Method, len(last.Body))
		}
	}
	connection := g.dial(t)
	const pieces = 64 // more than sockets hold
	_, err := fmt.Fprintf(connection, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n", path, key, pieces*len(blob))
	for range pieces {
		if err == nil {
			_, err = connection.Write(blob)
		}
	}
	if err != nil {
		t.Errorf("what every node has was not taken to its end: %v", err)
	}
}

func TestARouteThatTheGatewayDoesNotKnowPassesThrough(t *testing.T) {
	worker := workertest.Start(t, "tiny:latest")
	g := start(t, []*workertest.Worker{worker})
	_, _ = g.ask(t, "POST", "/api/experimental/thing?x=1", `{"stream":false}`)
	_, _ = g.ask(t, "GET", "/api/chat", "")
	var targets []string
	for _, seen := range worker.Seen() {
		targets = append(targets, seen.Method+" "+seen.URI)
	}
	if !slices.Equal(targets, []string{"POST /api/experimental/thing?x=1", "GET /api/chat"}) {
		t.Errorf("the worker saw %v", targets)
	}
	if g.value(t, "ollamamax_requests_total", "api=other") != 2 {
		t.Error("unknown routes are not counted under one label")
	}
}

func TestTokensAndTimesAreCounted(t *testing.T) {
	worker := workertest.Start(t, "tiny:latest")
	g := start(t, []*workertest.Worker{worker})
	_, _ = g.ask(t, "POST", "/api/generate", generate)
	_, _ = g.ask(t, "POST", "/api/generate", `{"model":"no-such-model-`+strings.Repeat("x", 50)+`"}`)
	for _, expected := range []struct {
		metric string
		labels []string
		value  float64
	}{
		{"ollamamax_tokens_total", []string{"model=tiny:latest", "kind=prompt"}, 5},
		{"ollamamax_tokens_total", []string{"model=tiny:latest", "kind=completion"}, 3},
		{"ollamamax_requests_total", []string{"api=/api/generate", "model=tiny:latest", "code=200"}, 1},
		{"ollamamax_requests_total", []string{"api=/api/generate", "model=unknown"}, 1},
		{"ollamamax_time_to_first_token_seconds", []string{"model=tiny:latest"}, 1},
		{"ollamamax_overhead_seconds", []string{"api=/api/generate"}, 2},
		{"ollamamax_node_up", []string{"node=worker-1"}, 1},
		{"ollamamax_build_info", []string{"version=test"}, 1},
	} {
		// The answer is on its way before it is counted.
		eventually.True(t, fmt.Sprintf("%s%v is %v", expected.metric, expected.labels, expected.value), func() bool {
			return g.value(t, expected.metric, expected.labels...) == expected.value
		})
	}
}

func TestLogsHoldNeitherKeysNorPrompts(t *testing.T) {
	g := start(t, []*workertest.Worker{workertest.Start(t, "tiny:latest")})
	response := g.do(t, "POST", "/api/generate?ts=secret-stamp", `{"model":"tiny","prompt":"my-private-prompt"}`)
	_, _ = io.Copy(io.Discard, response.Body)
	id := response.Header.Get("X-Request-Id")
	eventually.True(t, "the request is logged", func() bool { return id != "" && strings.Contains(g.log.String(), id) })
	for _, secret := range []string{key, "my-private-prompt", "secret-stamp"} {
		if strings.Contains(g.log.String(), secret) {
			t.Errorf("the log holds %q: %s", secret, g.log.String())
		}
	}
	if name := response.Header.Get("X-Ollamamax-Gateway"); name != "gateway-under-test" {
		t.Errorf("X-Ollamamax-Gateway is %q", name)
	}
}
