//go:build integration

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/keys"
	"ollamamax/gateway/internal/models"
	"ollamamax/gateway/internal/nodes"
	"ollamamax/gateway/internal/store"
	"ollamamax/gateway/internal/storetest"
	"ollamamax/gateway/internal/usage"
)

// most is how many statements a route may run: the one that changes something within a transaction, for which it
// has to look at the others.
const most = 5

// A gateway that waits for the database once for each row does well in a test and stands still in production.
func TestNoRouteAndNoWriterRunsMoreStatementsForAThousandRows(t *testing.T) {
	s, count := storetest.Open(t, 1, 1)
	p := configure(t)
	p.migrateWith(t, firstKey)
	cfg, secrets, err := load(p.serving, config.Serving)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	workers, err := discover(cfg.Workers, log)
	if err != nil {
		t.Fatal(err)
	}
	// Nothing of it runs in the background: all statements are those of the request, and no answer is kept.
	g := assemble(cfg, secrets, s, redisDialer(cfg.Redis, secrets), workers, log, io.Discard)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", cfg.Listen)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = g.server.Serve(ctx, listener) }) // a test that ends early leaves connections
	defer running.Wait()
	defer stop()
	if status, text := ask(t, firstKey, "GET", p.url+"/api/v1/keys", ""); status != 200 { // connects, and reads the keys
		t.Fatalf("%d %s", status, text)
	}

	var key int64
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	alias := func(name string) error {
		_, err := s.PutAlias(t.Context(), models.Spec{Name: name, Fallbacks: []string{"m0"}}.Complete(), "test")
		return err
	}
	// n is how many nodes, models, keys, samples and rows of usage there are when it has run.
	measure := func(n int) map[string]int64 {
		var states []nodes.State
		batch := usage.Batch{ID: fmt.Sprint("batch-", n), Rows: map[usage.Of]usage.Counts{}}
		for i := range n {
			model := nodes.Model{Name: fmt.Sprintf("m%d:latest", i), Digest: "d", Size: 1, ModifiedAt: time.Unix(1, 0)}
			states = append(states, nodes.State{Name: fmt.Sprint("worker-", i), Address: "10.0.0.1:11434", Up: true, Seen: true, Models: []nodes.Model{model}})
			states[0].Models = append(states[0].Models, model)
			made, err := s.AddKey(t.Context(), keys.Spec{Name: "key", Scopes: []string{"inference"}, Priority: "normal"}, "test", []byte(fmt.Sprintf("%032d", i+1000*n)))
			must(err)
			key = made.ID
			batch.Rows[usage.Of{Day: int32(time.Now().Unix() / 86400), Key: key, Model: model.Name}] = usage.Counts{Requests: 1, PromptTokens: 1}
			must(alias(fmt.Sprint("a", i)))
			must(s.AddSample(t.Context(), store.Sample{Gateway: "g", At: time.Now().Add(time.Duration(i+n) * time.Microsecond)}))
		}
		must(s.PrepareUsage(t.Context(), time.Now(), time.Now(), 90))
		found := map[string]int64{
			"the inventory": count.During(func() { _, err := s.SaveInventory(t.Context(), states); must(err) }),
			"usage":         count.During(func() { must(s.AddUsage(t.Context(), "g", batch)) }),
			"all keys":      count.During(func() { _, err := s.Keys(t.Context()); must(err) }),
			"all aliases":   count.During(func() { _, err := s.Aliases(t.Context()); must(err) }),
			"an alias":      count.During(func() { must(alias("a0")) }),
			"drained nodes": count.During(func() { _, err := s.DrainedNodes(t.Context()); must(err) }),
			"budgets":       count.During(func() { _, err := s.TokensSince(t.Context(), time.Now(), []int64{key}); must(err) }),
		}
		for _, request := range [][3]string{
			{"GET", "/api/v1/nodes"},
			{"POST", "/api/v1/nodes/worker-0/drain", "{}"},
			{"POST", "/api/v1/nodes/worker-0/undrain", "{}"},
			{"GET", "/api/v1/models/m0"},
			{"GET", "/api/v1/metrics?since=24h"},
			{"DELETE", "/api/v1/models/aliases/a0"},
			{"GET", "/api/v1/keys?limit=1000"},
			{"GET", "/api/v1/keys/ID"},
			{"POST", "/api/v1/keys", `{"name":"one more"}`},
			{"PATCH", "/api/v1/keys/ID", `{"name":"changed"}`},
			{"POST", "/api/v1/keys/ID/rotate"},
			{"DELETE", "/api/v1/keys/ID"},
			{"GET", "/api/v1/usage?group_by=day,key,model,tenant,gateway&limit=1000"},
		} {
			target := strings.ReplaceAll(request[1], "ID", fmt.Sprint(key))
			found[request[0]+" "+request[1]] = count.During(func() {
				if status, text := ask(t, firstKey, request[0], p.url+target, request[2]); status >= 300 {
					t.Errorf("%s %s: %d %s", request[0], target, status, text)
				}
			})
		}
		return found
	}
	one, thousand := measure(1), measure(1000)
	for what, n := range thousand {
		t.Logf("%d statements: %s", n, what)
		if n != one[what] || n == 0 || (n > most && what != "the inventory") {
			t.Errorf("%s: %d statements where there is one row, %d where there are a thousand", what, one[what], n)
		}
	}
}
