import { describe, expect, it } from "vitest";
import { errorsOf, failed, minutes, Recent } from "../src/lib/series";
import type { Rates, Sample } from "../src/lib/types";

describe("the last values", () => {
  it("are as many as the time has seconds, with holes where there was none", () => {
    const recent = new Recent<number>(300);
    for (const at of [0, 1, 3]) recent.add(at * 1000, at);
    const values = recent.values((value) => value);
    expect(values).toHaveLength(60);
    expect(values.slice(-4)).toEqual([0, 1, null, 3]);
  });

  it("grow with the past, up to what is kept", () => {
    const recent = new Recent<number>(300);
    for (let at = 0; at < 100; at++) recent.add(at * 1000, at);
    expect(recent.span).toBe(100);
    for (let at = 100; at < 1000; at++) recent.add(at * 1000, at);
    expect(recent.values((value) => value)).toHaveLength(300);
    expect(recent.values((value) => value)[0]).toBe(700);
    expect(recent.within(3)).toEqual([997, 998, 999]);
  });
});

const rates = (requests: number, errors: number) => ({ requests, errors }) as Rates;

describe("the part that failed", () => {
  it("is not known where there were no requests", () => {
    expect(failed(0, 0)).toBeNull();
    expect(errorsOf([rates(0, 0)])).toBeNull();
  });
  it("is over all of the requests", () => {
    expect(errorsOf([rates(90, 0), rates(10, 1)])).toBe(1);
  });
});

const sample = (at: string, gateway: string, requests: number): Sample => ({
  gateway,
  at,
  requests,
  failures: 1,
  retries: 0,
  prompt_tokens: 10,
  completion_tokens: 5,
});

describe("minutes of all gateways", () => {
  it("are summed up, and those that nobody wrote of are missing rather than zero", () => {
    const all = minutes([
      sample("2026-01-01T00:00:10Z", "gateway-1", 60),
      sample("2026-01-01T00:00:40Z", "gateway-2", 40),
      sample("2026-01-01T00:02:10Z", "gateway-1", 30),
    ]);
    expect(all.map(({ minute }) => minute?.requests ?? null)).toEqual([100, null, 30]);
    expect(all[0]?.minute).toMatchObject({ failures: 2, tokens: 30, gateways: 2 });
  });
  it("are none where there is no sample", () => {
    expect(minutes([])).toEqual([]);
  });
});
