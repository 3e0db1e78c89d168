/** One style per run, the same in table, charts and pages: 8 hues × 3 dashes, told apart by colour-blind readers. */

export const HUES = ["blue", "orange", "green", "pink", "cyan", "red", "purple", "olive"] as const;
export const DASHES: readonly (readonly number[])[] = [[], [6, 3], [2, 2]];
export const STYLES = HUES.length * DASHES.length;

/** A place in the table of styles: `hue` names the token `--run-<hue>`, `dash` the pattern of the line. */
export interface RunStyle {
  hue: number;
  dash: number;
}

/** Stable number for a run id: its leading 32 bits, spread (ids are random, but imported ones may not be). */
export function hashRun(runId: string): number {
  let hash = 2166136261;
  for (let index = 0; index < runId.length; index++) {
    hash = Math.imul(hash ^ runId.charCodeAt(index), 16777619) >>> 0;
  }
  return (hash ^ (hash >>> 15)) >>> 0;
}

/** The style a run has on its own: always a solid line, the hue from its id. */
export function ownStyle(runId: string): RunStyle {
  return { hue: hashRun(runId) % HUES.length, dash: 0 };
}

/**
 * Styles for runs that are seen together. Each keeps its own hue; where two collide the later one moves to the next free
 * hue, and when all hues are taken to the next dash. Repeats only above 24 runs. Order of `runIds` decides who moves.
 */
export function assignStyles(runIds: readonly string[]): Map<string, RunStyle> {
  const taken = new Set<number>();
  const styles = new Map<string, RunStyle>();
  for (const runId of runIds) {
    if (styles.has(runId)) continue;
    if (taken.size === STYLES) taken.clear();
    const own = ownStyle(runId).hue;
    let slot = own;
    for (let step = 0; step < STYLES; step++) {
      slot = Math.floor(step / HUES.length) * HUES.length + ((own + step) % HUES.length);
      if (!taken.has(slot)) break;
    }
    taken.add(slot);
    styles.set(runId, { hue: slot % HUES.length, dash: Math.floor(slot / HUES.length) });
  }
  return styles;
}

/** The CSS variable of a style's hue. */
export function hueToken(style: RunStyle): string {
  return `--run-${HUES[style.hue]}`;
}
