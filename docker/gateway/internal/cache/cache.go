package cache

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"time"

	"ollamamax/gateway/internal/bus"
	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/metrics"
	"ollamamax/gateway/internal/prometheus"
)

// Cache is both levels.
type Cache struct {
	memory *memory
	shared *shared
	limit  int64 // bytes of an answer that is kept

	memoryHit, memoryMiss                           prometheus.Counter
	sharedHit, sharedMiss, sharedError, sharedSkips prometheus.Counter
}

// New returns a cache that is empty in memory. Run serves its second level.
func New(settings config.ResultCache, dial bus.Dial, m *metrics.Metrics, log *slog.Logger) *Cache {
	c := &Cache{
		memory: newMemory(settings.MemoryBytes, settings.TTL),
		shared: newShared(dial, settings.RedisTimeout, settings.TTL, settings.MaxAnswerBytes, m.CacheWrites, log),
		limit:  settings.MaxAnswerBytes,

		memoryHit:   m.CacheRequests.WithLabelValues("memory", "hit"),
		memoryMiss:  m.CacheRequests.WithLabelValues("memory", "miss"),
		sharedHit:   m.CacheRequests.WithLabelValues("redis", "hit"),
		sharedMiss:  m.CacheRequests.WithLabelValues("redis", "miss"),
		sharedError: m.CacheRequests.WithLabelValues("redis", "error"),
		sharedSkips: m.CacheRequests.WithLabelValues("redis", "skipped"),
	}
	m.Func("cache_bytes", "Memory that kept answers take.", func() float64 {
		_, bytes := c.memory.size()
		return float64(bytes)
	})
	m.Func("cache_entries", "Answers kept in memory.", func() float64 {
		entries, _ := c.memory.size()
		return float64(entries)
	})
	return c
}

// Run serves the second level until ctx ends.
func (c *Cache) Run(ctx context.Context) { c.shared.run(ctx) }

// Lookup returns the answer kept in memory, or nil.
func (c *Cache) Lookup(key Key) *Answer {
	answer := c.memory.get(key, time.Now())
	if answer == nil {
		c.memoryMiss.Inc()
	} else {
		c.memoryHit.Inc()
	}
	return answer
}

// Peek is Lookup for a request that has been counted.
func (c *Cache) Peek(key Key) *Answer { return c.memory.get(key, time.Now()) }

// LookupShared returns the answer that a gateway left in Redis, or nil. It takes as long as
// resultCache.redisTimeout at most, and no time while Redis is away.
func (c *Cache) LookupShared(ctx context.Context, key Key, digest string) *Answer {
	answer, err := c.shared.get(ctx, key, digest)
	switch {
	case errors.Is(err, errOpen):
		c.sharedSkips.Inc()
	case err != nil:
		c.sharedError.Inc()
	case answer == nil:
		c.sharedMiss.Inc()
	default:
		c.sharedHit.Inc()
		c.memory.add(key, answer)
		return answer
	}
	return nil
}

// Store keeps a worker's answer of status 200, received whole, on both levels. Nobody may change body any more.
func (c *Cache) Store(key Key, digest, contentType string, body []byte) {
	if int64(len(body)) > c.limit {
		return
	}
	if cap(body)-len(body) > len(body)/4 { // grown while the answer came: what it has to spare would be kept too
		body = bytes.Clone(body)
	}
	answer := newAnswer(digest, contentType, body, time.Now())
	c.memory.add(key, answer)
	c.shared.put(key, answer)
}

// Drop forgets the answers of a model's digest, because a node no longer has what it stands for.
func (c *Cache) Drop(digest string) {
	c.memory.drop(digest)
	c.shared.drop(digest)
}

// Shed gives memory back, until answers take no more than share of what they may.
func (c *Cache) Shed(share float64) { c.memory.shed(share) }
