//go:build integration

// Package storetest opens the real database for tests.
package storetest

import (
	"context"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/migrations"
	"ollamamax/gateway/internal/store"
)

// Environment variables that hold a server's host:port.
const (
	Database = "OLLAMAMAX_TEST_DATABASE" // PostgreSQL itself
	Pool     = "OLLAMAMAX_TEST_POOL"     // PgBouncer
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
	needed := func(name string) string {
		value := os.Getenv(name)
		if value == "" {
			t.Fatalf("%s is not set: tests/gateway starts the real parts and sets it", name)
		}
		return value
	}
	host, port, err := net.SplitHostPort(needed(variable))
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	cfg := config.Default()
	cfg.Database.Host = host
	if cfg.Database.Port, err = strconv.Atoi(port); err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	folder := needed("OLLAMAMAX_TEST_SECRETS")
	cfg.Database.PasswordFile, cfg.Database.CAFile = folder+"/database-password", folder+"/ca.pem"
	cfg.Redis = config.Redis{Address: "redis:6379", PasswordFile: folder + "/redis-password", CAFile: folder + "/ca.pem"}
	secrets, err := cfg.ReadSecrets(config.Serving)
	if err != nil {
		t.Fatal(err)
	}
	settings, err := store.ConnConfig(cfg.Database, secrets.DatabasePassword, secrets.DatabaseTLS)
	if err != nil {
		t.Fatal(err)
	}
	return settings
}

// Open returns a store over PgBouncer on an empty, migrated schema.
func Open(t *testing.T, maxOpen, maxIdle int) (*store.Store, *Counter) {
	t.Helper()
	direct, discard := Connection(t, Database), slog.New(slog.DiscardHandler)
	for _, version := range []int64{migrations.None, migrations.Latest} {
		if err := migrations.Run(direct, version, discard); err != nil {
			t.Fatal(err)
		}
	}
	settings := Connection(t, Pool)
	count := &Counter{}
	settings.Tracer = count
	database := config.Default().Database
	database.MaxOpen, database.MaxIdle = maxOpen, maxIdle
	s, err := store.Open(t.Context(), settings, database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, count
}
