--
-- PostgreSQL database dump
--

\restrict xYkrFKhFI3As0ZgGRrhNLbDvTcNztqQ3Xj9ibz58fitUTLEANguaQxtpTtNX9VP

-- Dumped from database version 17.12 (Debian 17.12-0+deb13u1)
-- Dumped by pg_dump version 17.12 (Debian 17.12-0+deb13u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: prepare_usage(date, date, date); Type: FUNCTION; Schema: public; Owner: ollamamax
--

CREATE FUNCTION public.prepare_usage(first_day date, last_day date, keep_from date) RETURNS void
    LANGUAGE plpgsql
    AS $$
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


ALTER FUNCTION public.prepare_usage(first_day date, last_day date, keep_from date) OWNER TO ollamamax;

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: api_keys; Type: TABLE; Schema: public; Owner: ollamamax
--

CREATE TABLE public.api_keys (
    id bigint NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    digest bytea NOT NULL,
    source text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    revoked_at timestamp with time zone,
    tenant text DEFAULT ''::text NOT NULL,
    scopes text[] DEFAULT '{admin}'::text[] NOT NULL,
    requests_per_minute bigint,
    tokens_per_minute bigint,
    tokens_per_month bigint,
    priority text DEFAULT 'normal'::text NOT NULL,
    expires_at timestamp with time zone,
    created_by text DEFAULT ''::text NOT NULL,
    last_used_at timestamp with time zone,
    previous_digest bytea,
    previous_until timestamp with time zone,
    CONSTRAINT api_keys_digest_check CHECK ((octet_length(digest) = 32)),
    CONSTRAINT api_keys_kind_check CHECK ((kind = ANY (ARRAY['secret'::text, 'ed25519'::text, 'issued'::text]))),
    CONSTRAINT api_keys_previous_digest_check CHECK ((octet_length(previous_digest) = 32)),
    CONSTRAINT api_keys_priority_check CHECK ((priority = ANY (ARRAY['low'::text, 'normal'::text, 'high'::text]))),
    CONSTRAINT api_keys_requests_per_minute_check CHECK ((requests_per_minute > 0)),
    CONSTRAINT api_keys_tokens_per_minute_check CHECK ((tokens_per_minute > 0)),
    CONSTRAINT api_keys_tokens_per_month_check CHECK ((tokens_per_month > 0))
);


ALTER TABLE public.api_keys OWNER TO ollamamax;

--
-- Name: api_keys_id_seq; Type: SEQUENCE; Schema: public; Owner: ollamamax
--

ALTER TABLE public.api_keys ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.api_keys_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: metrics; Type: TABLE; Schema: public; Owner: ollamamax
--

CREATE TABLE public.metrics (
    gateway text NOT NULL,
    sampled_at timestamp with time zone NOT NULL,
    requests bigint NOT NULL,
    failures bigint NOT NULL,
    retries bigint NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL
);


ALTER TABLE public.metrics OWNER TO ollamamax;

--
-- Name: model_aliases; Type: TABLE; Schema: public; Owner: ollamamax
--

CREATE TABLE public.model_aliases (
    name text NOT NULL,
    targets jsonb NOT NULL,
    fallbacks text[] NOT NULL,
    source text NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_by text NOT NULL,
    CONSTRAINT model_aliases_source_check CHECK ((source = ANY (ARRAY['stack'::text, 'api'::text])))
);


ALTER TABLE public.model_aliases OWNER TO ollamamax;

--
-- Name: models; Type: TABLE; Schema: public; Owner: ollamamax
--

CREATE TABLE public.models (
    id text NOT NULL,
    digest text NOT NULL,
    size_bytes bigint NOT NULL,
    modified_at timestamp with time zone NOT NULL,
    active boolean DEFAULT true NOT NULL
);


ALTER TABLE public.models OWNER TO ollamamax;

--
-- Name: node_models; Type: TABLE; Schema: public; Owner: ollamamax
--

CREATE TABLE public.node_models (
    node text NOT NULL,
    model text NOT NULL
);


ALTER TABLE public.node_models OWNER TO ollamamax;

--
-- Name: nodes; Type: TABLE; Schema: public; Owner: ollamamax
--

CREATE TABLE public.nodes (
    name text NOT NULL,
    address text NOT NULL,
    healthy boolean NOT NULL,
    active boolean DEFAULT true NOT NULL,
    last_seen timestamp with time zone DEFAULT now() NOT NULL,
    drained boolean DEFAULT false NOT NULL,
    pinned text[] DEFAULT '{}'::text[] NOT NULL
);


ALTER TABLE public.nodes OWNER TO ollamamax;

--
-- Name: schema_version; Type: TABLE; Schema: public; Owner: ollamamax
--

CREATE TABLE public.schema_version (
    version bigint NOT NULL,
    dirty boolean NOT NULL
);


ALTER TABLE public.schema_version OWNER TO ollamamax;

--
-- Name: usage; Type: TABLE; Schema: public; Owner: ollamamax
--

CREATE TABLE public.usage (
    day date NOT NULL,
    key_id bigint NOT NULL,
    model text NOT NULL,
    gateway text NOT NULL,
    requests bigint NOT NULL,
    failures bigint NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL
)
PARTITION BY RANGE (day);


ALTER TABLE public.usage OWNER TO ollamamax;

--
-- Name: usage_20260101; Type: TABLE; Schema: public; Owner: postgres
--

CREATE TABLE public.usage_20260101 (
    day date NOT NULL,
    key_id bigint NOT NULL,
    model text NOT NULL,
    gateway text NOT NULL,
    requests bigint NOT NULL,
    failures bigint NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL
);


ALTER TABLE public.usage_20260101 OWNER TO postgres;

--
-- Name: usage_20260102; Type: TABLE; Schema: public; Owner: postgres
--

CREATE TABLE public.usage_20260102 (
    day date NOT NULL,
    key_id bigint NOT NULL,
    model text NOT NULL,
    gateway text NOT NULL,
    requests bigint NOT NULL,
    failures bigint NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL
);


ALTER TABLE public.usage_20260102 OWNER TO postgres;

--
-- Name: usage_20260103; Type: TABLE; Schema: public; Owner: postgres
--

CREATE TABLE public.usage_20260103 (
    day date NOT NULL,
    key_id bigint NOT NULL,
    model text NOT NULL,
    gateway text NOT NULL,
    requests bigint NOT NULL,
    failures bigint NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL
);


ALTER TABLE public.usage_20260103 OWNER TO postgres;

--
-- Name: usage_20261126; Type: TABLE; Schema: public; Owner: ollamamax
--

CREATE TABLE public.usage_20261126 (
    day date NOT NULL,
    key_id bigint NOT NULL,
    model text NOT NULL,
    gateway text NOT NULL,
    requests bigint NOT NULL,
    failures bigint NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL
);


ALTER TABLE public.usage_20261126 OWNER TO ollamamax;

--
-- Name: usage_20261127; Type: TABLE; Schema: public; Owner: ollamamax
--

CREATE TABLE public.usage_20261127 (
    day date NOT NULL,
    key_id bigint NOT NULL,
    model text NOT NULL,
    gateway text NOT NULL,
    requests bigint NOT NULL,
    failures bigint NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL
);


ALTER TABLE public.usage_20261127 OWNER TO ollamamax;

--
-- Name: usage_20261128; Type: TABLE; Schema: public; Owner: ollamamax
--

CREATE TABLE public.usage_20261128 (
    day date NOT NULL,
    key_id bigint NOT NULL,
    model text NOT NULL,
    gateway text NOT NULL,
    requests bigint NOT NULL,
    failures bigint NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL
);


ALTER TABLE public.usage_20261128 OWNER TO ollamamax;

--
-- Name: usage_20261129; Type: TABLE; Schema: public; Owner: ollamamax
--

CREATE TABLE public.usage_20261129 (
    day date NOT NULL,
    key_id bigint NOT NULL,
    model text NOT NULL,
    gateway text NOT NULL,
    requests bigint NOT NULL,
    failures bigint NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL
);


ALTER TABLE public.usage_20261129 OWNER TO ollamamax;

--
-- Name: usage_20261130; Type: TABLE; Schema: public; Owner: ollamamax
--

CREATE TABLE public.usage_20261130 (
    day date NOT NULL,
    key_id bigint NOT NULL,
    model text NOT NULL,
    gateway text NOT NULL,
    requests bigint NOT NULL,
    failures bigint NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL
);


ALTER TABLE public.usage_20261130 OWNER TO ollamamax;

--
-- Name: usage_20261201; Type: TABLE; Schema: public; Owner: ollamamax
--

CREATE TABLE public.usage_20261201 (
    day date NOT NULL,
    key_id bigint NOT NULL,
    model text NOT NULL,
    gateway text NOT NULL,
    requests bigint NOT NULL,
    failures bigint NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL
);


ALTER TABLE public.usage_20261201 OWNER TO ollamamax;

--
-- Name: usage_20261202; Type: TABLE; Schema: public; Owner: ollamamax
--

CREATE TABLE public.usage_20261202 (
    day date NOT NULL,
    key_id bigint NOT NULL,
    model text NOT NULL,
    gateway text NOT NULL,
    requests bigint NOT NULL,
    failures bigint NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL
);


ALTER TABLE public.usage_20261202 OWNER TO ollamamax;

--
-- Name: usage_20261203; Type: TABLE; Schema: public; Owner: ollamamax
--

CREATE TABLE public.usage_20261203 (
    day date NOT NULL,
    key_id bigint NOT NULL,
    model text NOT NULL,
    gateway text NOT NULL,
    requests bigint NOT NULL,
    failures bigint NOT NULL,
    prompt_tokens bigint NOT NULL,
    completion_tokens bigint NOT NULL
);


ALTER TABLE public.usage_20261203 OWNER TO ollamamax;

--
-- Name: usage_batches; Type: TABLE; Schema: public; Owner: ollamamax
--

CREATE TABLE public.usage_batches (
    gateway text NOT NULL,
    batch text NOT NULL,
    written_at timestamp with time zone DEFAULT now() NOT NULL
);


ALTER TABLE public.usage_batches OWNER TO ollamamax;

--
-- Name: usage_20260101; Type: TABLE ATTACH; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.usage ATTACH PARTITION public.usage_20260101 FOR VALUES FROM ('2026-01-01') TO ('2026-01-02');


--
-- Name: usage_20260102; Type: TABLE ATTACH; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.usage ATTACH PARTITION public.usage_20260102 FOR VALUES FROM ('2026-01-02') TO ('2026-01-03');


--
-- Name: usage_20260103; Type: TABLE ATTACH; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.usage ATTACH PARTITION public.usage_20260103 FOR VALUES FROM ('2026-01-03') TO ('2026-01-04');


--
-- Name: usage_20261126; Type: TABLE ATTACH; Schema: public; Owner: ollamamax
--

ALTER TABLE ONLY public.usage ATTACH PARTITION public.usage_20261126 FOR VALUES FROM ('2026-11-26') TO ('2026-11-27');


--
-- Name: usage_20261127; Type: TABLE ATTACH; Schema: public; Owner: ollamamax
--

ALTER TABLE ONLY public.usage ATTACH PARTITION public.usage_20261127 FOR VALUES FROM ('2026-11-27') TO ('2026-11-28');


--
-- Name: usage_20261128; Type: TABLE ATTACH; Schema: public; Owner: ollamamax
--

ALTER TABLE ONLY public.usage ATTACH PARTITION public.usage_20261128 FOR VALUES FROM ('2026-11-28') TO ('2026-11-29');


--
-- Name: usage_20261129; Type: TABLE ATTACH; Schema: public; Owner: ollamamax
--

ALTER TABLE ONLY public.usage ATTACH PARTITION public.usage_20261129 FOR VALUES FROM ('2026-11-29') TO ('2026-11-30');


--
-- Name: usage_20261130; Type: TABLE ATTACH; Schema: public; Owner: ollamamax
--

ALTER TABLE ONLY public.usage ATTACH PARTITION public.usage_20261130 FOR VALUES FROM ('2026-11-30') TO ('2026-12-01');


--
-- Name: usage_20261201; Type: TABLE ATTACH; Schema: public; Owner: ollamamax
--

ALTER TABLE ONLY public.usage ATTACH PARTITION public.usage_20261201 FOR VALUES FROM ('2026-12-01') TO ('2026-12-02');


--
-- Name: usage_20261202; Type: TABLE ATTACH; Schema: public; Owner: ollamamax
--

ALTER TABLE ONLY public.usage ATTACH PARTITION public.usage_20261202 FOR VALUES FROM ('2026-12-02') TO ('2026-12-03');


--
-- Name: usage_20261203; Type: TABLE ATTACH; Schema: public; Owner: ollamamax
--

ALTER TABLE ONLY public.usage ATTACH PARTITION public.usage_20261203 FOR VALUES FROM ('2026-12-03') TO ('2026-12-04');


--
-- Data for Name: api_keys; Type: TABLE DATA; Schema: public; Owner: ollamamax
--

COPY public.api_keys (id, name, kind, digest, source, created_at, revoked_at, tenant, scopes, requests_per_minute, tokens_per_minute, tokens_per_month, priority, expires_at, created_by, last_used_at, previous_digest, previous_until) FROM stdin;
1	stack	secret	\\xda6575301c3ecfafba9027cce32c81042e3e374d3b395b2ad734e4cc5691e500	stack	2026-11-26 21:47:37.229515+00	\N		{admin}	\N	\N	\N	normal	\N		2026-11-26 21:47:54.85617+00	\N	\N
2	a person	secret	\\xdf381eb4bb572dafc91d47e4206ea60d1b1b41a8d2ca09fe53f3365fb0447eb7	user	2026-11-26 21:47:55.767508+00	\N		{admin}	\N	\N	\N	normal	\N		\N	\N	\N
3	a laptop	ed25519	\\x24ff1173e361da5ac3cffe1bdc1543b6f3a4da9d96f85b63bffa86d88f493d85	user	2026-11-26 21:47:55.767508+00	\N		{admin}	\N	\N	\N	normal	\N		\N	\N	\N
4	a tenant's	issued	\\x3de1282efbb6d38ce9c26479e176765800813b087897364d4978125389a4a297	api	2026-11-26 21:47:55.767508+00	\N	acme	{inference,models:read}	60	\N	1000000	high	2036-01-01 00:00:00+00	a person	2026-01-02 03:04:00+00	\\x6db7d803e74f1ffa7d8f5adc0bf95b3e15bf4c8373fffadf546227cc6c6742cb	2026-01-03 00:00:00+00
5	gone	issued	\\x283bb9deef02e6843abfb538efa1eca70801bd8a701c3f98191e123496339247	api	2026-11-26 21:47:55.767508+00	2026-01-02 00:00:00+00	acme	{}	1	\N	1	low	\N	a person	\N	\N	\N
\.


--
-- Data for Name: metrics; Type: TABLE DATA; Schema: public; Owner: ollamamax
--

COPY public.metrics (gateway, sampled_at, requests, failures, retries, prompt_tokens, completion_tokens) FROM stdin;
gateway-9	2026-01-01 00:00:00+00	1	2	3	4	5
\.


--
-- Data for Name: model_aliases; Type: TABLE DATA; Schema: public; Owner: ollamamax
--

COPY public.model_aliases (name, targets, fallbacks, source, updated_at, updated_by) FROM stdin;
talk:latest	[{"model": "tiny:latest", "weight": 9, "variant": "old"}]	{other:1b}	api	2026-01-01 00:00:00+00	a person
\.


--
-- Data for Name: models; Type: TABLE DATA; Schema: public; Owner: ollamamax
--

COPY public.models (id, digest, size_bytes, modified_at, active) FROM stdin;
tiny:latest	cfafdc6916f3ce241c2a9a639c673a424a52d91b23761bc7d93c2032d4270914	535603	2026-11-26 21:47:38.245837+00	t
other:1b	sha256:other	1000000000000	2026-01-01 00:00:00+00	f
\.


--
-- Data for Name: node_models; Type: TABLE DATA; Schema: public; Owner: ollamamax
--

COPY public.node_models (node, model) FROM stdin;
worker-1	tiny:latest
worker-2	tiny:latest
worker-9	other:1b
\.


--
-- Data for Name: nodes; Type: TABLE DATA; Schema: public; Owner: ollamamax
--

COPY public.nodes (name, address, healthy, active, last_seen, drained, pinned) FROM stdin;
worker-9	10.0.0.9:11434	f	f	2026-01-02 00:00:00+00	t	{tiny:latest,other:1b}
worker-1	172.16.85.137:11434	t	t	2026-11-26 21:48:04.854224+00	f	{}
worker-2	172.16.85.138:11434	t	t	2026-11-26 21:48:04.854224+00	f	{}
\.


--
-- Data for Name: schema_version; Type: TABLE DATA; Schema: public; Owner: ollamamax
--

COPY public.schema_version (version, dirty) FROM stdin;
7	f
\.


--
-- Data for Name: usage_20260101; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.usage_20260101 (day, key_id, model, gateway, requests, failures, prompt_tokens, completion_tokens) FROM stdin;
2026-01-01	2		gateway-1	2	0	9223372036854775807	0
2026-01-01	2		gateway-2	2	0	9223372036854775807	0
2026-01-01	2	tiny:latest	gateway-1	2	0	9223372036854775807	0
2026-01-01	2	tiny:latest	gateway-2	2	0	9223372036854775807	0
2026-01-01	3		gateway-1	3	0	9223372036854775807	0
2026-01-01	3		gateway-2	3	0	9223372036854775807	0
2026-01-01	3	tiny:latest	gateway-1	3	0	9223372036854775807	0
2026-01-01	3	tiny:latest	gateway-2	3	0	9223372036854775807	0
2026-01-01	4		gateway-1	4	0	9223372036854775807	0
2026-01-01	4		gateway-2	4	0	9223372036854775807	0
2026-01-01	4	tiny:latest	gateway-1	4	0	9223372036854775807	0
2026-01-01	4	tiny:latest	gateway-2	4	0	9223372036854775807	0
2026-01-01	5		gateway-1	5	0	9223372036854775807	0
2026-01-01	5		gateway-2	5	0	9223372036854775807	0
2026-01-01	5	tiny:latest	gateway-1	5	0	9223372036854775807	0
2026-01-01	5	tiny:latest	gateway-2	5	0	9223372036854775807	0
\.


--
-- Data for Name: usage_20260102; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.usage_20260102 (day, key_id, model, gateway, requests, failures, prompt_tokens, completion_tokens) FROM stdin;
2026-01-02	2		gateway-1	2	0	9223372036854775807	0
2026-01-02	2		gateway-2	2	0	9223372036854775807	0
2026-01-02	2	tiny:latest	gateway-1	2	0	9223372036854775807	0
2026-01-02	2	tiny:latest	gateway-2	2	0	9223372036854775807	0
2026-01-02	3		gateway-1	3	0	9223372036854775807	0
2026-01-02	3		gateway-2	3	0	9223372036854775807	0
2026-01-02	3	tiny:latest	gateway-1	3	0	9223372036854775807	0
2026-01-02	3	tiny:latest	gateway-2	3	0	9223372036854775807	0
2026-01-02	4		gateway-1	4	0	9223372036854775807	0
2026-01-02	4		gateway-2	4	0	9223372036854775807	0
2026-01-02	4	tiny:latest	gateway-1	4	0	9223372036854775807	0
2026-01-02	4	tiny:latest	gateway-2	4	0	9223372036854775807	0
2026-01-02	5		gateway-1	5	0	9223372036854775807	0
2026-01-02	5		gateway-2	5	0	9223372036854775807	0
2026-01-02	5	tiny:latest	gateway-1	5	0	9223372036854775807	0
2026-01-02	5	tiny:latest	gateway-2	5	0	9223372036854775807	0
\.


--
-- Data for Name: usage_20260103; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.usage_20260103 (day, key_id, model, gateway, requests, failures, prompt_tokens, completion_tokens) FROM stdin;
2026-01-03	2		gateway-1	2	0	9223372036854775807	0
2026-01-03	2		gateway-2	2	0	9223372036854775807	0
2026-01-03	2	tiny:latest	gateway-1	2	0	9223372036854775807	0
2026-01-03	2	tiny:latest	gateway-2	2	0	9223372036854775807	0
2026-01-03	3		gateway-1	3	0	9223372036854775807	0
2026-01-03	3		gateway-2	3	0	9223372036854775807	0
2026-01-03	3	tiny:latest	gateway-1	3	0	9223372036854775807	0
2026-01-03	3	tiny:latest	gateway-2	3	0	9223372036854775807	0
2026-01-03	4		gateway-1	4	0	9223372036854775807	0
2026-01-03	4		gateway-2	4	0	9223372036854775807	0
2026-01-03	4	tiny:latest	gateway-1	4	0	9223372036854775807	0
2026-01-03	4	tiny:latest	gateway-2	4	0	9223372036854775807	0
2026-01-03	5		gateway-1	5	0	9223372036854775807	0
2026-01-03	5		gateway-2	5	0	9223372036854775807	0
2026-01-03	5	tiny:latest	gateway-1	5	0	9223372036854775807	0
2026-01-03	5	tiny:latest	gateway-2	5	0	9223372036854775807	0
\.


--
-- Data for Name: usage_20261126; Type: TABLE DATA; Schema: public; Owner: ollamamax
--

COPY public.usage_20261126 (day, key_id, model, gateway, requests, failures, prompt_tokens, completion_tokens) FROM stdin;
2026-11-26	1		gateway-2	1	0	0	0
2026-11-26	1	tiny:latest	gateway-1	1	0	60	48
\.


--
-- Data for Name: usage_20261127; Type: TABLE DATA; Schema: public; Owner: ollamamax
--

COPY public.usage_20261127 (day, key_id, model, gateway, requests, failures, prompt_tokens, completion_tokens) FROM stdin;
\.


--
-- Data for Name: usage_20261128; Type: TABLE DATA; Schema: public; Owner: ollamamax
--

COPY public.usage_20261128 (day, key_id, model, gateway, requests, failures, prompt_tokens, completion_tokens) FROM stdin;
\.


--
-- Data for Name: usage_20261129; Type: TABLE DATA; Schema: public; Owner: ollamamax
--

COPY public.usage_20261129 (day, key_id, model, gateway, requests, failures, prompt_tokens, completion_tokens) FROM stdin;
\.


--
-- Data for Name: usage_20261130; Type: TABLE DATA; Schema: public; Owner: ollamamax
--

COPY public.usage_20261130 (day, key_id, model, gateway, requests, failures, prompt_tokens, completion_tokens) FROM stdin;
\.


--
-- Data for Name: usage_20261201; Type: TABLE DATA; Schema: public; Owner: ollamamax
--

COPY public.usage_20261201 (day, key_id, model, gateway, requests, failures, prompt_tokens, completion_tokens) FROM stdin;
\.


--
-- Data for Name: usage_20261202; Type: TABLE DATA; Schema: public; Owner: ollamamax
--

COPY public.usage_20261202 (day, key_id, model, gateway, requests, failures, prompt_tokens, completion_tokens) FROM stdin;
\.


--
-- Data for Name: usage_20261203; Type: TABLE DATA; Schema: public; Owner: ollamamax
--

COPY public.usage_20261203 (day, key_id, model, gateway, requests, failures, prompt_tokens, completion_tokens) FROM stdin;
\.


--
-- Data for Name: usage_batches; Type: TABLE DATA; Schema: public; Owner: ollamamax
--

COPY public.usage_batches (gateway, batch, written_at) FROM stdin;
gateway-2	QWDBTUP6UNKA4QV6QT454B6NF5	2026-11-26 21:47:54.85617+00
gateway-9	a batch	2026-01-03 00:00:00+00
gateway-1	NYDB5UEQO45NCKEGNRLI5ADLBK	2026-11-26 21:47:59.983212+00
\.


--
-- Name: api_keys_id_seq; Type: SEQUENCE SET; Schema: public; Owner: ollamamax
--

SELECT pg_catalog.setval('public.api_keys_id_seq', 5, true);


--
-- Name: api_keys api_keys_kind_digest_key; Type: CONSTRAINT; Schema: public; Owner: ollamamax
--

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_kind_digest_key UNIQUE (kind, digest);


--
-- Name: api_keys api_keys_pkey; Type: CONSTRAINT; Schema: public; Owner: ollamamax
--

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (id);


--
-- Name: metrics metrics_pkey; Type: CONSTRAINT; Schema: public; Owner: ollamamax
--

ALTER TABLE ONLY public.metrics
    ADD CONSTRAINT metrics_pkey PRIMARY KEY (gateway, sampled_at);


--
-- Name: model_aliases model_aliases_pkey; Type: CONSTRAINT; Schema: public; Owner: ollamamax
--

ALTER TABLE ONLY public.model_aliases
    ADD CONSTRAINT model_aliases_pkey PRIMARY KEY (name);


--
-- Name: models models_pkey; Type: CONSTRAINT; Schema: public; Owner: ollamamax
--

ALTER TABLE ONLY public.models
    ADD CONSTRAINT models_pkey PRIMARY KEY (id);


--
-- Name: node_models node_models_pkey; Type: CONSTRAINT; Schema: public; Owner: ollamamax
--

ALTER TABLE ONLY public.node_models
    ADD CONSTRAINT node_models_pkey PRIMARY KEY (node, model);


--
-- Name: nodes nodes_pkey; Type: CONSTRAINT; Schema: public; Owner: ollamamax
--

ALTER TABLE ONLY public.nodes
    ADD CONSTRAINT nodes_pkey PRIMARY KEY (name);


--
-- Name: schema_version schema_version_pkey; Type: CONSTRAINT; Schema: public; Owner: ollamamax
--

ALTER TABLE ONLY public.schema_version
    ADD CONSTRAINT schema_version_pkey PRIMARY KEY (version);


--
-- Name: usage usage_pkey; Type: CONSTRAINT; Schema: public; Owner: ollamamax
--

ALTER TABLE ONLY public.usage
    ADD CONSTRAINT usage_pkey PRIMARY KEY (day, key_id, model, gateway);


--
-- Name: usage_20260101 usage_20260101_pkey; Type: CONSTRAINT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.usage_20260101
    ADD CONSTRAINT usage_20260101_pkey PRIMARY KEY (day, key_id, model, gateway);


--
-- Name: usage_20260102 usage_20260102_pkey; Type: CONSTRAINT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.usage_20260102
    ADD CONSTRAINT usage_20260102_pkey PRIMARY KEY (day, key_id, model, gateway);


--
-- Name: usage_20260103 usage_20260103_pkey; Type: CONSTRAINT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.usage_20260103
    ADD CONSTRAINT usage_20260103_pkey PRIMARY KEY (day, key_id, model, gateway);


--
-- Name: usage_20261126 usage_20261126_pkey; Type: CONSTRAINT; Schema: public; Owner: ollamamax
--

ALTER TABLE ONLY public.usage_20261126
    ADD CONSTRAINT usage_20261126_pkey PRIMARY KEY (day, key_id, model, gateway);


--
-- Name: usage_20261127 usage_20261127_pkey; Type: CONSTRAINT; Schema: public; Owner: ollamamax
--

ALTER TABLE ONLY public.usage_20261127
    ADD CONSTRAINT usage_20261127_pkey PRIMARY KEY (day, key_id, model, gateway);


--
-- Name: usage_20261128 usage_20261128_pkey; Type: CONSTRAINT; Schema: public; Owner: ollamamax
--

ALTER TABLE ONLY public.usage_20261128
    ADD CONSTRAINT usage_20261128_pkey PRIMARY KEY (day, key_id, model, gateway);


--
-- Name: usage_20261129 usage_20261129_pkey; Type: CONSTRAINT; Schema: public; Owner: ollamamax
--

ALTER TABLE ONLY public.usage_20261129
    ADD CONSTRAINT usage_20261129_pkey PRIMARY KEY (day, key_id, model, gateway);


--
-- Name: usage_20261130 usage_20261130_pkey; Type: CONSTRAINT; Schema: public; Owner: ollamamax
--

ALTER TABLE ONLY public.usage_20261130
    ADD CONSTRAINT usage_20261130_pkey PRIMARY KEY (day, key_id, model, gateway);


--
-- Name: usage_20261201 usage_20261201_pkey; Type: CONSTRAINT; Schema: public; Owner: ollamamax
--

ALTER TABLE ONLY public.usage_20261201
    ADD CONSTRAINT usage_20261201_pkey PRIMARY KEY (day, key_id, model, gateway);


--
-- Name: usage_20261202 usage_20261202_pkey; Type: CONSTRAINT; Schema: public; Owner: ollamamax
--

ALTER TABLE ONLY public.usage_20261202
    ADD CONSTRAINT usage_20261202_pkey PRIMARY KEY (day, key_id, model, gateway);


--
-- Name: usage_20261203 usage_20261203_pkey; Type: CONSTRAINT; Schema: public; Owner: ollamamax
--

ALTER TABLE ONLY public.usage_20261203
    ADD CONSTRAINT usage_20261203_pkey PRIMARY KEY (day, key_id, model, gateway);


--
-- Name: usage_batches usage_batches_pkey; Type: CONSTRAINT; Schema: public; Owner: ollamamax
--

ALTER TABLE ONLY public.usage_batches
    ADD CONSTRAINT usage_batches_pkey PRIMARY KEY (gateway);


--
-- Name: api_keys_by_tenant; Type: INDEX; Schema: public; Owner: ollamamax
--

CREATE INDEX api_keys_by_tenant ON public.api_keys USING btree (tenant, id);


--
-- Name: metrics_by_time; Type: INDEX; Schema: public; Owner: ollamamax
--

CREATE INDEX metrics_by_time ON public.metrics USING btree (sampled_at);


--
-- Name: node_models_by_model; Type: INDEX; Schema: public; Owner: ollamamax
--

CREATE INDEX node_models_by_model ON public.node_models USING btree (model);


--
-- Name: usage_20260101_pkey; Type: INDEX ATTACH; Schema: public; Owner: ollamamax
--

ALTER INDEX public.usage_pkey ATTACH PARTITION public.usage_20260101_pkey;


--
-- Name: usage_20260102_pkey; Type: INDEX ATTACH; Schema: public; Owner: ollamamax
--

ALTER INDEX public.usage_pkey ATTACH PARTITION public.usage_20260102_pkey;


--
-- Name: usage_20260103_pkey; Type: INDEX ATTACH; Schema: public; Owner: ollamamax
--

ALTER INDEX public.usage_pkey ATTACH PARTITION public.usage_20260103_pkey;


--
-- Name: usage_20261126_pkey; Type: INDEX ATTACH; Schema: public; Owner: ollamamax
--

ALTER INDEX public.usage_pkey ATTACH PARTITION public.usage_20261126_pkey;


--
-- Name: usage_20261127_pkey; Type: INDEX ATTACH; Schema: public; Owner: ollamamax
--

ALTER INDEX public.usage_pkey ATTACH PARTITION public.usage_20261127_pkey;


--
-- Name: usage_20261128_pkey; Type: INDEX ATTACH; Schema: public; Owner: ollamamax
--

ALTER INDEX public.usage_pkey ATTACH PARTITION public.usage_20261128_pkey;


--
-- Name: usage_20261129_pkey; Type: INDEX ATTACH; Schema: public; Owner: ollamamax
--

ALTER INDEX public.usage_pkey ATTACH PARTITION public.usage_20261129_pkey;


--
-- Name: usage_20261130_pkey; Type: INDEX ATTACH; Schema: public; Owner: ollamamax
--

ALTER INDEX public.usage_pkey ATTACH PARTITION public.usage_20261130_pkey;


--
-- Name: usage_20261201_pkey; Type: INDEX ATTACH; Schema: public; Owner: ollamamax
--

ALTER INDEX public.usage_pkey ATTACH PARTITION public.usage_20261201_pkey;


--
-- Name: usage_20261202_pkey; Type: INDEX ATTACH; Schema: public; Owner: ollamamax
--

ALTER INDEX public.usage_pkey ATTACH PARTITION public.usage_20261202_pkey;


--
-- Name: usage_20261203_pkey; Type: INDEX ATTACH; Schema: public; Owner: ollamamax
--

ALTER INDEX public.usage_pkey ATTACH PARTITION public.usage_20261203_pkey;


--
-- Name: node_models node_models_model_fkey; Type: FK CONSTRAINT; Schema: public; Owner: ollamamax
--

ALTER TABLE ONLY public.node_models
    ADD CONSTRAINT node_models_model_fkey FOREIGN KEY (model) REFERENCES public.models(id) ON DELETE CASCADE;


--
-- Name: node_models node_models_node_fkey; Type: FK CONSTRAINT; Schema: public; Owner: ollamamax
--

ALTER TABLE ONLY public.node_models
    ADD CONSTRAINT node_models_node_fkey FOREIGN KEY (node) REFERENCES public.nodes(name) ON DELETE CASCADE;


--
-- PostgreSQL database dump complete
--

\unrestrict xYkrFKhFI3As0ZgGRrhNLbDvTcNztqQ3Xj9ibz58fitUTLEANguaQxtpTtNX9VP
