package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gomodule/redigo/redis"
	"github.com/jackc/pgx/v5"

	"ollamamax/gateway/internal/access"
	"ollamamax/gateway/internal/accounts"
	"ollamamax/gateway/internal/aliases"
	"ollamamax/gateway/internal/answers"
	"ollamamax/gateway/internal/api"
	"ollamamax/gateway/internal/auth"
	"ollamamax/gateway/internal/bus"
	"ollamamax/gateway/internal/cluster"
	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/discovery"
	"ollamamax/gateway/internal/fleet"
	"ollamamax/gateway/internal/front"
	"ollamamax/gateway/internal/gate"
	"ollamamax/gateway/internal/inference"
	"ollamamax/gateway/internal/limits"
	"ollamamax/gateway/internal/live"
	"ollamamax/gateway/internal/logs"
	"ollamamax/gateway/internal/memory"
	"ollamamax/gateway/internal/metrics"
	"ollamamax/gateway/internal/migrations"
	"ollamamax/gateway/internal/models"
	"ollamamax/gateway/internal/nodes"
	"ollamamax/gateway/internal/openapi"
	"ollamamax/gateway/internal/proxy"
	"ollamamax/gateway/internal/residency"
	"ollamamax/gateway/internal/server"
	"ollamamax/gateway/internal/sshkey"
	"ollamamax/gateway/internal/store"
	"ollamamax/gateway/internal/tracing"
	"ollamamax/gateway/internal/usage"
)

// migratePatience is how long migrate waits for the database to accept connections.
const migratePatience = time.Minute

// healthcheck asks whether the gateway is ready or, of one that has nothing behind it, only whether it lives.
func healthcheck(ctx context.Context, path string, live bool) error {
	cfg, err := config.Load(path)
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(cfg.AdminListen)
	if err != nil {
		return err
	}
	if address := net.ParseIP(host); host == "" || (address != nil && address.IsUnspecified()) {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	question := "/readyz"
	if live {
		question = "/livez"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+question, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 4096)) // the status alone says enough
		return fmt.Errorf("%s: %s", response.Status, text)
	}
	return nil
}

func redisDialer(cfg config.Redis, secrets config.Secrets) bus.Dial {
	return func(ctx context.Context) (redis.Conn, error) {
		return redis.DialContext(ctx, "tcp", cfg.Address,
			redis.DialUseTLS(true), redis.DialTLSConfig(secrets.RedisTLS), redis.DialPassword(secrets.RedisPassword),
			redis.DialConnectTimeout(2*time.Second), redis.DialReadTimeout(2*time.Second), redis.DialWriteTimeout(2*time.Second))
	}
}

func migrate(ctx context.Context, path string, version int64, stdout io.Writer) error {
	cfg, secrets, err := load(path, config.Migrating)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(stdout, &slog.HandlerOptions{Level: cfg.Log.SlogLevel()}))
	settings, err := store.ConnConfig(cfg.Database, secrets.DatabasePassword, secrets.DatabaseTLS)
	if err != nil {
		return err
	}
	if cfg.Database.Admin != (config.Admin{}) {
		if err := ensureOwner(ctx, cfg.Database, secrets, log); err != nil {
			return err
		}
	}
	conn, err := connect(ctx, settings, log)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if err := migrations.Run(settings, version, log); err != nil {
		return err
	}
	if version != migrations.Latest {
		return nil // another version's tables need not suit this one's keys
	}
	keys, err := stackKeys(cfg.Auth, secrets.Key)
	if err != nil {
		return err
	}
	if err := store.SyncStackKeys(ctx, conn, keys); err != nil {
		return fmt.Errorf("registering the stack's keys: %w", err)
	}
	aliases := stackAliases(cfg.Models)
	if err := store.SyncStackAliases(ctx, conn, aliases); err != nil {
		return fmt.Errorf("registering the stack's aliases: %w", err)
	}
	log.Info("stack's keys and aliases registered", "keys", len(keys), "aliases", len(aliases))
	if err := bus.PublishOnce(ctx, redisDialer(cfg.Redis, secrets), bus.Keys, bus.Aliases); err != nil {
		log.Info("gateways not told of keys and aliases, they reload them by themselves", "after", cfg.Auth.RefreshInterval.String(), "error", err)
	}
	return nil
}

func stackAliases(settings config.Models) []models.Spec {
	aliases := make([]models.Spec, len(settings.Aliases))
	for i, alias := range settings.Aliases {
		aliases[i] = alias.Complete()
	}
	return aliases
}

