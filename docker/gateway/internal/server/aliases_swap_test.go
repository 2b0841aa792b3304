package server_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ollamamax/gateway/internal/eventually"
	"ollamamax/gateway/internal/workertest"
)

func TestAnAnswerOfTheModelBeforeIsNeverGivenAfterAnAliasWasChanged(t *testing.T) {
	worker := workertest.Start(t, "old:latest", "new:latest")
	worker.SetDigest("one") // of both: the name alone tells them apart
	g := start(t, []*workertest.Worker{worker})
	g.put(t, "chat", `{"targets":[{"model":"old"}]}`)
	const body = `{"model":"chat","prompt":"x","options":{"temperature":0},"stream":false}`
	say := func() string {
		response := g.do(t, "POST", "/api/generate", body)
		return response.Header.Get("X-Ollamamax-Cache") + " " + response.Header.Get("X-Ollamamax-Model")
	}
	for _, want := range []string{"miss old:latest", "hit old:latest"} {
		if got := say(); got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
	release := worker.Hold()
	waiting := make(chan string, 1)
	go func() {
		response := g.with(t, "/api/generate", strings.Replace(body, "x", "y", 1), "Cache-Control", "no-store")
		waiting <- response.Header.Get("X-Ollamamax-Model")
	}()
	eventually.True(t, "one is under way", func() bool { return len(worker.Seen()) == 2 })
	g.put(t, "chat", `{"targets":[{"model":"new"}]}`)
	release()
	if model := <-waiting; model != "old:latest" {
		t.Errorf("what was under way ended as %s", model)
	}
	for _, want := range []string{"miss new:latest", "hit new:latest"} {
		if got := say(); got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
	g.put(t, "chat", `{"targets":[{"model":"old"}]}`)
	if got := say(); got != "hit old:latest" {
		t.Errorf("back again: %s", got)
	}
}

func TestAModelIsInMemoryBeforeAnAliasStandsForIt(t *testing.T) {
	worker := workertest.Start(t, "old:latest", "new:latest", "next:latest")
	worker.Remember(1, 50*time.Millisecond)
	g := start(t, []*workertest.Worker{worker})
	for i, c := range []struct {
		body  string
		loads int
	}{
		{`{"targets":[{"model":"old"}]}`, 1},
		{`{"targets":[{"model":"old"},{"model":"next","weight":0}]}`, 1}, // nothing that gets requests is new
		{`{"targets":[{"model":"new"}],"preload":false}`, 1},
		{`{"targets":[{"model":"next"}]}`, 2},
	} {
		g.put(t, "chat", c.body)
		if worker.Loads() != c.loads {
			t.Errorf("after %d changes %d models have been loaded, not %d", i+1, worker.Loads(), c.loads)
		}
	}
	worker.Fail(workertest.Broken)
	status, text := g.ask(t, "PUT", "/api/v1/models/aliases/chat", `{"targets":[{"model":"new"}]}`)
	if status != 503 || !strings.Contains(text, "new could not be made resident, and the alias stays as it is: ") {
		t.Errorf("a model that can't be loaded: %d %s", status, text)
	}
	if _, text := g.ask(t, "GET", "/api/v1/models/aliases/chat", ""); !strings.Contains(text, `"model":"next"`) {
		t.Errorf("the alias stands for %s", text)
	}
}

func TestUnderLoadNoRequestFailsAndNoneGetsTheOldModelAfterASwap(t *testing.T) {
	workers := []*workertest.Worker{workertest.Start(t, "old:latest", "new:latest"), workertest.Start(t, "old:latest", "new:latest")}
	g := start(t, workers)
	g.put(t, "chat", `{"targets":[{"model":"old"}]}`)
	var swapped atomic.Pointer[string] // what has answered since the last PUT, or nil while one is under way
	model := "old:latest"
	swapped.Store(&model)
	ctx, stop := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	var asked atomic.Int64
	for i := range 8 {
		wait.Go(func() {
			for ctx.Err() == nil {
				want := swapped.Load()
				path, body := "/api/generate", fmt.Sprintf(`{"model":"chat","prompt":"%d"}`, i)
				if i%2 == 0 {
					path, body = "/v1/chat/completions", fmt.Sprintf(`{"model":"chat","stream":true,"temperature":0,"messages":[{"role":"user","content":"%d"}]}`, i)
				}
				if i%4 > 1 {
					path += "?a=1"
				}
				response := g.do(t, "POST", path, body)
				text, err := io.ReadAll(response.Body)
				if response.StatusCode != 200 || err != nil || !strings.Contains(string(text), `"done":true`) {
					t.Errorf("%d %s %v", response.StatusCode, text, err)
				}
				if got := response.Header.Get("X-Ollamamax-Model"); want != nil && want == swapped.Load() && got != *want {
					t.Errorf("%s answered after the change to %s", got, *want)
				}
				asked.Add(1)
			}
		})
	}
	for i := range 20 {
		model := [...]string{"new:latest", "old:latest"}[i%2]
		swapped.Store(nil)
		g.put(t, "chat", `{"targets":[{"model":"`+model+`"}]}`)
		swapped.Store(&model)
		before := asked.Load()
		eventually.True(t, "requests go on", func() bool { return asked.Load() > before+40 })
	}
	stop()
	wait.Wait()
	for _, model := range []string{"old:latest", "new:latest"} {
		if g.value(t, "ollamamax_alias_requests_total", "variant="+model, "code=200") == 0 {
			t.Errorf("%s was never asked", model)
		}
	}
}
