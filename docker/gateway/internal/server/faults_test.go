package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/eventually"
	"ollamamax/gateway/internal/workertest"
)

func TestARequestThatAWorkerFailsBeforeItAnswersIsRepeatedOnAnother(t *testing.T) {
	for name, fault := range map[string]workertest.Fault{
		"reset": workertest.Reset, "headers only": workertest.HeadersOnly,
		"503": workertest.Overloaded, "429": workertest.Limited, "502": workertest.BadGateway,
	} {
		t.Run(name, func(t *testing.T) {
			first, second, workers := two(t)
			g := start(t, workers)
			first.Fail(fault)
			for i := range 8 {
				// Each prompt has its own node.
				response := g.do(t, "POST", "/api/generate", fmt.Sprintf(`{"model":"tiny","prompt":"%d"}`, i))
				text, err := io.ReadAll(response.Body)
				if err != nil || response.StatusCode != 200 || !strings.Contains(string(text), `"done":true`) {
					t.Fatalf("status %d, %v: %s", response.StatusCode, err, text)
				}
				if node := response.Header.Get("X-Ollamamax-Node"); node != "worker-2" {
					t.Errorf("answered by %s", node)
				}
			}
			retried := len(first.Seen())
			if retried == 0 {
				t.Fatal("no request met the fault")
			}
			if counted := g.value(t, "ollamamax_retries_total"); counted != float64(retried) {
				t.Errorf("ollamamax_retries_total is %v after %d repeated requests", counted, retried)
			}
			for _, seen := range second.Seen() {
				if !strings.HasPrefix(string(seen.Body), `{"model":"tiny","prompt":"`) {
					t.Errorf("the repeated body is %q", seen.Body)
				}
			}
		})
	}
}

func TestARequestIsRepeatedOnce(t *testing.T) {
	third := workertest.Start(t, "tiny:latest")
	first, second, workers := two(t)
	g := start(t, append(workers, third))
	for _, worker := range []*workertest.Worker{first, second, third} {
		worker.Fail(workertest.Reset)
	}
	status, text := g.ask(t, "POST", "/api/generate", generate)
	if status != 502 {
		t.Errorf("status %d: %s", status, text)
	}
	if attempts := len(first.Seen()) + len(second.Seen()) + len(third.Seen()); attempts != 2 {
		t.Errorf("%d attempts", attempts)
	}
}

func TestAnOverloadedAnswerIsPassedOnWhereNoOtherNodeHasTheModel(t *testing.T) {
	worker := workertest.Start(t, "tiny:latest")
	g := start(t, []*workertest.Worker{worker, workertest.Start(t, "big:7b")})
	worker.Fail(workertest.Overloaded)
	if status, text := g.ask(t, "POST", "/api/generate", generate); status != 503 || !strings.Contains(text, "server busy") {
		t.Errorf("status %d: %s", status, text)
	}
}

func TestAStreamThatDiesMidwayEndsInAnErrorOfItsOwnFormat(t *testing.T) {
	for name, c := range map[string]struct {
		path  string
		fault workertest.Fault
	}{
		"lines":                    {"/api/generate", workertest.MidStream},
		"lines, within one":        {"/api/generate", workertest.MidLine},
		"events":                   {"/v1/chat/completions", workertest.MidStream},
		"events, within one":       {"/v1/chat/completions", workertest.MidLine},
		"lines, of a silent node":  {"/api/chat", workertest.SilentMidStream},
		"events, of a silent node": {"/v1/completions", workertest.SilentMidStream},
	} {
		t.Run(name, func(t *testing.T) {
			first, second, workers := two(t)
			g := start(t, workers, func(c *config.Config) { c.Workers.ResponseTimeout = time.Second })
			first.Fail(c.fault)
			second.Fail(c.fault)
			response := g.do(t, "POST", c.path, generate)
			text, err := io.ReadAll(response.Body)
			if err == nil {
				t.Errorf("the connection was not aborted: a client could take this for the whole: %s", text)
			}
			lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
			last := lines[len(lines)-1]
			if strings.HasPrefix(c.path, "/v1/") {
				var event struct {
					Error struct{ Message, Type string }
				}
				data, found := strings.CutPrefix(last, "data: ")
				if err := json.Unmarshal([]byte(data), &event); err != nil || !found || event.Error.Message == "" || event.Error.Type == "" {
					t.Errorf("last event is %q (%v)", last, err)
				}
				if !strings.HasSuffix(string(text), "\n\n") || !strings.Contains(string(text), "\n\ndata: {\"error\"") {
					t.Errorf("the error is no event by itself: %q", text)
				}
				return
			}
			var line struct{ Error string }
			if err := json.Unmarshal([]byte(last), &line); err != nil || line.Error == "" {
				t.Errorf("last line is %q (%v)", last, err)
			}
			if attempts := len(first.Seen()) + len(second.Seen()); attempts != 1 {
				t.Errorf("a request that had begun to answer was sent %d times", attempts)
			}
		})
	}
}

func TestASilentWorkerIsGivenUpAfterTheResponseTimeout(t *testing.T) {
	worker := workertest.Start(t, "tiny:latest")
	g := start(t, []*workertest.Worker{worker}, func(c *config.Config) { c.Workers.ResponseTimeout = 200 * time.Millisecond })
	worker.Fail(workertest.Silent)
	if status, text := g.ask(t, "POST", "/api/generate", generate); status != 504 {
		t.Errorf("status %d: %s", status, text)
	}
	<-worker.ClientGone()
}

