import { describe, expect, it } from "vitest";
import { ago, bytes, clock, count, day, percent, seconds, short, span } from "../src/lib/format";

const cases = <T>(format: (value: T) => string, pairs: [T, string][]) =>
  it.each(pairs)("%s is written %s", (value, text) => expect(format(value)).toBe(text));

describe("counts", () => {
  cases(count, [
    [0, "0"],
    [1234567, "1,234,567"],
    [null, "–"],
  ]);
});

describe("changing numbers", () => {
  cases(short, [
    [0, "0"],
    [7, "7"],
    [7.25, "7.3"],
    [123.4, "123"],
    [9999, "9,999"],
    [12_345, "12.3k"],
    [456_789, "457k"],
    [1_234_567, "1.2M"],
    [5_000_000_000, "5.0G"],
    [null, "–"],
  ]);
});

describe("bytes", () => {
  cases(bytes, [
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1.0 KiB"],
    [550_000, "537 KiB"],
    [4_920_753_328, "4.6 GiB"],
    [null, "–"],
  ]);
});

describe("times that something takes", () => {
  cases(seconds, [
    [0, "0.0 ms"],
    [0.0042, "4.2 ms"],
    [0.0999, "100 ms"],
    [0.25, "250 ms"],
    [3.21, "3.2 s"],
    [75, "1 min 15 s"],
    [null, "–"],
  ]);
  cases(span, [
    [0, "0 s"],
    [59, "59 s"],
    [60, "1 min"],
    [3600, "1 h"],
    [3725, "1 h 2 min"],
    [90_061, "1 d 1 h"],
  ]);
});

describe("parts", () => {
  cases(percent, [
    [0, "0.0 %"],
    [0.07, "0.07 %"],
    [12.34, "12.3 %"],
    [100, "100.0 %"],
    [null, "–"],
    [Number.NaN, "–"],
  ]);
});

describe("moments", () => {
  const now = Date.parse("2026-01-02T03:04:05Z");
  it("are so long ago", () => {
    expect(ago("2026-01-02T03:04:04Z", now)).toBe("now");
    expect(ago("2026-01-02T03:02:00Z", now)).toBe("2 min ago");
    expect(ago(null, now)).toBe("–");
  });
  it("have a day, and a time of the reader's own", () => {
    expect(day("2026-01-02T03:04:05Z")).toBe("2026-01-02");
    expect(day(null)).toBe("–");
    const local = new Date(2026, 0, 2, 3, 4, 5).getTime();
    expect(clock(local)).toBe("03:04:05");
    expect(clock(local, false)).toBe("03:04");
  });
});
