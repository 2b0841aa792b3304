package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/eventually"
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
