import { expect, it } from "vitest";
import { delta, differs, extremes, numberOf, percent, sameValue } from "./compare";

it("reads numbers in params, and no number in words that begin like one", () => {
  expect(["0.10", "1e-3", ".5", 7, "NaN", "3 layers", "0x10", "", null].map(numberOf)).toEqual([
    0.1,
    0.001,
    0.5,
    7,
    Number.NaN,
    null,
    16,
    null,
    null,
  ]);
});

it("calls values the same when people would", () => {
  expect(sameValue("0.10", "0.1")).toBe(true);
  expect(sameValue("NaN", Number.NaN)).toBe(true);
  expect(sameValue(null, undefined)).toBe(true);
  expect(sameValue(null, "")).toBe(false);
  expect(sameValue("adam", "Adam")).toBe(false);
  expect(differs(["1", "1.0", 1])).toBe(false);
  expect(differs(["1", "1.0", null])).toBe(true);
});

it("says how far a number lies from the baseline's, also where that is zero or negative", () => {
  expect(delta(0.9, "0.6")).toEqual({ absolute: 0.30000000000000004, part: 0.5000000000000001 });
  expect(delta(1, 0)).toEqual({ absolute: 1, part: null });
  expect(delta(-1, -2)?.part).toBe(0.5);
  expect([delta("adam", "sgd"), delta(1, 1), delta("NaN", 1), delta(null, 1)]).toEqual([null, null, null, null]);
});

it("finds all places of the extremes, and none in a row of equals", () => {
  const { lowest, highest } = extremes([3, "1", null, 1, "NaN"]);
  expect([[...lowest], [...highest]]).toEqual([[1, 3], [0]]);
  expect(extremes([2, 2, null]).highest.size).toBe(0);
  expect(extremes(["a", "b"]).lowest.size).toBe(0);
});

it("writes percentages short, and huge ones as factors", () => {
  expect([0.0123, -0.356, 12.5, 5000].map(percent)).toEqual(["+1.2%", "−36%", "+1,250%", "×5.0e+3"]);
});
