//go:build integration

package main

import (
	"context"
	"encoding/json"
	"errors"
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
	"ollamamax/gateway/internal/openapi"
	"ollamamax/gateway/internal/store"
	"ollamamax/gateway/internal/storetest"
	"ollamamax/gateway/internal/usage"
)

// most is how many statements a route may run: one that changes something within a transaction, for which it has to
// look at the others, and then reads what all gateways have to know.
const most = 6

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
	// Of what runs in the background there is only what knows the workers: all statements are those of the request,
	// and no answer is kept.
	g := assemble(cfg, secrets, s, redisDialer(cfg.Redis, secrets), workers, log, io.Discard)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", cfg.Listen)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { g.pool.Run(ctx) })
	running.Go(func() { _ = g.server.Serve(ctx, listener) }) // a test that ends early leaves connections
	defer running.Wait()
	defer stop()
	if status, text := ask(t, firstKey, "GET", p.url+"/api/v1/keys", ""); status != 200 { // connects, and reads the keys
		t.Fatalf("%d %s", status, text)
	}

	within(t, "a worker has the model tiny", func() error {
		_, text := ask(t, firstKey, "GET", p.url+"/api/tags", "")
		if !strings.Contains(text, `"tiny:latest"`) {
			return errors.New(text)
		}
		return nil
	})

	var key int64
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	// n is how many nodes, models, aliases, keys, samples and rows of usage there are when it has run.
	measure := func(n int) map[string]int64 {
		var states []nodes.State
		batch := usage.Batch{ID: fmt.Sprint("batch-", n), Rows: map[usage.Of]usage.Counts{}}
		for i := range n {
			model := nodes.Model{Name: fmt.Sprintf("m%d:latest", i), Digest: "d", Size: 1, ModifiedAt: time.Unix(1, 0)}
			states = append(states, nodes.State{Name: fmt.Sprint("worker-", i+1), Address: "10.0.0.1:11434", Up: true, Seen: true, Models: []nodes.Model{model}})
			states[0].Models = append(states[0].Models, model)
			made, err := s.AddKey(t.Context(), keys.Spec{Name: "key", Scopes: []string{"inference"}, Priority: "normal"}, "test", []byte(fmt.Sprintf("%032d", i+1000*n)))
			must(err)
			key = made.ID
			batch.Rows[usage.Of{Day: int32(time.Now().Unix() / 86400), Key: key, Model: model.Name}] = usage.Counts{Requests: 1, PromptTokens: 1}
			_, err = s.PutAlias(t.Context(), models.Spec{Name: fmt.Sprint("a", i), Fallbacks: []string{"m0"}}.Complete(), "test")
			must(err)
			must(s.AddSample(t.Context(), store.Sample{Gateway: "g", At: time.Now().Add(time.Duration(i+n) * time.Microsecond)}))
		}
		must(s.PrepareUsage(t.Context(), time.Now(), time.Now(), 90))
		found := map[string]int64{
			"the inventory": count.During(func() { _, err := s.SaveInventory(t.Context(), states); must(err) }),
			"usage":         count.During(func() { must(s.AddUsage(t.Context(), "g", batch)) }),
			"all keys":      count.During(func() { _, err := s.Keys(t.Context()); must(err) }),
			"all aliases":   count.During(func() { _, err := s.Aliases(t.Context()); must(err) }),
			"told to nodes": count.During(func() { _, _, err := s.Told(t.Context()); must(err) }),
			"budgets":       count.During(func() { _, err := s.TokensSince(t.Context(), time.Now(), []int64{key}); must(err) }),
		}
		for _, request := range [][3]string{
			{"GET /api/v1/nodes"},
			{"POST /api/v1/nodes/{node}/drain", "", "{}"},
			{"POST /api/v1/nodes/{node}/undrain", "", "{}"},
			{"GET /api/v1/models"},
			{"GET /api/v1/models/{id}"},
			{"POST /api/v1/models/{model}/preload", "", `{"nodes":["worker-1"],"keep":true}`},
			{"POST /api/v1/models/{model}/unload", "", `{"nodes":["worker-1"]}`},
			{"GET /api/v1/models/aliases"},
			{"PUT /api/v1/models/aliases/{name}", "", `{"targets":[{"model":"tiny"}],"preload":false}`},
			{"GET /api/v1/models/aliases/{name}"},
			{"DELETE /api/v1/models/aliases/{name}"},
			{"GET /api/v1/cluster"},
			{"GET /api/v1/metrics", "?since=24h"},
			{"GET /api/v1/keys", "?limit=1000"},
			{"POST /api/v1/keys", "", `{"name":"one more"}`},
			{"GET /api/v1/keys/{id}"},
			{"PATCH /api/v1/keys/{id}", "", `{"name":"changed"}`},
			{"POST /api/v1/keys/{id}/rotate"},
			{"DELETE /api/v1/keys/{id}"},
			{"GET /api/v1/usage", "?group_by=day,key,model,tenant,gateway&limit=1000"},
			{"GET /api/v1/openapi.json"},
		} {
			id := fmt.Sprint(key)
			if strings.Contains(request[0], "/models/") {
				id = "m0"
			}
			method, target, _ := strings.Cut(strings.NewReplacer("{id}", id, "{model}", "tiny", "{node}", "worker-1", "{name}", "another").Replace(request[0]), " ")
			found[request[0]] = count.During(func() {
				if status, text := ask(t, firstKey, method, p.url+target+request[1], request[2]); status >= 300 {
					t.Errorf("%s %s: %d %s", method, target, status, text)
				}
			})
		}
		return found
	}
	one, thousand := measure(1), measure(1000)
	var document struct {
		Paths map[string]map[string]json.RawMessage
	}
	must(json.Unmarshal(openapi.Document(), &document))
	for path, methods := range document.Paths {
		for method := range methods {
			route := strings.ToUpper(method) + " " + path
			if path == "/api/v1/cluster/forecasts" {
				continue // it asks the forecaster, which this platform has not, and no database
			}
			if _, counted := one[route]; strings.HasPrefix(path, "/api/v1/") && method != "parameters" && !counted {
				t.Errorf("%s is not counted here", route)
			}
		}
	}
	for what, n := range thousand {
		t.Logf("%d statements: %s", n, what)
		if n != one[what] || (n > most && what != "the inventory") {
			t.Errorf("%s: %d statements where there is one row, %d where there are a thousand", what, one[what], n)
		}
	}
}
