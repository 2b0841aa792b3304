import { keep, recall } from "./offline";
import { key, signOut } from "./session";

// An error as the platform words it, or why it could not be asked (status 0).
export class Failure extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly retryAfter: number | null = null,
  ) {
    super(message);
  }
}

export interface Answer<T> {
  data: T;
  at: number; // when the platform said so, milliseconds
  fresh: boolean; // false: it can't be reached, and this is what it said last
}

export const UNREACHABLE = "The platform can't be reached.";

// The platform stands where the console's folder does: at the root of its host.
export async function ask(
  method: string,
  path: string,
  body?: unknown,
  signal?: AbortSignal,
  shown: string | null = key.value,
): Promise<Response> {
  const headers: Record<string, string> = shown ? { Authorization: `Bearer ${shown}` } : {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer: Response;
  try {
    answer = await fetch(path, {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      signal: signal ?? null,
      cache: "no-store",
      credentials: "omit",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Failure(0, UNREACHABLE);
  }
  if (answer.ok) return answer;
  const failure = new Failure(
    answer.status,
    worded(await answer.text().catch(() => ""), answer.status),
    Number(answer.headers.get("Retry-After")) || null,
  );
  // The key of this session, not one that is only being tried.
  if (failure.status === 401 && shown === key.value) signOut(`Signed out: ${failure.message}`);
  throw failure;
}

// The platform's own words: {"error": "…"}, {"error": {"message": "…"}}, or errors of single workers.
export function worded(text: string, status: number): string {
  try {
    const { error, nodes } = JSON.parse(text) as {
      error?: unknown;
      nodes?: { node: string; error?: string }[];
    };
    const said = typeof error === "object" ? (error as { message?: unknown } | null)?.message : error;
    if (typeof said === "string" && said) {
      const each = (nodes ?? []).filter((node) => node.error && !said.includes(node.error));
      return [said, ...each.map((node) => `${node.node}: ${node.error}`)].join("; ");
    }
  } catch {
    // It is not the platform that answered.
  }
  return `The platform answered ${status} without a word.`;
}

export async function send<T>(
  method: string,
  path: string,
  body?: unknown,
  signal?: AbortSignal,
): Promise<T> {
  return (await (await ask(method, path, body, signal)).json()) as T;
}

const AGAIN_MS = 500;

// A machine that changes its network loses what is under way, though the platform can be reached.
async function askAgain(path: string, signal?: AbortSignal): Promise<Response> {
  try {
    return await ask("GET", path, undefined, signal);
  } catch (error) {
    if (!(error instanceof Failure) || error.status !== 0 || !navigator.onLine) throw error;
    await new Promise((passed) => setTimeout(passed, AGAIN_MS));
    return ask("GET", path, undefined, signal);
  }
}

// What the platform says, or, where it can't be reached, what it said last.
export async function get<T>(path: string, signal?: AbortSignal): Promise<Answer<T>> {
  try {
    const text = await (await askAgain(path, signal)).text();
    void keep(path, text);
    return { data: JSON.parse(text) as T, at: Date.now(), fresh: true };
  } catch (error) {
    const away =
      error instanceof Failure && (error.status === 0 || error.status === 502 || error.status === 504);
    const last = away ? await recall(path) : null;
    if (last) return { data: JSON.parse(last.text) as T, at: last.at, fresh: false };
    throw error;
  }
}

// The objects of a stream of lines, each as soon as it is there.
export async function* lines<T>(answer: Response): AsyncGenerator<T> {
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (!reader) return;
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      rest += value ?? "";
      const whole = rest.split("\n");
      rest = done ? "" : (whole.pop() ?? "");
      for (const line of whole) if (line.trim()) yield JSON.parse(line) as T;
      if (done) return;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

// A name as a part of a path, in which slashes stay.
export const inPath = (name: string): string => name.split("/").map(encodeURIComponent).join("/");

export const explain = (error: unknown): string => (error instanceof Error ? error.message : String(error));
