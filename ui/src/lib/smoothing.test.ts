import { expect, it } from "vitest";
import { carryBefore, smooth } from "./smoothing";

/** TensorBoard's smoothing, written out: a weighted mean of everything so far. */
function bruteForce(values: number[], weight: number): number[] {
  return values.map((_, end) => {
    let sum = 0;
    let total = 0;
    for (let index = 0; index <= end; index++) {
      const share = weight ** (end - index);
      sum += share * values[index]!;
      total += share;
    }
    return sum / total;
  });
}

function randomWalk(length: number): number[] {
  let seed = 11;
  let value = 0;
  return Array.from({ length }, () => {
    seed = (seed * 16807) % 2147483647;
    value += seed / 2147483647 - 0.5;
    return value;
  });
}

it.each([0.3, 0.9, 0.99])("equals the weighted mean of all points so far at weight %s", (weight) => {
  const values = randomWalk(400);
  const expected = bruteForce(values, weight);
  smooth(values, weight).forEach((value, index) => {
    expect(value).toBeCloseTo(expected[index]!, 9);
  });
});

it("leaves a constant line where it is, from its first point on", () => {
  for (const value of smooth(Array(50).fill(3.25), 0.99)) expect(value).toBeCloseTo(3.25, 12);
});

it("keeps gaps and skips them", () => {
  const smoothed = smooth([1, undefined, null, 1, Number.NaN], 0.9);
  expect(smoothed[1]).toBeUndefined();
  expect(smoothed[2]).toBeNull();
  expect(smoothed[3]).toBeCloseTo(1, 12);
  expect(smoothed[4]).toBeNaN();
});

it("returns the values themselves without a weight", () => {
  expect(smooth([1, 5, 2], 0)).toEqual([1, 5, 2]);
});

it("over buckets is within 1% of the range of smoothing every point, on a million points", () => {
  const bucket = 1000;
  const points = randomWalk(1_000_000);
  const weight = 0.99999;
  const exact = smooth(points, weight) as number[];
  const means = Array.from({ length: points.length / bucket }, (_, index) => {
    const part = points.slice(index * bucket, (index + 1) * bucket);
    return part.reduce((sum, value) => sum + value, 0) / bucket;
  });
  const range = Math.max(...means) - Math.min(...means);
  smooth(means, weight, Array(means.length).fill(bucket)).forEach((value, index) => {
    expect(Math.abs(value! - exact[(index + 1) * bucket - 1]!)).toBeLessThan(range / 100);
  });
});

it("weighs buckets by the points they hold", () => {
  const points = [...Array(90).fill(1), ...Array(10).fill(5)];
  const expected = smooth(points, 0.9).at(-1)!;
  expect(smooth([1, 5], 0.9, [90, 10]).at(-1)).toBeCloseTo(expected, 9);
  expect(smooth([1, 5], 0.9, [50, 50]).at(-1)).not.toBeCloseTo(expected, 1);
});

it("begins a part of a line where the whole line stands there", () => {
  const values = randomWalk(500);
  const x = values.map((_, index) => index);
  const whole = smooth(values, 0.98);
  const carry = carryBefore(200, x, 0, values, 0.98);
  smooth(values.slice(200), 0.98, undefined, carry).forEach((value, index) => {
    expect(value).toBeCloseTo(whole[200 + index]!, 9);
  });
});

it("carries what buckets hold, and of the one that is cut the part before", () => {
  const values = randomWalk(4000);
  const whole = smooth(values, 0.99);
  const means = Array.from(
    { length: 400 },
    (_, index) => values.slice(index * 10, index * 10 + 10).reduce((a, b) => a + b) / 10,
  );
  const middles = means.map((_, index) => index * 10 + 4.5);
  // The window begins at step 2005, in the middle of a bucket; steps lie at whole numbers, so buckets begin half a step before.
  const carry = carryBefore(2004.5, middles, 10, means, 0.99, Array(400).fill(10));
  const first = smooth(values.slice(2005), 0.99, undefined, carry)[0]!;
  const range = Math.max(...values) - Math.min(...values);
  expect(Math.abs(first - whole[2005]!)).toBeLessThan(range / 100);
});