// ensureOwner makes the database and its user, as their administrator.
func ensureOwner(ctx context.Context, database config.Database, secrets config.Secrets, log *slog.Logger) error {
	as := database
	as.User, as.Name = database.Admin.User, database.Admin.Database
	settings, err := store.ConnConfig(as, secrets.AdminPassword, secrets.DatabaseTLS)
	if err != nil {
		return err
	}
	conn, err := connect(ctx, settings, log)
	if err != nil {
		return fmt.Errorf("as the administrator: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if err := migrations.EnsureOwner(ctx, conn, database.User, secrets.DatabasePassword, database.Name); err != nil {
		return fmt.Errorf("making the database %s and its user %s: %w", database.Name, database.User, err)
	}
	log.Info("database and its user are there", "database", database.Name, "user", database.User)
	return nil
}

// connect waits for a database that is still starting.
func connect(ctx context.Context, settings *pgx.ConnConfig, log *slog.Logger) (*pgx.Conn, error) {
	deadline := time.Now().Add(migratePatience)
	for {
		conn, err := pgx.ConnectConfig(ctx, settings)
		if err == nil {
			return conn, nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return nil, fmt.Errorf("database %s:%d: %w", settings.Host, settings.Port, err)
		}
		log.Info("database not ready yet", "error", err)
		timer := time.NewTimer(time.Second)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

func stackKeys(settings config.Auth, secret string) ([]auth.Key, error) {
	var keys []auth.Key
	if secret != "" {
		keys = append(keys, auth.Key{Name: "stack", Kind: auth.Secret, Digest: sha256.Sum256([]byte(secret))})
	}
	for _, line := range settings.PublicKeys {
		public, comment, err := sshkey.ParseLine(line)
		if err != nil {
			return nil, err
		}
		if comment == "" {
			comment = "stack public key"
		}
		keys = append(keys, auth.Key{Name: comment, Kind: auth.PublicKey, Digest: public})
	}
	return keys, nil
}

func serve(ctx context.Context, path string, stdout io.Writer) error {
	cfg, secrets, err := load(path, config.Serving)
	if err != nil {
		return err
	}
	writer := logs.NewWriter(stdout)
	defer writer.Close()
	log := slog.New(slog.NewJSONHandler(writer, &slog.HandlerOptions{Level: cfg.Log.SlogLevel()})).With("gateway", cfg.Name)

	apiListener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	defer func() { _ = apiListener.Close() }()
	adminListener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.AdminListen)
	if err != nil {
		return fmt.Errorf("adminListen: %w", err)
	}
	settings, err := store.ConnConfig(cfg.Database, secrets.DatabasePassword, secrets.DatabaseTLS)
	if err != nil {
		return err
	}
	// The parts outlive the signal by the drain: requests under way still need them.
	parts, stopParts := context.WithCancel(context.WithoutCancel(ctx))
	defer stopParts()
	database, err := store.Open(parts, settings, cfg.Database)
	if err != nil {
		return err
	}
	defer database.Close()

	workers, err := discover(cfg.Workers, log)
	if err != nil {
		return err
	}
	g := assemble(cfg, secrets, database, redisDialer(cfg.Redis, secrets), workers, log, writer)
	var running sync.WaitGroup
	for _, part := range []func(context.Context){
		g.keys.Run, g.bus.Run, g.pool.Run, g.residency.Run, g.fleet.Run, g.aliases.Run, g.answers.Run, g.recorder.Run, g.meter.Run, g.exchange.Run, g.live.Run,
		g.tracer.Run, g.memory.Run,
	} {
		running.Go(func() { part(parts) })
	}
	admin := server.NewAdmin(g.metrics.Handler(), []server.Readiness{
		{Missing: "keys have not been read from the database yet", Holds: g.keys.Loaded},
		{Missing: "what workers are told has not been read from the database yet", Holds: g.fleet.Loaded},
		{Missing: "model aliases have not been read from the database yet", Holds: g.aliases.Loaded},
		{Missing: "no worker is healthy", Holds: func() bool { return len(g.pool.Healthy()) > 0 }},
		{Missing: "the gateway is draining", Holds: func() bool { return !g.server.Draining() }},
	})
	adminDone := make(chan error, 1)
	go func() { adminDone <- admin.Serve(adminListener) }()

	log.Info("serving", "version", version, "listen", apiListener.Addr().String(), "admin", adminListener.Addr().String())
	err = g.server.Serve(ctx, apiListener)
	stopParts()
	running.Wait()
	err = errors.Join(err, admin.Close())
	if adminErr := <-adminDone; !errors.Is(adminErr, http.ErrServerClosed) {
		err = errors.Join(err, adminErr)
	}
	log.Info("stopped", "log_lines_dropped", writer.Dropped())
	return err
}

// discover returns what knows where the workers are.
func discover(settings config.Workers, log *slog.Logger) (discovery.Source, error) {
	if settings.Discovery == "dns" {
		return discovery.NewNames(settings.Hosts, settings.ResolveInterval, net.DefaultResolver, log), nil
	}
	cluster, err := discovery.InCluster()
	if err != nil {
		return nil, err
	}
	return discovery.NewSlices(cluster, settings.Hosts, log)
}

// gateway is all parts, wired.
type gateway struct {
	metrics   *metrics.Metrics
	keys      *auth.Keyring
	bus       *bus.Bus
	pool      *nodes.Pool
	residency *residency.Residency
	fleet     *fleet.Fleet
	aliases   *aliases.Aliases
	answers   *answers.Answers
	recorder  *recorder
	meter     *usage.Meter
	exchange  *limits.Exchange
	live      *live.Hub
	routes    *api.API
	tracer    *tracing.Tracer
	memory    *memory.Manager
	server    *server.Server
}

func assemble(cfg config.Config, secrets config.Secrets, database *store.Store, dial bus.Dial, workers discovery.Source, log *slog.Logger, lines io.Writer) *gateway {
	g := &gateway{metrics: metrics.New(version)}
	left := limits.New(g.metrics.Limited)
	g.keys = auth.NewKeyring(database, cfg.Auth.RefreshInterval, cfg.Auth.SignatureWindow, log,
		func(up bool) { g.metrics.SetUp("database", up) }, func(keys []auth.Key) {
			if left.Know(keys) {
				g.meter.Soon()
			}
		})
	g.exchange = limits.NewExchange(left, cfg.Name, dial, log, func(gateways, parts int) {
		g.metrics.Sharers(gateways, parts)
		g.pool.SetGateways(gateways)
	})
	g.meter = usage.New(cfg.Name, database, left, cfg.Usage, g.metrics, log)
	var cached *store.Cached
	g.memory = memory.New(cfg.Memory, func(share float64) {
		g.answers.Shed(share)
		cached.Shed()
	}, g.metrics, log)
	entrance := gate.New(g.keys, left, g.meter, g.memory)
	g.bus = bus.New(dial, log, func(topic bus.Topic) {
		switch topic {
		case bus.Keys:
			g.keys.Invalidate()
		case bus.Models:
			g.pool.Recheck()
		case bus.Inventory:
			cached.Invalidate()
			g.fleet.Invalidate()
		case bus.Aliases:
			g.aliases.Invalidate()
		}
	}, func(up bool) { g.metrics.SetUp("redis", up) })
	cached = store.NewCached(database, cfg.QueryCache.Entries, cfg.QueryCache.TTL, g.bus.Live, func(result string) {
		g.metrics.CacheRequests.WithLabelValues("query", result).Inc()
	})
	inventoryChanged := func() {
		cached.Invalidate()
		g.bus.Publish(bus.Inventory)
	}
	g.recorder = newRecorder(cfg.Name, database, g.metrics, log, inventoryChanged)
	g.pool = nodes.NewPool(cfg.Workers, g.metrics, log, workers, func() {
		g.recorder.Changed()
		g.answers.Changed()
		g.residency.Wake()
		g.live.Changed()
	})
	g.recorder.snapshot = g.pool.Snapshot
	g.fleet = fleet.New(cfg.Name, g.pool, cached, log, inventoryChanged)
	names := &models.Names{}
	g.answers = answers.New(cfg, dial, g.pool, g.metrics, log)
	service := inference.New(g.pool, names, g.answers, g.metrics, log, cfg.Workers.ResponseTimeout)
	forwarder := proxy.New(g.pool, log, cfg.Workers.ResponseTimeout)
	modelsChanged := func() { g.bus.Publish(bus.Models) }
	g.residency = residency.New(cfg, g.pool, forwarder, database, g.metrics, log,
		residency.Told{Pulled: modelsChanged, Pinned: g.fleet.Changed})
	g.aliases = aliases.New(names, g.pool, g.residency, database, log, func() { g.bus.Publish(bus.Aliases) }, g.metrics.ForgetAlias)
	platform := cluster.New(cfg.Name, version, g.pool, names, g.metrics, func() bool { return g.server.Draining() })
	g.live = live.New(cfg.Live, cfg.Server.WriteTimeout, cfg.Name, g.metrics, entrance.Holds, platform.Sources()...)
	g.routes = api.New(g.pool, names, service, forwarder, cached, g.metrics, cfg.Server.MaxBodyBytes, modelsChanged, g.fleet, g.residency, g.aliases,
		accounts.New(database, func() {
			g.keys.Invalidate()
			g.bus.Publish(bus.Keys)
		}), platform, g.live, openapi.Routes{})
	recorder := access.NewRecorder(g.metrics, lines, cfg.Log.SlogLevel(), cfg.Name, entrance.Leave)
	g.tracer = tracing.New(cfg.Tracing, secrets.TracingTLS, cfg.Name, version, g.metrics, log)
	plain := front.New(cfg.Name, cfg.Server, entrance, service, recorder, g.tracer, log)
	g.server = server.New(cfg.Name, cfg.Server, plain, recorder, g.tracer, log, entrance.Require(api.Public(cfg.Auth.PublicPaths), g.routes.Handler()))
	g.server.OnClosing(g.live.Close)
	return g
}
