package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"ollamamax/gateway/internal/auth"
	"ollamamax/gateway/internal/keys"
)

// Keys returns all keys that are not revoked.
func (s *Store) Keys(ctx context.Context) ([]auth.Key, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT id, name, tenant, kind, digest, scopes, priority,
		       coalesce(requests_per_minute, 0), coalesce(tokens_per_minute, 0), coalesce(tokens_per_month, 0),
		       expires_at, previous_digest, previous_until
		FROM api_keys WHERE revoked_at IS NULL`, oneTrip)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (auth.Key, error) {
		var key auth.Key
		var digest, previous []byte
		var scopes []string
		var priority string
		var expires, until *time.Time
		err := row.Scan(&key.ID, &key.Name, &key.Tenant, &key.Kind, &digest, &scopes, &priority,
			&key.Limits.RequestsPerMinute, &key.Limits.TokensPerMinute, &key.Limits.TokensPerMonth,
			&expires, &previous, &until)
		if err != nil {
			return key, err
		}
		key.Account = strconv.FormatInt(key.ID, 10)
		copy(key.Digest[:], digest)
		copy(key.Previous[:], previous)
		if until != nil {
			key.PreviousUntil = *until
		}
		if expires != nil {
			key.Expires = *expires
		}
		// What a newer release knows and this one does not, the key can't do here.
		for _, name := range scopes {
			scope, _ := auth.ParseScopes([]string{name})
			key.Scopes |= scope
		}
		key.Priority, _ = auth.ParsePriority(priority)
		return key, nil
	})
}

// SyncStackKeys makes the stack's keys exactly these: new ones are added, ones that were revoked come
// back, ones no longer named are revoked. A secret in the place of another is a rotation: the one before stays good
// for keys.DefaultGrace, any from before that is good no longer. They may do everything. Keys from elsewhere stay.
func SyncStackKeys(ctx context.Context, conn *pgx.Conn, stack []auth.Key) error {
	names, kinds, digests := make([]string, len(stack)), make([]string, len(stack)), make([][]byte, len(stack))
	for i, key := range stack {
		names[i], kinds[i], digests[i] = key.Name, string(key.Kind), key.Digest[:]
	}
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `LOCK TABLE api_keys IN SHARE ROW EXCLUSIVE MODE`); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			UPDATE api_keys SET previous_digest = api_keys.digest, previous_until = now() + $3::interval, digest = k.digest
			FROM unnest($1::text[], $2::bytea[]) AS k (kind, digest)
			WHERE source = 'stack' AND revoked_at IS NULL AND api_keys.kind = 'secret' AND k.kind = 'secret'
			  AND NOT EXISTS (SELECT FROM api_keys AS known WHERE known.kind = k.kind AND known.digest = k.digest)`,
			kinds, digests, keys.DefaultGrace); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			INSERT INTO api_keys (name, kind, digest, source)
			SELECT DISTINCT ON (kind, digest) name, kind, digest, 'stack'
			FROM unnest($1::text[], $2::text[], $3::bytea[]) AS k (name, kind, digest)
			ON CONFLICT (kind, digest) DO UPDATE SET name = excluded.name, source = 'stack', revoked_at = NULL`,
			names, kinds, digests); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			UPDATE api_keys SET revoked_at = now()
			WHERE source = 'stack' AND revoked_at IS NULL
			  AND NOT EXISTS (SELECT FROM unnest($1::text[], $2::bytea[]) AS k (kind, digest)
			                  WHERE k.kind = api_keys.kind AND k.digest = api_keys.digest)`,
			kinds, digests)
		return err
	})
}

const keyColumns = `id, name, tenant, scopes, requests_per_minute, tokens_per_minute, tokens_per_month, priority, expires_at,
	source, created_at, created_by, last_used_at, revoked_at,
	CASE WHEN previous_until > now() THEN previous_until END, digest, previous_digest`

