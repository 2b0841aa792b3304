import { describe, expect, it } from "vitest";
import { FIRST_MS, LONGEST_MS, pause } from "../src/lib/backoff";

describe("the pause before another attempt", () => {
  it("doubles up to half a minute", () => {
    const longest = [0, 1, 2, 3, 4, 5, 6, 7, 500].map((attempt) => pause(attempt, () => 1));
    expect(longest).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  });

  it("is anywhere in the upper half", () => {
    expect(pause(0, () => 0)).toBe(FIRST_MS / 2);
    expect(pause(20, () => 0)).toBe(LONGEST_MS / 2);
    const some = new Set(Array.from({ length: 50 }, () => pause(10)));
    expect(some.size).toBeGreaterThan(10);
  });
});
