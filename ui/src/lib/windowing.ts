/** Which columns of a wide table are in sight: prefix sums over fixed widths, found by bisection. */

/** `sums[i]` is the left edge of column i; the last entry is the total width. */
export function prefixSums(widths: readonly number[]): number[] {
  const sums = [0];
  for (const width of widths) sums.push(sums[sums.length - 1]! + width);
  return sums;
}

/** Columns that touch the view, `overscan` more on each side: first index and one past the last. */
export function visibleColumns(
  sums: readonly number[],
  scrollLeft: number,
  viewWidth: number,
  overscan = 2,
): [first: number, end: number] {
  const count = sums.length - 1;
  if (count === 0) return [0, 0];
  const first = Math.min(count - 1, lastAtMost(sums, scrollLeft));
  const last = Math.min(count - 1, lastAtMost(sums, scrollLeft + Math.max(0, viewWidth)));
  return [Math.max(0, first - overscan), Math.min(count, last + 1 + overscan)];
}

/** The last index whose edge is at or left of `position`. */
function lastAtMost(sums: readonly number[], position: number): number {
  let low = 0;
  let high = sums.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (sums[middle]! <= position) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Columns whose spreads are asked for together. */
export const SPREAD_BLOCK = 12;

/** The blocks that hold the columns from `first` to before `end`; both may lie outside of the `count` columns that there are. */
export function blocksInSight([first, end]: readonly [number, number], count: number): number[] {
  const [from, to] = [Math.max(0, first), Math.min(count, end)];
  if (from >= to) return [];
  const lead = Math.floor(from / SPREAD_BLOCK);
  return Array.from({ length: Math.floor((to - 1) / SPREAD_BLOCK) - lead + 1 }, (_, place) => lead + place);
}
