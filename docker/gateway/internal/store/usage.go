package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"ollamamax/gateway/internal/usage"
)

// AddUsage adds a batch to what gateway used before, and notes the keys in it as used. A batch that was
// written already, though its answer never came, changes nothing.
func (s *Store) AddUsage(ctx context.Context, gateway string, batch usage.Batch) error {
	n := len(batch.Rows)
	days, keys, models := make([]time.Time, 0, n), make([]int64, 0, n), make([]string, 0, n)
	requests, failures := make([]int64, 0, n), make([]int64, 0, n)
	prompt, completion := make([]int64, 0, n), make([]int64, 0, n)
	for of, counts := range batch.Rows {
		days, keys, models = append(days, of.Date()), append(keys, of.Key), append(models, of.Model)
		requests, failures = append(requests, counts.Requests), append(failures, counts.Failures)
		prompt, completion = append(prompt, counts.PromptTokens), append(completion, counts.CompletionTokens)
	}
	// A key that another gateway is noting at this moment is skipped: waiting for each other's rows, two
	// gateways could block each other for good.
	_, err := s.pool.Exec(ctx, `
		WITH batch AS (
			INSERT INTO usage_batches AS b (gateway, batch) VALUES ($1, $2)
			ON CONFLICT (gateway) DO UPDATE SET batch = excluded.batch, written_at = now() WHERE b.batch <> excluded.batch
			RETURNING true
		), used AS (
			UPDATE api_keys SET last_used_at = now()
			WHERE id IN (SELECT id FROM api_keys
			             WHERE id = ANY ($4::bigint[]) AND coalesce(last_used_at < now() - interval '1 minute', true)
			             FOR UPDATE SKIP LOCKED)
		)
		INSERT INTO usage AS u (gateway, day, key_id, model, requests, failures, prompt_tokens, completion_tokens)
		SELECT $1, r.*
		FROM unnest($3::date[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[]) AS r
		WHERE EXISTS (SELECT FROM batch)
		ON CONFLICT (day, key_id, model, gateway) DO UPDATE
		SET requests = u.requests + excluded.requests, failures = u.failures + excluded.failures,
		    prompt_tokens = u.prompt_tokens + excluded.prompt_tokens,
		    completion_tokens = u.completion_tokens + excluded.completion_tokens`,
		gateway, batch.ID, days, keys, models, requests, failures, prompt, completion)
	return err
}

// PrepareUsage makes room for the usage of the days from first to last, and drops that of days before keep.
func (s *Store) PrepareUsage(ctx context.Context, first, last, keep time.Time) error {
	_, err := s.pool.Exec(ctx, `SELECT prepare_usage($1::date, $2::date, $3::date)`, first.UTC(), last.UTC(), keep.UTC())
	return err
}

// TokensSince returns how many tokens keys used since a day, through all gateways.
func (s *Store) TokensSince(ctx context.Context, since time.Time, keys []int64) (map[int64]int64, error) {
	rows, err := s.pool.Query(ctx, `
		SELECT key_id, sum(prompt_tokens + completion_tokens)::bigint
		FROM usage WHERE day >= $1::date AND key_id = ANY ($2::bigint[]) GROUP BY key_id`, since.UTC(), keys)
	if err != nil {
		return nil, err
	}
	tokens := make(map[int64]int64, len(keys))
	var id, sum int64
	_, err = pgx.ForEachRow(rows, []any{&id, &sum}, func() error {
		tokens[id] = sum
		return nil
	})
	return tokens, err
}
