-- Names that stand for models. The release before does not look.
CREATE TABLE model_aliases (
    name       text PRIMARY KEY, -- as listed: in small letters, with its tag
    targets    jsonb NOT NULL,   -- [{"model", "weight", "variant"}]
    fallbacks  text[] NOT NULL,
    source     text NOT NULL CHECK (source IN ('stack', 'api')),
    updated_at timestamptz NOT NULL DEFAULT now(),
    updated_by text NOT NULL     -- name of the key
);
