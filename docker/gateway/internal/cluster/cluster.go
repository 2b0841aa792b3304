// Package cluster sums up what a gateway knows of the platform: for a route, and for those who follow it. All of
// it is in memory.
package cluster

import (
	"net/http"
	"runtime/debug"
	runtime "runtime/metrics"
	"time"

	"ollamamax/gateway/internal/metrics"
	names "ollamamax/gateway/internal/models"
	"ollamamax/gateway/internal/nodes"
	"ollamamax/gateway/internal/reply"
)

// Cluster is the platform, as one gateway sees it.
type Cluster struct {
	gateway, version string
	forecaster       string // its address; empty: there is none
	pool             *nodes.Pool
	names            *names.Names
	metrics          *metrics.Metrics
	draining         func() bool
	started          time.Time
	readings         []reading // of the last seconds, while somebody follows
}

// New returns the platform as the gateway of this name and version sees it. forecaster is the address of what
// forecasts load, if there is such. draining tells whether the gateway is about to stop.
func New(gateway, version, forecaster string, pool *nodes.Pool, n *names.Names, m *metrics.Metrics, draining func() bool) *Cluster {
	return &Cluster{gateway: gateway, version: version, forecaster: forecaster, pool: pool, names: n, metrics: m, draining: draining, started: time.Now()}
}

// Routes names all routes.
func (c *Cluster) Routes(route func(pattern string, handler http.HandlerFunc)) {
	route("GET /api/v1/cluster", func(w http.ResponseWriter, _ *http.Request) {
		reply.JSON(w, http.StatusOK, struct {
			status
			Now moment `json:"now"`
		}{c.status(), c.moment()})
	})
	route("GET /api/v1/cluster/forecasts", c.forecasts)
}

// status is what seldom changes.
type status struct {
	Gateway   string    `json:"gateway"`
	Version   string    `json:"version"`
	StartedAt time.Time `json:"started_at"`
	Draining  bool      `json:"draining"`
	Gateways  int       `json:"gateways"`
	Database  bool      `json:"database"`
	Redis     bool      `json:"redis"`
	Nodes     fleet     `json:"nodes"`
	Models    models    `json:"models"`
}

type fleet struct {
	Total   int `json:"total"`
	Up      int `json:"up"`
	Drained int `json:"drained"`
	Taking  int `json:"taking"` // requests
}

type models struct {
	Total  int `json:"total"`
	Loaded int `json:"loaded"` // on any node
}

// moment is what changes all the time.
type moment struct {
	UptimeSeconds float64 `json:"uptime_seconds"`
	InFlight      int     `json:"in_flight"`
	Waiting       int     `json:"waiting"`
	MemoryBytes   uint64  `json:"memory_bytes"`       // that the Go runtime has from the kernel
	LimitBytes    int64   `json:"memory_limit_bytes"` // of that, GOMEMLIMIT
}

func (c *Cluster) status() status {
	s := status{
		Gateway: c.gateway, Version: c.version, StartedAt: c.started.UTC().Truncate(time.Second), Draining: c.draining(),
		Gateways: max(1, c.metrics.Gateways()), Database: c.metrics.Up("database"), Redis: c.metrics.Up("redis"),
	}
	for _, node := range c.pool.Look() {
		s.Nodes.Total++
		s.Nodes.Up += one(node.Up)
		s.Nodes.Drained += one(node.Drained)
		s.Nodes.Taking += one(node.Takes())
	}
	for _, model := range c.pool.Models() {
		s.Models.Total++
		s.Models.Loaded += one(len(model.Loaded) > 0)
	}
	return s
}

func one(holds bool) int {
	if holds {
		return 1
	}
	return 0
}

func (c *Cluster) moment() moment {
	m := moment{
		UptimeSeconds: time.Since(c.started).Seconds(), Waiting: c.pool.Waiting(), MemoryBytes: memory(), LimitBytes: debug.SetMemoryLimit(-1),
	}
	for _, node := range c.pool.Look() {
		m.InFlight += node.InFlight
	}
	return m
}

// memory is what GOMEMLIMIT bounds.
func memory() uint64 {
	samples := []runtime.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	runtime.Read(samples)
	return samples[0].Value.Uint64() - samples[1].Value.Uint64()
}
