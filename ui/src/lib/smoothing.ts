/** Smoothing of a line for display: the debiased exponential mean of TensorBoard, also over buckets. */

type Values = readonly (number | null | undefined)[];
type Counts = ArrayLike<number> | undefined;

/** The mean so far, and what is still missing from a total weight of 1. */
export interface Carry {
  mean: number;
  debias: number;
}

const START: Carry = { mean: 0, debias: 1 };

/**
 * `E ← α^c·E + (1 − α^c)·m`, divided by `1 − α^N`: over points (`c` = 1) exactly TensorBoard's smoothing, over buckets of
 * mean `m` and `c` points the same to first order. Missing and non-finite entries are skipped and stay as they are.
 * `weight` is α in [0, 1); `counts` the points behind each entry, one each when absent; `carry` what came before the first
 * entry, so that a line looks the same when only a part of it is in sight.
 */
export function smooth(
  values: Values,
  weight: number,
  counts?: Counts,
  carry: Carry = START,
): (number | null | undefined)[] {
  if (weight <= 0) return values.slice();
  let state = carry;
  return values.map((value, index) => {
    if (!isFiniteNumber(value)) return value;
    state = add(state, value, weight, counts?.[index] ?? 1);
    return state.mean / (1 - state.debias);
  });
}

/**
 * What the entries before `end` leave to a line that begins there. `x` are the places of single points, or the middles of
 * buckets of width `dx`: the bucket that holds `end` counts for the part of it that lies before.
 */
export function carryBefore(
  end: number,
  x: readonly number[],
  dx: number,
  values: Values,
  weight: number,
  counts?: Counts,
): Carry {
  let state = START;
  for (let index = 0; index < x.length; index++) {
    const share = dx > 0 ? Math.min(1, (end - (x[index]! - dx / 2)) / dx) : Number(x[index]! < end);
    if (share <= 0) break;
    const value = values[index];
    if (isFiniteNumber(value)) state = add(state, value, weight, (counts?.[index] ?? 1) * share);
  }
  return state;
}

function add({ mean, debias }: Carry, value: number, weight: number, points: number): Carry {
  const keep = weight ** points;
  return { mean: keep * mean + (1 - keep) * value, debias: debias * keep };
}

function isFiniteNumber(value: number | null | undefined): value is number {
  return typeof value === "number" && Number.isFinite(value);
}
