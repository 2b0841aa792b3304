//go:build integration

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/openapitest"
	"ollamamax/gateway/internal/realparts"
	"ollamamax/gateway/internal/store"
)

const (
	firstKey  = "the-first-key-of-the-stack"
	secondKey = "the-second-key-of-the-stack"
	thirdKey  = "the-third-key-of-the-stack"
	patience  = 30 * time.Second
)

// place is a configured gateway on ports of its own.
type place struct {
	name    string
	url     string
	admin   string
	workers []string
	redis   string
	serving string // configuration file of serve
	folder  string
}

func configure(t *testing.T) place {
	t.Helper()
	return configureAt(t, "gateway-it", realparts.Needed(t, realparts.Pool), realparts.Needed(t, realparts.Redis))
}

// configureAt configures a gateway that finds PgBouncer and Redis at these addresses.
func configureAt(t *testing.T, name, pool, redis string) place {
	t.Helper()
	secrets := realparts.Needed(t, realparts.Secrets)
	p := place{name: name, redis: redis, folder: t.TempDir(), workers: strings.Split(realparts.Needed(t, realparts.Workers), ",")}
	host := ownHost()
	p.url, p.admin = net.JoinHostPort(host, "11434"), net.JoinHostPort(host, "9090")
	p.serving = p.write(t, "serve", pool, secrets, "")
	p.url, p.admin = "http://"+p.url, "http://"+p.admin
	return p
}

func (p place) write(t *testing.T, name, database, secrets, keyFile string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(database)
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := json.Marshal(p.workers)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`
name: %[9]s
listen: %[1]q
adminListen: %q
server: {drainDelay: 200ms}
workers: {hosts: %s, healthInterval: 200ms}
database: {host: %q, port: %s, passwordFile: %[6]s/database-password, caFile: %[6]s/ca.pem}
redis: {address: %q, passwordFile: %[6]s/redis-password, caFile: %[6]s/ca.pem}
auth: {keyFile: %[8]q, refreshInterval: 2s}
usage: {flushInterval: 1s}
`, strings.TrimPrefix(p.url, "http://"), strings.TrimPrefix(p.admin, "http://"), hosts, host, port, secrets, p.redis, keyFile, p.name)
	path := filepath.Join(p.folder, name+".yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// places counts the places there are: each has a loopback address of its own, so that nobody else has its ports.
var places atomic.Uint32

func ownHost() string {
	return netip.AddrFrom4([4]byte{127, 1, 0, byte(places.Add(1))}).String()
}

// migrateWith registers key as the stack's only one.
func (p place) migrateWith(t *testing.T, key string) {
	t.Helper()
	file := filepath.Join(p.folder, "api-key")
	if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	path := p.write(t, "migrate", realparts.Needed(t, realparts.Database), realparts.Needed(t, realparts.Secrets), file)
	// Two at the same time, as two deployments would.
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			var stderr bytes.Buffer
			if status := run([]string{"migrate", "--config", path}, io.Discard, &stderr); status != 0 {
				t.Errorf("migrate exits with %d: %s", status, stderr.String())
			}
		})
	}
	wait.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// serve runs the gateway until the returned function sends it SIGTERM, which gives its exit status.
func (p place) serve(t *testing.T) (stop func() int) {
	t.Helper()
	status := make(chan int, 1)
	var stderr bytes.Buffer
	go func() { status <- run([]string{"serve", "--config", p.serving}, io.Discard, &stderr) }()
	within(t, "the gateway is ready", func() error {
		select {
		case exit := <-status:
			t.Fatalf("serve exits with %d: %s", exit, stderr.String())
		default:
		}
		var text bytes.Buffer
		if exit := run([]string{"healthcheck", "--config", p.serving}, io.Discard, &text); exit != 0 {
			return fmt.Errorf("healthcheck exits with %d: %s", exit, text.String())
		}
		return nil
	})
	return func() int {
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		return <-status
	}
}

func within(t *testing.T, what string, attempt func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := attempt()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("never came true: %s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func ask(t *testing.T, key, method, url, body string) (int, string) {
	t.Helper()
	status, _, text := askWhole(t, key, method, url, body)
	return status, text
}

// askWhole is ask with the answer's headers.
func askWhole(t *testing.T, key, method, url, body string) (int, http.Header, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+key)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	openapitest.Check(t, method, request.URL.Path, response.StatusCode, text)
	return response.StatusCode, response.Header, string(text)
}

func TestTheGatewayOnRealParts(t *testing.T) {
	p := configure(t)
	p.migrateWith(t, firstKey)
	stop := p.serve(t)
	t.Run("every kind of request is answered", p.answers)
	t.Run("errors are the worker's own, byte for byte", p.errorsAlike)
	t.Run("a pinned model is in memory, and again where a worker has lost it", p.residency)
	t.Run("copies and deletions reach every node and the database", p.placement)
	t.Run("a key that is no longer the stack's works for a while", p.rotation)
	if status := stop(); status != 0 {
		t.Errorf("serve exits with %d on SIGTERM", status)
	}
}

