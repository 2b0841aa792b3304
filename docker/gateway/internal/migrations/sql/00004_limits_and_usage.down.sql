DROP FUNCTION prepare_usage(date, date, date);
DROP TABLE usage_batches;
DROP TABLE usage;
DROP INDEX api_keys_by_tenant;
-- The release before would take a key with scopes and limits for one that has neither.
DELETE FROM api_keys WHERE kind = 'issued';
ALTER TABLE api_keys DROP CONSTRAINT api_keys_kind_check;
ALTER TABLE api_keys
    ADD CONSTRAINT api_keys_kind_check CHECK (kind IN ('secret', 'ed25519')),
    DROP COLUMN tenant,
    DROP COLUMN scopes,
    DROP COLUMN requests_per_minute,
    DROP COLUMN tokens_per_minute,
    DROP COLUMN tokens_per_month,
    DROP COLUMN priority,
    DROP COLUMN expires_at,
    DROP COLUMN created_by,
    DROP COLUMN last_used_at,
    DROP COLUMN previous_digest,
    DROP COLUMN previous_until;
