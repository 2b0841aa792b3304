package server_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"ollamamax/gateway/internal/access"
	"ollamamax/gateway/internal/aliases"
	"ollamamax/gateway/internal/answers"
	"ollamamax/gateway/internal/api"
	"ollamamax/gateway/internal/auth"
	"ollamamax/gateway/internal/cluster"
	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/discovery"
	"ollamamax/gateway/internal/eventually"
	"ollamamax/gateway/internal/front"
	"ollamamax/gateway/internal/gate"
	"ollamamax/gateway/internal/inference"
	"ollamamax/gateway/internal/limits"
	"ollamamax/gateway/internal/live"
	"ollamamax/gateway/internal/memory"
	"ollamamax/gateway/internal/metrics"
	"ollamamax/gateway/internal/metricstest"
	"ollamamax/gateway/internal/models"
	"ollamamax/gateway/internal/nodes"
	"ollamamax/gateway/internal/openapitest"
	"ollamamax/gateway/internal/proxy"
	"ollamamax/gateway/internal/residency"
	"ollamamax/gateway/internal/server"
	"ollamamax/gateway/internal/store"
	"ollamamax/gateway/internal/tracing"
	"ollamamax/gateway/internal/usage"
	"ollamamax/gateway/internal/workertest"
)

const key = "a-key-of-the-tests"

// gateway is a whole gateway in this process, without database and Redis.
type gateway struct {
	address   string
	url       string
	metrics   *metrics.Metrics
	pool      *nodes.Pool
	answers   *answers.Answers
	live      *live.Hub
	log       *lockedBuffer
	stop      context.CancelFunc // what SIGTERM does
	stopParts context.CancelFunc
	running   sync.WaitGroup
	stopped   chan error
	server    *server.Server
	keys      *keySource
	aliases   *aliasSource
	memory    room
}

// room is the memory of this machine, or what a test says of it.
type room struct {
	*memory.Manager
	full  atomic.Bool
	taken atomic.Int64
}

func (r *room) Take(length int64) (claimed int64, ok bool) {
	if r.full.Load() {
		return 0, false
	}
	claimed, ok = r.Manager.Take(length)
	r.taken.Add(claimed)
	return claimed, ok
}

func (r *room) Give(claimed int64) {
	r.taken.Add(-claimed)
	r.Manager.Give(claimed)
}

type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// keySource is a database of one key that can go away.
type keySource struct {
	mu     sync.Mutex
	err    error
	scopes auth.Scope // of the key; none: admin
}

func (s *keySource) Keys(context.Context) ([]auth.Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return nil, s.err
	}
	return []auth.Key{{Name: "tests", Kind: auth.Secret, Digest: sha256.Sum256([]byte(key)), Scopes: cmp.Or(s.scopes, auth.Admin)}}, nil
}

func (s *keySource) limit(scopes auth.Scope) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scopes = scopes
}

func (s *keySource) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// aliasSource is a database of aliases.
type aliasSource struct {
	mu      sync.Mutex
	records map[string]models.Record
}

func (s *aliasSource) Aliases(context.Context) ([]models.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.records)), nil
}

func (s *aliasSource) PutAlias(_ context.Context, spec models.Spec, by string) (models.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records[spec.Name] = models.Record{Spec: spec, Source: models.API, UpdatedAt: time.Now(), UpdatedBy: by}
	return s.records[spec.Name], nil
}

func (s *aliasSource) DeleteAlias(_ context.Context, name string) (models.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	record, there := s.records[name]
	if !there {
		return record, models.ErrNotFound
	}
	delete(s.records, name)
	return record, nil
}

type noDatabase struct{}

func (noDatabase) GetModel(context.Context, string) (store.Model, error) {
	return store.Model{}, store.ErrNotFound
}
func (noDatabase) SetPinned(context.Context, []string, string, bool) error {
	return errors.New("there is no database")
}
func (noDatabase) GetMetrics(context.Context, time.Time) ([]store.Sample, error) { return nil, nil }

func noRedis(context.Context) (redis.Conn, error) { return nil, errors.New("there is no Redis") }

type fixedNames map[string][]netip.Addr

