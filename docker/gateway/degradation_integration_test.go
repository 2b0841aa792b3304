//go:build integration

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ollamamax/gateway/internal/cache"
	"ollamamax/gateway/internal/realparts"
)

// What docs/gateway.md promises under "When the database or Redis is away".
const (
	noticed      = 3 * time.Second // to find out that it is away
	databaseWait = 5 * time.Second // for the database, before a request gets 503
	recovery     = 6 * time.Second // until everything works again
	unaffected   = 2 * time.Second // for the longest answer that takes neither; the machine is busy
)

// pause is between two requests of a kind: more of them would only wait for the model.
const pause = 150 * time.Millisecond

// request is one kind of request of the load.
type request struct {
	name, method, path string
	key                string
	body               func(n int64) string
	good               func(status int, header http.Header, text string) error
	away               int  // status while the database is away; 0: it must not notice
	questions          int  // that it asks the database, one after the other
	kept               bool // it may be answered from what is in memory
}

// outcome is one answer.
type outcome struct {
	began time.Time
	took  time.Duration
	err   error // why it is not as it should be while everything is there
	away  bool  // but as the docs say of the time without a database
	text  string
}

// watched is what came of one kind of request at one gateway.
type watched struct {
	request
	gateway  place
	mu       sync.Mutex
	outcomes []outcome
}

