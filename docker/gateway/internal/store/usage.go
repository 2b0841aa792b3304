package store

import (
	"context"
	"maps"
	"slices"
	"strings"
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

// PrepareUsage makes room for the usage of the days from first to last, and drops that of days before first
// which are more than keepDays ago. By the database's clock: a gateway whose own is wrong drops nothing.
func (s *Store) PrepareUsage(ctx context.Context, first, last time.Time, keepDays int) error {
	_, err := s.pool.Exec(ctx, `
		SELECT prepare_usage($1::date, $2::date, least($1::date, (now() AT TIME ZONE 'UTC')::date - $3::int))`,
		first.UTC(), last.UTC(), keepDays)
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

// UsageQuery says which usage is asked for, and how it is summed up.
type UsageQuery struct {
	From, To time.Time // days, both included
	GroupBy  []string  // of UsageGroups
	Tenant   *string   // nil: of all
	Key      *int64
	Model    *string
	Limit    int
	Offset   int
}

// usageGroups are the columns behind what usage can be grouped by.
var usageGroups = map[string][]string{
	"day":     {"u.day"},
	"key":     {"u.key_id", "k.name"},
	"tenant":  {"k.tenant"},
	"model":   {"u.model"},
	"gateway": {"u.gateway"},
}

// UsageGroups lists what usage can be grouped by.
func UsageGroups() []string { return slices.Sorted(maps.Keys(usageGroups)) }

// Usage is a sum; what it is not grouped by is nil.
type Usage struct {
	Day              *Day    `json:"day,omitempty"`
	KeyID            *int64  `json:"key_id,omitempty"`
	Key              *string `json:"key,omitempty"`
	Tenant           *string `json:"tenant,omitempty"`
	Model            *string `json:"model,omitempty"`
	Gateway          *string `json:"gateway,omitempty"`
	Requests         int64   `json:"requests"`
	Failures         int64   `json:"failures"`
	PromptTokens     int64   `json:"prompt_tokens"`
	CompletionTokens int64   `json:"completion_tokens"`
}

// Day is a date without a time.
type Day time.Time

// MarshalText writes a day as 2026-01-31.
func (d Day) MarshalText() ([]byte, error) { return []byte(time.Time(d).Format(time.DateOnly)), nil }

// ListUsage sums up usage, in the order of what it is grouped by.
func (s *Store) ListUsage(ctx context.Context, q UsageQuery) ([]Usage, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var columns []string
	for _, group := range q.GroupBy {
		columns = append(columns, usageGroups[group]...)
	}
	list := strings.Join(columns, ", ")
	rows, err := s.pool.Query(ctx, `
		SELECT `+list+`, sum(u.requests)::bigint, sum(u.failures)::bigint, sum(u.prompt_tokens)::bigint, sum(u.completion_tokens)::bigint
		FROM usage u JOIN api_keys k ON k.id = u.key_id
		WHERE u.day >= $1::date AND u.day <= $2::date AND ($3::text IS NULL OR k.tenant = $3)
		  AND ($4::bigint IS NULL OR u.key_id = $4) AND ($5::text IS NULL OR u.model = $5)
		GROUP BY `+list+` ORDER BY `+list+` LIMIT $6 OFFSET $7`,
		q.From, q.To, q.Tenant, q.Key, q.Model, q.Limit, q.Offset)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Usage, error) {
		var u Usage
		var day time.Time
		var fields []any
		for _, group := range q.GroupBy {
			switch group {
			case "day":
				fields, u.Day = append(fields, &day), (*Day)(&day)
			case "key":
				fields = append(fields, &u.KeyID, &u.Key)
			case "tenant":
				fields = append(fields, &u.Tenant)
			case "model":
				fields = append(fields, &u.Model)
			case "gateway":
				fields = append(fields, &u.Gateway)
			}
		}
		err := row.Scan(append(fields, &u.Requests, &u.Failures, &u.PromptTokens, &u.CompletionTokens)...)
		return u, err
	})
}
