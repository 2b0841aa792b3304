// Package api maps the routes of Ollama, of OpenAI and of the platform to the workers.
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/modelname"
	"ollamamax/gateway/internal/nodes"
	"ollamamax/gateway/internal/proxy"
	"ollamamax/gateway/internal/reply"
	"ollamamax/gateway/internal/store"
)

// Database answers the platform's own routes.
type Database interface {
	GetModel(ctx context.Context, id string) (store.Model, error)
	ListNodes(ctx context.Context) ([]store.Node, error)
	GetMetrics(ctx context.Context, since time.Time) ([]store.Sample, error)
}

// API serves all routes.
type API struct {
	pool     *nodes.Pool
	proxy    *proxy.Proxy
	database Database
	maxBody  int64
	changed  func() // this gateway made workers gain or lose a model
	others   []Routes
}

// Routes is a part of the API that is served elsewhere.
type Routes interface {
	Routes(route func(pattern string, handler http.HandlerFunc))
}

// New returns the API. changed is called after every request that altered what the workers hold.
func New(pool *nodes.Pool, p *proxy.Proxy, database Database, maxBody int64, changed func(), others ...Routes) *API {
	return &API{pool: pool, proxy: p, database: database, maxBody: maxBody, changed: changed, others: others}
}

// Public returns a function that tells which requests need no key: the greeting that clients probe a
// server with, and reads of paths.
func Public(paths []string) func(*http.Request) bool {
	public := map[string]bool{"/": true}
	for _, path := range paths {
		public[path] = true
	}
	return func(r *http.Request) bool {
		return public[r.URL.Path] && (r.Method == http.MethodGet || r.Method == http.MethodHead)
	}
}

// Handler returns the router. A route that Ollama has and this list has not passes through to a worker.
func (a *API) Handler() http.Handler {
	mux := http.NewServeMux()
	route := func(pattern string, handler http.HandlerFunc) {
		_, path, _ := strings.Cut(pattern, " ")
		label := strings.TrimSuffix(path, "{$}")
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			exchange.From(r.Context()).API = label
			handler(w, r)
		})
	}
	route("GET /{$}", greet)
	for _, path := range []string{"generate", "chat", "embed", "embeddings"} {
		route("POST /api/"+path, a.inference)
	}
	for _, path := range []string{
		"chat/completions", "completions", "embeddings", "responses", "messages", "images/generations", "images/edits",
	} {
		route("POST /v1/"+path, a.inference)
	}
	for _, path := range []string{"show", "push"} {
		route("POST /api/"+path, a.aboutModel)
	}
	route("GET /api/tags", a.tags)
	route("GET /api/ps", a.ps)
	route("GET /api/version", a.anyNode)
	route("POST /api/pull", a.onEveryNode)
	route("POST /api/create", a.onEveryNode)
	route("POST /api/copy", a.onHolders)
	route("DELETE /api/delete", a.onHolders)
	route("HEAD /api/blobs/{digest}", a.headBlob)
	route("POST /api/blobs/{digest}", a.uploadBlob)
	route("GET /v1/models", a.openAIModels)
	route("GET /v1/models/{model...}", a.openAIModel)
	route("GET /api/v1/nodes", a.listNodes)
	route("GET /api/v1/models/{id...}", a.getModel)
	route("GET /api/v1/metrics", a.getMetrics)
	for _, other := range a.others {
		other.Routes(route)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler, pattern := mux.Handler(r)
		if pattern == "" {
			// Not found here, or found for another method: the worker knows how to say so. The router's own
			// answers and redirects are never used.
			exchange.From(r.Context()).API = "other"
			a.passThrough(w, r)
			return
		}
		_ = handler
		mux.ServeHTTP(w, r)
	})
}

func greet(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "Ollama is running") // a client that has gone can't be told
}

// named is what routing needs to know of a body. The values are kept raw, so that a wrong type reaches
// the worker, which words the error.
type named struct {
	Model  json.RawMessage `json:"model"`
	Name   json.RawMessage `json:"name"`
	Source json.RawMessage `json:"source"` // of a copy
}

