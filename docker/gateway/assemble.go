package main

import (
	"io"
	"log/slog"
	"net"

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
	"ollamamax/gateway/internal/memory"
	"ollamamax/gateway/internal/metrics"
	"ollamamax/gateway/internal/models"
	"ollamamax/gateway/internal/nodes"
	"ollamamax/gateway/internal/openapi"
	"ollamamax/gateway/internal/proxy"
	"ollamamax/gateway/internal/residency"
	"ollamamax/gateway/internal/server"
	"ollamamax/gateway/internal/store"
	"ollamamax/gateway/internal/tracing"
	"ollamamax/gateway/internal/usage"
)

// discover returns what knows where the workers are.
func discover(settings config.Workers, log *slog.Logger) (discovery.Source, error) {
	if settings.Discovery == "dns" {
		return discovery.NewNames(settings, net.DefaultResolver, log), nil
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
	entrance := gate.New(g.keys, left, g.meter, g.memory, cfg.Server.MaxBodyBytes)
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
	platform := cluster.New(cfg.Name, version, cfg.Forecaster, g.pool, names, g.metrics, func() bool { return g.server.Draining() })
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
