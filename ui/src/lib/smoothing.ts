/** Smoothing of a line for display: the debiased exponential mean of TensorBoard, also over buckets. */

/**
 * `E ← α^c·E + (1 − α^c)·m`, divided by `1 − α^N`: over points (`c` = 1) exactly TensorBoard's smoothing, over buckets of
 * mean `m` and `c` points the same to first order. Missing and non-finite entries are skipped and stay as they are.
 * `weight` is α in [0, 1); `perEntry` the number of points behind one entry.
 */
export function smooth(
  values: readonly (number | null | undefined)[],
  weight: number,
  perEntry = 1,
): (number | null | undefined)[] {
  if (weight <= 0) return values.slice();
  const keep = weight ** Math.max(1, perEntry);
  let mean = 0;
  let debias = 1;
  return values.map((value) => {
    if (value === null || value === undefined || !Number.isFinite(value)) return value;
    mean = keep * mean + (1 - keep) * value;
    debias *= keep;
    return mean / (1 - debias);
  });
}