func scanKey(row pgx.CollectableRow) (keys.Record, error) {
	var k keys.Record
	err := row.Scan(&k.ID, &k.Name, &k.Tenant, &k.Scopes, &k.RequestsPerMinute, &k.TokensPerMinute, &k.TokensPerMonth,
		&k.Priority, &k.ExpiresAt, &k.Source, &k.CreatedAt, &k.CreatedBy, &k.LastUsedAt, &k.RevokedAt,
		&k.OldSecretUntil, &k.Digest, &k.PreviousDigest)
	return k, err
}

// KeyPage says which keys are asked for.
type KeyPage struct {
	Tenant  *string // nil: of all
	Revoked bool    // those too
	After   int64   // identity of the last key that is known
	Limit   int
}

// ListKeys returns keys in the order in which they were made.
func (s *Store) ListKeys(ctx context.Context, page KeyPage) ([]keys.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	rows, err := s.pool.Query(ctx, `
		SELECT `+keyColumns+` FROM api_keys
		WHERE id > $1 AND ($2::text IS NULL OR tenant = $2) AND ($3 OR revoked_at IS NULL)
		ORDER BY id LIMIT $4`, page.After, page.Tenant, page.Revoked, page.Limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanKey)
}

// GetKey returns a key of a tenant (nil: of any), or keys.ErrNotFound.
func (s *Store) GetKey(ctx context.Context, id int64, tenant *string) (keys.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return getKey(ctx, s.pool, id, tenant, "")
}

type querier interface {
	Query(ctx context.Context, text string, arguments ...any) (pgx.Rows, error)
}

func getKey(ctx context.Context, from querier, id int64, tenant *string, lock string) (keys.Record, error) {
	rows, err := from.Query(ctx, `SELECT `+keyColumns+` FROM api_keys WHERE id = $1 AND ($2::text IS NULL OR tenant = $2) `+lock, id, tenant)
	if err != nil {
		return keys.Record{}, err
	}
	key, err := pgx.CollectExactlyOneRow(rows, scanKey)
	if errors.Is(err, pgx.ErrNoRows) {
		return key, keys.ErrNotFound
	}
	return key, err
}

// AddKey writes an issued key and returns it.
func (s *Store) AddKey(ctx context.Context, spec keys.Spec, createdBy string, digest []byte) (keys.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	rows, err := s.pool.Query(ctx, `
		INSERT INTO api_keys (name, tenant, scopes, requests_per_minute, tokens_per_minute, tokens_per_month, priority, expires_at,
		                      created_by, digest, kind, source)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		RETURNING `+keyColumns,
		spec.Name, spec.Tenant, spec.Scopes, spec.RequestsPerMinute, spec.TokensPerMinute, spec.TokensPerMonth, spec.Priority,
		spec.ExpiresAt, createdBy, digest, string(auth.Issued), keys.Issued)
	if err != nil {
		return keys.Record{}, err
	}
	return pgx.CollectExactlyOneRow(rows, scanKey)
}

// ChangeKey has change alter a key of a tenant (nil: of any), which nobody else alters meanwhile, and writes it
// where change returns nil.
func (s *Store) ChangeKey(ctx context.Context, id int64, tenant *string, change func(*keys.Record) error) (keys.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var key keys.Record
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var err error
		if key, err = getKey(ctx, tx, id, tenant, "FOR UPDATE"); err != nil {
			return err
		}
		if err := change(&key); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			UPDATE api_keys
			SET name = $2, tenant = $3, scopes = $4, requests_per_minute = $5, tokens_per_minute = $6, tokens_per_month = $7,
			    priority = $8, expires_at = $9, revoked_at = $10, digest = $11, previous_digest = $12, previous_until = $13
			WHERE id = $1`,
			key.ID, key.Name, key.Tenant, key.Scopes, key.RequestsPerMinute, key.TokensPerMinute, key.TokensPerMonth,
			key.Priority, key.ExpiresAt, key.RevokedAt, key.Digest, key.PreviousDigest, key.OldSecretUntil)
		if err != nil {
			return fmt.Errorf("writing key %d: %w", id, err)
		}
		return nil
	})
	return key, err
}
