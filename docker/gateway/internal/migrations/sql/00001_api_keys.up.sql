-- Keys are kept as digests: the SHA-256 of a secret, or the 32 bytes of an ed25519 public key. Rows
-- with source 'stack' follow the stack's configuration; others are people's.
CREATE TABLE api_keys (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('secret', 'ed25519')),
    digest     bytea NOT NULL CHECK (octet_length(digest) = 32),
    source     text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz,
    UNIQUE (kind, digest)
);
