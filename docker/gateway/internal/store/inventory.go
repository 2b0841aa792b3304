package store

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"ollamamax/gateway/internal/modelname"
	"ollamamax/gateway/internal/nodes"
)

// inventoryLock serialises the gateways' writes to the inventory, which touch the same rows.
const inventoryLock = 0x6f6c6c616d61 // "ollama"

// nodeExpiry is how long a node that no gateway reports stays active.
const nodeExpiry = "2 minutes"

// SaveInventory writes what this gateway sees of the nodes and tells whether it changed anything that
// readers see. The number of statements does not depend on how many nodes or models there are. What a
// node holds is left alone while it has not been asked.
func (s *Store) SaveInventory(ctx context.Context, states []nodes.State) (changed bool, err error) {
	var names, addresses, seen []string
	var healthy []bool
	var holders, held []string
	models := map[string]nodes.Model{}
	for _, state := range states {
		names = append(names, state.Name)
		addresses = append(addresses, state.Address)
		healthy = append(healthy, state.Up)
		if !state.Seen {
			continue
		}
		seen = append(seen, state.Name)
		for _, model := range state.Models {
			id := modelname.Short(model.Name)
			holders, held = append(holders, state.Name), append(held, id)
			if newest, ok := models[id]; !ok || model.ModifiedAt.After(newest.ModifiedAt) {
				models[id] = model
			}
		}
	}
	ids, digests := make([]string, 0, len(models)), make([]string, 0, len(models))
	sizes, modified := make([]int64, 0, len(models)), make([]time.Time, 0, len(models))
	for id, model := range models {
		ids, digests = append(ids, id), append(digests, model.Digest)
		sizes, modified = append(sizes, model.Size), append(modified, model.ModifiedAt)
	}

	steps := []struct {
		text      string
		arguments []any
		silent    bool // readers see no difference
	}{
		{text: `SELECT pg_advisory_xact_lock($1)`, arguments: []any{int64(inventoryLock)}, silent: true},
		{text: `
			INSERT INTO nodes AS n (name, address, healthy)
			SELECT * FROM unnest($1::text[], $2::text[], $3::boolean[])
			ON CONFLICT (name) DO UPDATE
			SET address = excluded.address, healthy = excluded.healthy, active = true
			WHERE (n.address, n.healthy, n.active) IS DISTINCT FROM (excluded.address, excluded.healthy, true)`,
			arguments: []any{names, addresses, healthy}},
		{text: `UPDATE nodes SET last_seen = now() WHERE name = ANY ($1::text[])`, arguments: []any{names}, silent: true},
		{text: `UPDATE nodes SET active = false WHERE active AND last_seen < now() - $1::text::interval`, arguments: []any{nodeExpiry}},
		{text: `
			INSERT INTO models AS m (id, digest, size_bytes, modified_at)
			SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::timestamptz[])
			ON CONFLICT (id) DO UPDATE
			SET digest = excluded.digest, size_bytes = excluded.size_bytes, modified_at = excluded.modified_at, active = true
			WHERE (m.digest, m.size_bytes, m.modified_at, m.active)
			      IS DISTINCT FROM (excluded.digest, excluded.size_bytes, excluded.modified_at, true)`,
			arguments: []any{ids, digests, sizes, modified}},
		{text: `
			DELETE FROM node_models nm
			WHERE nm.node = ANY ($1::text[])
			  AND NOT EXISTS (SELECT FROM unnest($2::text[], $3::text[]) AS h (node, model)
			                  WHERE h.node = nm.node AND h.model = nm.model)`,
			arguments: []any{seen, holders, held}},
		{text: `
			INSERT INTO node_models (node, model)
			SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING`,
			arguments: []any{holders, held}},
		{text: `
			UPDATE models m SET active = false
			WHERE m.active AND NOT EXISTS (SELECT FROM node_models nm JOIN nodes n ON n.name = nm.node
			                               WHERE nm.model = m.id AND n.active)`},
	}
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		for _, step := range steps {
			tag, err := tx.Exec(ctx, step.text, step.arguments...)
			if err != nil {
				return err
			}
			changed = changed || (!step.silent && tag.RowsAffected() > 0)
		}
		return nil
	})
	return changed, err
}

// Told returns what nodes are told: the names of those that are to take nothing new, and, by name, the models that
// nodes are to keep in memory.
func (s *Store) Told(ctx context.Context) (drained []string, pinned map[string][]string, err error) {
	rows, err := s.pool.Query(ctx, `SELECT name, drained, pinned FROM nodes WHERE drained OR pinned <> '{}'`, oneTrip)
	if err != nil {
		return nil, nil, err
	}
	pinned = map[string][]string{}
	var name string
	var takesNothing bool
	var models []string
	_, err = pgx.ForEachRow(rows, []any{&name, &takesNothing, &models}, func() error {
		if takesNothing {
			drained = append(drained, name)
		}
		if len(models) > 0 {
			pinned[name] = slices.Clone(models)
		}
		return nil
	})
	return drained, pinned, err
}

// SetPinned says whether nodes are to keep a model in memory, or returns ErrNotFound where one is not known.
func (s *Store) SetPinned(ctx context.Context, names []string, model string, pinned bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	id := modelname.Short(model)
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE nodes SET pinned = CASE WHEN $3 THEN array_append(array_remove(pinned, $2), $2) ELSE array_remove(pinned, $2) END
			WHERE name = ANY ($1::text[])`, names, id, pinned)
		if err == nil && int(tag.RowsAffected()) < len(names) {
			return ErrNotFound
		}
		return err
	})
}

// SetDrained says whether a node is to take nothing new, or returns ErrNotFound.
func (s *Store) SetDrained(ctx context.Context, name string, drained bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tag, err := s.pool.Exec(ctx, `UPDATE nodes SET drained = $2 WHERE name = $1 AND active`, name, drained)
	if err == nil && tag.RowsAffected() == 0 {
		return ErrNotFound
	}
	return err
}
