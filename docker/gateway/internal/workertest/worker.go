// Package workertest is an Ollama server that fails on command. Tests of what a real server does use a
// real one; this one stands in where a real one would have to break.
package workertest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Fault is how the worker fails a request for a model.
type Fault int

const (
	// None answers three words, streamed unless the body says "stream": false.
	None Fault = iota
	// Reset drops the connection as soon as the request is read.
	Reset
	// HeadersOnly sends the head of an answer, then drops the connection.
	HeadersOnly
	// MidStream drops the connection after the first message.
	MidStream
	// MidLine drops the connection in the middle of the second message.
	MidLine
	// Overloaded answers 503.
	Overloaded
	// Limited answers 429.
	Limited
	// BadGateway answers 502.
	BadGateway
	// Broken answers 500.
	Broken
	// Silent reads the request and says nothing until the client has gone.
	Silent
	// SilentMidStream sends one message and says nothing more until the client has gone.
	SilentMidStream
)

// Seen is one request that arrived, health checks left out.
type Seen struct {
	Method string
	URI    string
	Header http.Header
	Body   []byte
}

// Worker is one server.
type Worker struct {
	Address string

	mu     sync.Mutex
	server *httptest.Server
	models []string
	digest string // of all models, in place of one made from each name
	fault  Fault
	seen   []Seen
	blobs  sync.Map      // paths of those that were uploaded
	gone   chan struct{} // closed when a client leaves a silent answer
	once   sync.Once
	hold   chan struct{} // answers wait for it, if set

	memory  int           // how many models fit; 0: all are loaded
	loading time.Duration // what it takes to load one
	loaded  []inMemory    // sorted by name
	loads   int
	uses    int
	began   time.Time
}

// Size is what a model takes in memory, bytes; its file takes a tenth.
const Size = 10_000

// Start runs a worker that holds models until the test ends.
func Start(t testing.TB, models ...string) *Worker {
	t.Helper()
	w := &Worker{models: models, gone: make(chan struct{}), began: time.Now()}
	w.listen(t, "127.0.0.1:0")
	t.Cleanup(w.Stop)
	return w
}

func (w *Worker) listen(t testing.TB, address string) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatalf("worker: %v", err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(w.serve))
	_ = server.Listener.Close() // the one that httptest opened by itself
	server.Listener = listener
	server.Start()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.server, w.Address = server, listener.Addr().String()
}

// Stop ends the worker as a killed process does: connections break, new ones are refused.
func (w *Worker) Stop() {
	w.mu.Lock()
	server := w.server
	w.server = nil
	w.mu.Unlock()
	if server == nil {
		return
	}
	_ = server.Listener.Close()
	server.CloseClientConnections()
	server.Close()
}

// Restart brings a stopped worker back at its address.
func (w *Worker) Restart(t testing.TB) {
	t.Helper()
	w.listen(t, w.Address)
}

// Fail sets the fault of the requests that follow.
func (w *Worker) Fail(fault Fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = fault
}

// Hold makes answers wait until the returned function is called.
func (w *Worker) Hold() (release func()) {
	hold := make(chan struct{})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hold = hold
	return sync.OnceFunc(func() { close(hold) })
}

func tagged(name string) string {
	if strings.Contains(name, ":") {
		return name
	}
	return name + ":latest"
}

func (w *Worker) digestOf(name string) string { return cmp.Or(w.digest, "digest-of-"+name) }

// SetDigest changes what all models of the worker are.
func (w *Worker) SetDigest(digest string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.digest = digest
}

// Seen returns the requests so far, those that health checks make left out.
func (w *Worker) Seen() []Seen {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Seen(nil), w.seen...)
}

// ClientGone is closed once a client has left a silent answer.
func (w *Worker) ClientGone() <-chan struct{} { return w.gone }

func (w *Worker) serve(out http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/api/tags":
		w.tags(out)
		return
	case "/api/ps":
		w.ps(out)
		return
	}
	body, err := io.ReadAll(r.Body)
	w.mu.Lock()
	w.seen = append(w.seen, Seen{r.Method, r.RequestURI, r.Header.Clone(), body})
	fault, hold := w.fault, w.hold
	w.mu.Unlock()
	if err != nil {
		return // the client left in the middle of its body
	}
	if hold != nil {
		select {
		case <-hold:
		case <-r.Context().Done():
			return
		}
	}
	switch {
	case strings.HasPrefix(r.URL.Path, "/api/blobs/"):
		_, has := w.blobs.Load(r.URL.Path)
		switch {
		case r.Method == http.MethodPost:
			w.blobs.Store(r.URL.Path, true)
			out.WriteHeader(http.StatusCreated)
		case !has:
			out.WriteHeader(http.StatusNotFound)
		}
	case r.URL.Path == "/api/pull" || r.URL.Path == "/api/create":
		w.progress(out, fault)
		if r.URL.Path == "/api/pull" && fault == None {
			w.get(body)
		}
	default:
		if fault != Broken {
			w.load(body)
		}
		w.answer(out, r, body, fault)
	}
}

