/** One style per run, the same in table, charts and pages: 8 hues × 3 dashes, told apart by colour-blind readers. */

export const HUES = ["blue", "orange", "green", "pink", "cyan", "red", "purple", "olive"] as const;
export const DASHES: readonly (readonly number[])[] = [[], [6, 3], [2, 2]];
export const STYLES = HUES.length * DASHES.length;

/** A place in the table of styles: `hue` names the token `--run-<hue>`, `dash` the pattern of the line. */
export interface RunStyle {
  hue: number;
  dash: number;
}

/** The number of each run in its experiment: 0 for the oldest. Trashed runs count, so that no number ever moves. */
export type RunOrder = ReadonlyMap<string, number>;

/** Numbers of an experiment's newest runs, given newest first, out of `total`. */
export function runOrder(newest: readonly string[], total: number): RunOrder {
  return new Map(newest.map((runId, index) => [runId, total - 1 - index]));
}

/** Stable number for a run id whose place in the experiment is not known (it is older than the runs that are asked for). */
function hashRun(runId: string): number {
  let hash = 2166136261;
  for (let index = 0; index < runId.length; index++) {
    hash = Math.imul(hash ^ runId.charCodeAt(index), 16777619) >>> 0;
  }
  return (hash ^ (hash >>> 15)) >>> 0;
}

function ownSlot(runId: string, order: RunOrder): number {
  return (order.get(runId) ?? hashRun(runId)) % STYLES;
}

function styleAt(slot: number): RunStyle {
  return { hue: slot % HUES.length, dash: Math.floor(slot / HUES.length) };
}

/** The style of a run by itself: 24 runs that were started one after the other differ from each other, for good. */
export function ownStyle(runId: string, order: RunOrder, moved: ReadonlyMap<string, number> = new Map()): RunStyle {
  return styleAt(moved.get(runId) ?? ownSlot(runId, order));
}

/**
 * Styles for runs that are seen together. Each keeps its own; where two collide the later one moves to the next free hue of
 * the same dash, else to another dash, and `moved` remembers where, so that it looks the same wherever it is seen next.
 * Repeats only above 24 runs. The order of `runIds` decides who moves.
 */
export function assignStyles(
  runIds: readonly string[],
  order: RunOrder,
  moved: Map<string, number> = new Map(),
): Map<string, RunStyle> {
  const taken = new Set<number>();
  const styles = new Map<string, RunStyle>();
  for (const runId of runIds) {
    if (styles.has(runId)) continue;
    if (taken.size === STYLES) taken.clear();
    const own = moved.get(runId) ?? ownSlot(runId, order);
    const slot = freeSlot(own, taken);
    if (slot !== own) moved.set(runId, slot);
    taken.add(slot);
    styles.set(runId, styleAt(slot));
  }
  return styles;
}

function freeSlot(own: number, taken: ReadonlySet<number>): number {
  const { hue, dash } = styleAt(own);
  for (let step = 0; step < STYLES; step++) {
    const row = (dash + Math.floor(step / HUES.length)) % DASHES.length;
    const slot = row * HUES.length + ((hue + step) % HUES.length);
    if (!taken.has(slot)) return slot;
  }
  return own;
}

/** The CSS variable of a style's hue. */
export function hueToken(style: RunStyle): string {
  return `--run-${HUES[style.hue]}`;
}
