import { expect, it } from "vitest";
import { gapsOf, withGaps } from "./gaps";

/** Values at the given buckets, nothing elsewhere. */
function line(length: number, places: number[]): (number | undefined)[] {
  const values: (number | undefined)[] = Array(length).fill(undefined);
  for (const place of places) values[place] = place;
  return values;
}
const range = (from: number, to: number, step = 1) =>
  Array.from({ length: Math.ceil((to - from) / step) }, (_, index) => from + index * step);

it("breaks a dense line where buckets are empty", () => {
  const places = [...range(0, 400), ...range(401, 700), ...range(800, 1000)];
  const counts = Array(1000).fill(50);
  expect(gapsOf(line(1000, places), counts)).toEqual([
    [400, 400],
    [700, 799],
  ]);
});

it("does not break a line of 16 points among 1,000 buckets", () => {
  expect(gapsOf(line(1000, range(0, 1000, 63)), undefined)).toEqual([]);
});

it("does not break a line whose points come at random, about one a bucket", () => {
  let seed = 7;
  const random = () => {
    seed = (seed * 16807) % 2147483647;
    return seed / 2147483647;
  };
  const counts = Array(1000).fill(0);
  for (let at = 0; at < 1000; at += Math.log(1 / random())) counts[Math.floor(at)] += 1;
  const places = range(0, 1000).filter((place) => counts[place] > 0);
  expect(gapsOf(line(1000, places), counts).length).toBeLessThanOrEqual(1);
});

it("breaks a sparse line at a stretch far wider than its usual distance", () => {
  expect(gapsOf(line(1000, [...range(0, 200, 10), ...range(600, 1000, 10)]), undefined)).toEqual([[191, 599]]);
});

it("has no gaps in lines of one or two points", () => {
  expect(gapsOf(line(1000, [1, 900]), undefined)).toEqual([]);
});

it("breaks lines with null, which is drawn as a gap", () => {
  expect(withGaps([1, undefined, undefined, 4], [[1, 2]])).toEqual([1, null, null, 4]);
  expect(withGaps([1, undefined, 4], [])).toEqual([1, undefined, 4]);
});