func (f fixedNames) LookupNetIP(_ context.Context, network, host string) ([]netip.Addr, error) {
	if network == "ip4" && len(f[host]) > 0 {
		return f[host], nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

// start runs a gateway in front of workers, whose names are worker-1, worker-2 and so on, once it
// knows that they are up.
func start(t testing.TB, workers []*workertest.Worker, alter ...func(*config.Config)) *gateway {
	t.Helper()
	cfg := config.Default()
	cfg.Name = "gateway-under-test"
	cfg.Workers.HealthInterval = 50 * time.Millisecond
	cfg.Workers.ResolveInterval = 50 * time.Millisecond
	cfg.Workers.WaitForNode = 5 * time.Second
	cfg.Workers.ResponseTimeout = 20 * time.Second
	cfg.Server.DrainDelay = 50 * time.Millisecond
	names := fixedNames{}
	for i, worker := range workers {
		name := "worker-" + string(rune('1'+i))
		_, port, err := net.SplitHostPort(worker.Address)
		if err != nil {
			t.Fatal(err)
		}
		names[name] = []netip.Addr{netip.MustParseAddr("127.0.0.1")}
		cfg.Workers.Hosts = append(cfg.Workers.Hosts, net.JoinHostPort(name, port))
	}
	for _, change := range alter {
		change(&cfg)
	}

	g := &gateway{metrics: metrics.New("test"), log: &lockedBuffer{}, stopped: make(chan error, 1), keys: &keySource{}, aliases: &aliasSource{records: map[string]models.Record{}}}
	log := slog.New(slog.NewJSONHandler(g.log, nil))
	source := discovery.NewNames(cfg.Workers, names, log)
	var loads *residency.Residency
	g.pool = nodes.NewPool(cfg.Workers, g.metrics, log, source, func() {
		g.answers.Changed()
		g.live.Changed()
		loads.Wake()
	})
	left := limits.New(g.metrics.Limited)
	keyring := auth.NewKeyring(g.keys, 50*time.Millisecond, time.Minute, log, func(bool) {}, func(keys []auth.Key) { left.Know(keys) })
	g.memory.Manager = memory.New(cfg.Memory, func(share float64) { g.answers.Shed(share) }, g.metrics, log)
	entrance := gate.New(keyring, left, usage.New(cfg.Name, nil, left, cfg.Usage, g.metrics, log), &g.memory, cfg.Server.MaxBodyBytes)
	g.answers = answers.New(cfg, noRedis, g.pool, g.metrics, log)
	standing := &models.Names{}
	service := inference.New(g.pool, standing, g.answers, g.metrics, log, cfg.Workers.ResponseTimeout)
	forwarder := proxy.New(g.pool, log, cfg.Workers.ResponseTimeout)
	loads = residency.New(cfg, g.pool, forwarder, noDatabase{}, g.metrics, log, residency.Told{Pulled: func() {}})
	named := aliases.New(standing, g.pool, loads, g.aliases, log, func() {}, g.metrics.ForgetAlias)
	recorder := access.NewRecorder(g.metrics, g.log, slog.LevelInfo, cfg.Name, entrance.Leave)
	tracer := tracing.New(cfg.Tracing, nil, cfg.Name, "test", g.metrics, log)
	plain := front.New(cfg.Name, cfg.Server, entrance, service, recorder, tracer, log)
	platform := cluster.New(cfg.Name, "test", cfg.Forecaster, g.pool, standing, g.metrics, func() bool { return g.server.Draining() })
	g.live = live.New(cfg.Live, cfg.Server.WriteTimeout, cfg.Name, g.metrics, entrance.Holds, platform.Sources()...)
	routes := api.New(g.pool, standing, service, forwarder, noDatabase{}, g.metrics, cfg.Server.MaxBodyBytes, func() {}, loads, named, platform, g.live)
	g.server = server.New(cfg.Name, cfg.Server, plain, recorder, tracer, log, entrance.Require(api.Public(cfg.Auth.PublicPaths), routes.Handler()))
	g.server.OnClosing(g.live.Close)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g.address = listener.Addr().String()
	g.url = "http://" + g.address
	parts, stopParts := context.WithCancel(context.Background())
	serving, stop := context.WithCancel(context.Background())
	g.stop = stop
	running := &g.running
	running.Go(func() { g.pool.Run(parts) })
	running.Go(func() { g.answers.Run(parts) })
	running.Go(func() { loads.Run(parts) })
	running.Go(func() { keyring.Run(parts) })
	running.Go(func() { g.live.Run(parts) })
	running.Go(func() { tracer.Run(parts) })
	running.Go(func() { g.memory.Run(parts) })
	g.stopParts = stopParts
	go func() { g.stopped <- g.server.Serve(serving, listener) }()
	t.Cleanup(func() {
		stop()
		stopParts()
		running.Wait()
	})
	eventually.True(t, "all workers are up and keys are loaded", func() bool {
		return len(g.pool.Healthy()) == len(workers) && keyring.Loaded()
	})
	return g
}

// do sends a request with the key.
func (g *gateway) do(t *testing.T, method, path, body string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, g.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+key)
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

// ask returns status and body of a whole answer.
func (g *gateway) ask(t *testing.T, method, path, body string) (int, string) {
	t.Helper()
	response := g.do(t, method, path, body)
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	openapitest.Check(t, method, path, response.StatusCode, text)
	return response.StatusCode, string(text)
}

// raw sends bytes as they are and returns the status line and body of the first answer.
func (g *gateway) raw(t *testing.T, request string) (*http.Response, string) {
	t.Helper()
	connection := g.dial(t)
	if _, err := io.WriteString(connection, request); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatalf("answer to %.60q: %v", request, err)
	}
	defer func() { _ = response.Body.Close() }()
	text, _ := io.ReadAll(response.Body)
	return response, string(text)
}

func (g *gateway) dial(t *testing.T) net.Conn {
	t.Helper()
	connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", g.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	if err := connection.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return connection
}

// value is the sum of a metric's series that have all of the labels, written as "name=value".
func (g *gateway) value(t *testing.T, metric string, labels ...string) float64 {
	t.Helper()
	return metricstest.Sum(t, g.metrics.Handler(), metric, labels...)
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
