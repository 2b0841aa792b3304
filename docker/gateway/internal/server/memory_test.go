package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
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

func TestABodyThatCameCompressedClaimsWhatItBecameUntilItsAnswerEnds(t *testing.T) {
	worker, g := one(t)
	release := worker.Hold()
	defer release()
	body := packed(t, "gzip", generate)
	connection := g.dial(t)
	if _, err := fmt.Fprintf(connection, "POST /api/generate HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"+
		"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n", key, len(body)); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "what it may become is claimed", func() bool { return g.memory.taken.Load() == 1<<20 })
	if _, err := io.WriteString(connection, body); err != nil {
		t.Fatal(err)
	}
	eventually.True(t, "what it became is claimed", func() bool { return g.memory.taken.Load() == int64(len(generate)) })
	release()
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil || response.StatusCode != 200 {
		t.Fatalf("%+v, %v", response, err)
	}
	_ = response.Body.Close()
	eventually.True(t, "what was claimed is given back", func() bool { return g.memory.taken.Load() == 0 })
}
