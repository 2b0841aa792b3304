package store

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/expirable"
)

// Cached answers getModel and listNodes from memory while invalidations arrive, and from the database
// otherwise: an answer that may be stale is never given.
type Cached struct {
	*Store
	entries    *expirable.LRU[string, any]
	generation atomic.Uint64
	live       func() bool // every invalidation is being received
	looked     func(result string)
}

// NewCached puts a cache of entries answers, each kept for ttl, in front of a store. looked is told of every look
// into it: hit, miss, or skipped where it is not live.
func NewCached(s *Store, entries int, ttl time.Duration, live func() bool, looked func(result string)) *Cached {
	return &Cached{Store: s, entries: expirable.NewLRU[string, any](entries, nil, ttl), live: live, looked: looked}
}

// Invalidate forgets all answers, those being fetched included.
func (c *Cached) Invalidate() {
	c.generation.Add(1)
	c.entries.Purge()
}

// Shed forgets all answers, to give their memory back.
func (c *Cached) Shed() { c.entries.Purge() }

// cached returns the answer kept under key, or fetches it. An answer fetched across an invalidation is
// not kept: it may be from before it.
func cached[T any](c *Cached, key string, fetch func() (T, error)) (T, error) {
	if !c.live() {
		c.looked("skipped")
		return fetch()
	}
	if value, ok := c.entries.Get(key); ok {
		c.looked("hit")
		return value.(T), nil
	}
	c.looked("miss")
	generation := c.generation.Load()
	value, err := fetch()
	if err == nil && c.live() {
		c.entries.Add(key, value)
		if c.generation.Load() != generation {
			c.entries.Remove(key)
		}
	}
	return value, err
}

// GetModel is Store.GetModel through the cache.
func (c *Cached) GetModel(ctx context.Context, id string) (Model, error) {
	return cached(c, "model:"+id, func() (Model, error) { return c.Store.GetModel(ctx, id) })
}

// ListNodes is Store.ListNodes through the cache.
func (c *Cached) ListNodes(ctx context.Context) ([]Node, error) {
	return cached(c, "nodes", func() ([]Node, error) { return c.Store.ListNodes(ctx) })
}
