import { describe, expect, it } from "vitest";
import { moved, reveal, visible } from "../src/lib/virtual";

describe("the rows of a long list", () => {
  it("are those that are seen, and some beyond", () => {
    expect(visible(0, 340, 34, 10_000, 6)).toEqual({ first: 0, end: 17 });
    expect(visible(34 * 100, 340, 34, 10_000, 6)).toEqual({ first: 94, end: 117 });
  });

  it("end with the list", () => {
    expect(visible(34 * 9_995, 340, 34, 10_000, 6)).toEqual({ first: 9_989, end: 10_000 });
    expect(visible(0, 340, 34, 3)).toEqual({ first: 0, end: 3 });
    expect(visible(0, 340, 34, 0)).toEqual({ first: 0, end: 0 });
  });

  it("are the last ones where a list has become shorter than it was scrolled", () => {
    const { first, end } = visible(34 * 5_000, 340, 34, 10, 6);
    expect(end).toBe(10);
    expect(first).toBeLessThan(10);
  });

  it("cover what is seen, wherever it is", () => {
    for (let top = 0; top < 34 * 60; top += 7) {
      const { first, end } = visible(top, 333, 34, 70, 0);
      expect(first * 34).toBeLessThanOrEqual(top);
      expect(Math.min(end, 70) * 34).toBeGreaterThanOrEqual(Math.min(top + 333, 70 * 34));
    }
  });

  it("are scrolled to only where they are not seen whole", () => {
    expect(reveal(5, 0, 340, 34)).toBe(0);
    expect(reveal(10, 0, 340, 34)).toBe(34);
    expect(reveal(2, 200, 340, 34)).toBe(68);
  });
});

describe("keys", () => {
  it("lead from row to row, and never beyond the list", () => {
    expect(moved("ArrowDown", 0, 10, 5)).toBe(1);
    expect(moved("ArrowUp", 0, 10, 5)).toBe(0);
    expect(moved("PageDown", 7, 10, 5)).toBe(9);
    expect(moved("PageUp", 7, 10, 5)).toBe(2);
    expect(moved("End", 0, 10, 5)).toBe(9);
    expect(moved("Home", 9, 10, 5)).toBe(0);
  });

  it("of other meanings lead nowhere, nor does any in an empty list", () => {
    expect(moved("a", 3, 10, 5)).toBeNull();
    expect(moved("ArrowDown", 0, 0, 5)).toBeNull();
  });
});