func (w *watched) run(ctx context.Context, number *atomic.Int64) {
	for ctx.Err() == nil {
		began := time.Now()
		status, header, text, err := w.send(context.WithoutCancel(ctx), w.body(number.Add(1)))
		if err == nil {
			err = w.good(status, header, text)
		}
		o := outcome{began, time.Since(began), err, w.away != 0 && status == w.away, fmt.Sprintf("%d %.200s", status, text)}
		w.mu.Lock()
		w.outcomes = append(w.outcomes, o)
		w.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func (w *watched) send(ctx context.Context, body string) (int, http.Header, string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, w.method, w.gateway.url+w.path, strings.NewReader(body))
	if err != nil {
		return 0, nil, "", err
	}
	request.Header.Set("Authorization", "Bearer "+w.key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, "", err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, response.Header, string(text), err
}

// check holds the answers of a time against what the docs say of it: requests that take no database never fail,
// and others only from the moment that it is away until it is back.
func (w *watched) check(t *testing.T, step string, gone, missed, back, healed time.Time, database bool) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	worst, failed := time.Duration(0), 0
	for _, o := range w.outcomes {
		worst = max(worst, o.took)
		limit := unaffected
		if database {
			limit += time.Duration(w.questions) * databaseWait
		}
		ended := o.began.Add(o.took)
		switch {
		case o.took > limit:
			t.Errorf("%s: %s at %s took %v (%s)", step, w.name, w.gateway.name, o.took, o.text)
		case w.away == 0 || !database || ended.Before(gone) || o.began.After(healed):
			if o.err != nil {
				t.Errorf("%s: %s at %s, %v after: %v", step, w.name, w.gateway.name, o.began.Sub(gone), o.err)
			}
		case o.err != nil && !o.away:
			t.Errorf("%s: %s at %s, %v after: neither good nor %d: %v", step, w.name, w.gateway.name, o.began.Sub(gone), w.away, o.err)
		case o.began.After(missed) && ended.Before(back) && !o.away && !w.kept:
			t.Errorf("%s: %s at %s, %v after: not %d but %s", step, w.name, w.gateway.name, o.began.Sub(gone), w.away, o.text)
		}
		if o.err != nil {
			failed++
		}
	}
	t.Logf("%s: %s at %s: %d answers, %d of them %d, the slowest after %v", step, w.name, w.gateway.name, len(w.outcomes), failed, w.away, worst.Round(time.Millisecond))
	w.outcomes = nil
}

// says waits until the metrics of gateways have a line, and returns how long that took.
func says(t *testing.T, line string, gateways ...place) time.Duration {
	t.Helper()
	began := time.Now()
	for _, p := range gateways {
		within(t, p.name+" says "+line, func() error {
			if _, text := ask(t, firstKey, "GET", p.admin+"/metrics", ""); !strings.Contains(text, line+"\n") {
				return errors.New("it does not")
			}
			return nil
		})
	}
	return time.Since(began)
}

func contains(texts ...string) func(int, http.Header, string) error {
	return func(status int, _ http.Header, text string) error {
		for _, part := range texts {
			if status != http.StatusOK || !strings.Contains(text, part) {
				return fmt.Errorf("%d %.300s", status, text)
			}
		}
		return nil
	}
}

func status(want int) func(int, http.Header, string) error {
	return func(status int, _ http.Header, text string) error {
		if status != want {
			return fmt.Errorf("%d %.300s", status, text)
		}
		return nil
	}
}

func TestWhatFailsWhileTheDatabaseOrRedisIsAwayIsWhatTheDocsSay(t *testing.T) {
	pool, redis := realparts.Needed(t, realparts.Pool), realparts.Needed(t, realparts.Redis)
	one, two := configureAt(t, "gateway-1", pool, redis), configureAt(t, "gateway-2", pool, redis)
	one.migrateWith(t, firstKey)
	one.start(t)
	two.start(t)
	both := []place{one, two}
	says(t, "ollamamax_limit_gateways 2", both...)
	key, limited := one.key(t), one.key(t, "--rpm", "60")
	for _, p := range both {
		p.gets(t, key.Secret, 200)
	}
	run := t.TempDir() // what no run has asked before
	same := func(body string) func(int64) string { return func(int64) string { return body } }
	fresh := func(template string) func(int64) string {
		return func(n int64) string { return fmt.Sprintf(template, fmt.Sprint(run, n)) }
	}
	kept := fmt.Sprintf(`{"model":"tiny","prompt":"%s","options":{"temperature":0,"num_predict":4}}`, run)
	for _, p := range both {
		_ = p.fetch(t, "/api/generate", kept)
	}
	command := "/api/v1/nodes/worker-2/drain"
	if status, text := ask(t, firstKey, "POST", one.url+command, "{}"); status != 200 {
		t.Fatalf("drain: %d %s", status, text)
	}
	for _, p := range both {
		within(t, "worker-2 is drained", func() error {
			if takes, text := p.takes(t, "worker-2"); takes {
				return errors.New(text)
			}
			return nil
		})
	}
	alias := "/api/v1/models/aliases/other"
	target := `{"targets":[{"model":"tiny"}],"preload":false}`
	if status, text := ask(t, firstKey, "PUT", one.url+alias, target); status != 201 {
		t.Fatalf("alias: %d %s", status, text)
	}
	within(t, "the other gateway knows the alias", func() error {
		if status, text := ask(t, firstKey, "GET", two.url+alias, ""); status != 200 {
			return fmt.Errorf("%d %s", status, text)
		}
		return nil
	})
	none := same("")
	passed := atomic.Int64{}
	kinds := []request{
		{"a chat", "POST", "/api/chat", key.Secret, fresh(`{"model":"tiny","messages":[{"role":"user","content":"%s"}],"options":{"num_predict":8}}`), contains(`"done":true`), 0, 0, false},
		{"an OpenAI stream", "POST", "/v1/chat/completions", key.Secret, fresh(`{"model":"tiny","stream":true,"max_tokens":8,"messages":[{"role":"user","content":"%s"}]}`), contains("data: [DONE]"), 0, 0, false},
		{"a chat with an alias", "POST", "/api/chat", key.Secret, fresh(`{"model":"other","messages":[{"role":"user","content":"%s"}],"options":{"num_predict":8}}`), contains(`"done":true`), 0, 0, false},
		{"embeddings", "POST", "/api/embed", key.Secret, fresh(`{"model":"tiny","input":"%s"}`), contains(`"embeddings":[[`), 0, 0, false},
		{"a new deterministic request", "POST", "/api/generate", key.Secret, fresh(`{"model":"tiny","prompt":"%s","options":{"temperature":0,"num_predict":4}}`), contains(`"done":true`), 0, 0, false},
		{"a kept answer", "POST", "/api/generate", key.Secret, same(kept), func(status int, header http.Header, text string) error {
			if status != 200 || header.Get(cache.Header) != cache.Hit {
				return fmt.Errorf("%d %q %s", status, header.Get(cache.Header), text)
			}
			return nil
		}, 0, 0, false},
		{"tags", "GET", "/api/tags", key.Secret, none, contains(`"tiny:latest"`), 0, 0, false},
		{"ps", "GET", "/api/ps", key.Secret, none, contains(`"models"`), 0, 0, false},
		{"OpenAI's models", "GET", "/v1/models", key.Secret, none, contains(`"tiny:latest"`), 0, 0, false},
		{"a limited key", "GET", "/api/version", limited.Secret, none, func(status int, header http.Header, text string) error {
			if status == 200 {
				passed.Add(1)
				return nil
			}
			if status != 429 || header.Get("Retry-After") == "" {
				return fmt.Errorf("%d %s", status, text)
			}
			return nil
		}, 0, 0, false},
		{"the nodes, of which one is drained", "GET", "/api/v1/nodes", firstKey, none, contains(`"name":"worker-1"`, `"drained":true`, `"takes_requests":false`), 0, 1, true},
		{"a model's placement", "GET", "/api/v1/models/tiny", firstKey, none, contains(`"nodes":["worker-1","worker-2"]`), 503, 1, true},
		{"a drain", "POST", command, firstKey, same("{}"), contains(`"drained":true`), 503, 3, false},
		{"a change of an alias", "PUT", alias, firstKey, same(target), contains(`"alias":`), 503, 2, false},
		{"the keys", "GET", "/api/v1/keys", firstKey, none, contains(`"keys":[`), 503, 1, false},
		{"usage", "GET", "/api/v1/usage", firstKey, none, contains(`"usage":[`), 503, 1, false},
		{"samples", "GET", "/api/v1/metrics", firstKey, none, contains(`"metrics":[`), 503, 1, false},
		{"a key that nobody knows", "GET", "/api/tags", "unknown", none, status(401), 503, 1, false},
	}
	var load []*watched
	for _, kind := range kinds {
		for _, p := range both {
			load = append(load, &watched{request: kind, gateway: p})
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	var number atomic.Int64
	answered := int64(len(both)) // by key, before the load
	began := time.Now()
	for _, w := range load {
		running.Go(func() { w.run(ctx, &number) })
	}
	defer running.Wait()
	defer stop()

	settle := func(what string, gone, missed, back, healed time.Time, database bool) {
		for _, w := range load {
			w.mu.Lock()
			if w.key == key.Secret {
				answered += int64(len(w.outcomes))
			}
			w.mu.Unlock()
			w.check(t, what, gone, missed, back, healed, database)
		}
	}
	up := func(dependency string, is int) string {
		return fmt.Sprintf(`ollamamax_dependency_up{dependency=%q} %d`, dependency, is)
	}
	for _, step := range []struct {
		order, revert string
		parts         []string
	}{
		{"stop", "start", []string{"redis"}},
		{"pause", "unpause", []string{"redis"}},
		{"stop", "start", []string{"pgbouncer"}},
		{"pause", "unpause", []string{"pgbouncer"}},
		{"stop", "start", []string{"postgres"}},
		{"pause", "unpause", []string{"postgres"}},
		// Not PostgreSQL: Redis could come back under its address, which stacks fix because PgBouncer remembers it.
		{"stop", "start", []string{"redis", "pgbouncer"}},
		{"pause", "unpause", []string{"redis", "postgres"}},
	} {
		what := step.order + " " + strings.Join(step.parts, " and ")
		noRedis, noDatabase := step.parts[0] == "redis", step.parts[len(step.parts)-1] != "redis"
		containers := make([]realparts.Container, len(step.parts))
		for i, part := range step.parts {
			containers[i] = realparts.ContainerOf(t, part)
		}
		gone := time.Now()
		for _, c := range containers {
			c.Order(t, step.order)
		}
		ordered := time.Now()
		if noRedis {
			took := says(t, up("redis", 0), both...)
			took = max(took, says(t, "ollamamax_limit_parts 2", both...))
			t.Logf("%s: Redis was missed after %v", what, took)
			if took > noticed+time.Second {
				t.Errorf("%s: Redis was missed after %v", what, took)
			}
		}
		if noDatabase {
			took := says(t, up("database", 0), both...)
			t.Logf("%s: the database was missed after %v", what, took)
			if took > keyRefresh+noticed+time.Second {
				t.Errorf("%s: the database was missed after %v", what, took)
			}
		}
		missed := time.Now()
		time.Sleep(3 * time.Second) // of load while it is away
		if noDatabase {
			for _, p := range both {
				within(t, "usage waits at "+p.name, func() error {
					if _, text := ask(t, firstKey, "GET", p.admin+"/metrics", ""); strings.Contains(text, "ollamamax_usage_pending_rows 0\n") {
						return errors.New("none does")
					}
					return nil
				})
			}
		}
		back := time.Now()
		for _, c := range containers {
			c.Order(t, step.revert)
		}
		reverted := time.Now()
		says(t, up("redis", 1), both...)
		says(t, up("database", 1), both...)
		says(t, "ollamamax_limit_parts 1", both...)
		says(t, "ollamamax_usage_pending_rows 0", both...)
		took := time.Since(reverted)
		t.Logf("%s: ordered in %v, away for %v, everything is back after %v", what, ordered.Sub(gone), back.Sub(gone), took)
		if took > recovery+time.Second {
			t.Errorf("%s: everything is back after %v", what, took)
		}
		healed := time.Now()
		time.Sleep(2 * time.Second) // of load as if nothing had been
		settle(what, gone, missed, back, healed, noDatabase)
	}
	stop()
	running.Wait()
	settle("at the end", time.Time{}, time.Time{}, time.Time{}, time.Time{}, false)
	took := time.Since(began)
	// Each gateway has the whole limit at first, and what both let through within a second is waited for later.
	if n, most := passed.Load(), int64(2*60+took.Seconds()); n > most || n < int64(took.Seconds()/2) {
		t.Errorf("%d requests of the key with 60 a minute passed in %v", n, took)
	}
	within(t, "usage is what was answered", func() error {
		if found := one.requests(t, key.Key.ID); found != answered {
			return fmt.Errorf("%d requests, not %d", found, answered)
		}
		return nil
	})
	t.Logf("%d requests of one key were answered, and are in the database", answered)
	for _, p := range both {
		if _, text := ask(t, firstKey, "GET", p.admin+"/metrics", ""); !strings.Contains(text, "ollamamax_usage_lost_total 0\n") {
			t.Errorf("%s lost usage", p.name)
		}
	}
	// The tests that follow find the database as it was.
	for _, back := range [][3]string{{"POST", "/api/v1/nodes/worker-2/undrain", "{}"}, {"DELETE", alias, ""}} {
		if status, text := ask(t, firstKey, back[0], one.url+back[1], back[2]); status != 200 {
			t.Errorf("%s: %d %s", back[1], status, text)
		}
	}
}
