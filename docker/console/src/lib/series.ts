import type { Rates, Sample } from "./types";

const LEAST_S = 60; // of time in a curve, however short the past is

// The last values of something that comes about once a second.
export class Recent<T> {
  #kept: { at: number; value: T }[] = [];
  constructor(readonly seconds: number) {}

  add(at: number, value: T): void {
    this.#kept.push({ at, value });
    while ((this.#kept[0]?.at ?? at) < at - this.seconds * 1000) this.#kept.shift();
  }

  clear(): void {
    this.#kept = [];
  }

  get last(): T | undefined {
    return this.#kept.at(-1)?.value;
  }

  // How far back it goes, seconds.
  get span(): number {
    const covered = ((this.#kept.at(-1)?.at ?? 0) - (this.#kept[0]?.at ?? 0)) / 1000;
    return Math.min(this.seconds, Math.max(LEAST_S, Math.round(covered) + 1));
  }

  // One value for each second up to the last one; null where there was none.
  values(read: (value: T) => number | null): (number | null)[] {
    const end = this.#kept.at(-1)?.at ?? 0;
    const all: (number | null)[] = new Array(this.span).fill(null);
    for (const { at, value } of this.#kept) {
      const index = all.length - 1 - Math.round((end - at) / 1000);
      if (index >= 0) all[index] = read(value);
    }
    return all;
  }

  // The last values themselves, the oldest first.
  within(seconds: number): T[] {
    const end = this.#kept.at(-1)?.at ?? 0;
    return this.#kept.filter(({ at }) => at > end - seconds * 1000).map(({ value }) => value);
  }
}

// The part of requests that failed, in percent; null where there were none.
export function failed(requests: number, failures: number): number | null {
  return requests > 0 ? (100 * failures) / requests : null;
}

// The part of the last seconds' requests that failed, in percent.
export function errorsOf(rates: readonly Rates[]): number | null {
  const sum = (read: (rates: Rates) => number) => rates.reduce((total, one) => total + read(one), 0);
  return failed(
    sum((one) => one.requests),
    sum((one) => one.errors),
  );
}

export interface Minute {
  at: number; // its start, milliseconds
  requests: number;
  failures: number;
  retries: number;
  tokens: number;
  gateways: number; // that have written of it
}

// Sums up over all gateways what they did in each minute, from the first that somebody wrote of to the last.
// A minute of which nobody wrote is null: that is not zero.
export function minutes(samples: readonly Sample[]): { at: number; minute: Minute | null }[] {
  const sums = new Map<number, Minute>();
  for (const sample of samples) {
    const at = Math.floor(Date.parse(sample.at) / 60_000) * 60_000;
    const sum = sums.get(at) ?? { at, requests: 0, failures: 0, retries: 0, tokens: 0, gateways: 0 };
    sum.requests += sample.requests;
    sum.failures += sample.failures;
    sum.retries += sample.retries;
    sum.tokens += sample.prompt_tokens + sample.completion_tokens;
    sum.gateways++;
    sums.set(at, sum);
  }
  const times = [...sums.keys()];
  if (times.length === 0) return [];
  const first = Math.min(...times);
  const last = Math.max(...times);
  const all: { at: number; minute: Minute | null }[] = [];
  for (let at = first; at <= last; at += 60_000) all.push({ at, minute: sums.get(at) ?? null });
  return all;
}
