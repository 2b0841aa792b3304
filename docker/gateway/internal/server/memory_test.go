package server_test

import (
	"strings"
	"testing"

	"ollamamax/gateway/internal/eventually"
)

func TestWithoutMemoryRequestsForModelsAreRefusedInTheirOwnShapeAndNothingElseIs(t *testing.T) {
	worker, g := one(t)
	g.memory.full.Store(true)
	for path, want := range map[string]string{
		"/api/generate":            `{"error":"the gateway is short of memory"}`,
		"/api/generate?x=y":        `{"error":"the gateway is short of memory"}`,
		"/v1/chat/completions":     `{"error":{"message":"the gateway is short of memory","type":"api_error"`,
		"/v1/chat/completions?x=y": `{"error":{"message":"the gateway is short of memory","type":"api_error"`,
	} {
		response, text := g.raw(t, plain(path, generate))
		if response.StatusCode != 503 || response.Header.Get("Retry-After") != "5" || !strings.HasPrefix(text, want) {
			t.Errorf("%s: %d %v %s", path, response.StatusCode, response.Header, text)
		}
	}
	for _, path := range []string{"/api/tags", "/api/ps", "/api/v1/metrics"} {
		if status, text := g.ask(t, "GET", path, ""); status != 200 {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	g.memory.full.Store(false)
	if status, text := g.ask(t, "POST", "/api/generate", generate); status != 200 || len(worker.Seen()) == 0 {
		t.Errorf("%d %s", status, text)
	}
	eventually.True(t, "what was claimed is given back", func() bool { return g.memory.taken.Load() == 0 })
}
