package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"ollamamax/gateway/internal/models"
)

const aliasColumns = `name, targets, fallbacks, source, updated_at, updated_by`

func scanAlias(row pgx.CollectableRow) (models.Record, error) {
	var a models.Record
	err := row.Scan(&a.Name, &a.Targets, &a.Fallbacks, &a.Source, &a.UpdatedAt, &a.UpdatedBy)
	return a, err
}

// Aliases returns all aliases, sorted by name.
func (s *Store) Aliases(ctx context.Context) ([]models.Record, error) { return aliases(ctx, s.pool) }

func aliases(ctx context.Context, from querier) ([]models.Record, error) {
	rows, err := from.Query(ctx, `SELECT `+aliasColumns+` FROM model_aliases ORDER BY name`, oneTrip)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, scanAlias)
}

// lockAliases keeps all others from changing aliases until the transaction ends, and returns them: whether one
// may be there hangs on the others.
func lockAliases(ctx context.Context, tx pgx.Tx) ([]models.Record, error) {
	if _, err := tx.Exec(ctx, `LOCK TABLE model_aliases IN SHARE ROW EXCLUSIVE MODE`); err != nil {
		return nil, err
	}
	return aliases(ctx, tx)
}

// PutAlias writes an alias that has been checked by itself. The error is a models.InvalidError where the other
// aliases are in its way, and models.ErrStack where it is the stack's.
func (s *Store) PutAlias(ctx context.Context, spec models.Spec, by string) (models.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var written models.Record
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		there, err := lockAliases(ctx, tx)
		if err != nil {
			return err
		}
		for _, record := range there {
			if record.Name == spec.Name && record.Source == models.Stack {
				return models.ErrStack
			}
		}
		if err := spec.Against(there); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			INSERT INTO model_aliases (name, targets, fallbacks, source, updated_by) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (name) DO UPDATE
			SET targets = excluded.targets, fallbacks = excluded.fallbacks, updated_at = now(), updated_by = excluded.updated_by
			RETURNING `+aliasColumns, spec.Name, spec.Targets, spec.Fallbacks, models.API, by)
		if err != nil {
			return err
		}
		written, err = pgx.CollectExactlyOneRow(rows, scanAlias)
		return err
	})
	return written, err
}

// DeleteAlias removes an alias and returns what it was. The error is models.ErrNotFound where there is none, and
// models.ErrStack where it is the stack's.
func (s *Store) DeleteAlias(ctx context.Context, name string) (models.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	rows, err := s.pool.Query(ctx, `DELETE FROM model_aliases WHERE name = $1 AND source <> $2 RETURNING `+aliasColumns, name, models.Stack)
	if err != nil {
		return models.Record{}, err
	}
	gone, err := pgx.CollectExactlyOneRow(rows, scanAlias)
	if !errors.Is(err, pgx.ErrNoRows) {
		return gone, err
	}
	var there bool
	if err := s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM model_aliases WHERE name = $1)`, name).Scan(&there); err != nil {
		return gone, err
	}
	if there {
		return gone, models.ErrStack
	}
	return gone, models.ErrNotFound
}

// SyncStackAliases makes the stack's aliases exactly these, which have been checked by themselves and against
// each other. One of that name from elsewhere becomes the stack's; all others from elsewhere stay, and must not
// be in the way.
func SyncStackAliases(ctx context.Context, conn *pgx.Conn, stack []models.Spec) error {
	names := make([]string, len(stack))
	for i, spec := range stack {
		names[i] = spec.Name
	}
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := lockAliases(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM model_aliases WHERE source = 'stack' AND name <> ALL ($1::text[])`, names); err != nil {
			return err
		}
		for _, spec := range stack { // few, and once a deployment
			if _, err := tx.Exec(ctx, `
				INSERT INTO model_aliases AS a (name, targets, fallbacks, source, updated_by) VALUES ($1, $2, $3, 'stack', 'stack')
				ON CONFLICT (name) DO UPDATE
				SET targets = excluded.targets, fallbacks = excluded.fallbacks, source = 'stack', updated_at = now(), updated_by = 'stack'
				WHERE (a.targets, a.fallbacks, a.source) IS DISTINCT FROM (excluded.targets, excluded.fallbacks, 'stack')`,
				spec.Name, spec.Targets, spec.Fallbacks); err != nil {
				return err
			}
		}
		all, err := aliases(ctx, tx)
		if err != nil {
			return err
		}
		for _, spec := range stack {
			if err := spec.Against(all); err != nil {
				return fmt.Errorf("alias %s, beside those made by the API: %w", spec.Name, err)
			}
		}
		return nil
	})
}
