import { expect, it } from "vitest";
import { smooth } from "./smoothing";

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
  smooth(means, weight, bucket).forEach((value, index) => {
    expect(Math.abs(value! - exact[(index + 1) * bucket - 1]!)).toBeLessThan(range / 100);
  });
});
