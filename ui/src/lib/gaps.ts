/** Where a line over buckets must not be drawn through: nothing was logged there, although there should have been. */

type Values = readonly (number | null | undefined)[];

/** A stretch without points is a gap when it is this many times as wide as the usual distance of two points. */
const TIMES = 8;

/**
 * Stretches of empty buckets at which the line breaks, `[first, last]` each. A line of few points has empty buckets between
 * all of them and is no line of gaps: what counts is how far its points usually lie apart. `counts` are the points behind
 * each bucket.
 */
export function gapsOf(values: Values, counts: ArrayLike<number> | undefined): [first: number, last: number][] {
  const filled: number[] = [];
  values.forEach((value, index) => {
    if (value !== undefined) filled.push(index);
  });
  if (filled.length < 3) return [];
  const distances = filled.slice(1).map((place, index) => place - filled[index]!);
  const usual = median(distances) / Math.max(1, median(filled.map((place) => counts?.[place] ?? 1)));
  const least = Math.max(1, TIMES * usual);
  return filled
    .slice(1)
    .map((place, index): [number, number] => [filled[index]! + 1, place - 1])
    .filter(([first, last]) => last - first + 1 >= least);
}

/** The values with the line broken at the gaps: `null` breaks a line, `undefined` does not. */
export function withGaps(values: Values, gaps: readonly (readonly [number, number])[]): (number | null | undefined)[] {
  const broken = [...values];
  for (const [first, last] of gaps) broken.fill(null, first, last + 1);
  return broken;
}

function median(numbers: number[]): number {
  return [...numbers].sort((left, right) => left - right)[numbers.length >> 1]!;
}