// get adds the model that a body names.
func (w *Worker) get(body []byte) {
	var named struct{ Model string }
	_ = json.Unmarshal(body, &named) // a body that names none adds none
	w.mu.Lock()
	defer w.mu.Unlock()
	if name := tagged(named.Model); !slices.Contains(w.models, name) {
		w.models = append(slices.Clone(w.models), name)
	}
}

func (w *Worker) tags(out http.ResponseWriter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	type entry struct {
		Name       string    `json:"name"`
		Model      string    `json:"model"`
		Digest     string    `json:"digest"`
		Size       int64     `json:"size"`
		ModifiedAt time.Time `json:"modified_at"`
		RemoteHost string    `json:"remote_host,omitempty"`
	}
	list := map[string][]entry{"models": {}}
	for i, name := range w.models {
		modified := time.Date(2026, 1, 1+i, 0, 0, 0, 0, time.UTC)
		remote := ""
		if strings.HasSuffix(name, "-cloud") { // as Ollama's names for those have it
			remote = "https://ollama.com"
		}
		list["models"] = append(list["models"], entry{name, name, w.digestOf(name), Size / 10, modified, remote})
	}
	_ = json.NewEncoder(out).Encode(list)
}

func (w *Worker) progress(out http.ResponseWriter, fault Fault) {
	out.Header().Set("Content-Type", "application/x-ndjson")
	_, _ = io.WriteString(out, `{"status":"pulling manifest"}`+"\n"+
		`{"status":"pulling abc","digest":"sha256:abc","total":100,"completed":100}`+"\n")
	if fault == MidStream {
		_, _ = io.WriteString(out, `{"error":"no space left on device"}`+"\n")
		return
	}
	_, _ = io.WriteString(out, `{"status":"success"}`+"\n")
}

// answer gives three words in the format that the path has.
func (w *Worker) answer(out http.ResponseWriter, r *http.Request, body []byte, fault Fault) {
	switch fault {
	case Reset:
		panic(http.ErrAbortHandler)
	case Overloaded:
		http.Error(out, `{"error":"server busy"}`, http.StatusServiceUnavailable)
		return
	case Limited:
		http.Error(out, `{"error":"too many requests"}`, http.StatusTooManyRequests)
		return
	case BadGateway:
		http.Error(out, `{"error":"bad gateway"}`, http.StatusBadGateway)
		return
	case Broken:
		http.Error(out, `{"error":"llama runner process has terminated"}`, http.StatusInternalServerError)
		return
	case Silent:
		w.waitForLeave(r)
		return
	}
	flush := http.NewResponseController(out).Flush
	stream := !bytes.Contains(body, []byte(`"stream":false`)) && !strings.Contains(r.URL.Path, "embed")
	events := strings.HasPrefix(r.URL.Path, "/v1/")
	if r.URL.Path == "/api/embed" {
		embed(out, body)
		return
	}
	if !stream {
		out.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(out, `{"done":true,"prompt_eval_count":5,"eval_count":3}`)
		return
	}
	messages := []string{
		`{"response":"one","done":false}`, `{"response":"two","done":false}`, `{"done":true,"prompt_eval_count":5,"eval_count":3}`,
	}
	out.Header().Set("Content-Type", map[bool]string{false: "application/x-ndjson", true: "text/event-stream"}[events])
	if fault == HeadersOnly {
		out.WriteHeader(http.StatusOK)
		_ = flush()
		panic(http.ErrAbortHandler)
	}
	for i, message := range messages {
		text := message + "\n"
		if events {
			text = "data: " + message + "\n\n"
		}
		if i == 1 && fault == MidLine {
			text = text[:len(text)/2]
		}
		_, _ = io.WriteString(out, text)
		_ = flush()
		switch {
		case i == 0 && fault == MidStream, i == 1 && fault == MidLine:
			panic(http.ErrAbortHandler)
		case i == 0 && fault == SilentMidStream:
			w.waitForLeave(r)
			return
		}
	}
	if events {
		_, _ = io.WriteString(out, "data: [DONE]\n\n")
	}
}

// embed gives each text its length as its vector, and counts them as tokens; it refuses the text "bad".
func embed(out http.ResponseWriter, body []byte) {
	var request struct {
		Input any `json:"input"`
	}
	_ = json.Unmarshal(body, &request) // no texts then
	texts, several := request.Input.([]any)
	if !several {
		texts = []any{request.Input}
	}
	vectors := [][]int{}
	for _, text := range texts {
		if text == "bad" {
			http.Error(out, `{"error":"bad text"}`, http.StatusBadRequest)
			return
		}
		vectors = append(vectors, []int{len(fmt.Sprint(text))})
	}
	out.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(out).Encode(map[string]any{"embeddings": vectors, "prompt_eval_count": len(texts)})
}

func (w *Worker) waitForLeave(r *http.Request) {
	<-r.Context().Done()
	w.once.Do(func() { close(w.gone) })
}
