import { describe, expect, it } from "vitest";
import { ERRORS, level, OVERHEAD_P99, THROUGHPUT } from "../src/lib/targets";

describe("where a value stands", () => {
  it("is worse the more there is of it", () => {
    expect([0.004, 0.01, 0.011, 0.025, 0.05].map((value) => level(value, OVERHEAD_P99))).toEqual([
      "met",
      "met",
      "missed",
      "warning",
      "critical",
    ]);
    expect(level(5, ERRORS)).toBe("critical");
  });
  it("or the less, for throughput", () => {
    expect([600, 500, 450, 400, 300, 0].map((value) => level(value, THROUGHPUT))).toEqual([
      "met",
      "met",
      "missed",
      "warning",
      "critical",
      "critical",
    ]);
  });
  it("is not known of a value that is not", () => {
    expect(level(null, ERRORS)).toBeNull();
  });
});
