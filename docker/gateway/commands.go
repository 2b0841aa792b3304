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

	"ollamamax/gateway/internal/auth"
	"ollamamax/gateway/internal/bus"
	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/logs"
	"ollamamax/gateway/internal/migrations"
	"ollamamax/gateway/internal/models"
	"ollamamax/gateway/internal/server"
	"ollamamax/gateway/internal/sshkey"
	"ollamamax/gateway/internal/store"
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
		password, err := config.Password(cfg.PasswordFile)
		if err != nil {
			return nil, err
		}
		return redis.DialContext(ctx, "tcp", cfg.Address,
			redis.DialUseTLS(true), redis.DialTLSConfig(secrets.RedisTLS), redis.DialPassword(password),
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
		// Without workers all gateways would leave the load balancer at once, and Prometheus with it: nobody would
		// answer from what is kept, or say what is wrong.
		{Missing: "no worker has been healthy yet", Holds: server.Once(g.pool.Ready)},
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
