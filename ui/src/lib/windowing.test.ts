import { expect, it } from "vitest";
import { blocksInSight, prefixSums, visibleColumns } from "./windowing";

/** Every column that shares a pixel with the view, found by looking at each. */
function bruteForce(widths: number[], left: number, view: number): number[] {
  let edge = 0;
  return widths.flatMap((width, index) => {
    const from = edge;
    edge += width;
    return from <= left + view && edge > left ? [index] : [];
  });
}

it("finds exactly the columns in sight, wherever the table is scrolled", () => {
  const widths = Array.from({ length: 500 }, (_, index) => 80 + ((index * 37) % 140));
  const sums = prefixSums(widths);
  for (let left = 0; left < sums[500]!; left += 173) {
    const [first, end] = visibleColumns(sums, left, 900, 0);
    expect(Array.from({ length: end - first }, (_, index) => first + index)).toEqual(bruteForce(widths, left, 900));
  }
});

it("adds the wanted columns on each side, inside the table", () => {
  const sums = prefixSums([100, 100, 100, 100, 100]);
  expect(visibleColumns(sums, 0, 150, 2)).toEqual([0, 4]);
  expect(visibleColumns(sums, 450, 150, 2)).toEqual([2, 5]);
});

it("has an answer for a table without columns and for a view wider than the table", () => {
  expect(visibleColumns([0], 0, 100)).toEqual([0, 0]);
  expect(visibleColumns(prefixSums([50]), 0, 4000)).toEqual([0, 1]);
  expect(visibleColumns(prefixSums([50, 50]), 0, -10, 0)).toEqual([0, 1]);
});

it("asks for the blocks of columns in sight alone", () => {
  expect(blocksInSight([-4, 5], 40)).toEqual([0]);
  expect(blocksInSight([8, 13], 40)).toEqual([0, 1]);
  expect(blocksInSight([30, 44], 40)).toEqual([2, 3]);
  expect(blocksInSight([-4, 0], 40)).toEqual([]);
  expect(blocksInSight([0, 5], 0)).toEqual([]);
});
