import { describe, expect, it } from "vitest";
import { ceiling, largest, line } from "../src/lib/plot";

describe("a scale", () => {
  it("ends with a round number that has room for all", () => {
    expect([0, 1, 1.2, 3, 7, 20, 400, 501].map(ceiling)).toEqual([1, 1, 2, 5, 10, 20, 500, 1000]);
    expect(ceiling(0.1)).toBeCloseTo(0.1);
    expect(largest([1, null, 3], [2])).toBe(3);
    expect(largest([null])).toBe(0);
  });
});

describe("a curve", () => {
  it("goes from the left to the right, and up", () => {
    expect(line([0, 5, 10], 100, 50, 10)).toBe("M0.0 50.0L50.0 25.0L100.0 0.0");
  });
  it("is broken where a value is missing, and a value alone is still seen", () => {
    expect(line([1, null, 1], 100, 10, 1)).toBe("M0.0 0.0h1M100.0 0.0h1");
    expect(line([null, null], 100, 10, 1)).toBe("");
  });
  it("stays within its box", () => {
    expect(line([20, 20], 100, 50, 10)).toBe("M0.0 0.0L100.0 0.0");
  });
});