func (n named) model() string {
	for _, raw := range []json.RawMessage{n.Model, n.Name, n.Source} {
		var text string
		if len(raw) > 0 && json.Unmarshal(raw, &text) == nil && text != "" {
			return text
		}
	}
	return ""
}

// read takes the whole body, up to the limit, or answers with an error and returns false.
func (a *API) read(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	if r.ContentLength > a.maxBody {
		a.tooLarge(w, r)
		return nil, false
	}
	var body []byte
	var err error
	if r.ContentLength > 0 {
		body = make([]byte, r.ContentLength)
		_, err = io.ReadFull(r.Body, body)
		if err == nil {
			_, err = r.Body.Read(make([]byte, 1)) // the end, which lets net/http watch for a client that leaves
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
	} else {
		body, err = io.ReadAll(http.MaxBytesReader(nil, r.Body, a.maxBody))
	}
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil:
		return body, true
	case errors.As(err, &tooLarge):
		a.tooLarge(w, r)
	default:
		exchange.From(r.Context()).Cause = err
		reply.Error(w, r, http.StatusRequestTimeout, "the request body did not arrive in time")
	}
	return nil, false
}

func (a *API) tooLarge(w http.ResponseWriter, r *http.Request) {
	reply.Error(w, r, http.StatusRequestEntityTooLarge, "the request body is larger than "+byteCount(a.maxBody))
}

// scan reads the body and finds the model in it. Malformed JSON is refused in Ollama's words: both use
// the standard library's decoder, and both read the first value of the body alone.
func (a *API) scan(w http.ResponseWriter, r *http.Request) (body []byte, model string, ok bool) {
	body, ok = a.read(w, r)
	if !ok {
		return nil, "", false
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return body, "", true // unreadable here: the worker decides
	}
	var fields named
	err := json.NewDecoder(bytes.NewReader(body)).Decode(&fields)
	var wrongType *json.UnmarshalTypeError
	switch {
	case err == nil:
		return body, fields.model(), true
	case errors.As(err, &wrongType):
		return body, "", true // JSON, though not an object: the worker words it
	case errors.Is(err, io.EOF) && !reply.IsOpenAI(r.URL.Path):
		reply.Error(w, r, http.StatusBadRequest, "missing request body")
	default:
		reply.Error(w, r, http.StatusBadRequest, err.Error())
	}
	return nil, "", false
}

// label names the model in metrics. Only models that exist become labels: a client must not be able to
// fill the metrics with names of its own.
func (a *API) label(x *exchange.Exchange, canonical string) {
	if canonical == "" {
		return
	}
	x.Model = "unknown"
	if _, known := a.pool.Known(canonical); known {
		x.Model = modelname.Short(canonical)
	}
}

// inference sends a request to a node that holds its model, which runs there.
func (a *API) inference(w http.ResponseWriter, r *http.Request) { a.forModel(w, r, false) }

// aboutModel sends a request to a node that holds its model and answers without running it.
func (a *API) aboutModel(w http.ResponseWriter, r *http.Request) { a.forModel(w, r, true) }

func (a *API) forModel(w http.ResponseWriter, r *http.Request, light bool) {
	body, model, ok := a.scan(w, r)
	if !ok {
		return
	}
	canonical := modelname.Canonical(model)
	a.label(exchange.From(r.Context()), canonical)
	a.proxy.Forward(w, r, proxy.Call{Want: nodes.Want{Model: canonical, Light: light}, Body: body})
}

// anyNode sends a request without a body to the least busy node.
func (a *API) anyNode(w http.ResponseWriter, r *http.Request) {
	a.proxy.Forward(w, r, proxy.Call{Want: nodes.Want{Light: true}})
}

// passThrough sends what this gateway does not know to a node that holds the model, if the body names one.
func (a *API) passThrough(w http.ResponseWriter, r *http.Request) {
	body, ok := a.read(w, r)
	if !ok {
		return
	}
	var fields named
	canonical := ""
	if json.Unmarshal(body, &fields) == nil {
		canonical = modelname.Canonical(fields.model())
	}
	a.label(exchange.From(r.Context()), canonical)
	a.proxy.Forward(w, r, proxy.Call{Want: nodes.Want{Model: canonical}, Body: body})
}