func (p place) answers(t *testing.T) {
	for _, c := range []struct{ method, path, body, contains string }{
		{"GET", "/api/version", "", `"version"`},
		{"GET", "/api/tags", "", `"tiny:latest"`},
		{"GET", "/api/ps", "", `"models"`},
		{"POST", "/api/show", `{"model":"tiny"}`, `"model_info"`},
		{"POST", "/api/generate", `{"model":"tiny","prompt":"a","options":{"num_predict":4}}`, `"done":true`},
		{"POST", "/api/generate", `{"model":"tiny","prompt":"a","stream":false,"options":{"num_predict":4}}`, `"done":true`},
		{"POST", "/api/chat", `{"model":"Tiny:latest","messages":[{"role":"user","content":"a"}],"options":{"num_predict":4}}`, `"done":true`},
		{"POST", "/api/embed", `{"model":"tiny","input":["a","b"]}`, `"embeddings":[[`},
		{"POST", "/api/embeddings", `{"model":"tiny","prompt":"a"}`, `"embedding":[`},
		{"GET", "/v1/models", "", `"object":"list"`},
		{"GET", "/v1/models/tiny", "", `"id":"tiny"`},
		{"POST", "/v1/chat/completions", `{"model":"tiny","stream":true,"max_tokens":4,"messages":[{"role":"user","content":"a"}]}`, "data: [DONE]"},
		{"POST", "/v1/completions", `{"model":"tiny","max_tokens":4,"prompt":"a"}`, `"choices":[`},
		{"POST", "/v1/embeddings", `{"model":"tiny","input":"a"}`, `"embedding":[`},
	} {
		status, text := ask(t, firstKey, c.method, p.url+c.path, c.body)
		if status != 200 || !strings.Contains(text, c.contains) {
			t.Errorf("%s %s %s: %d %.300s", c.method, c.path, c.body, status, text)
		}
	}
	_, text := ask(t, firstKey, "GET", p.url+"/api/tags", "")
	if count := strings.Count(text, `"name":"tiny:latest"`); count != 1 {
		t.Errorf("tiny is listed %d times: %s", count, text)
	}
	_, text = ask(t, firstKey, "GET", p.admin+"/metrics", "")
	for _, series := range []string{
		`ollamamax_requests_total{api="/api/chat",model="tiny:latest",code="200"} 1`,
		`ollamamax_tokens_total{model="tiny:latest",kind="completion"}`,
		`ollamamax_dependency_up{dependency="database"} 1`,
		`ollamamax_dependency_up{dependency="redis"} 1`,
		`ollamamax_build_info{`,
	} {
		if !strings.Contains(text, series) {
			t.Errorf("/metrics lacks %s", series)
		}
	}
}

func (p place) errorsAlike(t *testing.T) {
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/api/generate", `{"model":"no-such-model"}`},
		{"POST", "/api/chat", `{"model":"no-such-model","messages":[]}`},
		{"POST", "/api/embed", `{"model":"no-such-model","input":"a"}`},
		{"POST", "/api/embeddings", `{"model":"no-such-model","prompt":"a"}`},
		{"POST", "/api/show", `{"model":"no-such-model"}`},
		{"DELETE", "/api/delete", `{"model":"no-such-model"}`},
		{"POST", "/api/copy", `{"source":"no-such-model","destination":"b"}`},
		{"GET", "/v1/models/no-such-model", ""},
		{"POST", "/v1/chat/completions", `{"model":"no-such-model","messages":[{"role":"user","content":"a"}]}`},
		{"POST", "/v1/completions", `{"model":"no-such-model","prompt":"a"}`},
		{"POST", "/v1/embeddings", `{"model":"no-such-model","input":"a"}`},
		{"POST", "/api/chat", ""},
		{"POST", "/api/generate", "{"},
		{"POST", "/api/generate", "nonsense"},
		{"POST", "/api/chat", `[]`},
		{"POST", "/api/chat", `{"model":5}`},
		{"POST", "/api/generate", `{"model":"tiny","options":"x"}`},
		{"POST", "/api/show", ""},
		{"POST", "/api/pull", ""},
		{"POST", "/api/pull", "{"},
		{"POST", "/api/create", ""},
		{"POST", "/api/copy", ""},
		{"DELETE", "/api/delete", ""},
		{"POST", "/v1/chat/completions", ""},
		{"POST", "/v1/chat/completions", "{"},
		{"POST", "/v1/chat/completions", `{"model":"tiny"}`},
		{"POST", "/v1/embeddings", ""},
		{"GET", "/api/chat", ""},
		{"GET", "/no/such/route", ""},
	} {
		wantedStatus, wanted := ask(t, firstKey, c.method, "http://"+p.workers[0]+c.path, c.body)
		status, text := ask(t, firstKey, c.method, p.url+c.path, c.body)
		if status != wantedStatus || text != wanted {
			t.Errorf("%s %s %q:\n got %d %s\nwant %d %s", c.method, c.path, c.body, status, text, wantedStatus, wanted)
		}
	}
}

