-- What the gateways see of the workers. A node or model that is gone stays with active = false.
CREATE TABLE nodes (
    name      text PRIMARY KEY,
    address   text NOT NULL,
    healthy   boolean NOT NULL,
    active    boolean NOT NULL DEFAULT true,
    last_seen timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE models (
    id          text PRIMARY KEY, -- as Ollama lists it, in lower case
    digest      text NOT NULL,
    size_bytes  bigint NOT NULL,
    modified_at timestamptz NOT NULL,
    active      boolean NOT NULL DEFAULT true
);

CREATE TABLE node_models (
    node  text NOT NULL REFERENCES nodes (name) ON DELETE CASCADE,
    model text NOT NULL REFERENCES models (id) ON DELETE CASCADE,
    PRIMARY KEY (node, model)
);

CREATE INDEX node_models_by_model ON node_models (model);
