-- One row a gateway and minute: what it did since its row before.
CREATE TABLE metrics (
    gateway           text NOT NULL,
    sampled_at        timestamptz NOT NULL,
    requests          bigint NOT NULL,
    failures          bigint NOT NULL,
    retries           bigint NOT NULL,
    prompt_tokens     bigint NOT NULL,
    completion_tokens bigint NOT NULL,
    PRIMARY KEY (gateway, sampled_at)
);

CREATE INDEX metrics_by_time ON metrics (sampled_at);
