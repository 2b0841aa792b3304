// Package store is the gateway's side of PostgreSQL, reached through PgBouncer. Nothing here is on the
// path of a request for a model.
package store

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"ollamamax/gateway/internal/config"
)

// ErrNotFound means that there is no such row.
var ErrNotFound = errors.New("not found")

// statements are prepared once on every connection, under these names. PgBouncer keeps track of them
// across its server connections where max_prepared_statements is above 0.
var statements = map[string]string{
	"getModel": `
		SELECT m.id, m.digest, m.size_bytes, m.modified_at,
		       coalesce(array_agg(n.name ORDER BY n.name) FILTER (WHERE n.name IS NOT NULL), '{}')
		FROM models m
		LEFT JOIN node_models nm ON nm.model = m.id
		LEFT JOIN nodes n ON n.name = nm.node AND n.active = true
		WHERE m.id = $1 AND m.active = true
		GROUP BY m.id`,
	"listNodes": `
		SELECT n.name, n.address, n.healthy, n.drained, n.last_seen,
		       coalesce(array_agg(nm.model ORDER BY nm.model) FILTER (WHERE nm.model IS NOT NULL), '{}')
		FROM nodes n
		LEFT JOIN node_models nm ON nm.node = n.name
		WHERE n.active = true
		GROUP BY n.name
		ORDER BY n.name`,
	"getMetrics": `
		SELECT gateway, sampled_at, requests, failures, retries, prompt_tokens, completion_tokens
		FROM metrics
		WHERE sampled_at > $1
		ORDER BY sampled_at, gateway
		LIMIT 10000`,
}

// ConnConfig returns how to connect. The password never becomes part of a text that could be logged.
func ConnConfig(c config.Database, password string, trust *tls.Config) (*pgx.ConnConfig, error) {
	// The text has no password and no TLS: both are set on the result, where no environment variable
	// can weaken them.
	settings, err := pgx.ParseConfig(fmt.Sprintf("host=%s port=%d dbname=%s user=%s sslmode=disable connect_timeout=3",
		quote(c.Host), c.Port, quote(c.Name), quote(c.User)))
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	settings.Password = password
	settings.TLSConfig = trust
	settings.Fallbacks = nil
	return settings, nil
}

func quote(value string) string {
	quoted := strconv.Quote(value)
	return "'" + quoted[1:len(quoted)-1] + "'"
}

// Store is a pool of connections.
type Store struct {
	pool *pgxpool.Pool
}

// Open returns a pool that connects when it is first used, each time with the password that then is in its file.
func Open(ctx context.Context, connection *pgx.ConnConfig, c config.Database) (*Store, error) {
	settings, err := pgxpool.ParseConfig("")
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	settings.ConnConfig = connection
	settings.MinConns = 0
	settings.MaxConns = int32(c.MaxOpen)
	settings.MaxConnLifetime = c.MaxLifetime
	settings.BeforeConnect = func(_ context.Context, next *pgx.ConnConfig) (err error) {
		next.Password, err = config.Password(c.PasswordFile)
		return err
	}
	settings.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		// In a transaction PgBouncer leaves a server connection with its client: where all are taken, a new client
		// waits once for one, and not for every statement.
		return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			for name, text := range statements {
				if _, err := tx.Prepare(ctx, name, text); err != nil {
					return fmt.Errorf("prepare %s: %w", name, err)
				}
			}
			return nil
		})
	}
	// A connection that is known to be broken is asked whether it is there, and replaced; any other is not, as pgx
	// would do after a second without work, because the question would wait for a server connection too.
	settings.ShouldPing = func(_ context.Context, p pgxpool.ShouldPingParams) bool {
		return p.IdleDuration > time.Second && p.Conn.PgConn().CheckConn() != nil //nolint:staticcheck // instead of Ping
	}
	var pool *pgxpool.Pool
	settings.AfterRelease = func(*pgx.Conn) bool {
		return int(pool.Stat().IdleConns()) < c.MaxIdle
	}
	if pool, err = pgxpool.NewWithConfig(ctx, settings); err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	return &Store{pool: pool}, nil
}

// oneTrip has a statement run in one round trip, although its connection has never seen it. What a gateway follows is
// read like this: behind a PgBouncer whose server connections are all taken each round trip waits for one.
const oneTrip = pgx.QueryExecModeExec

// patience is how long a request may wait for the database. One that says nothing, or whose name can't be looked
// up, has failed it then, as one that refuses connections has at once.
const patience = 5 * time.Second

// Close ends all connections.
func (s *Store) Close() { s.pool.Close() }

// Idle returns how many connections wait for work.
func (s *Store) Idle() int { return int(s.pool.Stat().IdleConns()) }

// Model is a model and where it is.
type Model struct {
	ID         string    `json:"id"`
	Digest     string    `json:"digest"`
	SizeBytes  int64     `json:"size_bytes"`
	ModifiedAt time.Time `json:"modified_at"`
	Nodes      []string  `json:"nodes"`
}

// GetModel returns an active model by its listed name, or ErrNotFound.
func (s *Store) GetModel(ctx context.Context, id string) (Model, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var m Model
	err := s.pool.QueryRow(ctx, "getModel", id).Scan(&m.ID, &m.Digest, &m.SizeBytes, &m.ModifiedAt, &m.Nodes)
	if errors.Is(err, pgx.ErrNoRows) {
		return Model{}, ErrNotFound
	}
	return m, err
}

// Node is a worker and what it holds.
type Node struct {
	Name     string    `json:"name"`
	Address  string    `json:"address"`
	Healthy  bool      `json:"healthy"`
	Drained  bool      `json:"drained"`
	LastSeen time.Time `json:"last_seen"`
	Models   []string  `json:"models"`
}

// ListNodes returns the active nodes, sorted by name.
func (s *Store) ListNodes(ctx context.Context) ([]Node, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	rows, err := s.pool.Query(ctx, "listNodes")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Node, error) {
		var n Node
		err := row.Scan(&n.Name, &n.Address, &n.Healthy, &n.Drained, &n.LastSeen, &n.Models)
		return n, err
	})
}

// Sample is what one gateway did in one interval.
type Sample struct {
	Gateway          string    `json:"gateway"`
	At               time.Time `json:"at"`
	Requests         int64     `json:"requests"`
	Failures         int64     `json:"failures"`
	Retries          int64     `json:"retries"`
	PromptTokens     int64     `json:"prompt_tokens"`
	CompletionTokens int64     `json:"completion_tokens"`
}

// GetMetrics returns the samples taken after since, oldest first, 10,000 at most.
func (s *Store) GetMetrics(ctx context.Context, since time.Time) ([]Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	rows, err := s.pool.Query(ctx, "getMetrics", since)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Sample, error) {
		var m Sample
		err := row.Scan(&m.Gateway, &m.At, &m.Requests, &m.Failures, &m.Retries, &m.PromptTokens, &m.CompletionTokens)
		return m, err
	})
}

// retention is how long samples are kept.
const retention = "30 days"

// AddSample writes one sample and drops those past their time.
func (s *Store) AddSample(ctx context.Context, m Sample) error {
	_, err := s.pool.Exec(ctx, `
		WITH expired AS (DELETE FROM metrics WHERE sampled_at < now() - $8::text::interval)
		INSERT INTO metrics (gateway, sampled_at, requests, failures, retries, prompt_tokens, completion_tokens)
		VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		m.Gateway, m.At, m.Requests, m.Failures, m.Retries, m.PromptTokens, m.CompletionTokens, retention)
	return err
}
