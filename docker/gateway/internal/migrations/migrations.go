// Package migrations brings the database's schema to the version of this binary.
package migrations

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

//go:embed sql/*.sql
var files embed.FS

// Latest stands for the newest version, None for a database without any.
const (
	Latest int64 = -1
	None   int64 = 0
)

// lockSalt belongs to golang-migrate's way of numbering locks. Releases before this one used it: one of them
// that migrates at the same time waits too, and the table that it made is the one that is read here.
const lockSalt = 1486364155

// Run migrates up, or down where version is older than the database's, under a lock that makes a second
// run at the same time wait. The connection must go to PostgreSQL itself: PgBouncer's transaction mode
// loses the lock.
func Run(connection *pgx.ConnConfig, version int64, log *slog.Logger) error {
	steps, err := read(files)
	if err != nil {
		return err
	}
	ctx := context.Background()
	conn, err := pgx.ConnectConfig(ctx, connection)
	if err != nil {
		return fmt.Errorf("schema migration: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }() // and with it the lock
	var schema, database string
	if err := conn.QueryRow(ctx, "SELECT current_schema(), current_database()").Scan(&schema, &database); err != nil {
		return fmt.Errorf("schema migration: %w", err)
	}
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", lockOf(schema, database)); err != nil {
		return fmt.Errorf("schema migration: %w", err)
	}
	current, err := at(ctx, conn)
	if err != nil {
		return fmt.Errorf("schema version: %w", err)
	}
	way, err := plan(steps, current, version)
	if err != nil {
		return err
	}
	for _, step := range way {
		if err := step.run(ctx, conn); err != nil {
			return fmt.Errorf("schema migration %s: %w", step.name, err)
		}
		current = step.to
	}
	log.Info("schema is migrated", "version", current)
	return nil
}

func lockOf(schema, database string) int64 {
	return int64(crc32.ChecksumIEEE([]byte(schema+"\x00schema_version\x00"+database)) * lockSalt)
}

// at returns the database's version.
func at(ctx context.Context, conn *pgx.Conn) (int64, error) {
	_, err := conn.Exec(ctx, "CREATE TABLE IF NOT EXISTS schema_version (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL)")
	if err != nil {
		return None, err
	}
	var version int64
	var dirty bool
	err = conn.QueryRow(ctx, "SELECT version, dirty FROM schema_version").Scan(&version, &dirty)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return None, nil
	case err == nil && dirty:
		return None, fmt.Errorf("a release before this one was interrupted while it migrated to version %d: see what is missing, "+
			"then UPDATE schema_version SET dirty = false, with the version that the schema has", version)
	}
	return version, err
}

// step is a migration in one direction.
type step struct {
	name     string
	from, to int64
	sql      string
}

// run migrates and notes the version in one transaction: it happens whole, or not at all.
func (s step) run(ctx context.Context, conn *pgx.Conn) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, s.sql); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "DELETE FROM schema_version"); err != nil || s.to == None {
			return err
		}
		_, err := tx.Exec(ctx, "INSERT INTO schema_version (version, dirty) VALUES ($1, false)", s.to)
		return err
	})
}

// read returns all steps up, in order, followed by those down.
func read(folder fs.FS) ([]step, error) {
	names, err := fs.Glob(folder, "sql/*.sql")
	if err != nil {
		return nil, err
	}
	var steps []step
	for _, name := range names {
		sql, err := fs.ReadFile(folder, name)
		if err != nil {
			return nil, err
		}
		number, _, _ := strings.Cut(path.Base(name), "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s has no version: %w", name, err)
		}
		if strings.HasSuffix(name, ".up.sql") {
			steps = append(steps, step{name, version - 1, version, string(sql)})
		} else {
			steps = append(steps, step{name, version, version - 1, string(sql)})
		}
	}
	return steps, nil
}

// plan returns the steps from one version to another.
func plan(steps []step, current, version int64) ([]step, error) {
	newest := slices.MaxFunc(steps, func(a, b step) int { return cmp.Compare(a.to, b.to) }).to
	switch {
	case version == Latest:
		version = max(newest, current) // where a newer release has been, its schema suits this one too
	case version < None || version > newest:
		return nil, fmt.Errorf("there is no schema version %d: the newest of this release is %d", version, newest)
	case current > newest:
		return nil, fmt.Errorf("the schema has version %d, and this release knows none beyond %d: go back with the release that made it", current, newest)
	}
	var way []step
	for current != version {
		next := current + 1
		if version < current {
			next = current - 1
		}
		i := slices.IndexFunc(steps, func(s step) bool { return s.from == current && s.to == next })
		if i < 0 {
			return nil, fmt.Errorf("there is no migration from schema version %d to %d", current, next)
		}
		way = append(way, steps[i])
		current = next
	}
	return way, nil
}
