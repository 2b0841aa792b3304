// Package api maps the routes of Ollama, of OpenAI and of the platform to the workers.
package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"ollamamax/gateway/internal/exchange"
	"ollamamax/gateway/internal/inference"
	"ollamamax/gateway/internal/inflate"
	"ollamamax/gateway/internal/metrics"
	"ollamamax/gateway/internal/modelname"
	"ollamamax/gateway/internal/models"
	"ollamamax/gateway/internal/nodes"
	"ollamamax/gateway/internal/proxy"
	"ollamamax/gateway/internal/reply"
	"ollamamax/gateway/internal/scan"
	"ollamamax/gateway/internal/store"
)

// Database answers the platform's own routes.
type Database interface {
	GetModel(ctx context.Context, id string) (store.Model, error)
	GetMetrics(ctx context.Context, since time.Time) ([]store.Sample, error)
}

// API serves all routes.
type API struct {
	pool     *nodes.Pool
	names    *models.Names
	service  *inference.Service
	proxy    *proxy.Proxy
	database Database
	metrics  *metrics.Metrics
	maxBody  int64
	changed  func() // this gateway made workers gain or lose a model
	others   []Routes
}

// Routes is a part of the API that is served elsewhere.
type Routes interface {
	Routes(route func(pattern string, handler http.HandlerFunc))
}

// New returns the API. changed is called after every request that altered what the workers hold.
func New(pool *nodes.Pool, names *models.Names, service *inference.Service, p *proxy.Proxy, database Database, m *metrics.Metrics, maxBody int64, changed func(), others ...Routes) *API {
	return &API{pool: pool, names: names, service: service, proxy: p, database: database, metrics: m, maxBody: maxBody, changed: changed, others: others}
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

// Routes names all routes. A route that Ollama has and this list has not passes through to a worker.
func (a *API) Routes(route func(pattern string, handler http.HandlerFunc)) {
	route("GET /{$}", greet)
	for path := range inference.Routes {
		route("POST "+path, a.infer)
	}
	for _, path := range []string{"/v1/images/generations", "/v1/images/edits"} {
		route("POST "+path, a.withModel)
	}
	route("POST /api/show", a.aboutModel)
	route("POST /api/push", a.push)
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
	route("GET /api/v1/models/{id...}", a.getModel)
	route("GET /api/v1/metrics", a.getMetrics)
	for _, other := range a.others {
		other.Routes(route)
	}
}

// Handler returns the router.
func (a *API) Handler() http.Handler {
	mux := http.NewServeMux()
	a.Routes(func(pattern string, handler http.HandlerFunc) {
		_, path, _ := strings.Cut(pattern, " ")
		label := strings.TrimSuffix(path, "{$}")
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			exchange.From(r.Context()).API = label
			handler(w, r)
		})
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern == "" {
			// Not found here, or found for another method: the worker knows how to say so. The router's own
			// answers and redirects are never used.
			exchange.From(r.Context()).API = "other"
			a.passThrough(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func greet(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "Ollama is running") // a client that has gone can't be told
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
		reply.Refuse(w, r, reply.Late)
	}
	return nil, false
}

func (a *API) tooLarge(w http.ResponseWriter, r *http.Request) {
	reply.Error(w, r, http.StatusRequestEntityTooLarge, "the request body is larger than "+byteCount(a.maxBody))
}

// plain is read for a body that may have come compressed.
func (a *API) plain(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	body, ok := a.read(w, r)
	encoding := strings.Join(r.Header.Values("Content-Encoding"), ",")
	if !ok || inflate.Plain(encoding) {
		return body, ok
	}
	a.metrics.Inflated.WithLabelValues(inflate.Name(encoding)).Inc()
	body, err := inflate.Body(encoding, body, a.maxBody)
	switch {
	case err == nil:
		r.Header.Del("Content-Encoding")
		if became := exchange.From(r.Context()).Became; became != nil {
			became(int64(len(body)))
		}
		return body, true
	case errors.Is(err, inflate.ErrEncoding):
		w.Header().Set("Accept-Encoding", inflate.Accepted)
		reply.Error(w, r, http.StatusUnsupportedMediaType, fmt.Sprintf("%s: %q", err, encoding))
	case errors.Is(err, inflate.ErrTooLarge):
		a.tooLarge(w, r)
	case errors.Is(err, inflate.ErrRatio):
		reply.Error(w, r, http.StatusRequestEntityTooLarge, err.Error())
	default:
		reply.Error(w, r, http.StatusBadRequest, err.Error())
	}
	return nil, false
}

// scan reads the body and finds the model in it, or answers with an error and returns false.
func (a *API) scan(w http.ResponseWriter, r *http.Request) (body []byte, fields scan.Fields, ok bool) {
	if body, ok = a.plain(w, r); !ok {
		return nil, fields, false
	}
	fields, problem := inference.Scan(r.URL.Path, body)
	if problem != "" {
		reply.Error(w, r, http.StatusBadRequest, problem)
		return nil, fields, false
	}
	return body, fields, true
}

// infer answers an inference request that did not come in the plain way.
func (a *API) infer(w http.ResponseWriter, r *http.Request) {
	if body, ok := a.plain(w, r); ok {
		inference.ServeHTTP(w, r, nodes.Want{}, body, a.service.Infer)
	}
}

// withModel sends a request to a node that holds its model, which runs there.
func (a *API) withModel(w http.ResponseWriter, r *http.Request) { a.forModel(w, r, false) }

// aboutModel sends a request to a node that holds its model and answers without running it.
func (a *API) aboutModel(w http.ResponseWriter, r *http.Request) { a.forModel(w, r, true) }

func (a *API) forModel(w http.ResponseWriter, r *http.Request, light bool) {
	if body, fields, ok := a.scan(w, r); ok {
		want := nodes.Want{Model: modelname.Canonical(string(fields.Model)), Light: light}
		inference.ServeHTTP(w, r, want, body, a.service.Named(fields))
	}
}

// anyNode sends a request without a body to the least busy node.
func (a *API) anyNode(w http.ResponseWriter, r *http.Request) {
	a.forward(w, r, nodes.Want{Light: true}, nil)
}

// passThrough sends what this gateway does not know to a node that holds the model, if the body names one.
func (a *API) passThrough(w http.ResponseWriter, r *http.Request) {
	body, ok := a.read(w, r)
	if !ok {
		return
	}
	fields, _ := inference.Scan(r.URL.Path, body) // where it is no JSON, that is for the worker to say
	a.forward(w, r, nodes.Want{Model: modelname.Canonical(string(fields.Model))}, body)
}

func (a *API) forward(w http.ResponseWriter, r *http.Request, want nodes.Want, body []byte) {
	a.service.Label(exchange.From(r.Context()), want.Model)
	inference.ServeHTTP(w, r, want, body, a.service.Forward)
}
