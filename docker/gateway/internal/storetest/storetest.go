//go:build integration

// Package storetest opens the real database for tests.
package storetest

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"ollamamax/gateway/internal/migrations"
	"ollamamax/gateway/internal/realparts"
	"ollamamax/gateway/internal/store"
)

// Counter is a tracer that counts statements.
type Counter struct{ statements atomic.Int64 }

// TraceQueryStart counts.
func (c *Counter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	c.statements.Add(1)
	return ctx
}

// TraceQueryEnd is the other half of a tracer.
func (c *Counter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// During returns how many statements work runs.
func (c *Counter) During(work func()) int64 {
	before := c.statements.Load()
	work()
	return c.statements.Load() - before
}

// Connection returns how to connect to the server that an environment variable names.
func Connection(t *testing.T, variable string) *pgx.ConnConfig {
	t.Helper()
	cfg, secrets := realparts.Configuration(t, realparts.Needed(t, variable), realparts.Needed(t, realparts.Redis))
	settings, err := store.ConnConfig(cfg.Database, secrets.DatabasePassword, secrets.DatabaseTLS)
	if err != nil {
		t.Fatal(err)
	}
	return settings
}

// Open returns a store over PgBouncer on an empty, migrated schema.
func Open(t *testing.T, maxOpen, maxIdle int) (*store.Store, *Counter) {
	t.Helper()
	direct, discard := Connection(t, realparts.Database), slog.New(slog.DiscardHandler)
	for _, version := range []int64{migrations.None, migrations.Latest} {
		if err := migrations.Run(direct, version, discard); err != nil {
			t.Fatal(err)
		}
	}
	settings := Connection(t, realparts.Pool)
	count := &Counter{}
	settings.Tracer = count
	cfg, _ := realparts.Configuration(t, realparts.Needed(t, realparts.Pool), realparts.Needed(t, realparts.Redis))
	cfg.Database.MaxOpen, cfg.Database.MaxIdle = maxOpen, maxIdle
	s, err := store.Open(t.Context(), settings, cfg.Database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, count
}