func TestNoRequestFailsThatHadNotBegunToAnswerWhenAWorkerDiesUnderLoad(t *testing.T) {
	first, _, workers := two(t)
	g := start(t, workers)
	ctx, stop := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	var mu sync.Mutex
	var failures []string
	answered := 0
	for range 20 {
		wait.Go(func() {
			for ctx.Err() == nil {
				status, text := g.tolerant(t.Context(), "/api/generate", generate)
				mu.Lock()
				answered++
				// A stream that had begun may break; it then says so.
				if status != 200 || (!strings.Contains(text, `"done":true`) && !strings.Contains(text, `"error"`)) {
					failures = append(failures, text)
				}
				mu.Unlock()
			}
		})
	}
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return answered
	}
	for range 3 {
		before := count()
		eventually.True(t, "requests are answered by both", func() bool { return count() > before+100 })
		first.Stop()
		eventually.True(t, "the dead worker counts as down", func() bool { return len(g.pool.Healthy()) == 1 })
		before = count()
		eventually.True(t, "requests are answered by one", func() bool { return count() > before+100 })
		first.Restart(t)
		eventually.True(t, "the worker is back", func() bool { return len(g.pool.Healthy()) == 2 })
	}
	stop()
	wait.Wait()
	if len(failures) > 0 {
		t.Errorf("%d of %d requests failed, the first with %q", len(failures), answered, failures[0])
	}
}

// tolerant returns what came of an answer that may break off. It can be called from any goroutine.
func (g *gateway) tolerant(ctx context.Context, path, body string) (int, string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url+path, strings.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	request.Header.Set("Authorization", "Bearer "+key)
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil && !strings.Contains(string(text), `"error"`) {
		return 0, "broke off without an error: " + err.Error()
	}
	return response.StatusCode, string(text)
}

func TestARequestWaitsForTheLastNodeOfItsModelToComeBack(t *testing.T) {
	worker := workertest.Start(t, "tiny:latest")
	g := start(t, []*workertest.Worker{worker, workertest.Start(t, "big:7b")})
	worker.Stop()
	eventually.True(t, "the worker counts as down", func() bool { return len(g.pool.Healthy()) == 1 })
	answer := make(chan int)
	go func() {
		status, _ := g.tolerant(t.Context(), "/api/generate", generate)
		answer <- status
	}()
	select {
	case status := <-answer:
		t.Fatalf("answered %d while no node with the model was up", status)
	case <-time.After(200 * time.Millisecond):
	}
	worker.Restart(t)
	if status := <-answer; status != 200 {
		t.Errorf("status %d after the worker came back", status)
	}
}

func TestARequestIsRefusedWhereNoNodeComesBackInTime(t *testing.T) {
	worker := workertest.Start(t, "tiny:latest")
	g := start(t, []*workertest.Worker{worker}, func(c *config.Config) { c.Workers.WaitForNode = 100 * time.Millisecond })
	worker.Stop()
	eventually.True(t, "the worker counts as down", func() bool { return len(g.pool.Healthy()) == 0 })
	response := g.do(t, "POST", "/api/generate", generate)
	if response.StatusCode != 503 || response.Header.Get("Retry-After") == "" {
		t.Errorf("status %d, Retry-After %q", response.StatusCode, response.Header.Get("Retry-After"))
	}
}

func TestKnownKeysGoOnWorkingWhileTheDatabaseIsAway(t *testing.T) {
	g := start(t, []*workertest.Worker{workertest.Start(t, "tiny:latest")})
	g.keys.fail(errors.New("connection refused"))
	eventually.True(t, "a reload has failed", func() bool { return strings.Contains(g.log.String(), "keys not reloaded") })
	if status, text := g.ask(t, "GET", "/api/tags", ""); status != 200 {
		t.Errorf("known key: %d %s", status, text)
	}
	response, _ := g.raw(t, "GET /api/tags HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer another\r\nConnection: close\r\n\r\n")
	if response.StatusCode != 503 {
		t.Errorf("unknown key: %d, want 503, since nobody can tell", response.StatusCode)
	}
}

func TestADrainingGatewayFinishesWhatIsUnderWayAndStillAccepts(t *testing.T) {
	const delay = 1500 * time.Millisecond // enough for a request on a busy machine
	worker := workertest.Start(t, "tiny:latest")
	g := start(t, []*workertest.Worker{worker}, func(c *config.Config) { c.Server.DrainDelay = delay })
	release := worker.Hold()
	defer release()
	long := make(chan int, 1)
	go func() {
		status, _ := g.tolerant(t.Context(), "/api/generate", generate)
		long <- status
	}()
	eventually.True(t, "the request is at the worker", func() bool { return len(worker.Seen()) == 1 })
	g.stop()
	eventually.True(t, "the gateway drains", g.server.Draining)
	response := g.do(t, "GET", "/", "")
	if response.StatusCode != 200 || !response.Close {
		t.Errorf("during the delay: status %d, connection closed afterwards: %v", response.StatusCode, response.Close)
	}
	select {
	case err := <-g.stopped:
		t.Fatalf("stopped with a request under way: %v", err)
	case <-time.After(delay + 200*time.Millisecond):
	}
	release()
	if status := <-long; status != 200 {
		t.Errorf("the request under way got %d", status)
	}
	if err := <-g.stopped; err != nil {
		t.Errorf("stopped with %v", err)
	}
}
