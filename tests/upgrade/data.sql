-- What a release in use has in its tables: a row of each kind, and some that are at the edge of what is allowed.
SELECT prepare_usage(date '2026-01-01', date '2026-01-03', date '2026-01-01');
INSERT INTO api_keys (name, kind, digest, source, tenant, scopes, requests_per_minute, tokens_per_month, priority,
                      expires_at, created_by, last_used_at, previous_digest, previous_until, revoked_at) VALUES
    ('a person', 'secret', sha256('a person'), 'user', '', '{admin}', NULL, NULL, 'normal', NULL, '', NULL, NULL, NULL, NULL),
    ('a laptop', 'ed25519', sha256('a laptop'), 'user', '', '{admin}', NULL, NULL, 'normal', NULL, '', NULL, NULL, NULL, NULL),
    ('a tenant''s', 'issued', sha256('a tenant'), 'api', 'acme', '{inference,"models:read"}', 60, 1000000, 'high',
     '2036-01-01', 'a person', '2026-01-02 03:04', sha256('before'), '2026-01-03', NULL),
    ('gone', 'issued', sha256('gone'), 'api', 'acme', '{}', 1, 1, 'low', NULL, 'a person', NULL, NULL, NULL, '2026-01-02');
INSERT INTO usage (day, key_id, model, gateway, requests, failures, prompt_tokens, completion_tokens)
SELECT day, id, model, gateway, id, 0, 9223372036854775807, 0
FROM api_keys, generate_series(date '2026-01-01', date '2026-01-03', interval '1 day') day,
     unnest('{"",tiny:latest}'::text[]) model, unnest('{gateway-1,gateway-2}'::text[]) gateway
WHERE source <> 'stack';
INSERT INTO usage_batches (gateway, batch, written_at) VALUES ('gateway-9', 'a batch', '2026-01-03');
INSERT INTO nodes (name, address, healthy, active, last_seen, drained, pinned) VALUES
    ('worker-9', '10.0.0.9:11434', false, false, '2026-01-02', true, '{tiny:latest,"other:1b"}');
INSERT INTO models (id, digest, size_bytes, modified_at, active) VALUES
    ('other:1b', 'sha256:other', 1000000000000, '2026-01-01', false);
INSERT INTO node_models (node, model) VALUES ('worker-9', 'other:1b');
INSERT INTO metrics (gateway, sampled_at, requests, failures, retries, prompt_tokens, completion_tokens) VALUES
    ('gateway-9', '2026-01-01 00:00', 1, 2, 3, 4, 5);
INSERT INTO model_aliases (name, targets, fallbacks, source, updated_at, updated_by) VALUES
    ('talk:latest', '[{"model": "tiny:latest", "weight": 9, "variant": "old"}]', '{"other:1b"}', 'api', '2026-01-01', 'a person');
