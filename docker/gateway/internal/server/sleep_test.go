package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/eventually"
	"ollamamax/gateway/internal/models"
	"ollamamax/gateway/internal/workertest"
)

// asleep runs a gateway of one pool, which has no worker.
func asleep(t *testing.T, coldStart time.Duration) *gateway {
	t.Helper()
	return start(t, nil, func(cfg *config.Config) {
		cfg.Workers.Hosts = []string{"sleeper:11434"}
		cfg.Workers.Limits = []config.Limit{
			{Host: "sleeper:11434", Pool: "large", Slots: 1, LoadedModels: 1, Preload: []string{"big"}, ColdStart: coldStart},
		}
		cfg.Workers.WaitForNode, cfg.Workers.SpreadAfter = time.Millisecond, 10*time.Millisecond
	})
}

func TestARequestForWhichNoWorkerStartsIsToldWhenToComeBack(t *testing.T) {
	g := asleep(t, 50*time.Millisecond)
	for path, body := range map[string]string{
		"/api/generate":        `{"model":"big","prompt":"x"}`,
		"/v1/chat/completions": `{"model":"big","messages":[{"role":"user","content":"x"}]}`,
		"/api/show":            `{"model":"big"}`,
	} {
		response := g.do(t, http.MethodPost, path, body)
		if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") != "60" {
			t.Errorf("%s: %d, Retry-After %q", path, response.StatusCode, response.Header.Get("Retry-After"))
		}
	}
	if _, text := g.ask(t, http.MethodPost, "/api/generate", `{"model":"big","prompt":"x"}`); !strings.Contains(text, "no worker that has big:latest was started within 50ms") {
		t.Error(text)
	}
}

func TestAClientThatLeavesWaitsForNoWorkerAnyMore(t *testing.T) {
	g := asleep(t, time.Minute)
	connection := g.dial(t)
	body := `{"model":"big","prompt":"x"}`
	if _, err := connection.Write([]byte("POST /api/generate HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + key +
		"\r\nContent-Length: 28\r\n\r\n" + body)); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "it waits", func() bool { return g.pool.Waiting() == 1 })
	if err := connection.Close(); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "it has left", func() bool { return g.pool.Waiting() == 0 })
}

func TestWithoutAWorkerThatIsToBeThereListsAreAnsweredAtOnce(t *testing.T) {
	g := asleep(t, time.Minute)
	for path, want := range map[string]string{"/api/tags": `{"models":[]}`, "/api/ps": `{"models":[]}`} {
		if status, text := g.ask(t, http.MethodGet, path, ""); status != http.StatusOK || strings.TrimSpace(text) != want {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	if status, text := g.ask(t, http.MethodGet, "/v1/models", ""); status != http.StatusOK {
		t.Errorf("/v1/models: %d %s", status, text)
	}
}

// mixed runs a gateway of one worker, and of a pool that has none.
func mixed(t *testing.T) (*workertest.Worker, *gateway) {
	t.Helper()
	worker := workertest.Start(t, "tiny:latest")
	return worker, start(t, []*workertest.Worker{worker}, func(cfg *config.Config) {
		cfg.Workers.Pull = true
		cfg.Workers.Hosts = append(cfg.Workers.Hosts, "sleeper:11434")
		cfg.Workers.Limits = []config.Limit{
			{Host: "sleeper:11434", Pool: "large", Slots: 1, LoadedModels: 1, Preload: []string{"big"}, ColdStart: time.Minute},
		}
	})
}

func TestAnAliasIsListedByAModelThatIsThereThoughAnotherOfItsHasNotBeenSeen(t *testing.T) {
	_, g := mixed(t)
	targets := []models.Target{{Model: "big", Weight: 1, Variant: "big"}, {Model: "tiny", Weight: 1, Variant: "tiny"}}
	if _, err := g.aliases.PutAlias(t.Context(), models.Spec{Name: "talk:latest", Targets: targets}, "the stack"); err != nil {
		t.Fatal(err)
	}
	g.put(t, "other", `{"targets":[{"model":"tiny"}]}`) // which has all of them read
	if _, text := g.ask(t, http.MethodGet, "/api/tags", ""); !strings.Contains(text, `"name":"talk:latest"`) {
		t.Error(text)
	}
}

func TestAModelOfAPoolWithoutWorkersIsLoadedByNoOther(t *testing.T) {
	worker, g := mixed(t)
	for method, path := range map[string]string{http.MethodPut: "/api/v1/models/aliases/talk", http.MethodPost: "/api/v1/models/big/preload"} {
		body := map[string]string{http.MethodPut: `{"targets":[{"model":"big"}]}`}[method]
		if status, text := g.ask(t, method, path, body); status != http.StatusServiceUnavailable {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	if seen := worker.Seen(); len(seen) != 0 {
		t.Errorf("%s went to the worker of another pool", seen[0].URI)
	}
}
