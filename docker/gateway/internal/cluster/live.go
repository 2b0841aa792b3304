package cluster

import (
	"math"
	"time"

	"ollamamax/gateway/internal/live"
	"ollamamax/gateway/internal/metrics"
	"ollamamax/gateway/internal/modelname"
)

const (
	// second is how often rates are told, and what they are over.
	second = time.Second
	// window is what quantiles are over: of a second alone they would say little.
	window = 10
)

// reading is what was counted up to a moment.
type reading struct {
	at time.Time
	metrics.Reading
}

// Sources are what clients can follow.
func (c *Cluster) Sources() []live.Source {
	return []live.Source{
		{Topic: "cluster", Read: func(time.Time, bool) ([]live.Thing, bool) {
			return []live.Thing{{Key: c.gateway, Value: c.status()}}, true
		}},
		{Topic: "nodes", Read: func(time.Time, bool) ([]live.Thing, bool) { return c.nodes(), true }},
		{Topic: "models", Read: func(time.Time, bool) ([]live.Thing, bool) { return c.models(), true }},
		{Topic: "aliases", Read: func(time.Time, bool) ([]live.Thing, bool) { return c.aliases(), true }},
		{Topic: "queue", Read: func(time.Time, bool) ([]live.Thing, bool) {
			return []live.Thing{{Key: c.gateway, Value: queue{c.pool.Waiting()}}}, true
		}},
		{Topic: "rates", Every: second, Read: c.rates},
	}
}

// node is what this gateway sees of one.
type node struct {
	Address  string            `json:"address"`
	Up       bool              `json:"up"`
	Drained  bool              `json:"drained"`
	Leaving  bool              `json:"leaving"`
	Ejected  bool              `json:"ejected"`
	Takes    bool              `json:"takes_requests"`
	InFlight int               `json:"in_flight"`
	Slots    int               `json:"slots"` // of each model; 0: no limit
	Loaded   []string          `json:"loaded"`
	Breakers map[string]string `json:"breakers"` // those that are not closed, by model
}

func (c *Cluster) nodes() []live.Thing {
	var all []live.Thing
	for _, s := range c.pool.Look() {
		all = append(all, live.Thing{Key: s.Name, Value: node{
			Address: s.Address, Up: s.Up, Drained: s.Drained, Leaving: s.Leaving, Ejected: s.Ejected > 0, Takes: s.Takes(),
			InFlight: s.InFlight, Slots: s.Slots, Loaded: s.Loaded, Breakers: s.Breakers,
		}})
	}
	return all
}

// model is where one is.
type model struct {
	Digest   string `json:"digest"`
	Size     int64  `json:"size_bytes"`
	Nodes    int    `json:"nodes"`
	Loaded   int    `json:"loaded"` // of the nodes
	InFlight int    `json:"in_flight"`
	Waiting  int    `json:"waiting"`
}

func (c *Cluster) models() []live.Thing {
	var all []live.Thing
	for _, m := range c.pool.Models() {
		all = append(all, live.Thing{Key: modelname.Short(m.Canonical), Value: model{
			Digest: m.Digest, Size: m.Size, Nodes: len(m.Nodes), Loaded: len(m.Loaded), InFlight: m.InFlight, Waiting: m.Waiting,
		}})
	}
	return all
}

func (c *Cluster) aliases() []live.Thing {
	var all []live.Thing
	for _, alias := range c.names.All() {
		all = append(all, live.Thing{Key: alias.Name, Value: alias.Spec})
	}
	return all
}

type queue struct {
	Waiting int `json:"waiting"`
}

// rates are per second, over the last one.
type rates struct {
	Requests         float64  `json:"requests"`
	Errors           float64  `json:"errors"`
	PromptTokens     float64  `json:"prompt_tokens"`
	CompletionTokens float64  `json:"completion_tokens"`
	CacheHits        float64  `json:"cache_hits"`
	P50              *float64 `json:"overhead_p50_seconds"` // null where there were no requests
	P99              *float64 `json:"overhead_p99_seconds"`
	FirstTokenP50    *float64 `json:"first_token_p50_seconds"` // null where no stream began
	FirstTokenP99    *float64 `json:"first_token_p99_seconds"`
	InFlight         int      `json:"in_flight"`
	MemoryBytes      uint64   `json:"memory_bytes"`
}

// rates has nothing to say before it was asked twice.
func (c *Cluster) rates(now time.Time, first bool) ([]live.Thing, bool) {
	if first {
		c.readings = c.readings[:0]
	}
	c.readings = append(c.readings, reading{now, c.metrics.Read()})
	if len(c.readings) < 2 {
		return nil, false
	}
	if len(c.readings) > window+1 {
		c.readings = append(c.readings[:0], c.readings[1:]...)
	}
	oldest, before, last := c.readings[0], c.readings[len(c.readings)-2], c.readings[len(c.readings)-1]
	took := last.at.Sub(before.at).Seconds()
	per := func(before, after int64) float64 { return math.Round(float64(after-before)/took*10) / 10 }
	m := c.moment()
	return []live.Thing{{Key: c.gateway, Value: rates{
		Requests: per(before.Requests, last.Requests), Errors: per(before.Errors, last.Errors),
		PromptTokens: per(before.PromptTokens, last.PromptTokens), CompletionTokens: per(before.CompletionTokens, last.CompletionTokens),
		CacheHits: per(before.CacheHits, last.CacheHits),
		P50:       known(metrics.Quantile(.5, oldest.Overhead, last.Overhead)), P99: known(metrics.Quantile(.99, oldest.Overhead, last.Overhead)),
		FirstTokenP50: known(metrics.Quantile(.5, oldest.FirstToken, last.FirstToken)),
		FirstTokenP99: known(metrics.Quantile(.99, oldest.FirstToken, last.FirstToken)),
		InFlight:      m.InFlight, MemoryBytes: m.MemoryBytes,
	}}}, true
}

func known(seconds float64) *float64 {
	if math.IsNaN(seconds) {
		return nil
	}
	return &seconds
}
