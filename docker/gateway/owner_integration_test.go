//go:build integration

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"ollamamax/gateway/internal/config"
	"ollamamax/gateway/internal/realparts"
	"ollamamax/gateway/internal/store"
)

// direct is PostgreSQL itself, and a folder with passwords for it.
type direct struct{ folder string }

// password writes a file and returns its path.
func (s direct) password(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(s.folder, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// configure writes a configuration that connects as user and returns its path.
func (s direct) configure(t *testing.T, user, database, passwordFile, admin string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(realparts.Needed(t, realparts.Database))
	if err != nil {
		t.Fatal(err)
	}
	return s.password(t, user+".yaml", fmt.Sprintf(`
workers: {hosts: ["worker-1:11434"]}
database: {host: %q, port: %s, name: %q, user: %q, passwordFile: %q, caFile: %[6]s/ca.pem, admin: {%s}}
redis: {address: %[8]q, passwordFile: %[6]s/redis-password, caFile: %[6]s/ca.pem}
`, host, port, database, user, passwordFile, realparts.Needed(t, realparts.Secrets), admin, realparts.Needed(t, realparts.Redis)))
}

// connect connects until the test ends.
func (s direct) connect(t *testing.T, user, database, passwordFile string) (*pgx.Conn, error) {
	t.Helper()
	cfg, secrets, err := load(s.configure(t, user, database, passwordFile, ""), config.Serving)
	if err != nil {
		t.Fatal(err)
	}
	settings, err := store.ConnConfig(cfg.Database, secrets.DatabasePassword, secrets.DatabaseTLS)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.ConnectConfig(t.Context(), settings)
	if err == nil {
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
	}
	return conn, err
}

// TestTheMigrationMakesTheDatabaseAndItsUser does so as the administrator of a managed server would: one
// who creates roles and databases, and is no superuser.
func TestTheMigrationMakesTheDatabaseAndItsUser(t *testing.T) {
	s := direct{t.TempDir()}
	superuser, err := s.connect(t, "postgres", "postgres", filepath.Join(realparts.Needed(t, realparts.Secrets), "database-password"))
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"CREATE ROLE administrator LOGIN CREATEROLE CREATEDB PASSWORD 'of the administrator'",
		"GRANT CONNECT ON DATABASE postgres TO administrator",
	} {
		if _, err := superuser.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	admin := fmt.Sprintf("user: administrator, passwordFile: %q, database: postgres", s.password(t, "administrator", "of the administrator"))
	own := filepath.Join(s.folder, "own")
	migrate := func(password string) {
		t.Helper()
		s.password(t, "own", password)
		path := s.configure(t, "made", "made", own, admin)
		// Two at the same time, as two deployments would.
		var wait sync.WaitGroup
		for range 2 {
			wait.Go(func() {
				var stderr bytes.Buffer
				if status := run([]string{"migrate", "--config", path}, io.Discard, &stderr); status != 0 {
					t.Errorf("migrate exits with %d: %s", status, stderr.String())
				}
			})
		}
		wait.Wait()
	}

	migrate("the first one")
	conn, err := s.connect(t, "made", "made", own)
	if err != nil {
		t.Fatal(err)
	}
	var owner, locale string
	var privileged bool
	err = conn.QueryRow(t.Context(), `SELECT pg_get_userbyid(datdba), datlocprovider::text || datlocale, rolsuper OR rolcreaterole OR rolcreatedb
		FROM pg_database, pg_roles WHERE datname = current_database() AND rolname = current_user`).Scan(&owner, &locale, &privileged)
	if err != nil || owner != "made" || locale != "bC.UTF-8" || privileged {
		t.Errorf("the owner is %q, privileged: %v; the locale is %q: %v", owner, privileged, locale, err)
	}
	if _, err := conn.Exec(t.Context(), "SELECT FROM api_keys"); err != nil {
		t.Errorf("its tables are not there: %v", err)
	}

	migrate("the second one")
	if _, err := s.connect(t, "made", "made", own); err != nil {
		t.Errorf("the new password is not in use: %v", err)
	}
	_, err = s.connect(t, "made", "made", s.password(t, "old", "the first one"))
	if err == nil || !strings.Contains(err.Error(), "password authentication failed") {
		t.Errorf("the old password still works: %v", err)
	}
}
