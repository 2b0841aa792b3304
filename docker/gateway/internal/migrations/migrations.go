// Package migrations brings the database's schema to the version of this binary.
package migrations

import (
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/golang-migrate/migrate/v4"
	driver "github.com/golang-migrate/migrate/v4/database/pgx/v5"
	"github.com/golang-migrate/migrate/v4/source/iofs"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

//go:embed sql/*.sql
var files embed.FS

// Latest stands for the newest version, None for a database without any.
const (
	Latest int64 = -1
	None   int64 = 0
)

// Run migrates up, or down where version is older than the database's, under a lock that makes a second
// run at the same time wait. The connection must go to PostgreSQL itself: PgBouncer's transaction mode
// loses the lock.
func Run(connection *pgx.ConnConfig, version int64, log *slog.Logger) (err error) {
	source, err := iofs.New(files, "sql")
	if err != nil {
		return err
	}
	database, err := driver.WithInstance(stdlib.OpenDB(*connection), &driver.Config{MigrationsTable: "schema_version"})
	if err != nil {
		return fmt.Errorf("schema migration: %w", err)
	}
	runner, err := migrate.NewWithInstance("iofs", source, connection.Database, database)
	if err != nil {
		return err
	}
	defer func() {
		sourceErr, databaseErr := runner.Close()
		err = errors.Join(err, sourceErr, databaseErr)
	}()
	switch version {
	case Latest:
		// Where a newer release has been, its schema suits this one too.
		if err = runner.Up(); errors.Is(err, os.ErrNotExist) {
			err = migrate.ErrNoChange
		}
	case None:
		err = runner.Down()
	default:
		err = runner.Migrate(uint(version))
	}
	if err != nil && !errors.Is(err, migrate.ErrNoChange) {
		return fmt.Errorf("schema migration: %w", err)
	}
	current, _, err := runner.Version()
	if err != nil && !errors.Is(err, migrate.ErrNilVersion) {
		return fmt.Errorf("schema version: %w", err)
	}
	log.Info("schema is migrated", "version", current)
	return nil
}
