import { describe, expect, it } from "vitest";
import { formatAgo, formatBytes, formatDuration, formatNumber, middleEllipsis, plural, toNumber } from "./format";

describe("formatNumber", () => {
  it.each([
    [0, "0"],
    [0.214359, "0.2144"],
    [0.000012, "1.2e-5"],
    [0.00099999, "1e-3"],
    [1e-300, "1e-300"],
    [0.5, "0.5"],
    [12.0001, "12"],
    [1234.5678, "1,235"],
    [12340, "12,340"],
    [1234567.8, "1.235e6"],
    [-0.25, "−0.25"],
    [123456789, "123,456,789"],
    [1e12, "1e12"],
    [Number.NaN, "NaN"],
    [Number.POSITIVE_INFINITY, "∞"],
    [Number.NEGATIVE_INFINITY, "−∞"],
  ])("writes %s as %s", (value, text) => {
    expect(formatNumber(value)).toBe(text);
  });

  it("is within half a unit of the fourth significant digit, for numbers of every size", () => {
    let seed = 7;
    for (let index = 0; index < 20_000; index++) {
      seed = (seed * 16807) % 2147483647;
      const value = (seed / 2147483647 - 0.5) * 10 ** ((index % 40) - 20);
      const read = Number(formatNumber(value).replace("−", "-").replaceAll(",", ""));
      expect(Math.abs(read - value)).toBeLessThanOrEqual(Math.abs(value) * 0.000501);
    }
  });
});

it("reads numbers as the wire sends them", () => {
  expect(toNumber("NaN")).toBeNaN();
  expect(toNumber("-Infinity")).toBe(Number.NEGATIVE_INFINITY);
  expect(toNumber("1.5")).toBeNull();
  expect(toNumber(null)).toBeNull();
  expect(toNumber(2)).toBe(2);
});

it.each([
  [340, "340 ms"],
  [12_400, "12.4 s"],
  [59_960, "1m 00s"],
  [200_000, "3m 20s"],
  [7_500_000, "2h 05m"],
  [4 * 86_400_000 + 3 * 3_600_000, "4d 3h"],
])("writes %s ms as %s", (milliseconds, text) => {
  expect(formatDuration(milliseconds)).toBe(text);
});

it.each([
  [0, "0 B"],
  [999, "999 B"],
  [1000, "1.0 kB"],
  [999_499, "999 kB"],
  [999_600, "1.0 MB"],
  [123_456_789, "123 MB"],
])("writes %s bytes as %s", (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

it("says how long ago, and the date when it is long", () => {
  const now = Date.UTC(2026, 10, 23, 12);
  expect(formatAgo(now - 2000, now)).toBe("just now");
  expect(formatAgo(now - 300_000, now)).toBe("5 min ago");
  expect(formatAgo(now - 26 * 3_600_000, now)).toBe("1 day ago");
  expect(formatAgo(now - 30 * 86_400_000, now)).toMatch(/^2026-10-2\d$/);
});

it("keeps both ends of long names", () => {
  expect(middleEllipsis("short", 10)).toBe("short");
  expect(middleEllipsis("a-very-long-run-name-7", 11)).toBe("a-very…me-7");
  expect(middleEllipsis("a-very-long-run-name-7", 11)).toHaveLength(11);
});

it("counts things", () => {
  expect(plural(1, "run")).toBe("1 run");
  expect(plural(1240, "run")).toBe("1,240 runs");
});