func (p place) placement(t *testing.T) {
	copied := "copied:latest"
	if status, text := ask(t, firstKey, "POST", p.url+"/api/copy", `{"source":"tiny","destination":"copied"}`); status != 200 {
		t.Fatalf("copy: %d %s", status, text)
	}
	// Listed at once.
	if _, text := ask(t, firstKey, "GET", p.url+"/api/tags", ""); !strings.Contains(text, copied) {
		t.Errorf("the copy is not listed: %s", text)
	}
	for _, worker := range p.workers {
		if _, text := ask(t, firstKey, "GET", "http://"+worker+"/api/tags", ""); !strings.Contains(text, copied) {
			t.Errorf("%s lacks the copy", worker)
		}
	}
	recorded := func() (store.Model, int) {
		status, text := ask(t, firstKey, "GET", p.url+"/api/v1/models/copied", "")
		var model store.Model
		if status == 200 {
			if err := json.Unmarshal([]byte(text), &model); err != nil {
				t.Fatal(err)
			}
		}
		return model, status
	}
	within(t, "the database has the copy on every node", func() error {
		if model, status := recorded(); status != 200 || len(model.Nodes) != len(p.workers) {
			return fmt.Errorf("%d %+v", status, model)
		}
		return nil
	})
	if _, text := ask(t, firstKey, "GET", p.url+"/api/v1/nodes", ""); strings.Count(text, `"healthy":true`) != len(p.workers) {
		t.Errorf("/api/v1/nodes answers %s", text)
	}
	if status, text := ask(t, firstKey, "DELETE", p.url+"/api/delete", `{"model":"copied"}`); status != 200 {
		t.Fatalf("delete: %d %s", status, text)
	}
	if _, text := ask(t, firstKey, "GET", p.url+"/api/tags", ""); strings.Contains(text, copied) {
		t.Errorf("the deleted model is listed: %s", text)
	}
	within(t, "the cached answer is given up", func() error {
		if _, status := recorded(); status != 404 {
			return fmt.Errorf("status %d", status)
		}
		return nil
	})
}

func (p place) rotation(t *testing.T) {
	gets := func(what string, want map[string]int) {
		within(t, what, func() error {
			for key, status := range want {
				if got, _ := ask(t, key, "GET", p.url+"/api/version", ""); got != status {
					return fmt.Errorf("%s gets %d, not %d", key, got, status)
				}
			}
			return nil
		})
	}
	p.migrateWith(t, secondKey)
	gets("the new key works, and the one before for a while", map[string]int{firstKey: 200, secondKey: 200})
	p.migrateWith(t, thirdKey)
	gets("the one before that works no longer", map[string]int{firstKey: 401, secondKey: 200, thirdKey: 200})
	p.migrateWith(t, firstKey)
}

func TestTheDatabaseIsReachedByPreparedStatementsThroughPgBouncer(t *testing.T) {
	p := configure(t)
	p.migrateWith(t, firstKey)
	cfg, secrets, err := load(p.serving, config.Serving)
	if err != nil {
		t.Fatal(err)
	}
	settings, err := store.ConnConfig(cfg.Database, secrets.DatabasePassword, secrets.DatabaseTLS)
	if err != nil {
		t.Fatal(err)
	}
	database, err := store.Open(context.Background(), settings, cfg.Database)
	if err != nil {
		t.Fatal(err)
	}
	defer database.Close()
	// More callers than PgBouncer has server connections: statements must follow a client across them.
	var wait sync.WaitGroup
	for range 60 {
		wait.Go(func() {
			for range 20 {
				if _, err := database.ListNodes(t.Context()); err != nil {
					t.Errorf("listNodes: %v", err)
				}
				if _, err := database.GetModel(t.Context(), "no-such-model"); !errors.Is(err, store.ErrNotFound) {
					t.Errorf("getModel: %v", err)
				}
				if _, err := database.GetMetrics(t.Context(), time.Now()); err != nil {
					t.Errorf("getMetrics: %v", err)
				}
			}
		})
	}
	wait.Wait()
	within(t, "idle connections fall to the limit", func() error {
		if idle := database.Idle(); idle > cfg.Database.MaxIdle {
			return fmt.Errorf("%d are idle, %d may be", idle, cfg.Database.MaxIdle)
		}
		return nil
	})
}

func TestTheSchemaGoesBackAndForth(t *testing.T) {
	p := configure(t)
	path := p.write(t, "schema", realparts.Needed(t, realparts.Database), realparts.Needed(t, realparts.Secrets), "")
	for _, arguments := range [][]string{{"--to", "0"}, {"--to", "1"}, {}} {
		var stderr bytes.Buffer
		if status := run(append([]string{"migrate", "--config", path}, arguments...), io.Discard, &stderr); status != 0 {
			t.Fatalf("migrate %v exits with %d: %s", arguments, status, stderr.String())
		}
	}
}
