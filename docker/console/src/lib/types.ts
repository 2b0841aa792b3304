// What the platform says: the schemas of its OpenAPI document, and the topics of /ws.

export interface ClusterStatus {
  gateway: string;
  version: string;
  started_at: string;
  draining: boolean;
  gateways: number;
  database: boolean;
  redis: boolean;
  nodes: { total: number; up: number; drained: number; taking: number };
  models: { total: number; loaded: number };
}

export interface Cluster extends ClusterStatus {
  now: {
    uptime_seconds: number;
    in_flight: number;
    waiting: number;
    memory_bytes: number;
    memory_limit_bytes: number;
  };
}

export interface LiveNode {
  address: string;
  up: boolean;
  drained: boolean;
  leaving: boolean;
  ejected: boolean;
  takes_requests: boolean;
  in_flight: number;
  slots: number;
  loaded: string[] | null;
  breakers: Record<string, string> | null;
}

export interface LiveModel {
  digest: string;
  size_bytes: number;
  nodes: number;
  loaded: number;
  in_flight: number;
  waiting: number;
}

export interface Rates {
  requests: number;
  errors: number;
  prompt_tokens: number;
  completion_tokens: number;
  cache_hits: number;
  overhead_p50_seconds: number | null;
  overhead_p99_seconds: number | null;
  first_token_p50_seconds: number | null;
  first_token_p99_seconds: number | null;
  in_flight: number;
  memory_bytes: number;
}

export interface Target {
  model: string;
  weight: number;
  variant: string;
}

export interface Topics {
  cluster: ClusterStatus;
  nodes: LiveNode;
  models: LiveModel;
  aliases: { name: string; targets: Target[] | null; fallbacks: string[] | null };
  queue: { waiting: number };
  rates: Rates;
}
export type Topic = keyof Topics;

export type Message =
  | { type: "snapshot"; gateway: string; topics: Topic[]; count: number }
  | { type: "state"; topic: Topic; key: string; value: Topics[Topic] }
  | { type: "gone"; topic: Topic; key: string }
  | { type: "dropped"; count: number }
  | { type: "error"; error: string };

export interface Sample {
  gateway: string;
  at: string;
  requests: number;
  failures: number;
  retries: number;
  prompt_tokens: number;
  completion_tokens: number;
}

export interface PlacedModel {
  id: string;
  digest: string;
  size_bytes: number;
  memory_bytes: number;
  modified_at: string;
  nodes: string[];
  loaded: string[];
  pinned: string[];
  in_flight: number;
  waiting: number;
}

export interface Loads {
  status?: "success";
  error?: string;
  model: string;
  nodes: { node: string; resident: boolean; seconds: number; error?: string }[];
}

export interface Alias {
  name: string;
  targets: Target[];
  fallbacks: string[];
  source: "stack" | "api";
  updated_at: string;
  updated_by: string;
}

// What the forecaster says of a pool of workers.
export interface PoolForecast {
  pool: string;
  replicas: number; // 0 while it abstains
  horizon_seconds: number;
  abstains: "" | "missing" | "skill";
  moments: { at: number; load: number | null; forecast: number | null }[];
}

export const SCOPES = [
  "inference",
  "models:read",
  "models:write",
  "nodes",
  "keys",
  "usage:read",
  "admin",
] as const;
export type Scope = (typeof SCOPES)[number];
export const PRIORITIES = ["low", "normal", "high"] as const;

export interface KeySpec {
  name: string;
  tenant?: string;
  scopes?: Scope[];
  requests_per_minute?: number | null;
  tokens_per_minute?: number | null;
  tokens_per_month?: number | null;
  priority?: (typeof PRIORITIES)[number];
  expires_at?: string | null;
}

export interface Key extends Required<KeySpec> {
  id: number;
  source: "stack" | "issued";
  created_at: string;
  created_by: string;
  last_used_at: string | null;
  revoked_at: string | null;
  old_secret_valid_until: string | null;
}

export const GROUPS = ["day", "key", "tenant", "model", "gateway"] as const;
export type Group = (typeof GROUPS)[number];

export interface Usage {
  day?: string;
  key_id?: number;
  key?: string;
  tenant?: string;
  model?: string;
  gateway?: string;
  requests: number;
  failures: number;
  prompt_tokens: number;
  completion_tokens: number;
}

// A line of a pull's progress.
export interface Progress {
  status?: string;
  error?: string;
  digest?: string;
  total?: number;
  completed?: number;
}

// A piece of /api/chat's answer; the last one has the counts.
export interface ChatPiece {
  model: string;
  error?: string;
  message?: { role: string; content: string; thinking?: string };
  done: boolean;
  done_reason?: string;
  prompt_eval_count?: number;
  eval_count?: number;
  eval_duration?: number;
}
