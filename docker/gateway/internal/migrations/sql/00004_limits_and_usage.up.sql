-- What a key may do and use. A key without limits that may do everything is what all keys were before, and
-- what the release before still takes them for. So it must not know those that the gateway issues: their
-- kind is one that it never looks for.
ALTER TABLE api_keys DROP CONSTRAINT api_keys_kind_check;
ALTER TABLE api_keys
    ADD CONSTRAINT api_keys_kind_check CHECK (kind IN ('secret', 'ed25519', 'issued')),
    ADD COLUMN tenant              text NOT NULL DEFAULT '', -- empty: the platform's own
    ADD COLUMN scopes              text[] NOT NULL DEFAULT '{admin}',
    ADD COLUMN requests_per_minute bigint CHECK (requests_per_minute > 0), -- NULL: no limit
    ADD COLUMN tokens_per_minute   bigint CHECK (tokens_per_minute > 0),
    ADD COLUMN tokens_per_month    bigint CHECK (tokens_per_month > 0),
    ADD COLUMN priority            text NOT NULL DEFAULT 'normal' CHECK (priority IN ('low', 'normal', 'high')),
    ADD COLUMN expires_at          timestamptz, -- NULL: never
    ADD COLUMN created_by          text NOT NULL DEFAULT '',
    ADD COLUMN last_used_at        timestamptz, -- to the minute, when usage was last written
    ADD COLUMN previous_digest     bytea CHECK (octet_length(previous_digest) = 32), -- before a rotation
    ADD COLUMN previous_until      timestamptz;

CREATE INDEX api_keys_by_tenant ON api_keys (tenant, id);

-- What each key used of each model in a day, UTC, through each gateway.
CREATE TABLE usage (
    day               date NOT NULL,
    key_id            bigint NOT NULL,
    model             text NOT NULL, -- empty: a request that is about none
    gateway           text NOT NULL,
    requests          bigint NOT NULL,
    failures          bigint NOT NULL,
    prompt_tokens     bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    PRIMARY KEY (day, key_id, model, gateway)
) PARTITION BY RANGE (day);

-- The last batch of usage that each gateway wrote: one whose answer was lost is sent again, and known here.
CREATE TABLE usage_batches (
    gateway    text PRIMARY KEY,
    batch      text NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now()
);

-- Makes the partitions of the days from first_day to last_day, and drops those of the days before keep_from.
-- Gateways that do so at the same time wait for each other.
CREATE FUNCTION prepare_usage(first_day date, last_day date, keep_from date) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    wanted date;
    part   text;
BEGIN
    PERFORM pg_advisory_xact_lock(x'6f6c6c75736167'::bigint);
    FOR wanted IN SELECT generate_series(first_day, last_day, interval '1 day')::date LOOP
        part := 'usage_' || to_char(wanted, 'YYYYMMDD');
        IF to_regclass(part) IS NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF usage FOR VALUES FROM (%L) TO (%L)', part, wanted, wanted + 1);
        END IF;
    END LOOP;
    FOR part IN
        SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'usage'::regclass AND c.relname < 'usage_' || to_char(keep_from, 'YYYYMMDD')
    LOOP
        EXECUTE format('DROP TABLE %I', part);
    END LOOP;
    DELETE FROM usage_batches WHERE written_at < keep_from;
END
$$;
